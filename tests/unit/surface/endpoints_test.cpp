#include "core/surface/endpoints.hpp"

#include "core/surface/openai_error.hpp"

namespace switchyard::surface {
namespace {

struct Checked {
  std::optional<exchange::Failure> failure;
  BodyFacts facts;
};

Checked check(std::string_view path, const std::string& body) {
  JsonIndex index;
  REQUIRE(index.scan(body));
  Checked checked;
  checked.failure = check_body(*find_endpoint(path), index, checked.facts);
  return checked;
}

constexpr const char* kChat = "/v1/chat/completions";

}  // namespace

TEST_CASE("surface: a body's faults are named with code and param") {
  struct Case {
    const char* path;
    const char* body;
    const char* code;
    const char* param;
  };
  const Case cases[] = {
      {kChat, R"({"messages":[]})", "missing_required_parameter", "model"},
      {kChat, R"({"model":"","messages":[]})", "missing_required_parameter", "model"},
      {kChat, R"({"model":"a"})", "missing_required_parameter", "messages"},
      {kChat, R"({"model":1,"messages":[]})", "invalid_type", "model"},
      {kChat, R"({"model":"a","messages":"hi"})", "invalid_type", "messages"},
      {kChat, R"({"model":"a","messages":[],"stream":"yes"})", "invalid_type", "stream"},
      {kChat, R"({"model":"a","messages":[],"max_tokens":"9"})", "invalid_type", "max_tokens"},
      {kChat, R"({"model":"a","model":"b","messages":[]})", "duplicate_member", "model"},
      {kChat, R"({"model":"a","MODEL":"b","messages":[]})", "duplicate_member", "MODEL"},
      {kChat, R"({"model":"a","\u006dodel":"b","messages":[]})", "duplicate_member", "model"},
      {"/v1/videos", R"({"prompt":"x","seconds":4,"seconds":12})", "duplicate_member", "seconds"},
      {"/v1/videos", R"({"prompt":"x","duration":4,"Duration":12})", "duplicate_member",
       "Duration"},
      {kChat, R"({"model":"a","messages":[],"stream_options":{}})", "invalid_value",
       "stream_options"},
      {"/v1/embeddings", R"({"model":"a"})", "missing_required_parameter", "input"},
      {"/v1/embeddings", R"({"model":"a","input":"x","stream":true})", "unsupported_parameter",
       "stream"},
  };
  for (const Case& c : cases) {
    CAPTURE(c.body);
    const auto [failure, facts] = check(c.path, c.body);
    REQUIRE(failure);
    CHECK(failure->status == 400);
    CHECK(failure->code == c.code);
    CHECK(failure->param == c.param);
  }
}

TEST_CASE("surface: what routes and frames is read from the body") {
  const auto stream = check(
      kChat,
      R"({"model":"a\/b","messages":[],"stream":true,"stream_options":{"include_usage":true}})");
  REQUIRE_FALSE(stream.failure);
  REQUIRE(stream.facts.model == "a/b");
  REQUIRE(stream.facts.stream);
  REQUIRE(stream.facts.want_usage);

  const auto plain = check(kChat, R"({"model":"a","messages":[],"stream":null,"n":null})");
  REQUIRE_FALSE(plain.failure);
  REQUIRE_FALSE(plain.facts.stream);

  const auto moderation = check("/v1/moderations", R"({"input":"x"})");
  REQUIRE_FALSE(moderation.failure);
  REQUIRE(moderation.facts.model == "omni-moderation-latest");
}

TEST_CASE("surface: an error is OpenAI's object, the upstream's own where there is one") {
  REQUIRE(
      openai_error(bad_request(404, "model_not_found", "no \"x\"", "model")) ==
      R"({"error":{"message":"no \"x\"","type":"invalid_request_error","param":"model","code":"model_not_found"}})");
  exchange::Failure failure = bad_request(400, "", "m");
  failure.error_json = R"({"message":"theirs","type":"t","param":null,"code":7})";
  REQUIRE(openai_error(failure) ==
          R"({"error":{"message":"theirs","type":"t","param":null,"code":7}})");
  failure.error_json = "{broken";
  REQUIRE(openai_error(failure) ==
          R"({"error":{"message":"m","type":"invalid_request_error","param":null,"code":null}})");

  failure.upstream = true;
  failure.retry_after_ms = 1'200;
  REQUIRE(openai_error_headers(failure) ==
          "content-type: application/json\r\nretry-after: 2\r\nretry-after-ms: "
          "1200\r\nx-should-retry: false\r\n");
}

}  // namespace switchyard::surface
