#include "core/cli/plugin_file.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <iterator>

namespace switchyard::cli {
namespace fs = std::filesystem;
namespace {

Error system_error(const fs::path& path, const char* what) {
  return Error{path.string() + ": " + what + ": " + std::strerror(errno)};
}

Result<std::string> read_file(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  std::string bytes{std::istreambuf_iterator<char>(file), {}};
  if (!file.is_open() || file.bad() || bytes.empty())
    return Error{path.string() + ": can't be read"};
  return bytes;
}

Result<void> write_file(const fs::path& path, const std::string& bytes) {
  ::unlink(path.c_str());  // left by a process of this number
  const int file = ::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);
  if (file < 0) return system_error(path, "can't be made");
  std::size_t written = 0;
  bool good = true;
  while (good && written < bytes.size()) {
    const ssize_t n = ::write(file, bytes.data() + written, bytes.size() - written);
    good = n > 0 || (n < 0 && errno == EINTR);
    if (n > 0) written += static_cast<std::size_t>(n);
  }
  // Whatever the umask: the host refuses a file that others may write.
  good = good && ::fchmod(file, 0644) == 0 && ::fsync(file) == 0;
  if (!good) {
    const Error failed = system_error(path, "can't be written");
    ::close(file);
    ::unlink(path.c_str());
    return failed;
  }
  ::close(file);
  return {};
}

}  // namespace

Result<InstalledFile> InstalledFile::install(const fs::path& source, const fs::path& directory) {
  const auto bytes = read_file(source);
  if (!bytes) return bytes.error();
  const std::string name = source.filename().string();
  const std::string aside = "." + name + "." + std::to_string(::getpid());
  const fs::path fresh = directory / (aside + ".new");
  InstalledFile file;
  file.settled_ = true;  // until something is in place there is nothing to undo
  file.target_ = directory / name;
  if (const auto written = write_file(fresh, *bytes); !written) return written.error();

  const fs::path before = directory / (aside + ".old");
  ::unlink(before.c_str());
  if (::link(file.target_.c_str(), before.c_str()) == 0) {
    file.before_ = before;
  } else if (errno != ENOENT) {
    const Error failed = system_error(file.target_, "can't be set aside");
    ::unlink(fresh.c_str());
    return failed;
  }
  if (::rename(fresh.c_str(), file.target_.c_str()) != 0) {
    const Error failed = system_error(file.target_, "can't be put in place");
    ::unlink(fresh.c_str());
    ::unlink(before.c_str());
    return failed;
  }
  file.settled_ = false;
  return file;
}

InstalledFile::InstalledFile(InstalledFile&& other) noexcept
    : target_(std::move(other.target_)),
      before_(std::move(other.before_)),
      settled_(std::exchange(other.settled_, true)) {}

void InstalledFile::keep() {
  if (!before_.empty()) ::unlink(before_.c_str());
  settled_ = true;
}

InstalledFile::~InstalledFile() {
  if (settled_) return;
  if (before_.empty()) {
    ::unlink(target_.c_str());
  } else {
    ::rename(before_.c_str(), target_.c_str());
  }
}

}  // namespace switchyard::cli
