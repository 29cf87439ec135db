#include "core/supervisor/worker_process.hpp"

#include <signal.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstring>

#include "core/base/clock.hpp"
#include "core/base/os_process.hpp"

namespace switchyard::supervisor {
namespace {

// Between fork and exec. Ignored signals stay ignored through exec: a terminal's Ctrl-C and a
// service manager's SIGTERM reach the whole group, but only the supervisor decides what they mean.
[[noreturn]] void become_worker(const ListenerSet& sockets, int control, char* const* arguments) {
  for (const auto& listener : sockets.open) os::set_inherited(listener->fd.get(), true);
  os::set_inherited(control, true);
  for (const int number : {SIGINT, SIGTERM, SIGHUP, SIGUSR1, SIGUSR2, SIGPIPE}) {
    signal(number, SIG_IGN);
  }
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
  execv("/proc/self/exe", arguments);
  _exit(127);
}

std::string descriptor_list(const ListenerSet& sockets) {
  std::string list;
  for (const auto& listener : sockets.open) {
    if (!list.empty()) list += ',';
    list += std::to_string(listener->fd.get());
  }
  return list;
}

}  // namespace

Result<WorkerProcess> start_worker(const ListenerSet& sockets, std::vector<std::string> arguments) {
  int ends[2];
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) != 0) {
    return Error{std::string("control socket: ") + std::strerror(errno)};
  }
  WorkerProcess worker;
  worker.control = UniqueFd(ends[0]);
  const UniqueFd theirs(ends[1]);

  std::vector<std::string> all{"switchyard", "worker",
                               "--control",  std::to_string(theirs.get()),
                               "--listen",   descriptor_list(sockets)};
  all.insert(all.end(), std::make_move_iterator(arguments.begin()),
             std::make_move_iterator(arguments.end()));
  std::vector<char*> raw;
  for (std::string& argument : all) raw.push_back(argument.data());
  raw.push_back(nullptr);

  worker.started_ns = mono_ns();
  worker.pid = fork();
  if (worker.pid < 0) return Error{std::string("fork: ") + std::strerror(errno)};
  if (worker.pid == 0) become_worker(sockets, theirs.get(), raw.data());
  return worker;
}

}  // namespace switchyard::supervisor
