#include <fstream>
#include <sstream>
#include <switchyard/testing.hpp>

#include "providers/bedrock/errors.hpp"
#include "providers/bedrock/sigv4.hpp"
#include "providers/bedrock/translate.hpp"

using namespace swy::testing;
namespace json = swy::json;

namespace {

// NAME.stream: a message a line, its name and payload. NAME.emits: kind, flags and data of what the
// host is given.
std::string golden(const std::string& name) {
  const std::string path = std::string(SWITCHYARD_SOURCE_DIR "/tests/golden/bedrock/") + name;
  std::ifstream file(path, std::ios::binary);
  if (!file && !name.ends_with(".dropped.json")) FAIL("can't be read: " << path);
  std::ostringstream text;
  text << file.rdbuf();
  std::string content = text.str();
  while (!content.empty() && content.back() == '\n') content.pop_back();
  return content;
}

std::vector<std::string> lines(const std::string& text) {
  std::vector<std::string> found;
  std::istringstream in(text);
  for (std::string line; std::getline(in, line);) found.push_back(line);
  return found;
}

constexpr std::uint64_t kNow = 1'795'176'000'000;  // 2026-11-20T12:00:00Z
constexpr std::int64_t kCreated = kNow / 1000;
const std::string kBase = "https://bedrock-runtime.us-east-1.amazonaws.com";
const std::string kModel = "anthropic.claude-haiku-4-5-20251001-v1:0";
const std::string kHi = R"({"messages":[{"role":"user","content":"hi"}]})";

bedrock::Settings settings() {
  auto parsed = bedrock::parse_settings(R"({"base_url":")" + kBase + R"("})");
  if (!parsed) FAIL(parsed.error().message);
  return *std::move(parsed);
}

// One operation with a host beside it.
struct Stage {
  Stage(const std::string& body, std::uint32_t flags = 0, const std::string& model = kModel)
      : request("chat", model, body, flags),
        config(settings()),
        drive(bedrock::Operation(config, swy::Signer(host.host()), request.get(), kCreated),
              recorder, kBase, kNow) {
    recorder.key = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
    request.credential("access_key_id", "AKIDEXAMPLE");
  }

  void stream(const std::vector<std::string>& messages) {
    drive.start();
    REQUIRE(drive.next.act == SWY_ACT_SEND);
    drive.head(200, {{"x-amzn-requestid", "r-1"}});
    for (const std::string& message : messages) {
      if (drive.next.act != SWY_ACT_FEED) return;
      const std::size_t space = message.find(' ');
      drive.data(message.substr(space + 1), message.substr(0, space));
    }
    if (drive.next.act == SWY_ACT_FEED) drive.end();
  }

  FakeHost host{kNow};
  Recorder recorder;
  FakeRequest request;
  bedrock::Settings config;
  Drive<bedrock::Operation> drive;
};

std::string streamed(const std::string& name, std::uint32_t flags, const std::string& model) {
  Stage stage(kHi, SWY_REQ_STREAM | flags, model);
  stage.stream(lines(golden(name)));
  REQUIRE(stage.drive.next.act == SWY_ACT_DONE);
  std::string text;
  for (const Recorder::Emit& emit : stage.recorder.emits) {
    text += std::to_string(emit.what) + " " + std::to_string(emit.flags) + " " + emit.data + "\n";
  }
  if (!text.empty()) text.pop_back();
  return text;
}

std::string signature(std::string_view method, std::string_view url, const Headers& headers,
                      std::string_view body, bedrock::CanonicalRequest* canonical = nullptr) {
  std::vector<swy_kv> kv;
  for (const auto& [k, v] : headers) kv.push_back({swy::str(k), swy::str(v)});
  const auto made = bedrock::canonical_request(method, url, kv, sha256(body));
  if (canonical != nullptr) *canonical = made;
  const std::string text =
      "AWS4-HMAC-SHA256\n20150830T123600Z\n20150830/us-east-1/service/aws4_request\n" +
      swy::hex(sha256(made.text));
  std::string key = "AWS4wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
  for (const std::string_view step :
       {std::string_view("20150830"), std::string_view("us-east-1"), std::string_view("service"),
        std::string_view("aws4_request"), std::string_view(text)}) {
    key = hmac_sha256(key, step);
  }
  return swy::hex(key);
}

}  // namespace

