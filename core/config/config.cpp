#include "core/config/config.hpp"

#include <unistd.h>

#include <cstdlib>

#include "core/config/references.hpp"

namespace switchyard::config {
namespace fs = std::filesystem;
namespace {

bool has_schema(const fs::path& directory) {
  std::error_code ignored;
  return fs::is_regular_file(directory / "switchyard.schema.json", ignored);
}

}  // namespace

fs::path default_state_directory(const std::vector<std::string>& environment) {
  const Environment variables(environment);
  // The XDG base directory specification wants a relative path ignored.
  const auto state_home = variables.find("XDG_STATE_HOME");
  if (state_home && state_home->starts_with('/')) return fs::path(*state_home) / "switchyard";
  const auto home = variables.find("HOME");
  if (home && home->starts_with('/')) return fs::path(*home) / ".local/state/switchyard";
  return {};
}

fs::path find_data_directory() {
  const char* named = std::getenv("SWITCHYARD_DATA");
  if (named != nullptr && *named != '\0') return named;
  std::error_code ignored;
  const fs::path binary = fs::read_symlink("/proc/self/exe", ignored).parent_path();
  // A build directory lies in the source tree: <source>/build/<preset>/bin.
  fs::path above = binary;
  for (int level = 0; level < 4 && above.has_relative_path(); ++level) {
    above = above.parent_path();
    if (has_schema(above / "config")) return above / "config";
  }
  return binary.parent_path() / "share" / "switchyard";
}

}  // namespace switchyard::config
