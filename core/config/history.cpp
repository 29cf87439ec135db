#include "core/config/history.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>

#include "core/base/os_fd.hpp"
#include "core/base/utc.hpp"
#include "core/config/json_text.hpp"

namespace switchyard::config {
namespace fs = std::filesystem;
namespace {

constexpr mode_t kPrivate = 0600;

Error system_error(const fs::path& path, const char* what) {
  return Error{path.string() + ": " + what + ": " + std::strerror(errno)};
}

Result<void> write_durably(const fs::path& file, const std::string& text, mode_t mode) {
  const UniqueFd fd(open(file.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, mode));
  if (fd.get() < 0) return system_error(file, "create");
  if (fchmod(fd.get(), mode) != 0) return system_error(file, "chmod");
  std::string_view rest = text;
  while (!rest.empty()) {
    const ssize_t put = write(fd.get(), rest.data(), rest.size());
    if (put < 0 && errno == EINTR) continue;
    if (put < 0) return system_error(file, "write");
    rest.remove_prefix(static_cast<std::size_t>(put));
  }
  if (fsync(fd.get()) != 0) return system_error(file, "fsync");
  return {};
}

Result<void> sync_directory(const fs::path& directory) {
  const UniqueFd fd(open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (fd.get() < 0) return system_error(directory, "open");
  if (fsync(fd.get()) != 0) return system_error(directory, "fsync");
  return {};
}

Result<void> put_file(const fs::path& file, const std::string& text, mode_t mode) {
  fs::path draft = file;
  draft += "." + std::to_string(getpid()) + ".new";
  unlink(draft.c_str());  // left by a process of this id that was killed here
  auto written = write_durably(draft, text, mode);
  if (written && rename(draft.c_str(), file.c_str()) != 0) written = system_error(file, "rename");
  if (!written) {
    unlink(draft.c_str());
    return written;
  }
  return sync_directory(file.parent_path());
}

// "20261121T194000Z" and back.
std::string compact(std::string at) {
  std::erase_if(at, [](char c) { return c == '-' || c == ':'; });
  return at;
}

std::string spread(const std::string& compacted) {
  if (compacted.size() != 16) return "?";
  const auto part = [&](std::size_t at, std::size_t n) { return compacted.substr(at, n); };
  return part(0, 4) + "-" + part(4, 2) + "-" + part(6, 5) + ":" + part(11, 2) + ":" + part(13, 3);
}

}  // namespace

Result<void> replace_file(const fs::path& file, const std::string& text) {
  // What a link points to is replaced, not the link.
  std::error_code unknown;
  const fs::path real = fs::canonical(file, unknown);
  if (unknown) return Error{file.string() + ": " + unknown.message()};
  struct stat facts{};
  if (stat(real.c_str(), &facts) != 0) return system_error(real, "stat");
  return put_file(real, text, facts.st_mode & 07777);
}

Result<std::vector<History::Named>> History::files() const {
  std::vector<Named> found;
  std::error_code fault;
  fs::directory_iterator each(directory_, fault);
  if (fault == std::errc::no_such_file_or_directory) return found;
  for (; !fault && each != fs::directory_iterator(); each.increment(fault)) {
    const std::string name = each->path().filename().string();
    const std::size_t bar = name.find('_');
    std::uint64_t number = 0;
    const auto read = std::from_chars(name.data(), name.data() + name.size(), number);
    if (!name.ends_with("Z.json") || read.ptr != name.data() + std::min(bar, name.size())) continue;
    found.push_back({number, each->path()});
  }
  if (fault) return Error{directory_.string() + ": " + fault.message()};
  std::sort(found.begin(), found.end(),
            [](const Named& a, const Named& b) { return a.number > b.number; });
  return found;
}

Result<std::vector<History::Entry>> History::list() const {
  const auto named = files();
  if (!named) return named.error();
  std::vector<Entry> entries;
  for (const Named& each : *named) {
    const std::string stem = each.file.stem().string();
    std::error_code gone;
    const std::uint64_t bytes = fs::file_size(each.file, gone);
    if (gone) continue;
    entries.push_back(
        {std::to_string(each.number), spread(stem.substr(stem.find('_') + 1)), bytes});
  }
  return entries;
}

Result<std::string> History::text(const std::string& id) const {
  const auto named = files();
  if (!named) return named.error();
  for (const Named& each : *named) {
    if (std::to_string(each.number) == id) return read_file(each.file);
  }
  return Error{"there is no entry " + id + " in the history"};
}

Result<void> History::add(const std::string& text, std::uint64_t unix_s) const {
  const auto named = files();
  if (!named) return named.error();
  if (!named->empty()) {
    const auto newest = read_file(named->front().file);
    if (newest && *newest == text) return {};
  }
  if (mkdir(directory_.c_str(), 0700) != 0 && errno != EEXIST) {
    return system_error(directory_, "mkdir");
  }
  const std::uint64_t number = named->empty() ? 1 : named->front().number + 1;
  const std::string digits = std::to_string(number);
  const std::string padded = std::string(6 - std::min<std::size_t>(6, digits.size()), '0') + digits;
  auto put =
      put_file(directory_ / (padded + "_" + compact(utc_text(unix_s)) + ".json"), text, kPrivate);
  if (!put) return put;
  for (std::size_t i = kEntriesMax - 1; i < named->size(); ++i) unlink((*named)[i].file.c_str());
  return {};
}

}  // namespace switchyard::config
