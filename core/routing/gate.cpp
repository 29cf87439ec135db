#include "core/routing/gate.hpp"

#include <algorithm>
#include <bit>

namespace switchyard::routing {
namespace {

constexpr auto kRelaxed = std::memory_order_relaxed;
constexpr std::uint64_t kSecondNs = 1'000'000'000;
// Where an upstream does not say when all is there again, and the longest that is believed: of a
// limit that is not known, and of one that is.
constexpr std::uint64_t kResetNs = kSecondNs, kResetMaxNs = 600 * kSecondNs,
                        kRefillMaxNs = 86'400 * kSecondNs;
constexpr std::uint32_t kAdaptOne = 256, kAdaptMost = 1000 * kAdaptOne;
constexpr std::uint64_t kAmountMax = (std::uint64_t{1} << 40) - 1;

}  // namespace

// The slots before this one that still count.
std::uint64_t LastMinute::sum_before(std::uint64_t slot) const {
  std::uint64_t sum = 0;
  for (std::uint64_t back = 1; back < kSlots && back <= slot; ++back) {
    const auto each = std::bit_cast<Slot>(slots_[(slot - back) % kSlots].load(kRelaxed));
    if (each.number == number_of(slot - back)) sum += each.amount;
  }
  return sum;
}

bool LastMinute::add(std::uint64_t amount, std::uint64_t most, std::uint64_t now_ns) {
  const std::uint64_t slot = now_ns / kSlotNs;
  const std::uint64_t before = sum_before(slot);
  std::atomic<std::uint64_t>& cell = slots_[slot % kSlots];
  std::uint64_t bits = cell.load(kRelaxed);
  for (;;) {
    auto now = std::bit_cast<Slot>(bits);
    if (now.number != number_of(slot)) now = {number_of(slot), 0};
    const std::uint64_t sum = before + now.amount;
    if (sum > 0 && sum + amount > most) return false;
    now.amount = std::min(now.amount + amount, kAmountMax);
    if (cell.compare_exchange_weak(bits, std::bit_cast<std::uint64_t>(now), kRelaxed)) return true;
  }
}

void LastMinute::correct(std::int64_t by, std::uint64_t now_ns) {
  const std::uint64_t slot = now_ns / kSlotNs;
  std::atomic<std::uint64_t>& cell = slots_[slot % kSlots];
  std::uint64_t bits = cell.load(kRelaxed);
  for (;;) {
    auto now = std::bit_cast<Slot>(bits);
    if (now.number != number_of(slot)) now = {number_of(slot), 0};
    const auto amount = static_cast<std::int64_t>(now.amount) + by;
    now.amount =
        std::min(static_cast<std::uint64_t>(std::max<std::int64_t>(amount, 0)), kAmountMax);
    if (cell.compare_exchange_weak(bits, std::bit_cast<std::uint64_t>(now), kRelaxed)) return;
  }
}

std::uint64_t LastMinute::sum(std::uint64_t now_ns) const {
  const std::uint64_t slot = now_ns / kSlotNs;
  const auto now = std::bit_cast<Slot>(slots_[slot % kSlots].load(kRelaxed));
  return sum_before(slot) + (now.number == number_of(slot) ? now.amount : 0);
}

std::uint64_t LastMinute::eases_ns(std::uint64_t now_ns) const {
  const std::uint64_t slot = now_ns / kSlotNs;
  for (std::uint64_t back = std::min<std::uint64_t>(kSlots - 1, slot) + 1; back-- > 0;) {
    const auto each = std::bit_cast<Slot>(slots_[(slot - back) % kSlots].load(kRelaxed));
    if (each.number != number_of(slot - back) || each.amount == 0) continue;
    return (slot - back + kSlots) * kSlotNs - now_ns;
  }
  return 0;
}

Gate::Gate(const config::UpstreamLimits& limits) : limits_(limits) {}

bool Gate::enter(std::uint64_t tokens, std::uint64_t now_ns) {
  const std::uint32_t running = inflight_.fetch_add(1, kRelaxed);
  if (limits_.concurrency > 0 && running >= limits_.concurrency) {
    leave();
    return false;
  }
  if (limits_.rpm > 0 && !requests_.add(1, limits_.rpm, now_ns)) {
    leave();
    return false;
  }
  if (limits_.tpm > 0 && !tokens_.add(tokens, limits_.tpm, now_ns)) {
    if (limits_.rpm > 0) requests_.correct(-1, now_ns);
    leave();
    return false;
  }
  // What the upstream counts down is counted down until it says so itself.
  std::uint64_t left = requests_left_.load(kRelaxed);
  while (left != kUnknown && left > 0 &&
         !requests_left_.compare_exchange_weak(left, left - 1, kRelaxed)) {
  }
  return true;
}

void Gate::undo(std::uint64_t tokens, std::uint64_t now_ns) {
  leave();
  if (limits_.rpm > 0) requests_.correct(-1, now_ns);
  correct(-static_cast<std::int64_t>(tokens), now_ns);
}

// Limits fill up again bit by bit: what is said to begin anew in six minutes has room long before.
std::uint64_t Gate::said_left(const std::atomic<std::uint64_t>& left, std::uint64_t of,
                              std::uint64_t now_ns) const {
  const std::uint64_t said = left.load(kRelaxed);
  const std::uint64_t from_ns = said_ns_.load(kRelaxed), until_ns = reset_ns_.load(kRelaxed);
  if (said == kUnknown || now_ns >= until_ns) return kUnknown;
  if (of <= said || now_ns <= from_ns) return said;
  const double passed =
      static_cast<double>(now_ns - from_ns) / static_cast<double>(until_ns - from_ns);
  return said + static_cast<std::uint64_t>(static_cast<double>(of - said) * passed);
}

bool Gate::tight(std::uint64_t tokens, std::uint64_t now_ns) const {
  if (said_left(requests_left_, learned_rpm(), now_ns) == 0) return true;
  const std::uint64_t tokens_left = said_left(tokens_left_, learned_tpm(), now_ns);
  if (tokens_left != kUnknown && tokens_left < tokens) return true;
  return limits_.adaptive && inflight() >= inflight_max();
}

void Gate::learn(const LearnedLimits& said, std::uint64_t now_ns) {
  if (said.rpm) learned_rpm_.store(*said.rpm, kRelaxed);
  if (said.tpm) learned_tpm_.store(*said.tpm, kRelaxed);
  if (!said.remaining_requests && !said.remaining_tokens) return;
  const std::uint64_t reset_ns = said.reset_ms == 0 ? kResetNs : said.reset_ms * 1'000'000u;
  const bool fills = learned_rpm() > 0 || learned_tpm() > 0;
  said_ns_.store(now_ns, kRelaxed);
  reset_ns_.store(now_ns + std::min(reset_ns, fills ? kRefillMaxNs : kResetMaxNs), kRelaxed);
  requests_left_.store(said.remaining_requests.value_or(kUnknown), kRelaxed);
  tokens_left_.store(said.remaining_tokens.value_or(kUnknown), kRelaxed);
}

// One call more at once for each round of calls that went well while the limit was in use.
void Gate::eased() {
  if (!limits_.adaptive) return;
  std::uint32_t limit = adapted_.load(kRelaxed);
  if (limit == 0 || inflight() * 2 < limit / kAdaptOne) return;
  const std::uint32_t most = limits_.concurrency > 0 ? limits_.concurrency * kAdaptOne : kAdaptMost;
  const std::uint32_t step = std::max(kAdaptOne * kAdaptOne / limit, 1u);
  const std::uint32_t next = std::min(limit + step, most);
  adapted_.compare_exchange_strong(limit, next, kRelaxed);
}

// Three quarters of what ran, once a second at most: the calls that fail together say one thing.
void Gate::pressed(std::uint64_t now_ns) {
  if (!limits_.adaptive) return;
  std::uint64_t last = pressed_ns_.load(kRelaxed);
  if (last != 0 && now_ns < last + kSecondNs) return;
  if (!pressed_ns_.compare_exchange_strong(last, now_ns, kRelaxed)) return;
  const std::uint32_t before = adapted_.load(kRelaxed);
  const std::uint32_t ran = std::min(inflight(), 1000u) * kAdaptOne;
  const std::uint32_t from = before == 0 ? ran : std::min(before, std::max(ran, kAdaptOne));
  adapted_.store(std::max(from * 3 / 4, kAdaptOne), kRelaxed);
}

std::uint32_t Gate::inflight_max() const {
  std::uint32_t most = limits_.concurrency > 0 ? limits_.concurrency : UINT32_MAX;
  const std::uint32_t adapted = adapted_.load(kRelaxed);
  if (limits_.adaptive && adapted > 0) most = std::min(most, adapted / kAdaptOne);
  return most;
}

std::uint32_t Gate::requests_left(std::uint64_t now_ns) const {
  std::uint64_t left = said_left(requests_left_, learned_rpm(), now_ns);
  if (limits_.rpm > 0) {
    const std::uint64_t used = requests_.sum(now_ns);
    left = std::min<std::uint64_t>(left, used < limits_.rpm ? limits_.rpm - used : 0);
  }
  return static_cast<std::uint32_t>(std::min<std::uint64_t>(left, UINT32_MAX));
}

std::uint64_t Gate::tokens_left(std::uint64_t now_ns) const {
  std::uint64_t left = said_left(tokens_left_, learned_tpm(), now_ns);
  if (limits_.tpm > 0) {
    const std::uint64_t used = tokens_.sum(now_ns);
    left = std::min(left, used < limits_.tpm ? limits_.tpm - used : 0);
  }
  return left;
}

std::uint64_t Gate::eases_ns(std::uint64_t now_ns) const {
  std::uint64_t wait = 0;
  if (limits_.rpm > 0 && requests_.sum(now_ns) >= limits_.rpm) wait = requests_.eases_ns(now_ns);
  if (limits_.tpm > 0 && tokens_.sum(now_ns) >= limits_.tpm) {
    wait = std::max(wait, tokens_.eases_ns(now_ns));
  }
  return wait;
}

}  // namespace switchyard::routing
