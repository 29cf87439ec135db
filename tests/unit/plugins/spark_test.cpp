#include <catch2/catch.hpp>
#include <switchyard/testing.hpp>

#include "providers/spark/translate.hpp"

using namespace swy::testing;
namespace json = swy::json;

namespace {

constexpr std::uint64_t kNow = 1'795'176'000'000;  // 2026-11-20T12:00:00Z
constexpr char kChat[] = R"({"messages":[{"role":"user","content":"x"}]})";

struct Stage {
  explicit Stage(const std::string& body = kChat, std::uint32_t flags = SWY_REQ_STREAM,
                 const std::string& model = "generalv3.5",
                 const std::string& base = "https://spark-api.xf-yun.com")
      : request("chat", model, body, flags), drive(made(), recorder, base, kNow) {
    recorder.key = "TestApiSecret0123456789abcdef0123";
  }
  spark::Operation made() {
    request.credential("app_id", "a1").credential("api_key", "TestApiKey0123456789abcdef012345");
    return {settings, swy::Signer(host.host()), request.get(), 7};
  }
  // The answer, once it was asked for.
  const swy::Next& messages(const std::vector<std::string>& list) {
    drive.start();
    drive.head(101);
    for (const std::string& each : list) {
      if (drive.next.act == SWY_ACT_FEED) drive.step(FakeEvent(SWY_EV_UP_MSG, each, "text"));
    }
    return drive.next;
  }
  std::string asked() {
    messages({});
    REQUIRE(recorder.messages.size() == 1);
    CHECK_FALSE(recorder.messages[0].to_client);
    CHECK(recorder.messages[0].opcode == 1);
    CHECK(json::valid(recorder.messages[0].data));
    return recorder.messages[0].data;
  }

  spark::Settings settings;
  FakeHost host;
  FakeRequest request;
  Recorder recorder;
  Drive<spark::Operation> drive;
};

std::string message(int status, const std::string& text, const std::string& usage = "") {
  return R"({"header":{"code":0,"sid":"s1","status":)" + std::to_string(status) +
         R"(},"payload":{"choices":{"status":)" + std::to_string(status) + R"(,"text":[)" + text +
         "]}" + (usage.empty() ? "" : R"(,"usage":{"text":)" + usage + "}") + "}}";
}
std::string failure(const std::string& code) {
  return R"({"header":{"code":)" + code + R"(,"message":"no","sid":"s1","status":2}})";
}

TEST_CASE("spark: the upgrade is signed as the vendor describes", "[unit][spark]") {
  Stage stage;
  stage.drive.start();
  CHECK(stage.drive.signed_request);
  CHECK(stage.recorder.framing == SWY_FRAME_WEBSOCKET);
  CHECK(stage.recorder.method + stage.recorder.url == "GET/v3.5/chat");
  // Computed by the published steps apart from this code.
  const Headers expected = {
      {"authorization",
       "YXBpX2tleT0iVGVzdEFwaUtleTAxMjM0NTY3ODlhYmNkZWYwMTIzNDUiLCBhbGdvcml0aG09ImhtYWMtc2hhMjU2Iiw"
       "gaGVhZGVycz0iaG9zdCBkYXRlIHJlcXVlc3QtbGluZSIsIHNpZ25hdHVyZT0ialBjeUNPaUMvdjlSTjdYOVBoeGJmdF"
       "ZRSi9qY0NtTldzOHJSU09DL1M2dz0i"},
      {"date", "Fri, 20 Nov 2026 12:00:00 GMT"},
      {"host", "spark-api.xf-yun.com"}};
  CHECK(stage.recorder.query == expected);
}

TEST_CASE("spark: what a base URL says before the path is signed too", "[unit][spark]") {
  Stage plain, longer(kChat, 0, "generalv3.5", "https://spark-api.xf-yun.com/proxy");
  plain.drive.start();
  longer.drive.start();
  CHECK(plain.recorder.query[0] != longer.recorder.query[0]);
  CHECK(plain.recorder.query[2] == longer.recorder.query[2]);
}

TEST_CASE("spark: dates are HTTP's", "[unit][spark]") {
  CHECK(spark::http_date(0) == "Thu, 01 Jan 1970 00:00:00 GMT");
  CHECK(spark::http_date(951'782'399'999) == "Mon, 28 Feb 2000 23:59:59 GMT");
  CHECK(spark::http_date(951'782'400'000) == "Tue, 29 Feb 2000 00:00:00 GMT");
  CHECK(spark::http_date(1'798'761'599'000) == "Thu, 31 Dec 2026 23:59:59 GMT");
}

TEST_CASE("spark: nothing is asked before the upgrade stands, and once behind it",
          "[unit][spark]") {
  Stage stage;
  CHECK(stage.drive.start().act == SWY_ACT_SEND);
  CHECK(stage.recorder.messages.empty());
  stage.drive.head(101);
  stage.drive.head(101);
  CHECK(stage.recorder.messages.size() == 1);

  Stage refused;
  refused.drive.start();
  refused.drive.answer(403, R"({"message":"HMAC signature does not match"})");
  CHECK(refused.recorder.messages.empty());
  CHECK(refused.drive.next.error.cls == SWY_CLS_AUTH);
}

TEST_CASE("spark: the last count stands, none is added up", "[unit][spark]") {
  Stage stage(kChat, SWY_REQ_STREAM | SWY_REQ_WANT_USAGE);
  const swy::Next& last = stage.messages(
      {message(0, R"({"content":"a"})", R"({"prompt_tokens":5,"completion_tokens":1})"),
       message(1, R"({"content":"b"})", R"({"prompt_tokens":5,"completion_tokens":2})"),
       message(2, R"({"content":""})", R"({"prompt_tokens":5,"completion_tokens":3})")});
  CHECK(last.act == SWY_ACT_DONE);
  CHECK(stage.recorder.last(SWY_EMIT_USAGE) ==
        R"({"prompt_tokens":5,"completion_tokens":3,"total_tokens":8})");
  CHECK(stage.recorder.last(SWY_EMIT_FINISH) == "stop");
}

TEST_CASE("spark: calls have ids of their own, each time the same", "[unit][spark]") {
  const std::string call = R"({"content":"","function_call":{"name":"f","arguments":"{\"a\":1}"}})";
  for (int turn = 0; turn < 2; ++turn) {
    Stage stage(kChat, 0);
    stage.messages({message(2, call + R"(,{"function_call":{"name":"g","arguments":{"b":2}}})")});
    const std::string whole = stage.recorder.last(SWY_EMIT_WHOLE);
    const std::string_view calls =
        json::find_path(json::at(json::find(whole, "choices"), 0), "message.tool_calls");
    CHECK(
        calls ==
        R"([{"id":"call_s1","type":"function","function":{"name":"f","arguments":"{\"a\":1}"}},)"
        R"({"id":"call_s1_1","type":"function","function":{"name":"g","arguments":"{\"b\":2}"}}])");
    CHECK(stage.recorder.last(SWY_EMIT_FINISH) == "tool_calls");
  }
}

