#include "core/plugin/trial.hpp"

#include <dlfcn.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/clock.hpp"
#include "core/plugin/audit.hpp"
#include "core/plugin/library.hpp"
#include "core/plugin/loading.hpp"
#include "core/plugin/rehearsal.hpp"
#include "core/plugin/table.hpp"

namespace switchyard::plugin {
namespace {

// What the child writes, a line each: "step NAME" before each step, then "ok", or "refused" and the
// reason. The lines are for people too: this is what `switchyard plugin-trial FILE` prints.
constexpr std::string_view kStep = "step ";
constexpr std::string_view kRefused = "refused ";
constexpr std::string_view kOk = "ok";
constexpr std::size_t kReportBytesMax = 64 * 1024;

#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SWITCHYARD_SHADOW_MEMORY 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SWITCHYARD_SHADOW_MEMORY 1
#endif

// ---- in the child ----

void limit(int resource, rlim_t value) {
  const struct rlimit both = {value, value};
  ::setrlimit(static_cast<__rlimit_resource>(resource), &both);
}

void write_text(const char* file, const std::string& text) {
  const Descriptor opened(::open(file, O_WRONLY | O_CLOEXEC));
  [[maybe_unused]] const ssize_t n = ::write(opened.get(), text.data(), text.size());
}

// A plugin does no network of its own, so its trial has none. Where the kernel gives no namespace
// it goes without.
void leave_network() {
  if (::unshare(CLONE_NEWNET) == 0) return;
  const std::string user = std::to_string(::geteuid()), group = std::to_string(::getegid());
  if (::unshare(CLONE_NEWUSER | CLONE_NEWNET) != 0) return;
  // The same user as before: a logger's open() may make files.
  write_text("/proc/self/uid_map", user + " " + user + " 1");
  write_text("/proc/self/setgroups", "deny");
  write_text("/proc/self/gid_map", group + " " + group + " 1");
}

// Limits are a backstop for a child whose parent is gone; the parent's own deadline comes first.
void confine() {
  leave_network();
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);  // after that: a new user namespace clears it
  limit(RLIMIT_CORE, 0);
  limit(RLIMIT_CPU, 30);
#if !defined(SWITCHYARD_SHADOW_MEMORY)
  limit(RLIMIT_AS, rlim_t{4} << 30);
#endif
  // A sanitizer's handler would turn the signal, which the parent reports, into an exit status.
  for (const int number : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGTRAP}) {
    ::signal(number, SIG_DFL);
  }
}

// The report goes to what was standard output; what the plugin prints there goes to standard error.
class Report {
 public:
  Report() : fd_(::fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3)) {
    ::dup2(STDERR_FILENO, STDOUT_FILENO);
  }
  ~Report() { ::close(fd_); }
  Report(const Report&) = delete;
  Report& operator=(const Report&) = delete;

  void step(std::string_view name) const { line(kStep, name); }
  void ok() const { line(kOk, ""); }
  int refused(const Error& error) const {
    line(kRefused, error.message);
    return 1;
  }

 private:
  void line(std::string_view head, std::string_view text) const {
    std::string whole(head);
    for (const char c : text) whole += c == '\n' ? ' ' : c;
    whole += '\n';
    // One write: what is there when the plugin crashes is a whole line.
    [[maybe_unused]] const ssize_t n = ::write(fd_, whole.data(), whole.size());
  }

  int fd_;
};

// ---- in the parent ----

struct Pipe {
  Pipe() {
    if (::pipe2(fds.data(), O_CLOEXEC) != 0) fds = {-1, -1};
  }
  ~Pipe() {
    for (const int fd : fds) {
      if (fd >= 0) ::close(fd);
    }
  }
  Pipe(const Pipe&) = delete;
  Pipe& operator=(const Pipe&) = delete;
  void close_writer() {
    ::close(fds[1]);
    fds[1] = -1;
  }

  std::array<int, 2> fds{-1, -1};
};

// The child gets only what a loader and a C library need: the rest of the environment may hold
// provider keys.
std::vector<char*> child_environment() {
  static constexpr std::string_view kPassed[] = {
      "PATH=",         "HOME=",          "TMPDIR=",          "TZ=",
      "LANG=",         "LC_ALL=",        "LD_LIBRARY_PATH=", "ASAN_OPTIONS=",
      "TSAN_OPTIONS=", "UBSAN_OPTIONS=", "LSAN_OPTIONS="};
  std::vector<char*> result;
  for (char** entry = environ; entry && *entry; ++entry) {
    for (const std::string_view name : kPassed) {
      if (std::string_view(*entry).starts_with(name)) result.push_back(*entry);
    }
  }
  result.push_back(nullptr);
  return result;
}

