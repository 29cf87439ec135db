// Money on the hot path: holds, settlements, and what becomes of them
// (core/decisions/0014-money.md).
//
//   Ledger      the worker's: cells, journal, the threads that sync it and make the books of it
//   LoopLedger  one for each event loop, used on that loop alone; no call waits for a disk
//   Hold        what was taken for one request, until it is settled or released
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/account/cells.hpp"
#include "core/base/clock.hpp"
#include "core/base/result.hpp"
#include "core/store/books.hpp"

namespace switchyard::account {

class JournalOs;
class LoopLedger;

struct Refused {
  enum class Why {
    kBalance,  // the first cell, the account's
    kBudget,   // the cell `cell`
    kJournal,  // nothing can be written down now: the disk is full or faulty
    kInvalid,  // a negative amount, a name that is too long, too many cells
  };
  Why why = Why::kBalance;
  std::size_t cell = 0;
};

// Views live for the call.
struct HoldNote {
  std::string_view request_id, account, key;  // at most 128 bytes each
  std::uint64_t deadline_unix_ns = 0;         // when the request is over at the latest
};

// What one attempt cost the house; hedges that lost and attempts that failed have one too.
struct CostLine {
  std::string_view provider, model, currency;
  std::optional<Nano> amount;  // nothing: unknown, which is not zero
  std::string_view price_version, outcome;
  bool estimated = false;
};

// Of a charge whose price is in another currency than the account.
struct Exchanged {
  std::string_view currency;  // the price's
  Nano amount = 0;            // in that currency
  std::string_view rate_version;
};

// Views live for the call. Names beyond their bound (kNameMax in journal.hpp) are cut.
struct Settlement {
  std::optional<Nano> charge;  // what it is worth, in `currency`; nothing: unpriced, not charged
  std::string_view currency, price_version;
  std::optional<Exchanged> exchanged;
  std::span<const CostLine> costs;
  std::span<const std::uint64_t> quantities;  // by meter, at most store::Receipt::kQuantities
  std::string_view feature, task, model_asked, model_used, provider;
  std::string_view ended;  // how: "completed", "client_left", ...
  std::uint64_t started_unix_ns = 0;
  bool estimated = false;
};

enum class Released : std::uint8_t {
  kUnused = 1,   // nothing to charge for
  kFailed,       // every attempt failed
  kAbandoned,    // its Hold went without an end
  kInterrupted,  // its process died
};

// Taken money with an owner. What goes without settle() or release() is released as abandoned.
// On its loop only.
class Hold {
 public:
  Hold() = default;
  Hold(Hold&& other) noexcept;
  Hold& operator=(Hold&& other) noexcept;
  ~Hold();

  explicit operator bool() const { return open_ != nullptr; }
  Nano amount() const;  // 0 where there is none

 private:
  friend class LoopLedger;
  struct Open;
  explicit Hold(Open* open);
  Open* open_ = nullptr;
};

class LoopLedger {
 public:
  static constexpr std::size_t kCellsMax = 8;

  ~LoopLedger();
  LoopLedger(const LoopLedger&) = delete;
  LoopLedger& operator=(const LoopLedger&) = delete;

  // Takes `amount` from each cell, the account's first, then those of budgets: from all or from
  // none.
  Result<Hold, Refused> hold(std::span<const CellRef> cells, Nano amount, const HoldNote& note);
  Result<void, Refused> extend(Hold& hold, Nano more);
  // Books the charge, at most what is held and what can be taken beyond it; the rest is a
  // shortfall. Returns what was charged. It is written down when this returns.
  Nano settle(Hold&& hold, const Settlement& settlement);
  void release(Hold&& hold, Released why = Released::kUnused);
  // A cost that came to light after its request was settled. False: there was no room to write it.
  bool note_cost(const HoldNote& note, const CostLine& line);

  // durability `disk`: runs `done` on the loop once all that was written so far is on the disk.
  // False: it could not be brought there. With `process` it runs at once.
  void when_durable(std::function<void(bool durable)> done);

 private:
  friend class Ledger;
  friend class Hold;
  class Impl;
  explicit LoopLedger(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

struct LedgerOptions {
  std::filesystem::path state;
  bool durable = false;             // durability `disk`
  bool serve_without_disk = false;  // on_journal_fault `serve`: what can't be written to a file
                                    // is kept in memory until it is in the books
  std::uint64_t segment_bytes = 4u << 20;
  JournalOs* os = nullptr;  // for tests; outlives the ledger
  std::uint64_t (*now_unix_ns)() = unix_ns;
  bool background = true;  // false: nothing is synced or booked but by work()
};

struct LedgerStats {
  std::uint64_t holds_open = 0, holds = 0, settlements = 0, refusals = 0;
  std::uint64_t shortfalls = 0;   // settlements that could not be charged wholly
  std::uint64_t costs_lost = 0;   // cost lines that found no room
  std::uint64_t lag_entries = 0;  // written and not yet in the books
  std::uint64_t lag_ns = 0;       // the age of the oldest of these
  std::uint64_t syncs = 0, sync_faults = 0, sync_ns = 0, sync_ns_max = 0;
  std::uint64_t journal_faults = 0;   // segments that could not be prepared
  std::uint64_t memory_segments = 0;  // in use, for want of a disk
  std::uint64_t books_faults = 0;     // batches that the database refused for now
  std::uint64_t holds_overdue = 0;    // open beyond their deadline: somebody forgot them
  std::uint64_t interrupted = 0;      // holds of dead processes that were released
};

class Ledger {
 public:
  // Recovers what dead processes left in the journal, and rebuilds the cells where nobody else uses
  // them. Blocking.
  static Result<std::unique_ptr<Ledger>> open(LedgerOptions options);
  // As a crash would end it, but for the threads: what is not in the books yet stays in the
  // journal.
  ~Ledger();
  Ledger(const Ledger&) = delete;
  Ledger& operator=(const Ledger&) = delete;

  // `post` runs a function on the loop, soon. Lives as long as the ledger. [before the loops run]
  LoopLedger& add_loop(std::function<void(std::function<void()>)> post);

  // The cell of an account. Accounts whose money never moved begin at 0. [any thread, not a loop]
  Result<CellRef> account_cell(std::string_view account, std::string_view currency, Nano limit);
  // The cell of a budget's period, named as its owner likes ("BUDGET:PERIOD"). It counts down from
  // `initial` (the budget less what was spent of it before) to `limit`. [any thread, not a loop]
  Result<CellRef> budget_cell(std::string_view name, Nano initial, Nano limit);
  // What is there already, without a lock. [any thread]
  std::optional<CellRef> find_account_cell(std::string_view account, std::string_view currency,
                                           Nano limit) const;
  std::optional<CellRef> find_budget_cell(std::string_view name, Nano limit) const;

  // Money that operators move: debits of accounts are taken from their cells first, down to
  // `floor`, credits are given to theirs when the books have them. False: a transaction of this id
  // was there already and nothing changed. The error of a debit that is not covered is kUncovered.
  // Blocking. [any thread]
  struct MoveFault {
    enum class Why { kUncovered, kBooks } why = Why::kBooks;
    std::string message;
  };
  Result<bool, MoveFault> move_money(const store::Transaction& transaction, Nano floor = 0);

  // Returns when all that was written before the call is in the books. Blocking.
  Result<void> flush();
  // The loops have ended: books everything and leaves no journal. Blocking.
  Result<void> end();

  LedgerStats stats() const;

  // One turn of what the threads do: prepare, sync, book, release the dead's holds. For tests.
  Result<void> work();

 private:
  class Impl;
  explicit Ledger(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace switchyard::account
