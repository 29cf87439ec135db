// When a target is left alone, and how calls come back to it.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>

#include "core/config/upstream_policy.hpp"

namespace switchyard::routing {

// Closed, every call goes through. Where too many of the window's calls failed or were slow it
// opens, and none does until its cool-down is over, which doubles each time in a row. Then a few
// probes go through; once they went well, a growing share of the calls, at last all of them.
//
// The whole state is one word that changes by compare-and-swap: callers on all loops agree on each
// change without a lock. The clock is the caller's. [any thread]
class Breaker {
 public:
  enum class State : std::uint8_t { kClosed, kHalfOpen, kOpen };
  enum class Force : std::uint8_t { kNone, kOpen, kClosed };  // what an operator has said

  // A call that went through, to be given back by end() or cancel().
  struct Pass {
    enum class Kind : std::uint8_t {
      kNone,    // may not go
      kCall,    // an ordinary one
      kProbe,   // one of the few of a half-open breaker
      kAnyway,  // went although the breaker is open: there was nobody else
    };
    Kind kind = Kind::kNone;
    bool changed = false;    // this call made the state another
    std::uint64_t word = 0;  // the state it went by
    explicit operator bool() const { return kind != Kind::kNone; }
  };

  struct Result {
    bool failed = false;
    std::uint64_t took_us = 0;
    std::uint32_t retry_after_ms = 0;  // what the upstream asked for; a cool-down is no shorter
  };

  explicit Breaker(const config::BreakerPolicy& policy);

  // Whether a call may go; `chance` is any number below a million, for the share of a ramp.
  Pass ask(std::uint64_t now_ns, std::uint32_t chance);
  // The same for one that has nowhere else to go.
  Pass ask_anyway(std::uint64_t now_ns, std::uint32_t chance);
  // What came of it. True: the state is another for it.
  bool end(const Pass& pass, const Result& result, std::uint64_t now_ns);
  // By the policy's word on what slow is.
  bool is_slow(const Result& result) const;
  // It says nothing of the target: the fault was the request's own, or the client left.
  void cancel(const Pass& pass);

  // As callers see it; half-open while a share of the calls goes through.
  State state(std::uint64_t now_ns) const;
  // How long no call goes through, 0 where some may.
  std::uint64_t rests_ns(std::uint64_t now_ns) const;
  std::uint64_t opened() const { return opened_.load(std::memory_order_relaxed); }

  // kNone gives the state back to what is measured, beginning closed.
  void force(Force force);
  Force forced() const { return force_.load(std::memory_order_relaxed); }

 private:
  static constexpr std::size_t kSlots = 10;
  enum Kind : std::uint64_t { kClosed, kOpen, kHalfOpen, kRamp };

  // What state_ holds.
  struct Word {
    std::uint64_t kind : 2;
    std::uint64_t level : 4;   // openings in a row
    std::uint64_t asked : 6;   // probes under way
    std::uint64_t good : 6;    // probes that went well
    std::uint64_t at_ms : 46;  // open: until when; half-open, ramp: since when
  };
  // One slot of the window: its number, and how many of its calls there were.
  struct Slot {
    std::uint64_t number : 22;
    std::uint64_t calls : 14;
    std::uint64_t failed : 14;
    std::uint64_t slow : 14;
  };
  struct Sum {
    std::uint64_t calls = 0, failed = 0, slow = 0;
  };

  bool change(Word& from, Word to);
  bool end_probe(const Pass& pass, bool good, const Result& result, std::uint64_t now_ms);
  bool open(Word from, const Result& result, std::uint64_t now_ms);
  bool too_many(const Word& word, std::uint64_t now_ms) const;
  void count(bool failed, bool slow, std::uint64_t now_ms);
  Sum sum(std::uint64_t now_ms) const;
  std::uint64_t slot_number(std::uint64_t now_ms) const;
  std::uint32_t ramp_share(const Word& word, std::uint64_t now_ms) const;
  std::uint64_t probes() const;

  const config::BreakerPolicy policy_;
  const std::uint64_t slot_ms_;
  std::atomic<std::uint64_t> opened_{0};
  std::atomic<Force> force_{Force::kNone};
  std::atomic<std::uint64_t> state_{0};
  alignas(64) std::array<std::atomic<std::uint64_t>, kSlots> slots_{};
};

}  // namespace switchyard::routing
