#include "bench.hpp"

#include <dirent.h>
#include <linux/perf_event.h>
#include <malloc.h>
#include <switchyard/logger.h>
#include <switchyard/provider.h>
#include <switchyard/strategy.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <stdexcept>
#include <switchyard/plugin.hpp>

namespace swy::check {
namespace {

using OpenCall = decltype(swy_provider::open);
using CloseCall = decltype(swy_provider::close);

OpenCall open_of(const Kind& kind) {
  if (kind.iface == SWY_PROVIDER_IFACE) return static_cast<const swy_provider*>(kind.vt)->open;
  if (kind.iface == SWY_STRATEGY_IFACE) return static_cast<const swy_strategy*>(kind.vt)->open;
  return static_cast<const swy_logger*>(kind.vt)->open;
}

CloseCall close_of(const Kind& kind) {
  if (kind.iface == SWY_PROVIDER_IFACE) return static_cast<const swy_provider*>(kind.vt)->close;
  if (kind.iface == SWY_STRATEGY_IFACE) return static_cast<const swy_strategy*>(kind.vt)->close;
  return static_cast<const swy_logger*>(kind.vt)->close;
}

// ---- growth ----

constexpr std::size_t kTimes = 1000;
constexpr std::int64_t kHeapSlack = 4096, kDescriptorSlack = 5;

std::int64_t entries(const char* directory) {
  std::int64_t n = 0;
  if (DIR* open = ::opendir(directory)) {
    while (::readdir(open) != nullptr) ++n;
    ::closedir(open);
  }
  return n;
}

struct Held {
  std::int64_t heap, descriptors, threads;
};

Held measure() {
  const struct mallinfo2 info = ::mallinfo2();
  return {static_cast<std::int64_t>(info.uordblks + info.hblkhd), entries("/proc/self/fd"),
          entries("/proc/self/task")};
}

std::string number(double value) {
  char text[48];
  std::snprintf(text, sizeof text, value >= 100 ? "%.0f" : "%.3g", value);
  return text;
}

std::string micros(std::uint64_t ns) { return number(static_cast<double>(ns) / 1000.0) + " us"; }

template <class T>
T median(std::vector<T>& values) {
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

}  // namespace

Bench::Bench(const std::string& file, const Options& options, const std::string& title)
    : options_(&options), plugin_(load(file)) {
  read_kinds(plugin_);
  fault_ = plugin_.fault;
  if (fault_.empty()) fault_ = call_init(plugin_);
  for (const Kind& kind : plugin_.kinds) {
    if (kind.title() == title) kind_ = &kind;
  }
  if (fault_.empty() && !kind_) fault_ = "has no " + title;
}

swy_rc Bench::open(const std::string& config, void*& instance, swy_err& err) const {
  Lender lender(Lender::Mode::kGuarded);
  err = empty_err();
  entering("open");
  const swy_str lent = lender.lend(config, "cfg");
  const swy_rc rc =
      open_of(*kind_)(lent, host_table(), const_cast<Options*>(options_), &instance, &err);
  left();
  lender.take_back();
  return rc;
}

bool Bench::open(const std::string& config, void*& instance, std::string& why) const {
  swy_err err{};
  const swy_rc rc = open(config, instance, err);
  if (rc >= 0) return true;
  why = rc_name(rc) + ": " + err_text(err);
  return false;
}

void Bench::close(void* instance) const {
  entering("close");
  close_of (*kind_)(instance);
  left();
}

void* Bench::open_own() const {
  void* instance = nullptr;
  std::string why;
  if (!open(options_->config, instance, why)) throw std::runtime_error("open failed: " + why);
  return instance;
}

Outcome growth(const char* what, const std::function<void(std::size_t)>& work) {
  work(kTimes / 4);  // caches fill once
  const Held before = measure();
  work(kTimes);
  const Held between = measure();
  work(kTimes);
  const Held after = measure();
  const std::int64_t first = between.heap - before.heap, second = after.heap - between.heap;
  if (first > kHeapSlack && second > kHeapSlack) {
    return Outcome::failed("keeps " + number(static_cast<double>(second) / kTimes) +
                           " bytes of heap for each of 1,000 " + what);
  }
  if (after.descriptors > before.descriptors + kDescriptorSlack) {
    return Outcome::failed("keeps descriptors: " + std::to_string(before.descriptors) +
                           " before, " + std::to_string(after.descriptors) + " after 2,000 " +
                           what);
  }
  if (after.threads > before.threads) {
    return Outcome::failed("keeps threads: " + std::to_string(before.threads) + " before, " +
                           std::to_string(after.threads) + " after 2,000 " + what);
  }
  return Outcome::passed("2,000 " + std::string(what) +
                         (kSanitized ? "; the heap is not measured under a sanitizer" : ""));
}

Outcome judge_times(const char* call, Times times, std::uint64_t bound_ns) {
  if (times.wall_ns.empty()) return Outcome::skipped("nothing was called");
  const std::uint32_t half = median(times.wall_ns);
  const std::uint32_t most = *std::max_element(times.wall_ns.begin(), times.wall_ns.end());
  const std::uint32_t most_cpu = *std::max_element(times.cpu_ns.begin(), times.cpu_ns.end());
  std::string text = std::string(call) + ": median " + micros(half) + ", longest " + micros(most) +
                     " (" + micros(most_cpu) + " of the processor), ";
  text += times.instructions.empty() ? "instructions not available"
                                     : std::to_string(median(times.instructions)) + " instructions";
  text += " in " + std::to_string(times.wall_ns.size()) + " calls";
  if (half > bound_ns || most_cpu > bound_ns) {
    return Outcome::warned(text + "; the contract allows " + micros(bound_ns));
  }
  return Outcome::passed(text);
}

int open_counter() {
  perf_event_attr what{};
  what.size = sizeof what;
  what.type = PERF_TYPE_HARDWARE;
  what.config = PERF_COUNT_HW_INSTRUCTIONS;
  what.exclude_kernel = 1;
  what.exclude_hv = 1;
  return static_cast<int>(::syscall(SYS_perf_event_open, &what, 0, -1, -1, PERF_FLAG_FD_CLOEXEC));
}

std::uint64_t read_counter(int counter) {
  std::uint64_t count = 0;
  return ::read(counter, &count, sizeof count) == sizeof count ? count : 0;
}

}  // namespace swy::check
