#include "core/surface/videos.hpp"

#include <catch2/catch.hpp>

#include "core/base/json_scan.hpp"

namespace switchyard::surface {
using Kind = VideoCall::Kind;

TEST_CASE("surface: paths below /v1/videos and their methods", "[unit][surface]") {
  CHECK(read_video_call("GET", "/v1/videos").kind == Kind::kList);
  CHECK(read_video_call("POST", "/v1/videos").kind == Kind::kUnknown);  // an endpoint
  CHECK(read_video_call("PUT", "/v1/videos").allowed == "GET, POST");
  CHECK(read_video_call("GET", "/v1/videos/video_1").id == "video_1");
  CHECK(read_video_call("DELETE", "/v1/videos/video_1").kind == Kind::kDelete);
  CHECK(read_video_call("POST", "/v1/videos/video_1").kind == Kind::kWrongMethod);
  CHECK(read_video_call("GET", "/v1/videos/video_1/content").kind == Kind::kContent);
  CHECK(read_video_call("DELETE", "/v1/videos/video_1/content").kind == Kind::kWrongMethod);
  for (const char* path : {"/v1/videosx", "/v1/videos/", "/v1/videos/a/b", "/v1/videos/a/content/",
                           "/v1/videos/%20", "/v1/videos/a.b", "/v1/video"}) {
    CAPTURE(path);
    CHECK(read_video_call("GET", path).kind == Kind::kUnknown);
  }
}

TEST_CASE("surface: a job as OpenAI shows it", "[unit][surface]") {
  store::JobRow job;
  job.id = "video_1";
  job.model = "m";
  job.created_unix_s = 10;
  job.state = R"({"status":"in_progress","progress":40,"seconds":8,"size":"1x1","own":true})";
  CHECK(video_object(job) ==
        R"({"id":"video_1","object":"video","created_at":10,"status":"in_progress",)"
        R"("completed_at":null,"expires_at":null,"model":"m","progress":40,"seconds":"8",)"
        R"("size":"1x1","remixed_from_video_id":null,"error":null})");
  job.completed_unix_s = 20;
  job.state = R"({"status":"completed","expires_at":99})";
  CHECK(video_object(job) ==
        R"({"id":"video_1","object":"video","created_at":10,"status":"completed",)"
        R"("completed_at":20,"expires_at":99,"model":"m","progress":100,)"
        R"("remixed_from_video_id":null,"error":null})");
  job.state = R"({"status":"cancelled"})";
  CHECK(video_object(job).find(R"("status":"failed")") != std::string::npos);
  CHECK(video_object(job).find(
            R"("error":{"code":"cancelled","message":"The job was cancelled."}})") !=
        std::string::npos);
  job.state = R"({"status":"failed","error":{"code":"x","message":"why"}})";
  CHECK(video_object(job).find(R"("error":{"code":"x","message":"why"}})") != std::string::npos);
  job.state = R"({"status":"unheard","progress":-3,"error":"text"})";
  CHECK(video_object(job).find(R"("status":"in_progress")") != std::string::npos);
  CHECK(video_object(job).find(R"("progress":0)") != std::string::npos);
}

TEST_CASE("surface: a job's state is kept together from report to report", "[unit][surface]") {
  CHECK(merge_state(R"({"seconds":"8","status":"queued"})", R"({"status":"failed"})") ==
        R"({"status":"failed","seconds":"8"})");
  CHECK(merge_state("{}", R"({"a":1})") == R"({"a":1})");
  CHECK(is_over(R"({"status":"completed"})"));
  CHECK(is_over(R"({"status":"cancelled"})"));
  CHECK_FALSE(is_over(R"({"status":"queued"})"));
  CHECK_FALSE(is_over("{}"));
  CHECK(expiry_of("{}", 100) == 100 + 7 * 86'400);
  CHECK(expiry_of(R"({"expires_at":150})", 100) == 150);
  CHECK(expiry_of(R"({"expires_at":99999999999})", 100) == 100 + 30 * 86'400);
  JsonIndex body;
  const std::string text = R"({"seconds":4,"size":"1x1","prompt":"private"})";
  REQUIRE(body.scan(text));
  CHECK(asked_state(body) == R"({"seconds":"4","size":"1x1"})");
}

TEST_CASE("surface: pages of jobs", "[unit][surface]") {
  VideoPage page;
  CHECK_FALSE(read_page("limit=7&after=video_1&order=asc&x=y", page));
  CHECK(page.limit == 7);
  CHECK(page.after == "video_1");
  CHECK(page.ascending);
  for (const char* bad : {"limit=0", "limit=101", "limit=x", "limit=", "order=up"}) {
    CAPTURE(bad);
    CHECK(read_page(bad, page));
  }
  CHECK(content_body("variant=thumb%22nail&variant=b") == R"({"variant":"thumb\"nail"})");
  CHECK(content_body("") == "{}");
}

}  // namespace switchyard::surface
