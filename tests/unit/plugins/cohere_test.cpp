#include <switchyard/testing.hpp>

#include "providers/cohere/chat.hpp"
#include "providers/cohere/lists.hpp"
#include "providers/cohere/translate.hpp"

using namespace swy::testing;
namespace json = swy::json;

namespace {

struct Sent {
  std::string body, dropped, refusal;
};

Sent sent(const std::string& members) {
  const FakeRequest request("chat", "command-a", R"({"model":"a")" + members + "}", 0);
  const cohere::ChatBody body(request.get());
  if (body.refusal()) return {"", "", body.refusal()->message};
  const std::string text = body.pieces().joined();
  CHECK(json::valid(text));
  return {text, body.losses().empty() ? "" : body.losses().array(), ""};
}
// A member of what goes out for a request with one message of the user's.
std::string member(const std::string& name, const std::string& members) {
  return std::string(
      json::find(sent(R"(,"messages":[{"role":"user","content":"x"}])" + members).body, name));
}
std::string dropped(const std::string& members) {
  return sent(R"(,"messages":[{"role":"user","content":"x"}])" + members).dropped;
}
std::string messages(const std::string& list) {
  return std::string(json::find(sent(R"(,"messages":)" + list).body, "messages"));
}

struct Ran {
  Recorder recorder;
  swy::Next last;
};

void run(Ran& ran, const std::string& task, const std::string& body, std::uint32_t flags,
         const std::vector<std::string>& events, unsigned status = 200) {
  const FakeRequest request(task, "m", body, flags);
  swy::Out out = ran.recorder.out();
  cohere::Operation operation(request.get(), 7);
  ran.last = operation.step(FakeEvent(SWY_EV_START).get(), out);
  for (const std::string& data : events) {
    if (ran.last.act == SWY_ACT_SEND) {
      ran.last = operation.step(FakeEvent(SWY_EV_HEAD).status(status).get(), out);
    }
    if (ran.last.act != SWY_ACT_FEED) return;
    ran.last = operation.step(FakeEvent(SWY_EV_DATA, data).get(), out);
  }
  if (ran.last.act == SWY_ACT_FEED) ran.last = operation.step(FakeEvent(SWY_EV_END).get(), out);
}

constexpr char kChat[] = R"({"messages":[{"role":"user","content":"x"}]})";
const std::vector<std::string> kStream = {
    R"({"type":"message-start","id":"c1","delta":{"message":{"role":"assistant","content":[]}}})",
    R"({"type":"tool-plan-delta","delta":{"message":{"tool_plan":"Plan."}}})",
    R"({"type":"content-start","index":0,"delta":{"message":{"content":{"type":"thinking","thinking":""}}}})",
    R"({"type":"content-delta","index":0,"delta":{"message":{"content":{"thinking":"Hm"}}}})",
    R"({"type":"content-end","index":0})",
    R"({"type":"content-delta","index":1,"delta":{"message":{"content":{"text":"He\"y"}}}})",
    R"({"type":"tool-call-start","index":0,"delta":{"message":{"tool_calls":{"id":"t0","type":"function","function":{"name":"f","arguments":""}}}}})",
    R"({"type":"tool-call-delta","index":0,"delta":{"message":{"tool_calls":{"function":{"arguments":"{\"a\":"}}}}})",
    R"({"type":"tool-call-delta","index":0,"delta":{"message":{"tool_calls":{"function":{"arguments":"1}"}}}}})",
    R"({"type":"tool-call-end","index":0})",
    R"({"type":"tool-call-start","index":1,"delta":{"message":{"tool_calls":{"id":"t1","type":"function","function":{"name":"g","arguments":"{}"}}}}})",
    R"({"type":"tool-call-end","index":1})",
    R"({"type":"citation-start","index":0,"delta":{"message":{"citations":{}}}})",
    R"({"type":"message-end","delta":{"finish_reason":"TOOL_CALL","usage":{"billed_units":{"input_tokens":1},"tokens":{"input_tokens":12,"output_tokens":9},"cached_tokens":8}}})"};

}  // namespace

