#include "child.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <exception>
#include <new>

#include "json.hpp"

namespace swy::check {
namespace {

constexpr std::size_t kTextMax = 16 * 1024, kDataMax = 256 * 1024;

// What parent and child both see. Literals have the same address in both.
struct Shared {
  std::atomic<const char*> call;
  std::atomic<std::uint32_t> event, kind;
  std::atomic<bool> done;
  Verdict verdict;
  char tried[512];
  char explained[256];  // what a fault of memory means
  char text[kTextMax];
  std::size_t data_n;
  char data[kDataMax];
};

Shared* shared = nullptr;  // of the check that runs in this process

void put(char* to, std::size_t room, std::string_view text) {
  const std::size_t n = std::min(room - 1, text.size());
  std::memcpy(to, text.data(), n);
  to[n] = '\0';
}

// ---- memory that was lent ----

struct GuardedLoan {
  const char* begin;
  const char* end;  // of the unreadable page behind it
  const char* what;
  std::size_t n;
  std::uint32_t event;
  bool returned;
};
constexpr std::size_t kGuardedMax = 1 << 16;
GuardedLoan guarded[kGuardedMax];
std::atomic<std::size_t> guarded_n;

void explain(const void* address) {
  const char* const at = static_cast<const char*>(address);
  for (std::size_t i = guarded_n; i-- > 0;) {
    const GuardedLoan& loan = guarded[i];
    if (at < loan.begin || at >= loan.end) continue;
    std::snprintf(shared->explained, sizeof shared->explained,
                  loan.returned ? "it used %s of event %u after that call had returned"
                                : "it went past the end of %s of event %u, which has %zu bytes",
                  loan.what, loan.event, loan.n);
    return;
  }
}

void on_fault(int number, siginfo_t* info, void*) {
  if (number == SIGSEGV || number == SIGBUS) explain(info->si_addr);
  ::signal(number, SIG_DFL);
  ::raise(number);
}

std::size_t page() {
  static const auto size = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
  return size;
}

// ---- limits ----

void limit(int resource, rlim_t value) {
  const struct rlimit both = {value, value};
  ::setrlimit(static_cast<__rlimit_resource>(resource), &both);
}

rlim_t mapped_bytes() {
  unsigned long pages = 0;
  if (std::FILE* file = std::fopen("/proc/self/statm", "r")) {
    if (std::fscanf(file, "%lu", &pages) != 1) pages = 0;
    std::fclose(file);
  }
  return rlim_t{pages} * page();
}

void write_file(const char* path, const std::string& text) {
  const int fd = ::open(path, O_WRONLY | O_CLOEXEC);
  if (fd < 0) return;
  [[maybe_unused]] const ssize_t n = ::write(fd, text.data(), text.size());
  ::close(fd);
}

// Where the system allows it to users at all; a provider has no network anyway.
void leave_network() {
  const unsigned uid = ::geteuid(), gid = ::getegid();
  if (uid == 0) {
    ::unshare(CLONE_NEWNET);
    return;
  }
  if (::unshare(CLONE_NEWUSER | CLONE_NEWNET) != 0) return;
  const auto map = [](unsigned id) { return std::to_string(id) + " " + std::to_string(id) + " 1"; };
  write_file("/proc/self/setgroups", "deny");
  write_file("/proc/self/uid_map", map(uid));
  write_file("/proc/self/gid_map", map(gid));
}

void confine(std::uint32_t seconds_max) {
  ::setpgid(0, 0);
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  limit(RLIMIT_CORE, 0);
  limit(RLIMIT_CPU, seconds_max + 1);
  if (!kSanitized) limit(RLIMIT_AS, mapped_bytes() + (rlim_t{4} << 30));
  leave_network();
  ::dup2(STDERR_FILENO, STDOUT_FILENO);

  // The parent reports the signal, so nobody else may take it.
  static char stack[64 * 1024];
  const stack_t other = {.ss_sp = stack, .ss_flags = 0, .ss_size = sizeof stack};
  ::sigaltstack(&other, nullptr);
  struct sigaction action = {};
  action.sa_sigaction = on_fault;
  action.sa_flags = SA_SIGINFO | SA_ONSTACK;
  for (const int number : {SIGSEGV, SIGBUS}) ::sigaction(number, &action, nullptr);
  for (const int number : {SIGFPE, SIGILL, SIGABRT, SIGTRAP}) ::signal(number, SIG_DFL);
}

[[noreturn]] void work_in_child(const std::string& directory, std::uint32_t seconds_max,
                                const std::function<Outcome(std::string&)>& work) {
  confine(seconds_max);
  Outcome outcome;
  std::string data;
  if (::chdir(directory.c_str()) != 0) {
    outcome = Outcome::failed("the check's directory is gone");
  } else {
    try {
      outcome = work(data);
    } catch (const std::exception& fault) {
      outcome = Outcome::failed(std::string("the kit itself failed: ") + fault.what());
    }
  }
  shared->verdict = outcome.verdict;
  put(shared->text, sizeof shared->text, outcome.text);
  shared->data_n = std::min(data.size(), sizeof shared->data);
  std::memcpy(shared->data, data.data(), shared->data_n);
  shared->done = true;
  ::_exit(0);
}

// ---- in the parent ----

bool ended_in_time(pid_t pid, std::uint32_t seconds_max) {
  // Not through glibc 2.36's own header, which gives the function C++ linkage.
  const auto process = static_cast<int>(::syscall(SYS_pidfd_open, pid, 0));
  if (process < 0) return true;
  pollfd waiting = {process, POLLIN, 0};
  int ready = 0;
  do {
    ready = ::poll(&waiting, 1, static_cast<int>(seconds_max * 1000));
  } while (ready < 0 && errno == EINTR);
  ::close(process);
  return ready > 0;
}

std::string signal_name(int number) {
  const char* name = ::sigabbrev_np(number);
  return name ? "SIG" + std::string(name) : "signal " + std::to_string(number);
}

std::string place() {
  const char* call = shared->call;
  std::string text = call ? std::string(" in ") + call : " outside the plugin";
  if (call && shared->event > 0) {
    text += ", event " + std::to_string(shared->event) + " (" + event_name(shared->kind) + ")";
  }
  if (shared->tried[0] != '\0') text += "; tried: " + std::string(shared->tried);
  return text;
}

Outcome judge(bool in_time, int status, std::uint32_t seconds_max) {
  if (!in_time || (WIFSIGNALED(status) && WTERMSIG(status) == SIGXCPU)) {
    return Outcome::failed("hung" + place() + ": no end within " + std::to_string(seconds_max) +
                           " s");
  }
  if (WIFSIGNALED(status)) {
    std::string text = "crashed with " + signal_name(WTERMSIG(status)) + place();
    if (shared->explained[0] != '\0') text += ": " + std::string(shared->explained);
    return Outcome::failed(text);
  }
  if (!shared->done) {
    return Outcome::failed("ended the process with status " + std::to_string(WEXITSTATUS(status)) +
                           place());
  }
  return {shared->verdict, shared->text};
}

}  // namespace

Outcome in_child(const std::string& directory, std::uint32_t seconds_max, std::string& data,
                 const std::function<Outcome(std::string& data)>& work) {
  void* memory =
      ::mmap(nullptr, sizeof(Shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) return Outcome::failed("no memory for a check");
  shared = new (memory) Shared();

  std::fflush(nullptr);
  const pid_t pid = ::fork();
  if (pid == 0) work_in_child(directory, seconds_max, work);
  Outcome outcome = Outcome::failed(std::string("no process for a check: ") + std::strerror(errno));
  if (pid > 0) {
    ::setpgid(pid, pid);  // here as well: the child may not have come that far
    const bool in_time = ended_in_time(pid, seconds_max);
    ::kill(-pid, SIGKILL);
    int status = 0;
    while (::waitpid(pid, &status, 0) < 0 && errno == EINTR) {
    }
    outcome = judge(in_time, status, seconds_max);
    data.assign(shared->data, shared->data_n);
  }
  ::munmap(memory, sizeof(Shared));
  shared = nullptr;
  return outcome;
}

void entering(const char* call, std::uint32_t event, std::uint32_t kind) {
  shared->event.store(event, std::memory_order_relaxed);
  shared->kind.store(kind, std::memory_order_relaxed);
  shared->call.store(call, std::memory_order_relaxed);
}

void left() { shared->call.store(nullptr, std::memory_order_relaxed); }

void trying(std::string_view what) { put(shared->tried, sizeof shared->tried, what); }

std::string tried() { return shared->tried; }

const char* event_name(std::uint32_t kind) {
  static constexpr const char* kNames[] = {"0",      "START",  "HEAD",     "DATA",
                                           "END",    "IOERR",  "TIMER",    "SIGN",
                                           "CANCEL", "UP_MSG", "DOWN_MSG", "CLOSED"};
  return kind < std::size(kNames) ? kNames[kind] : "unknown kind";
}

// Mappings stay for the life of the child: their addresses must not become valid again.
Lender::~Lender() { take_back(); }

void* Lender::lend(const void* memory, std::size_t n, const char* what, std::size_t tail) {
  if (mode_ == Mode::kPlain && tail == 0) return const_cast<void*>(memory);
  const std::size_t whole = n + tail;
  char* at = nullptr;
  if (mode_ == Mode::kGuarded && guarded_n < kGuardedMax) {
    const std::size_t readable = (whole + page() - 1) / page() * page(), all = readable + page();
    void* mapped = ::mmap(nullptr, all, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (mapped == MAP_FAILED) throw std::bad_alloc();
    char* const begin = static_cast<char*>(mapped);
    ::mprotect(begin + readable, page(), PROT_NONE);
    at = begin + readable - whole;
    const std::size_t index = guarded_n++;
    guarded[index] = {begin, begin + all, what, n, shared->event, false};
    mappings_.push_back({begin, all, index});
  } else {
    at = static_cast<char*>(::operator new(whole + 1));
    loans_.push_back({at, whole});
  }
  if (n > 0) std::memcpy(at, memory, n);
  if (tail > 0) std::memset(at + n, 0xEE, tail);
  return at;
}

void Lender::take_back() {
  for (; unreadable_ < mappings_.size(); ++unreadable_) {
    const Loan& mapping = mappings_[unreadable_];
    ::madvise(mapping.begin, mapping.n, MADV_DONTNEED);
    ::mprotect(mapping.begin, mapping.n, PROT_NONE);
    guarded[mapping.index].returned = true;
  }
  for (const Loan& loan : loans_) {
    std::memset(loan.begin, 0xDD, loan.n);
    ::operator delete(loan.begin);
  }
  loans_.clear();
}

}  // namespace swy::check
