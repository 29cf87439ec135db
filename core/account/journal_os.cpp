#include "core/account/journal_os.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <vector>

namespace switchyard::account {
namespace fs = std::filesystem;
namespace {

Error system_error(const fs::path& path, const char* what) {
  return Error{path.string() + ": " + what + ": " + std::strerror(errno)};
}

// For file systems that can't allocate: every byte written.
Result<void> fill(int fd, std::uint64_t bytes, const fs::path& file) {
  const off_t end = lseek(fd, 0, SEEK_END);
  if (end < 0) return system_error(file, "seek");
  const std::vector<char> zeros(256 * 1024);
  auto at = static_cast<std::uint64_t>(end);
  while (at < bytes) {
    const auto wanted = static_cast<std::size_t>(std::min<std::uint64_t>(zeros.size(), bytes - at));
    const ssize_t put = pwrite(fd, zeros.data(), wanted, static_cast<off_t>(at));
    if (put < 0 && errno == EINTR) continue;
    if (put <= 0) return system_error(file, "write");
    at += static_cast<std::uint64_t>(put);
  }
  return {};
}

}  // namespace

JournalOs& JournalOs::system() {
  static JournalOs os;
  return os;
}

Result<UniqueFd> JournalOs::open(const fs::path& file, int flags) {
  UniqueFd fd(::open(file.c_str(), flags | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!fd) return system_error(file, "open");
  return fd;
}

Result<void> JournalOs::allocate(int fd, std::uint64_t bytes, const fs::path& file) {
  int failed = 0;
  do {
    failed = fallocate(fd, 0, 0, static_cast<off_t>(bytes)) == 0 ? 0 : errno;
  } while (failed == EINTR);
  if (failed == 0) return {};
  if (failed == EOPNOTSUPP || failed == ENOSYS) return fill(fd, bytes, file);
  errno = failed;
  return system_error(file, "allocate");
}

Result<std::byte*> JournalOs::map(int fd, std::uint64_t bytes, const fs::path& file) {
  const int flags = fd < 0 ? MAP_PRIVATE | MAP_ANONYMOUS : MAP_SHARED;
  void* const at = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, flags, fd, 0);
  if (at == MAP_FAILED) return system_error(file, "map");
  return static_cast<std::byte*>(at);
}

Result<void> JournalOs::sync(std::byte* from, std::uint64_t bytes, const fs::path& file) {
  if (msync(from, bytes, MS_SYNC) == 0) return {};
  return system_error(file, "sync");
}

Result<void> JournalOs::sync_directory(const fs::path& directory) {
  const UniqueFd fd(::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (fd && fsync(fd.get()) == 0) return {};
  return system_error(directory, "sync");
}

Result<void> JournalOs::rename(const fs::path& from, const fs::path& to) {
  if (::rename(from.c_str(), to.c_str()) == 0) return {};
  return system_error(to, "rename");
}

Result<void> JournalOs::remove(const fs::path& file) {
  if (unlink(file.c_str()) == 0 || errno == ENOENT) return {};
  return system_error(file, "remove");
}

}  // namespace switchyard::account
