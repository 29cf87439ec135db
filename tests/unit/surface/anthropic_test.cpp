#include <catch2/catch.hpp>

#include "core/surface/anthropic_answer.hpp"
#include "core/surface/anthropic_request.hpp"
#include "core/surface/anthropic_surface.hpp"
#include "core/surface/carried.hpp"
#include "tests/unit/surface/dialect.hpp"

namespace switchyard::surface {
namespace {

const AnthropicSurface kSurface;

Canonical translate(const std::string& body, Ask::What what = Ask::What::kTask) {
  JsonIndex index;
  REQUIRE(index.scan(body));
  Ask ask;
  ask.what = what;
  return kSurface.to_canonical(ask, index);
}

// A request with these messages, as canonical messages.
std::string messages_of(const std::string& messages) {
  const Canonical canonical =
      translate(R"({"model":"m","max_tokens":9,"messages":)" + messages + "}");
  REQUIRE_FALSE(canonical.refusal);
  return std::string(json::find(canonical.body, "messages"));
}

std::vector<Event> stream(const std::vector<std::string>& chunks, bool shows_thinking = true) {
  AnthropicAnswer answer(shows_thinking);
  std::string out;
  for (const std::string& chunk : chunks) answer.delta(chunk, out);
  answer.end({7, 3, 0, 0, true}, out);
  return events_of(out);
}

// The blocks that a client makes of a stream, one line each, and how it ended.
std::string told(const std::vector<Event>& events) {
  std::string out;
  std::int64_t open = -1, next = 0;
  for (const Event& event : events) {
    CAPTURE(event.data);
    REQUIRE(json::valid(event.data));
    REQUIRE(json::find(event.data, "type") == json::quoted(event.name));
    const auto index = json::to_integer(json::find(event.data, "index"));
    if (event.name == "content_block_start") {
      REQUIRE(open == -1);
      REQUIRE(index == next);
      open = next++;
      const std::string_view block = json::find(event.data, "content_block");
      out += json::inside(json::find(block, "type"));
      for (const char* name : {"id", "name"}) {
        if (const auto text = json::to_text(json::find(block, name))) out += " " + *text;
      }
      if (const auto data = carried(json::inside(json::find(block, "data")))) out += " " + *data;
      out += ": ";
    } else if (event.name == "content_block_delta") {
      REQUIRE(index == open);
      for (const char* name : {"text", "thinking", "partial_json"}) {
        out +=
            json::to_text(json::find_path(event.data, std::string("delta.") + name)).value_or("");
      }
      const std::string_view signature = json::find_path(event.data, "delta.signature");
      if (!signature.empty()) out += " / " + carried(json::inside(signature)).value_or("lost");
    } else if (event.name == "content_block_stop") {
      REQUIRE(index == open);
      open = -1;
      out += "\n";
    } else if (event.name == "message_delta") {
      out += json::inside(json::find_path(event.data, "delta.stop_reason"));
    }
  }
  REQUIRE(open == -1);
  REQUIRE(events.front().name == "message_start");
  REQUIRE(events.back().name == "message_stop");
  return out;
}

}  // namespace

TEST_CASE("surface: a Messages request is canonical in every member") {
  const Canonical canonical = translate(R"({
    "model":"claude","max_tokens":100,"stream":true,"temperature":0.50,"top_k":4,
    "system":[{"type":"text","text":"Be brief.","cache_control":{"type":"ephemeral"}}],
    "stop_sequences":["END"],"service_tier":"standard_only",
    "metadata":{"user_id":"u1"},"thinking":{"type":"enabled","budget_tokens":5000},
    "output_config":{"format":{"type":"json_schema","schema":{"type":"object"}}},
    "tools":[{"name":"clock","description":"d","input_schema":{"type":"object"},"strict":true,
              "cache_control":{"type":"ephemeral","ttl":"1h"}},
             {"type":"bash_20250124","name":"bash"}],
    "tool_choice":{"type":"tool","name":"clock","disable_parallel_tool_use":true},
    "messages":[{"role":"user","content":"Time?"}]})");
  REQUIRE_FALSE(canonical.refusal);
  CHECK(canonical.stream);
  CHECK(canonical.losses.empty());
  CHECK(
      canonical.body ==
      R"({"model":"claude","messages":[)"
      R"({"role":"system","content":[{"type":"text","text":"Be brief.","cache_control":{"type":"ephemeral"}}]},)"
      R"({"role":"user","content":"Time?"}],)"
      R"("max_completion_tokens":100,"stream":true,"stream_options":{"include_usage":true},)"
      R"("temperature":0.50,"top_k":4,"stop":["END"],)"
      R"("tools":[{"type":"function","function":{"name":"clock","description":"d","parameters":{"type":"object"},"strict":true},)"
      R"("cache_control":{"type":"ephemeral","ttl":"1h"}},{"type":"bash_20250124","name":"bash"}],)"
      R"("tool_choice":{"type":"function","function":{"name":"clock"}},"parallel_tool_calls":false,)"
      R"("response_format":{"type":"json_schema","json_schema":{"name":"answer","strict":true,"schema":{"type":"object"}}},)"
      R"("reasoning":{"max_tokens":5000},"reasoning_effort":"medium","user":"u1","service_tier":"default"})");
}

