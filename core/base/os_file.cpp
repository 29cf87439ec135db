#include "core/base/os_file.hpp"

#include <sys/file.h>

#include <cerrno>
#include <cstring>

namespace switchyard {

Error system_error(const std::filesystem::path& file, const char* what) {
  return Error{file.string() + ": " + what + ": " + std::strerror(errno)};
}

int lock_file(int fd, int operation) {
  int done = 0;
  do {
    done = flock(fd, operation);
  } while (done != 0 && errno == EINTR);
  return done;
}

}  // namespace switchyard
