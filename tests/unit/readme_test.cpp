// What README.md shows must be so. Its commands are run elsewhere; here is what needs no gateway.
#include <algorithm>
#include <fstream>
#include <sstream>

#include "core/config/config.hpp"
#include "scratch.hpp"

using namespace switchyard;

namespace {

std::string read(const std::filesystem::path& file) {
  std::ifstream in(file);
  REQUIRE(in);
  std::ostringstream text;
  text << in.rdbuf();
  return text.str();
}

std::filesystem::path source(const char* path) {
  return std::filesystem::path(SWITCHYARD_SOURCE_DIR) / path;
}

// The blocks of README.md that are marked `language`.
std::vector<std::string> blocks(const std::string& language) {
  const std::string readme = read(source("README.md"));
  const std::string open = "\n```" + language + "\n";
  std::vector<std::string> found;
  for (std::size_t at = readme.find(open); at != std::string::npos; at = readme.find(open, at)) {
    at += open.size();
    const std::size_t end = readme.find("\n```\n", at);
    REQUIRE(end != std::string::npos);
    found.push_back(readme.substr(at, end + 1 - at));
  }
  return found;
}

config::LoadOptions options_for(std::filesystem::path file) {
  config::LoadOptions options;
  options.file = std::move(file);
  options.data_directory = source("config");
  options.environment = {"SWITCHYARD_KEY=sy-test-0123456789abcdefghijklmnopqrstuvwxyz",
                         "OPENAI_API_KEY=key-a", "DEEPSEEK_API_KEY=key-b", "OTLP_TOKEN=token-c",
                         "HOME=/nonexistent"};
  return options;
}

std::shared_ptr<const config::Config> load(const std::filesystem::path& file) {
  const auto loaded = config::load(options_for(file));
  if (!loaded) {
    for (const auto& fault : loaded.error()) FAIL_CHECK(fault.pointer << ": " << fault.message);
  }
  REQUIRE(loaded);
  return *loaded;
}

}  // namespace

TEST_CASE("readme: its configuration and its dialect file are valid", "[unit][docs]") {
  const Scratch scratch;
  const auto shown = blocks("json");
  REQUIRE(shown.size() == 4);
  const auto small = load(scratch.write("switchyard.json", shown[0]));
  REQUIRE(small->providers.size() == 3);
  REQUIRE(small->models.size() == 2);

  scratch.write("dialects/example.json", shown[1]);
  const auto example = load(scratch.write(
      "example.json",
      R"({"providers": {"example": {"credentials": [{"key": "${OPENAI_API_KEY}"}]}}})"));
  REQUIRE(example->providers.at(0).base_url == "https://api.example.com/v1");

  const auto features = load(scratch.write("features.json", shown[2]));
  REQUIRE(features->features.at(0).fallback.size() == 2);

  const auto logging = load(scratch.write("logging.json", shown[3]));
  REQUIRE(logging->destinations.at(0).credential.reveal() == "token-c");
  REQUIRE(logging->loggers.at(1).destinations == std::vector<std::string>{"collector"});
}

TEST_CASE("readme: its plugin is the example, in under 40 lines", "[unit][docs]") {
  const auto shown = blocks("cpp");
  REQUIRE(shown.size() == 1);
  REQUIRE(shown[0] == read(source("sdk/examples/echo-provider/echo.cpp")));
  REQUIRE(std::count(shown[0].begin(), shown[0].end(), '\n') < 40);
}
