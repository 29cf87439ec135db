#include "core/base/os_memory.hpp"

#include <malloc.h>
#include <unistd.h>

#include <charconv>
#include <filesystem>
#include <fstream>
#include <limits>
#include <string>

namespace switchyard::os {
namespace fs = std::filesystem;
namespace {

constexpr std::uint64_t kNone = std::numeric_limits<std::uint64_t>::max();

// kNone where the file is not there, or says "max".
std::uint64_t number_in(const fs::path& file) {
  std::string text;
  std::getline(std::ifstream(file), text);
  std::uint64_t number = kNone;
  const auto read = std::from_chars(text.data(), text.data() + text.size(), number);
  return read.ec == std::errc() ? number : kNone;
}

// Of a group and those above it.
std::uint64_t limit_from(const fs::path& root, const std::string& group, const char* file) {
  std::uint64_t least = number_in(root / file);
  for (fs::path path = fs::path(group).relative_path(); !path.empty(); path = path.parent_path()) {
    least = std::min(least, number_in(root / path / file));
  }
  return least;
}

}  // namespace

std::uint64_t resident_bytes() {
  std::ifstream file("/proc/self/statm");
  std::uint64_t total = 0, resident = 0;
  file >> total >> resident;
  return resident * static_cast<std::uint64_t>(sysconf(_SC_PAGESIZE));
}

std::uint64_t memory_limit() {
  std::uint64_t least = static_cast<std::uint64_t>(sysconf(_SC_PHYS_PAGES)) *
                        static_cast<std::uint64_t>(sysconf(_SC_PAGESIZE));
  std::ifstream groups("/proc/self/cgroup");
  // "0::/a/b" of version 2, "5:memory:/a/b" of version 1.
  for (std::string line; std::getline(groups, line);) {
    const std::size_t first = line.find(':');
    const std::size_t second = line.find(':', first + 1);
    if (first == std::string::npos || second == std::string::npos) continue;
    const std::string kinds = line.substr(first + 1, second - first - 1);
    const std::string group = line.substr(second + 1);
    if (kinds.empty()) least = std::min(least, limit_from("/sys/fs/cgroup", group, "memory.max"));
    if (kinds == "memory") {
      least = std::min(least, limit_from("/sys/fs/cgroup/memory", group, "memory.limit_in_bytes"));
    }
  }
  return least == kNone ? 0 : least;
}

void release_unused_memory() { malloc_trim(0); }

}  // namespace switchyard::os