TEST_CASE("bedrock: signatures are those of AWS's published test suite", "[unit][bedrock]") {
  const std::string at = "https://example.amazonaws.com";
  const Headers plain = {{"x-amz-date", "20150830T123600Z"}, {"host", "example.amazonaws.com"}};
  REQUIRE(signature("GET", at + "/", plain, "") ==
          "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31");
  REQUIRE(signature("GET", at, plain, "") == signature("GET", at + "/", plain, ""));
  REQUIRE(signature("POST", at + "/", plain, "") ==
          "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b");
  REQUIRE(signature("GET", at + "/?Param2=value2&Param1=value1", plain, "") ==
          "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500");
  REQUIRE(signature("GET", at + "/\u1234", plain, "") ==
          "8318018e0b0f223aa2bbf98705b62bb787dc9c0e678f255a891fd03141be5d85");
  REQUIRE(signature("GET", at + "/?%E1%88%B4=bar", plain, "") ==
          "2cdec8eed098649ff3a119c94853b13c643bcf08f8b0a1d91e12c9027818dd04");
  REQUIRE(signature("GET", at + "/example space/", plain, "") ==
          "652487583200325589f1fba4c7e578f72c47cb61beeca81406b39ddec1366741");

  Headers twice = plain;
  for (const char* value : {"value2", "  value2\t", "value1"})
    twice.emplace_back("my-header1", value);
  REQUIRE(signature("GET", at + "/", twice, "") ==
          "c9d5ea9f3f72853aea855b47ea873832890dbdd183b4468f858259531a5138ea");
  Headers form = plain;
  form.emplace_back("content-type", "application/x-www-form-urlencoded");
  REQUIRE(signature("POST", at + "/", form, "Param1=value1") ==
          "ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a");
}

TEST_CASE("bedrock: what is encoded on the wire is encoded once more to be signed",
          "[unit][bedrock]") {
  const Headers headers = {{"content-type", "application/json"},
                           {"host", "bedrock-runtime.us-east-1.amazonaws.com"},
                           {"x-amz-date", "20261120T120000Z"}};
  bedrock::CanonicalRequest canonical;
  signature("POST", kBase + bedrock::path_of(kModel, false), headers,
            R"({"messages":[{"role":"user","content":[{"text":"hi"}]}]})", &canonical);
  REQUIRE(canonical.text.substr(0, canonical.text.find('\n', 5)) ==
          "POST\n/model/anthropic.claude-haiku-4-5-20251001-v1%253A0/converse");
  REQUIRE(canonical.signed_headers == "content-type;host;x-amz-date");
  REQUIRE(swy::hex(sha256(canonical.text)) ==
          "e20e5b4855281eb6bf00c296124a748024c5106129d5acdc7f9cc91061508a82");
  REQUIRE(bedrock::path_of("arn:aws:bedrock:eu-west-1:1:inference-profile/x", true) ==
          "/model/arn%3Aaws%3Abedrock%3Aeu-west-1%3A1%3Ainference-profile%2Fx/converse-stream");
}

TEST_CASE("bedrock: dates of any year are written as AWS wants them", "[unit][bedrock]") {
  REQUIRE(bedrock::amz_date(kNow + 999) == "20261120T120000Z");
  REQUIRE(bedrock::amz_date(0) == "19700101T000000Z");
  REQUIRE(bedrock::amz_date(1'709'164'799'000) == "20240228T235959Z");
  REQUIRE(bedrock::amz_date(1'709'164'800'000) == "20240229T000000Z");
}

TEST_CASE("bedrock: the region is the address's", "[unit][bedrock]") {
  REQUIRE(bedrock::region_of(kBase) == "us-east-1");
  REQUIRE(bedrock::region_of("https://bedrock-runtime-fips.us-gov-west-1.amazonaws.com/x") ==
          "us-gov-west-1");
  REQUIRE(bedrock::region_of("https://bedrock-runtime.cn-north-1.amazonaws.com.cn") ==
          "cn-north-1");
  REQUIRE(bedrock::region_of("http://127.0.0.1:80") == "");
  REQUIRE(bedrock::region_of("https://vpce-1.bedrock-runtime.us-east-1.vpce.amazonaws.com") == "");
}

