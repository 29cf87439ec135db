// How a library behaves in service: its faults, and whether it may be asked at all.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>

namespace switchyard::plugin {

// A breaker over faults of the plugin's own: bad returns, what its barrier caught, calls far over
// their time. Open it lets nothing through until a pause is over, and a fault right after opens it
// again for twice as long. [any thread]; a count that is lost in a race costs nothing.
class Health {
 public:
  static constexpr unsigned kFaultsMax = 5;
  static constexpr std::uint64_t kWindowNs = 10'000'000'000, kPauseNs = 10'000'000'000,
                                 kPauseMostNs = 300'000'000'000;

  void fault(std::uint64_t now_ns) {
    faults_.fetch_add(1, std::memory_order_relaxed);
    if (now_ns - window_ns_.load(std::memory_order_relaxed) > kWindowNs) {
      window_ns_.store(now_ns, std::memory_order_relaxed);
      in_window_.store(0, std::memory_order_relaxed);
    }
    const unsigned recent = in_window_.fetch_add(1, std::memory_order_relaxed) + 1;
    const std::uint64_t until = open_until_ns_.load(std::memory_order_relaxed);
    const bool on_probation = until != 0 && now_ns >= until && now_ns - until < kWindowNs;
    if (recent >= kFaultsMax || (on_probation && recent == 1)) open(now_ns, on_probation);
  }
  // A call took longer than its contract allows.
  void slow() { slow_.fetch_add(1, std::memory_order_relaxed); }

  bool resting(std::uint64_t now_ns) const {
    return now_ns < open_until_ns_.load(std::memory_order_relaxed);
  }
  std::uint64_t open_until_ns() const { return open_until_ns_.load(std::memory_order_relaxed); }
  std::uint64_t faults() const { return faults_.load(std::memory_order_relaxed); }
  std::uint64_t slow_calls() const { return slow_.load(std::memory_order_relaxed); }

 private:
  void open(std::uint64_t now_ns, bool again) {
    const std::uint64_t last = pause_ns_.load(std::memory_order_relaxed);
    const std::uint64_t pause = again ? std::min(last * 2, kPauseMostNs) : kPauseNs;
    pause_ns_.store(pause, std::memory_order_relaxed);
    in_window_.store(0, std::memory_order_relaxed);
    window_ns_.store(0, std::memory_order_relaxed);
    open_until_ns_.store(now_ns + pause, std::memory_order_relaxed);
  }

  std::atomic<std::uint64_t> faults_{0}, slow_{0}, window_ns_{0}, open_until_ns_{0},
      pause_ns_{kPauseNs};
  std::atomic<unsigned> in_window_{0};
};

}  // namespace switchyard::plugin
