#include <catch2/catch.hpp>

#include "core/surface/carried.hpp"
#include "core/surface/gemini_answer.hpp"
#include "core/surface/gemini_request.hpp"
#include "core/surface/gemini_surface.hpp"
#include "tests/unit/surface/dialect.hpp"

namespace switchyard::surface {
namespace {

const GeminiSurface kSurface;

net::RequestHead head(std::string_view path, std::string_view query = {}) {
  net::RequestHead head;
  head.method = "POST";
  head.path = path;
  head.query = query;
  return head;
}

Canonical translate(const std::string& body,
                    std::string_view path = "/v1beta/models/m:generateContent") {
  JsonIndex index;
  REQUIRE(index.scan(body));
  return kSurface.to_canonical(kSurface.ask(head(path)), index);
}

std::string messages_of(const std::string& contents) {
  const Canonical canonical = translate(R"({"contents":)" + contents + "}");
  REQUIRE_FALSE(canonical.refusal);
  return std::string(json::find(canonical.body, "messages"));
}

std::string wire_of(const std::vector<std::string>& chunks, GeminiAnswer::Stream stream,
                    bool shows_thoughts = true) {
  GeminiAnswer answer(stream, shows_thoughts);
  std::string out;
  for (const std::string& each : chunks) answer.delta(each, out);
  answer.end({7, 3, 0, 0, true}, out);
  return out;
}

std::vector<std::string> pieces(const std::vector<std::string>& chunks,
                                bool shows_thoughts = true) {
  std::vector<std::string> found;
  for (const Event& event :
       events_of(wire_of(chunks, GeminiAnswer::Stream::kEvents, shows_thoughts))) {
    CHECK(event.name.empty());
    REQUIRE(json::valid(event.data));
    found.push_back(event.data);
  }
  return found;
}

}  // namespace

TEST_CASE("surface: what a path of the Gemini API asks for") {
  const Ask stream = kSurface.ask(head("/v1beta/models/up/a%3Ab:7:streamGenerateContent"));
  CHECK(stream.what == Ask::What::kTask);
  CHECK(stream.model == "up/a:b:7");
  CHECK(stream.stream);
  CHECK(kSurface.ask(head("/v1beta/models/m:embedContent")).task == "embeddings");
  // As Vercel's SDK writes a name with a slash.
  CHECK(kSurface.serves(head("/v1beta/up/m:generateContent")));
  CHECK(kSurface.ask(head("/v1beta/up/m:generateContent")).model == "up/m");
  CHECK_FALSE(kSurface.serves(head("/v1beta/up/m:nonesuch")));
  CHECK(kSurface.ask(head("/v1beta/models/m:countTokens")).what == Ask::What::kCount);
  CHECK(kSurface.ask(head("/v1beta/models")).what == Ask::What::kModels);
  const Ask model = kSurface.ask(head("/v1beta/models/a:b"));
  CHECK(model.what == Ask::What::kModel);
  CHECK(model.model == "a:b");
  CHECK_FALSE(kSurface.serves(head("/v1beta/modelsx")));
  CHECK(kSurface.serves(head("/v1/models/m:generateContent")));
  CHECK_FALSE(kSurface.serves(head("/v1/models/m:latest")));
  CHECK(kSurface.ask(head("/v1/models/m:embedContent")).model == "m");
  CHECK(kSurface.key(head("/v1beta/models", "x=1&key=sy%2D1")) == "sy-1");
}

TEST_CASE("surface: a Gemini request is canonical in every member, in both spellings of names") {
  const std::string expected =
      R"({"model":"m","messages":[{"role":"system","content":"Be\nbrief."},)"
      R"({"role":"user","content":[{"type":"text","text":"See"},)"
      R"({"type":"image_url","image_url":{"url":"data:image/png;base64,AA+/"}}]}],)"
      R"("tools":[{"type":"function","function":{"name":"f","description":"d","parameters":)"
      R"({"type":"object","properties":{"type":{"type":["string","null"]},"n":{"type":"array","minItems":1,"items":{"type":"integer"}}},"required":["n"]}}}],)"
      R"("tool_choice":{"type":"function","function":{"name":"f"}},)"
      R"("temperature":0.50,"top_k":4,"max_completion_tokens":9,"stop":["E"],)"
      R"("reasoning_effort":"medium","reasoning":{"max_tokens":5000},)"
      R"("response_format":{"type":"json_schema","json_schema":{"name":"answer","schema":{"type":"object"}}},"service_tier":"flex"})";
  CHECK(translate(R"({
    "systemInstruction":{"parts":[{"text":"Be"},{"text":"brief."}]},
    "contents":[{"role":"user","parts":[{"text":"See"},{"inlineData":{"mimeType":"image/png","data":"AA-_"}}]}],
    "tools":[{"functionDeclarations":[{"name":"f","description":"d","parameters":{"type":"OBJECT",
      "properties":{"type":{"type":"STRING","nullable":true},"n":{"type":"ARRAY","minItems":"1","items":{"type":"INTEGER"}}},
      "required":["n"],"propertyOrdering":["n"]}}]}],
    "toolConfig":{"functionCallingConfig":{"mode":"ANY","allowedFunctionNames":["f"]}},
    "generationConfig":{"temperature":0.50,"topK":4,"candidateCount":1,"maxOutputTokens":9,"stopSequences":["E"],
      "thinkingConfig":{"thinkingBudget":5000},"responseMimeType":"application/json","responseSchema":{"type":"OBJECT"}},
    "serviceTier":"FLEX","store":false})")
            .body == expected);
  CHECK(translate(R"({
    "system_instruction":{"parts":[{"text":"Be"},{"text":"brief."}]},
    "contents":[{"parts":[{"text":"See"},{"inline_data":{"mime_type":"image/png","data":"AA+/"}}]}],
    "tools":[{"function_declarations":[{"name":"f","description":"d","parameters":{"type":"object",
      "properties":{"type":{"type":"STRING","nullable":true},"n":{"type":"ARRAY","minItems":1,"items":{"type":"INTEGER"}}},
      "required":["n"]}}]}],
    "tool_config":{"function_calling_config":{"mode":"ANY","allowed_function_names":["f"]}},
    "generation_config":{"temperature":0.50,"top_k":4,"max_output_tokens":9,"stop_sequences":["E"],
      "thinking_config":{"thinking_budget":5000},"response_mime_type":"application/json","response_json_schema":{"type":"object"}},
    "service_tier":"flex"})")
            .body == expected);
}