TEST_CASE("bedrock: a request is signed when it is sent", "[unit][bedrock]") {
  Stage stage(kHi);
  REQUIRE(stage.drive.start().act == SWY_ACT_SEND);
  REQUIRE(stage.drive.signed_request);
  REQUIRE(stage.recorder.method == "POST");
  REQUIRE(stage.recorder.url == "/model/anthropic.claude-haiku-4-5-20251001-v1%3A0/converse");
  REQUIRE(stage.recorder.framing == SWY_FRAME_WHOLE);
  REQUIRE(stage.recorder.body == R"({"messages":[{"role":"user","content":[{"text":"hi"}]}]})");
  REQUIRE(stage.recorder.header("x-amz-date") == "20261120T120000Z");
  REQUIRE(stage.recorder.header("authorization") ==
          "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20261120/us-east-1/bedrock/aws4_request, "
          "SignedHeaders=content-type;host;x-amz-date, "
          "Signature=f9bfed121916c3983d15772f2174a8341058746dcb1c6d6bc3c1b0bb9a88fdf0");
}

TEST_CASE("bedrock: a session token is sent and signed, a region may be the credential's",
          "[unit][bedrock]") {
  Stage stage(kHi, SWY_REQ_STREAM);
  stage.request.credential("session_token", "FwoGZXIvYXdzEXAMPLE")
      .credential("region", "eu-west-1");
  REQUIRE(stage.drive.start().act == SWY_ACT_SEND);
  REQUIRE(stage.recorder.framing == SWY_FRAME_AWS);
  REQUIRE(stage.recorder.header("x-amz-security-token") == "FwoGZXIvYXdzEXAMPLE");
  const std::string authorization = stage.recorder.header("authorization");
  REQUIRE(authorization.find("/20261120/eu-west-1/bedrock/aws4_request, ") != std::string::npos);
  REQUIRE(authorization.find("SignedHeaders=content-type;host;x-amz-date;x-amz-security-token,") !=
          std::string::npos);
}

TEST_CASE("bedrock: an API key is a bearer where the credential says so", "[unit][bedrock]") {
  Stage stage(kHi);
  stage.request.credential("auth", "bearer");
  // The operation reads its credential when it is made.
  Drive drive(bedrock::Operation(stage.config, swy::Signer(), stage.request.get(), 0),
              stage.recorder);
  REQUIRE(drive.start().act == SWY_ACT_SEND);
  REQUIRE(stage.recorder.auth == "bearer ");
  REQUIRE(stage.recorder.header("authorization").empty());
}

TEST_CASE("bedrock: what can't be signed is the credential's fault", "[unit][bedrock]") {
  const FakeHost host;
  const bedrock::Settings nowhere;
  for (const int missing : {0, 1, 2}) {
    CAPTURE(missing);
    FakeRequest request("chat", kModel, kHi, 0);
    if (missing != 0) request.credential("access_key_id", "AK");
    if (missing != 1) request.credential("region", "us-east-1");
    Recorder recorder;
    if (missing == 2) recorder.key.clear();
    Drive drive(bedrock::Operation(nowhere, swy::Signer(host.host()), request.get(), 0), recorder);
    REQUIRE(drive.start().act == SWY_ACT_FAIL);
    REQUIRE(drive.next.error.cls == SWY_CLS_AUTH);
  }
  REQUIRE_FALSE(bedrock::parse_settings(R"({"base_url":""})"));
}

TEST_CASE("bedrock: requests go out as Converse wants them", "[unit][bedrock]") {
  for (const std::string name :
       {"plain", "files", "tools", "tools_gone", "reasoning", "reasoning_budget",
        "reasoning_others", "reasoning_nova", "cache"}) {
    CAPTURE(name);
    const std::string body = golden(name + ".canonical.json");
    Stage stage(body, 0, *json::to_text(json::find(body, "model")));
    stage.drive.start();
    CAPTURE(stage.drive.next.error.message);
    REQUIRE(stage.drive.next.act == SWY_ACT_SEND);
    REQUIRE(json::valid(stage.recorder.body));
    REQUIRE(stage.recorder.body == golden(name + ".upstream.json"));
    REQUIRE(stage.recorder.last(SWY_EMIT_DROPPED) == golden(name + ".dropped.json"));
  }
}

TEST_CASE("bedrock: long values are not copied", "[unit][bedrock]") {
  const std::string picture(4096, 'A');
  const std::string text(4096, 'b');
  Stage stage(
      R"({"messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"data:image/png;base64,)" +
      picture + R"("}},{"type":"text","text":")" + text + R"("}]}]})");
  stage.drive.start();
  REQUIRE(stage.recorder.pieces == 5);
  REQUIRE(stage.recorder.body ==
          R"({"messages":[{"role":"user","content":[{"image":{"format":"png","source":{"bytes":")" +
              picture + R"("}}},{"text":")" + text + R"("}]}]})");
}

