// What is measured of a target while it is used: cells of atomics that every loop writes and reads,
// without a lock.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <string>

struct swy_cand;
struct swy_outcome;

namespace switchyard::routing {

// The last minute of one target. Loops write it together: a count may be a little off where they
// meet at the turn of a slot, which no choice depends on.
class TargetStats {
 public:
  static constexpr std::uint64_t kSlotNs = 20'000'000'000;  // the window is three: 40 to 60 s
  static constexpr std::size_t kSlots = 3;

  // An attempt begins and ends. [any thread]
  void begin() { inflight_.fetch_add(1, std::memory_order_relaxed); }
  void end() { inflight_.fetch_sub(1, std::memory_order_relaxed); }
  // What came of an attempt. Faults of the request itself say nothing of the target. [any thread]
  void add(const swy_outcome& outcome, std::uint64_t now_ns);

  // Fills what is measured: inflight, samples, err_ppm, times, speed; 0 where nothing was.
  // [any thread]
  void read(swy_cand& candidate, std::uint64_t now_ns) const;

 private:
  // Half octaves from 256 us: what is quicker shares the first, what takes over two minutes the
  // last.
  class Times {
   public:
    static constexpr std::size_t kBuckets = 40;
    using Counts = std::array<std::uint32_t, kBuckets>;

    void add(std::uint32_t us);
    void add_to(Counts& counts) const;
    void clear();
    static std::uint32_t p95_us(const Counts& counts);

   private:
    std::array<std::atomic<std::uint32_t>, kBuckets> counts_{};
  };

  struct alignas(64) Slot {
    std::atomic<std::uint64_t> number{0};  // of the slot since the clock began; others are stale
    std::atomic<std::uint32_t> samples{0}, failed{0};
    std::atomic<std::uint64_t> tok_out{0}, busy_us{0};
    Times ttft, latency;
  };

  // A mean that forgets: each value weighs an eighth.
  class Mean {
   public:
    void add(std::uint32_t us, std::uint64_t slot);
    std::uint32_t read(std::uint64_t slot) const;

   private:
    // Value and the slot of its last change in one word, so that they change together.
    std::atomic<std::uint64_t> state_{0};
  };

  Slot& turn_to(std::uint64_t number);

  alignas(64) std::atomic<std::uint32_t> inflight_{0};
  alignas(64) Mean ttft_, latency_;
  std::array<Slot, kSlots> slots_;
};

// The cells of a process, by target. They outlive configurations: what was measured stays known.
class Statistics {
 public:
  // The same cell for the same `key` as long as anybody holds it. [control thread]
  std::shared_ptr<TargetStats> cell(const std::string& key);
  // Forgets cells that nobody holds. [control thread]
  void drop_unused();

 private:
  std::map<std::string, std::shared_ptr<TargetStats>> cells_;
};

}  // namespace switchyard::routing