TEST_CASE("surface: turns with tools, pictures and documents become canonical messages") {
  CHECK(
      messages_of(R"([
    {"role":"user","content":[{"type":"text","text":"See"},
      {"type":"image","source":{"type":"base64","media_type":"image/png","data":"AAAA"}},
      {"type":"image","source":{"type":"url","url":"https:\/\/a.example/b.png"}},
      {"type":"document","title":"t.pdf","source":{"type":"base64","media_type":"application/pdf","data":"BBBB"}},
      {"type":"document","source":{"type":"text","media_type":"text/plain","data":"hi"}}]},
    {"role":"assistant","content":[{"type":"text","text":"Two "},{"type":"text","text":"calls."},
      {"type":"tool_use","id":"c1","name":"clock","input":{"city":"Oslo"}},
      {"type":"tool_use","id":"c2","name":"clock","input":{}}]},
    {"role":"user","content":[
      {"type":"tool_result","tool_use_id":"c2","is_error":true,"content":"no"},
      {"type":"tool_result","tool_use_id":"c1","content":[{"type":"text","text":"14:05"},
        {"type":"image","source":{"type":"base64","media_type":"image/png","data":"CCCC"}}]},
      {"type":"text","text":"Well?"}]}])") ==
      R"([{"role":"user","content":[{"type":"text","text":"See"},)"
      R"({"type":"image_url","image_url":{"url":"data:image/png;base64,AAAA"}},)"
      R"({"type":"image_url","image_url":{"url":"https:\/\/a.example/b.png"}},)"
      R"({"type":"file","file":{"file_data":"data:application/pdf;base64,BBBB","filename":"t.pdf"}},)"
      R"({"type":"file","file":{"file_data":"data:text/plain;base64,aGk=","filename":"document.txt"}}]},)"
      R"({"role":"assistant","content":"Two calls.","tool_calls":[)"
      R"({"id":"c1","type":"function","function":{"name":"clock","arguments":"{\"city\":\"Oslo\"}"}},)"
      R"({"id":"c2","type":"function","function":{"name":"clock","arguments":"{}"}}]},)"
      R"({"role":"tool","tool_call_id":"c2","content":"no","is_error":true},)"
      R"({"role":"tool","tool_call_id":"c1","content":[{"type":"text","text":"14:05"},)"
      R"({"type":"image_url","image_url":{"url":"data:image/png;base64,CCCC"}}]},)"
      R"({"role":"user","content":[{"type":"text","text":"Well?"}]}])");
}

