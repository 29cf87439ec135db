#include "core/catalog/catalog.hpp"

#include <set>

#include "../scratch.hpp"

using namespace switchyard;
using catalog::Catalog;

namespace {

std::string fault_of(const std::string& text) {
  const Scratch scratch;
  scratch.write("x.json", text);
  const auto loaded = Catalog::load(scratch.path());
  REQUIRE_FALSE(loaded);
  std::string message = loaded.error().message;
  const std::string file = (scratch.path() / "x.json").string() + ": ";
  for (std::size_t at = message.find(file); at != std::string::npos; at = message.find(file)) {
    message.erase(at, file.size());
  }
  return message;
}

}  // namespace

TEST_CASE("catalog: every fault of a file is told with its pointer", "[unit][catalog]") {
  CHECK(fault_of("[]") == ": not an object");
  CHECK(fault_of("{") == ": line 1, column 2: Missing a name for object member.");
  CHECK(fault_of(R"({"models":[]})") == "/family: missing");
  CHECK(fault_of(R"({"family":"x"})") == "/models: missing, or no array");
  CHECK(fault_of(R"({"family":"x","models":[{"name":"a"},{"name":"a"}]})") ==
        "/models/1/name: \"a\" is given twice");
  CHECK(fault_of(R"({"family":"x","currency":"usd","models":[
          {"nam":"a"}, {"name":"b","price":{"input":2.5,"output":"x"},"context_tokens":-1}]})") ==
        "/currency: expected three capitals such as USD (ISO 4217)\n"
        "/models/0/nam: unknown key; did you mean \"name\"?\n"
        "/models/0/name: missing\n"
        "/models/1/context_tokens: expected a whole number of tokens\n"
        "/models/1/price/input: expected a decimal in quotes such as \"2.5\", with at most 9 "
        "decimals\n"
        "/models/1/price/output: expected a decimal in quotes such as \"2.5\", with at most 9 "
        "decimals");
}

TEST_CASE("catalog: a model lacks what its list, which is complete for it, leaves out",
          "[unit][catalog]") {
  using catalog::Capability;
  const Scratch scratch;
  scratch.write("x.json", R"({"family":"x","models":[
    {"name":"a","capabilities":["tools"]}, {"name":"b"}, {"name":"c","capabilities":["files"]}]})");
  scratch.write("y.json", R"({"family":"y","complete_for":["tools","files"],"models":[
    {"name":"a","capabilities":["tools","audio_in"]}]})");
  const auto loaded = Catalog::load(scratch.path());
  REQUIRE(loaded);
  const catalog::Model& a = *loaded->find("x", "a");
  CHECK(a.can.has(Capability::kTools));
  CHECK_FALSE(a.lacks.has(Capability::kTools));
  CHECK(a.lacks.has(Capability::kVision));
  CHECK(a.lacks.has(Capability::kJsonSchema));
  CHECK(a.lacks.has(Capability::kReasoning));
  CHECK_FALSE(a.lacks.has(Capability::kFiles));
  CHECK_FALSE(a.lacks.has(Capability::kAudio));
  CHECK(loaded->find("x", "b")->lacks.empty());
  CHECK(loaded->find("x", "c")->can.has(Capability::kFiles));
  CHECK(loaded->find("y", "a")->lacks.has(Capability::kFiles));
  CHECK_FALSE(loaded->find("y", "a")->lacks.has(Capability::kVision));
  CHECK(fault_of(R"({"family":"x","models":[{"name":"a","capabilities":["tolls"]}]})") ==
        "/models/0/capabilities/0: there is no capability \"tolls\"; did you mean \"tools\"?");
}

TEST_CASE("catalog: what is unknown stays unknown", "[unit][catalog]") {
  const Scratch scratch;
  scratch.write("x.json", R"({"family":"x","currency":"CNY","models":[
    {"name":"a","price":{"input":"0"}}, {"name":"b"}]})");
  scratch.write("notes.txt", "not JSON");
  const auto loaded = Catalog::load(scratch.path());
  REQUIRE(loaded);
  const catalog::Model* a = loaded->find("x", "a");
  REQUIRE(a != nullptr);
  CHECK(a->price.currency == "CNY");
  CHECK(a->price.input == 0);
  CHECK_FALSE(a->price.output.has_value());
  CHECK_FALSE(loaded->find("x", "b")->price.input.has_value());
  CHECK(loaded->find("x", "c") == nullptr);
  CHECK(loaded->find("y", "a") == nullptr);
}

TEST_CASE("catalog: a directory that is not there is an error", "[unit][catalog]") {
  const auto loaded = Catalog::load("/nowhere/at/all");
  REQUIRE_FALSE(loaded);
  CHECK(loaded.error().message == "/nowhere/at/all: No such file or directory");
}

TEST_CASE("catalog: what is shipped loads, and chat models with a price have both sides of it",
          "[unit][catalog]") {
  const auto loaded =
      Catalog::load(std::filesystem::path(SWITCHYARD_SOURCE_DIR) / "config" / "models");
  if (!loaded) FAIL(loaded.error().message);
  std::set<std::string> families;
  for (const catalog::Model& model : loaded->models()) {
    CAPTURE(model.provider, model.name);
    families.insert(model.provider);
    CHECK_FALSE(model.tasks.empty());
    const bool chat = model.tasks.front() == "chat";
    if (chat) CHECK(model.price.input.has_value() == model.price.output.has_value());
    if (model.price.cached_input && *model.price.input > 0) {
      CHECK(*model.price.cached_input < *model.price.input);
    }
  }
  CHECK(families == std::set<std::string>{"anthropic", "bedrock", "cohere", "deepseek", "demo",
                                          "doubao",    "gemini",  "glm",    "grok",     "groq",
                                          "hunyuan",   "jina",    "kling",  "minimax",  "mistral",
                                          "moonshot",  "openai",  "qwen",   "spark",    "stepfun",
                                          "together",  "voyage",  "wenxin"});
  CHECK(loaded->find("openai", "gpt-6-luna")->price.output == 500'000'000);
}