TEST_CASE("bedrock: what Converse can't take is not offered", "[unit][bedrock]") {
  const auto cls = [](const std::string& members, const std::string& content = "\"hi\"") {
    Stage stage(R"({"messages":[{"role":"user","content":)" + content + "}]" + members + "}");
    stage.drive.start();
    return stage.drive.next.act == SWY_ACT_FAIL ? stage.drive.next.error.cls : -1;
  };
  REQUIRE(cls("") == -1);
  REQUIRE(cls(R"(,"n":1,"modalities":["text"])") == -1);
  REQUIRE(cls(R"(,"n":2)") == SWY_CLS_NOT_OFFERED);
  REQUIRE(cls(R"(,"modalities":["text","audio"])") == SWY_CLS_NOT_OFFERED);
  REQUIRE(cls(R"(,"tools":[{"type":"custom","custom":{"name":"x"}}])") == SWY_CLS_NOT_OFFERED);
  const auto part = [&cls](const std::string& text) { return cls("", "[" + text + "]"); };
  REQUIRE(part(R"({"type":"image_url","image_url":{"url":"data:image/tiff;base64,AA=="}})") ==
          SWY_CLS_NOT_OFFERED);
  REQUIRE(part(R"({"type":"file","file":{"file_id":"f1"}})") == SWY_CLS_NOT_OFFERED);
  REQUIRE(part(R"({"type":"hologram"})") == SWY_CLS_NOT_OFFERED);

  Stage none(R"({"messages":[]})");
  REQUIRE(none.drive.start().error.cls == SWY_CLS_BAD_REQUEST);
  REQUIRE(none.recorder.method.empty());
}

TEST_CASE("bedrock: a picture by its address is fetched first", "[unit][bedrock]") {
  const std::string body = R"({"messages":[{"role":"user","content":[{"type":"image_url",)"
                           R"("image_url":{"url":"https://e.org/a.png"}}]}]})";
  Stage stage(body);
  stage.drive.start();
  REQUIRE(stage.drive.next.act == SWY_ACT_SEND);
  REQUIRE(stage.recorder.method == "GET");
  REQUIRE(stage.recorder.url == "https://e.org/a.png");
  stage.drive.answer(200, "\x89PNG\r\n\x1a\n", {{"content-type", "application/octet-stream"}});
  REQUIRE(stage.drive.next.act == SWY_ACT_SEND);
  REQUIRE(stage.recorder.method == "POST");
  REQUIRE(stage.recorder.body ==
          R"({"messages":[{"role":"user","content":[{"image":{"format":"png",)"
          R"("source":{"bytes":"iVBORw0KGgo="}}}]}]})");

  Stage page(body);
  page.drive.start();
  page.drive.answer(200, "<html>", {{"content-type", "text/html"}});
  REQUIRE(page.drive.next.error.cls == SWY_CLS_NOT_OFFERED);
}

TEST_CASE("bedrock: streams become chunks", "[unit][bedrock]") {
  REQUIRE(streamed("text.stream", SWY_REQ_WANT_USAGE, kModel) == golden("text.emits"));
  REQUIRE(streamed("tools.stream", 0, kModel) == golden("tools.emits"));
  REQUIRE(streamed("reasoning.stream", 0, kModel) == golden("reasoning.emits"));
  // Another maker's thoughts are shown and not asked back.
  REQUIRE(streamed("reasoning.stream", 0, "deepseek.v3.2") == golden("reasoning_others.emits"));
}

TEST_CASE("bedrock: a whole answer becomes a completion", "[unit][bedrock]") {
  Stage stage(kHi);
  stage.drive.start();
  stage.drive.answer(200, golden("whole.answer.json"), {{"x-amzn-requestid", "r-1"}});
  REQUIRE(stage.drive.next.act == SWY_ACT_DONE);
  REQUIRE(stage.recorder.last(SWY_EMIT_WHOLE) == golden("whole.whole.json"));
  REQUIRE(stage.recorder.last(SWY_EMIT_FINISH) == "tool_calls");
  REQUIRE(stage.recorder.last(SWY_EMIT_USAGE) ==
          R"({"prompt_tokens":50,"completion_tokens":20,"total_tokens":70})");
}