TEST_CASE("surface: thinking that Anthropic signed keeps its blocks and their places") {
  CHECK(
      messages_of(R"([{"role":"assistant","content":[
      {"type":"thinking","thinking":"Hm.","signature":"c2ln"},{"type":"text","text":"Ab"},
      {"type":"redacted_thinking","data":"eA=="},
      {"type":"server_tool_use","id":"s","name":"web_search","input":{}}]}])") ==
      R"([{"role":"assistant","content":"Ab","reasoning_content":"Hm.","reasoning_details":[)"
      R"({"index":0,"type":"reasoning.text","format":"anthropic-claude-v1","text":"Hm.","signature":"c2ln"},)"
      R"({"index":1,"type":"reasoning.encrypted","format":"anthropic-claude-v1","after_text":2,"data":"eA=="},)"
      R"({"index":2,"type":"opaque","format":"anthropic-claude-v1","after_text":2,)"
      R"("block":{"type":"server_tool_use","id":"s","name":"web_search","input":{}}}]}])");
}

TEST_CASE("surface: a Messages request that can't be is refused with the field's name") {
  struct Case {
    const char* body;
    const char* param;
  };
  const Case cases[] = {
      {R"({"max_tokens":1,"messages":[{"role":"user","content":"a"}]})", "model"},
      {R"({"model":"m","messages":[{"role":"user","content":"a"}]})", "max_tokens"},
      {R"({"model":"m","max_tokens":-1,"messages":[{"role":"user","content":"a"}]})", "max_tokens"},
      {R"({"model":"m","max_tokens":1})", "messages"},
      {R"({"model":"m","max_tokens":1,"messages":[]})", "messages"},
      {R"({"model":"m","max_tokens":1,"messages":["a"]})", "messages.0"},
      {R"({"model":"m","max_tokens":1,"messages":[{"role":"tool","content":"a"}]})",
       "messages.0.role"},
      {R"({"model":"m","max_tokens":1,"messages":[{"role":"user"}]})", "messages.0.content"},
      {R"({"model":"m","max_tokens":1,"messages":[{"role":"user","content":1}]})",
       "messages.0.content"},
      {R"({"model":"m","max_tokens":1,"messages":[{"role":"user","content":[{"type":"text"}]}]})",
       "messages.0.content.0.text"},
      {R"({"model":"m","max_tokens":1,"messages":[{"role":"user","content":[{"type":"image"}]}]})",
       "messages.0.content.0.source"},
      {R"({"model":"m","max_tokens":1,"messages":[{"role":"user","content":[{"type":"tool_result"}]}]})",
       "messages.0.content.0.tool_use_id"},
      {R"({"model":"m","max_tokens":1,"messages":[{"role":"assistant","content":[{"type":"tool_use","name":"n"}]}]})",
       "messages.0.content.0.id"},
      {R"({"model":"m","max_tokens":1,"messages":[{"role":"user","content":"a"}],"tools":[{"name":"a"}]})",
       "tools.0.input_schema"},
      {R"({"model":"m","max_tokens":1,"messages":[{"role":"user","content":"a"}],"tool_choice":{"type":"any"}})",
       "tool_choice"},
      {R"({"model":"m","max_tokens":1,"messages":[{"role":"user","content":"a"}],"tools":[{"name":"f","input_schema":{}}],"tool_choice":{"type":"x"}})",
       "tool_choice.type"},
      {R"({"model":"m","max_tokens":1,"messages":[{"role":"user","content":"a"}],"thinking":{"type":"enabled"}})",
       "thinking.budget_tokens"},
      {R"({"model":"m","max_tokens":1,"messages":[{"role":"user","content":"a"}],"stream":1})",
       "stream"},
  };
  for (const Case& each : cases) {
    CAPTURE(each.body);
    const Canonical canonical = translate(each.body);
    REQUIRE(canonical.refusal);
    CHECK(canonical.refusal->param == each.param);
    CHECK(canonical.refusal->message.starts_with(std::string(each.param) + ": "));
  }
  CHECK_FALSE(
      translate(R"({"model":"m","messages":[{"role":"user","content":"a"}]})", Ask::What::kCount)
          .refusal);
}

