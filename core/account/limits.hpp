// Whether a request may run now: limits of keys, accounts, features and plans, taken all or none.
#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "core/account/limit_table.hpp"
#include "core/account/periods.hpp"
#include "core/config/rate_limits.hpp"
#include "core/store/limit_counts.hpp"

namespace switchyard::account {

// Whose limits a request counts against.
struct LimitSubject {
  std::string name;   // "key:key_..."; what is counted, is counted under it
  std::string words;  // "this API key", as a message says it
  config::RateLimits limits;
  Period day, month;  // of the calendar that its limits are meant in
  // Of a plan: tokens in its period, which is `day` then.
  std::uint64_t quota_tokens = 0;

  bool counts_days() const {
    return limits.requests_per_day > 0 || limits.tokens_per_day > 0 || quota_tokens > 0;
  }
  bool counts_months() const {
    return limits.requests_per_month > 0 || limits.tokens_per_month > 0;
  }
};

// Why a request may not run now.
struct LimitRefusal {
  enum class Why : std::uint8_t {
    kRequests,     // in a minute
    kTokens,       // in a minute
    kTooLarge,     // it asks for more tokens than a minute has: never
    kConcurrency,  // too many run
    kDay,          // requests or tokens of a day, or of a plan's period
    kMonth,
  };
  Why why = Why::kRequests;
  bool tokens = false;  // kDay, kMonth: of tokens, not of requests
  bool plan = false;    // kDay: it is a plan\'s period
  std::string words;    // of the subject
  std::uint64_t limit = 0;
  std::uint64_t wait_ns = 0;      // of a minute's limit: until it has room
  std::int64_t until_unix_s = 0;  // kDay, kMonth: the period's end
};

// How a caller stands, for the headers of its answers: the limit that is nearest.
struct LimitStanding {
  struct Of {
    std::uint64_t limit = 0, left = 0;  // limit 0: there is none
    std::uint64_t reset_ns = 0;         // until nothing is counted any more
  };
  Of requests, tokens;
};

// Who waits for one of a subject to end, in turn. In this process; what ends in another is seen by
// looking again.
class LimitQueues {
 public:
  class Place;

  // More than this wait for nobody's turn.
  static constexpr std::size_t kMax = 1000;

  // A place at the end of the subject's queue; null: it is full. `wake` is called, from any thread,
  // when it may be its turn. [any thread]
  std::unique_ptr<Place> enter(const LimitSlot& slot, std::function<void()> wake);
  // Somebody is before a newcomer.
  bool is_waiting(const LimitSlot& slot) const;
  // One of the subject ended: the first one may try.
  void wake_first(const LimitSlot& slot) const;

 private:
  struct Waiter {
    std::function<void()> wake;
  };
  class SpinLock {
   public:
    void lock();
    void unlock() { taken_.clear(std::memory_order_release); }

   private:
    std::atomic_flag taken_ = ATOMIC_FLAG_INIT;
  };

  std::atomic<std::size_t> waiting_{0};  // all together: nobody looks further where it is 0
  mutable SpinLock lock_;
  std::unordered_map<const LimitSlot*, std::deque<const Waiter*>> queues_;
};

// Left when it goes, which wakes the next.
class LimitQueues::Place {
 public:
  ~Place();
  Place(const Place&) = delete;
  Place& operator=(const Place&) = delete;
  bool is_first() const;
  const LimitSlot& slot() const { return slot_; }

 private:
  friend class LimitQueues;
  Place(LimitQueues& queues, const LimitSlot& slot, std::function<void()> wake)
      : queues_(queues), slot_(slot), waiter_{std::move(wake)} {}

  LimitQueues& queues_;
  const LimitSlot& slot_;
  const Waiter waiter_;
};

class Limits;

// One request's part of what its subjects may use. Ends when it goes, at the latest.
class LimitedRequest {
 public:
  // `limits` outlives it. `tokens`: what it may come to.
  LimitedRequest(Limits& limits, std::vector<LimitSubject> subjects, std::uint64_t tokens);
  ~LimitedRequest() { end(0, 0); }
  LimitedRequest(const LimitedRequest&) = delete;
  LimitedRequest& operator=(const LimitedRequest&) = delete;

  enum class Outcome : std::uint8_t {
    kAdmitted,
    kUnprepared,  // prepare(), then try again
    kBusy,        // as many run as may: busy() says of which subject
    kRefused,
  };
  // Takes a part of each subject's, or of none. `place`: where it waits already. [loop]
  Outcome attempt(std::uint64_t now_ns, const LimitQueues::Place* place);
  // Makes slots, and reads what was counted before. Blocking: never on a loop.
  Result<void> prepare(std::uint64_t now_ns);
  // What it came to: before its last byte leaves, so that the client's next request finds what this
  // one did not use. The first call counts.
  void settle(std::uint64_t tokens_used, std::uint64_t now_ns);
  // The same, where that was not said; and from here on it is among those that run no more.
  void end(std::uint64_t tokens_used, std::uint64_t now_ns);

  const LimitRefusal& refusal() const { return refusal_; }
  const LimitSlot& busy() const { return *busy_; }
  const LimitStanding& standing() const { return standing_; }

 private:
  struct Part {
    LimitSubject subject;
    LimitId id;
    LimitSlot* slot = nullptr;
    std::uint64_t bucket = 0;  // of its window, where its tokens were counted
  };
  bool find_slots();
  Outcome judge(std::uint64_t now_ns);
  bool fits(const Part& part, std::uint64_t now_ns);
  bool fits_window(const Part& part, std::uint64_t now_ns);
  bool fits_count(const Part& part, std::size_t which, const Period& period);
  void take(Part& part);
  void note_standing(const Part& part, std::uint64_t now_ns);
  void refuse(const Part& part, LimitRefusal::Why why, std::uint64_t limit, std::uint64_t wait_ns);

  Limits& limits_;
  std::vector<Part> parts_;  // by the address of their slots, once these are known
  const std::uint64_t tokens_;
  bool admitted_ = false, settled_ = false;
  LimitRefusal refusal_;
  const LimitSlot* busy_ = nullptr;
  LimitStanding standing_;
};

class Limits {
 public:
  // Both outlive it.
  Limits(LimitTable& table, store::LimitCounts& saved) : table_(table), saved_(saved) {}

  LimitTable& table() { return table_; }
  LimitQueues& queues() { return queues_; }
  // What runs no more because its process died, and what is to survive a loss of power. Each
  // second, and at the end. Blocking. [any thread]
  Result<void> keep();
  // A subject's slot, its counts read. Blocking.
  Result<void> load(const LimitId& id, std::uint64_t now_ns);
  // Tokens that were counted in the period that began then; for choosing among plans.
  std::uint64_t tokens_counted(std::string_view subject, std::int64_t start_unix_s) const;

 private:
  LimitTable& table_;
  store::LimitCounts& saved_;
  LimitQueues queues_;
};

}  // namespace switchyard::account
