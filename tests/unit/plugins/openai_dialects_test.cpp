// The dialect files as they are shipped: each is read, checked against the schema and tried.
#include <rapidjson/document.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <set>
#include <sstream>
#include <switchyard/testing.hpp>

#include "core/config/schema.hpp"
#include "providers/openai/errors.hpp"
#include "providers/openai/translate.hpp"

using namespace swy::testing;
namespace config = switchyard::config;
namespace fs = std::filesystem;

namespace {

const fs::path kRoot = SWITCHYARD_SOURCE_DIR;
const fs::path kDialects = kRoot / "plugins/providers/openai/dialects";

std::string read(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

openai::Settings shipped(const std::string& name) {
  auto settings =
      openai::parse_settings(R"({"dialect":)" + read(kDialects / (name + ".json")) + "}");
  if (!settings) FAIL(settings.error().message);
  return *std::move(settings);
}

std::string sent(const std::string& dialect, const std::string& members,
                 std::uint32_t flags = SWY_REQ_NATIVE, const std::string& task = "chat") {
  const openai::Settings settings = shipped(dialect);
  const FakeRequest request(task, "u", R"({"model":"a")" + members + "}", flags);
  const openai::UpstreamBody body(settings.dialect, request.get());
  const std::string text = body.pieces().joined();
  const std::string head = R"({"model":"u")";
  REQUIRE(text.substr(0, head.size()) == head);
  return text.substr(head.size(), text.size() - head.size() - 1);
}

int class_of(const std::string& dialect, unsigned status, const std::string& body) {
  return openai::read_fault(shipped(dialect).dialect, status, 0, body).error.cls;
}
std::string coded(const std::string& code) {
  return R"({"error":{"message":"m","code":")" + code + R"("}})";
}
std::string typed(const std::string& type) {
  return R"({"error":{"message":"m","type":")" + type + R"("}})";
}
std::string said(const std::string& text) { return R"({"error":{"message":")" + text + R"("}})"; }

constexpr std::uint32_t kStream = SWY_REQ_NATIVE | SWY_REQ_STREAM;
const std::string kAsked = R"(,"stream_options":{"include_usage":true})";

}  // namespace

TEST_CASE("dialects: each file reads, fits the schema and is called what it is", "[unit][openai]") {
  const auto schema = config::Schema::read(kRoot / "config/dialect.schema.json");
  if (!schema) FAIL(schema.error().front().pointer + ": " + schema.error().front().message);

  std::size_t count = 0;
  for (const auto& file : fs::directory_iterator(kDialects)) {
    ++count;
    CAPTURE(file.path());
    const std::string text = read(file.path());
    rapidjson::Document document;
    REQUIRE_FALSE(document.Parse(text.c_str()).HasParseError());
    config::Faults faults;
    schema->check(
        document, [](const std::string&, std::string_view shown) { return std::string(shown); },
        faults);
    CHECK(faults.empty());
    auto dialect = openai::parse_dialect(text);
    REQUIRE(dialect);
    CHECK(dialect->name == file.path().stem());
    // On Azure everybody has an address of their own.
    CHECK(document.HasMember("base_url") != (text.find("RESOURCE") != std::string::npos));
    CHECK(openai::look_up(dialect->paths, dialect->name == "jina" || dialect->name == "voyage"
                                              ? "rerank"
                                              : "chat") != nullptr);
  }
  REQUIRE(count == 25);
}

TEST_CASE("dialects: a fault in a file is named with its place", "[unit][openai]") {
  const auto fault = [](const std::string& text) {
    const auto dialect = openai::parse_dialect(text);
    REQUIRE_FALSE(dialect);
    return dialect.error().message;
  };
  REQUIRE(fault("[]") == "dialect: /: expected an object");
  REQUIRE(fault(R"({"name":)") == "dialect: /: broken JSON");
  REQUIRE(fault(R"({"nmae":"x"})") == "dialect: /nmae: unknown member");
  REQUIRE(fault(R"({"auth":{"scheme":"magic"}})") ==
          "dialect: /auth/scheme: expected bearer, header, query or none");
  REQUIRE(fault(R"({"errors":[{"class":"bad_request"},{"status":1}]})") ==
          "dialect: /errors/1/class: no known class");
  REQUIRE(fault(R"({"request":{"rename":{"a":1}}})") ==
          "dialect: /request/rename/a: expected a string");
  REQUIRE(fault(R"({"stream":{"usage":"maybe"}})") ==
          "dialect: /stream/usage: expected stream_options, always or none");
}

TEST_CASE("dialects: requests in each accent", "[unit][openai]") {
  const std::string developer = R"(,"messages":[{"role":"developer","content":"x"}])";
  const std::string system = R"(,"messages":[{"role":"system","content":"x"}])";
  for (const char* name : {"openai", "anthropic", "gemini", "grok", "openrouter"}) {
    CAPTURE(name);
    CHECK(sent(name, developer) == developer);
  }
  for (const char* name : {"deepseek", "qwen", "moonshot", "glm", "mistral", "ollama", "vllm"}) {
    CAPTURE(name);
    CHECK(sent(name, developer) == system);
  }
  for (const char* name : {"deepseek", "glm", "mistral", "ollama", "vllm"}) {
    CAPTURE(name);
    CHECK(sent(name, R"(,"max_completion_tokens":5)") == R"(,"max_tokens":5)");
  }
  for (const char* name :
       {"openai", "qwen", "moonshot", "grok", "groq", "openrouter", "anthropic", "gemini"}) {
    CAPTURE(name);
    CHECK(sent(name, R"(,"max_completion_tokens":5)") == R"(,"max_completion_tokens":5)");
  }
  for (const auto& file : fs::directory_iterator(kDialects)) {
    const std::string name = file.path().stem();
    CAPTURE(name);
    const std::set<std::string> unasked = {"glm",  "mistral",  "openrouter",
                                           "groq", "together", "spark"};
    const std::map<std::string, std::string> own = {
        {"minimax", R"(,"reasoning_split":true)"},
        {"stepfun", R"(,"reasoning_format":"deepseek-style")"}};
    const std::string added = own.count(name) != 0 ? own.at(name) : "";
    CHECK(sent(name, R"(,"stream":true)", kStream) ==
          R"(,"stream":true)" + (unasked.count(name) != 0 ? "" : kAsked) + added);
    CHECK(sent(name, R"(,"vendor_extension":{"a":[1]})") ==
          R"(,"vendor_extension":{"a":[1]})" + added);
  }
}

TEST_CASE("dialects: what a vendor refuses is left out or put in its words", "[unit][openai]") {
  CHECK(sent("deepseek", R"(,"store":true,"user":"u","reasoning_effort":"xhigh")") ==
        R"(,"reasoning_effort":"high")");
  CHECK(sent("qwen", R"(,"tool_choice":"required","seed":1)") ==
        R"(,"tool_choice":"auto","seed":1)");
  CHECK(sent("moonshot", R"(,"temperature":0.2,"top_p":1,"reasoning_effort":"xhigh")") ==
        R"(,"reasoning_effort":"max")");
  CHECK(sent("glm", R"(,"temperature":1,"top_p":0.5,"n":1)") ==
        R"(,"temperature":0.99,"top_p":0.5)");
  CHECK(sent("grok", R"(,"stop":["x"],"frequency_penalty":0,"seed":1)") == R"(,"seed":1)");
  CHECK(sent("mistral", R"(,"seed":3,"stream_options":{"include_usage":true},"logprobs":true)") ==
        R"(,"random_seed":3)");
  CHECK(
      sent("mistral",
           R"(,"messages":[{"role":"assistant","content":"x","refusal":null,"annotations":[]}])") ==
      R"(,"messages":[{"role":"assistant","content":"x"}])");
  CHECK(sent("mistral", R"(,"input":"x","dimensions":8)", SWY_REQ_NATIVE, "embeddings") ==
        R"(,"input":"x","output_dimension":8)");
  CHECK(sent("groq", R"(,"messages":[{"role":"user","name":"bo","content":"x"}])") ==
        R"(,"messages":[{"role":"user","content":"x"}])");
  CHECK(sent("anthropic", R"(,"temperature":1.7)") == R"(,"temperature":1)");
  CHECK(sent("gemini", R"(,"store":false,"reasoning_effort":"max")") ==
        R"(,"reasoning_effort":"high")");
}

TEST_CASE("dialects: errors in each accent", "[unit][openai]") {
  CHECK(class_of("deepseek", 402, said("Insufficient Balance")) == SWY_CLS_QUOTA);
  CHECK(class_of("deepseek", 400, said("Content Exists Risk")) == SWY_CLS_FILTERED);
  CHECK(class_of("deepseek", 422, said("bad")) == SWY_CLS_BAD_REQUEST);
  CHECK(class_of("qwen", 400, coded("Arrearage")) == SWY_CLS_QUOTA);
  CHECK(class_of("qwen", 400, coded("data_inspection_failed")) == SWY_CLS_FILTERED);
  CHECK(class_of("qwen", 400, said("Range of input length should be [1, 1000]")) ==
        SWY_CLS_TOO_LONG);
  CHECK(class_of("qwen", 429, coded("Throttling.AllocationQuota")) == SWY_CLS_RATE_LIMIT);
  CHECK(class_of("moonshot", 429, typed("exceeded_current_quota_error")) == SWY_CLS_QUOTA);
  CHECK(class_of("moonshot", 429, typed("engine_overloaded_error")) == SWY_CLS_OVERLOADED);
  CHECK(class_of("moonshot", 429, typed("rate_limit_reached_error")) == SWY_CLS_RATE_LIMIT);
  CHECK(class_of("moonshot", 400, typed("content_filter")) == SWY_CLS_FILTERED);
  CHECK(class_of("moonshot", 400, said("token length too long")) == SWY_CLS_TOO_LONG);
  CHECK(class_of("glm", 429, coded("1113")) == SWY_CLS_QUOTA);
  CHECK(class_of("glm", 429, coded("1302")) == SWY_CLS_RATE_LIMIT);
  CHECK(class_of("glm", 429, coded("1305")) == SWY_CLS_OVERLOADED);
  CHECK(class_of("glm", 400, coded("1211")) == SWY_CLS_NO_MODEL);
  CHECK(class_of("glm", 400, coded("1261")) == SWY_CLS_TOO_LONG);
  CHECK(class_of("glm", 200, coded("1301")) == SWY_CLS_FILTERED);
  CHECK(class_of("grok", 400, R"({"code":"c","error":"Incorrect API key provided"})") ==
        SWY_CLS_AUTH);
  CHECK(class_of("grok", 429, R"({"error":"out of credits"})") == SWY_CLS_QUOTA);
  CHECK(class_of("grok", 403, R"({"error":"Content violates usage guidelines"})") ==
        SWY_CLS_FILTERED);
  CHECK(class_of(
            "grok", 400,
            said("This model's maximum prompt length is 10 but the request contains 12 tokens")) ==
        SWY_CLS_TOO_LONG);
  CHECK(
      class_of(
          "mistral", 400,
          R"({"object":"error","message":"Prompt contains 9 tokens, too large for model with 8 maximum context length","type":"invalid_request_error","code":"3051"})") ==
      SWY_CLS_TOO_LONG);
  CHECK(
      class_of(
          "mistral", 400,
          R"({"object":"error","message":{"detail":"x"},"type":"invalid_request_message_order","code":"3230"})") ==
      SWY_CLS_BAD_REQUEST);
  CHECK(
      class_of(
          "mistral", 403,
          R"({"error":{"message":"Content blocked by guardrail","status":403},"guardrails":{}})") ==
      SWY_CLS_FILTERED);
  CHECK(class_of("mistral", 401, R"({"message":"Unauthorized","request_id":"x"})") == SWY_CLS_AUTH);
  CHECK(class_of("openrouter", 402, R"({"error":{"code":402,"message":"Insufficient credits"}})") ==
        SWY_CLS_QUOTA);
  CHECK(class_of("openrouter", 403, said("Your input was flagged")) == SWY_CLS_FILTERED);
  CHECK(class_of("openrouter", 502,
                 R"({"error":{"code":502,"message":"Provider returned error"}})") ==
        SWY_CLS_SERVER);
  CHECK(class_of("groq", 498, coded("capacity_exceeded")) == SWY_CLS_OVERLOADED);
  CHECK(class_of("groq", 400, coded("tool_use_failed")) == SWY_CLS_SERVER);
  CHECK(class_of("ollama", 404, R"({"error":"model 'x' not found"})") == SWY_CLS_NO_MODEL);
  CHECK(
      class_of(
          "vllm", 400,
          R"({"object":"error","message":"This model's maximum context length is 8","code":400})") ==
      SWY_CLS_TOO_LONG);
  CHECK(
      class_of("anthropic", 529,
               R"({"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}})") ==
      SWY_CLS_OVERLOADED);
  CHECK(
      class_of(
          "gemini", 400,
          R"([{"error":{"code":400,"message":"API key not valid. Please pass one.","status":"INVALID_ARGUMENT"}}])") ==
      SWY_CLS_AUTH);
  CHECK(
      class_of(
          "gemini", 429,
          R"([{"error":{"code":429,"message":"quota per day","status":"RESOURCE_EXHAUSTED"}}])") ==
      SWY_CLS_QUOTA);
  CHECK(class_of("gemini", 503,
                 R"([{"error":{"code":503,"message":"overloaded","status":"UNAVAILABLE"}}])") ==
        SWY_CLS_OVERLOADED);
}

TEST_CASE("dialects: no cut and no flipped bit of an error body harms its reader",
          "[unit][openai]") {
  const openai::Settings settings = shipped("glm");
  const std::string body =
      R"([{"error":{"code":"1305","message":"a\u00e9b","status":"X","details":[{"retryDelay":"3s"}],"param":null}}])";
  for (std::size_t cut = 0; cut <= body.size(); ++cut) {
    REQUIRE_FALSE(openai::read_fault(settings.dialect, 429, 0, body.substr(0, cut)).client.empty());
    for (const char c : {'"', '\\', '{', ']', '\0'}) {
      std::string broken = body;
      if (cut < broken.size()) broken[cut] = c;
      REQUIRE_FALSE(openai::read_fault(settings.dialect, 429, 0, broken).client.empty());
    }
  }
}
