#include "core/store/reconciliation.hpp"

#include <map>
#include <tuple>

namespace switchyard::store {
namespace {

constexpr std::uint64_t kNsPerDay = 86'400'000'000'000;

struct Counter {
  const char* name;
  std::uint64_t ReconciliationRow::* member;
};
constexpr Counter kCounters[] = {{"requests", &ReconciliationRow::requests},
                                 {"attempts", &ReconciliationRow::attempts},
                                 {"unpriced", &ReconciliationRow::unpriced}};
struct Amount {
  const char* name;
  Nano ReconciliationRow::* member;
};
constexpr Amount kAmounts[] = {{"charge", &ReconciliationRow::charge},
                               {"shortfall", &ReconciliationRow::shortfall},
                               {"cost", &ReconciliationRow::cost}};

template <class Use>
void each_column(Use use) {
  for (const Counter& counter : kCounters) use(std::string(counter.name));
  for (const Amount& amount : kAmounts) use(std::string(amount.name));
  for (std::size_t i = 0; i < Receipt::kQuantities; ++i) use("q" + std::to_string(i));
}

std::string upsert_sql() {
  std::string names, marks, changes;
  each_column([&](const std::string& name) {
    names += ", " + name;
    marks += ", ?";
    changes +=
        (changes.empty() ? "" : ", ") + name + " = reconciliation." + name + " + excluded." + name;
  });
  return "INSERT INTO reconciliation (day, provider, model, estimated, currency, cost_currency" +
         names + ") VALUES (?, ?, ?, ?, ?, ?" + marks +
         ") ON CONFLICT (day, provider, model, estimated, currency, cost_currency) DO UPDATE SET " +
         changes;
}

using View = std::string_view;
using Key = std::tuple<std::uint64_t, View, View, bool, View, View>;
using Sums = std::map<Key, ReconciliationRow>;

// False: more than can be counted.
bool add_amount(Nano& sum, std::optional<Nano> amount) {
  return !__builtin_add_overflow(sum, amount.value_or(0), &sum);
}

bool add_receipt(Sums& sums, const ReceiptView& receipt) {
  // The costs of other attempts have lines of their own.
  const View cost_currency = receipt.cost_alone ? receipt.cost_currency : View();
  ReconciliationRow& sum =
      sums[{receipt.settled_unix_ns / kNsPerDay, receipt.provider, receipt.model_used,
            receipt.estimated, receipt.currency, cost_currency}];
  sum.requests += 1;
  for (std::size_t i = 0; i < sum.quantities.size(); ++i) {
    sum.quantities[i] += receipt.quantities[i];
  }
  if (!add_amount(sum.charge, receipt.charge)) return false;
  if (!add_amount(sum.shortfall, receipt.shortfall)) return false;
  if (!receipt.cost_alone) return true;
  sum.attempts += 1;
  sum.unpriced += receipt.cost ? 0 : 1;
  return add_amount(sum.cost, receipt.cost);
}

bool add_cost(Sums& sums, const Cost& cost) {
  ReconciliationRow& sum = sums[{cost.at_unix_ns / kNsPerDay, cost.provider, cost.model,
                                 cost.estimated, "", cost.currency}];
  sum.attempts += 1;
  sum.unpriced += cost.amount ? 0 : 1;
  return add_amount(sum.cost, cost.amount);
}

}  // namespace

Result<void> Reconciliation::add(const Batch& batch) {
  Sums sums;
  bool counted = true;
  for (const ReceiptView& receipt : batch.receipts) counted &= add_receipt(sums, receipt);
  for (const Cost& cost : batch.costs) counted &= add_cost(sums, cost);
  if (!counted) return database_.error("more is to be summed up in a day than can be counted");
  if (!insert_) insert_ = database_.prepare(upsert_sql().c_str());
  for (const auto& [key, sum] : sums) {
    const auto& [day, provider, model, estimated, currency, cost_currency] = key;
    insert_->bind(day).bind(provider).bind(model).bind(estimated ? 1 : 0);
    insert_->bind(currency).bind(cost_currency);
    for (const Counter& counter : kCounters) insert_->bind(sum.*counter.member);
    for (const Amount& amount : kAmounts) insert_->bind(sum.*amount.member);
    for (const std::uint64_t quantity : sum.quantities) insert_->bind(quantity);
    const auto added = insert_->run();
    insert_->reset();
    if (!added) return added;
  }
  return {};
}

Result<std::vector<ReconciliationRow>> Reconciliation::list(std::uint64_t first_day,
                                                            std::uint64_t last_day,
                                                            const std::string& provider,
                                                            const std::string& model) {
  const auto held = database_.lock();
  std::string sql = "SELECT day, provider, model, estimated, currency, cost_currency";
  each_column([&](const std::string& name) { sql += ", " + name; });
  sql +=
      " FROM reconciliation WHERE day BETWEEN ? AND ? AND (? = '' OR provider = ?) AND "
      "(? = '' OR model = ?) ORDER BY day, provider, model, estimated, currency, cost_currency";
  const auto select = database_.prepare(sql.c_str());
  select->bind(first_day).bind(last_day).bind(provider).bind(provider).bind(model).bind(model);
  std::vector<ReconciliationRow> rows;
  while (true) {
    const auto read = select->step();
    if (!read) return read.error();
    if (!*read) return rows;
    int column = 0;
    const auto number = [&] { return static_cast<std::uint64_t>(select->number(column++)); };
    ReconciliationRow& row = rows.emplace_back();
    row.day = number();
    row.provider = select->text(column++);
    row.model = select->text(column++);
    row.estimated = number() != 0;
    row.currency = select->text(column++);
    row.cost_currency = select->text(column++);
    for (const Counter& counter : kCounters) row.*counter.member = number();
    for (const Amount& amount : kAmounts) row.*amount.member = select->number(column++);
    for (std::uint64_t& quantity : row.quantities) quantity = number();
  }
}

}  // namespace switchyard::store
