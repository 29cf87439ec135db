#include "core/store/call_note.hpp"

#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <mutex>
#include <utility>
#include <vector>

#include "core/base/os_fd.hpp"

namespace switchyard::store {
namespace {

constexpr std::uint32_t kMagic = 0x53574e31;  // "SWN1"
constexpr std::size_t kThreadsMax = 128, kLibrariesMax = 4096;

struct alignas(64) ThreadCell {
  std::atomic<std::uint32_t> call{0};  // library << 8 | Call
};

struct NotedLibrary {
  char file[128], sha256[65];
};

// The whole of the file. Its reader may be another build only of the same minor version: the
// supervisor is the worker's own binary, or takes a note of another size for none.
struct Page {
  std::uint32_t magic, size;
  std::atomic<std::uint32_t> crashed;  // 1 + index of the thread that a fatal signal hit, 0: none
  std::atomic<std::uint32_t> libraries;
  std::array<ThreadCell, kThreadsMax> threads;
  std::array<NotedLibrary, kLibrariesMax> library;
};

Page* page = nullptr;

// A cell of its own for each thread that lives, given back when it ends.
class Cells {
 public:
  std::size_t take() {
    const std::lock_guard lock(mutex_);
    for (std::size_t i = 0; i < taken_.size(); ++i) {
      if (taken_[i]) continue;
      taken_[i] = true;
      return i;
    }
    return kThreadsMax;
  }
  void give_back(std::size_t index) {
    const std::lock_guard lock(mutex_);
    if (index < kThreadsMax) taken_[index] = false;
  }

 private:
  std::mutex mutex_;
  std::array<bool, kThreadsMax> taken_{};
};

Cells& cells() {
  static Cells all;
  return all;
}

// Of this thread; no constructor may run where a signal handler reads it.
thread_local std::size_t own_index = kThreadsMax;

struct OwnCell {
  OwnCell() {
    if (page != nullptr) own_index = cells().take();
    cell = own_index < kThreadsMax ? &page->threads[own_index].call : &nowhere;
  }
  ~OwnCell() { cells().give_back(std::exchange(own_index, kThreadsMax)); }

  std::atomic<std::uint32_t> nowhere{0};
  std::atomic<std::uint32_t>* cell;
};

thread_local OwnCell own;

constexpr std::array kFatal = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGTRAP};

// Notes which thread it was and lets the signal do what it does. Async-signal-safe; a thread that
// has no cell yet is in no plugin.
void on_fatal(int number) {
  std::uint32_t none = 0;
  const auto index = static_cast<std::uint32_t>(own_index);
  if (page != nullptr) page->crashed.compare_exchange_strong(none, index + 1);
  ::signal(number, SIG_DFL);
  ::raise(number);
}

#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SWITCHYARD_OWN_SIGNALS 0
#endif
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SWITCHYARD_OWN_SIGNALS 0
#endif
#ifndef SWITCHYARD_OWN_SIGNALS
#define SWITCHYARD_OWN_SIGNALS 1
#endif

// A sanitizer reports from its own handler; then the notes alone must do.
void watch_signals() {
  if (!SWITCHYARD_OWN_SIGNALS) return;
  // A stack that overflowed can't take a handler's frame.
  static std::vector<char> stack(64 * 1024);
  stack_t other{};
  other.ss_sp = stack.data();
  other.ss_size = stack.size();
  ::sigaltstack(&other, nullptr);
  for (const int number : kFatal) {
    struct sigaction action{};
    action.sa_handler = on_fatal;
    action.sa_flags = SA_ONSTACK | SA_NODEFER;
    ::sigaction(number, &action, nullptr);
  }
}

void put_text(char* to, std::size_t size, std::string_view text) {
  const std::size_t n = std::min(text.size(), size - 1);
  std::memcpy(to, text.data(), n);
  to[n] = '\0';
}

std::string text_of(const char* from, std::size_t size) { return {from, ::strnlen(from, size)}; }

Page* map_file(int fd) {
  void* mapped = ::mmap(nullptr, sizeof(Page), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  return mapped == MAP_FAILED ? nullptr : static_cast<Page*>(mapped);
}

// The thread that the signal hit; where none was noted (SIGKILL, a sanitizer), any that was in a
// plugin.
std::uint32_t noted_call(const Page& notes) {
  const std::uint32_t crashed = notes.crashed.load();
  if (crashed != 0) {
    return crashed <= kThreadsMax ? notes.threads[crashed - 1].call.load() : 0;
  }
  for (const ThreadCell& thread : notes.threads) {
    if (const std::uint32_t call = thread.call.load(); call != 0) return call;
  }
  return 0;
}

}  // namespace

const char* to_string(Call call) {
  static constexpr const char* kNames[] = {"none",   "init",    "fini",    "open",  "close",
                                           "op_new", "op_step", "op_free", "score", "observe",
                                           "save",   "load",    "write",   "flush", "shadow_run"};
  const auto index = static_cast<std::size_t>(call);
  return index < std::size(kNames) ? kNames[index] : "unknown";
}

std::filesystem::path note_file(const std::filesystem::path& directory, pid_t pid) {
  return directory / ("calls." + std::to_string(pid));
}

void keep_notes(const std::filesystem::path& directory) {
  const auto path = note_file(directory, ::getpid());
  const UniqueFd file(::open(path.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
  if (!file || ::ftruncate(file.get(), sizeof(Page)) != 0) return;
  Page* made = map_file(file.get());
  if (made == nullptr) return;
  made->magic = kMagic;
  made->size = sizeof(Page);
  page = made;
  watch_signals();
}

std::uint32_t note_library(std::string_view file, std::string_view sha256) {
  if (page == nullptr) return 0;
  const std::uint32_t index = page->libraries.load();
  if (index >= kLibrariesMax) return 0;
  NotedLibrary& noted = page->library[index];
  put_text(noted.file, sizeof noted.file, file);
  put_text(noted.sha256, sizeof noted.sha256, sha256);
  page->libraries.store(index + 1);
  return index + 1;
}

std::atomic<std::uint32_t>* CallNote::cell() { return own.cell; }

std::optional<Blame> take_notes(const std::filesystem::path& directory, pid_t pid) {
  const auto path = note_file(directory, pid);
  const UniqueFd file(::open(path.c_str(), O_RDWR | O_CLOEXEC));
  if (!file) return std::nullopt;
  ::unlink(path.c_str());
  if (::lseek(file.get(), 0, SEEK_END) != static_cast<off_t>(sizeof(Page))) return std::nullopt;
  Page* notes = map_file(file.get());
  if (notes == nullptr) return std::nullopt;
  std::optional<Blame> blame;
  const std::uint32_t call = noted_call(*notes);
  const std::uint32_t library = call >> 8;
  if (notes->magic == kMagic && library > 0 && library <= kLibrariesMax) {
    const NotedLibrary& noted = notes->library[library - 1];
    blame = Blame{text_of(noted.file, sizeof noted.file),
                  text_of(noted.sha256, sizeof noted.sha256), static_cast<Call>(call & 0xff)};
  }
  ::munmap(notes, sizeof(Page));
  return blame;
}

}  // namespace switchyard::store
