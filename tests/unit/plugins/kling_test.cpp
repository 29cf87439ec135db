#include <fstream>
#include <sstream>
#include <switchyard/testing.hpp>

#include "providers/kling/translate.hpp"

using namespace swy::testing;
namespace json = swy::json;

namespace {

std::string golden(const std::string& name) {
  const std::string path = std::string(SWITCHYARD_SOURCE_DIR "/tests/golden/kling/") + name;
  std::ifstream file(path, std::ios::binary);
  if (!file) FAIL("can't be read: " << path);
  std::ostringstream text;
  text << file.rdbuf();
  std::string content = text.str();
  while (!content.empty() && content.back() == '\n') content.pop_back();
  return content;
}

constexpr std::uint64_t kNow = 1'795'176'000'000;  // 2026-11-20T12:00:00Z
const std::string kBase = "https://api-singapore.klingai.com";
const std::string kToken = R"({"path":"image2video","id":"84011"})";

struct Stage {
  explicit Stage(const std::string& task, const std::string& body = "",
                 const std::string& token = "")
      : request(task, "kling-v2-6", body, 0), drive(made(), recorder, kBase, kNow) {
    recorder.key = "SKTEST4567";
    request.credential("access_key", "AKTEST0123");
    if (!token.empty()) request.resume(token);
  }

  kling::Operation made() { return kling::Operation(swy::Signer(host.host()), request.get()); }
  std::string job() const { return recorder.last(SWY_EMIT_JOB); }

  FakeHost host{kNow};
  Recorder recorder;
  FakeRequest request;
  Drive<kling::Operation> drive;
};

std::string answer(const std::string& data) {
  return R"({"code":0,"message":"SUCCEED","request_id":"r1","data":)" + data + "}";
}
std::string task(const std::string& status, const std::string& more = "") {
  return answer(R"({"task_id":"84011","task_status":")" + status +
                R"(","task_status_msg":"","created_at":1763630000000,"updated_at":1763630190000)" +
                more + "}");
}
const std::string kVideo =
    R"(,"task_result":{"videos":[{"id":"v9","url":"https://cdn.example/v9.mp4?a=1\u0026b=2","duration":"5.1"}]})";

}  // namespace

TEST_CASE("kling: a video is asked for with a token signed at that moment", "[unit][kling]") {
  Stage stage("videos", golden("text.canonical.json"));
  REQUIRE(stage.drive.start().act == SWY_ACT_SEND);
  REQUIRE(stage.recorder.method == "POST");
  REQUIRE(stage.recorder.url == "/v1/videos/text2video");
  REQUIRE(stage.recorder.body == golden("text.upstream.json"));
  REQUIRE(stage.recorder.last(SWY_EMIT_DROPPED) == R"(["/user","/model_name"])");
  REQUIRE(stage.drive.signed_request);
  REQUIRE(stage.recorder.header("authorization") ==
          "Bearer eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9."
          "eyJpc3MiOiJBS1RFU1QwMTIzIiwiZXhwIjoxNzk1MTc3ODAwLCJuYmYiOjE3OTUxNzU5OTV9."
          "q1iVIxQ0Irjk4qnAOtqeyBc9LTQ1u-ywIRnknWbdFl4");
}

TEST_CASE("kling: what was submitted is kept before it is told", "[unit][kling]") {
  Stage stage("videos", golden("text.canonical.json"));
  stage.drive.start();
  stage.drive.answer(200, task("submitted"));
  REQUIRE(stage.drive.next.act == SWY_ACT_DONE);
  REQUIRE(stage.recorder.kept == R"({"path":"text2video","id":"84011"})");
  REQUIRE(stage.job() == R"({"status":"queued","progress":0})");
  // It is paid by its seconds: five where nobody says.
  const auto seconds_of = [](const std::string& body) {
    Stage film("videos", body);
    film.drive.start();
    film.drive.answer(200, task("submitted"));
    return film.recorder.last(SWY_EMIT_USAGE);
  };
  CHECK(seconds_of(R"({"prompt":"x"})") == R"({"seconds":5})");
  CHECK(seconds_of(R"({"prompt":"x","seconds":"10"})") == R"({"seconds":10})");
  CHECK(seconds_of(R"({"prompt":"x","duration":10})") == R"({"seconds":10})");
}

TEST_CASE("kling: a picture to begin with is an address, base64 or an upload", "[unit][kling]") {
  for (const std::string name : {"picture_url", "picture_data"}) {
    CAPTURE(name);
    Stage stage("videos", golden(name + ".canonical.json"));
    REQUIRE(stage.drive.start().act == SWY_ACT_SEND);
    REQUIRE(stage.recorder.url == "/v1/videos/image2video");
    REQUIRE(stage.recorder.body == golden(name + ".upstream.json"));
  }
  Stage stage("videos", R"({"model":"m","prompt":"x","input_reference":{"$blob":1}})");
  stage.request.blob("input_reference", "image/png", "a.png", 3);
  stage.recorder.blobs[1] = "\x89PN";
  REQUIRE(stage.drive.start().act == SWY_ACT_SEND);
  REQUIRE(stage.recorder.url == "/v1/videos/image2video");
  REQUIRE(stage.recorder.body == R"({"model_name":"kling-v2-6","prompt":"x","image":"iVBO"})");
}

