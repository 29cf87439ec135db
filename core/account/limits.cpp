#include "core/account/limits.hpp"

#include <sched.h>

#include <algorithm>

namespace switchyard::account {
namespace {

constexpr std::size_t kDay = 0, kMonth = 1;

std::uint64_t left_of(std::uint64_t limit, std::uint64_t used) {
  return used < limit ? limit - used : 0;
}

// The counts of a period that is over are nobody's.
void begin_period(LimitCount& count, const Period& period) {
  if (count.start_unix_s >= period.start_unix_s) return;
  count = {period.start_unix_s, 0, 0};
}

void add_to(LimitCount& count, std::uint64_t tokens) {
  ++count.requests;
  count.tokens += tokens;
}

void correct(LimitCount& count, const Period& period, std::uint64_t counted, std::uint64_t used) {
  if (count.start_unix_s != period.start_unix_s) return;
  count.tokens -= std::min(count.tokens, counted);
  count.tokens += used;
}

// What is nearer to its end is what a caller has to know.
void note_nearest(LimitStanding::Of& nearest, const LimitStanding::Of& each) {
  if (each.limit == 0) return;
  if (nearest.limit == 0 || each.left < nearest.left) nearest = each;
}

}  // namespace

// ---- who waits ----

void LimitQueues::SpinLock::lock() {
  for (unsigned tries = 1; taken_.test_and_set(std::memory_order_acquire); ++tries) {
    if (tries % 64 == 0) sched_yield();
  }
}

std::unique_ptr<LimitQueues::Place> LimitQueues::enter(const LimitSlot& slot,
                                                       std::function<void()> wake) {
  auto place = std::unique_ptr<Place>(new Place(*this, slot, std::move(wake)));
  bool full = false;
  {
    const std::lock_guard held(lock_);
    auto& queue = queues_[&slot];
    full = queue.size() >= kMax;
    queue.push_back(&place->waiter_);
    waiting_.fetch_add(1, std::memory_order_seq_cst);
  }
  if (full) place.reset();
  return place;
}

LimitQueues::Place::~Place() {
  {
    const std::lock_guard held(queues_.lock_);
    const auto queue = queues_.queues_.find(&slot_);
    std::erase(queue->second, &waiter_);
    if (queue->second.empty()) queues_.queues_.erase(queue);
    queues_.waiting_.fetch_sub(1, std::memory_order_relaxed);
  }
  queues_.wake_first(slot_);
}

bool LimitQueues::Place::is_first() const {
  const std::lock_guard held(queues_.lock_);
  const auto queue = queues_.queues_.find(&slot_);
  return queue->second.front() == &waiter_;
}

bool LimitQueues::is_waiting(const LimitSlot& slot) const {
  if (waiting_.load(std::memory_order_seq_cst) == 0) return false;
  const std::lock_guard held(lock_);
  return queues_.contains(&slot);
}

void LimitQueues::wake_first(const LimitSlot& slot) const {
  if (waiting_.load(std::memory_order_seq_cst) == 0) return;
  const std::lock_guard held(lock_);
  const auto queue = queues_.find(&slot);
  if (queue != queues_.end()) queue->second.front()->wake();
}

// ---- one request ----

LimitedRequest::LimitedRequest(Limits& limits, std::vector<LimitSubject> subjects,
                               std::uint64_t tokens)
    : limits_(limits), tokens_(tokens) {
  for (LimitSubject& subject : subjects) {
    const LimitId id = LimitId::of(subject.name);
    // Locks are taken by place, each once.
    const bool twice =
        std::any_of(parts_.begin(), parts_.end(), [&](const Part& part) { return part.id == id; });
    if (!twice) parts_.push_back({std::move(subject), id, nullptr, 0});
  }
}

// One that was another subject's a moment ago may be found for both.
bool LimitedRequest::find_slots() {
  for (Part& part : parts_) {
    part.slot = limits_.table().find(part.id);
    if (part.slot == nullptr) return false;
  }
  std::sort(parts_.begin(), parts_.end(),
            [](const Part& a, const Part& b) { return std::less<>()(a.slot, b.slot); });
  const auto same = [](const Part& a, const Part& b) { return a.slot == b.slot; };
  return std::adjacent_find(parts_.begin(), parts_.end(), same) == parts_.end();
}

LimitedRequest::Outcome LimitedRequest::attempt(std::uint64_t now_ns,
                                                const LimitQueues::Place* place) {
  if (!find_slots()) return Outcome::kUnprepared;
  busy_ = nullptr;
  for (const Part& part : parts_) {
    const std::uint64_t most = part.subject.limits.concurrency;
    if (most == 0) continue;
    // Who waits already has waited for all.
    const bool waits = place == nullptr ? limits_.queues().is_waiting(*part.slot)
                                        : &place->slot() == part.slot && !place->is_first();
    if (!waits) continue;
    busy_ = part.slot;
    refuse(part, LimitRefusal::Why::kConcurrency, most, 0);
  }
  // All of them, and always in the same order, so that what is taken is taken of all or of none.
  for (const Part& part : parts_) limits_.table().lock(*part.slot);
  const Outcome outcome = judge(now_ns);
  for (const Part& part : parts_) LimitTable::unlock(*part.slot);
  return outcome;
}

// With the locks of all slots held.
LimitedRequest::Outcome LimitedRequest::judge(std::uint64_t now_ns) {
  for (const Part& part : parts_) {
    if (!limits_.table().is_of(*part.slot, part.id)) return Outcome::kUnprepared;
    const bool counts = part.subject.counts_days() || part.subject.counts_months();
    if (counts && part.slot->loaded == 0) return Outcome::kUnprepared;
    part.slot->used_ns = std::max(part.slot->used_ns, now_ns);
    part.slot->window.advance(now_ns);
  }
  const bool fit = std::all_of(parts_.begin(), parts_.end(),
                               [&](const Part& part) { return fits(part, now_ns); });
  admitted_ = fit && busy_ == nullptr;
  if (admitted_) {
    for (Part& part : parts_) take(part);
  }
  standing_ = {};
  for (const Part& part : parts_) note_standing(part, now_ns);
  if (!fit) return Outcome::kRefused;
  return admitted_ ? Outcome::kAdmitted : Outcome::kBusy;
}

// Too many that run are no reason yet: they end, while what else is against it stays.
bool LimitedRequest::fits(const Part& part, std::uint64_t now_ns) {
  if (!fits_window(part, now_ns)) return false;
  if (part.subject.counts_days() && !fits_count(part, kDay, part.subject.day)) return false;
  if (part.subject.counts_months() && !fits_count(part, kMonth, part.subject.month)) return false;
  const std::uint64_t most = part.subject.limits.concurrency;
  if (most > 0 && part.slot->running() >= most) {
    busy_ = part.slot;
    refuse(part, LimitRefusal::Why::kConcurrency, most, 0);
  }
  return true;
}

bool LimitedRequest::fits_window(const Part& part, std::uint64_t now_ns) {
  using Why = LimitRefusal::Why;
  const config::RateLimits& limits = part.subject.limits;
  const LimitWindow& window = part.slot->window;
  if (limits.rpm > 0 && window.requests() >= limits.rpm) {
    refuse(part, Why::kRequests, limits.rpm, window.requests_wait_ns(limits.rpm - 1, now_ns));
    return false;
  }
  if (limits.tpm == 0) return true;
  if (tokens_ > limits.tpm) {
    refuse(part, Why::kTooLarge, limits.tpm, 0);
    return false;
  }
  if (window.tokens() + tokens_ <= limits.tpm) return true;
  refuse(part, Why::kTokens, limits.tpm, window.tokens_wait_ns(limits.tpm - tokens_, now_ns));
  return false;
}

bool LimitedRequest::fits_count(const Part& part, std::size_t which, const Period& period) {
  using Why = LimitRefusal::Why;
  const config::RateLimits& limits = part.subject.limits;
  const bool day = which == kDay;
  const std::uint64_t requests = day ? limits.requests_per_day : limits.requests_per_month;
  std::uint64_t tokens = day ? limits.tokens_per_day : limits.tokens_per_month;
  if (part.subject.quota_tokens > 0) tokens = part.subject.quota_tokens;
  LimitCount& count = part.slot->counts[which];
  begin_period(count, period);
  const bool few_requests = requests == 0 || count.requests < requests;
  const bool few_tokens = tokens == 0 || count.tokens + tokens_ <= tokens;
  if (few_requests && few_tokens) return true;
  refuse(part, day ? Why::kDay : Why::kMonth, few_requests ? tokens : requests, 0);
  refusal_.tokens = few_requests;
  refusal_.plan = part.subject.quota_tokens > 0;
  refusal_.until_unix_s = period.end_unix_s;
  return false;
}

void LimitedRequest::take(Part& part) {
  LimitSlot& slot = *part.slot;
  part.bucket = slot.window.add(1, tokens_);
  ++slot.in_flight[limits_.table().seat()];
  if (part.subject.counts_days()) add_to(slot.counts[kDay], tokens_);
  if (part.subject.counts_months()) add_to(slot.counts[kMonth], tokens_);
  if (part.subject.counts_days() || part.subject.counts_months()) slot.unsaved = 1;
}

void LimitedRequest::note_standing(const Part& part, std::uint64_t now_ns) {
  const config::RateLimits& limits = part.subject.limits;
  const LimitWindow& window = part.slot->window;
  note_nearest(standing_.requests, {limits.rpm, left_of(limits.rpm, window.requests()),
                                    window.requests_wait_ns(0, now_ns)});
  note_nearest(standing_.tokens, {limits.tpm, left_of(limits.tpm, window.tokens()),
                                  window.tokens_wait_ns(0, now_ns)});
}

void LimitedRequest::refuse(const Part& part, LimitRefusal::Why why, std::uint64_t limit,
                            std::uint64_t wait_ns) {
  refusal_ = {};
  refusal_.why = why;
  refusal_.words = part.subject.words;
  refusal_.limit = limit;
  refusal_.wait_ns = wait_ns;
}

Result<void> LimitedRequest::prepare(std::uint64_t now_ns) {
  for (const Part& part : parts_) {
    const auto loaded = limits_.load(part.id, now_ns);
    if (!loaded) return loaded;
  }
  return {};
}

void LimitedRequest::settle(std::uint64_t tokens_used, std::uint64_t now_ns) {
  if (!admitted_ || settled_) return;
  settled_ = true;
  for (const Part& part : parts_) {
    LimitSlot& slot = *part.slot;
    const LimitTable::Lock held(limits_.table(), slot);
    slot.window.advance(now_ns);
    slot.window.correct(part.bucket, tokens_, tokens_used);
    if (part.subject.counts_days()) {
      correct(slot.counts[kDay], part.subject.day, tokens_, tokens_used);
    }
    if (part.subject.counts_months()) {
      correct(slot.counts[kMonth], part.subject.month, tokens_, tokens_used);
    }
    if (part.subject.counts_days() || part.subject.counts_months()) slot.unsaved = 1;
  }
}

void LimitedRequest::end(std::uint64_t tokens_used, std::uint64_t now_ns) {
  settle(tokens_used, now_ns);
  if (!admitted_) return;
  admitted_ = false;
  for (const Part& part : parts_) {
    LimitSlot& slot = *part.slot;
    {
      const LimitTable::Lock held(limits_.table(), slot);
      --slot.in_flight[limits_.table().seat()];
    }
    limits_.queues().wake_first(slot);
  }
}

// ---- what is kept ----

Result<void> Limits::load(const LimitId& id, std::uint64_t now_ns) {
  const auto slot = table_.make(id, now_ns);
  if (!slot) return slot.error();
  {
    const LimitTable::Lock held(table_, **slot);
    if ((*slot)->loaded != 0) return {};
  }
  const auto rows = saved_.find(id.hex());
  if (!rows) return rows.error();
  const LimitTable::Lock held(table_, **slot);
  if (!table_.is_of(**slot, id) || (*slot)->loaded != 0) return {};
  for (const store::LimitCountRow& row : *rows) {
    if (row.which < 0 || row.which >= static_cast<std::int64_t>(LimitSlot::kCounts)) continue;
    (*slot)->counts[static_cast<std::size_t>(row.which)] = {
        row.start_unix_s, static_cast<std::uint64_t>(row.requests),
        static_cast<std::uint64_t>(row.tokens)};
  }
  (*slot)->loaded = 1;
  return {};
}

Result<void> Limits::keep() {
  table_.clear_dead_seats();
  std::vector<store::LimitCountRow> rows;
  std::vector<LimitId> ids;
  table_.take_unsaved([&](const LimitId& id, const LimitTable::Counts& counts) {
    ids.push_back(id);
    for (std::size_t which = 0; which < counts.size(); ++which) {
      if (counts[which].start_unix_s == 0) continue;
      rows.push_back({id.hex(), static_cast<std::int64_t>(which), counts[which].start_unix_s,
                      static_cast<std::int64_t>(counts[which].requests),
                      static_cast<std::int64_t>(counts[which].tokens)});
    }
  });
  if (rows.empty()) return {};
  const auto saved = saved_.save(rows);
  if (saved) return {};
  for (const LimitId& id : ids) table_.mark_unsaved(id);
  return saved;
}

std::uint64_t Limits::tokens_counted(std::string_view subject, std::int64_t start_unix_s) const {
  const LimitId id = LimitId::of(subject);
  LimitSlot* const slot = table_.find(id);
  if (slot == nullptr) return 0;
  const LimitTable::Lock held(table_, *slot);
  const LimitCount& count = slot->counts[kDay];
  return table_.is_of(*slot, id) && count.start_unix_s == start_unix_s ? count.tokens : 0;
}

}  // namespace switchyard::account