TEST_CASE("bedrock: each stop reason has its finish reason", "[unit][bedrock]") {
  const auto finish = [](const std::string& reason) {
    Stage stage(kHi, SWY_REQ_STREAM);
    stage.stream({"messageStart {}", R"(messageStop {"stopReason":")" + reason + "\"}"});
    return stage.drive.next.act == SWY_ACT_DONE ? stage.recorder.last(SWY_EMIT_FINISH)
                                                : std::string("fault");
  };
  REQUIRE(finish("end_turn") == "stop");
  REQUIRE(finish("stop_sequence") == "stop");
  REQUIRE(finish("tool_use") == "tool_calls");
  REQUIRE(finish("max_tokens") == "length");
  REQUIRE(finish("model_context_window_exceeded") == "length");
  REQUIRE(finish("guardrail_intervened") == "content_filter");
  REQUIRE(finish("content_filtered") == "content_filter");
  REQUIRE(finish("of_tomorrow") == "stop");
  REQUIRE(finish("malformed_model_output") == "fault");
  REQUIRE(finish("malformed_tool_use") == "fault");
}

TEST_CASE("bedrock: a stream that breaks off is no good end", "[unit][bedrock]") {
  const std::string start = R"(messageStart {"role":"assistant"})";
  const std::string text = R"(contentBlockDelta {"contentBlockIndex":0,"delta":{"text":"Hi"}})";
  for (const std::vector<std::string>& messages : std::vector<std::vector<std::string>>{
           {},
           {start},
           {start, text},
           {start, text, R"(contentBlockStop {"contentBlockIndex":0})"}}) {
    Stage stage(kHi, SWY_REQ_STREAM);
    stage.stream(messages);
    REQUIRE(stage.drive.next.act == SWY_ACT_FAIL);
    REQUIRE(stage.drive.next.error.cls == SWY_CLS_BAD_ANSWER);
    REQUIRE(stage.recorder.all(SWY_EMIT_FINISH).empty());
  }
}

TEST_CASE("bedrock: an exception within a stream ends it by its class", "[unit][bedrock]") {
  const auto cls = [](const std::string& message) {
    Stage stage(kHi, SWY_REQ_STREAM);
    stage.stream({R"(messageStart {"role":"assistant"})",
                  R"(contentBlockDelta {"contentBlockIndex":0,"delta":{"text":"Hi"}})", message});
    REQUIRE(stage.drive.next.act == SWY_ACT_FAIL);
    REQUIRE(json::valid(stage.recorder.last(SWY_EMIT_ERROR)));
    return stage.drive.next.error.cls;
  };
  REQUIRE(cls(R"(exception:throttlingException {"message":"Too many tokens"})") ==
          SWY_CLS_RATE_LIMIT);
  REQUIRE(cls(R"(exception:throttlingException {"message":"Too many tokens per day"})") ==
          SWY_CLS_QUOTA);
  REQUIRE(
      cls(R"(exception:modelStreamErrorException {"originalStatusCode":500,"originalMessage":"x"})") ==
      SWY_CLS_SERVER);
  REQUIRE(cls(R"(exception:internalServerException {"message":"x"})") == SWY_CLS_SERVER);
  REQUIRE(cls(R"(exception:serviceUnavailableException {"message":"x"})") == SWY_CLS_OVERLOADED);
  REQUIRE(
      cls(R"(exception:validationException {"message":"Input is too long for requested model."})") ==
      SWY_CLS_TOO_LONG);
  REQUIRE(cls(R"(exception:ofTomorrowException {"message":"x"})") == SWY_CLS_SERVER);
  REQUIRE(cls("error:InternalError ") == SWY_CLS_SERVER);
}

