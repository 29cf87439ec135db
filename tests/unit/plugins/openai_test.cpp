#include <random>
#include <switchyard/testing.hpp>

#include "providers/openai/media.hpp"
#include "providers/openai/translate.hpp"

using namespace swy::testing;

namespace {

openai::Settings with(const std::string& dialect_json) {
  auto settings = openai::parse_settings(R"({"dialect":)" + dialect_json + "}");
  if (!settings) FAIL(settings.error().message);
  return *std::move(settings);
}

std::string sent_body(const openai::Settings& settings, const std::string& body,
                      const std::string& model = "up-1", std::uint32_t flags = SWY_REQ_NATIVE,
                      const std::string& task = "chat") {
  const FakeRequest request(task, model, body, flags);
  Recorder recorder;
  swy::Out out = recorder.out();
  openai::Operation operation(settings, request.get());
  const swy::Next next = operation.step(FakeEvent(SWY_EV_START).get(), out);
  REQUIRE(next.act == SWY_ACT_SEND);
  return recorder.body;
}

// One exchange: what went out to the client, and how it ended.
struct Ran {
  Recorder recorder;
  swy::Next last;
  std::vector<std::string> deltas() const { return recorder.all(SWY_EMIT_DELTA); }
};

void run(Ran& ran, const openai::Settings& settings, const FakeRequest& request,
         std::uint32_t status, const Headers& headers, const std::vector<std::string>& events) {
  swy::Out out = ran.recorder.out();
  openai::Operation operation(settings, request.get());
  ran.last = operation.step(FakeEvent(SWY_EV_START).get(), out);
  REQUIRE(ran.last.act == SWY_ACT_SEND);
  ran.last = operation.step(FakeEvent(SWY_EV_HEAD).status(status).headers(headers).get(), out);
  for (const std::string& data : events) {
    if (ran.last.act != SWY_ACT_FEED) return;
    ran.last = operation.step(FakeEvent(SWY_EV_DATA, data).get(), out);
  }
  if (ran.last.act == SWY_ACT_FEED) ran.last = operation.step(FakeEvent(SWY_EV_END).get(), out);
}

constexpr std::uint32_t kStream = SWY_REQ_NATIVE | SWY_REQ_STREAM;
const std::string kChat = R"({"model":"a","messages":[]})";
const std::string kChatStream = R"({"model":"a","stream":true,"messages":[]})";

void run_stream(Ran& ran, const openai::Settings& settings, const std::vector<std::string>& events,
                std::uint32_t flags = kStream) {
  const FakeRequest request("chat", "up-1", kChatStream, flags);
  run(ran, settings, request, 200, {{"content-type", "text/event-stream"}}, events);
}
void run_answer(Ran& ran, const openai::Settings& settings, unsigned status,
                const std::string& body, const Headers& headers = {},
                const std::string& task = "chat") {
  const FakeRequest request(task, "up-1", kChat);
  run(ran, settings, request, status, headers, {body});
}

std::string json_completion(const std::string& usage) {
  return std::string(swy::json::find(usage, "completion_tokens"));
}

int class_of(const openai::Settings& settings, unsigned status, const std::string& body) {
  Ran ran;
  run_answer(ran, settings, status, body);
  CHECK(ran.last.act == SWY_ACT_FAIL);
  return ran.last.error.cls;
}

}  // namespace

TEST_CASE("openai: a body passes byte for byte but for the model's name", "[unit][openai]") {
  const openai::Settings openai;
  REQUIRE(sent_body(openai, R"({"model":"a","messages":[]})") ==
          R"({"model":"up-1","messages":[]})");
  REQUIRE(sent_body(openai,
                    "{ \"x\" : [1, {\"model\":\"a\"}] ,\n\t\"model\" : \"a\" , \"y\":1e5 }\n") ==
          "{ \"x\" : [1, {\"model\":\"a\"}] ,\n\t\"model\" : \"up-1\" , \"y\":1e5 }\n");
  REQUIRE(sent_body(openai, R"({"mod\u0065l":"a"})") == R"({"mod\u0065l":"up-1"})");
  REQUIRE(sent_body(openai, R"({"model":"a"})", "a\"b\\c\n") == R"({"model":"a\"b\\c\n"})");
  REQUIRE(sent_body(openai, R"({"input":"x"})", "m", SWY_REQ_NATIVE, "embeddings") ==
          R"({"input":"x","model":"m"})");
  REQUIRE(sent_body(openai, "{}", "m") == R"({"model":"m"})");
}

TEST_CASE("openai: the pieces of a long body are views, not copies", "[unit][openai]") {
  const openai::Settings openai;
  const FakeRequest request("chat", "up",
                            R"({"a":1,"model":"x","messages":[{"role":"developer"}],"b":2})");
  const openai::UpstreamBody body(openai.dialect, request.get());
  REQUIRE(body.pieces().pieces().size() == 3);
}

TEST_CASE("openai: usage of a stream is asked for without losing what the client said",
          "[unit][openai]") {
  const openai::Settings openai;
  const auto sent = [&](const std::string& body) { return sent_body(openai, body, "u", kStream); };
  REQUIRE(sent(R"({"model":"a","stream":true})") ==
          R"({"model":"u","stream":true,"stream_options":{"include_usage":true}})");
  REQUIRE(sent(R"({"model":"a","stream_options":null,"stream":true})") ==
          R"({"model":"u","stream_options":{"include_usage":true},"stream":true})");
  REQUIRE(sent(R"({"model":"a","stream_options":{}})") ==
          R"({"model":"u","stream_options":{"include_usage":true}})");
  REQUIRE(sent(R"({"model":"a","stream_options":{"include_obfuscation":false}})") ==
          R"({"model":"u","stream_options":{"include_usage":true,"include_obfuscation":false}})");
  REQUIRE(sent(R"({"model":"a","stream_options":{ "include_usage" : false, "x":1}})") ==
          R"({"model":"u","stream_options":{ "include_usage" : true, "x":1}})");
  REQUIRE(sent(R"({"model":"a","stream_options":{"include_usage":true,"x":1}})") ==
          R"({"model":"u","stream_options":{"include_usage":true,"x":1}})");
  // Not a stream: nothing is added, the upstream may judge what the client wrote.
  REQUIRE(sent_body(openai, R"({"model":"a","stream_options":{"x":1}})", "u") ==
          R"({"model":"u","stream_options":{"x":1}})");
}