TEST_CASE("spark: an answer that is stopped by moderation ends so, one that never began is refused",
          "[unit][spark]") {
  Stage begun;
  CHECK(begun.messages({message(0, R"({"content":"a"})"), failure("10014")}).act == SWY_ACT_DONE);
  CHECK(begun.recorder.last(SWY_EMIT_FINISH) == "content_filter");

  Stage never;
  CHECK(never.messages({message(0, R"({"content":""})"), failure("\"10014\"")}).act ==
        SWY_ACT_FAIL);
  CHECK(never.drive.next.error.cls == SWY_CLS_FILTERED);

  // Any other code behind a begun answer is a fault.
  Stage broken;
  CHECK(broken.messages({message(0, R"({"content":"a"})"), failure("10012")}).act == SWY_ACT_FAIL);
  CHECK(broken.drive.next.error.cls == SWY_CLS_SERVER);
}

TEST_CASE("spark: limits by the second are short", "[unit][spark]") {
  CHECK(spark::read_refusal(200, 0, failure("11202")).retry_after_ms == 500);
  CHECK(spark::read_refusal(429, 3000, R"({"error":{"code":"11203"}})").retry_after_ms == 3000);
  CHECK(spark::read_refusal(200, 0, failure("10110")).retry_after_ms == 0);
  CHECK(spark::read_refusal(403, 0, R"({"code":11201,"message":"m"})").cls == SWY_CLS_QUOTA);
  CHECK(spark::read_refusal(200, 0, failure("99999")).cls == SWY_CLS_SERVER);
}

TEST_CASE("spark: what is no answer fails", "[unit][spark]") {
  for (const char* const garbage : {"", "x", "[]", "{}", R"({"header":{}})",
                                    R"({"header":{"code":0})", R"({"header":{"code":"zero"}})"}) {
    CAPTURE(garbage);
    Stage stage;
    CHECK(stage.messages({garbage}).act == SWY_ACT_FAIL);
    CHECK(stage.drive.next.error.cls == SWY_CLS_BAD_ANSWER);
  }
  Stage closed;
  closed.messages({message(1, R"({"content":"a"})")});
  CHECK(closed.drive.step(FakeEvent(SWY_EV_CLOSED, "", "upstream").status(1000)).act ==
        SWY_ACT_FAIL);
  CHECK(closed.drive.next.error.cls == SWY_CLS_BAD_ANSWER);
  CHECK(closed.recorder.all(SWY_EMIT_FINISH).empty());
}

