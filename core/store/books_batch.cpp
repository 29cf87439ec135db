// The writing of receipts and costs: many at once, and what they moved summed up, for a row of its
// own for each movement of each request costs more than the request.
#include <algorithm>
#include <charconv>
#include <map>
#include <tuple>

#include "core/store/books_statements.hpp"

namespace switchyard::store {
namespace {

constexpr std::uint64_t kNsPerDay = 86'400'000'000'000;
// A transaction is of one time. Months begin at a quarter of an hour in every zone, so that it is
// of one month wherever its accounts are.
constexpr std::uint64_t kQuarterNs = 900'000'000'000;
// Numbers of names that are kept. What is forgotten is written down once more.
constexpr std::size_t kNamesMax = 20'000;

using View = std::string_view;

constexpr View ReceiptView::* kNameColumns[] = {&ReceiptView::writer,
                                                &ReceiptView::key,
                                                &ReceiptView::feature,
                                                &ReceiptView::task,
                                                &ReceiptView::model_asked,
                                                &ReceiptView::model_used,
                                                &ReceiptView::provider,
                                                &ReceiptView::ended,
                                                &ReceiptView::currency,
                                                &ReceiptView::price_version,
                                                &ReceiptView::cost_currency,
                                                &ReceiptView::cost_version,
                                                &ReceiptView::original_currency,
                                                &ReceiptView::rate_version};

std::string id_of(const ReceiptView& receipt) {
  return std::string(receipt.writer) + "-" + std::to_string(receipt.sequence);
}

// "[3,0,5]", without the zeros at its end.
View write_quantities(const std::array<std::uint64_t, Receipt::kQuantities>& quantities,
                      std::span<char> into) {
  std::size_t size = quantities.size();
  while (size > 0 && quantities[size - 1] == 0) --size;
  char* at = into.data();
  char* const end = into.data() + into.size();
  *at++ = '[';
  for (std::size_t i = 0; i < size; ++i) {
    if (i > 0) *at++ = ',';
    at = std::to_chars(at, end, quantities[i]).ptr;
  }
  *at++ = ']';
  return {into.data(), at};
}

Nano worth_of(const ReceiptView& receipt) { return receipt.charge.value_or(0) + receipt.shortfall; }

}  // namespace

// What has a name in the books, and the numbers of names that were written before.
struct Books::Names {
  std::unordered_map<std::string, std::int64_t> numbers;
  std::string key;  // of the look-up, kept for its memory
};

// Movements of money, summed up by who and in which currency: one transaction for each kind, time
// and rate.
class Books::Sums {
 public:
  struct Group {
    const char* kind;
    std::uint64_t quarter;
    View rate_version;
    std::string id;
    std::uint64_t at_unix_ns = 0;
    std::int64_t receipts_from = 0, receipts_to = 0;
    std::map<std::tuple<View, View, View>, Nano> sums;  // prefix, name, currency
    std::int64_t seq = 0;                               // in the books
  };

  Sums(const Batch& batch, std::int64_t first_seq)
      : first_seq_(first_seq),
        charges_(batch.receipts.size(), kNone),
        costs_(batch.receipts.size(), kNone),
        cost_lines_(batch.costs.size(), kNone) {
    for (std::size_t i = 0; i < batch.receipts.size(); ++i) {
      add_charge(batch.receipts[i], i);
      add_cost(batch.receipts[i], i);
    }
    for (std::size_t i = 0; i < batch.costs.size(); ++i) add_cost(batch.costs[i], i);
  }

  std::vector<Group>& groups() { return groups_; }
  bool too_much() const { return too_much_; }  // a sum can't be counted
  std::int64_t first_seq() const { return first_seq_; }
  std::optional<std::int64_t> charge_of(std::size_t receipt) const { return at(charges_[receipt]); }
  std::optional<std::int64_t> cost_of(std::size_t receipt) const { return at(costs_[receipt]); }
  std::optional<std::int64_t> line_of(std::size_t cost) const { return at(cost_lines_[cost]); }

