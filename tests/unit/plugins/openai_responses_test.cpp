#include "providers/openai/responses.hpp"
#include "vendor_wire.hpp"

using namespace vendor_wire;
namespace json = swy::json;

namespace {

const std::string kAsked = R"({ "input" : "x" , "model":"alias", "own":1.0 })";

struct Exchange {
  explicit Exchange(std::uint32_t flags, const std::string& body = kAsked,
                    const std::string& task = "chat", const std::string& config = "{}")
      : request(task, "up-1", body, SWY_REQ_NATIVE | flags),
        settings(*openai::parse_settings(config)),
        operation(settings, request.get()) {}

  int fault() const { return ran.last.act == SWY_ACT_FAIL ? ran.last.error.cls : 0; }
  std::string usage() const { return ran.recorder.last(SWY_EMIT_USAGE); }
  std::string finish() const { return ran.recorder.last(SWY_EMIT_FINISH); }

  FakeRequest request;
  openai::Settings settings;
  openai::ResponsesOperation operation;
  Ran ran;
};

struct Answered : Exchange {
  explicit Answered(const std::string& body, unsigned status = 200, const Headers& headers = {},
                    const std::string& task = "chat")
      : Exchange(0, kAsked, task) {
    whole(operation, ran, status, body, headers);
  }
};

struct Streamed : Exchange {
  explicit Streamed(const std::vector<std::string_view>& slices) : Exchange(SWY_REQ_STREAM) {
    stream(operation, ran, slices);
  }
};

std::string response(const std::string& members) {
  return R"({"id":"resp_1", "status":"completed","output":[],)" + members + "}";
}
std::string event(const std::string& type, const std::string& members = "") {
  return "event: " + type + "\ndata: {\"type\":\"" + type + "\"" + members + "}\n\n";
}
std::string ended(const std::string& type, const std::string& members) {
  return event(type, R"(,"response":{"status":")" + type.substr(9) + "\"," + members + "}");
}
const std::string kDelta = event("response.output_text.delta", R"(,"delta":"Hi", "odd":1.0)");

}  // namespace

TEST_CASE("openai responses: the request is the client's but for the model", "[unit][openai]") {
  Exchange whole(0);
  whole.request.header("openai-beta", "a").header("accept", "x").header("content-type", "y");
  (void)begin(whole.operation, whole.ran, 200, {});
  const Recorder& sent = whole.ran.recorder;
  CHECK(sent.method + " " + sent.url == "POST /responses");
  CHECK(sent.auth == "bearer ");
  CHECK(sent.framing == SWY_FRAME_WHOLE);
  CHECK(sent.body == R"({ "input" : "x" , "model":"up-1", "own":1.0 })");
  CHECK(sent.headers == Headers{{"accept", "application/json"},
                                {"openai-beta", "a"},
                                {"content-type", "application/json"}});

  Exchange streamed(SWY_REQ_STREAM);
  (void)begin(streamed.operation, streamed.ran, 200, {});
  CHECK(streamed.ran.recorder.framing == SWY_FRAME_SSE);
  CHECK(streamed.ran.recorder.headers.front().second == "text/event-stream");

  // A count is no stream, whatever else the body says.
  Exchange counted(SWY_REQ_STREAM, kAsked, "count_tokens");
  (void)begin(counted.operation, counted.ran, 200, {});
  CHECK(counted.ran.recorder.url == "/responses/input_tokens");
  CHECK(counted.ran.recorder.framing == SWY_FRAME_WHOLE);

  Exchange nameless(0, R"({"input":"x"})");
  CHECK_FALSE(begin(nameless.operation, nameless.ran, 200, {}));
  CHECK(nameless.fault() == SWY_CLS_BAD_REQUEST);

  Exchange headed(0, kAsked, "chat", R"({"settings":{"headers":{"x-team":"a"}}})");
  (void)begin(headed.operation, headed.ran, 200, {});
  CHECK(headed.ran.recorder.headers[1] == std::pair<std::string, std::string>("x-team", "a"));
}

TEST_CASE("openai responses: a whole answer is read, and passes as it is", "[unit][openai]") {
  const std::string body = response(
      R"("service_tier":"flex", "usage": {"input_tokens":11,"input_tokens_details":{"cached_tokens":4,)"
      R"("cache_write_tokens":2},"output_tokens":5,"output_tokens_details":{"reasoning_tokens":3},"total_tokens":16})");
  const Answered answered(body);
  CHECK(answered.ran.last.act == SWY_ACT_DONE);
  CHECK(answered.ran.recorder.emits.back().data == body);
  CHECK(answered.ran.recorder.emits.back().flags == SWY_EMIT_NATIVE);
  CHECK(
      answered.usage() ==
      R"({"prompt_tokens":11,"completion_tokens":5,"total_tokens":16,"prompt_tokens_details":{"cached_tokens":4,)"
      R"("cache_write_tokens":2},"completion_tokens_details":{"reasoning_tokens":3},"service_tier":"flex"})");
  CHECK(answered.finish() == "stop");
  CHECK(Answered(response(R"("usage":null)")).usage().empty());
  // What was counted is no response.
  const Answered counted(R"({"input_tokens":7})", 200, {}, "count_tokens");
  CHECK(counted.ran.last.act == SWY_ACT_DONE);
  CHECK(counted.finish().empty());
}