TEST_CASE("spark: a conversation is texts with a role", "[unit][spark]") {
  constexpr char kBody[] =
      R"({"messages":[{"role":"system","content":"s"},{"role":"user","content":"q"},)"
      R"({"role":"assistant","content":null,"tool_calls":[{"id":"c","type":"function",)"
      R"("function":{"name":"f","arguments":"{}"}}]},)"
      R"({"role":"tool","tool_call_id":"c","content":[{"type":"text","text":"a\n"}]}]})";
  Stage newer(kBody, 0, "4.0Ultra");
  CHECK(
      json::find_path(newer.asked(), "payload.message.text") ==
      R"([{"role":"system","content":"s"},{"role":"user","content":"q"},)"
      R"({"role":"assistant","content":"{\"function_call\":{\"name\":\"f\",\"arguments\":\"{}\"}}"},)"
      R"({"role":"user","content":"{\"function\":\"f\",\"result\":\"a\\n\"}"}])");
  CHECK(newer.recorder.last(SWY_EMIT_DROPPED) ==
        R"(["/messages/2/tool_calls","/messages/3/role"])");

  Stage older(R"({"messages":[{"role":"user","content":"q"},{"role":"system","content":"s"}]})", 0,
              "lite");
  CHECK(json::find_path(older.asked(), "payload.message.text") ==
        R"([{"role":"user","content":"s\nq"}])");
  Stage alone(R"({"messages":[{"role":"system","content":"s"}]})", 0, "generalv2");
  CHECK(json::find_path(alone.asked(), "payload.message.text") ==
        R"([{"role":"user","content":"s"}])");
}

TEST_CASE("spark: settings stay within what the API takes", "[unit][spark]") {
  const auto chat = [](const std::string& members) {
    Stage stage(R"({"messages":[{"role":"user","content":"x"}])" + members + "}", 0, "lite");
    const std::string asked = stage.asked();
    return std::string(json::find_path(asked, "parameter.chat")) +
           stage.recorder.last(SWY_EMIT_DROPPED);
  };
  CHECK(chat("") == R"({"domain":"lite"})");
  CHECK(chat(R"(,"temperature":0)") == R"({"domain":"lite","temperature":0.01})");
  CHECK(chat(R"(,"temperature":1.01)") == R"({"domain":"lite","temperature":1}["/temperature"])");
  CHECK(chat(R"(,"top_k":0)") == R"({"domain":"lite","top_k":1}["/top_k"])");
  CHECK(chat(R"(,"top_k":6)") == R"({"domain":"lite","top_k":6})");
  CHECK(chat(R"(,"max_tokens":5,"max_completion_tokens":6)") ==
        R"({"domain":"lite","max_tokens":6})");
  CHECK(chat(R"(,"auditing":"default","top_p":0.5)") ==
        R"({"domain":"lite","auditing":"default"}["/top_p"])");
}

TEST_CASE("spark: a user's name goes where it is short enough", "[unit][spark]") {
  const auto header = [](const std::string& user) {
    Stage stage(R"({"messages":[{"role":"user","content":"x"}],"user":")" + user + "\"}", 0);
    return std::string(json::find(stage.asked(), "header"));
  };
  CHECK(header(std::string(32, 'u')) == R"({"app_id":"a1","uid":")" + std::string(32, 'u') + "\"}");
  CHECK(header(std::string(33, 'u')) == R"({"app_id":"a1"})");
}

TEST_CASE("spark: models and credentials that can't be asked are told", "[unit][spark]") {
  Stage unknown(kChat, 0, "spark-9");
  CHECK(unknown.drive.start().error.cls == SWY_CLS_NO_MODEL);
  const auto own = spark::parse_settings(
      R"({"settings":{"models":{"spark-9":{"path":"/v9/chat","domain":"nine"},"a":{"path":"/a"}}}})");
  REQUIRE(own);
  CHECK(own->find("spark-9")->path == "/v9/chat");
  CHECK(own->find("spark-9")->domain == "nine");
  CHECK(own->find("a")->domain == "a");
  CHECK(own->find("GENERALV3")->domain == "generalv3");
  CHECK_FALSE(own->find("spark-8"));

  const FakeRequest bare("chat", "lite", kChat, 0);
  Recorder recorder;
  const spark::Settings settings;
  Drive nobody(spark::Operation(settings, swy::Signer(), bare.get(), 7), recorder);
  CHECK(nobody.start().error.cls == SWY_CLS_AUTH);
  CHECK(nobody.next.error.message.find("app_id") != std::string::npos);
}

}  // namespace