TEST_CASE("surface: sound within a Gemini request is sound, and other data a file") {
  const auto part = [](const std::string& mime) {
    const std::string said = messages_of(R"([{"parts":[{"inlineData":{"mimeType":")" + mime +
                                         R"(","data":"UklG-_=="}}]}])");
    return std::string(json::find_path(said, "0.content.0"));
  };
  for (const char* mime : {"audio/wav", "audio/x-wav"}) {
    CHECK(part(mime) ==
          R"({"type":"input_audio","input_audio":{"data":"UklG+/==","format":"wav"}})");
  }
  for (const char* mime : {"audio/mp3", "audio/mpeg"}) {
    CHECK(json::find_path(part(mime), "input_audio.format") == "\"mp3\"");
  }
  // No other form of sound has a name in OpenAI's.
  CHECK(
      part("audio/ogg") ==
      R"({"type":"file","file":{"file_data":"data:audio/ogg;base64,UklG+/==","filename":"file"}})");
}

TEST_CASE("surface: calls and results of Gemini's turns find each other without ids") {
  CHECK(
      messages_of(R"([{"role":"user","parts":[{"text":"T?"}]},
    {"role":"model","parts":[{"thought":true,"text":"Hm"},{"text":"Two."},
      {"functionCall":{"name":"f","args":{"c":1}},"thoughtSignature":"c2ln"},
      {"functionCall":{"name":"f"}},{"functionCall":{"id":"x","name":"g","args":{}}}]},
    {"role":"user","parts":[{"functionResponse":{"name":"f","response":{"output":"5"}}},
      {"functionResponse":{"name":"f","response":{"error":"no"}}},
      {"functionResponse":{"id":"x","name":"g","response":{"a":1,"b":2}}},{"text":"Well?"}]}])") ==
      R"([{"role":"user","content":[{"type":"text","text":"T?"}]},)"
      R"({"role":"assistant","content":"Two.","reasoning_content":"Hm","tool_calls":[)"
      R"({"id":"call_0","type":"function","extra_content":{"google":{"thought_signature":"c2ln"}},"function":{"name":"f","arguments":"{\"c\":1}"}},)"
      R"({"id":"call_1","type":"function","function":{"name":"f","arguments":"{}"}},)"
      R"({"id":"x","type":"function","function":{"name":"g","arguments":"{}"}}]},)"
      R"({"role":"tool","tool_call_id":"call_0","content":"5"},)"
      R"({"role":"tool","tool_call_id":"call_1","content":"no","is_error":true},)"
      R"({"role":"tool","tool_call_id":"x","content":"{\"a\":1,\"b\":2}"},)"
      R"({"role":"user","content":[{"type":"text","text":"Well?"}]}])");
}

