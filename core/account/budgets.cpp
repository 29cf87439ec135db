#include "core/account/budgets.hpp"

#include <rapidjson/document.h>

#include <algorithm>
#include <map>

#include "core/account/purse.hpp"
#include "core/base/pattern.hpp"
#include "core/observe/log.hpp"

namespace switchyard::account {
namespace {

constexpr std::int64_t kBookAtOnceMax = 1000;
constexpr std::int64_t kLateMaxS = 20 * 3600;  // less than the shortest day
constexpr std::size_t kThresholdsMax = 16;
constexpr unsigned kThresholdMax = 1000;  // per cent
constexpr std::size_t kNameMax = 200;

std::optional<std::vector<unsigned>> thresholds_of(const std::string& json) {
  rapidjson::Document document;
  document.Parse<rapidjson::kParseIterativeFlag>(json.data(), json.size());
  if (document.HasParseError() || !document.IsArray() || document.Size() > kThresholdsMax) {
    return std::nullopt;
  }
  std::vector<unsigned> found;
  for (const auto& each : document.GetArray()) {
    if (!each.IsUint() || each.GetUint() == 0 || each.GetUint() > kThresholdMax) {
      return std::nullopt;
    }
    found.push_back(each.GetUint());
  }
  std::sort(found.begin(), found.end());
  return found;
}

Cycle cycle_of(const store::BudgetRow& row) {
  return parse_cycle(row.period).value_or(Cycle::kMonth);
}

Budget budget_of(const store::BudgetRow& row, const UtcOffset& offset, std::int64_t now_unix_s) {
  Budget budget;
  budget.id = row.id;
  budget.name = row.name;
  budget.account = row.account;
  budget.key = row.key_id;
  budget.feature = row.feature;
  budget.model = row.model;
  budget.currency = row.currency;
  budget.amount = row.amount;
  budget.hard = row.hard;
  budget.thresholds = thresholds_of(row.thresholds).value_or(std::vector<unsigned>());
  Period period = period_of(now_unix_s, cycle_of(row), offset);
  for (Period& each : budget.periods) {
    each = period;
    period = period_of(period.end_unix_s, cycle_of(row), offset);
  }
  return budget;
}

}  // namespace

bool Budget::applies(const Spender& spender) const {
  return (account.empty() || account == spender.account) && (key.empty() || key == spender.key) &&
         (feature.empty() || feature == spender.feature) &&
         (model.empty() || matches_pattern(model, spender.model));
}

const Period& Budget::period_at(std::int64_t unix_s) const {
  for (const Period& period : periods) {
    if (unix_s < period.end_unix_s) return period;
  }
  return periods.back();
}

std::string Budget::cell_name(const Period& period) const {
  return "budget:" + id + ":" + std::to_string(period.start_unix_s);
}

// ---- the table ----

const std::vector<const Budget*>& BudgetTable::candidates(const Index& index,
                                                          std::string_view name) {
  static const std::vector<const Budget*> kNone;
  const auto found = index.find(name);
  return found == index.end() ? kNone : found->second;
}

std::shared_ptr<const BudgetTable> BudgetTable::make(const std::vector<store::BudgetRow>& rows,
                                                     const FindZone& find,
                                                     std::int64_t now_unix_s) {
  auto table = std::make_shared<BudgetTable>();
  table->budgets_.reserve(rows.size());  // the indexes point into it
  for (const store::BudgetRow& row : rows) {
    const auto offset = find(row.zone);
    if (!offset) {
      spdlog::error("budget_left_out budget={} reason={}", row.id,
                    observe::quote(offset.error().message));
      continue;
    }
    const Budget& budget = table->budgets_.emplace_back(budget_of(row, *offset, now_unix_s));
    if (!budget.key.empty()) {
      table->by_key_[budget.key].push_back(&budget);
    } else if (!budget.account.empty()) {
      table->by_account_[budget.account].push_back(&budget);
    } else {
      table->others_.push_back(&budget);
    }
    table->good_until_unix_s_ = std::min(table->good_until_unix_s_, budget.periods[1].end_unix_s);
  }
  return table;
}

// ---- operators ----

Asked<void> Budgets::check(const store::BudgetRow& budget) {
  const auto bad = [](const std::string& message) {
    return Refusal{400, "invalid_budget", message};
  };
  if (budget.name.empty() || budget.name.size() > kNameMax) {
    return bad("name: expected 1 to 200 bytes.");
  }
  if (budget.amount < 0) return bad("amount: expected 0 or more.");
  const auto cycle = parse_cycle(budget.period);
  if (!cycle || *cycle == Cycle::kYear) return bad("period: expected day, week or month.");
  if (budget.currency.size() != 3) return bad("currency: expected three letters, as USD.");
  if (!thresholds_of(budget.thresholds)) {
    return bad("thresholds: expected at most 16 percentages of 1 to 1000.");
  }
  const auto zone = find_(budget.zone);
  if (!zone) return bad("zone: " + zone.error().message);
  return {};
}

Asked<store::BudgetRow> Budgets::create(store::BudgetRow row, std::int64_t now_unix_s) {
  const auto fits = check(row);
  if (!fits) return fits.error();
  row.id = new_id("bud_");
  row.disabled = false;
  row.created_unix_s = now_unix_s;
  const auto offset = find_(row.zone);
  if (!offset) return Refusal(offset.error());
  const Budget budget = budget_of(row, *offset, now_unix_s);
  const Period& period = budget.periods.front();
  const auto done = rows_.database().transact([&]() -> Result<void> {
    const auto added = rows_.add(row);
    if (!added) return added.error();
    std::int64_t sum = 0;
    const auto read = rows_.booked_since(period.start_unix_s, [&](const store::Spending& each) {
      const bool counts = budget.applies({each.account, each.key_id, each.feature, each.model}) &&
                          each.currency == budget.currency && period.contains(each.at_unix_s);
      if (counts) sum += each.charge;
      return Result<void>();
    });
    if (!read) return read.error();
    return rows_.add_spent(row.id, period.start_unix_s, sum);
  });
  if (!done) return Refusal(done.error());
  return row;
}

Asked<store::BudgetRow> Budgets::change(const store::BudgetRow& budget) {
  const auto fits = check(budget);
  if (!fits) return fits.error();
  const auto changed = rows_.update(budget);
  if (!changed) return Refusal(changed.error());
  if (!*changed) return Refusal{404, "not_found", "There is no budget '" + budget.id + "'."};
  return budget;
}

Result<std::shared_ptr<const BudgetTable>> Budgets::table(std::int64_t now_unix_s) {
  const auto rows = rows_.enabled();
  if (!rows) return rows.error();
  return BudgetTable::make(*rows, find_, now_unix_s);
}

// A disabled budget goes on counting, so that it is right when it is enabled again.
Result<bool> Budgets::book(std::int64_t now_unix_s) {
  const auto count = rows_.database().transact([&]() -> Result<std::int64_t> {
    const auto rows = rows_.list("", INT64_MAX);
    if (!rows) return rows.error();
    if (rows->empty()) return rows_.book_none();
    // What was spent before midnight may be booked after it.
    const auto table = BudgetTable::make(*rows, find_, now_unix_s - kLateMaxS);
    std::map<std::pair<std::string, std::int64_t>, std::int64_t> sums;
    const auto add = [&](const store::Spending& each) {
      const Spender spender{each.account, each.key_id, each.feature, each.model};
      table->find(spender, [&](const Budget& budget) {
        if (budget.currency != each.currency) return;
        sums[{budget.id, budget.period_at(each.at_unix_s).start_unix_s}] += each.charge;
      });
      return Result<void>();
    };
    const auto read = rows_.book(kBookAtOnceMax, add);
    if (!read) return read.error();
    for (const auto& [place, sum] : sums) {
      if (sum == 0) continue;
      const auto added = rows_.add_spent(place.first, place.second, sum);
      if (!added) return added.error();
    }
    return *read;
  });
  if (!count) return count.error();
  return *count == kBookAtOnceMax;
}

Result<Budgets::Spent> Budgets::spent(const store::BudgetRow& row, std::int64_t now_unix_s) {
  const auto offset = find_(row.zone);
  if (!offset) return offset.error();
  Spent found{period_of(now_unix_s, cycle_of(row), *offset), 0};
  const auto amount = rows_.spent(row.id, found.period.start_unix_s);
  if (!amount) return amount.error();
  found.amount = *amount;
  return found;
}

}  // namespace switchyard::account