TEST_CASE("surface: what of a Messages request is not canonical is a loss") {
  const Canonical canonical = translate(R"({"model":"m","max_tokens":1,"container":"c","speed":null,
    "metadata":{"x":1},"output_config":{"effort":"low","y":1},
    "tools":[{"name":"a","input_schema":{},"input_examples":[{}]}],
    "messages":[{"role":"user","content":[{"type":"search_result"},{"type":"text","text":"a"}]},
      {"role":"assistant","content":[{"type":"tool_use","id":"i","name":"n","input":{},"cache_control":{}}]}]})");
  REQUIRE_FALSE(canonical.refusal);
  CHECK(canonical.losses.array() ==
        R"(["/messages/0/content/0","/messages/1/content/0/cache_control",)"
        R"("/tools/0/input_examples","/output_config/y","/metadata/x","/container"])");
}

TEST_CASE("surface: a text stream has Anthropic's events in their order") {
  const auto events =
      stream({chunk(R"({"role":"assistant","content":""})"), chunk(R"({"content":"Hel"})"),
              chunk(R"({"content":"lo\n"})"), chunk("{}", "stop"),
              R"({"id":"chatcmpl-1","model":"m","choices":[],"usage":{)"
              R"("prompt_tokens":40,"completion_tokens":12,)"
              R"("prompt_tokens_details":{"cached_tokens":30,"cache_write_tokens":4},)"
              R"("completion_tokens_details":{"reasoning_tokens":8}}})"});
  const std::vector<std::string> data = {
      R"({"type":"message_start","message":{"id":"msg_chatcmpl-1","type":"message","role":"assistant","model":"m","content":[],"container":null,"diagnostics":null,"stop_reason":null,"stop_sequence":null,"stop_details":null,"usage":{"input_tokens":0,"cache_creation_input_tokens":0,"cache_read_input_tokens":0,"output_tokens":0,"output_tokens_details":null,"server_tool_use":null,"cache_creation":null,"inference_geo":null,"service_tier":null,"speed":null}}})",
      R"({"type":"content_block_start","index":0,"content_block":{"type":"text","text":"","citations":null}})",
      R"({"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"Hel"}})",
      R"({"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"lo\n"}})",
      R"({"type":"content_block_stop","index":0})",
      R"({"type":"message_delta","delta":{"container":null,"stop_reason":"end_turn","stop_sequence":null,"stop_details":null},"usage":{"input_tokens":6,"cache_creation_input_tokens":4,"cache_read_input_tokens":30,"output_tokens":12,"output_tokens_details":{"thinking_tokens":8},"server_tool_use":null}})",
      R"({"type":"message_stop"})"};
  REQUIRE(events.size() == data.size());
  for (std::size_t i = 0; i < data.size(); ++i) {
    CHECK(events[i].data == data[i]);
    CHECK(json::find(data[i], "type") == json::quoted(events[i].name));
  }
}