TEST_CASE("surface: a Gemini request that can't be is refused with the field's name") {
  const std::pair<const char*, const char*> cases[] = {
      {"{}", "contents"},
      {R"({"contents":[]})", "contents"},
      {R"({"contents":"a"})", "contents"},
      {R"({"contents":["a"]})", "contents[0]"},
      {R"({"contents":[{"role":"x","parts":[]}]})", "contents[0].role"},
      {R"({"contents":[{"role":"user"}]})", "contents[0].parts"},
      {R"({"contents":[{"parts":[{"text":1}]}]})", "contents[0].parts[0].text"},
      {R"({"contents":[{"parts":[{"inlineData":{"data":"A"}}]}]})",
       "contents[0].parts[0].inlineData.mimeType"},
      {R"({"contents":[{"role":"model","parts":[{"functionCall":{"args":{}}}]}]})",
       "contents[0].parts[0].functionCall.name"},
      {R"({"contents":[{"parts":[{"functionResponse":{"name":"f"}}]}]})",
       "contents[0].parts[0].functionResponse"},
      {R"({"contents":[{"parts":[{"text":"a"}]}],"model":"models/other"})", "model"},
      {R"({"contents":[{"parts":[{"text":"a"}]}],"tools":[{"codeExecution":{}}]})",
       "tools[0].codeExecution"},
      {R"({"contents":[{"parts":[{"text":"a"}]}],"tools":[{"functionDeclarations":[{}]}]})",
       "tools[0].functionDeclarations[0].name"},
      {R"({"contents":[{"parts":[{"text":"a"}]}],"toolConfig":{"functionCallingConfig":{"mode":"X"}}})",
       "toolConfig.functionCallingConfig.mode"},
      {R"({"contents":[{"parts":[{"text":"a"}]}],"generationConfig":{"temperature":"1"}})",
       "generationConfig.temperature"},
      {R"({"contents":[{"parts":[{"text":"a"}]}],"cachedContent":"cachedContents/a"})",
       "cachedContent"},
  };
  for (const auto& [body, param] : cases) {
    CAPTURE(body);
    const Canonical canonical = translate(body);
    REQUIRE(canonical.refusal);
    CHECK(canonical.refusal->param == param);
  }
  const Canonical lossy = translate(
      R"({"contents":[{"parts":[{"text":"a"},{"executableCode":{}},{"fileData":{"fileUri":"gs://b"}}]}],)"
      R"("safetySettings":[{}],"generationConfig":{"speechConfig":{"x":1}}})");
  CHECK(lossy.losses.array() == R"(["/contents/0/parts/1","/contents/0/parts/2",)"
                                R"("/generationConfig/speechConfig","/safetySettings"])");
}

TEST_CASE("surface: a Gemini stream has text as it comes, and calls whole at its end") {
  const auto said = pieces(
      {chunk(R"({"role":"assistant","content":""})"),
       chunk(
           R"({"reasoning_content":"Hm","reasoning_details":[{"index":0,"type":"reasoning.text","format":"f","text":"Hm"}]})"),
       chunk(R"({"reasoning_details":[{"index":0,"signature":"c2ln"}]})"),
       chunk(R"({"content":"Two."})"), call(0, "a", "f", ""), call(1, "b", "g", "{}"),
       call(0, "", "", R"({\"c\":)"), call(0, "", "", "1}"), chunk("{}", "tool_calls"),
       R"({"id":"chatcmpl-1","model":"m","choices":[],"usage":{"prompt_tokens":40,"completion_tokens":12,)"
       R"("prompt_tokens_details":{"cached_tokens":30},"completion_tokens_details":{"reasoning_tokens":8}}})"});
  REQUIRE(said.size() == 3);
  CHECK(
      said[0] ==
      R"({"candidates":[{"content":{"parts":[{"thought":true,"text":"Hm"}],"role":"model"},"index":0}],"modelVersion":"m","responseId":"chatcmpl-1"})");
  CHECK(json::find_path(said[1], "candidates.0.content.parts") == R"([{"text":"Two."}])");
  CHECK(json::find_path(said[1], "candidates.0.finishReason").empty());
  CHECK(json::find_path(said[2], "candidates.0.finishReason") == "\"STOP\"");
  CHECK(
      json::find(said[2], "usageMetadata") ==
      R"({"promptTokenCount":40,"candidatesTokenCount":4,"thoughtsTokenCount":8,"cachedContentTokenCount":30,"totalTokenCount":52})");
  CHECK(json::find_path(said[2], "candidates.0.content.parts.0.functionCall") ==
        R"({"id":"a","name":"f","args":{"c":1}})");
  CHECK(json::find_path(said[2], "candidates.0.content.parts.1") ==
        R"({"functionCall":{"id":"b","name":"g","args":{}}})");

  // What the vendor wants back comes back.
  const std::string parts(json::find_path(said[2], "candidates.0.content.parts"));
  CHECK(
      messages_of(R"([{"role":"model","parts":)" + parts + "}]") ==
      R"([{"role":"assistant","content":null,)"
      R"("reasoning_details":[{"index":0,"type":"reasoning.text","format":"f","text":"Hm","signature":"c2ln"}],)"
      R"("tool_calls":[{"id":"a","type":"function","function":{"name":"f","arguments":"{\"c\":1}"}},)"
      R"({"id":"b","type":"function","function":{"name":"g","arguments":"{}"}}]}])");
  CHECK(pieces({chunk(R"({"reasoning_content":"Hm"})"), chunk("{}", "length")}, false).size() == 1);
}