TEST_CASE("openai: a dialect renames, drops, maps and adds members", "[unit][openai]") {
  const openai::Settings settings = with(R"({"name":"x","request":{
    "rename":{"max_completion_tokens":"max_tokens"},"drop":["store","user"],
    "values":{"tool_choice":{"required":"auto"}},"maximum":{"temperature":1},
    "set_default":{"chat":{"safe":true,"max_tokens":5}}}})");
  const auto sent = [&](const std::string& body) { return sent_body(settings, body, "u"); };
  REQUIRE(sent(R"({"model":"a","max_completion_tokens": 7})") ==
          R"({"model":"u","max_tokens":7,"safe":true})");
  // The newer name wins where a client sends both.
  REQUIRE(sent(R"({"max_tokens":1,"model":"a","max_completion_tokens":7,"safe":0})") ==
          R"({"model":"u","max_tokens":7,"safe":0})");
  REQUIRE(sent(R"({"store":true,"model":"a","user":"x","max_tokens":1,"safe":0})") ==
          R"({"model":"u","max_tokens":1,"safe":0})");
  REQUIRE(sent(R"({"max_tokens":1,"safe":0,"model":"a","store":true , "user":"x" })") ==
          R"({"max_tokens":1,"safe":0,"model":"u" })");
  REQUIRE(sent(R"({"store":1,"user":2})") == R"({"model":"u","safe":true,"max_tokens":5})");
  REQUIRE(
      sent(R"({"tool_choice":"required","temperature":1.5,"model":"a","safe":0,"max_tokens":1})") ==
      R"({"tool_choice":"auto","temperature":1,"model":"u","safe":0,"max_tokens":1})");
  REQUIRE(
      sent(R"({"tool_choice":"none","temperature":0.30,"model":"a","safe":0,"max_tokens":1})") ==
      R"({"tool_choice":"none","temperature":0.30,"model":"u","safe":0,"max_tokens":1})");
}

TEST_CASE("openai: a dialect changes roles and members of messages and nothing beside them",
          "[unit][openai]") {
  const openai::Settings settings = with(
      R"({"name":"x","request":{"roles":{"developer":"system"},"message_drop":["refusal","audio"]}})");
  const auto sent = [&](const std::string& messages) {
    return sent_body(settings, R"({"messages":)" + messages + R"(,"model":"a"})", "a");
  };
  const auto expect = [](const std::string& messages) {
    return R"({"messages":)" + messages + R"(,"model":"a"})";
  };
  REQUIRE(
      sent(
          R"([ {"role": "developer","content":"developer"}, {"role":"user","content":"developer"}])") ==
      expect(
          R"([ {"role": "system","content":"developer"}, {"role":"user","content":"developer"}])"));
  REQUIRE(
      sent(
          R"([{"refusal":null,"audio":1,"role":"assistant"},{"role":"developer","audio":{},"content":""}])") ==
      expect(R"([{"role":"assistant"},{"role":"system","content":""}])"));
  REQUIRE(sent(R"([{"refusal":null}])") == expect("[{}]"));
  REQUIRE(sent(R"(["developer", 1])") == expect(R"(["developer", 1])"));
  REQUIRE(sent(R"("developer")") == expect(R"("developer")"));
}

TEST_CASE("openai: unknown members of any shape arrive unchanged and in order", "[unit][openai]") {
  std::mt19937 random(7);
  const std::vector<std::string> values = {"1",
                                           "-0.5e+3",
                                           "null",
                                           "true",
                                           "[]",
                                           "{}",
                                           R"("\u00e9\"\\")",
                                           R"([{"a":[1,2,"}"]},[]])",
                                           R"({"model":"in"})",
                                           R"("é")"};
  const openai::Settings settings =
      with(R"({"name":"x","request":{"drop":["d0","d1"],"rename":{"r0":"s0"}}})");
  const auto pick = [&](std::size_t n) { return random() % n; };
  for (int round = 0; round < 2000; ++round) {
    std::string body = "{", expected = "{";
    bool model = false;
    const auto n = pick(7);
    std::string kept;
    for (std::size_t i = 0; i < n; ++i) {
      const std::string& value = values[pick(values.size())];
      std::string name = "m" + std::to_string(i), name_out = name;
      std::string value_out = value;
      bool keep = true;
      switch (pick(6)) {
        case 0:
          if (i < 2) name = "d" + std::to_string(i), keep = false;
          break;
        case 1:
          if (i == 3) name = "r0", name_out = "s0";
          break;
        case 2:
          if (!model) name = name_out = "model", value_out = R"("u")", model = true;
          break;
        default:
          break;
      }
      if (i > 0) body += ",";
      body += "\"" + name + "\":" + value;
      if (!keep) continue;
      if (expected.size() > 1) expected += ",";
      expected += "\"" + name_out + "\":" + value_out;
    }
    if (!model) expected += expected.size() > 1 ? R"(,"model":"u")" : R"("model":"u")";
    CAPTURE(body);
    REQUIRE(sent_body(settings, body + "}", "u") == expected + "}");
  }
}