TEST_CASE("surface: thinking, text and calls are blocks of their own, one at a time") {
  const std::vector<std::string> chunks = {
      chunk(
          R"({"reasoning_content":"Hm","reasoning_details":[{"index":0,"type":"reasoning.text","format":"f","model":"q","text":"Hm"}]})"),
      chunk(R"({"reasoning_content":".","reasoning_details":[{"index":0,"text":"."}]})"),
      chunk(R"({"reasoning_details":[{"index":0,"signature":"c2ln"}]})"),
      chunk(
          R"({"reasoning_details":[{"index":1,"type":"reasoning.encrypted","format":"f","data":"eA=="}]})"),
      chunk(R"({"content":"Two."})"),
      call(0, "a", "clock", ""),
      call(0, "", "", R"({\"c\":)"),
      call(1, "b", "clock", R"({\"c\":2)"),
      call(0, "", "", "1}"),
      call(1, "", "", "}"),
      call(2, "c", "time", R"({})"),
      chunk("{}", "tool_calls")};
  CHECK(told(stream(chunks)) ==
        "thinking: Hm. / {\"index\":0,\"type\":\"reasoning.text\",\"format\":\"f\",\"model\":\"q\","
        "\"signature\":\"c2ln\"}\n"
        "redacted_thinking {\"index\":1,\"type\":\"reasoning.encrypted\",\"format\":\"f\",\"data\":"
        "\"eA==\"}: \n"
        "text: Two.\n"
        "tool_use a clock: {\"c\":1}\n"
        "tool_use b clock: {\"c\":2}\n"
        "tool_use c time: {}\n"
        "tool_use");
  // Who did not ask for thinking does not get it.
  CHECK(told(stream({chunks[0], chunks[3], chunks[4]}, false)) == "text: Two.\nend_turn");
}

TEST_CASE("surface: a Messages stream says the same wherever its text is cut") {
  const std::string text = R"(A\u00e9\n \"b\" c)";
  for (std::size_t cut = 0; cut <= text.size(); ++cut) {
    if (cut > 0 && cut < text.size() && text.substr(0, cut).ends_with('\\')) continue;
    if (cut > 2 && cut < 7) continue;  // within an escape no provider cuts
    CAPTURE(cut);
    CHECK(told(stream({chunk(R"({"content":")" + text.substr(0, cut) + "\"}"),
                       chunk(R"({"content":")" + text.substr(cut) + "\"}"),
                       chunk("{}", "length")})) == "text: A\xC3\xA9\n \"b\" c\nmax_tokens");
  }
}

TEST_CASE("surface: what a vendor wants back comes back through a Messages client") {
  AnthropicAnswer answer(true);
  std::string out;
  REQUIRE(answer.whole(
      R"({"id":"x","model":"m","choices":[{"index":0,"finish_reason":"tool_calls","message":{"content":null,)"
      R"("reasoning_content":"Hm","reasoning_details":[{"index":0,"type":"reasoning.text","format":"f","model":"q","text":"Hm","signature":"s"}],)"
      R"("tool_calls":[{"id":"a","type":"function","extra_content":{"google":{"thought_signature":"t"}},)"
      R"("function":{"name":"n","arguments":"{\"k\": 1}"}}]}}],"usage":{"prompt_tokens":3,"completion_tokens":2}})",
      out));
  REQUIRE(json::valid(out));
  CHECK(json::find(out, "stop_reason") == "\"tool_use\"");
  CHECK(json::find_path(out, "usage.input_tokens") == "3");
  const std::string content(json::find(out, "content"));
  CHECK(
      messages_of(R"([{"role":"assistant","content":)" + content + "}]") ==
      R"([{"role":"assistant","content":null,"reasoning_content":"Hm",)"
      R"("reasoning_details":[{"index":0,"type":"reasoning.text","format":"f","model":"q","signature":"s","text":"Hm"}],)"
      R"("tool_calls":[{"id":"a","type":"function","extra_content":{"google":{"thought_signature":"t"}},)"
      R"("function":{"name":"n","arguments":"{\"k\": 1}"}}]}])");
}

