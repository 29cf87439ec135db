#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <vector>

#include "core/base/os_fd.hpp"
#include "core/base/result.hpp"
#include "core/supervisor/listeners.hpp"

namespace switchyard::supervisor {

struct WorkerProcess {
  pid_t pid = 0;
  UniqueFd control;
  std::uint64_t started_ns = 0;
  std::uint64_t kill_at_ns = 0;  // 0: never
  bool ready = false;
};

// Starts this very binary (also where its file was replaced meanwhile) as `switchyard worker
// --control FD --listen FD,...` and the given arguments.
Result<WorkerProcess> start_worker(const ListenerSet& sockets, std::vector<std::string> arguments);

}  // namespace switchyard::supervisor