TEST_CASE("openai: the request says where it goes and carries no key", "[unit][openai]") {
  const openai::Settings settings = with(
      R"({"name":"x","auth":{"scheme":"header","name":"api-key"},"paths":{"chat":"/c","models":"/m"}})");
  const FakeRequest chat("chat", "u", kChatStream, kStream);
  Recorder recorder;
  swy::Out out = recorder.out();
  openai::Operation operation(settings, chat.get());
  REQUIRE(operation.step(FakeEvent(SWY_EV_START).get(), out).act == SWY_ACT_SEND);
  REQUIRE(recorder.method == "POST");
  REQUIRE(recorder.url == "/c");
  REQUIRE(recorder.auth == "header api-key");
  REQUIRE(recorder.framing == SWY_FRAME_SSE);

  const FakeRequest models("models", "", "");
  openai::Operation list(settings, models.get());
  REQUIRE(list.step(FakeEvent(SWY_EV_START).get(), out).act == SWY_ACT_SEND);
  REQUIRE(recorder.method == "GET");
  REQUIRE(recorder.url == "/m");

  const FakeRequest embeddings("embeddings", "u", R"({"input":"x"})");
  openai::Operation none(settings, embeddings.get());
  const swy::Next next = none.step(FakeEvent(SWY_EV_START).get(), out);
  REQUIRE(next.act == SWY_ACT_FAIL);
  REQUIRE(next.error.cls == SWY_CLS_NOT_OFFERED);
}

namespace {
const std::string kRole =
    R"({"id":"c","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":null}],"usage":null})";
const std::string kRoleShown =
    R"({"id":"c","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":null}]})";
const std::string kText =
    R"({"id":"c","choices":[{"index":0,"delta":{"content":"Hi"},"finish_reason":null}]})";
const std::string kStop = R"({"id":"c","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]})";
const std::string kUsage =
    R"({"id":"c","choices":[],"usage":{"prompt_tokens":1,"completion_tokens":2,"total_tokens":3}})";
const std::string kUsageObject = R"({"prompt_tokens":1,"completion_tokens":2,"total_tokens":3})";
}  // namespace

TEST_CASE("openai: usage is noted and hidden from a client that did not ask", "[unit][openai]") {
  Ran ran;
  run_stream(ran, {}, {kRole, kText, kStop, kUsage, "[DONE]"});
  REQUIRE(ran.last.act == SWY_ACT_DONE);
  REQUIRE(ran.deltas() == std::vector<std::string>{kRoleShown, kText, kStop});
  REQUIRE(ran.recorder.all(SWY_EMIT_USAGE) == std::vector<std::string>{kUsageObject});
  REQUIRE(ran.recorder.all(SWY_EMIT_FINISH) == std::vector<std::string>{"stop"});
  REQUIRE(ran.recorder.emits[0].flags == SWY_EMIT_NATIVE);
  REQUIRE(ran.recorder.emits[1].flags == (SWY_EMIT_NATIVE | SWY_EMIT_CONTENT));
}

TEST_CASE("openai: usage stays where the client asked for it", "[unit][openai]") {
  Ran ran;
  run_stream(ran, {}, {kRole, kText, kStop, kUsage, "[DONE]"}, kStream | SWY_REQ_WANT_USAGE);
  REQUIRE(ran.deltas() == std::vector<std::string>{kRole, kText, kStop, kUsage});
}

TEST_CASE("openai: usage in odd places reaches record and client as OpenAI sends it",
          "[unit][openai]") {
  const openai::Settings groq =
      with(R"({"name":"groq","usage_paths":["x_groq.usage","choices.0.usage"]})");
  const std::string last =
      R"({"id":"c","choices":[{"delta":{},"finish_reason":"stop"}],"x_groq":{"usage":)" +
      kUsageObject + "}}";
  Ran quiet;
  run_stream(quiet, groq, {kText, last, "[DONE]"});
  REQUIRE(quiet.recorder.last(SWY_EMIT_USAGE) == kUsageObject);
  REQUIRE(quiet.deltas() == std::vector<std::string>{kText, last});

  Ran asked;
  run_stream(asked, groq, {kRole, last, "[DONE]"}, kStream | SWY_REQ_WANT_USAGE);
  REQUIRE(
      asked.deltas().back() ==
      R"({"id":"c","object":"chat.completion.chunk","created":1,"model":"m","choices":[],"usage":)" +
          kUsageObject + "}");

  Ran in_finish;  // GLM: on the chunk with the finish reason
  run_stream(
      in_finish, {},
      {R"({"usage":)" + kUsageObject + R"(, "choices":[{"delta":{},"finish_reason":"stop"}]})"});
  REQUIRE(in_finish.last.act == SWY_ACT_DONE);
  REQUIRE(in_finish.deltas() ==
          std::vector<std::string>{R"({"choices":[{"delta":{},"finish_reason":"stop"}]})"});
  REQUIRE(in_finish.recorder.last(SWY_EMIT_USAGE) == kUsageObject);

  const std::string end = R"({"id":"c","choices":[{"delta":{},"finish_reason":"stop"}])";
  Ran once;  // some clients add up what they are told
  run_stream(once, {}, {kRole, end + R"(,"usage":)" + kUsageObject + "}", "[DONE]"},
             kStream | SWY_REQ_WANT_USAGE);
  REQUIRE(once.deltas().size() == 3);
  REQUIRE(once.deltas()[1] == end + "}");
  REQUIRE(once.deltas()[2].ends_with(R"("choices":[],"usage":)" + std::string(kUsageObject) + "}"));
}

