// What the tests of the plugin room share: a plugin directory of their own, filled from the zoo.
#pragma once

#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <regex>
#include <sstream>
#include <string>
#include <vector>

#include "core/plugin/library.hpp"

namespace switchyard::plugin::test {

namespace fs = std::filesystem;

class Directory {
 public:
  Directory() {
    std::string name = (fs::temp_directory_path() / "swy_abi.XXXXXX").string();
    root_ = ::mkdtemp(name.data());
    fs::create_directory(plugins());
    fs::permissions(plugins(), fs::perms::owner_all);
  }
  ~Directory() {
    std::error_code ignored;
    fs::remove_all(root_, ignored);
  }
  Directory(const Directory&) = delete;
  Directory& operator=(const Directory&) = delete;

  fs::path root() const { return root_; }
  fs::path plugins() const { return root_ / "plugins"; }
  fs::path copies() const { return root_ / "copies"; }

  // Puts zoo_NAME.so there under `as`, the way an installer does: written aside, then renamed.
  fs::path add(const std::string& name, const std::string& as) const {
    const fs::path aside = root_ / "aside";
    fs::copy_file(fs::path(SWITCHYARD_ZOO) / ("zoo_" + name + ".so"), aside);
    fs::permissions(aside, fs::perms::owner_all);
    fs::rename(aside, plugins() / as);
    return plugins() / as;
  }

  LibraryOptions options() const {
    return {.directory = plugins(),
            .private_directory = copies(),
            .pins = {},
            .trial = true,
            .trial_program = SWITCHYARD_TRIAL_PROGRAM};
  }

 private:
  fs::path root_;
};

inline std::string read_file(const fs::path& file) {
  std::ifstream in(file, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

inline void write_file(const fs::path& file, const std::string& bytes) {
  std::ofstream(file, std::ios::binary) << bytes;
  fs::permissions(file, fs::perms::owner_all);
}

// The first column of the table of refusals, as expressions: what stands in braces may be anything.
inline std::vector<std::regex> documented_refusals() {
  std::vector<std::regex> result;
  std::istringstream document(read_file(fs::path(SWITCHYARD_SOURCE_DIR) / "sdk/PLUGINS.md"));
  for (std::string line; std::getline(document, line);) {
    if (!line.starts_with("| `")) continue;
    std::string text = line.substr(3, line.find("` |") - 3);
    text = std::regex_replace(text, std::regex(R"(\{[a-z]+\})"), "\x01");
    text = std::regex_replace(text, std::regex(R"([\[\]{}().*+?^$|\\])"), R"(\$&)");
    text = std::regex_replace(text, std::regex("\x01"), ".+");
    result.emplace_back(text);
  }
  return result;
}

inline bool is_documented(const std::vector<std::regex>& documented, const std::string& text) {
  return std::any_of(documented.begin(), documented.end(), [&](const std::regex& expression) {
    return std::regex_match(text, expression);
  });
}

}  // namespace switchyard::plugin::test
