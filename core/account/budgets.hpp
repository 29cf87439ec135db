// Budgets: how much an account, a key, a feature or a model may spend in a day, a week or a month.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "core/account/periods.hpp"
#include "core/account/refusal.hpp"
#include "core/store/budgets.hpp"

namespace switchyard::account {

// Who is about to spend. `account` is the one that pays, `model` what the client named.
struct Spender {
  std::string_view account, key, feature, model;
};

struct Budget {
  std::string id, name;
  std::string account, key, feature, model;  // empty: any
  std::string currency;                      // spending in another one is not this budget's
  std::int64_t amount = 0;                   // nano-units, of each period
  bool hard = false;
  std::vector<unsigned> thresholds;  // percentages, ascending
  // Its days, weeks or months one after the other; enough until the table is made again.
  std::array<Period, 3> periods;

  bool applies(const Spender& spender) const;
  // The one of `periods` that a time is in, or the last before it.
  const Period& period_at(std::int64_t unix_s) const;
  // What the ledger calls a period of this budget.
  std::string cell_name(const Period& period) const;
};

// Budgets in force as of one moment; immutable. [any thread]
class BudgetTable {
 public:
  // A zone's offsets; the error: there is no such zone.
  using FindZone = std::function<Result<UtcOffset>(const std::string& name)>;

  // Budgets whose zone is unknown are left out and logged.
  static std::shared_ptr<const BudgetTable> make(const std::vector<store::BudgetRow>& rows,
                                                 const FindZone& find, std::int64_t now_unix_s);

  // Those that apply; `visit` is called with a const Budget&. The order is always the same.
  template <class Visit>
  void find(const Spender& spender, Visit visit) const {
    for (const Budget* const budget : candidates(by_key_, spender.key)) {
      if (budget->applies(spender)) visit(*budget);
    }
    for (const Budget* const budget : candidates(by_account_, spender.account)) {
      if (budget->applies(spender)) visit(*budget);
    }
    for (const Budget* const budget : others_) {
      if (budget->applies(spender)) visit(*budget);
    }
  }

  const std::vector<Budget>& budgets() const { return budgets_; }
  // From then on it has to be made again.
  std::int64_t good_until_unix_s() const { return good_until_unix_s_; }

 private:
  struct Hash {
    using is_transparent = void;
    std::size_t operator()(std::string_view text) const {
      return std::hash<std::string_view>()(text);
    }
  };
  using Index = std::unordered_map<std::string, std::vector<const Budget*>, Hash, std::equal_to<>>;

  static const std::vector<const Budget*>& candidates(const Index& index, std::string_view name);

  std::vector<Budget> budgets_;
  Index by_key_, by_account_;
  std::vector<const Budget*> others_;
  std::int64_t good_until_unix_s_ = INT64_MAX;
};

// Budgets as operators change them, and what the books say was spent. Blocking. [any thread]
class Budgets {
 public:
  Budgets(store::Budgets& rows, BudgetTable::FindZone find) : rows_(rows), find_(std::move(find)) {}

  // What was booked in its period before counts.
  Asked<store::BudgetRow> create(store::BudgetRow budget, std::int64_t now_unix_s);
  Asked<store::BudgetRow> change(const store::BudgetRow& budget);

  Result<std::shared_ptr<const BudgetTable>> table(std::int64_t now_unix_s);
  // Adds the charges that came into the books since the last call to the periods they fall in.
  // Returns whether there may be more.
  Result<bool> book(std::int64_t now_unix_s);

  struct Spent {
    Period period;
    std::int64_t amount = 0;
  };
  Result<Spent> spent(const store::BudgetRow& budget, std::int64_t now_unix_s);

  store::Budgets& rows() { return rows_; }

 private:
  Asked<void> check(const store::BudgetRow& budget);

  store::Budgets& rows_;
  BudgetTable::FindZone find_;
};

}  // namespace switchyard::account
