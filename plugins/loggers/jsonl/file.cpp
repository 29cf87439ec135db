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
    : options_(std::move(other.options_)), fd_(std::exchange(other.fd_, -1)), torn_(other.torn_) {}

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
  const auto numbered = [this](unsigned n) { return options_.path + "." + std::to_string(n); };
  for (unsigned n = options_.keep; n > 1; --n) {
    std::rename(numbered(n - 1).c_str(),
                numbered(n).c_str());  // one that is not there yet is no fault
  }
  if (std::rename(options_.path.c_str(), numbered(1).c_str()) != 0)
    return fault("can't be rotated");
  return reopen();
}

swy::Result<> LogFile::append(std::string_view lines, std::size_t& written) {
  written = 0;
  if (fd_ < 0 || moved_away()) {
    const swy::Result<> opened = reopen();
    if (!opened) return opened;
  }
  struct stat held{};
  if (options_.rotate_bytes > 0 && ::fstat(fd_, &held) == 0 && held.st_size > 0 &&
      static_cast<std::uint64_t>(held.st_size) + lines.size() > options_.rotate_bytes) {
    const swy::Result<> rotated = rotate();
    if (!rotated) return rotated;
  }
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
  return {};
}

swy::Result<> LogFile::sync() {
  if (fd_ >= 0 && ::fdatasync(fd_) != 0 && errno != EINVAL) return fault("can't be synced");
  return {};
}

}  // namespace jsonl