TEST_CASE("bedrock: refusals have their class, whether named in header or body",
          "[unit][bedrock]") {
  const auto cls = [](unsigned status, const std::string& type, const std::string& text,
                      bool in_body = false) {
    Stage stage(kHi);
    stage.drive.start();
    const std::string message = R"("message":")" + text + "\"}";
    if (in_body) {
      stage.drive.answer(status,
                         R"({"__type":"com.amazon.coral.service#)" + type + "\"," + message);
    } else {
      stage.drive.answer(status, "{" + message,
                         {{"x-amzn-errortype", type + ":http://internal.amazon.com/"}});
    }
    REQUIRE(stage.drive.next.act == SWY_ACT_FAIL);
    REQUIRE(stage.drive.next.error.http == status);
    return stage.drive.next.error.cls;
  };
  for (const bool in_body : {false, true}) {
    CAPTURE(in_body);
    REQUIRE(cls(400, "ValidationException", "bad", in_body) == SWY_CLS_BAD_REQUEST);
    REQUIRE(cls(400, "ValidationException", "Input is too long", in_body) == SWY_CLS_TOO_LONG);
    REQUIRE(cls(400, "ValidationException",
                "Invocation of model ID x with on-demand throughput isn't supported",
                in_body) == SWY_CLS_NO_MODEL);
    REQUIRE(cls(400, "ServiceQuotaExceededException", "x", in_body) == SWY_CLS_QUOTA);
    REQUIRE(cls(403, "AccessDeniedException", "not authorized to perform", in_body) ==
            SWY_CLS_AUTH);
    REQUIRE(cls(403, "AccessDeniedException", "You don't have access to the model with", in_body) ==
            SWY_CLS_NO_MODEL);
    REQUIRE(cls(403, "ExpiredTokenException", "x", in_body) == SWY_CLS_AUTH);
    REQUIRE(cls(404, "ResourceNotFoundException", "x", in_body) == SWY_CLS_NO_MODEL);
    REQUIRE(cls(408, "ModelTimeoutException", "x", in_body) == SWY_CLS_TIMEOUT);
    REQUIRE(cls(424, "ModelErrorException", "x", in_body) == SWY_CLS_SERVER);
    REQUIRE(cls(429, "ThrottlingException", "x", in_body) == SWY_CLS_RATE_LIMIT);
    REQUIRE(cls(429, "ModelNotReadyException", "x", in_body) == SWY_CLS_OVERLOADED);
    REQUIRE(cls(503, "ServiceUnavailableException", "x", in_body) == SWY_CLS_OVERLOADED);
  }
  Stage empty(kHi, SWY_REQ_STREAM);
  empty.drive.start();
  empty.drive.head(502);
  REQUIRE(empty.drive.end().error.cls == SWY_CLS_SERVER);
}

TEST_CASE("bedrock: a client sees no account of ours", "[unit][bedrock]") {
  REQUIRE(
      bedrock::read_refusal(404, "ResourceNotFoundException",
                            R"({"Message":"No 'arn:aws:bedrock:us-east-1:123456789012:x/y' here"})")
          .message == "No '(arn)' here");
  Stage stage(kHi);
  stage.drive.start();
  stage.drive.answer(403, R"({"message":"User: arn:aws:iam::123456789012:user/bob is not"})",
                     {{"x-amzn-errortype", "AccessDeniedException"}});
  REQUIRE(stage.recorder.last(SWY_EMIT_ERROR).find("123456789012") == std::string::npos);
  REQUIRE(stage.recorder.last(SWY_EMIT_ERROR).find("bob") == std::string::npos);
  REQUIRE(stage.drive.next.error.message.find("bob") == std::string::npos);
}

TEST_CASE("bedrock: an answer that is none is a fault", "[unit][bedrock]") {
  for (const std::string body :
       {"", "{", "[]", "{}", R"({"output":{"message":{"content":[]}}})",
        R"({"output":{"message":{"content":{}}},"stopReason":"end_turn"})",
        R"({"output":{"message":{"content":[{"text":"x"]}},"stopReason":"end_turn"})"}) {
    CAPTURE(body);
    Stage stage(kHi);
    stage.drive.start();
    stage.drive.answer(200, body);
    REQUIRE(stage.drive.next.act == SWY_ACT_FAIL);
    REQUIRE(stage.drive.next.error.cls == SWY_CLS_BAD_ANSWER);
    REQUIRE(stage.recorder.all(SWY_EMIT_WHOLE).empty());
  }
}

TEST_CASE("bedrock: usage tells cache writes by lifetime, and the tier", "[unit][bedrock]") {
  Stage stage(kHi, SWY_REQ_STREAM | SWY_REQ_WANT_USAGE);
  stage.stream({R"(messageStart {"role":"assistant"})",
                R"(contentBlockDelta {"contentBlockIndex":0,"delta":{"text":"x"}})",
                R"(contentBlockStop {"contentBlockIndex":0})",
                R"(messageStop {"stopReason":"end_turn"})",
                R"(metadata {"usage":{"inputTokens":10,"outputTokens":2,"cacheReadInputTokens":5,)"
                R"("cacheWriteInputTokens":30,"cacheDetails":[{"ttl":"5m","inputTokens":20},)"
                R"({"ttl":"1h","inputTokens":10}]},"serviceTier":{"type":"flex"}})"});
  CHECK(stage.recorder.last(SWY_EMIT_USAGE) ==
        R"({"prompt_tokens":45,"completion_tokens":2,"total_tokens":47,"prompt_tokens_details":)"
        R"({"cached_tokens":5,"cache_write_tokens":30,"cache_write_1h_tokens":10},)"
        R"("service_tier":"flex"})");
}
