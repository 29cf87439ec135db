// The worker: the process that serves. The supervisor starts it, hands it the listening sockets and
// talks to it over one control socket (core/worker/control.hpp).
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "core/config/config.hpp"

namespace switchyard {

struct WorkerOptions {
  config::LoadOptions load;
  std::vector<int>
      listen_fds;  // bound and listening, in the order of Config::listen; shared with other workers
  int control_fd =
      -1;  // SOCK_SEQPACKET, nonblocking; its end of file means that the supervisor died
  std::uint16_t admin_port =
      0;  // bind the admin listener to Config::admin.address and this port, with SO_REUSEPORT:
          // the supervisor reserves it, and an older worker may still be draining on it
  std::filesystem::path state;  // takes the place of Config::state
  std::string log_level;        // given on the command line; empty: Config::log_level
  bool open_access = false;     // there was no gateway key at all and every listener is loopback:
                                // serve without one until the first key exists
};

// The worker can't serve with this configuration and starting it again would not help; the log says
// why.
inline constexpr int kWorkerCannotStart = 78;  // EX_CONFIG of sysexits.h

// Runs until it has drained. Returns the exit code of the process: 0 after DRAIN or after the
// control socket's end, kWorkerCannotStart, or 1.
// - It sends READY once it accepts.
// - DRAIN: take what is queued on the listening sockets, close them (a successor may want to bind),
// refuse no request that
//   has begun, cut what is left at the deadline, send DRAINED, return. The control socket's end of
//   file means the same with limits.drain_timeout.
// - RELOAD: load again; answer RELOADED, or REFUSED with the faults and serve on as before.
// SIGINT, SIGTERM, SIGHUP, SIGUSR1, SIGUSR2 and SIGPIPE are ignored: they are the supervisor's.
int run_worker(const WorkerOptions& options);

}  // namespace switchyard