TEST_CASE("openai: each sort of content is told from a preamble", "[unit][openai]") {
  const auto is_content = [](const std::string& delta) {
    Ran ran;
    run_stream(ran, {}, {R"({"choices":[{"delta":)" + delta + "}]}"});
    return (ran.recorder.emits.at(0).flags & SWY_EMIT_CONTENT) != 0;
  };
  REQUIRE(is_content(R"({"content":"x"})"));
  REQUIRE(is_content(R"({"content":[{"type":"thinking"}]})"));
  REQUIRE(is_content(R"({"reasoning_content":"x","content":null})"));
  REQUIRE(is_content(R"({"reasoning":"x"})"));
  REQUIRE(is_content(R"({"refusal":"x"})"));
  REQUIRE(is_content(R"({"tool_calls":[{"index":0}]})"));
  REQUIRE_FALSE(is_content(R"({"content":""})"));
  REQUIRE_FALSE(is_content(R"({"role":"assistant","tool_calls":[],"refusal":null})"));
  REQUIRE_FALSE(is_content("{}"));
  REQUIRE_FALSE(is_content("null"));

  Ran text;
  run_stream(text, {}, {R"({"choices":[{"text":"x","finish_reason":null}]})"});
  REQUIRE(text.recorder.emits.at(0).flags == (SWY_EMIT_NATIVE | SWY_EMIT_CONTENT));
}

TEST_CASE("openai: a stream that breaks off is no good end", "[unit][openai]") {
  for (const std::vector<std::string>& events :
       std::vector<std::vector<std::string>>{{}, {kRole, kText}, {"[DONE]"}}) {
    Ran ran;
    run_stream(ran, {}, events);
    REQUIRE(ran.last.act == SWY_ACT_FAIL);
    REQUIRE(ran.last.error.cls == SWY_CLS_BAD_ANSWER);
  }
  Ran no_done;
  run_stream(no_done, {}, {kText, kStop});
  REQUIRE(no_done.last.act == SWY_ACT_DONE);
}

TEST_CASE("openai: garbage in a stream is a bad answer, and nothing of it goes out",
          "[unit][openai]") {
  for (const char* garbage :
       {"", "x", "[]", "null", "{", R"({"choices":[)", R"({"choices":[{"delta":{"content":"x)",
        R"({"a":1,})", R"({"a" 1})", R"({"a":1}x)", R"({"a":tru})", "{\"a\":\"\\"}) {
    CAPTURE(garbage);
    Ran ran;
    run_stream(ran, {}, {garbage});
    REQUIRE(ran.last.act == SWY_ACT_FAIL);
    REQUIRE(ran.last.error.cls == SWY_CLS_BAD_ANSWER);
    REQUIRE(ran.deltas().empty());
  }
}

TEST_CASE("openai: an error inside a stream ends it with that error", "[unit][openai]") {
  Ran ran;
  run_stream(ran, {},
             {kText, R"({"error":{"message":"boom","type":"server_error","code":502}})", kText});
  REQUIRE(ran.last.act == SWY_ACT_FAIL);
  REQUIRE(ran.last.error.cls == SWY_CLS_SERVER);
  REQUIRE(ran.last.error.http == 502);
  REQUIRE(ran.last.error.message == "boom");
  REQUIRE(ran.deltas().size() == 1);
  REQUIRE(ran.recorder.last(SWY_EMIT_ERROR) ==
          R"({"message":"boom","type":"server_error","param":null,"code":"502"})");

  Ran text;
  run_stream(text, {}, {R"({"error":"overload","code":"x"})"});
  REQUIRE(text.last.error.message == "overload");
  Ran old;
  run_stream(old, {}, {R"({"object":"error","message":"no","code":400})"});
  REQUIRE(old.last.error.cls == SWY_CLS_BAD_REQUEST);
  Ran none;
  run_stream(none, {}, {R"({"error":null,"choices":[{"finish_reason":"stop"}]})"});
  REQUIRE(none.last.act == SWY_ACT_DONE);
}

TEST_CASE("openai: a vendor's finish reasons become OpenAI's", "[unit][openai]") {
  const openai::Settings glm = with(
      R"({"name":"glm","finish_reasons":{"sensitive":"content_filter","network_error":"error"}})");
  Ran ran;
  run_stream(ran, glm,
             {R"({"choices":[{"finish_reason": "sensitive","delta":{}}],"usage":null,"x":1})"});
  REQUIRE(ran.deltas().at(0) ==
          R"({"choices":[{"finish_reason": "content_filter","delta":{}}],"x":1})");
  REQUIRE(ran.recorder.last(SWY_EMIT_FINISH) == "content_filter");

  Ran broken;
  run_stream(broken, glm, {kText, R"({"choices":[{"finish_reason":"network_error","delta":{}}]})"});
  REQUIRE(broken.last.act == SWY_ACT_FAIL);
  REQUIRE(broken.last.error.cls == SWY_CLS_SERVER);

  Ran whole;
  run_answer(whole, glm, 200, R"({"choices":[{"finish_reason":"sensitive","message":{}}]})");
  REQUIRE(whole.recorder.last(SWY_EMIT_WHOLE) ==
          R"({"choices":[{"finish_reason":"content_filter","message":{}}]})");
}

TEST_CASE("openai: a whole answer passes untouched and its usage is noted", "[unit][openai]") {
  const std::string body =
      "\n\n{\"id\":\"c\", \"choices\":[{\"finish_reason\":\"length\"}],\"usage\":" + kUsageObject +
      ",\"new\":[1.0]}\n";
  Ran ran;
  run_answer(ran, {}, 200, body);
  REQUIRE(ran.last.act == SWY_ACT_DONE);
  REQUIRE(ran.recorder.all(SWY_EMIT_WHOLE) == std::vector<std::string>{body});
  REQUIRE(ran.recorder.last(SWY_EMIT_USAGE) == kUsageObject);
  REQUIRE(ran.recorder.last(SWY_EMIT_FINISH) == "length");

  for (const char* bad : {"", "<html>", "{}", "[]", R"({"choices":)", R"({"choices":[]} x)"}) {
    CAPTURE(bad);
    Ran broken;
    run_answer(broken, {}, 200, bad);
    REQUIRE(broken.last.act == SWY_ACT_FAIL);
    REQUIRE(broken.last.error.cls == SWY_CLS_BAD_ANSWER);
    REQUIRE(broken.recorder.all(SWY_EMIT_WHOLE).empty());
  }
}