TEST_CASE("cohere: a request in Cohere's words", "[unit][cohere]") {
  CHECK(member("p", R"(,"top_p":0.5)") == "0.5");
  CHECK(member("k", R"(,"top_k":5)") == "5");
  CHECK(member("max_tokens", R"(,"max_completion_tokens":5,"max_tokens":9)") == "5");
  CHECK(member("stop_sequences", R"(,"stop":"x")") == R"(["x"])");
  CHECK(member("thinking", R"(,"reasoning_effort":"none")") == R"({"type":"disabled"})");
  CHECK(member("thinking", R"(,"reasoning_effort":"low")") ==
        R"({"type":"enabled","token_budget":2048})");
  CHECK(member("thinking", R"(,"reasoning_effort":"high")") == R"({"type":"enabled"})");
  CHECK(member("response_format",
               R"(,"response_format":{"type":"json_schema","json_schema":{"schema":{"a":1}}})") ==
        R"({"type":"json_object","json_schema":{"a":1}})");
  const std::string tools =
      R"(,"tools":[{"type":"function","function":{"name":"f","strict":true}}])";
  CHECK(
      member("tools", tools) ==
      R"([{"type":"function","function":{"name":"f","parameters":{"type":"object","properties":{}}}}])");
  CHECK(member("strict_tools", tools) == "true");
  CHECK(member("tool_choice", tools + R"(,"tool_choice":"required")") == R"("REQUIRED")");
  CHECK(member("tool_choice", R"(,"tool_choice":"none")") == R"("NONE")");
  CHECK(member("tool_choice", R"(,"tool_choice":"auto")").empty());
  CHECK(member("documents", R"(,"documents":[{"id":"d"}])") == R"([{"id":"d"}])");
}

TEST_CASE("cohere: what it does not take is told, or refused", "[unit][cohere]") {
  CHECK(member("temperature", R"(,"temperature":1.5)") == "1");
  CHECK(dropped(R"(,"temperature":1.5,"top_p":1,"presence_penalty":-1)") ==
        R"(["/temperature","/presence_penalty"])");
  CHECK(dropped(R"(,"user":"u","store":false,"top_logprobs":2)") == R"(["/user","/top_logprobs"])");
  CHECK(dropped(R"(,"stop":["1","2","3","4","5","6"])") == R"(["/stop/5"])");
  const std::string tools = R"(,"tools":[{"type":"function","function":{"name":"f"}}])";
  CHECK(dropped(tools + R"(,"tool_choice":{"type":"function","function":{"name":"f"}})") ==
        R"(["/tool_choice"])");
  CHECK(sent(R"(,"messages":[{"role":"user","content":"x"}])" + tools +
             R"(,"tool_choice":{"type":"function","function":{"name":"g"}})")
            .refusal == "tool_choice: tools has no tool of this name");
  CHECK(sent(R"(,"n":2,"messages":[{"role":"user","content":"x"}])").refusal ==
        "n: Cohere gives one answer");
  CHECK_FALSE(
      sent(R"(,"messages":[{"role":"user","content":[{"type":"input_audio"}]}])").refusal.empty());
  CHECK_FALSE(sent(R"(,"messages":1)").refusal.empty());
}

TEST_CASE("cohere: a conversation goes out with its calls, plan and results", "[unit][cohere]") {
  CHECK(
      messages(
          R"([{"role":"developer","content":"s"},{"role":"user","content":[{"type":"text","text":"u"}]},)"
          R"({"role":"assistant","content":"","reasoning_content":"Plan.","tool_calls":[{"id":"t","type":"function","function":{"name":"f","arguments":"{\"a\":1}"}}]},)"
          R"({"role":"tool","tool_call_id":"t","content":"r"}])") ==
      R"([{"role":"system","content":"s"},{"role":"user","content":[{"type":"text","text":"u"}]},)"
      R"({"role":"assistant","tool_plan":"Plan.","tool_calls":[{"id":"t","type":"function","function":{"name":"f","arguments":"{\"a\":1}"}}]},)"
      R"({"role":"tool","tool_call_id":"t","content":"r"}])");
  CHECK(
      sent(
          R"(,"messages":[{"role":"user","content":"x"},{"role":"assistant","content":"y","reasoning_content":"z"},{"role":"user","content":"x"}])")
          .dropped == R"(["/messages/1/reasoning_content"])");
}

