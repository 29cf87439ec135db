// How many calls and tokens go to an upstream: what the operator allows, and what it says itself.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <optional>

#include "core/config/upstream_policy.hpp"

namespace switchyard::routing {

// The sum of the last minute, in slots of 5 s: at least what the last 60 s had, at most what the
// last 65 s had. [any thread]
class LastMinute {
 public:
  // Adds to the sum unless that takes it beyond `most`. An empty minute takes any amount.
  bool add(std::uint64_t amount, std::uint64_t most, std::uint64_t now_ns);
  // Corrects what was added. [any thread]
  void correct(std::int64_t by, std::uint64_t now_ns);
  std::uint64_t sum(std::uint64_t now_ns) const;
  // When the oldest slot that counts is forgotten.
  std::uint64_t eases_ns(std::uint64_t now_ns) const;

 private:
  static constexpr std::uint64_t kSlotNs = 5'000'000'000;
  static constexpr std::size_t kSlots = 13;
  struct Slot {
    std::uint64_t number : 24;
    std::uint64_t amount : 40;
  };
  static std::uint64_t number_of(std::uint64_t slot) { return (slot + 1) & ((1u << 24) - 1); }
  std::uint64_t sum_before(std::uint64_t slot) const;

  std::array<std::atomic<std::uint64_t>, kSlots> slots_{};
};

// What an upstream said of itself: SWY_EMIT_LIMITS. Nothing: it did not say.
struct LearnedLimits {
  std::optional<std::uint64_t> rpm, tpm, remaining_requests, remaining_tokens;
  std::uint64_t reset_ms = 0;
};

// Calls in flight, and the limits that they are held to. [any thread]
class Gate {
 public:
  explicit Gate(const config::UpstreamLimits& limits);

  // Takes a place for a call of about so many tokens; false: a configured limit is reached.
  bool enter(std::uint64_t tokens, std::uint64_t now_ns);
  void leave() { inflight_.fetch_sub(1, std::memory_order_relaxed); }
  // The call used so many tokens more than was thought, or less.
  void correct(std::int64_t tokens, std::uint64_t now_ns) {
    if (limits_.tpm > 0) tokens_.correct(tokens, now_ns);
  }
  // A place is given back for a call that was never made.
  void undo(std::uint64_t tokens, std::uint64_t now_ns);

  // Beyond here the upstream itself would rather not go: by what it said, or by how it did.
  bool tight(std::uint64_t tokens, std::uint64_t now_ns) const;
  void learn(const LearnedLimits& said, std::uint64_t now_ns);
  // For a limit that adapts: how a call went.
  void eased();
  void pressed(std::uint64_t now_ns);

  bool limited() const { return limits_.rpm > 0 || limits_.tpm > 0 || limits_.concurrency > 0; }
  const config::UpstreamLimits& limits() const { return limits_; }
  std::uint32_t inflight() const { return inflight_.load(std::memory_order_relaxed); }
  // UINT32_MAX, UINT64_MAX: no limit is known.
  std::uint32_t inflight_max() const;
  std::uint32_t requests_left(std::uint64_t now_ns) const;
  std::uint64_t tokens_left(std::uint64_t now_ns) const;
  std::uint64_t learned_rpm() const { return learned_rpm_.load(std::memory_order_relaxed); }
  std::uint64_t learned_tpm() const { return learned_tpm_.load(std::memory_order_relaxed); }
  // Until a full limit takes a call again.
  std::uint64_t eases_ns(std::uint64_t now_ns) const;

 private:
  static constexpr std::uint64_t kUnknown = UINT64_MAX;
  std::uint64_t said_left(const std::atomic<std::uint64_t>& left, std::uint64_t of,
                          std::uint64_t now_ns) const;

  const config::UpstreamLimits limits_;
  alignas(64) std::atomic<std::uint32_t> inflight_{0};
  alignas(64) LastMinute requests_;
  LastMinute tokens_;
  // What was left at said_ns_ by the upstream's own word; all is there again at reset_ns_.
  std::atomic<std::uint64_t> requests_left_{kUnknown}, tokens_left_{kUnknown};
  std::atomic<std::uint64_t> said_ns_{0}, reset_ns_{0};
  std::atomic<std::uint64_t> learned_rpm_{0}, learned_tpm_{0};
  // The adapting limit, in 1/256 of a call; 0: it has not adapted yet.
  std::atomic<std::uint32_t> adapted_{0};
  std::atomic<std::uint64_t> pressed_ns_{0};
};

}  // namespace switchyard::routing
