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

// The only block of README.md that is marked `language`.
std::string block(const std::string& language) {
  const std::string readme = read(source("README.md"));
  const std::string open = "\n```" + language + "\n";
  const std::size_t begin = readme.find(open);
  REQUIRE(begin != std::string::npos);
  REQUIRE(readme.find(open, begin + 1) == std::string::npos);
  const std::size_t end = readme.find("\n```\n", begin + open.size());
  REQUIRE(end != std::string::npos);
  return readme.substr(begin + open.size(), end + 1 - begin - open.size());
}

}  // namespace

TEST_CASE("readme: its configuration is a valid one", "[unit][docs]") {
  const Scratch scratch;
  config::LoadOptions options;
  options.file = scratch.write("switchyard.json", block("json"));
  options.data_directory = source("config");
  options.environment = {"SWITCHYARD_KEY=sy-test-0123456789abcdefghijklmnopqrstuvwxyz",
                         "OPENAI_API_KEY=key-a", "DEEPSEEK_API_KEY=key-b", "HOME=/nonexistent"};
  const auto loaded = config::load(options);
  if (!loaded) {
    for (const auto& fault : loaded.error()) FAIL_CHECK(fault.pointer << ": " << fault.message);
  }
  REQUIRE(loaded);
  REQUIRE((*loaded)->providers.size() == 3);
  REQUIRE((*loaded)->models.size() == 2);
}

TEST_CASE("readme: its plugin is the example, in under 40 lines", "[unit][docs]") {
  const std::string shown = block("cpp");
  REQUIRE(shown == read(source("sdk/examples/echo-provider/echo.cpp")));
  REQUIRE(std::count(shown.begin(), shown.end(), '\n') < 40);
}
