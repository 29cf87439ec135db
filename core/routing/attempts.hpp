// Which target and credential a request's next attempt goes to, and after what pause.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "core/routing/live.hpp"
#include "core/routing/table.hpp"

namespace switchyard::routing {

// What an attempt failed with, as far as the next one depends on it.
struct Fault {
  std::int32_t cls = 0;  // SWY_CLS_*
  std::uint32_t retry_after_ms = 0;
  bool not_begun = false;  // what was asked for has surely not been begun there
};

// Another target may do better.
bool try_elsewhere(std::int32_t cls);

// Decides on the attempts of one request. No I/O and no clock of its own: driven by an exchange
// with the real clock and by simulations with another.
//
//   while (auto step = attempts.next(last, now)) { ...; attempts.done(outcome, now); last = ... }
//
// The route's targets are tried in their order, those first that are ready; where no candidate is,
// fallbacks for upstreams that fail or are full, and at last candidates that are unwell, but never
// one that an operator closed off or whose configured limit is reached.
class Attempts {
 public:
  static constexpr unsigned kAttemptsMost = 16;

  struct Policy {
    unsigned attempts_max = 3;         // kAttemptsMost at most
    std::uint32_t retry_percent = 20;  // of a target's other attempts
    std::uint64_t deadline_ns = 0;     // no attempt begins after it; 0: there is none
    std::uint64_t tokens = 0;          // that the request may use, for limits of tokens
    bool once = false;                 // a doubtful end is final: it begins what must not be twice
    std::optional<std::uint32_t> credential;  // the only one that may be used
  };
  struct Step {
    std::uint32_t target = 0;      // of the route
    std::uint32_t credential = 0;  // of its provider, where that has any
    std::uint64_t delay_ns = 0;    // to wait before
  };
  // A target that was not asked, though it stood before one that was.
  struct Passed {
    std::uint32_t target;
    Lane::Barred why;
  };

  // `route` outlives it, and its targets stay as they are.
  Attempts(const Route& route, const Policy& policy, std::uint64_t seed)
      : route_(route), policy_(policy), random_(seed) {}
  ~Attempts() { give_up(); }
  Attempts(const Attempts&) = delete;
  Attempts& operator=(const Attempts&) = delete;

  // The first attempt where `last` is null, else the one after it; nothing where there is no more
  // to be tried.
  std::optional<Step> next(const Fault* last, std::uint64_t now_ns);
  // The same where only some targets will do: another one of these that is ready and meant for the
  // fault, never the same again.
  using Able = std::function<bool(std::uint32_t target)>;
  std::optional<Step> next_able(const Fault& last, const Able& able, std::uint64_t now_ns);
  // What came of the attempt that next() gave last.
  void done(const Outcome& outcome, std::uint64_t now_ns);
  // That attempt was never made.
  void give_up();

  // Hedging: a second attempt beside one that is slow to bring content.
  // How long after its begin the attempt that runs is slow, by the 95th percentile of its own first
  // tokens; nothing where too few were seen to tell.
  std::optional<std::uint64_t> slow_after_ns(std::uint64_t now_ns) const;
  // Another target that is ready, for an attempt beside the one that runs. What it may cost, in
  // percent of the latter, is within `percent` of what that target's attempts cost.
  using CostPercent = std::function<std::uint32_t(std::uint32_t target)>;
  std::optional<Step> hedge(std::uint32_t percent, const CostPercent& cost, std::uint64_t now_ns);
  // The attempt beside is over, the other one goes on.
  void hedge_done(const Outcome& outcome, std::uint64_t now_ns);
  // The other one is over; the attempt beside takes its place.
  void hedge_stands(const Outcome& outcome, std::uint64_t now_ns);
  Lane* hedge_lane() const { return hedge_call_ ? hedge_call_->lane : nullptr; }

  // Where next() found nobody at all: why, and for how long. kNot: the deadline is over.
  struct Nobody {
    Lane::Barred why = Lane::Barred::kNot;
    std::uint64_t eases_ns = 0;
  };
  const Nobody& nobody() const { return nobody_; }
  // Those that were passed over since it was last asked.
  std::vector<Passed> take_passed() { return std::exchange(passed_, {}); }
  // The lane of the attempt that runs; null: there is none, or nothing is known of it.
  Lane* lane() const { return call_ ? call_->lane : nullptr; }

 private:
  struct Tried {
    std::uint32_t target, credential;
  };

  std::optional<Step> first(std::uint64_t now_ns);
  std::optional<Step> other_credential(const Fault& last, std::uint64_t now_ns);
  std::optional<Step> other_target(const Fault& last, std::uint64_t now_ns);
  std::optional<Step> same_target(const Fault& last, std::uint64_t now_ns);
  // Takes a place at a target. `fresh`: not with a credential that was tried there.
  std::optional<Step> take(std::uint32_t target, bool anyway, bool fresh, std::uint64_t now_ns);
  std::optional<std::uint32_t> best_lane(const Live& live, std::uint32_t target,
                                         std::uint64_t refused, bool fresh, bool anyway,
                                         std::uint64_t now_ns);
  void note(std::uint32_t target, std::uint32_t credential);
  void note_nobody(Lane::Barred why, std::uint64_t eases_ns);
  std::span<const Tried> all_tried() const { return {tried_.data(), number_}; }
  bool tried(std::uint32_t target) const;
  bool tried(std::uint32_t target, std::uint32_t credential) const;
  bool may_retry(std::uint32_t target, std::uint64_t now_ns) const;
  std::uint64_t pause_ns(const Fault& last);
  std::uint64_t random();

  const Route& route_;
  const Policy policy_;
  std::uint64_t random_;
  std::uint64_t now_ns_ = 0;  // as next() was told last
  unsigned number_ = 0, retries_ = 0;
  std::array<Tried, kAttemptsMost> tried_{};  // the first number_ of them
  std::optional<Lane::Call> call_, hedge_call_;
  std::vector<Passed> passed_;
  Nobody nobody_;
};

}  // namespace switchyard::routing
