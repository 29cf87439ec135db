#include "core/plugin/loading.hpp"

#include <dlfcn.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <cstdio>
#include <cstring>
#include <memory>
#include <string_view>
#include <vector>

namespace switchyard::plugin {
namespace {

std::string reason() { return std::strerror(errno); }

std::string octal(mode_t mode) {
  char text[8];
  std::snprintf(text, sizeof text, "%04o", static_cast<unsigned>(mode & 07777u));
  return text;
}

Result<void> check_owner(const struct stat& status, const std::string& what) {
  if (status.st_uid != 0 && status.st_uid != ::geteuid()) {
    return Error{what + " belongs to user " + std::to_string(status.st_uid) +
                 ", expected root or user " + std::to_string(::geteuid())};
  }
  if ((status.st_mode & (S_IWGRP | S_IWOTH)) != 0) {
    return Error{what + " is writable by others (mode " + octal(status.st_mode) +
                 "): chmod go-w it"};
  }
  return {};
}

std::string hex(const unsigned char* bytes, std::size_t n) {
  static constexpr char kHex[] = "0123456789abcdef";
  std::string text;
  for (std::size_t i = 0; i < n; ++i) {
    text += kHex[bytes[i] >> 4];
    text += kHex[bytes[i] & 0xf];
  }
  return text;
}

bool write_all(int fd, const char* bytes, std::size_t n) {
  while (n > 0) {
    const ssize_t done = ::write(fd, bytes, n);
    if (done < 0 && errno == EINTR) continue;
    if (done <= 0) return false;
    bytes += done;
    n -= static_cast<std::size_t>(done);
  }
  return true;
}

// Copies all bytes and returns their SHA-256 in hex.
Result<std::string> copy_bytes(int from, int to) {
  const std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> hash(EVP_MD_CTX_new(),
                                                                     &EVP_MD_CTX_free);
  bool hashed = hash && EVP_DigestInit_ex(hash.get(), EVP_sha256(), nullptr) == 1;
  std::vector<char> buffer(64 * 1024);
  for (;;) {
    const ssize_t n = ::read(from, buffer.data(), buffer.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return Error{"can't be read: " + reason()};
    if (n == 0) break;
    hashed =
        hashed && EVP_DigestUpdate(hash.get(), buffer.data(), static_cast<std::size_t>(n)) == 1;
    if (!write_all(to, buffer.data(), static_cast<std::size_t>(n))) {
      return Error{"can't be copied: " + reason()};
    }
  }
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
  unsigned bytes = 0;
  hashed = hashed && EVP_DigestFinal_ex(hash.get(), digest.data(), &bytes) == 1;
  if (!hashed) return Error{"can't be hashed: OpenSSL has no SHA-256"};
  return hex(digest.data(), bytes);
}

}  // namespace

Descriptor::~Descriptor() {
  if (fd_ >= 0) ::close(fd_);
}

Result<Descriptor> open_directory(const std::filesystem::path& directory) {
  Descriptor opened(::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  struct stat status{};
  if (opened.get() < 0) {
    if (::lstat(directory.c_str(), &status) == 0 && S_ISLNK(status.st_mode)) {
      return Error{"the plugin directory is a symbolic link"};
    }
    return Error{"the plugin directory can't be opened: " + reason()};
  }
  if (::fstat(opened.get(), &status) != 0) {
    return Error{"the plugin directory can't be read: " + reason()};
  }
  if (Result<void> ok = check_owner(status, "the plugin directory"); !ok) return ok.error();
  return opened;
}

Result<Descriptor> open_file(const Descriptor& directory, const std::string& name) {
  // Not blocking: a FIFO of that name would wait for its other end.
  Descriptor opened(
      ::openat(directory.get(), name.c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK));
  if (opened.get() < 0) {
    if (errno == ELOOP) return Error{"is a symbolic link"};
    return Error{"can't be opened: " + reason()};
  }
  struct stat status{};
  if (::fstat(opened.get(), &status) != 0) return Error{"can't be read: " + reason()};
  if (!S_ISREG(status.st_mode)) return Error{"is not a regular file"};
  if (Result<void> ok = check_owner(status, "the file"); !ok) return ok.error();
  return opened;
}

Result<Copy> copy_private(const Descriptor& source, const std::filesystem::path& directory,
                          unsigned generation) {
  std::error_code failed;
  std::filesystem::create_directories(directory.parent_path(), failed);
  if (::mkdir(directory.c_str(), 0700) != 0 && errno != EEXIST) {
    return Error{"can't be copied: " + directory.string() + ": " + reason()};
  }
  struct stat status{};
  if (::lstat(directory.c_str(), &status) != 0 || !S_ISDIR(status.st_mode)) {
    return Error{"can't be copied: " + directory.string() + " is not a directory"};
  }
  if (Result<void> ok = check_owner(status, directory.string()); !ok) {
    return Error{"can't be copied: " + ok.error().message};
  }

  const std::string tail = "." + std::to_string(::getpid()) + "." + std::to_string(generation);
  const std::filesystem::path incoming = directory / ("incoming" + tail);
  // Left by an earlier process of the same number: nobody maps it.
  ::unlink(incoming.c_str());
  const Descriptor target(
      ::open(incoming.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
  if (target.get() < 0) return Error{"can't be copied: " + incoming.string() + ": " + reason()};
  Result<std::string> sha256 = copy_bytes(source.get(), target.get());
  if (!sha256) {
    ::unlink(incoming.c_str());
    return std::move(sha256).error();
  }
  const std::filesystem::path path = directory / (sha256->substr(0, 32) + tail + ".so");
  if (::rename(incoming.c_str(), path.c_str()) != 0) {
    const std::string why = reason();
    ::unlink(incoming.c_str());
    return Error{"can't be copied: " + path.string() + ": " + why};
  }
  return Copy{.path = path, .sha256 = std::move(*sha256)};
}

void remove_stale_copies(const std::filesystem::path& directory) {
  std::error_code failed;
  for (const auto& entry : std::filesystem::directory_iterator(directory, failed)) {
    // HASH.PID.GENERATION.so or incoming.PID.GENERATION
    const std::string name = entry.path().filename().string();
    const std::size_t dot = name.find('.');
    if (dot == std::string::npos) continue;
    pid_t pid = 0;
    const auto parsed = std::from_chars(name.data() + dot + 1, name.data() + name.size(), pid);
    if (parsed.ec != std::errc{} || pid <= 0 || *parsed.ptr != '.') continue;
    if (::kill(pid, 0) != 0 && errno == ESRCH) std::filesystem::remove(entry.path(), failed);
  }
}

// Plain dlopen: Boost.DLL would add lazy binding unless told not to, words its errors generically,
// and exists to unload what this host never unloads.
Result<Entry> map_library(const std::filesystem::path& file) {
  void* handle = ::dlopen(file.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (!handle) {
    // The text begins with the private copy's name, which tells nobody anything.
    std::string text = ::dlerror();
    const std::string prefix = file.string() + ": ";
    if (text.starts_with(prefix)) text.erase(0, prefix.size());
    return Error{"can't be loaded: " + text};
  }
  void* symbol = ::dlsym(handle, SWY_ENTRY_NAME);
  if (!symbol) return Error{"does not export " SWY_ENTRY_NAME};
  return Entry{reinterpret_cast<swy_entry>(symbol)};
}

}  // namespace switchyard::plugin