 private:
  static constexpr std::size_t kNone = SIZE_MAX;

  std::optional<std::int64_t> at(std::size_t group) const {
    return group == kNone ? std::nullopt : std::optional(groups_[group].seq);
  }

  std::size_t group_for(const char* kind, std::uint64_t at_unix_ns, View rate_version,
                        const auto& make_id) {
    const std::uint64_t quarter = at_unix_ns / kQuarterNs;
    for (std::size_t i = groups_.size(); i-- > 0;) {
      Group& group = groups_[i];
      if (group.kind != kind || group.quarter != quarter || group.rate_version != rate_version) {
        continue;
      }
      group.at_unix_ns = std::max(group.at_unix_ns, at_unix_ns);
      return i;
    }
    Group& group = groups_.emplace_back();
    group.kind = kind;
    group.quarter = quarter;
    group.rate_version = rate_version;
    group.id = make_id();
    group.at_unix_ns = at_unix_ns;
    return groups_.size() - 1;
  }

  void note(Group& group, std::size_t receipt) const {
    group.receipts_to = first_seq_ + static_cast<std::int64_t>(receipt);
    if (group.receipts_from == 0) group.receipts_from = group.receipts_to;
  }

  void add_charge(const ReceiptView& receipt, std::size_t i) {
    const Nano worth = worth_of(receipt);
    if (worth == 0) return;
    const Nano original = receipt.original.value_or(0);
    charges_[i] = group_for(kCharge, receipt.settled_unix_ns, receipt.rate_version,
                            [&] { return id_of(receipt); });
    Group& group = groups_[charges_[i]];
    note(group, i);
    add(group, "account:", receipt.account, receipt.currency, -receipt.charge.value_or(0));
    add(group, "", kHouseShortfall, receipt.currency, -receipt.shortfall);
    add(group, "", receipt.original ? kHouseFx : kHouseRevenue, receipt.currency, worth);
    if (!receipt.original) return;
    add(group, "", kHouseFx, receipt.original_currency, -original);
    add(group, "", kHouseRevenue, receipt.original_currency, original);
  }

  void add_cost(const ReceiptView& receipt, std::size_t i) {
    const Nano amount = receipt.cost.value_or(0);
    if (!receipt.cost_alone || amount == 0) return;
    costs_[i] =
        group_for(kCost, receipt.settled_unix_ns, "", [&] { return id_of(receipt) + "-cost"; });
    Group& group = groups_[costs_[i]];
    note(group, i);
    move_cost(group, receipt.provider, receipt.cost_currency, amount);
  }

  void add_cost(const Cost& cost, std::size_t i) {
    const Nano amount = cost.amount.value_or(0);
    if (amount == 0) return;
    cost_lines_[i] = group_for(kCost, cost.at_unix_ns, "", [&] { return cost.id; });
    move_cost(groups_[cost_lines_[i]], cost.provider, cost.currency, amount);
  }

  void move_cost(Group& group, View provider, View currency, Nano amount) {
    add(group, "", kHouseCost, currency, -amount);
    add(group, "provider:", provider, currency, amount);
  }

  void add(Group& group, View prefix, View name, View currency, Nano amount) {
    if (amount == 0) return;
    Nano& sum = group.sums[{prefix, name, currency}];
    if (__builtin_add_overflow(sum, amount, &sum)) too_much_ = true;
  }

  static constexpr const char* kCharge = "charge";
  static constexpr const char* kCost = "cost";