TEST_CASE("openai: an error with status 200 is a fault", "[unit][openai]") {
  Ran ran;
  run_answer(ran, {}, 200,
             R"({"error":{"code":429,"message":"slow down, org-1","metadata":{}},"user_id":"u"})");
  REQUIRE(ran.last.act == SWY_ACT_FAIL);
  REQUIRE(ran.last.error.cls == SWY_CLS_RATE_LIMIT);
  REQUIRE(ran.recorder.last(SWY_EMIT_ERROR).find("org-1") == std::string::npos);
}

TEST_CASE("openai: faults are classed by what they mean", "[unit][openai]") {
  const openai::Settings s;
  const auto error = [](const char* type, const char* code, const char* message = "m") {
    return std::string(R"({"error":{"message":")") + message + R"(","type":)" + type +
           R"(,"param":null,"code":)" + code + "}}";
  };
  REQUIRE(class_of(s, 400, error(R"("invalid_request_error")", "null")) == SWY_CLS_BAD_REQUEST);
  REQUIRE(class_of(s, 400, error(R"("invalid_request_error")", R"("context_length_exceeded")")) ==
          SWY_CLS_TOO_LONG);
  REQUIRE(
      class_of(s, 400, error("null", "400", "This model's maximum context length is 10 tokens")) ==
      SWY_CLS_TOO_LONG);
  REQUIRE(class_of(s, 400, error("null", R"("content_policy_violation")")) == SWY_CLS_FILTERED);
  REQUIRE(class_of(s, 401, error("null", R"("invalid_api_key")")) == SWY_CLS_AUTH);
  REQUIRE(class_of(s, 403, "nope") == SWY_CLS_AUTH);
  REQUIRE(class_of(s, 403, error("null", R"("unsupported_country_region_territory")")) ==
          SWY_CLS_NO_MODEL);
  REQUIRE(class_of(s, 402, error("null", "null")) == SWY_CLS_QUOTA);
  REQUIRE(class_of(s, 404, error("null", R"("model_not_found")")) == SWY_CLS_NO_MODEL);
  REQUIRE(class_of(s, 408, "") == SWY_CLS_TIMEOUT);
  REQUIRE(class_of(s, 413, "") == SWY_CLS_TOO_LONG);
  REQUIRE(class_of(s, 422, R"({"detail":[{"loc":["body","x",1],"msg":"Extra"}]})") ==
          SWY_CLS_BAD_REQUEST);
  REQUIRE(class_of(s, 429, error(R"("requests")", R"("rate_limit_exceeded")")) ==
          SWY_CLS_RATE_LIMIT);
  REQUIRE(class_of(s, 429, error(R"("insufficient_quota")", R"("credit_balance_exhausted")")) ==
          SWY_CLS_QUOTA);
  REQUIRE(class_of(s, 429, error(R"("insufficient_quota")", "null")) == SWY_CLS_QUOTA);
  REQUIRE(class_of(s, 498, "{}") == SWY_CLS_OVERLOADED);
  REQUIRE(class_of(s, 500, "<html>") == SWY_CLS_SERVER);
  REQUIRE(class_of(s, 501, "{}") == SWY_CLS_NOT_OFFERED);
  REQUIRE(class_of(s, 502, "") == SWY_CLS_SERVER);
  REQUIRE(class_of(s, 503, error("null", R"("server_is_overloaded")")) == SWY_CLS_OVERLOADED);
  REQUIRE(class_of(s, 504, "<html>") == SWY_CLS_TIMEOUT);
  REQUIRE(
      class_of(s, 529, R"({"type":"error","error":{"type":"overloaded_error","message":"x"}})") ==
      SWY_CLS_OVERLOADED);
  REQUIRE(class_of(s, 302, "") == SWY_CLS_BAD_ANSWER);
}

TEST_CASE("openai: a client sees what is wrong with its request, in any form of error",
          "[unit][openai]") {
  const auto shown = [](unsigned status, const std::string& body) {
    Ran ran;
    run_answer(ran, {}, status, body);
    return ran.recorder.last(SWY_EMIT_ERROR);
  };
  REQUIRE(
      shown(
          400,
          R"({"error":{"message":"bad \"x\"","type":"invalid_request_error","param":"x","code":"unsupported_parameter"}})") ==
      R"({"message":"bad \"x\"","type":"invalid_request_error","param":"x","code":"unsupported_parameter"})");
  REQUIRE(
      shown(400, R"({"code":"invalid-argument","error":"no such thing"})") ==
      R"({"message":"no such thing","type":"invalid_request_error","param":null,"code":"invalid-argument"})");
  REQUIRE(
      shown(
          400,
          R"({"object":"error","message":"old","type":"BadRequestError","param":null,"code":400})") ==
      R"({"message":"old","type":"BadRequestError","param":null,"code":"400"})");
  REQUIRE(
      shown(
          422,
          R"({"detail":[{"loc":["body","messages",1,"refusal"],"msg":"Extra inputs are not permitted","type":"extra_forbidden"}]})") ==
      R"J({"message":"Extra inputs are not permitted (body.messages.1.refusal)","type":"invalid_request_error","param":"body.messages.1.refusal","code":null})J");
  REQUIRE(shown(422, R"({"detail":"no"})") ==
          R"({"message":"no","type":"invalid_request_error","param":null,"code":null})");
  REQUIRE(shown(400, R"([{"error":{"code":400,"message":"bad","status":"INVALID_ARGUMENT"}}])") ==
          R"({"message":"bad","type":"INVALID_ARGUMENT","param":null,"code":"400"})");
  REQUIRE(shown(400, "line too long\n") ==
          R"({"message":"line too long","type":"invalid_request_error","param":null,"code":null})");
  REQUIRE(
      shown(502, "<html><body>Bad Gateway</body></html>") ==
      R"({"message":"the upstream answered HTTP 502 without a readable error","type":"server_error","param":null,"code":null})");
  REQUIRE(
      shown(404, R"({"error":{"message":"model 'x' not found"}})") ==
      R"({"message":"model 'x' not found","type":"invalid_request_error","param":null,"code":"model_not_found"})");
}