TEST_CASE("kling: sizes become the nearest of three forms", "[unit][kling]") {
  const auto aspect = [](const std::string& size) {
    Stage stage("videos", R"({"prompt":"x","size":")" + size + "\"}");
    stage.drive.start();
    if (stage.drive.next.act == SWY_ACT_FAIL) {
      REQUIRE(stage.drive.next.error.cls == SWY_CLS_BAD_REQUEST);
      return std::string("refused");
    }
    const bool exact = stage.recorder.last(SWY_EMIT_DROPPED).empty();
    const std::string mode = json::to_text(json::find(stage.recorder.body, "mode")).value_or("");
    return *json::to_text(json::find(stage.recorder.body, "aspect_ratio")) + mode +
           (exact ? "" : " about");
  };
  REQUIRE(aspect("1280x720") == "16:9");
  REQUIRE(aspect("720x1280") == "9:16");
  REQUIRE(aspect("1024x1792") == "9:16 about");
  REQUIRE(aspect("1792x1024") == "16:9 about");
  REQUIRE(aspect("1024x1024") == "1:1");
  REQUIRE(aspect("1920x1080") == "16:9pro");
  for (const std::string bad : {"big", "x", "0x0", "1x", "1280x720x3", "-1x2", "99999x1"}) {
    CAPTURE(bad);
    REQUIRE(aspect(bad) == "refused");
  }
}

TEST_CASE("kling: a task is read under the path that it was made under", "[unit][kling]") {
  const auto state = [](const std::string& status, const std::string& more = "") {
    Stage stage("videos.get", "", kToken);
    REQUIRE(stage.drive.start().act == SWY_ACT_SEND);
    REQUIRE(stage.drive.signed_request);
    REQUIRE(stage.recorder.method == "GET");
    REQUIRE(stage.recorder.url == "/v1/videos/image2video/84011");
    REQUIRE(stage.recorder.body.empty());
    stage.drive.answer(200, task(status, more));
    REQUIRE(stage.drive.next.act == SWY_ACT_DONE);
    return stage.job();
  };
  REQUIRE(state("submitted") == R"({"status":"queued","progress":0})");
  REQUIRE(state("processing") == R"({"status":"in_progress","progress":0})");
  const std::string done =
      R"({"status":"completed","progress":100,"seconds":"5.1","expires_at":1766222190})";
  REQUIRE(state("succeed", kVideo) == done);
  REQUIRE(state("succeeded", kVideo) == done);
  REQUIRE(json::find(state("failed", R"(,"task_status_msg":"no","task_result":{})"), "error") ==
          R"({"code":"generation_failed","message":""})");
}

TEST_CASE("kling: why a task failed is told", "[unit][kling]") {
  Stage stage("videos.get", "", kToken);
  stage.drive.start();
  stage.drive.answer(
      200, answer(R"({"task_status":"failed","task_status_msg":"Risk \u0022control\u0022"})"));
  REQUIRE(
      stage.job() ==
      R"({"status":"failed","progress":0,"error":{"code":"generation_failed","message":"Risk \"control\""}})");
}

TEST_CASE("kling: the video is fetched without a credential and passed on", "[unit][kling]") {
  Stage stage("videos.content", "", kToken);
  stage.drive.start();
  stage.drive.answer(200, task("succeed", kVideo));
  REQUIRE(stage.drive.next.act == SWY_ACT_SEND);
  REQUIRE(stage.recorder.url == "https://cdn.example/v9.mp4?a=1&b=2");
  REQUIRE(stage.recorder.framing == SWY_FRAME_RAW);
  REQUIRE(stage.recorder.auth == "none ");

  stage.drive.head(200, {{"content-type", "video/mp4"}, {"content-length", "6"}});
  REQUIRE(stage.recorder.last(SWY_EMIT_HEAD) ==
          R"({"content_type":"video/mp4","content_length":6})");
  for (const char* bytes : {"abc", "def"}) {
    REQUIRE(stage.drive.data(bytes).act == SWY_ACT_FEED);
  }
  REQUIRE(stage.drive.end().act == SWY_ACT_DONE);
  REQUIRE(stage.recorder.all(SWY_EMIT_RAW) == std::vector<std::string>{"abc", "def"});
}

