#include <catch2/catch.hpp>
#include <switchyard/testing.hpp>

#include "providers/openai/realtime.hpp"

using namespace swy::testing;

namespace {

const openai::Settings kOwn;

// A session that has got as far as its 101.
struct Session {
  explicit Session(std::string query = R"({"model":"m"})")
      : request("realtime", "gpt-realtime", std::move(query), SWY_REQ_NATIVE | SWY_REQ_STREAM),
        operation(kOwn, request.get()) {
    REQUIRE(step(FakeEvent(SWY_EV_START)).act == SWY_ACT_SEND);
    REQUIRE(step(FakeEvent(SWY_EV_HEAD).status(101)).act == SWY_ACT_FEED);
  }
  swy::Next step(const FakeEvent& event) { return operation.step(event.get(), out); }
  swy::Next closed(const std::string& side, unsigned code, const std::string& reason = "") {
    return step(FakeEvent(SWY_EV_CLOSED, reason, side).status(code));
  }

  FakeRequest request;
  Recorder recorder;
  swy::Out out = recorder.out();
  openai::RealtimeOperation operation;
};

std::string response_done(const std::string& usage) {
  return R"({"type":"response.done","event_id":"e","response":{"id":"r","usage":)" + usage + "}}";
}

}  // namespace

TEST_CASE("openai: a realtime session is asked for with the upstream's model", "[unit][openai]") {
  const Session plain;
  CHECK(plain.recorder.method == "GET");
  CHECK(plain.recorder.url == "/realtime?model=gpt-realtime");
  CHECK(plain.recorder.framing == SWY_FRAME_WEBSOCKET);
  CHECK(plain.recorder.auth == "bearer ");
  CHECK(plain.recorder.body.empty());
  const Session more(R"({"intent":"a&b c","model":"m","é":"=/?"})");
  CHECK(more.recorder.url == "/realtime?model=gpt-realtime&intent=a%26b%20c&%C3%A9=%3D%2F%3F");
}

TEST_CASE("openai: a dialect without a path for it offers no realtime", "[unit][openai]") {
  const auto settings = openai::parse_settings(R"({"dialect":{"name":"x","paths":{"chat":"/c"}}})");
  REQUIRE(settings);
  const FakeRequest request("realtime", "m", R"({"model":"m"})");
  Recorder recorder;
  swy::Out out = recorder.out();
  openai::RealtimeOperation operation(*settings, request.get());
  const swy::Next next = operation.step(FakeEvent(SWY_EV_START).get(), out);
  CHECK(next.act == SWY_ACT_FAIL);
  CHECK(next.error.cls == SWY_CLS_NOT_OFFERED);
}

TEST_CASE("openai: messages pass byte for byte, text as text", "[unit][openai]") {
  Session session;
  const std::string odd = "{ \"type\" : 1.0e0,\n broken";
  CHECK(session.step(FakeEvent(SWY_EV_DOWN_MSG, odd, "text")).act == SWY_ACT_FEED);
  CHECK(session.step(FakeEvent(SWY_EV_UP_MSG, odd, "text")).act == SWY_ACT_FEED);
  CHECK(session.step(FakeEvent(SWY_EV_UP_MSG, "\x01\x02", "binary")).act == SWY_ACT_FEED);
  CHECK(session.step(FakeEvent(SWY_EV_DOWN_MSG, "", "binary")).act == SWY_ACT_FEED);
  const auto& sent = session.recorder.messages;
  REQUIRE(sent.size() == 4);
  CHECK((!sent[0].to_client && sent[0].opcode == 1 && sent[0].data == odd));
  CHECK((sent[1].to_client && sent[1].opcode == 1 && sent[1].data == odd));
  CHECK((sent[2].to_client && sent[2].opcode == 2 && sent[2].data == "\x01\x02"));
  CHECK((!sent[3].to_client && sent[3].opcode == 2 && sent[3].data.empty()));
  CHECK(session.recorder.emits.empty());
}