TEST_CASE("cohere: a stream becomes chunks", "[unit][cohere]") {
  Ran ran;
  run(ran, "chat", kChat, SWY_REQ_STREAM, kStream);
  REQUIRE(ran.last.act == SWY_ACT_DONE);
  std::string text, thought, arguments;
  std::vector<std::string> names;
  for (const std::string& delta : ran.recorder.all(SWY_EMIT_DELTA)) {
    REQUIRE(json::valid(delta));
    const std::string_view part = json::find_path(delta, "choices.0.delta");
    text += json::to_text(json::find(part, "content")).value_or("");
    thought += json::to_text(json::find(part, "reasoning_content")).value_or("");
    const std::string_view call = json::find_path(part, "tool_calls.0");
    arguments += json::to_text(json::find_path(call, "function.arguments")).value_or("");
    const auto name = json::to_text(json::find_path(call, "function.name"));
    if (name) names.push_back(*name);
  }
  CHECK(text == "He\"y");
  CHECK(thought == "Plan.Hm");
  CHECK(arguments == R"({"a":1}{})");
  CHECK(names == std::vector<std::string>{"f", "g"});
  CHECK(ran.recorder.last(SWY_EMIT_FINISH) == "tool_calls");
  const std::string usage = ran.recorder.last(SWY_EMIT_USAGE);
  CHECK(json::find(usage, "prompt_tokens") == "12");
  CHECK(json::find_path(usage, "prompt_tokens_details.cached_tokens") == "8");
}