// A file without a name that holds the text: unlike a pipe it takes any amount at once.
Descriptor text_file(const std::string& text) {
  Descriptor file(::memfd_create("uses", MFD_CLOEXEC));
  if (file.get() < 0) return file;
  std::size_t written = 0;
  while (written < text.size()) {
    const ssize_t n = ::write(file.get(), text.data() + written, text.size() - written);
    if (n <= 0) return Descriptor();
    written += static_cast<std::size_t>(n);
  }
  ::lseek(file.get(), 0, SEEK_SET);
  return file;
}

Result<pid_t> spawn(const std::filesystem::path& program, const std::filesystem::path& file,
                    int uses, int report) {
  const std::string path = program.empty() ? "/proc/self/exe" : program.string();
  std::string name = "switchyard", command = "plugin-trial", argument = file.string(),
              option = "--uses";
  std::array<char*, 5> arguments = {name.data(), command.data(), argument.data(), option.data(),
                                    nullptr};
  std::vector<char*> environment = child_environment();

  posix_spawn_file_actions_t actions;
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawn_file_actions_adddup2(&actions, uses, STDIN_FILENO);
  ::posix_spawn_file_actions_adddup2(&actions, report, STDOUT_FILENO);
  ::posix_spawn_file_actions_addclosefrom_np(&actions, 3);

  // A group of its own, so that what the plugin started goes with it.
  posix_spawnattr_t attributes;
  ::posix_spawnattr_init(&attributes);
  sigset_t none, all;
  ::sigemptyset(&none);
  ::sigfillset(&all);
  ::posix_spawnattr_setsigmask(&attributes, &none);
  ::posix_spawnattr_setsigdefault(&attributes, &all);
  ::posix_spawnattr_setpgroup(&attributes, 0);
  ::posix_spawnattr_setflags(
      &attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP);

  pid_t pid = -1;
  const int failed = ::posix_spawn(&pid, path.c_str(), &actions, &attributes, arguments.data(),
                                   environment.data());
  ::posix_spawnattr_destroy(&attributes);
  ::posix_spawn_file_actions_destroy(&actions);
  if (failed != 0) {
    return Error{"can't start " + path + ": " + std::strerror(failed)};
  }
  return pid;
}

// Appends what is there; false at the end of the stream.
bool drain(int fd, std::string& report) {
  char buffer[4096];
  const ssize_t n = ::read(fd, buffer, sizeof buffer);
  if (n > 0 && report.size() < kReportBytesMax) {
    report.append(buffer, static_cast<std::size_t>(n));
  }
  return n > 0 || (n < 0 && (errno == EINTR || errno == EAGAIN));
}

// Waits until the child has ended, and takes its report. False where the deadline came first.
bool wait_for_end(int process, int fd, std::string& report, std::uint64_t deadline_ns) {
  bool open = true;
  for (;;) {
    const std::uint64_t now = mono_ns();
    if (now >= deadline_ns) return false;
    std::array<pollfd, 2> waiting = {{{process, POLLIN, 0}, {open ? fd : -1, POLLIN, 0}}};
    const auto ms = static_cast<int>((deadline_ns - now) / 1'000'000u) + 1;
    if (::poll(waiting.data(), waiting.size(), ms) < 0 && errno != EINTR) return false;
    if (waiting[1].revents != 0) {
      open = drain(fd, report);
      continue;
    }
    if (waiting[0].revents != 0) return true;
  }
}

struct Account {
  std::string step, reason;
  bool ok = false;
};

Account read_report(std::string_view report) {
  Account account;
  while (!report.empty()) {
    const std::size_t end = report.find('\n');
    if (end == std::string_view::npos) break;
    const std::string_view line = report.substr(0, end);
    report.remove_prefix(end + 1);
    if (line.starts_with(kStep)) account.step = line.substr(kStep.size());
    if (line.starts_with(kRefused)) account.reason = line.substr(kRefused.size());
    if (line == kOk) account.ok = true;
  }
  return account;
}

