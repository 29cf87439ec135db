// Budgets, what was spent of each in its periods, and alerts on their way out.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "core/store/database.hpp"

namespace switchyard::store {

// An empty account, key, feature or model does not restrict.
struct BudgetRow {
  std::string id, name;
  std::string account, key_id, feature;
  std::string model;        // as clients name it, or a pattern with '*'
  std::string period;       // "day", "week", "month"
  std::string zone;         // IANA
  std::int64_t amount = 0;  // nano-units, of each period
  std::string currency;
  bool hard = false;              // what goes beyond it is refused
  std::string thresholds = "[]";  // JSON: percentages that are told
  bool disabled = false;
  std::int64_t created_unix_s = 0;
};

struct AlertRow {
  std::int64_t seq = 0;
  std::string id;    // what it says, once
  std::string body;  // JSON
  std::int64_t created_unix_s = 0, tries = 0, due_unix_s = 0;
  std::int64_t delivered_unix_s = 0;  // 0: not yet; -1: given up
};

// A charge of the books, as far as budgets look at it.
struct Spending {
  std::string account, key_id, feature, model, currency;
  std::int64_t charge = 0;
  std::int64_t at_unix_s = 0;
};

class Budgets {
 public:
  explicit Budgets(Database& database) : database_(database) {}

  Result<void> add(const BudgetRow& budget);
  // Writes name, amount, hard, thresholds and disabled; false: no such budget.
  Result<bool> update(const BudgetRow& budget);
  Result<std::optional<BudgetRow>> find(const std::string& id);
  Result<std::vector<BudgetRow>> list(const std::string& after, std::int64_t max);
  Result<std::vector<BudgetRow>> enabled();
  // Counts their changes, by any connection.
  Result<std::int64_t> version();

  Result<std::int64_t> spent(const std::string& id, std::int64_t start_unix_s);
  Result<void> add_spent(const std::string& id, std::int64_t start_unix_s, std::int64_t amount);

  // Where there is no budget: all there is counts as booked. 0.
  Result<std::int64_t> book_none();
  // Charges behind the last one that was booked, at most `max` receipts, and marks them as booked;
  // the number of receipts. Within a transaction.
  Result<std::int64_t> book(std::int64_t max, const std::function<Result<void>(const Spending&)>&);
  // Those that were booked already, from a time on.
  Result<void> booked_since(std::int64_t from_unix_s,
                            const std::function<Result<void>(const Spending&)>& visit);

  // False: it was said before.
  Result<bool> add_alert(const AlertRow& alert);
  Result<std::vector<AlertRow>> due_alerts(std::int64_t now_unix_s, std::int64_t max);
  // Writes tries, due and delivered; false: somebody else tried it since.
  Result<bool> update_alert(const AlertRow& alert, std::int64_t tries_before);
  Result<std::vector<AlertRow>> alerts(std::int64_t before_seq, std::int64_t max);  // newest first

  Database& database() { return database_; }

 private:
  Result<void> count_change();
  Database& database_;
};

}  // namespace switchyard::store
