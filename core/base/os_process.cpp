#include "core/base/os_process.hpp"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <optional>
#include <system_error>

#include "core/base/clock.hpp"
#include "core/base/os_fd.hpp"

namespace switchyard::os {
namespace {

constexpr std::size_t kOutputMax = 16 * 1024;

[[noreturn]] void become(const char* program, char* const* arguments, int output_fd) {
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
  const int input = open("/dev/null", O_RDONLY);
  dup2(input, STDIN_FILENO);
  dup2(output_fd, STDOUT_FILENO);
  dup2(output_fd, STDERR_FILENO);
  execv(program, arguments);
  _exit(127);
}

// Reads until the end or the deadline; false at the deadline.
bool read_all(int fd, std::uint64_t deadline_ns, std::string& output) {
  char piece[4096];
  for (;;) {
    const std::uint64_t now = mono_ns();
    if (now >= deadline_ns) return false;
    pollfd waited{fd, POLLIN, 0};
    const int ready = poll(&waited, 1, static_cast<int>((deadline_ns - now) / 1'000'000 + 1));
    if (ready <= 0) continue;
    const ssize_t size = read(fd, piece, sizeof piece);
    if (size < 0 && errno == EINTR) continue;
    if (size <= 0) return true;
    const std::size_t room = kOutputMax - std::min(output.size(), kOutputMax);
    output.append(piece, std::min(static_cast<std::size_t>(size), room));
  }
}

// Of the process that /proc/ID tells of; empty: there is none, nothing: that can't be told. The
// 22nd field of stat is when it began, and the second one, which may hold anything, ends with the
// last parenthesis (proc(5)).
std::optional<std::string> mark_of(const std::string& id) {
  const UniqueFd file(open(("/proc/" + id + "/stat").c_str(), O_RDONLY | O_CLOEXEC));
  char buffer[1024];
  const ssize_t size = file ? read(file.get(), buffer, sizeof buffer) : -1;
  if (size < 0) {
    const bool gone = errno == ENOENT || errno == ESRCH;
    return gone ? std::optional<std::string>("") : std::nullopt;
  }
  const std::string_view stat(buffer, static_cast<std::size_t>(size));
  std::size_t at = stat.rfind(')');
  for (int field = 2; field < 22 && at != std::string::npos; ++field) at = stat.find(' ', at + 1);
  if (at == std::string::npos) return std::nullopt;
  return id + "-" + std::string(stat.substr(at + 1, stat.find(' ', at + 1) - at - 1));
}

int exit_code_of(int status) {
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

}  // namespace

std::string own_mark() {
  static const std::string mark = mark_of(std::to_string(getpid())).value_or("");
  return mark;
}

bool is_alive(std::string_view mark) {
  const std::string id(mark.substr(0, mark.find('-')));
  if (id.empty() || id.find_first_not_of("0123456789") != std::string::npos) return false;
  const auto now = mark_of(id);
  return !now || *now == mark;
}

std::filesystem::path own_binary() {
  std::error_code error;
  auto path = std::filesystem::read_symlink("/proc/self/exe", error);
  if (error) path.clear();
  return path;
}

std::size_t raise_descriptor_limit() {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return 0;
  if (limit.rlim_cur < limit.rlim_max) {
    rlimit raised = limit;
    raised.rlim_cur = limit.rlim_max;
    if (setrlimit(RLIMIT_NOFILE, &raised) == 0) limit = raised;
  }
  return limit.rlim_cur;
}

Result<Finished> run_program(const std::filesystem::path& program,
                             const std::vector<std::string>& arguments,
                             std::chrono::milliseconds deadline) {
  if (access(program.c_str(), X_OK) != 0) {
    return Error{program.string() + ": " + std::strerror(errno)};
  }
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return Error{std::string("pipe: ") + std::strerror(errno)};
  UniqueFd reader(ends[0]), writer(ends[1]);

  std::vector<std::string> copies{program.string()};
  copies.insert(copies.end(), arguments.begin(), arguments.end());
  std::vector<char*> raw;
  for (std::string& copy : copies) raw.push_back(copy.data());
  raw.push_back(nullptr);

  const pid_t child = fork();
  if (child < 0) return Error{std::string("fork: ") + std::strerror(errno)};
  if (child == 0) become(copies[0].c_str(), raw.data(), writer.get());
  writer.reset();

  Finished finished;
  const std::uint64_t end_ns =
      mono_ns() + static_cast<std::uint64_t>(deadline.count()) * 1'000'000u;
  const bool ended = read_all(reader.get(), end_ns, finished.output);
  if (!ended) kill(child, SIGKILL);
  int status = 0;
  while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  if (!ended)
    return Error{program.string() + ": no end after " + std::to_string(deadline.count()) + " ms"};
  finished.exit_code = exit_code_of(status);
  return finished;
}

void notify_service_manager(std::string_view lines) {
  const char* path = std::getenv("NOTIFY_SOCKET");
  if (path == nullptr || (path[0] != '/' && path[0] != '@')) return;
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  const std::size_t size = std::strlen(path);
  if (size >= sizeof address.sun_path) return;
  std::memcpy(address.sun_path, path, size);
  if (path[0] == '@') address.sun_path[0] = '\0';  // a name of the abstract space
  const auto address_size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + size);

  const UniqueFd fd(socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (!fd) return;
  // Nobody waits for the answer: a service manager that is gone is not our fault to report.
  [[maybe_unused]] const ssize_t sent =
      sendto(fd.get(), lines.data(), lines.size(), MSG_NOSIGNAL,
             reinterpret_cast<const sockaddr*>(&address), address_size);
}

int dup_closed_on_exec(int fd) { return fcntl(fd, F_DUPFD_CLOEXEC, 3); }

void set_inherited(int fd, bool inherited) {
  const int flags = fcntl(fd, F_GETFD);
  if (flags < 0) return;
  fcntl(fd, F_SETFD, inherited ? flags & ~FD_CLOEXEC : flags | FD_CLOEXEC);
}

}  // namespace switchyard::os
