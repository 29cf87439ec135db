#include "core/supervisor/supervisor.hpp"

#include <poll.h>
#include <signal.h>
#include <spdlog/spdlog.h>
#include <sys/signalfd.h>
#include <sys/wait.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "core/base/clock.hpp"
#include "core/base/os_process.hpp"
#include "core/observe/log.hpp"
#include "core/store/crashes.hpp"
#include "core/worker/control.hpp"
#include "core/worker/worker.hpp"

namespace switchyard::supervisor {
namespace {

constexpr std::uint64_t kNsPerMs = 1'000'000;
constexpr std::uint64_t kReadyWithinMs =
    10'000;  // a successor; the worker it replaces serves on meanwhile
constexpr std::uint64_t kDrainGraceMs = 2'000;  // beyond the worker's own deadline
constexpr std::uint64_t kMuteGraceMs = 1'000;   // from the control socket's end to the process's
constexpr std::chrono::milliseconds kCheckWithin{30'000};

std::uint64_t ms_from_now(std::uint64_t ms) { return mono_ns() + ms * kNsPerMs; }

UniqueFd open_signals() {
  sigset_t wanted;
  sigemptyset(&wanted);
  for (const int number : {SIGTERM, SIGINT, SIGHUP, SIGUSR2, SIGCHLD}) sigaddset(&wanted, number);
  sigprocmask(SIG_SETMASK, &wanted, nullptr);
  signal(SIGPIPE, SIG_IGN);
  signal(SIGUSR1, SIG_IGN);
  return UniqueFd(signalfd(-1, &wanted, SFD_NONBLOCK | SFD_CLOEXEC));
}

void log_faults(const char* event, const std::vector<std::string>& faults) {
  for (const std::string& fault : faults) spdlog::error("{} {}", event, fault);
}

std::string describe_end(int status) {
  if (WIFSIGNALED(status)) return "signal=" + std::to_string(WTERMSIG(status));
  return "exit_code=" + std::to_string(WEXITSTATUS(status));
}

void print(const std::string& text) {
  std::fwrite(text.data(), 1, text.size(), stdout);
  std::fflush(stdout);
}

bool has_line(std::string_view text, std::string_view line) {
  const std::string padded = '\n' + std::string(text) + '\n';
  return padded.find('\n' + std::string(line) + '\n') != std::string::npos;
}

std::shared_ptr<const Listener> adopt_listener(const HandedListener& handed) {
  auto listener = std::make_shared<Listener>();
  listener->asked = handed.asked;
  listener->port = handed.port;
  listener->fd = UniqueFd(handed.fd);
  os::set_inherited(handed.fd, false);
  return listener;
}

WorkerProcess adopt_worker(const HandedWorker& handed) {
  WorkerProcess worker;
  worker.pid = handed.pid;
  worker.control = UniqueFd(handed.control_fd);
  worker.started_ns = mono_ns();
  worker.kill_at_ns = handed.kill_at_ns;
  worker.ready = true;
  if (worker.control) os::set_inherited(worker.control.get(), false);
  return worker;
}

HandedListener hand_over(const Listener& listener) {
  return {listener.asked, listener.port, listener.fd.get()};
}

HandedWorker hand_over(const WorkerProcess& worker) {
  return {worker.pid, worker.control.get(), worker.kill_at_ns};
}

}  // namespace

Supervisor::Supervisor(ServeOptions options, std::vector<std::string> arguments)
    : options_(std::move(options)), arguments_(std::move(arguments)) {}

int Supervisor::run() {
  binary_ = os::own_binary();
  signals_ = open_signals();
  const std::size_t descriptors = os::raise_descriptor_limit();
  spdlog::debug("supervisor_started pid={} descriptors={}", getpid(), descriptors);

  const char* handover = std::getenv(kHandoverVariable);
  const bool started = handover != nullptr ? take_over(handover) : start_fresh();
  if (!started) return 1;
  while (!exit_code_) loop_once();
  return *exit_code_;
}

// ---- starting

bool Supervisor::start_fresh() {
  auto plan = make_plan(options_);
  if (!plan) {
    log_faults("refused_to_start", plan.error());
    return false;
  }
  auto sockets = bind_listeners(plan->listen, plan->admin, {});
  if (!sockets) {
    spdlog::error("refused_to_start {}", sockets.error().message);
    return false;
  }
  // Before the worker starts: should it never serve, the key would be lost, for only its MAC is
  // kept.
  print(first_start_text(*plan, *sockets));
  adopt(std::move(*plan), std::move(*sockets));
  start_current();
  return true;
}

bool Supervisor::take_over(const char* text) {
  auto handover = decode_handover(text);
  unsetenv(kHandoverVariable);
  if (!handover) {
    spdlog::error("refused_to_start {}", handover.error().message);
    return false;
  }
  for (const HandedListener& one : handover->open) sockets_.open.push_back(adopt_listener(one));
  if (handover->admin) sockets_.admin = adopt_listener(*handover->admin);
  for (const HandedWorker& one : handover->workers) {
    if (one.kill_at_ns == 0 && !current_) {
      current_ = adopt_worker(one);
    } else {
      leaving_.push_back(adopt_worker(one));
    }
  }
  served_ = true;
  spdlog::info("hot_restart version_taken_over pid={} old_worker={}", getpid(),
               current_ ? current_->pid : 0);
  reload();
  return true;
}

void Supervisor::adopt(Plan plan, ListenerSet sockets) {
  plan.first_key.reset();
  plan.admin_token.reset();
  sockets_ = std::move(sockets);
  const auto leveled = observe::set_log_level(plan.log_level);
  if (!leveled) spdlog::warn("log_level_unknown {}", leveled.error().message);
  for (const std::string& warning : config::warnings(*plan.config)) {
    spdlog::warn("configuration_doubtful {}", warning);
  }
  plan_ = std::move(plan);
}

Result<WorkerProcess> Supervisor::launch(const Plan& plan, const ListenerSet& sockets) {
  std::vector<std::string> arguments{"--admin-port", std::to_string(sockets.admin->port), "--state",
                                     plan.config->state.string()};
  if (!options_.load.file.empty()) {
    arguments.insert(arguments.end(), {"--config", options_.load.file.string()});
  }
  if (!options_.log_level.empty()) {
    arguments.insert(arguments.end(), {"--log-level", options_.log_level});
  }
  if (plan.open_access) arguments.push_back("--open-access");
  return start_worker(sockets, std::move(arguments));
}

void Supervisor::start_current() {
  restart_at_ns_ = 0;
  if (!plan_) return reload();
  auto worker = launch(*plan_, sockets_);
  if (!worker) {
    spdlog::error("worker_not_started {}", worker.error().message);
    restart_at_ns_ = ms_from_now(static_cast<std::uint64_t>(Backoff::kMost.count()));
    return;
  }
  spdlog::info("worker_started pid={}", worker->pid);
  current_ = std::move(*worker);
}

void Supervisor::start_successor(Plan plan) {
  auto sockets = bind_listeners(plan.listen, plan.admin, sockets_);
  if (!sockets) {
    spdlog::error("reload_refused {}", sockets.error().message);
    return tell_ready();
  }
  print(first_start_text(plan, *sockets));
  if (!current_) {  // nothing to hand over from: the next start takes it
    adopt(std::move(plan), std::move(*sockets));
    return start_current();
  }
  auto worker = launch(plan, *sockets);
  if (!worker) {
    spdlog::error("reload_refused {}", worker.error().message);
    return tell_ready();
  }
  spdlog::info("successor_started pid={} serving={}", worker->pid, current_->pid);
  successor_.emplace(Successor{std::move(*worker), std::move(plan), std::move(*sockets),
                               ms_from_now(kReadyWithinMs)});
}

// It may have accepted already, just before it says so: it drains like any other.
void Supervisor::drop_successor() {
  if (!successor_) return;
  WorkerProcess worker = std::move(successor_->worker);
  successor_.reset();  // with the sockets that are its alone, see stop()
  retire(std::move(worker));
}

void Supervisor::retire(WorkerProcess worker) {
  const config::Limits limits = plan_ ? plan_->config->limits : config::Limits{};
  const auto deadline = static_cast<std::uint64_t>(limits.drain_timeout.count());
  worker.kill_at_ns = ms_from_now(deadline + kDrainGraceMs);
  spdlog::info("worker_draining pid={} deadline_ms={}", worker.pid, deadline);
  if (!control::send(worker.control.get(), control::Tag::kDrain, std::to_string(deadline))) {
    spdlog::debug("worker_mute pid={}", worker.pid);
  }
  leaving_.push_back(std::move(worker));
}

// ---- the loop

int Supervisor::poll_timeout_ms() const {
  std::uint64_t due = 0;
  const auto consider = [&due](std::uint64_t at) {
    if (at != 0 && (due == 0 || at < due)) due = at;
  };
  consider(restart_at_ns_);
  if (current_) consider(current_->kill_at_ns);
  if (successor_) consider(successor_->give_up_ns);
  for (const WorkerProcess& worker : leaving_) consider(worker.kill_at_ns);
  if (due == 0) return -1;
  const std::uint64_t now = mono_ns();
  return due <= now ? 0 : static_cast<int>((due - now) / kNsPerMs + 1);
}

void Supervisor::loop_once() {
  std::vector<pollfd> waited{{signals_.get(), POLLIN, 0}};
  const auto wait_for = [&waited](const WorkerProcess& worker) {
    if (worker.control) waited.push_back({worker.control.get(), POLLIN, 0});
  };
  if (current_) wait_for(*current_);
  if (successor_) wait_for(successor_->worker);
  for (const WorkerProcess& worker : leaving_) wait_for(worker);
  poll(waited.data(), waited.size(), poll_timeout_ms());

  // Control first: what a worker said before it died counts.
  if (current_) on_control(*current_);
  if (successor_) on_control(successor_->worker);
  for (WorkerProcess& worker : leaving_) on_control(worker);
  on_signals();
  on_timers();
  if (stopping_ && leaving_.empty()) {
    spdlog::info("stopped");
    exit_code_ = 0;
  }
}

void Supervisor::on_timers() {
  const std::uint64_t now = mono_ns();
  const auto due = [now](std::uint64_t at) { return at != 0 && at <= now; };
  if (successor_ && due(successor_->give_up_ns)) {
    spdlog::error("successor_dropped pid={} reason=\"not ready in {} ms\" serving={}",
                  successor_->worker.pid, kReadyWithinMs, current_ ? current_->pid : 0);
    drop_successor();
    tell_ready();
  }
  if (current_ && due(current_->kill_at_ns)) {
    current_->kill_at_ns = 0;
    kill(current_->pid, SIGKILL);
  }
  for (WorkerProcess& worker : leaving_) {
    if (!due(worker.kill_at_ns)) continue;
    spdlog::warn("worker_killed pid={} reason=\"not drained in time\"", worker.pid);
    worker.kill_at_ns = 0;
    kill(worker.pid, SIGKILL);
  }
  if (!stopping_ && due(restart_at_ns_)) start_current();
}

// ---- workers

// May move `worker` away: it is not touched after on_ready().
void Supervisor::on_control(WorkerProcess& worker) {
  control::Message message;
  while (worker.control) {
    const control::Received received = control::receive(worker.control.get(), message);
    if (received == control::Received::kNothing) return;
    if (received == control::Received::kClosed) {
      worker.control.reset();
      if (worker.kill_at_ns == 0) worker.kill_at_ns = ms_from_now(kMuteGraceMs);
      return;
    }
    switch (message.tag) {
      case control::Tag::kReady:
        return on_ready(worker);
      case control::Tag::kReloaded:
        if (reloading_) adopt(std::move(*reloading_), sockets_);
        reloading_.reset();
        spdlog::info("reloaded");
        tell_ready();
        break;
      case control::Tag::kRefused:
        reloading_.reset();
        spdlog::error("reload_refused {}", message.text);
        tell_ready();
        break;
      case control::Tag::kDrained:
        spdlog::info("worker_drained pid={}", worker.pid);
        break;
      default:
        break;
    }
  }
}

void Supervisor::on_ready(WorkerProcess& worker) {
  const bool is_current = current_ && &worker == &*current_;
  const bool is_successor = successor_ && &worker == &successor_->worker;
  if (!is_current && !is_successor) return;  // told to leave before it was ready
  worker.ready = true;
  spdlog::info("worker_ready pid={} after_ms={}", worker.pid,
               (mono_ns() - worker.started_ns) / kNsPerMs);
  if (is_successor) {
    restart_at_ns_ = 0;
    Successor next = std::move(*successor_);
    successor_.reset();
    reloading_.reset();
    if (current_) retire(std::move(*current_));
    current_ = std::move(next.worker);
    adopt(std::move(next.plan), std::move(next.sockets));
    announce();
  } else if (!served_) {
    announce();
  }
  served_ = true;
  tell_ready();
}

void Supervisor::announce() {
  std::string text;
  for (const auto& listener : sockets_.open) text += "listening on " + listener->url() + '\n';
  text += "admin on " + sockets_.admin->url() + '\n';
  print(text);
}

void Supervisor::tell_ready() {
  if (!served_ || stopping_) return;
  os::notify_service_manager("READY=1\nMAINPID=" + std::to_string(getpid()) + '\n');
}

// Names the plugin whose code a worker died in. The second time within ten minutes its content is
// not loaded again until an operator releases it.
void Supervisor::blame_plugin(pid_t pid, int status) {
  if (!plan_) return;
  const auto directory = plan_->config->state / "plugins";
  const auto blame = store::take_notes(directory, pid);
  const bool killed = !WIFSIGNALED(status) || WTERMSIG(status) == SIGKILL;
  if (!blame || killed) return;
  const char* name = sigabbrev_np(WTERMSIG(status));
  const std::string signal = "SIG" + std::string(name != nullptr ? name : "?");
  store::CrashList crashes(directory);
  const store::CrashList::Count count = crashes.add(*blame, signal, unix_ns() / kNsPerMs);
  spdlog::error("plugin_crashed file={} sha256={} in={} signal={} times={}{}", blame->file,
                blame->sha256, store::to_string(blame->call), signal, count.times,
                count.quarantined ? " action=quarantine" : "");
}

void Supervisor::reap() {
  int status = 0;
  pid_t pid;
  while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
    blame_plugin(pid, status);
    if (current_ && current_->pid == pid) {
      on_current_death(status);
    } else if (successor_ && successor_->worker.pid == pid) {
      spdlog::error("successor_died pid={} {}", pid, describe_end(status));
      successor_.reset();
      tell_ready();
    } else {
      std::erase_if(leaving_, [pid](const WorkerProcess& worker) { return worker.pid == pid; });
    }
  }
}

void Supervisor::on_current_death(int status) {
  const auto lived = std::chrono::milliseconds((mono_ns() - current_->started_ns) / kNsPerMs);
  spdlog::error("worker_died pid={} {} after_ms={}", current_->pid, describe_end(status),
                lived.count());
  current_.reset();
  if (reloading_) plan_ = std::exchange(reloading_, std::nullopt);
  const bool hopeless = WIFEXITED(status) && WEXITSTATUS(status) == kWorkerCannotStart;
  if (hopeless && !served_) {
    exit_code_ = kWorkerCannotStart;  // a first start: whoever started us reads the reason above
    return;
  }
  const auto delay = backoff_.next(lived);
  restart_at_ns_ = ms_from_now(static_cast<std::uint64_t>(delay.count()));
}

// ---- signals

void Supervisor::on_signals() {
  signalfd_siginfo info{};
  while (read(signals_.get(), &info, sizeof info) == static_cast<ssize_t>(sizeof info)) {
    switch (info.ssi_signo) {
      case SIGCHLD:
        reap();
        break;
      case SIGHUP:
        reload();
        break;
      case SIGUSR2:
        hot_restart();
        break;
      default:
        stop();
    }
  }
}

void Supervisor::stop() {
  if (stopping_) {
    for (const WorkerProcess& worker : leaving_) kill(worker.pid, SIGKILL);
    return;
  }
  spdlog::info("stopping");
  stopping_ = true;
  os::notify_service_manager("STOPPING=1\n");
  restart_at_ns_ = 0;
  // Ours first: then the worker can take what is queued, close its own, and a later connect is
  // refused, not forgotten.
  sockets_ = {};
  drop_successor();
  if (current_) retire(std::move(*current_));
  current_.reset();
}

void Supervisor::reload() {
  if (stopping_) return;
  os::notify_service_manager("RELOADING=1\nMONOTONIC_USEC=" + std::to_string(mono_ns() / 1000) +
                             '\n');
  auto plan = make_plan(options_);
  if (!plan) {
    log_faults("reload_refused", plan.error());
    if (!current_ && !plan_)
      restart_at_ns_ = ms_from_now(static_cast<std::uint64_t>(Backoff::kMost.count()));
    return tell_ready();
  }
  drop_successor();  // its configuration is old already
  const bool keeps_worker = plan_ && current_ && current_->ready && same_process(*plan_, *plan);
  if (!keeps_worker) return start_successor(std::move(*plan));
  if (control::send(current_->control.get(), control::Tag::kReload)) {
    reloading_ = std::move(*plan);
  } else {
    spdlog::error("reload_refused the worker does not listen");
    tell_ready();
  }
}

// ---- hot restart

bool Supervisor::new_binary_is_sound() {
  const auto version = os::run_program(binary_, {"version"}, kCheckWithin);
  if (!version) {
    spdlog::error("hot_restart_refused {}", version.error().message);
    return false;
  }
  const std::string wanted = "handover " + std::to_string(kHandoverVersion);
  if (version->exit_code != 0 || !has_line(version->output, wanted)) {
    spdlog::error("hot_restart_refused {} version: exit_code={}, no line \"{}\"", binary_.string(),
                  version->exit_code, wanted);
    return false;
  }
  std::vector<std::string> arguments{"check"};
  if (!options_.load.file.empty()) {
    arguments.insert(arguments.end(), {"--config", options_.load.file.string()});
  }
  const auto check = os::run_program(binary_, arguments, kCheckWithin);
  if (!check) {
    spdlog::error("hot_restart_refused {}", check.error().message);
    return false;
  }
  if (check->exit_code != 0) {
    spdlog::error("hot_restart_refused the new binary refuses the configuration: {}",
                  check->output);
    return false;
  }
  return true;
}

Handover Supervisor::make_handover() const {
  Handover handover;
  for (const auto& listener : sockets_.open) handover.open.push_back(hand_over(*listener));
  if (sockets_.admin) handover.admin = hand_over(*sockets_.admin);
  if (current_) handover.workers.push_back(hand_over(*current_));
  for (const WorkerProcess& worker : leaving_) handover.workers.push_back(hand_over(worker));
  return handover;
}

void Supervisor::hand_down_descriptors(bool inherited) {
  for (const auto& listener : sockets_.open) os::set_inherited(listener->fd.get(), inherited);
  if (sockets_.admin) os::set_inherited(sockets_.admin->fd.get(), inherited);
  if (current_) os::set_inherited(current_->control.get(), inherited);
  for (const WorkerProcess& worker : leaving_) os::set_inherited(worker.control.get(), inherited);
}

void Supervisor::hot_restart() {
  if (stopping_) return;
  if (successor_ || !current_ || !current_->ready) {
    spdlog::error("hot_restart_refused a worker is being replaced already");
    return;
  }
  if (!new_binary_is_sound()) return;
  spdlog::info("hot_restart binary={}", binary_.string());
  setenv(kHandoverVariable, encode(make_handover()).c_str(), 1);
  hand_down_descriptors(true);

  std::vector<std::string> all{binary_.string()};
  all.insert(all.end(), arguments_.begin(), arguments_.end());
  std::vector<char*> raw;
  for (std::string& argument : all) raw.push_back(argument.data());
  raw.push_back(nullptr);
  execv(binary_.c_str(), raw.data());

  spdlog::error("hot_restart_refused {}: {}", binary_.string(), std::strerror(errno));
  hand_down_descriptors(false);
  unsetenv(kHandoverVariable);
}

}  // namespace switchyard::supervisor
