#include "core/routing/attempts.hpp"

#include <switchyard/plugin.h>

#include <algorithm>

namespace switchyard::routing {
namespace {

constexpr std::uint64_t kMsNs = 1'000'000;
// A pause longer than this is better spent by the client, who is told how long.
constexpr std::uint32_t kRetryAfterMaxMs = 5'000;
// First tokens of the last minute that make a percentile.
constexpr std::uint64_t kHedgeSamplesMin = 20;
constexpr std::uint64_t kPauseNs = 200 * kMsNs, kPauseMaxNs = 5'000 * kMsNs;

// The same target may do better after a pause.
bool try_again(const Fault& fault) {
  if (fault.retry_after_ms > kRetryAfterMaxMs) return false;
  return fault.cls == SWY_CLS_RATE_LIMIT || fault.cls == SWY_CLS_OVERLOADED ||
         fault.cls == SWY_CLS_SERVER;
}

// Another credential of the same target may do better.
bool is_of_credential(std::int32_t cls) {
  return cls == SWY_CLS_AUTH || cls == SWY_CLS_QUOTA || cls == SWY_CLS_RATE_LIMIT;
}

// What a target that is not ready would most likely fail with.
constexpr std::uint32_t kUnwell =
    1u << SWY_CLS_OVERLOADED | 1u << SWY_CLS_RATE_LIMIT | 1u << SWY_CLS_SERVER;

bool is_meant(const Target& target, std::int32_t cls) {
  return target.on == kOnAny ? try_elsewhere(cls) : (target.on >> cls & 1u) != 0;
}

}  // namespace

bool try_elsewhere(std::int32_t cls) {
  return cls != SWY_CLS_BAD_REQUEST && cls != SWY_CLS_TOO_LONG && cls != SWY_CLS_FILTERED;
}

// splitmix64 (Steele, Lea, Flood).
std::uint64_t Attempts::random() {
  std::uint64_t value = random_ += 0x9e3779b97f4a7c15u;
  value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9u;
  value = (value ^ (value >> 27)) * 0x94d049bb133111ebu;
  return value ^ (value >> 31);
}

std::optional<Attempts::Step> Attempts::next(const Fault* last, std::uint64_t now_ns) {
  give_up();
  now_ns_ = now_ns;
  if (policy_.deadline_ns != 0 && now_ns >= policy_.deadline_ns) return std::nullopt;
  if (last == nullptr) return first(now_ns);
  if (number_ >= std::min(policy_.attempts_max, kAttemptsMost)) return std::nullopt;
  if (policy_.once && !last->not_begun) return std::nullopt;
  auto step = other_credential(*last, now_ns);
  if (!step) step = other_target(*last, now_ns);
  if (!step) step = same_target(*last, now_ns);
  return step;
}

std::optional<Attempts::Step> Attempts::next_able(const Fault& last, const Able& able,
                                                  std::uint64_t now_ns) {
  give_up();
  now_ns_ = now_ns;
  if (number_ >= std::min(policy_.attempts_max, kAttemptsMost)) return std::nullopt;
  const auto count = static_cast<std::uint32_t>(route_.targets.size());
  for (std::uint32_t i = 0; i < count; ++i) {
    if (tried(i) || !is_meant(route_.targets[i], last.cls) || !able(i)) continue;
    auto step = take(i, false, false, now_ns);
    if (step) return step;
  }
  return std::nullopt;
}

std::optional<Attempts::Step> Attempts::first(std::uint64_t now_ns) {
  const auto count = static_cast<std::uint32_t>(route_.targets.size());
  const auto ask = [&](bool fallbacks, bool anyway) -> std::optional<Step> {
    for (std::uint32_t i = 0; i < count; ++i) {
      const std::uint32_t on = route_.targets[i].on;
      if (fallbacks ? on == kOnAny || (on & kUnwell) == 0 : on != kOnAny) continue;
      auto step = take(i, anyway, false, now_ns);
      if (step) return step;
    }
    return std::nullopt;
  };
  auto step = ask(false, false);
  if (!step) step = ask(true, false);
  if (!step) step = ask(false, true);
  return step;
}

std::optional<Attempts::Step> Attempts::other_credential(const Fault& last, std::uint64_t now_ns) {
  if (!is_of_credential(last.cls) || policy_.credential || number_ == 0) return std::nullopt;
  const std::uint32_t target = tried_[number_ - 1].target;
  const Live* const live = route_.targets[target].live;
  if (live == nullptr || live->size() < 2) return std::nullopt;
  return take(target, false, true, now_ns);
}

// A target that is ready costs nothing of the budget; one that isn't is a retry.
std::optional<Attempts::Step> Attempts::other_target(const Fault& last, std::uint64_t now_ns) {
  const auto count = static_cast<std::uint32_t>(route_.targets.size());
  for (const bool anyway : {false, true}) {
    for (std::uint32_t i = 0; i < count; ++i) {
      if (tried(i) || !is_meant(route_.targets[i], last.cls)) continue;
      if (anyway && !may_retry(i, now_ns)) continue;
      auto step = take(i, anyway, false, now_ns);
      if (!step) continue;
      if (anyway && call_) call_->lane->stats.add_retry(now_ns);
      return step;
    }
  }
  return std::nullopt;
}

std::optional<Attempts::Step> Attempts::same_target(const Fault& last, std::uint64_t now_ns) {
  if (number_ == 0 || !try_again(last)) return std::nullopt;
  const std::uint32_t target = tried_[number_ - 1].target;
  if (!may_retry(target, now_ns)) return std::nullopt;
  const std::uint64_t delay_ns = pause_ns(last);
  if (policy_.deadline_ns != 0 && now_ns + delay_ns >= policy_.deadline_ns) return std::nullopt;
  auto step = take(target, true, false, now_ns);
  if (!step) return std::nullopt;
  step->delay_ns = delay_ns;
  ++retries_;
  if (call_) call_->lane->stats.add_retry(now_ns);
  return step;
}

std::optional<Attempts::Step> Attempts::take(std::uint32_t target, bool anyway, bool fresh,
                                             std::uint64_t now_ns) {
  const Live* const live = route_.targets[target].live;
  Step step{target, policy_.credential.value_or(0), 0};
  if (live == nullptr) {
    note(target, step.credential);
    return step;
  }
  std::uint64_t refused = 0;  // lanes that took no call, a bit each
  Lane::Barred why = Lane::Barred::kNot;
  for (;;) {
    const auto lane = best_lane(*live, target, refused, fresh, anyway, now_ns);
    if (!lane) break;
    Lane::Call call;
    const Lane::Ask ask{policy_.tokens, now_ns, static_cast<std::uint32_t>(random() % 1'000'000),
                        anyway};
    why = live->lane(*lane).begin(ask, call);
    if (why == Lane::Barred::kNot) {
      call_ = call;
      step.credential = *lane;
      note(target, *lane);
      return step;
    }
    if (anyway) note_nobody(why, live->lane(*lane).eases_ns(now_ns));
    if (*lane >= 64) break;
    refused |= std::uint64_t{1} << *lane;
  }
  const bool noted = std::any_of(passed_.begin(), passed_.end(),
                                 [&](const Passed& each) { return each.target == target; });
  if (why != Lane::Barred::kNot && !noted && !tried(target)) passed_.push_back({target, why});
  return std::nullopt;
}

// The one that runs the fewest calls for its weight; among equals by chance, by their weights.
std::optional<std::uint32_t> Attempts::best_lane(const Live& live, std::uint32_t target,
                                                 std::uint64_t refused, bool fresh, bool anyway,
                                                 std::uint64_t now_ns) {
  const auto count = static_cast<std::uint32_t>(live.size());
  if (policy_.credential || count == 1) {
    const std::uint32_t only = policy_.credential.value_or(0);
    const bool taken = only >= count || (refused >> only & 1u) != 0;
    return taken ? std::nullopt : std::optional<std::uint32_t>(only);
  }
  std::optional<std::uint32_t> best;
  bool best_ready = false;
  std::uint64_t best_load = 0, best_weight = 0, weights = 0;
  for (std::uint32_t i = 0; i < count; ++i) {
    if (i < 64 && (refused >> i & 1u) != 0) continue;
    if (fresh && tried(target, i)) continue;
    const Lane& lane = live.lane(i);
    // Where all are unwell, those before those that are worse: a credential that is refused.
    const bool ready = !anyway || !lane.access().rests(now_ns);
    const std::uint64_t weight = std::max(lane.access().weight(), 1u);
    const std::uint64_t load = lane.gate.inflight();
    const bool better = !best || (ready && !best_ready) ||
                        (ready == best_ready && load * best_weight < best_load * weight);
    const bool equal = best && ready == best_ready && load * best_weight == best_load * weight;
    if (better) weights = 0;
    if (!better && !equal) continue;
    weights += weight;
    if (!better && random() % weights >= weight) continue;
    best = i;
    best_ready = ready;
    best_load = load;
    best_weight = weight;
  }
  return best;
}

// What passes soonest is what the client is told.
void Attempts::note_nobody(Lane::Barred why, std::uint64_t eases_ns) {
  const bool sooner = why == Lane::Barred::kLimit &&
                      (nobody_.why != Lane::Barred::kLimit || eases_ns < nobody_.eases_ns);
  if (nobody_.why == Lane::Barred::kNot || sooner) nobody_ = {why, eases_ns};
}

void Attempts::note(std::uint32_t target, std::uint32_t credential) {
  tried_[number_++] = {target, credential};
  std::erase_if(passed_, [&](const Passed& each) { return each.target == target; });
}

bool Attempts::tried(std::uint32_t target) const {
  const auto all = all_tried();
  return std::any_of(all.begin(), all.end(),
                     [&](const Tried& each) { return each.target == target; });
}

bool Attempts::tried(std::uint32_t target, std::uint32_t credential) const {
  const auto all = all_tried();
  return std::any_of(all.begin(), all.end(), [&](const Tried& each) {
    return each.target == target && each.credential == credential;
  });
}

bool Attempts::may_retry(std::uint32_t target, std::uint64_t now_ns) const {
  const Live* const live = route_.targets[target].live;
  if (live == nullptr) return policy_.retry_percent > 0;
  std::uint32_t lane = policy_.credential.value_or(0);
  for (const Tried& each : all_tried()) {
    if (each.target == target) lane = each.credential;
  }
  return lane < live->size() && live->lane(lane).stats.may_retry(policy_.retry_percent, now_ns);
}

// Anywhere between nothing and a base that doubles, and no less than the upstream asked for.
std::uint64_t Attempts::pause_ns(const Fault& last) {
  const std::uint64_t most = std::min(kPauseNs << (retries_ + 1), kPauseMaxNs);
  return std::max(random() % (most + 1), last.retry_after_ms * kMsNs);
}

void Attempts::done(const Outcome& outcome, std::uint64_t now_ns) {
  if (!call_) return;
  call_->lane->end(*call_, outcome, now_ns);
  call_.reset();
}

void Attempts::give_up() {
  for (std::optional<Lane::Call>* each : {&call_, &hedge_call_}) {
    if (*each) (*each)->lane->undo(**each, now_ns_);
    each->reset();
  }
}

// ---- hedging ----

std::optional<std::uint64_t> Attempts::slow_after_ns(std::uint64_t now_ns) const {
  if (!call_) return std::nullopt;
  const TargetStats::FirstToken seen = call_->lane->stats.first_token(now_ns);
  if (seen.samples < kHedgeSamplesMin) return std::nullopt;
  return std::uint64_t{seen.p95_us} * 1000;
}

std::optional<Attempts::Step> Attempts::hedge(std::uint32_t percent, const CostPercent& cost,
                                              std::uint64_t now_ns) {
  now_ns_ = now_ns;
  if (!call_ || hedge_call_ || policy_.once || policy_.credential) return std::nullopt;
  if (number_ >= std::min(policy_.attempts_max, kAttemptsMost)) return std::nullopt;
  if (policy_.deadline_ns != 0 && now_ns >= policy_.deadline_ns) return std::nullopt;
  const Lane::Call first = *call_;
  const auto count = static_cast<std::uint32_t>(route_.targets.size());
  for (std::uint32_t i = 0; i < count; ++i) {
    if (route_.targets[i].on != kOnAny || tried(i)) continue;
    const std::uint32_t costs = cost(i);
    if (!first.lane->stats.may_hedge(percent, costs, now_ns)) continue;
    call_.reset();
    const auto step = take(i, false, false, now_ns);
    hedge_call_ = std::exchange(call_, first);
    if (!step) continue;
    first.lane->stats.add_hedge(costs, now_ns);
    return step;
  }
  return std::nullopt;
}

void Attempts::hedge_done(const Outcome& outcome, std::uint64_t now_ns) {
  if (hedge_call_) hedge_call_->lane->end(*hedge_call_, outcome, now_ns);
  hedge_call_.reset();
  // The last one is who may be asked again.
  std::swap(tried_[number_ - 1], tried_[number_ - 2]);
}

void Attempts::hedge_stands(const Outcome& outcome, std::uint64_t now_ns) {
  done(outcome, now_ns);
  call_ = std::exchange(hedge_call_, std::nullopt);
}

}  // namespace switchyard::routing