TEST_CASE("kling: a video that is gone or not ready is no content", "[unit][kling]") {
  Stage waiting("videos.content", "", kToken);
  waiting.drive.start();
  waiting.drive.answer(200, task("processing"));
  REQUIRE(waiting.drive.next.error.cls == SWY_CLS_BAD_REQUEST);

  Stage gone("videos.content", "", kToken);
  gone.drive.start();
  gone.drive.answer(200, task("succeed", kVideo));
  gone.drive.head(403);
  REQUIRE(gone.drive.next.act == SWY_ACT_FAIL);
  REQUIRE(gone.drive.next.error.cls == SWY_CLS_SERVER);
  REQUIRE(gone.recorder.all(SWY_EMIT_HEAD).empty());

  Stage nowhere("videos.content", "", kToken);
  nowhere.drive.start();
  nowhere.drive.answer(200, task("succeed", R"(,"task_result":{"videos":[]})"));
  REQUIRE(nowhere.drive.next.error.cls == SWY_CLS_BAD_ANSWER);
}

TEST_CASE("kling: the code of a refusal says more than its status", "[unit][kling]") {
  const auto cls = [](unsigned status, int code) {
    Stage stage("videos", R"({"prompt":"x"})");
    stage.drive.start();
    stage.drive.answer(
        status, R"({"code":)" + std::to_string(code) + R"(,"message":"m","request_id":"r"})");
    REQUIRE(stage.drive.next.act == SWY_ACT_FAIL);
    REQUIRE(stage.recorder.kept.empty());
    return stage.drive.next.error.cls;
  };
  for (const int code : {1000, 1001, 1002, 1003, 1004}) REQUIRE(cls(401, code) == SWY_CLS_AUTH);
  for (const int code : {1100, 1101, 1102}) REQUIRE(cls(429, code) == SWY_CLS_QUOTA);
  REQUIRE(cls(403, 1103) == SWY_CLS_AUTH);
  REQUIRE(cls(400, 1201) == SWY_CLS_BAD_REQUEST);
  REQUIRE(cls(404, 1203) == SWY_CLS_NO_MODEL);
  REQUIRE(cls(400, 1301) == SWY_CLS_FILTERED);
  REQUIRE(cls(429, 1302) == SWY_CLS_RATE_LIMIT);
  REQUIRE(cls(429, 1303) == SWY_CLS_RATE_LIMIT);
  REQUIRE(cls(429, 1304) == SWY_CLS_AUTH);
  REQUIRE(cls(500, 5000) == SWY_CLS_SERVER);
  REQUIRE(cls(503, 5001) == SWY_CLS_OVERLOADED);
  REQUIRE(cls(504, 5002) == SWY_CLS_TIMEOUT);
  REQUIRE(cls(200, 1301) == SWY_CLS_FILTERED);  // a refusal with a good status
  REQUIRE(cls(502, 0) == SWY_CLS_SERVER);
}

TEST_CASE("kling: an answer that is none is a fault", "[unit][kling]") {
  for (const std::string body :
       {"", "<html>", "{}", R"({"code":0})", R"({"code":0,"data":[]})", R"({"code":0,"data":{}})",
        R"({"code":0,"data":{"task_id":"../1"}})"}) {
    CAPTURE(body);
    Stage stage("videos", R"({"prompt":"x"})");
    stage.drive.start();
    stage.drive.answer(200, body);
    REQUIRE(stage.drive.next.error.cls == SWY_CLS_BAD_ANSWER);
    REQUIRE(stage.recorder.all(SWY_EMIT_JOB).empty());
  }
  Stage odd("videos.get", "", kToken);
  odd.drive.start();
  odd.drive.answer(200, task("sleeping"));
  REQUIRE(odd.drive.next.error.cls == SWY_CLS_BAD_ANSWER);
}

TEST_CASE("kling: a token of another's making is refused", "[unit][kling]") {
  for (const std::string token :
       {"", "{}", "84011", R"({"path":"text2video","id":""})",
        R"({"path":"text2video","id":"1/2"})", R"({"path":"../x","id":"1"})"}) {
    CAPTURE(token);
    Stage stage("videos.get", "", token);
    REQUIRE(stage.drive.start().act == SWY_ACT_FAIL);
    REQUIRE(stage.drive.next.error.cls == SWY_CLS_PLUGIN);
  }
  Stage still("videos.content", R"({"variant":"thumbnail"})", kToken);
  REQUIRE(still.drive.start().error.cls == SWY_CLS_NOT_OFFERED);
  Stage other("videos.delete", "", kToken);
  REQUIRE(other.drive.start().error.cls == SWY_CLS_NOT_OFFERED);
}

TEST_CASE("kling: an API key is a bearer, and no access key a fault of the credential",
          "[unit][kling]") {
  Stage stage("videos", R"({"prompt":"x"})");
  stage.request.credential("auth", "bearer");
  Drive bearer(stage.made(), stage.recorder);
  REQUIRE(bearer.start().act == SWY_ACT_SEND);
  REQUIRE(stage.recorder.auth == "bearer ");

  const FakeRequest bare("videos", "m", R"({"prompt":"x"})", 0);
  Drive nobody(kling::Operation(swy::Signer(stage.host.host()), bare.get()), stage.recorder);
  REQUIRE(nobody.start().act == SWY_ACT_FAIL);
  REQUIRE(nobody.next.error.cls == SWY_CLS_AUTH);
}
