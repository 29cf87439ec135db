#include "core/routing/statistics.hpp"

#include <switchyard/strategy.h>

#include <algorithm>
#include <bit>

namespace switchyard::routing {
namespace {

constexpr auto kRelaxed = std::memory_order_relaxed;

bool in_window(std::uint64_t slot, std::uint64_t now_slot) {
  return slot <= now_slot && now_slot - slot < TargetStats::kSlots;
}

// 1 at the least: 0 is "not measured".
std::uint64_t slot_of(std::uint64_t now_ns) { return now_ns / TargetStats::kSlotNs + 1; }

// Retries that are within the budget whatever there is of other attempts.
constexpr std::uint64_t kRetriesLeast = 10;

}  // namespace

bool is_target_fault(std::int32_t cls) {
  return cls >= 0 && cls != SWY_CLS_BAD_REQUEST && cls != SWY_CLS_TOO_LONG &&
         cls != SWY_CLS_FILTERED && cls != SWY_CLS_NOT_OFFERED;
}

void TargetStats::Times::add(std::uint32_t us) {
  constexpr unsigned kFirst = 2 * 8;  // 256 us is 2^8
  std::size_t index = 0;
  if (us >= 256) {
    const auto octave = static_cast<unsigned>(std::bit_width(us)) - 1;
    index = 2 * octave + ((us >> (octave - 1)) & 1u) - kFirst + 1;
  }
  counts_[std::min(index, kBuckets - 1)].fetch_add(1, kRelaxed);
}

void TargetStats::Times::add_to(Counts& counts) const {
  for (std::size_t i = 0; i < kBuckets; ++i) counts[i] += counts_[i].load(kRelaxed);
}

void TargetStats::Times::clear() {
  for (auto& count : counts_) count.store(0, kRelaxed);
}

std::uint32_t TargetStats::Times::p95_us(const Counts& counts) {
  std::uint64_t total = 0;
  for (const std::uint32_t count : counts) total += count;
  if (total == 0) return 0;
  // The bucket that holds the value below which 95 of 100 are, and its upper end.
  std::uint64_t above = total / 20;
  std::size_t i = kBuckets - 1;
  for (; i > 0 && counts[i] <= above; --i) above -= counts[i];
  if (i == 0) return 256;
  const unsigned octave = 8 + static_cast<unsigned>(i - 1) / 2;
  const bool upper_half = (i - 1) % 2 == 1;
  return upper_half ? 2u << octave : (1u << octave) + (1u << (octave - 1));
}

void TargetStats::Mean::add(std::uint32_t us, std::uint64_t slot) {
  std::uint64_t before = state_.load(kRelaxed);
  std::uint64_t after = 0;
  do {
    std::uint64_t mean = us;
    if (in_window(before >> 32, slot)) {
      const std::uint64_t old = before & UINT32_MAX;
      mean = (old * 7 + us) / 8;
      if (mean == old && us > old) ++mean;  // what is cut off must not hold it down
    }
    after = slot << 32 | mean;
  } while (!state_.compare_exchange_weak(before, after, kRelaxed));
}

std::uint32_t TargetStats::Mean::read(std::uint64_t slot) const {
  const std::uint64_t state = state_.load(kRelaxed);
  return in_window(state >> 32, slot) ? static_cast<std::uint32_t>(state) : 0;
}

TargetStats::Slot& TargetStats::turn_to(std::uint64_t number) {
  Slot& slot = slots_[number % kSlots];
  std::uint64_t was = slot.number.load(kRelaxed);
  // Whoever turns it clears it. A clock read on another core just before the turn must not turn it
  // back.
  while (was < number) {
    if (!slot.number.compare_exchange_weak(was, number, kRelaxed)) continue;
    slot.samples.store(0, kRelaxed);
    slot.failed.store(0, kRelaxed);
    slot.retries.store(0, kRelaxed);
    slot.hedged_percent.store(0, kRelaxed);
    for (auto& count : slot.classes) count.store(0, kRelaxed);
    slot.tok_out.store(0, kRelaxed);
    slot.busy_us.store(0, kRelaxed);
    slot.ttft.clear();
    slot.latency.clear();
    break;
  }
  return slot;
}

void TargetStats::add(const swy_outcome& outcome, std::uint64_t now_ns) {
  const bool ok = outcome.cls < 0;
  if (!ok && !is_target_fault(outcome.cls)) return;
  const std::uint64_t number = slot_of(now_ns);
  Slot& slot = turn_to(number);
  slot.samples.fetch_add(1, kRelaxed);
  if (!ok) {
    // A target that fails fast is not a fast one: its times don't count.
    slot.failed.fetch_add(1, kRelaxed);
    const auto cls = static_cast<std::size_t>(outcome.cls);
    slot.classes[std::min(cls, kClasses - 1)].fetch_add(1, kRelaxed);
    return;
  }
  if (outcome.latency_us == 0) return;
  latency_.add(outcome.latency_us, number);
  slot.latency.add(outcome.latency_us);
  slot.tok_out.fetch_add(outcome.tok_out, kRelaxed);
  slot.busy_us.fetch_add(outcome.latency_us, kRelaxed);
  if (outcome.ttft_us == 0) return;
  ttft_.add(outcome.ttft_us, number);
  slot.ttft.add(outcome.ttft_us);
}

void TargetStats::add_retry(std::uint64_t now_ns) {
  turn_to(slot_of(now_ns)).retries.fetch_add(1, kRelaxed);
}

bool TargetStats::may_retry(std::uint32_t percent, std::uint64_t now_ns) const {
  if (percent == 0) return false;
  const std::uint64_t now_slot = slot_of(now_ns);
  std::uint64_t samples = 0, retries = 0;
  for (const Slot& slot : slots_) {
    if (!in_window(slot.number.load(kRelaxed), now_slot)) continue;
    samples += slot.samples.load(kRelaxed);
    retries += slot.retries.load(kRelaxed);
  }
  const std::uint64_t others = samples > retries ? samples - retries : 0;  // samples have them all
  return retries < std::max(others * percent / 100, kRetriesLeast);
}

bool TargetStats::asked_lately(std::uint64_t now_ns) const {
  const std::uint64_t now_slot = slot_of(now_ns);
  return std::any_of(slots_.begin(), slots_.end(), [now_slot](const Slot& slot) {
    return in_window(slot.number.load(kRelaxed), now_slot) && slot.samples.load(kRelaxed) > 0;
  });
}

void TargetStats::add_hedge(std::uint32_t cost_percent, std::uint64_t now_ns) {
  turn_to(slot_of(now_ns)).hedged_percent.fetch_add(cost_percent, kRelaxed);
}

bool TargetStats::may_hedge(std::uint32_t percent, std::uint32_t cost_percent,
                            std::uint64_t now_ns) const {
  const std::uint64_t now_slot = slot_of(now_ns);
  std::uint64_t samples = 0, spent = cost_percent;
  for (const Slot& slot : slots_) {
    if (!in_window(slot.number.load(kRelaxed), now_slot)) continue;
    samples += slot.samples.load(kRelaxed);
    spent += slot.hedged_percent.load(kRelaxed);
  }
  return spent <= samples * percent;
}

void TargetStats::add_wait(std::uint32_t us, std::uint64_t now_ns) {
  const std::uint64_t number = slot_of(now_ns);
  Slot& slot = turn_to(number);
  slot.samples.fetch_add(1, kRelaxed);
  ttft_.add(us, number);
  slot.ttft.add(us);
}

TargetStats::FirstToken TargetStats::first_token(std::uint64_t now_ns) const {
  const std::uint64_t now_slot = slot_of(now_ns);
  Times::Counts counts{};
  for (const Slot& slot : slots_) {
    if (in_window(slot.number.load(kRelaxed), now_slot)) slot.ttft.add_to(counts);
  }
  FirstToken seen{Times::p95_us(counts), 0};
  for (const std::uint32_t count : counts) seen.samples += count;
  return seen;
}

void TargetStats::Sum::add(const TargetStats& stats, std::uint64_t now_ns) {
  const std::uint64_t now_slot = slot_of(now_ns);
  std::uint64_t samples = 0;
  for (const Slot& slot : stats.slots_) {
    if (!in_window(slot.number.load(kRelaxed), now_slot)) continue;
    samples += slot.samples.load(kRelaxed);
    failed_ += slot.failed.load(kRelaxed);
    tok_out_ += slot.tok_out.load(kRelaxed);
    busy_us_ += slot.busy_us.load(kRelaxed);
    for (std::size_t i = 0; i < kClasses; ++i) classes_[i] += slot.classes[i].load(kRelaxed);
    slot.ttft.add_to(ttft_);
    slot.latency.add_to(latency_);
  }
  samples_ += samples;
  const std::uint64_t weight = std::max<std::uint64_t>(samples, 1);
  if (const std::uint32_t us = stats.ttft_.read(now_slot)) {
    ttft_us_ += us * weight;
    ttft_weight_ += weight;
  }
  if (const std::uint32_t us = stats.latency_.read(now_slot)) {
    latency_us_ += us * weight;
    latency_weight_ += weight;
  }
}

void TargetStats::Sum::fill(swy_cand& candidate) const {
  const auto mean = [](std::uint64_t sum, std::uint64_t weight) {
    return weight == 0 ? 0u : static_cast<std::uint32_t>(sum / weight);
  };
  candidate.samples = samples_;
  candidate.err_ppm =
      samples_ == 0
          ? 0u
          : static_cast<std::uint32_t>(std::min(failed_, samples_) * 1'000'000 / samples_);
  candidate.ttft_us = mean(ttft_us_, ttft_weight_);
  candidate.ttft_p95_us = Times::p95_us(ttft_);
  candidate.latency_us = mean(latency_us_, latency_weight_);
  candidate.latency_p95_us = Times::p95_us(latency_);
  candidate.tok_per_s = busy_us_ == 0 ? 0
                                      : static_cast<std::uint32_t>(std::min<std::uint64_t>(
                                            tok_out_ * 1'000'000 / busy_us_, UINT32_MAX));
}

void TargetStats::read(swy_cand& candidate, std::uint64_t now_ns) const {
  Sum sum;
  sum.add(*this, now_ns);
  sum.fill(candidate);
}

}  // namespace switchyard::routing