std::string signal_name(int number) {
  const char* name = ::sigabbrev_np(number);
  return name ? "SIG" + std::string(name) : "signal " + std::to_string(number);
}

std::string seconds(std::chrono::milliseconds time) {
  char text[32];
  std::snprintf(text, sizeof text, "%g s", static_cast<double>(time.count()) / 1000.0);
  return text;
}

TrialRefusal not_held(const std::string& why) {
  return {.message = "trial: " + why, .configuration = false, .held = false};
}

Result<void, TrialRefusal> judge(const Account& account, int status) {
  if (account.step.empty()) {
    return not_held("the program did not run a trial (wait status " + std::to_string(status) + ")");
  }
  if (WIFSIGNALED(status)) {
    return TrialRefusal{"crashed in " + account.step + " with " + signal_name(WTERMSIG(status))};
  }
  if (!account.reason.empty()) {
    return TrialRefusal{account.reason, account.step.starts_with("open(")};
  }
  if (!account.ok || WEXITSTATUS(status) != 0) {
    return TrialRefusal{"ended the process in " + account.step + " with status " +
                        std::to_string(WEXITSTATUS(status))};
  }
  return {};
}

int reap(pid_t pid) {
  int status = 0;
  while (::waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  return status;
}

}  // namespace

Result<void, TrialRefusal> try_in_child(const std::filesystem::path& program,
                                        const std::filesystem::path& file, const Uses& uses,
                                        std::chrono::milliseconds max) {
  Pipe pipe;
  if (pipe.fds[0] < 0) return not_held(std::string("no pipe: ") + std::strerror(errno));
  const Descriptor input = text_file(to_json(uses));
  if (input.get() < 0) {
    return not_held(std::string("no memory file: ") + std::strerror(errno));
  }
  const std::uint64_t deadline_ns =
      mono_ns() + static_cast<std::uint64_t>(max.count()) * 1'000'000u;

  Result<pid_t> pid = spawn(program, file, input.get(), pipe.fds[1]);
  if (!pid) return not_held(pid.error().message);
  pipe.close_writer();

  // Not through glibc 2.36's own header, which gives the function C++ linkage.
  const auto process = static_cast<int>(::syscall(SYS_pidfd_open, *pid, 0));
  std::string report;
  const bool ended = process >= 0 && wait_for_end(process, pipe.fds[0], report, deadline_ns);
  ::kill(-*pid, SIGKILL);
  const int status = reap(*pid);
  if (process >= 0) ::close(process);

  const Account account = read_report(report);
  if (!ended) {
    return TrialRefusal{"hung in " + (account.step.empty() ? "start" : account.step) +
                        ": no answer within " + seconds(max)};
  }
  return judge(account, status);
}

namespace {

Result<Uses> read_uses() {
  std::string text;
  char buffer[4096];
  for (;;) {
    const ssize_t n = ::read(STDIN_FILENO, buffer, sizeof buffer);
    if (n == 0) break;
    if (n < 0) return Error{std::string("the uses can't be read: ") + std::strerror(errno)};
    text.append(buffer, static_cast<std::size_t>(n));
  }
  return parse_uses(text);
}

}  // namespace

int run_trial(const std::filesystem::path& file, bool uses_on_stdin) {
  confine();
  const Report report;
  report.step("start");
  Uses uses;
  if (uses_on_stdin) {
    Result<Uses> read = read_uses();
    if (!read) return report.refused(Error{"trial: " + read.error().message});
    uses = std::move(*read);
  }

  report.step("audit");
  if (Result<void> ok = audit(file); !ok) return report.refused(ok.error());

  report.step("constructor");
  Result<Entry> entry = map_library(file);
  if (!entry) return report.refused(entry.error());

  report.step("entry");
  Result<Offer> offer = negotiate(entry->call);
  if (!offer) return report.refused(offer.error());

  report.step("init");
  if (Result<void> ok = call_init(*offer->table); !ok) return report.refused(ok.error());

  report.step("self_test");
  if (Result<void> ok = call_self_test(*offer->table); !ok) return report.refused(ok.error());

  const auto rehearsed =
      rehearse(*offer, uses, [&report](const std::string& name) { report.step(name); });
  if (!rehearsed) return report.refused(rehearsed.error());

  report.step("fini");
  call_fini(*offer->table);

  report.step("exit");
  report.ok();
  return 0;
}

}  // namespace switchyard::plugin
