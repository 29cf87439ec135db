// The state directory: who may enter it, and the two secrets in it that are made once.
#include <fcntl.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <optional>

#include "core/store/store.hpp"

namespace switchyard::store {
namespace fs = std::filesystem;
namespace {

constexpr std::size_t kSecretBytes = 32;

class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int get() const { return fd_; }
  bool ok() const { return fd_ >= 0; }

 private:
  int fd_;
};

Error system_error(const fs::path& path, const char* what) {
  return Error{path.string() + ": " + what + ": " + std::strerror(errno)};
}

// Whether only this user can read and change what the descriptor is open on.
Result<void> check_private(int fd, const fs::path& path, const char* remedy) {
  struct stat facts{};
  if (fstat(fd, &facts) != 0) return system_error(path, "stat");
  if (facts.st_uid != geteuid()) {
    return Error{path.string() + ": belongs to user " + std::to_string(facts.st_uid) +
                 ", and this is user " + std::to_string(geteuid())};
  }
  if ((facts.st_mode & 077) != 0) {
    return Error{path.string() + ": open to other users; run: " + remedy + " " + path.string()};
  }
  return {};
}

Result<void> make_directory(const fs::path& directory) {
  std::error_code error;
  const fs::path parent = directory.parent_path();
  if (!parent.empty()) fs::create_directories(parent, error);
  if (error) return Error{parent.string() + ": " + error.message()};
  if (mkdir(directory.c_str(), 0700) != 0 && errno != EEXIST) {
    return system_error(directory, "mkdir");
  }
  return {};
}

// The file's bytes, nothing where there is no such file.
Result<std::optional<std::string>> read_private(int directory, const fs::path& path) {
  const Descriptor file(
      openat(directory, path.filename().c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
  if (!file.ok() && errno == ENOENT) return std::optional<std::string>();
  if (!file.ok()) return system_error(path, "open");
  const auto checked = check_private(file.get(), path, "chmod 600");
  if (!checked) return checked.error();
  char bytes[256];
  ssize_t got = 0;
  do {
    got = read(file.get(), bytes, sizeof bytes);
  } while (got < 0 && errno == EINTR);
  if (got < 0) return system_error(path, "read");
  std::optional<std::string> text(std::in_place, bytes, static_cast<std::size_t>(got));
  OPENSSL_cleanse(bytes, sizeof bytes);
  return text;
}

Result<void> write_all(int fd, std::string_view bytes, const fs::path& path) {
  while (!bytes.empty()) {
    const ssize_t put = write(fd, bytes.data(), bytes.size());
    if (put < 0 && errno == EINTR) continue;
    if (put < 0) return system_error(path, "write");
    bytes.remove_prefix(static_cast<std::size_t>(put));
  }
  if (fsync(fd) != 0) return system_error(path, "fsync");
  return {};
}

// Puts the whole file there at once, unless somebody else was first: then theirs stays. False: it
// was theirs.
Result<bool> write_private(int directory, const fs::path& path, std::string_view bytes) {
  const std::string name = path.filename().string();
  const std::string draft = name + "." + std::to_string(getpid()) + ".new";
  unlinkat(directory, draft.c_str(), 0);  // left by a process of this id that was killed here
  const Descriptor file(
      openat(directory, draft.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!file.ok()) return system_error(path, "create");
  const auto written = write_all(file.get(), bytes, path);
  const bool placed = written && renameat2(directory, draft.c_str(), directory, name.c_str(),
                                           RENAME_NOREPLACE) == 0;
  if (placed) {
    if (fsync(directory) != 0) return system_error(path, "fsync of its directory");
    return true;
  }
  const int why = errno;
  unlinkat(directory, draft.c_str(), 0);
  if (!written) return written.error();
  errno = why;
  if (why == EEXIST) return false;
  return system_error(path, "rename");
}

Result<std::string> random_bytes() {
  std::string bytes(kSecretBytes, '\0');
  if (RAND_bytes(reinterpret_cast<unsigned char*>(bytes.data()), kSecretBytes) != 1) {
    return Error{"openssl: no random bytes"};
  }
  return bytes;
}

// RFC 4648, section 5, without padding.
std::string base64url(const std::string& bytes) {
  std::string text(4 * ((bytes.size() + 2) / 3) + 1, '\0');
  const int length = EVP_EncodeBlock(reinterpret_cast<unsigned char*>(text.data()),
                                     reinterpret_cast<const unsigned char*>(bytes.data()),
                                     static_cast<int>(bytes.size()));
  text.resize(static_cast<std::size_t>(length));
  while (text.ends_with('=')) text.pop_back();
  for (char& c : text) {
    if (c == '+') c = '-';
    if (c == '/') c = '_';
  }
  return text;
}

struct Kept {
  std::string bytes;
  bool fresh = false;
};

// What the file holds; if there is none it is made with `made`.
Result<Kept> keep(int directory, const fs::path& path, const std::string& made) {
  auto found = read_private(directory, path);
  if (!found) return found.error();
  if (*found) return Kept{std::move(**found), false};
  const auto placed = write_private(directory, path, made);
  if (!placed) return placed.error();
  if (*placed) return Kept{made, true};
  found = read_private(directory, path);
  if (!found) return found.error();
  if (!*found) return Error{path.string() + ": appeared and went again"};
  return Kept{std::move(**found), false};
}

}  // namespace

Result<State> open_state(const fs::path& directory) {
  if (directory.empty()) return Error{"the state directory has no name"};
  const auto made = make_directory(directory);
  if (!made) return made.error();
  const Descriptor opened(open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!opened.ok()) return system_error(directory, "open");
  const auto checked = check_private(opened.get(), directory, "chmod 700");
  if (!checked) return checked.error();

  const auto pepper_bytes = random_bytes();
  const auto token_bytes = random_bytes();
  if (!pepper_bytes) return pepper_bytes.error();
  if (!token_bytes) return token_bytes.error();

  auto pepper = keep(opened.get(), directory / "pepper", *pepper_bytes);
  if (!pepper) return pepper.error();
  if (pepper->bytes.size() != kSecretBytes) {
    return Error{(directory / "pepper").string() + ": has " + std::to_string(pepper->bytes.size()) +
                 " bytes, expected 32; with another pepper no gateway key is known any more"};
  }
  auto token = keep(opened.get(), directory / "admin.token", base64url(*token_bytes) + "\n");
  if (!token) return token.error();
  while (token->bytes.ends_with('\n') || token->bytes.ends_with('\r')) token->bytes.pop_back();
  if (token->bytes.size() < 32) {
    return Error{(directory / "admin.token").string() +
                 ": shorter than 32 characters; remove it to have a new one made"};
  }
  return State{directory, std::move(pepper->bytes), std::move(token->bytes), token->fresh};
}

Result<void> write_admin_url(const fs::path& directory, const std::string& url) {
  const fs::path path = directory / "admin.url";
  const fs::path draft = directory / ("admin.url." + std::to_string(getpid()) + ".new");
  {
    std::ofstream file(draft);
    file << url << '\n';
    if (!file.flush()) return system_error(draft, "write");
  }
  if (rename(draft.c_str(), path.c_str()) != 0) return system_error(path, "rename");
  return {};
}

Result<std::string> read_admin_url(const fs::path& directory) {
  const fs::path path = directory / "admin.url";
  std::ifstream file(path);
  std::string url;
  if (!std::getline(file, url)) {
    return Error{path.string() + ": not there: no gateway has served with this state directory"};
  }
  return url;
}

}  // namespace switchyard::store
