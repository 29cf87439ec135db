#include <dlfcn.h>

#include <array>
#include <catch2/catch.hpp>
#include <cstdio>
#include <string>

#include "tests/abi/zoo.hpp"

namespace switchyard::plugin::test {
namespace {

// What the plugin itself says, past the host's own reading of it.
unsigned minor_of(const fs::path& file) {
  void* library = ::dlopen(file.c_str(), RTLD_NOW | RTLD_LOCAL);
  REQUIRE(library != nullptr);
  const auto entry = reinterpret_cast<swy_entry>(::dlsym(library, SWY_ENTRY_NAME));
  const swy_hello hello{sizeof hello, SWY_MINOR, 0, 0, "test"};
  return entry(&hello)->minor;
}

std::string output_of(const std::string& command) {
  std::string text;
  FILE* pipe = ::popen(command.c_str(), "r");
  REQUIRE(pipe != nullptr);
  std::array<char, 256> line{};
  while (std::fgets(line.data(), line.size(), pipe) != nullptr) text += line.data();
  ::pclose(pipe);
  return text;
}

}  // namespace

TEST_CASE("plugin: one of the next minor works on this host, unless it needs that minor", "[abi]") {
  const Directory directory;
  const fs::path later = directory.add("later", "later.so");
  REQUIRE(minor_of(later) == SWY_MINOR + 1);  // else this tests nothing

  Libraries libraries(directory.options());
  const auto loaded = libraries.load(later);
  REQUIRE(loaded);
  REQUIRE((*loaded)->id() == "zoo.later");

  const auto refused = libraries.load(directory.add("needs_next", "needs_next.so"));
  REQUIRE_FALSE(refused);
  REQUIRE(refused.error().message == "needs host minor " + std::to_string(SWY_MINOR + 1) +
                                         ", this host has " + std::to_string(SWY_MINOR));
}

TEST_CASE("plugin: one of this minor works on a host of the next", "[abi]") {
  const Directory directory;
  const fs::path today = directory.add("none", "today.so");
  const std::string said = output_of(SWITCHYARD_NEXT_HOST " " + today.string());
  const std::string minors = "host minor " + std::to_string(SWY_MINOR + 1) +
                             ", plugin zoo.broken minor " + std::to_string(SWY_MINOR);
  CAPTURE(said);
  REQUIRE(said.starts_with(minors));
  REQUIRE(said.find("lib table 72 of 80 bytes") != std::string::npos);
}

}  // namespace switchyard::plugin::test