TEST_CASE("surface: a Gemini stream without alt=sse is one JSON array") {
  const std::string wire = wire_of(
      {chunk(R"({"content":"A"})"), chunk(R"({"content":"B"})"), chunk("{}", "content_filter")},
      GeminiAnswer::Stream::kArray);
  REQUIRE(json::valid(wire));
  CHECK(json::find_path(wire, "1.candidates.0.content.parts.0.text") == "\"B\"");
  CHECK(json::find_path(wire, "2.candidates.0.finishReason") == "\"SAFETY\"");

  GeminiAnswer answer(GeminiAnswer::Stream::kArray, false);
  std::string out;
  answer.delta(chunk(R"({"content":"A"})"), out);
  exchange::Failure failure;
  failure.status = 504;
  answer.fail(failure, out);
  REQUIRE(json::valid(out));
  CHECK(json::find_path(out, "1.error.status") == "\"DEADLINE_EXCEEDED\"");
}

TEST_CASE("surface: a Gemini stream says the same wherever its text is cut") {
  const std::string text = "A b, c";
  for (std::size_t cut = 0; cut <= text.size(); ++cut) {
    std::string said;
    for (const std::string& piece :
         pieces({chunk("{\"content\":\"" + text.substr(0, cut) + "\"}"),
                 chunk("{\"content\":\"" + text.substr(cut) + "\"}"), chunk("{}", "stop")})) {
      said += json::inside(json::find_path(piece, "candidates.0.content.parts.0.text"));
    }
    CHECK(said == text);
  }
}

TEST_CASE("surface: whole Gemini answers, with several candidates and pictures") {
  GeminiAnswer answer(GeminiAnswer::Stream::kEvents, false);
  std::string out;
  REQUIRE(answer.whole(
      R"({"id":"x","model":"m","choices":[{"index":0,"finish_reason":"length","message":{"content":"A",)"
      R"("images":[{"image_url":{"url":"data:image/png;base64,AAAA"}}]}},)"
      R"({"index":1,"finish_reason":"tool_calls","message":{"content":null,"tool_calls":[)"
      R"({"id":"a","function":{"name":"f","arguments":"oops"},"extra_content":{"google":{"thought_signature":"t"}}}]}}]})",
      out));
  REQUIRE(json::valid(out));
  CHECK(
      json::find_path(out, "candidates.0") ==
      R"({"content":{"parts":[{"text":"A"},{"inlineData":{"mimeType":"image/png","data":"AAAA"}}],"role":"model"},"finishReason":"MAX_TOKENS","index":0})");
  CHECK(json::find_path(out, "candidates.1.content.parts.0.functionCall.args") ==
        R"({"arguments":"oops"})");
  CHECK(carried(
            json::inside(json::find_path(out, "candidates.1.content.parts.0.thoughtSignature"))) ==
        R"({"extra_content":{"google":{"thought_signature":"t"}}})");
  for (const char* wrong : {"", "[]", "{", R"({"choices":[]})"}) {
    CHECK_FALSE(answer.whole(wrong, out));
  }
}