TEST_CASE("surface: whole answers that are none, refusals and broken arguments") {
  AnthropicAnswer answer(false);
  std::string out;
  for (const char* wrong : {"", "[]", "{", R"({"choices":[]})", R"({"choices":[{"index":1}]})"}) {
    CAPTURE(wrong);
    CHECK_FALSE(answer.whole(wrong, out));
  }
  out.clear();
  REQUIRE(answer.whole(R"({"choices":[{"message":{"refusal":"No.","tool_calls":[{"id":"i",)"
                       R"("function":{"name":"n","arguments":"oops"}}]},"finish_reason":"stop"}]})",
                       out));
  CHECK(json::valid(out));
  CHECK(json::find(out, "stop_reason") == "\"refusal\"");
  CHECK(json::find_path(out, "stop_details.explanation") == "\"No.\"");
  CHECK(json::find_path(out, "content.1.input") == R"({"arguments":"oops"})");
}

TEST_CASE("surface: Anthropic's error object and the error within a stream") {
  exchange::Failure failure;
  failure.status = 429;
  failure.code = "rate_limit_exceeded";
  failure.message = "Slow down.";
  CHECK(kSurface.error(failure, "req_1") ==
        R"({"type":"error","error":{"type":"rate_limit_error","message":"Slow down.",)"
        R"("details":{"error_code":"rate_limit_exceeded"}},"request_id":"req_1"})");
  failure.error_json = R"({"message":"Theirs","code":null})";
  std::string out;
  AnthropicAnswer(false).fail(failure, out);
  CHECK(
      out.starts_with("event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"rate_limit_"
                      "error\",\"message\":\"Theirs\""));
  const std::pair<unsigned, const char*> types[] = {{400, "invalid_request_error"},
                                                    {401, "authentication_error"},
                                                    {403, "permission_error"},
                                                    {404, "not_found_error"},
                                                    {413, "request_too_large"},
                                                    {500, "api_error"},
                                                    {502, "api_error"},
                                                    {503, "overloaded_error"},
                                                    {504, "timeout_error"}};
  for (const auto& [status, type] : types) {
    failure.status = status;
    CHECK(json::find_path(kSurface.error(failure, ""), "error.type") == json::quoted(type));
  }
}

TEST_CASE("surface: Anthropic's list of models comes in pages") {
  const ListedModel models[] = {{"a", "x"}, {"b", "x"}, {"c", "x"}};
  Ask ask;
  ask.what = Ask::What::kModels;
  const auto ids = [&](const char* query) {
    const std::string page = kSurface.models(ask, query, models);
    std::string out;
    for (int i = 0; i < 3; ++i) {
      out += json::inside(json::find_path(page, "data." + std::to_string(i) + ".id"));
    }
    return out + (json::is_true(json::find(page, "has_more")) ? "+" : "");
  };
  CHECK(ids("") == "abc");
  CHECK(ids("limit=2") == "ab+");
  CHECK(ids("limit=2&after_id=b") == "c");
  CHECK(ids("limit=1&before_id=c") == "b+");
  CHECK(ids("after_id=c").empty());
  CHECK(kSurface.models(ask, "limit=0", models).empty());
  CHECK(kSurface.models(ask, "limit=x", models).empty());
}

TEST_CASE("surface: what is carried through a client is known again, and nothing else is") {
  for (const char* json : {"{}", R"({"a":1})", R"({"a":12})", R"({"a":123})"}) {
    CHECK(carried(carry(json)) == json);
  }
  // Some clients write it back in the alphabet of URLs.
  std::string url = carry(R"({"a":">>>>>?????"})");
  REQUIRE(url.find('+') != std::string::npos);
  REQUIRE(url.find('/') != std::string::npos);
  std::replace(url.begin(), url.end(), '+', '-');
  std::replace(url.begin(), url.end(), '/', '_');
  CHECK(carried(url) == R"({"a":">>>>>?????"})");
  const std::string good = carry(R"({"a":1})");
  CHECK_FALSE(carried(""));
  CHECK_FALSE(carried("c2ln"));
  CHECK_FALSE(carried(good.substr(0, good.size() - 4)));
  CHECK_FALSE(carried(good + "===="));
  CHECK_FALSE(carried(good.substr(0, 16) + "!!!!"));
}

}  // namespace switchyard::surface