TEST_CASE("openai: nothing of the credential reaches client or record", "[unit][openai]") {
  Ran ran;
  run_answer(
      ran, {}, 401,
      R"({"error":{"message":"Incorrect API key provided: sk-abc***xyz","type":"invalid_request_error","code":"invalid_api_key"}})");
  REQUIRE(ran.last.error.cls == SWY_CLS_AUTH);
  REQUIRE(ran.last.error.message.find("sk-") == std::string::npos);
  REQUIRE(ran.recorder.last(SWY_EMIT_ERROR).find("sk-") == std::string::npos);

  Ran grok;  // a wrong key may be a 400
  run_answer(grok, {}, 400, R"({"code":"x","error":"Incorrect API key provided: xai-123"})");
  REQUIRE(grok.last.error.cls == SWY_CLS_AUTH);
  REQUIRE(grok.recorder.last(SWY_EMIT_ERROR).find("xai-") == std::string::npos);
}

TEST_CASE("openai: the wait an upstream asks for is read in every form", "[unit][openai]") {
  const auto wait = [](const Headers& headers) {
    Ran ran;
    run_answer(ran, {}, 429, "{}", headers);
    return ran.last.error.retry_after_ms;
  };
  REQUIRE(wait({}) == 0);
  REQUIRE(wait({{"retry-after", "2"}}) == 2000);
  REQUIRE(wait({{"retry-after", "0.5"}}) == 500);
  REQUIRE(wait({{"retry-after", "20"}, {"retry-after-ms", "1500"}}) == 1500);
  REQUIRE(wait({{"retry-after", "-5"}}) == 0);
  REQUIRE(wait({{"retry-after", "soon"}}) == 0);
  REQUIRE(wait({{"retry-after", "99999999999999999999999"}}) == 3600000);
  REQUIRE(wait({{"date", "Sun, 06 Nov 1994 08:49:37 GMT"},
                {"retry-after", "Sun, 06 Nov 1994 08:50:07 GMT"}}) == 30000);
  REQUIRE(wait({{"date", "Sun, 06 Nov 1994 08:49:37 GMT"},
                {"retry-after", "Sun, 06 Nov 1994 08:00:00 GMT"}}) == 0);
  REQUIRE(wait({{"retry-after", "Sun, 06 Nov 1994 08:50:07 GMT"}}) == 0);
  for (const char* const obsolete :
       {"Sunday, 06-Nov-94 08:50:07 GMT", "Sun Nov  6 08:50:07 1994", "Sun Nov 06 08:50:07 1994"}) {
    REQUIRE(wait({{"date", "Sun, 06 Nov 1994 08:49:37 GMT"}, {"retry-after", obsolete}}) == 30000);
  }
  REQUIRE(wait({{"date", "Sunday, 22-Nov-26 08:49:37 GMT"},
                {"retry-after", "Sun, 22 Nov 2026 08:49:38 GMT"}}) == 1000);
  for (const char* const broken :
       {"Sun, 06-Nov-94", "Sun Nov  6 08:50:07 19", ",", "Sunday, 06-Nvo-94 08:50:07 GMT"}) {
    REQUIRE(wait({{"date", "Sun, 06 Nov 1994 08:49:37 GMT"}, {"retry-after", broken}}) == 0);
  }

  Ran google;
  run_answer(
      google, {}, 429,
      R"([{"error":{"code":429,"status":"RESOURCE_EXHAUSTED","message":"q","details":[{"@type":"x"},{"retryDelay":"37s"}]}}])");
  REQUIRE(google.last.error.retry_after_ms == 37000);
}

TEST_CASE("openai: limits are learned from headers", "[unit][openai]") {
  Ran ran;
  run_answer(ran, {}, 200, R"({"choices":[]})",
             {{"x-ratelimit-limit-requests", "60"},
              {"x-ratelimit-remaining-requests", "59"},
              {"x-ratelimit-limit-tokens", "-1"},
              {"x-ratelimit-remaining-tokens", "149984"},
              {"x-ratelimit-reset-requests", "1s"},
              {"x-ratelimit-reset-tokens", "6m0s"}});
  REQUIRE(ran.recorder.last(SWY_EMIT_LIMITS) ==
          R"({"rpm":60,"remaining_requests":59,"remaining_tokens":149984,"reset_ms":360000})");
  // The later of both, whichever comes first, in each unit.
  const auto reset = [](const char* requests, const char* tokens) {
    Ran said;
    run_answer(said, {}, 200, R"({"choices":[]})",
               {{"x-ratelimit-reset-tokens", tokens}, {"x-ratelimit-reset-requests", requests}});
    return said.recorder.last(SWY_EMIT_LIMITS);
  };
  CHECK(reset("1s", "6m0s") == R"({"reset_ms":360000})");
  CHECK(reset("1h2m", "120ms") == R"({"reset_ms":3720000})");
  CHECK(reset("7.66s", "59") == R"({"reset_ms":59000})");
  CHECK(reset("1d", "soon") == R"({"reset_ms":86400000})");
  Ran none;
  run_answer(none, {}, 200, R"({"choices":[]})", {{"content-type", "application/json"}});
  REQUIRE(none.recorder.all(SWY_EMIT_LIMITS).empty());
}

