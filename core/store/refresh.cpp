#include "core/store/refresh.hpp"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <string>

#include "core/base/os_file.hpp"

namespace switchyard::store {
namespace fs = std::filesystem;
namespace {

constexpr char kName[] = "refresh.sock";
constexpr int kBacklog = 128;

// A socket's address holds 107 bytes, and a directory may be deeper than that: so it is reached by
// its descriptor.
struct Place {
  UniqueFd directory;
  sockaddr_un address{};

  Place(const fs::path& state_directory, const std::string& name)
      : directory(open(state_directory.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC)) {
    const std::string path = "/proc/self/fd/" + std::to_string(directory.get()) + "/" + name;
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
  }
  const sockaddr* raw() const { return reinterpret_cast<const sockaddr*>(&address); }
};

}  // namespace

Result<UniqueFd> listen_for_refresh(const fs::path& state_directory) {
  const std::string draft = std::string(kName) + "." + std::to_string(getpid()) + ".new";
  const Place place(state_directory, draft);
  if (!place.directory) return system_error(state_directory, "open");
  const int directory = place.directory.get();
  unlinkat(directory, draft.c_str(), 0);  // left by a process of this id that was killed here
  UniqueFd fd(socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  // Named only once it listens: a name that refuses is a dead worker's.
  const bool ready = fd && bind(fd.get(), place.raw(), sizeof place.address) == 0 &&
                     listen(fd.get(), kBacklog) == 0 &&
                     renameat(directory, draft.c_str(), directory, kName) == 0;
  if (!ready) return system_error(state_directory / kName, "listen");
  return fd;
}

Refreshed ask_refresh(const fs::path& state_directory, std::chrono::milliseconds timeout) {
  const Place place(state_directory, kName);
  const UniqueFd fd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!place.directory || !fd) return Refreshed::kNobody;
  const auto ms = timeout.count();
  const timeval wait{ms / 1000, ms % 1000 * 1000};
  setsockopt(fd.get(), SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof wait);  // of connect() too
  setsockopt(fd.get(), SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof wait);
  if (connect(fd.get(), place.raw(), sizeof place.address) != 0) {
    return errno == EAGAIN || errno == EINTR ? Refreshed::kLate : Refreshed::kNobody;
  }
  char answer = 0;
  ssize_t got = 0;
  do {
    got = recv(fd.get(), &answer, 1, 0);
  } while (got < 0 && errno == EINTR);
  if (got == 1) return Refreshed::kDone;
  // A worker that ended meanwhile: the next one begins with what the store says.
  return got == 0 || errno == ECONNRESET ? Refreshed::kNobody : Refreshed::kLate;
}

}  // namespace switchyard::store
