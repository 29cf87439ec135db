// Double entry: what moved, from where to where, and why. Append only; each transaction balances in
// each of its currencies; a balance changes in the same database transaction as its entries.
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "core/base/nano.hpp"
#include "core/base/result.hpp"
#include "core/store/database.hpp"

namespace switchyard::store {

// Names of the ledger: "account:ID", "provider:ID", and the house's own.
inline constexpr char kHouseRevenue[] = "house:revenue";
inline constexpr char kHouseShortfall[] = "house:shortfall";
inline constexpr char kHouseFx[] = "house:fx";
inline constexpr char kHouseCash[] = "house:cash";
inline constexpr char kHouseGrants[] = "house:grants";
inline constexpr char kHouseCost[] = "house:cost";
inline std::string account_name(std::string_view id) { return "account:" + std::string(id); }
inline std::string provider_name(std::string_view id) { return "provider:" + std::string(id); }

struct Entry {
  std::string account, currency;
  Nano amount = 0;  // added to the account's balance
};

struct Transaction {
  std::string id;            // its idempotency: posted twice, it is there once
  std::string kind;          // "charge", "cost", "topup", "grant", "refund", "correction", ...
  std::string note;          // what it belongs to: a request, an order, a reason
  std::string rate_version;  // of an exchange, else empty
  std::uint64_t at_unix_ns = 0;
  std::vector<Entry> entries;
  // The seqs of the receipts that it books are among these; 0: it books none.
  std::int64_t receipts_from = 0, receipts_to = 0;
};

// One settled request. `Text` is std::string where it is read, a view where it is written.
template <class Text>
struct BasicReceipt {
  static constexpr std::size_t kQuantities = 16;

  Text writer;                 // of the journal, and
  std::uint64_t sequence = 0;  // the settlement's there: its id
  Text request_id, account, key, feature, task, model_asked, model_used, provider, ended;
  std::array<std::uint64_t, kQuantities> quantities{};  // by meter
  Text currency;
  std::optional<Nano> charge;  // as charged; nothing: unpriced
  Nano shortfall = 0;          // what it was worth beyond that
  Nano held = 0;
  Text price_version;
  std::optional<Nano> original;  // what it was worth in the price's currency, where that is another
  Text original_currency, rate_version;
  std::optional<Nano> cost;  // where every attempt's is known and in one currency
  Text cost_currency;
  bool cost_alone = false;  // the cost is that of the one attempt, which has no line of its own
  Text cost_version;        // of that attempt's prices
  bool estimated = false;
  std::uint64_t started_unix_ns = 0, settled_unix_ns = 0;
};
using Receipt = BasicReceipt<std::string>;
using ReceiptView = BasicReceipt<std::string_view>;

// Of an attempt beside the one that its receipt tells of.
struct Cost {
  std::string id, request_id, account, provider, model, currency, price_version, outcome;
  std::optional<Nano> amount;  // nothing: unknown
  bool estimated = false;
  std::uint64_t at_unix_ns = 0;
};

// A request whose process died: nothing was charged, what was held was released.
struct Interrupted {
  std::string id, request_id, account, key;
  Nano held = 0;
  std::uint64_t at_unix_ns = 0;
};

// Up to where a writer's journal is in the books.
struct JournalPlace {
  std::uint64_t segment = 0, offset = 0;
  auto operator<=>(const JournalPlace&) const = default;
};

// What is booked at once: all of it, or nothing.
struct Batch {
  std::vector<ReceiptView> receipts;
  std::vector<Cost> costs;
  // From where to where the journal of `writer` is booked by it; nothing before: from its start.
  std::string writer;
  std::optional<JournalPlace> from;
  JournalPlace to;

  void clear() {
    receipts.clear();
    costs.clear();
  }
};

struct Balance {
  std::string account, currency;
  Nano amount = 0;
};

struct EntryRow {
  std::int64_t seq = 0;  // a cursor
  std::string transaction, kind, note, account, currency;
  Nano amount = 0;
  std::uint64_t at_unix_ns = 0;
};

struct EntryFilter {
  std::string account;                                     // a ledger's name; empty: all
  std::uint64_t from_unix_ns = 0, to_unix_ns = INT64_MAX;  // from <= at < to
  std::int64_t after = 0;                                  // behind this seq
  std::uint64_t max = 100;
};

struct ReceiptFilter {
  std::string account, key, feature, model;  // empty: all; model: the one used
  std::string transaction;                   // that booked them; empty: all
  std::uint64_t from_unix_ns = 0, to_unix_ns = INT64_MAX;
  std::int64_t after = 0;
  std::uint64_t max = 100;
};

struct ReceiptRow {
  std::int64_t seq = 0;
  Receipt receipt;
  std::string transaction;  // that moved its charge; empty: nothing was moved
};

// Of receipts, per currency.
struct ReceiptTotal {
  std::string currency;
  std::uint64_t requests = 0;
  Nano charge = 0, shortfall = 0;
};

// Over one connection, which outlives it. Blocking: never on a loop. Where several calls belong
// together they go into database().transact(). [any thread]
class Books {
 public:
  explicit Books(Database& database);
  ~Books();
  Books(const Books&) = delete;
  Books& operator=(const Books&) = delete;
  Database& database() { return database_; }

  // False: one of this id was there already, and nothing changed. A transaction that does not
  // balance, or moves nothing, is refused.
  Result<bool> post(const Transaction& transaction);
  Result<bool> has(const std::string& transaction_id);
  // Receipts, costs, the sums of what these moved, and the place up to which the journal is booked.
  // False: that place was not at `from`, and nothing changed. Not within a transaction.
  Result<bool> book(const Batch& batch);
  Result<bool> add_interrupted(const Interrupted& interrupted);

  Result<std::optional<JournalPlace>> place(const std::string& writer);
  Result<void> forget_place(const std::string& writer);

  Result<Nano> balance(const std::string& account, const std::string& currency);
  Result<std::vector<Balance>> balances_of(const std::string& account);  // one for each currency
  // Those whose name begins with `prefix`, ordered by name and currency, behind the one given.
  Result<std::vector<Balance>> balances(const std::string& prefix, const Balance& after = {},
                                        std::uint64_t max = INT64_MAX);
  Result<std::vector<EntryRow>> entries(const EntryFilter& filter);
  Result<std::vector<ReceiptRow>> receipts(const ReceiptFilter& filter);
  Result<std::vector<ReceiptTotal>> totals(const ReceiptFilter& filter);  // of all that fit
  // Of attempts that have a line of their own.
  Result<std::vector<Cost>> costs(const std::string& request_id);

 private:
  struct Statements;
  Statement& prepared(std::unique_ptr<Statement>& kept, const char* sql);
  Result<bool> run_new(Statement& insert);
  Result<std::int64_t> post_new(const Transaction& transaction);
  Result<void> add_entry(std::int64_t transaction, const Entry& entry);

  struct Names;  // in books_batch.cpp
  class Sums;
  Result<void> book_all(const Batch& batch);
  Result<void> post_sums(Sums& sums);
  Result<void> add_receipts(const Batch& batch, const Sums& sums);
  Result<void> add_costs(const Batch& batch, const Sums& sums);
  Result<void> add_days(const Batch& batch);
  Result<std::int64_t> names_of(const ReceiptView& receipt);
  Result<bool> move_place(const Batch& batch);

  Database& database_;
  std::unique_ptr<Names> names_;
  std::unique_ptr<Statements> statements_;
};

}  // namespace switchyard::store
