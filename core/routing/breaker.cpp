#include "core/routing/breaker.hpp"

#include <algorithm>
#include <bit>

namespace switchyard::routing {
namespace {

constexpr auto kRelaxed = std::memory_order_relaxed;
constexpr std::uint64_t kMillion = 1'000'000;
// An upstream that asks for more than this is asked again sooner.
constexpr std::uint64_t kRetryAfterMaxMs = 600'000;
constexpr std::uint64_t kLevelMax = 15, kProbesMax = 63, kCountMax = (1u << 14) - 1;
constexpr std::uint32_t kRampFirst = 100'000;  // of a million

std::uint64_t to_ms(std::uint64_t ns) { return ns / kMillion; }

}  // namespace

Breaker::Breaker(const config::BreakerPolicy& policy)
    : policy_(policy),
      slot_ms_(
          std::max<std::uint64_t>(static_cast<std::uint64_t>(policy.window.count()) / kSlots, 1)) {}

bool Breaker::change(Word& from, Word to) {
  std::uint64_t was = std::bit_cast<std::uint64_t>(from);
  if (state_.compare_exchange_strong(was, std::bit_cast<std::uint64_t>(to))) return true;
  from = std::bit_cast<Word>(was);
  return false;
}

Breaker::Pass Breaker::ask(std::uint64_t now_ns, std::uint32_t chance) {
  const Force force = force_.load(kRelaxed);
  if (force == Force::kOpen) return {};
  std::uint64_t bits = state_.load(kRelaxed);
  if (bits == 0 || force == Force::kClosed) return {Pass::Kind::kCall, false, bits};
  const std::uint64_t now_ms = to_ms(now_ns);
  auto word = std::bit_cast<Word>(bits);
  for (;;) {
    Word next = word;
    Pass::Kind kind = Pass::Kind::kProbe;
    bool changes = true;
    switch (word.kind) {
      case kOpen:
        if (now_ms < word.at_ms) return {};
        next = {kHalfOpen, word.level, 1, 0, now_ms};
        break;
      case kHalfOpen:
        if (std::uint64_t{word.asked} + word.good >= probes()) return {};
        next.asked = word.asked + 1;
        changes = false;
        break;
      case kRamp: {
        const std::uint32_t share = ramp_share(word, now_ms);
        if (share < kMillion) {
          if (chance >= share) return {};
          return {Pass::Kind::kCall, false, std::bit_cast<std::uint64_t>(word)};
        }
        next = {};
        kind = Pass::Kind::kCall;
        break;
      }
      default:
        return {Pass::Kind::kCall, false, std::bit_cast<std::uint64_t>(word)};
    }
    if (change(word, next)) return {kind, changes, std::bit_cast<std::uint64_t>(next)};
  }
}

Breaker::Pass Breaker::ask_anyway(std::uint64_t now_ns, std::uint32_t chance) {
  if (forced() == Force::kOpen) return {};
  Pass pass = ask(now_ns, chance);
  if (!pass) pass = {Pass::Kind::kAnyway, false, state_.load(kRelaxed)};
  return pass;
}

std::uint64_t Breaker::probes() const {
  return std::min<std::uint64_t>(policy_.probes, kProbesMax);
}

bool Breaker::is_slow(const Result& result) const {
  const auto slow_us = static_cast<std::uint64_t>(policy_.slow.count()) * 1000;
  return slow_us > 0 && result.took_us > slow_us;
}

bool Breaker::end(const Pass& pass, const Result& result, std::uint64_t now_ns) {
  if (!pass || !policy_.enabled) return false;
  const std::uint64_t now_ms = to_ms(now_ns);
  const bool slow = is_slow(result);
  if (pass.kind == Pass::Kind::kProbe) {
    return end_probe(pass, !result.failed && !slow, result, now_ms);
  }
  auto word = std::bit_cast<Word>(state_.load(kRelaxed));
  if (pass.kind == Pass::Kind::kAnyway) {
    // One that went well tells what a probe would have told.
    const bool same = std::bit_cast<std::uint64_t>(word) == pass.word;
    if (result.failed || slow || !same || word.kind != kOpen) return false;
    return change(word, {kHalfOpen, word.level, 0, 1, now_ms});
  }
  count(result.failed, slow, now_ms);
  if (!result.failed && !slow) return false;
  if (word.kind != kClosed && word.kind != kRamp) return false;
  // What began before the ramp tells of the time before it.
  if (word.kind == kRamp && std::bit_cast<std::uint64_t>(word) != pass.word) return false;
  return too_many(word, now_ms) && open(word, result, now_ms);
}

void Breaker::cancel(const Pass& pass) {
  if (pass.kind != Pass::Kind::kProbe) return;
  auto word = std::bit_cast<Word>(state_.load(kRelaxed));
  const std::uint64_t since = std::bit_cast<Word>(pass.word).at_ms;
  for (;;) {
    if (word.kind != kHalfOpen || word.at_ms != since || word.asked == 0) return;
    Word next = word;
    next.asked = word.asked - 1;
    if (change(word, next)) return;
  }
}

bool Breaker::end_probe(const Pass& pass, bool good, const Result& result, std::uint64_t now_ms) {
  auto word = std::bit_cast<Word>(state_.load(kRelaxed));
  const std::uint64_t since = std::bit_cast<Word>(pass.word).at_ms;
  for (;;) {
    // Another probe has decided already.
    if (word.kind != kHalfOpen || word.at_ms != since || word.asked == 0) return false;
    if (!good) {
      if (open(word, result, now_ms)) return true;
      word = std::bit_cast<Word>(state_.load(kRelaxed));
      continue;
    }
    Word next = word;
    next.asked = word.asked - 1;
    next.good = word.good + 1;
    const bool enough = std::uint64_t{next.good} >= probes();
    if (enough) {
      // What was counted before says nothing of how it is now.
      for (auto& slot : slots_) slot.store(0, kRelaxed);
      next = {kRamp, word.level, 0, 0, now_ms};
    }
    if (change(word, next)) return enough;
  }
}

bool Breaker::open(Word from, const Result& result, std::uint64_t now_ms) {
  if (forced() != Force::kNone) return false;
  const auto first = static_cast<std::uint64_t>(policy_.cool_down.count());
  const auto most = std::max(first, static_cast<std::uint64_t>(policy_.cool_down_max.count()));
  std::uint64_t rest = std::min(first << from.level, most);
  rest = std::max(rest, std::min<std::uint64_t>(result.retry_after_ms, kRetryAfterMaxMs));
  const std::uint64_t level = std::min<std::uint64_t>(from.level + 1u, kLevelMax);
  if (!change(from, {kOpen, level, 0, 0, now_ms + rest})) return false;
  opened_.fetch_add(1, kRelaxed);
  return true;
}

bool Breaker::too_many(const Word& word, std::uint64_t now_ms) const {
  const Sum calls = sum(now_ms);
  // On its way back it has to prove itself: fewer calls are enough to tell.
  const unsigned least =
      word.kind == kRamp ? std::max(policy_.calls_min / 4, 3u) : std::max(policy_.calls_min, 1u);
  if (calls.calls < least) return false;
  return calls.failed * 100 >= calls.calls * policy_.errors_percent ||
         (policy_.slow.count() > 0 && calls.slow * 100 >= calls.calls * policy_.slow_percent);
}

std::uint64_t Breaker::slot_number(std::uint64_t now_ms) const {
  return (now_ms / slot_ms_ + 1) & ((1u << 22) - 1);
}

void Breaker::count(bool failed, bool slow, std::uint64_t now_ms) {
  const std::uint64_t number = slot_number(now_ms);
  std::atomic<std::uint64_t>& cell = slots_[now_ms / slot_ms_ % kSlots];
  std::uint64_t bits = cell.load(kRelaxed);
  for (;;) {
    auto slot = std::bit_cast<Slot>(bits);
    if (slot.number != number) slot = {number, 0, 0, 0};
    if (slot.calls == kCountMax) return;
    slot.calls = slot.calls + 1;
    slot.failed = slot.failed + (failed ? 1 : 0);
    slot.slow = slot.slow + (slow ? 1 : 0);
    if (cell.compare_exchange_weak(bits, std::bit_cast<std::uint64_t>(slot), kRelaxed)) return;
  }
}

Breaker::Sum Breaker::sum(std::uint64_t now_ms) const {
  Sum sum;
  const std::uint64_t slot_now = now_ms / slot_ms_;
  for (std::uint64_t back = 0; back < kSlots && back <= slot_now; ++back) {
    const auto slot = std::bit_cast<Slot>(slots_[(slot_now - back) % kSlots].load(kRelaxed));
    if (slot.number != slot_number((slot_now - back) * slot_ms_)) continue;
    sum.calls += slot.calls;
    sum.failed += slot.failed;
    sum.slow += slot.slow;
  }
  return sum;
}

std::uint32_t Breaker::ramp_share(const Word& word, std::uint64_t now_ms) const {
  const auto ramp_ms = static_cast<std::uint64_t>(policy_.ramp.count());
  const std::uint64_t since = now_ms > word.at_ms ? now_ms - word.at_ms : 0;
  if (since >= ramp_ms) return kMillion;
  return kRampFirst + static_cast<std::uint32_t>((kMillion - kRampFirst) * since / ramp_ms);
}

Breaker::State Breaker::state(std::uint64_t now_ns) const {
  const Force force = forced();
  if (force != Force::kNone) return force == Force::kOpen ? State::kOpen : State::kClosed;
  const auto word = std::bit_cast<Word>(state_.load(kRelaxed));
  const std::uint64_t now_ms = to_ms(now_ns);
  switch (word.kind) {
    case kOpen:
      return now_ms < word.at_ms ? State::kOpen : State::kHalfOpen;
    case kHalfOpen:
      return State::kHalfOpen;
    case kRamp:
      return ramp_share(word, now_ms) < kMillion ? State::kHalfOpen : State::kClosed;
    default:
      return State::kClosed;
  }
}

std::uint64_t Breaker::rests_ns(std::uint64_t now_ns) const {
  const auto word = std::bit_cast<Word>(state_.load(kRelaxed));
  const std::uint64_t now_ms = to_ms(now_ns);
  if (forced() != Force::kNone || word.kind != kOpen || now_ms >= word.at_ms) return 0;
  return (word.at_ms - now_ms) * kMillion;
}

void Breaker::force(Force force) {
  force_.store(force, kRelaxed);
  state_.store(0, kRelaxed);
  for (auto& slot : slots_) slot.store(0, kRelaxed);
}

}  // namespace switchyard::routing
