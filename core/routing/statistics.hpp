// What is measured of calls while they are made: cells of atomics that every loop writes and reads,
// without a lock.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>

struct swy_cand;
struct swy_outcome;

namespace switchyard::routing {

// What another request would have met too.
bool is_target_fault(std::int32_t cls);

// The last minute of one target, as one credential sees it. Loops write it together: a count may be
// a little off where they meet at the turn of a slot, which no choice depends on.
class TargetStats {
 public:
  static constexpr std::uint64_t kSlotNs = 20'000'000'000;  // the window is three: 40 to 60 s
  static constexpr std::size_t kSlots = 3;
  static constexpr std::size_t kClasses = 16;  // of faults: SWY_CLS_*, and room to grow
  using Classes = std::array<std::uint64_t, kClasses>;

  // What came of an attempt. Faults of the request itself say nothing of the target; an attempt
  // that took no time, nothing of times. [any thread]
  void add(const swy_outcome& outcome, std::uint64_t now_ns);

  // An attempt that was made again where one had failed. [any thread]
  void add_retry(std::uint64_t now_ns);
  // Whether one more is within a budget of so many percent of the other attempts, and of a few in
  // any case; 0: none is. [any thread]
  bool may_retry(std::uint32_t percent, std::uint64_t now_ns) const;

  // Calls made beside one that was slow to begin: what each may cost, in percent of a call here.
  // [any thread]
  void add_hedge(std::uint32_t cost_percent, std::uint64_t now_ns);
  // Whether one of that cost is within so many percent of what the attempts cost. [any thread]
  bool may_hedge(std::uint32_t percent, std::uint32_t cost_percent, std::uint64_t now_ns) const;
  // An attempt that was given up after so long without a token: it would have taken longer.
  // [any thread]
  void add_wait(std::uint32_t us, std::uint64_t now_ns);

  struct FirstToken {
    std::uint32_t p95_us = 0;
    std::uint64_t samples = 0;
  };
  FirstToken first_token(std::uint64_t now_ns) const;

  // Whether anything was asked in the last minute. [any thread]
  bool asked_lately(std::uint64_t now_ns) const;

  // Fills what is measured: samples, err_ppm, times, speed; 0 where nothing was. [any thread]
  void read(swy_cand& candidate, std::uint64_t now_ns) const;

  // Of several such cells together.
  class Sum;

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
    std::atomic<std::uint32_t> samples{0}, failed{0}, retries{0};
    std::atomic<std::uint32_t> hedged_percent{0};  // of a call
    std::atomic<std::uint64_t> tok_out{0}, busy_us{0};
    std::array<std::atomic<std::uint32_t>, kClasses> classes{};
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

  alignas(64) Mean ttft_, latency_;
  std::array<Slot, kSlots> slots_;
};

class TargetStats::Sum {
 public:
  void add(const TargetStats& stats, std::uint64_t now_ns);
  void fill(swy_cand& candidate) const;
  // Failed attempts by their class.
  const Classes& classes() const { return classes_; }

 private:
  std::uint64_t samples_ = 0, failed_ = 0, tok_out_ = 0, busy_us_ = 0;
  Classes classes_{};
  Times::Counts ttft_{}, latency_{};
  // Means, each weighed by its cell's samples.
  std::uint64_t ttft_us_ = 0, ttft_weight_ = 0, latency_us_ = 0, latency_weight_ = 0;
};

}  // namespace switchyard::routing
