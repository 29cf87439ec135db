#include "loggers/jsonl/file.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>

namespace jsonl {

swy::Result<LogFile> LogFile::open(FileOptions options) {
  LogFile file(std::move(options));
  const swy::Result<> opened = file.reopen();
  if (!opened) return opened.error();
  return file;
}

LogFile::LogFile(LogFile&& other) noexcept
    : options_(std::move(other.options_)),
      fd_(std::exchange(other.fd_, -1)),
      torn_(other.torn_),
      last_s_(other.last_s_),
      pruned_s_(other.pruned_s_),
      trouble_(std::move(other.trouble_)) {}

LogFile::~LogFile() { close(); }

void LogFile::close() {
  if (fd_ >= 0) ::close(fd_);
  fd_ = -1;
}

swy::Error LogFile::fault(const char* what) const {
  const int code = errno;
  return {SWY_CLS_PLUGIN, options_.path + ": " + what + ": " + std::strerror(code)};
}

swy::Result<> LogFile::reopen() {
  close();
  torn_ = false;
  // Records name accounts and keys: for the owner only.
  fd_ = ::open(options_.path.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
  if (fd_ < 0) return fault("can't be opened");
  struct stat held{};
  const bool has_lines = ::fstat(fd_, &held) == 0 && held.st_size > 0;
  last_s_ = has_lines ? static_cast<std::uint64_t>(held.st_mtim.tv_sec) : 0;
  return {};
}

// Another process may have rotated the file, or an operator's tool moved it.
bool LogFile::moved_away() const {
  struct stat named{};
  struct stat held{};
  if (::stat(options_.path.c_str(), &named) != 0 || ::fstat(fd_, &held) != 0) return true;
  return named.st_ino != held.st_ino || named.st_dev != held.st_dev;
}

swy::Result<> LogFile::rotate() {
  for (unsigned n = options_.keep; n > 1; --n) {
    // One that is not there yet is no fault; any other would lose the next file.
    if (std::rename(numbered(n - 1).c_str(), numbered(n).c_str()) != 0 && errno != ENOENT) {
      return fault("can't be rotated");
    }
  }
  if (std::rename(options_.path.c_str(), numbered(1).c_str()) != 0) {
    return fault("can't be rotated");
  }
  return reopen();
}

void LogFile::rotate_where_due(std::size_t bytes, std::uint64_t now_s) {
  struct stat held{};
  if (::fstat(fd_, &held) != 0 || held.st_size == 0) return;
  const std::uint64_t every = options_.rotate_every_s;
  const bool too_large = options_.rotate_bytes > 0 &&
                         static_cast<std::uint64_t>(held.st_size) + bytes > options_.rotate_bytes;
  const bool too_old = every > 0 && last_s_ > 0 && last_s_ / every < now_s / every;
  if (!too_large && !too_old) return;
  const swy::Result<> rotated = rotate();
  trouble_ = rotated ? "" : rotated.error().message;
  if (rotated) pruned_s_ = 0;
}

// Old files that are older than they may be; looked for after a rotation, and once an hour.
void LogFile::prune(std::uint64_t now_s) {
  if (options_.keep_for_s == 0 || (pruned_s_ != 0 && now_s < pruned_s_ + 3600)) return;
  pruned_s_ = now_s;
  for (unsigned n = 1; n <= options_.keep; ++n) {
    struct stat old{};
    const std::string path = numbered(n);
    if (::stat(path.c_str(), &old) != 0) continue;
    if (static_cast<std::uint64_t>(old.st_mtim.tv_sec) + options_.keep_for_s < now_s) {
      ::unlink(path.c_str());
    }
  }
}

swy::Result<> LogFile::append(std::string_view lines, std::size_t& written,
                              std::uint64_t now_unix_ns) {
  const std::uint64_t now_s = now_unix_ns / 1'000'000'000;
  written = 0;
  if (fd_ < 0 || moved_away()) {
    const swy::Result<> opened = reopen();
    if (!opened) return opened;
  }
  rotate_where_due(lines.size(), now_s);
  prune(now_s);
  // A rotation may have moved the file away and then found no room for a new one.
  if (fd_ < 0) return swy::Error{SWY_CLS_PLUGIN, trouble_};
  if (torn_) {
    if (::write(fd_, "\n", 1) != 1) return fault("can't be written");
    torn_ = false;
  }
  while (written < lines.size()) {
    const ssize_t n = ::write(fd_, lines.data() + written, lines.size() - written);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) {
      torn_ = written > 0 && lines[written - 1] != '\n';
      return fault("can't be written");
    }
    written += static_cast<std::size_t>(n);
  }
  last_s_ = now_s;
  return {};
}

swy::Result<> LogFile::sync() {
  if (fd_ >= 0 && ::fdatasync(fd_) != 0 && errno != EINVAL) return fault("can't be synced");
  return {};
}

}  // namespace jsonl
