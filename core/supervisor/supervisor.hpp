// The parent process: owns the listening sockets and the signals, keeps one worker serving,
// replaces it and itself. One thread; loads no plugin, so that nothing a plugin does can take it
// down.
//
//   SIGTERM, SIGINT  drain, then leave; a second one kills at once
//   SIGHUP           load the configuration again; a faulty one is refused and the old one serves
//   on SIGUSR2          become the binary that now lies where this one was started from, under the
//   same process id
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "core/supervisor/backoff.hpp"
#include "core/supervisor/handover.hpp"
#include "core/supervisor/plan.hpp"
#include "core/supervisor/worker_process.hpp"

namespace switchyard::supervisor {

class Supervisor {
 public:
  // `arguments` are those of the process after its name: a successor is started with them.
  Supervisor(ServeOptions options, std::vector<std::string> arguments);

  // Serves until told to stop; the exit code.
  int run();

 private:
  // A worker that shall take over, with all that becomes ours when it is ready.
  struct Successor {
    WorkerProcess worker;
    Plan plan;
    ListenerSet sockets;
    std::uint64_t give_up_ns = 0;
  };

  bool start_fresh();
  bool take_over(const char* handover);
  void loop_once();

  void on_signals();
  void stop();
  void reload();
  void hot_restart();
  bool new_binary_is_sound();
  Handover make_handover() const;
  void hand_down_descriptors(bool inherited);

  void on_control(WorkerProcess& worker);
  void on_ready(WorkerProcess& worker);
  void reap();
  void blame_plugin(pid_t pid, int status);
  void on_current_death(int status);
  void on_timers();

  void start_current();
  void adopt(Plan plan, ListenerSet sockets);
  void start_successor(Plan plan);
  void drop_successor();
  void retire(WorkerProcess worker);
  Result<WorkerProcess> launch(const Plan& plan, const ListenerSet& sockets);
  void announce();
  void tell_ready();
  int poll_timeout_ms() const;

  ServeOptions options_;
  std::vector<std::string> arguments_;
  std::filesystem::path binary_;  // where a successor is looked for
  UniqueFd signals_;

  std::optional<Plan>
      plan_;  // of what serves; empty where a hot restart met a faulty configuration
  ListenerSet sockets_;
  std::optional<WorkerProcess> current_;
  std::optional<Successor> successor_;
  std::vector<WorkerProcess> leaving_;
  std::optional<Plan> reloading_;  // sent to the current worker, not answered yet

  Backoff backoff_;
  std::uint64_t restart_at_ns_ = 0;  // 0: no restart is due
  bool served_ = false;              // some worker has been ready
  bool stopping_ = false;
  std::optional<int> exit_code_;
};

}  // namespace switchyard::supervisor