TEST_CASE("cohere: a stream that stops anywhere before its end is a fault", "[unit][cohere]") {
  for (std::size_t n = 0; n < kStream.size(); ++n) {
    Ran ran;
    run(ran, "chat", kChat, SWY_REQ_STREAM,
        {kStream.begin(), kStream.begin() + static_cast<std::ptrdiff_t>(n)});
    if (n == 0) continue;  // nothing came at all
    REQUIRE(ran.last.act == SWY_ACT_FAIL);
    REQUIRE(ran.last.error.cls == SWY_CLS_BAD_ANSWER);
  }
  for (const char* const reason : {"ERROR", "TIMEOUT", "ELSE"}) {
    Ran ran;
    run(ran, "chat", kChat, SWY_REQ_STREAM,
        {std::string(R"({"type":"message-end","delta":{"finish_reason":")") + reason + R"("}})"});
    REQUIRE(ran.last.act == SWY_ACT_FAIL);
  }
}

TEST_CASE("cohere: a whole answer becomes a completion", "[unit][cohere]") {
  Ran ran;
  run(ran, "chat", kChat, 0,
      {R"({"id":"c1","finish_reason":"MAX_TOKENS","message":{"role":"assistant","tool_plan":"P",)"
       R"("content":[{"type":"thinking","thinking":"Hm"},{"type":"text","text":"Hey"}],)"
       R"("tool_calls":[{"id":"t","type":"function","function":{"name":"f","arguments":"{}"}}]},)"
       R"("usage":{"tokens":{"input_tokens":3,"output_tokens":2}}})"});
  REQUIRE(ran.last.act == SWY_ACT_DONE);
  const std::string whole = ran.recorder.last(SWY_EMIT_WHOLE);
  CHECK(json::find(whole, "id") == R"("c1")");
  const std::string_view message = json::find_path(whole, "choices.0.message");
  CHECK(json::find(message, "content") == R"("Hey")");
  CHECK(json::find(message, "reasoning_content") == R"("PHm")");
  CHECK(json::find_path(message, "tool_calls.0.id") == R"("t")");
  CHECK(json::find_path(whole, "choices.0.finish_reason") == R"("length")");
  for (const char* const broken : {"", "{}", "[]", R"({"message":1})", R"({"message":{})"}) {
    Ran bad;
    run(bad, "chat", kChat, 0, {broken});
    CHECK(bad.last.act == SWY_ACT_FAIL);
  }
}

TEST_CASE("cohere: many texts are embedded in batches, in order", "[unit][cohere]") {
  std::string input, first = R"({"embeddings":{"float":[)", second = first;
  for (std::size_t i = 0; i <= cohere::kBatchMax; ++i) {
    input += (i == 0 ? "\"" : ",\"") + std::to_string(i) + "\"";
    if (i < cohere::kBatchMax) first += (i == 0 ? "[" : ",[") + std::to_string(i) + "]";
  }
  first += R"(]},"meta":{"billed_units":{"input_tokens":90}}})";
  second += R"([96]]},"meta":{"billed_units":{"input_tokens":7}}})";
  Ran ran;
  run(ran, "embeddings", R"({"input":[)" + input + R"(],"user":"u","input_type":"query"})", 0,
      {first, second});
  REQUIRE(ran.last.act == SWY_ACT_DONE);
  CHECK(ran.recorder.body ==
        R"({"model":"m","texts":["96"],"input_type":"search_query","embedding_types":["float"]})");
  CHECK(ran.recorder.last(SWY_EMIT_DROPPED) == R"(["/user"])");
  const std::string whole = ran.recorder.last(SWY_EMIT_WHOLE);
  REQUIRE(json::valid(whole));
  CHECK(json::find_path(whole, "data.96.embedding") == "[96]");
  CHECK(json::find_path(whole, "data.96.index") == "96");
  CHECK(json::find_path(whole, "usage.prompt_tokens") == "97");

  Ran few;
  run(few, "embeddings", R"({"input":["a","b"]})", 0, {R"({"embeddings":{"float":[[1]]}})"});
  CHECK(few.last.error.cls == SWY_CLS_BAD_ANSWER);
  Ran tokens;
  run(tokens, "embeddings", R"({"input":[1,2]})", 0, {});
  CHECK(tokens.last.error.cls == SWY_CLS_NOT_OFFERED);
}

TEST_CASE("cohere: documents are ranked, and given back where they were asked for",
          "[unit][cohere]") {
  const std::string answer =
      R"({"id":"r1","results":[{"index":1,"relevance_score":0.9},{"index":0,"relevance_score":0.1}],)"
      R"("meta":{"billed_units":{"search_units":1},"tokens":{"input_tokens":14}}})";
  Ran ran;
  run(ran, "rerank",
      R"({"query":"q","documents":["a",{"text":"b"}],"top_n":2,"return_documents":true})", 0,
      {answer});
  REQUIRE(ran.last.act == SWY_ACT_DONE);
  CHECK(ran.recorder.url == "/v2/rerank");
  CHECK(ran.recorder.body == R"({"model":"m","query":"q","top_n":2,"documents":["a","b"]})");
  CHECK(
      ran.recorder.last(SWY_EMIT_WHOLE) ==
      R"({"id":"r1","model":"m","results":[{"index":1,"relevance_score":0.9,"document":{"text":"b"}},)"
      R"({"index":0,"relevance_score":0.1,"document":{"text":"a"}}],"usage":{"prompt_tokens":14,"total_tokens":14},)"
      R"("meta":{"billed_units":{"search_units":1},"tokens":{"input_tokens":14}}})");
  Ran bad;
  run(bad, "rerank", R"({"query":"q","documents":[1]})", 0, {});
  CHECK(bad.last.error.cls == SWY_CLS_NOT_OFFERED);
  Ran broken;
  run(broken, "rerank", R"({"query":"q","documents":["a"]})", 0, {R"({"results":[{"index":-1}]})"});
  CHECK(broken.last.error.cls == SWY_CLS_BAD_ANSWER);
}

TEST_CASE("cohere: errors mean what Cohere says", "[unit][cohere]") {
  const auto cls = [](unsigned status, const std::string& message) {
    return cohere::read_refusal(status, 0, R"({"message":")" + message + R"("})").cls;
  };
  CHECK(cls(401, "no") == SWY_CLS_AUTH);
  CHECK(cls(498, "invalid token") == SWY_CLS_AUTH);
  CHECK(cls(402, "") == SWY_CLS_QUOTA);
  CHECK(cls(429, "Trial key: 1000 calls / Month") == SWY_CLS_QUOTA);
  CHECK(cls(429, "slow down") == SWY_CLS_RATE_LIMIT);
  CHECK(cls(422, "bad") == SWY_CLS_BAD_REQUEST);
  CHECK(cls(400, "too many tokens: 9") == SWY_CLS_TOO_LONG);
  CHECK(cls(404, "model") == SWY_CLS_NO_MODEL);
  CHECK(cls(503, "") == SWY_CLS_OVERLOADED);
}
