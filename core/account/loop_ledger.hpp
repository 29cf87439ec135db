// The loop's side of the ledger, as the ledger's threads see it.
#pragma once

#include <deque>
#include <mutex>

#include "core/account/entries.hpp"
#include "core/account/journal.hpp"
#include "core/account/ledger.hpp"

namespace switchyard::account {

struct Hold::Open {
  LoopLedger::Impl* loop = nullptr;
  Hold* handle = nullptr;  // follows the handle when that moves
  Open* previous = nullptr;
  Open* next = nullptr;
  std::uint64_t id = 0;
  Nano amount = 0;
  std::array<CellRef, LoopLedger::kCellsMax> cells{};
  std::size_t cell_count = 0;
  std::string request_id, account, key;

  std::span<const CellRef> used() const { return std::span(cells).first(cell_count); }
  HoldNote note() const { return {request_id, account, key, 0}; }
};

// A counter of one thread that others read.
class Count {
 public:
  void add(std::uint64_t more) {
    n_.store(n_.load(std::memory_order_relaxed) + more, std::memory_order_relaxed);
  }
  void drop(std::uint64_t less) { add(0 - less); }
  std::uint64_t get() const { return n_.load(std::memory_order_relaxed); }

 private:
  std::atomic<std::uint64_t> n_{0};
};

// How far a writer's journal was read.
struct Reading {
  std::uint64_t offset = Segment::kHeaderBytes, sequence = 0;
  std::optional<store::JournalPlace> place;  // up to which the books have it

  bool is_booked(std::uint64_t segment, std::uint64_t at) const {
    return place && store::JournalPlace{segment, at} < *place;
  }
};

class LoopLedger::Impl {
 public:
  Impl(std::uint64_t writer, const LedgerOptions& options, std::uint64_t cells_generation,
       std::function<void(std::function<void()>)> post, std::function<void()> wake_keeper);
  ~Impl();

  // ---- the loop ----
  Result<Hold, Refused> hold(std::span<const CellRef> cells, Nano amount, const HoldNote& note);
  Result<void, Refused> extend(Hold& hold, Nano more);
  Nano settle(Hold&& hold, const Settlement& settlement);
  void release(Hold&& hold, Released why);
  void release(Hold::Open& open, Released why);
  bool note_cost(const HoldNote& note, const CostLine& line);
  void when_durable(std::function<void(bool)> done);
  void run_durable();

  // ---- its segments: the keeper adds and syncs, the books read and remove ----
  std::vector<std::shared_ptr<Segment>> segments() const;
  void add_segment(std::shared_ptr<Segment> segment);
  void drop_segment(const Segment& segment);
  std::uint64_t next_number = 1;  // the keeper's

  JournalWriter writer;
  const std::function<void(std::function<void()>)> post;
  std::atomic<bool> waiting{false};  // somebody waits for a sync
  // Sequences up to which is synced, and those that never were.
  std::atomic<std::uint64_t> durable{0}, fault_from{0}, fault_to{0};
  std::atomic<std::uint64_t> last_sequence{0};  // written

  // ---- the books' ----
  WriterBooks books;
  std::uint64_t read_segment = 0;
  Reading reading;
  std::atomic<std::uint64_t> booked{0};     // sequence
  std::atomic<std::uint64_t> oldest_ns{0};  // of what is not booked; 0: all is

  Count holds_open, holds, settlements, refusals, shortfalls, costs_lost;

 private:
  struct Waiter {
    std::uint64_t sequence;
    std::function<void(bool)> done;
  };

  Refused refuse(Refused::Why why, std::size_t cell = 0);
  bool can_write(std::uint64_t bytes) const;
  // From all or from none; the index of the one that refused.
  std::optional<std::size_t> take(std::span<const CellRef> cells, Nano amount) const;
  Nano take_up_to(std::span<const CellRef> cells, Nano amount) const;
  static void give(std::span<const CellRef> cells, Nano amount);
  std::uint64_t commit(EntryType type, const char* end);
  Hold::Open* new_open();
  void end_open(Hold::Open& open);

  const LedgerOptions& options_;
  const std::uint64_t generation_;
  const std::function<void()> wake_keeper_;
  mutable std::mutex mutex_;
  std::vector<std::shared_ptr<Segment>> segments_;  // by number
  Hold::Open* open_ = nullptr;                      // those in use, as a list
  Hold::Open* free_ = nullptr;
  std::deque<Waiter> waiters_;
};

}  // namespace switchyard::account