TEST_CASE("openai: usage is the sum of a session's responses", "[unit][openai]") {
  Session session;
  const auto usage_after = [&](const std::string& message) {
    session.step(FakeEvent(SWY_EV_UP_MSG, message, "text"));
    return session.recorder.last(SWY_EMIT_USAGE);
  };
  const std::string first =
      R"({"prompt_tokens":10,"completion_tokens":3,"total_tokens":13,"prompt_tokens_details":)"
      R"({"cached_tokens":4,"audio_tokens":2},"completion_tokens_details":{"audio_tokens":1}})";
  CHECK(usage_after(response_done(
            R"({"input_tokens":10,"output_tokens":3,"input_token_details":{"cached_tokens":4,)"
            R"("audio_tokens":2},"output_token_details":{"audio_tokens":1}})")) == first);
  // What is not a whole report of a response changes nothing.
  for (const std::string other :
       {R"({"type":"response.created","response":{"usage":{"input_tokens":5}}})",
        R"({"response":{"usage":{"input_tokens":5}}})", R"({"type":"response.done"})",
        R"({"type":"response.done","response":{"usage":null}})", "response.done", ""}) {
    CHECK(usage_after(other) == first);
  }
  CHECK(usage_after(response_done(R"({"input_tokens":-1,"output_tokens":"2"})")) == first);
  CHECK(swy::json::find(usage_after(response_done(R"({"output_tokens":7,"input_tokens":1})")),
                        "total_tokens") == "21");
  // A client can't report any.
  session.step(FakeEvent(SWY_EV_DOWN_MSG, response_done(R"({"input_tokens":10})"), "text"));
  CHECK(swy::json::find(session.recorder.last(SWY_EMIT_USAGE), "total_tokens") == "21");
}

TEST_CASE("openai: who closes a session is repeated to the other side", "[unit][openai]") {
  struct Row {
    std::string side;
    unsigned code;
    std::string reason;
    bool to_client;
    std::string sent;
  };
  const Row rows[] = {
      {"client", 1000, "bye", false,
       "\x03\xe8"
       "bye"},
      {"client", 1005, "", false, ""},
      {"client", 1006, "", false, "\x03\xe9"},
      {"upstream", 4001, "enough", true,
       "\x0f\xa1"
       "enough"},
      {"upstream", 1005, "", true, ""},
  };
  for (const Row& row : rows) {
    CAPTURE(row.side, row.code);
    Session session;
    CHECK(session.closed(row.side, row.code, row.reason).act == SWY_ACT_DONE);
    REQUIRE(session.recorder.messages.size() == 1);
    const auto& close = session.recorder.messages[0];
    CHECK((close.opcode == 8 && close.to_client == row.to_client && close.data == row.sent));
  }
  Session session;
  const swy::Next next = session.closed("upstream", 1006);
  CHECK((next.act == SWY_ACT_FAIL && next.error.cls == SWY_CLS_SERVER));
  CHECK(session.recorder.messages.empty());
}

TEST_CASE("openai: a session that is refused fails as any request does", "[unit][openai]") {
  const FakeRequest request("realtime", "m", R"({"model":"m"})");
  const auto refused = [&](unsigned status, const Headers& headers, const std::string& body) {
    Recorder recorder;
    swy::Out out = recorder.out();
    openai::RealtimeOperation operation(kOwn, request.get());
    operation.step(FakeEvent(SWY_EV_START).get(), out);
    operation.step(FakeEvent(SWY_EV_HEAD).status(status).headers(headers).get(), out);
    return operation.step(FakeEvent(SWY_EV_DATA, body).get(), out);
  };
  const swy::Next busy = refused(429, {{"retry-after", "2"}}, R"({"error":{"message":"slow"}})");
  CHECK((busy.act == SWY_ACT_FAIL && busy.error.cls == SWY_CLS_RATE_LIMIT));
  CHECK(busy.error.retry_after_ms == 2000);
  CHECK(refused(401, {}, R"({"error":{"message":"key"}})").error.cls == SWY_CLS_AUTH);
  CHECK(refused(200, {}, "{}").error.cls == SWY_CLS_BAD_ANSWER);
}