  const std::int64_t first_seq_;
  bool too_much_ = false;
  std::vector<Group> groups_;
  std::vector<std::size_t> charges_, costs_, cost_lines_;  // of each, its group
};

Books::Books(Database& database)
    : database_(database),
      names_(std::make_unique<Names>()),
      statements_(std::make_unique<Statements>(database)) {}
Books::~Books() = default;

Result<bool> Books::book(const Batch& batch) {
  const auto done = database_.transact([&]() -> Result<bool> {
    const auto moved = move_place(batch);
    if (!moved || !*moved) return moved;
    const auto booked = book_all(batch);
    if (!booked) return booked.error();
    return true;
  });
  // What was given a number is not there where it was undone.
  if (!done) names_->numbers.clear();
  return done;
}

Result<bool> Books::move_place(const Batch& batch) {
  if (batch.writer.empty()) return true;
  if (!batch.from) {
    Statement& set = prepared(statements_->first_place,
                              "INSERT INTO journal_places (writer, segment, place) "
                              "VALUES (?, ?, ?) ON CONFLICT (writer) DO NOTHING");
    return run_new(set.bind(batch.writer).bind(batch.to.segment).bind(batch.to.offset));
  }
  Statement& set = prepared(statements_->place,
                            "UPDATE journal_places SET segment = ?, place = ? "
                            "WHERE writer = ? AND segment = ? AND place = ?");
  set.bind(batch.to.segment).bind(batch.to.offset).bind(batch.writer);
  return run_new(set.bind(batch.from->segment).bind(batch.from->offset));
}

Result<void> Books::book_all(const Batch& batch) {
  const auto last = database_.number("SELECT COALESCE(MAX(seq), 0) FROM receipt_rows");
  if (!last) return last.error();
  Sums sums(batch, *last + 1);
  if (sums.too_much()) return database_.error("more is to be booked at once than can be counted");
  if (auto done = post_sums(sums); !done) return done;
  if (auto done = add_receipts(batch, sums); !done) return done;
  if (auto done = add_costs(batch, sums); !done) return done;
  if (auto done = add_days(batch); !done) return done;
  return statements_->reconciliation.add(batch);
}

Result<void> Books::post_sums(Sums& sums) {
  for (Sums::Group& group : sums.groups()) {
    Transaction transaction;
    transaction.id = group.id;
    transaction.kind = group.kind;
    if (group.receipts_from != 0) {
      transaction.note = "receipts " + std::to_string(group.receipts_from) + " to " +
                         std::to_string(group.receipts_to);
    }
    transaction.rate_version = group.rate_version;
    transaction.at_unix_ns = group.at_unix_ns;
    transaction.receipts_from = group.receipts_from;
    transaction.receipts_to = group.receipts_to;
    for (const auto& [who, amount] : group.sums) {
      const auto& [prefix, name, currency] = who;
      transaction.entries.push_back(
          {std::string(prefix) + std::string(name), std::string(currency), amount});
    }
    const auto posted = post_new(transaction);
    if (!posted) return posted.error();
    if (*posted == 0) {
      return database_.error("transaction \"" + group.id +
                             "\" is there already, and what it books is not; run "
                             "`switchyard ledger verify`");
    }
    group.seq = *posted;
  }
  return {};
}

Result<std::int64_t> Books::names_of(const ReceiptView& receipt) {
  std::string& key = names_->key;
  key.clear();
  for (const auto& column : kNameColumns) (key += receipt.*column) += '\0';
  if (const auto known = names_->numbers.find(key); known != names_->numbers.end()) {
    return known->second;
  }
  Statement& insert =
      prepared(statements_->names,
               "INSERT INTO receipt_names (writer, key_id, feature, task, model_asked, model_used, "
               "provider, ended, currency, price_version, cost_currency, cost_version, "
               "original_currency, rate_version) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) "
               "RETURNING number");
  for (const auto& column : kNameColumns) insert.bind(receipt.*column);
  const auto row = insert.step();
  const std::int64_t number = row && *row ? insert.number(0) : 0;
  insert.reset();
  if (!row) return row.error();
  if (names_->numbers.size() >= kNamesMax) names_->numbers.clear();
  names_->numbers.emplace(key, number);
  return number;
}

Result<void> Books::add_receipts(const Batch& batch, const Sums& sums) {
  for (std::size_t i = 0; i < batch.receipts.size(); ++i) {
    const ReceiptView& receipt = batch.receipts[i];
    const auto names = names_of(receipt);
    if (!names) return names.error();
    Statement& insert =
        prepared(statements_->receipt,
                 "INSERT INTO receipt_rows (seq, names, sequence, account, request_id, quantities, "
                 "estimated, charge, shortfall, held, original, transaction_seq, cost, cost_alone, "
                 "cost_transaction_seq, started_unix_ns, settled_unix_ns) VALUES "
                 "(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)");
    std::array<char, 24 * Receipt::kQuantities> text;
    insert.bind(sums.first_seq() + static_cast<std::int64_t>(i)).bind(*names);
    insert.bind(receipt.sequence).bind(receipt.account).bind(receipt.request_id);
    insert.bind(write_quantities(receipt.quantities, text)).bind(receipt.estimated ? 1 : 0);
    insert.bind(receipt.charge).bind(receipt.shortfall).bind(receipt.held);
    insert.bind(receipt.original).bind(sums.charge_of(i)).bind(receipt.cost);
    insert.bind(receipt.cost_alone ? 1 : 0).bind(sums.cost_of(i));
    const auto added = insert.bind(receipt.started_unix_ns).bind(receipt.settled_unix_ns).run();
    insert.reset();
    if (!added) return added;
  }
  return {};
}

Result<void> Books::add_costs(const Batch& batch, const Sums& sums) {
  for (std::size_t i = 0; i < batch.costs.size(); ++i) {
    const Cost& cost = batch.costs[i];
    Statement& insert =
        prepared(statements_->cost,
                 "INSERT INTO costs (id, request_id, account, provider, model, currency, amount, "
                 "price_version, outcome, estimated, at_unix_ns, transaction_seq) VALUES "
                 "(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)");
    insert.bind(cost.id).bind(cost.request_id).bind(cost.account).bind(cost.provider);
    insert.bind(cost.model).bind(cost.currency).bind(cost.amount).bind(cost.price_version);
    insert.bind(cost.outcome).bind(cost.estimated ? 1 : 0).bind(cost.at_unix_ns);
    const auto added = insert.bind(sums.line_of(i)).run();
    insert.reset();
    if (!added) return added;
  }
  return {};
}

// What was charged by day (UTC).
Result<void> Books::add_days(const Batch& batch) {
  struct Sum {
    std::int64_t requests = 0;
    Nano charge = 0;
  };
  std::map<std::tuple<View, View, std::uint64_t, View, View>, Sum> sums;
  for (const ReceiptView& receipt : batch.receipts) {
    Sum& sum = sums[{receipt.account, receipt.key, receipt.settled_unix_ns / kNsPerDay,
                     receipt.model_used, receipt.currency}];
    ++sum.requests;
    if (__builtin_add_overflow(sum.charge, receipt.charge.value_or(0), &sum.charge)) {
      return database_.error("account " + std::string(receipt.account) +
                             " was charged more in a day than can be counted");
    }
  }
  for (const auto& [what, sum] : sums) {
    const auto& [account, key, day, model, currency] = what;
    Statement& add = prepared(
        statements_->day,
        "INSERT INTO usage_days (account, key_id, day, model, currency, requests, charge) VALUES "
        "(?, ?, ?, ?, ?, ?, ?) ON CONFLICT (account, key_id, day, model, currency) DO UPDATE SET "
        "requests = usage_days.requests + excluded.requests, "
        "charge = usage_days.charge + excluded.charge");
    add.bind(account).bind(key).bind(day).bind(model).bind(currency);
    const auto added = add.bind(sum.requests).bind(sum.charge).run();
    add.reset();
    if (!added) return added;
  }
  return {};
}

}  // namespace switchyard::store