TEST_CASE("openai: tool calls without an index get one, each its own", "[unit][openai]") {
  const auto call = [](const std::string& members) {
    return R"({"choices":[{"delta":{"tool_calls":[)" + members + "]}}]}";
  };
  Ran ran;
  run_stream(
      ran, {},
      {call(R"({"id":"a","function":{}},{"id":"b"})"), call(R"({"function":{"arguments":"x"}})"),
       call(R"({"id":"c"})"), call(R"({"index":3,"id":"d"})")});
  REQUIRE(ran.deltas() ==
          std::vector<std::string>{
              call(R"({"index":0,"type":"function","id":"a","function":{}},{"index":1,"id":"b"})"),
              call(R"({"index":1,"function":{"arguments":"x"}})"), call(R"({"index":2,"id":"c"})"),
              call(R"({"index":3,"id":"d"})")});
  for (const Recorder::Emit& emit : ran.recorder.emits) {
    REQUIRE(emit.flags == (SWY_EMIT_NATIVE | SWY_EMIT_CONTENT));
  }
  Ran empty;
  run_stream(empty, {}, {call("{}")});
  REQUIRE(empty.deltas() == std::vector<std::string>{call(R"({"index":0})")});
  Ran whole;
  const std::string body = R"({"choices":[{"message":{"tool_calls":[{"id":"a"}]}}]})";
  run_answer(whole, {}, 200, body);
  REQUIRE(whole.recorder.last(SWY_EMIT_WHOLE) == body);
}

TEST_CASE("openai: stop after tool calls is put right only where the dialect says so",
          "[unit][openai]") {
  const std::string call = R"({"choices":[{"delta":{"tool_calls":[{"index":0,"id":"a"}]}}]})";
  const std::string both =
      R"({"choices":[{"finish_reason":"stop","delta":{"tool_calls":[{"id":"a"}]}}]})";
  const openai::Settings fixing = with(R"({"name":"x","finish_tool_calls":true})");
  Ran plain;
  run_stream(plain, {}, {call, kStop});
  REQUIRE(plain.recorder.last(SWY_EMIT_FINISH) == "stop");
  REQUIRE(plain.deltas().back() == kStop);

  Ran fixed;
  run_stream(fixed, fixing, {call, kStop});
  REQUIRE(fixed.recorder.last(SWY_EMIT_FINISH) == "tool_calls");
  REQUIRE(fixed.deltas().back() ==
          R"({"id":"c","choices":[{"index":0,"delta":{},"finish_reason":"tool_calls"}]})");
  Ran one;
  run_stream(one, fixing, {both});
  REQUIRE(
      one.deltas().back() ==
      R"({"choices":[{"finish_reason":"tool_calls","delta":{"tool_calls":[{"index":0,"id":"a"}]}}]})");
  Ran text;
  run_stream(text, fixing, {kText, kStop});
  REQUIRE(text.recorder.last(SWY_EMIT_FINISH) == "stop");
}

TEST_CASE("openai: the record gets usage in OpenAI's terms", "[unit][openai]") {
  const auto canonical = [](const std::string& dialect, const std::string& usage) {
    return openai::canonical_usage(with(dialect).dialect, usage);
  };
  REQUIRE(canonical(R"({"name":"x"})", R"({"prompt_tokens" : 1})") == R"({"prompt_tokens" : 1})");
  const std::string moonshot = R"({"name":"x","usage_cached_path":"cached_tokens"})";
  REQUIRE(
      canonical(moonshot, R"({"prompt_tokens":9,"completion_tokens":1,"cached_tokens":4})") ==
      R"({"prompt_tokens":9,"completion_tokens":1,"prompt_tokens_details":{"cached_tokens":4},"completion_tokens_details":{}})");
  const std::string grok = R"({"name":"x","usage_reasoning_beside":true})";
  REQUIRE(
      json_completion(canonical(
          grok,
          R"({"prompt_tokens":30,"completion_tokens":9,"total_tokens":339,"completion_tokens_details":{"reasoning_tokens":300}})")) ==
      "309");
  REQUIRE(
      json_completion(canonical(
          grok,
          R"({"prompt_tokens":30,"completion_tokens":309,"total_tokens":339,"completion_tokens_details":{"reasoning_tokens":300}})")) ==
      "309");
}

TEST_CASE("openai: what decides the price reaches the record from each dialect's place",
          "[unit][openai]") {
  const auto canonical = [](const std::string& dialect, const std::string& usage) {
    return openai::canonical_usage(with(dialect).dialect, usage);
  };
  CHECK(
      canonical(
          R"({"name":"x","usage_cache_write_path":"prompt_tokens_details.cache_creation_input_tokens"})",
          R"({"prompt_tokens":90,"completion_tokens":9,"prompt_tokens_details":{"cached_tokens":4,)"
          R"("cache_creation_input_tokens":50,"audio_tokens":3,"image_tokens":2},)"
          R"("completion_tokens_details":{"audio_tokens":1,"image_tokens":7}})") ==
      R"({"prompt_tokens":90,"completion_tokens":9,"prompt_tokens_details":{"cached_tokens":4,)"
      R"("cache_write_tokens":50,"audio_tokens":3,"image_tokens":2},)"
      R"("completion_tokens_details":{"audio_tokens":1,"image_tokens":7}})");

  CHECK(canonical(R"({"name":"x","usage_cached_path":"num_cached_tokens"})",
                  R"({"prompt_tokens":9,"prompt_audio_seconds":12})") ==
        R"({"prompt_tokens":9,"prompt_tokens_details":{},"completion_tokens_details":{},)"
        R"("seconds":12})");

  const std::string grok = R"({"name":"x","usage_reasoning_beside":true})";
  for (const char* name : {"num_server_side_tools_used", "num_sources_used"}) {
    const std::string usage = R"({"prompt_tokens":9,")" + std::string(name) + "\":";
    CHECK(swy::json::find(canonical(grok, usage + "3}"), "searches") == "3");
    CHECK(swy::json::find(canonical(grok, usage + "0}"), "searches").empty());
  }

  // The tier stands beside usage, and is the host's to know; the client's bytes stay as they are.
  Ran ran;
  const std::string tiered =
      R"({"id":"c","choices":[],"service_tier":"flex","usage":{"prompt_tokens":1,"completion_tokens":2}})";
  run_stream(ran, {}, {kRole, kText, kStop, tiered, "[DONE]"}, kStream | SWY_REQ_WANT_USAGE);
  CHECK(ran.recorder.last(SWY_EMIT_USAGE) ==
        R"({"service_tier":"flex","prompt_tokens":1,"completion_tokens":2})");
  CHECK(ran.deltas().back() == tiered);
  Ran empty;
  run_stream(empty, {}, {R"({"choices":[],"service_tier":"flex","usage":{ }})"});
  CHECK(empty.recorder.last(SWY_EMIT_USAGE) == R"({"service_tier":"flex" })");
}