TEST_CASE("surface: a Gemini client is told how likely each token was") {
  const std::string tokens =
      R"([{"token":"Å","bytes":[195],"logprob":-0.25,"top_logprobs":[{"token":"Å","logprob":-0.25},)"
      R"({"token":"A","logprob":-2}]},{"token":"b","logprob":-1e-3,"top_logprobs":[]},{"x":1}])";
  const std::string expected =
      R"({"topCandidates":[{"candidates":[{"token":"Å","logProbability":-0.25},)"
      R"({"token":"A","logProbability":-2}]},{"candidates":[]}],)"
      R"("chosenCandidates":[{"token":"Å","logProbability":-0.25},{"token":"b","logProbability":-1e-3}]})";
  const std::string with = R"(,"logprobs":{"content":)" + tokens + "}}]}";
  const std::string head = R"({"id":"x","model":"m","choices":[{"index":0,)";
  const auto said = pieces({head + R"("delta":{"content":"Åb"})" + with, chunk("{}", "stop")});
  REQUIRE(said.size() == 2);
  CHECK(json::find_path(said[0], "candidates.0.logprobsResult") == expected);
  CHECK(json::find_path(said[1], "candidates.0.logprobsResult").empty());
  const auto behind = pieces({chunk(R"({"content":"Åb"})"), head + R"("delta":{})" + with});
  CHECK(json::find_path(behind[1], "candidates.0.logprobsResult") == expected);

  GeminiAnswer answer(GeminiAnswer::Stream::kEvents, false);
  std::string out;
  REQUIRE(answer.whole(head + R"("message":{"content":"Åb"},"finish_reason":"stop")" + with, out));
  CHECK(json::find_path(out, "candidates.0.logprobsResult") == expected);
}

TEST_CASE("surface: Google's error object") {
  exchange::Failure failure;
  failure.status = 400;
  failure.code = "invalid_value";
  failure.message = "contents: required";
  failure.param = "contents";
  CHECK(
      gemini_error(failure) ==
      R"({"error":{"code":400,"message":"contents: required","status":"INVALID_ARGUMENT","details":[)"
      R"({"@type":"type.googleapis.com/google.rpc.ErrorInfo","reason":"invalid_value","domain":"switchyard"},)"
      R"({"@type":"type.googleapis.com/google.rpc.BadRequest","fieldViolations":[{"field":"contents","description":"contents: required"}]}]}})");
  failure.retry_after_ms = 1500;
  failure.status = 429;
  const std::string slow = gemini_error(failure);
  CHECK(json::find_path(slow, "error.status") == "\"RESOURCE_EXHAUSTED\"");
  CHECK(json::find_path(slow, "error.details.2.retryDelay") == "\"2s\"");
}

TEST_CASE("surface: embeddings in Google's form, one and many") {
  const Canonical one = translate(
      R"({"content":{"parts":[{"text":"a"},{"text":"b"}]},"outputDimensionality":3,"taskType":"X"})",
      "/v1beta/models/m:embedContent");
  CHECK(one.body == R"({"model":"m","input":["ab"],"encoding_format":"float","dimensions":3})");
  CHECK(one.losses.array() == R"(["/taskType"])");
  const Canonical many = translate(
      R"({"requests":[{"model":"models/m","content":{"parts":[{"text":"a"}]}},{"content":{"parts":[{"text":"b"}]}}]})",
      "/v1beta/models/m:batchEmbedContents");
  CHECK(many.body == R"({"model":"m","input":["a","b"],"encoding_format":"float"})");
  CHECK(translate("{}", "/v1beta/models/m:embedContent").refusal->param == "content");
  CHECK(translate("{}", "/v1beta/models/m:batchEmbedContents").refusal->param == "requests");
  CHECK(translate(R"({"requests":[{"model":"models/x","content":{"parts":[]}}]})",
                  "/v1beta/models/m:batchEmbedContents")
            .refusal->param == "model");

  const std::string answer = R"({"data":[{"embedding":[0.5,1]},{"embedding":[2]}]})";
  std::string out;
  REQUIRE(GeminiEmbeddings(true).whole(answer, out));
  CHECK(out == R"({"embeddings":[{"values":[0.5,1]},{"values":[2]}]})");
  REQUIRE(GeminiEmbeddings(false).whole(answer, out));
  CHECK(out == R"({"embedding":{"values":[0.5,1]}})");
  CHECK_FALSE(GeminiEmbeddings(true).whole(R"({"data":[]})", out));
}

TEST_CASE("surface: Google's list of models comes in pages") {
  const ListedModel models[] = {{"a", "x"}, {"b", "x"}, {"c", "x"}};
  Ask ask;
  ask.what = Ask::What::kModels;
  const std::string page = kSurface.models(ask, "pageSize=2", models);
  CHECK(json::find_path(page, "models.1.name") == "\"models/b\"");
  CHECK(json::find(page, "nextPageToken") == "\"b\"");
  const std::string rest = kSurface.models(ask, "pageSize=2&pageToken=b", models);
  CHECK(json::find_path(rest, "models.0.name") == "\"models/c\"");
  CHECK(json::find(rest, "nextPageToken").empty());
  CHECK(kSurface.models(ask, "pageSize=0", models).empty());
}

}  // namespace switchyard::surface