TEST_CASE("openai responses: why an answer ended", "[unit][openai]") {
  const auto finish = [](const std::string& members) {
    return Answered(R"({"status":"incomplete",)" + members + "}").finish();
  };
  CHECK(finish(R"("incomplete_details":{"reason":"max_output_tokens"})") == "length");
  CHECK(finish(R"("incomplete_details":{"reason":"content_filter"})") == "content_filter");
  CHECK(finish(R"("output":[{"type":"message"},{"type":"function_call"}])") == "tool_calls");
  CHECK(finish(R"("output":[{"type":"custom_tool_call"}])") == "tool_calls");
  CHECK(finish(R"("output":[{"type":"web_search_call"}])") == "stop");
}

TEST_CASE("openai responses: a stream passes wherever it is cut", "[unit][openai]") {
  const std::string wire =
      event("response.created", R"(,"response":{"id":"resp_1"})") + kDelta +
      ended("response.completed", R"("usage":{"input_tokens":1,"output_tokens":2})");
  const Streamed expected({wire});
  CHECK(expected.ran.last.act == SWY_ACT_DONE);
  REQUIRE(expected.ran.deltas().size() == 3);
  CHECK(expected.ran.deltas()[1] ==
        R"({"type":"response.output_text.delta","delta":"Hi", "odd":1.0})");
  std::vector<std::uint32_t> flags;
  for (const auto& emit : expected.ran.recorder.emits) {
    if (emit.what == SWY_EMIT_DELTA) flags.push_back(emit.flags);
  }
  CHECK(flags == std::vector<std::uint32_t>{SWY_EMIT_NATIVE, SWY_EMIT_NATIVE | SWY_EMIT_CONTENT,
                                            SWY_EMIT_NATIVE});
  const std::string_view bytes = wire;
  for (std::size_t cut = 0; cut <= bytes.size(); ++cut) {
    CAPTURE(cut);
    const Streamed run({bytes.substr(0, cut), bytes.substr(cut)});
    REQUIRE(run.ran.deltas() == expected.ran.deltas());
    REQUIRE(run.usage() == expected.usage());
  }
  // What ends before its last event has not ended well.
  const std::size_t last = wire.rfind("data: ");
  for (std::size_t size = 0; size < last; ++size) {
    CAPTURE(size);
    REQUIRE(Streamed({bytes.substr(0, size)}).ran.last.act == SWY_ACT_FAIL);
  }
}

TEST_CASE("openai responses: an incomplete answer is one, a failed one is a fault",
          "[unit][openai]") {
  const Streamed cut({kDelta + ended("response.incomplete",
                                     R"("incomplete_details":{"reason":"max_output_tokens"})")});
  CHECK(cut.ran.last.act == SWY_ACT_DONE);
  CHECK(cut.finish() == "length");

  const Streamed failed(
      {kDelta + ended("response.failed", R"("error":{"code":"server_error","message":"down"})")});
  CHECK(failed.fault() != 0);
  CHECK(json::find(failed.ran.recorder.last(SWY_EMIT_ERROR), "message") == R"("down")");
  CHECK(failed.ran.deltas().size() == 1);

  const Streamed error(
      {event("error", R"(,"code":"rate_limit_exceeded","message":"slow","param":null)")});
  CHECK(error.fault() == SWY_CLS_RATE_LIMIT);
  CHECK(json::find(error.ran.recorder.last(SWY_EMIT_ERROR), "message") ==
        R"("the upstream's rate limit is reached")");  // its own words may name the account
  const Streamed untyped({"data: {\"error\":{\"message\":\"no\"}}\n\n"});
  CHECK(json::find(untyped.ran.recorder.last(SWY_EMIT_ERROR), "message") == R"("no")");
  CHECK(untyped.ran.deltas().empty());
}

TEST_CASE("openai responses: what is no answer is a fault", "[unit][openai]") {
  for (const char* body :
       {"", "7", "{", "[]", R"({"status":"in_progress","output":[]})", R"({"output":[]})",
        R"({"status":"completed","error":{"message":"down"}})"}) {
    CAPTURE(body);
    const Answered answered(body);
    CHECK(answered.fault() != 0);
    CHECK(answered.ran.recorder.all(SWY_EMIT_WHOLE).empty());
  }
  for (const char* data : {"data: x\n\n", "data: []\n\n", "data: [DONE]\n\n"}) {
    CAPTURE(data);
    CHECK(Streamed({data}).fault() == SWY_CLS_BAD_ANSWER);
  }
  Exchange document(SWY_REQ_STREAM);
  whole(document.operation, document.ran, 200, response(R"("usage":null)"),
        {{"content-type", "application/json; charset=utf-8"}});
  CHECK(document.fault() == SWY_CLS_BAD_ANSWER);
}

TEST_CASE("openai responses: refusals and limits are told", "[unit][openai]") {
  const Answered refused(R"({"error":{"message":"Bad 'input'.","type":"invalid_request_error"}})",
                         400);
  CHECK(refused.fault() == SWY_CLS_BAD_REQUEST);
  CHECK(refused.ran.last.error.http == 400);
  const Answered busy("{}", 429, {{"retry-after", "3"}, {"x-ratelimit-remaining-requests", "0"}});
  CHECK(busy.fault() == SWY_CLS_RATE_LIMIT);
  CHECK(busy.ran.last.error.retry_after_ms == 3000);
  CHECK_FALSE(busy.ran.recorder.all(SWY_EMIT_LIMITS).empty());
  Exchange silent(0);
  if (begin(silent.operation, silent.ran, 503, {})) {
    swy::Out out = silent.ran.recorder.out();
    silent.ran.last = silent.operation.step(FakeEvent(SWY_EV_END).get(), out);
  }
  CHECK(silent.fault() == SWY_CLS_OVERLOADED);
}