TEST_CASE("openai: pictures, sound and speech are counted in what they are sold by",
          "[unit][openai]") {
  const auto usage_of = [](const std::string& task, const std::string& body,
                           const std::string& answer) {
    const openai::Settings openai;
    const FakeRequest request(task, "up", body);
    openai::MediaOperation operation(openai, request.get());
    Ran ran;
    swy::Out out = ran.recorder.out();
    operation.step(FakeEvent(SWY_EV_START).get(), out);
    const bool in_events = answer.starts_with("data: ");
    FakeEvent head(SWY_EV_HEAD);
    head.status(200).headers(
        {{"content-type", in_events ? "text/event-stream" : "application/json"}});
    operation.step(head.get(), out);
    ran.last = operation.step(FakeEvent(SWY_EV_DATA, answer).get(), out);
    if (ran.last.act == SWY_ACT_FEED) ran.last = operation.step(FakeEvent(SWY_EV_END).get(), out);
    CHECK(ran.last.act == SWY_ACT_DONE);
    return ran.recorder.last(SWY_EMIT_USAGE);
  };
  const std::string draw = R"({"prompt":"a cat"})";
  CHECK(usage_of("images.generations", draw,
                 R"({"data":[{"url":"u"},{"url":"v"},{"error":{"message":"no"}}]})") ==
        R"({"images":2})");
  CHECK(usage_of("images.generations", draw,
                 R"({"data":[{"error":{"message":"no"}}],"usage":{"generated_images":0,)"
                 R"("output_tokens":0}})") ==
        R"({"completion_tokens":0,"completion_tokens_details":{"image_tokens":0},"images":0})");
  CHECK(usage_of("images.generations", R"({"prompt":"a cat","stream":true})",
                 "data: {\"type\":\"image_generation.partial_failed\"}\n\n"
                 "data: {\"type\":\"image_generation.completed\",\"usage\":"
                 "{\"generated_images\":0,\"output_tokens\":0}}\n\n") ==
        R"({"completion_tokens":0,"completion_tokens_details":{"image_tokens":0},"images":0})");
  // Both where tokens are counted; those are the picture's, unless it says of how many.
  CHECK(usage_of("images.generations", draw,
                 R"({"data":[{"b64_json":""}],"usage":{"input_tokens":60,"output_tokens":4160,)"
                 R"("input_tokens_details":{"text_tokens":10,"image_tokens":50}}})") ==
        R"({"prompt_tokens":60,"completion_tokens":4160,)"
        R"("prompt_tokens_details":{"image_tokens":50},)"
        R"("completion_tokens_details":{"image_tokens":4160},"images":1})");
  CHECK(usage_of("images.generations", draw,
                 R"({"data":[{"b64_json":""}],"usage":{"input_tokens":10,"output_tokens":4200,)"
                 R"("output_tokens_details":{"text_tokens":40,"image_tokens":4160}}})") ==
        R"({"prompt_tokens":10,"completion_tokens":4200,)"
        R"("completion_tokens_details":{"image_tokens":4160},"images":1})");
  CHECK(usage_of("audio.transcriptions", R"({"file":"x"})",
                 R"({"text":"hi","usage":{"type":"duration","seconds":12.5}})") ==
        R"({"seconds":12.5})");
  CHECK(usage_of("audio.transcriptions", R"({"file":"x","response_format":"verbose_json"})",
                 R"({"task":"transcribe","duration":8.47,"text":"hi"})") == R"({"seconds":8.47})");
  CHECK(usage_of("audio.transcriptions", R"({"file":"x"})",
                 R"({"duration":8.47,"usage":{"input_tokens":5,"output_tokens":2}})") ==
        R"({"prompt_tokens":5,"completion_tokens":2})");
  // Speech in events tells of its sound at its end, wherever it is cut; what it says is no report.
  const std::string events = "data: {\"type\":\"speech.audio.delta\",\"audio\":\"" +
                             std::string(9000, 'A') +
                             "\",\"x\":\"\\\"usage\\\":{\\\"output_tokens\\\":9}\"}\n\n"
                             "data: {\"type\":\"speech.audio.done\",\"usage\":{\"input_tokens\":14,"
                             "\"output_tokens\":101,\"total_tokens\":115}}\n\n";
  CHECK(usage_of("audio.speech", R"({"input":"hi","stream_format":"sse"})", events) ==
        R"({"prompt_tokens":14,"completion_tokens":101,)"
        R"("completion_tokens_details":{"audio_tokens":101},"characters":2})");
  // Characters, not bytes.
  CHECK(usage_of("audio.speech", R"({"input":"h\u00e9 \u4f60!"})", "sound") ==
        R"({"characters":5})");
}
