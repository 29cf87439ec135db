#include "core/store/budgets.hpp"

#include "core/store/rows.hpp"

namespace switchyard::store {
namespace {

#define BUDGET_COLUMNS                                                                            \
  "id, name, account, key_id, feature, model, period, zone, amount, currency, hard, thresholds, " \
  "disabled, created_unix_s"
#define ALERT_COLUMNS "seq, id, body, created_unix_s, tries, due_unix_s, delivered_unix_s"
#define SPENDING_COLUMNS \
  "seq, account, key_id, feature, model_asked, currency, charge, settled_unix_ns"

constexpr std::int64_t kNsPerS = 1'000'000'000;

BudgetRow budget_of(const Statement& row) {
  return {row.text(0),         row.text(1),  row.text(2),         row.text(3),   row.text(4),
          row.text(5),         row.text(6),  row.text(7),         row.number(8), row.text(9),
          row.number(10) != 0, row.text(11), row.number(12) != 0, row.number(13)};
}

AlertRow alert_of(const Statement& row) {
  return {row.number(0), row.text(1),   row.text(2),  row.number(3),
          row.number(4), row.number(5), row.number(6)};
}

Spending spending_of(const Statement& row) {
  return {row.text(1),
          row.text(2),
          row.text(3),
          row.text(4),
          row.text(5),
          row.number(6),
          row.number(7) / kNsPerS};
}

}  // namespace

Result<void> Budgets::count_change() {
  return database_.prepare("UPDATE changes SET n = n + 1 WHERE name = 'budgets'")->run();
}

Result<void> Budgets::add(const BudgetRow& budget) {
  return database_.transact([&]() -> Result<void> {
    const auto insert = database_.prepare("INSERT INTO budgets (" BUDGET_COLUMNS
                                          ") VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)");
    insert->bind(budget.id).bind(budget.name).bind(budget.account).bind(budget.key_id);
    insert->bind(budget.feature).bind(budget.model).bind(budget.period).bind(budget.zone);
    insert->bind(budget.amount).bind(budget.currency).bind(budget.hard ? 1 : 0);
    insert->bind(budget.thresholds).bind(budget.disabled ? 1 : 0).bind(budget.created_unix_s);
    const auto added = insert->run();
    if (!added) return added.error();
    return count_change();
  });
}

Result<bool> Budgets::update(const BudgetRow& budget) {
  return database_.transact([&]() -> Result<bool> {
    const auto update = database_.prepare(
        "UPDATE budgets SET name = ?, amount = ?, hard = ?, thresholds = ?, disabled = ? "
        "WHERE id = ?");
    update->bind(budget.name).bind(budget.amount).bind(budget.hard ? 1 : 0);
    update->bind(budget.thresholds).bind(budget.disabled ? 1 : 0).bind(budget.id);
    const auto changed = changes_row(database_, *update);
    if (!changed) return changed.error();
    const auto counted = count_change();
    if (!counted) return counted.error();
    return *changed;
  });
}

Result<std::optional<BudgetRow>> Budgets::find(const std::string& id) {
  const auto held = database_.lock();
  const auto select = database_.prepare("SELECT " BUDGET_COLUMNS " FROM budgets WHERE id = ?");
  select->bind(id);
  return first_row(*select, budget_of);
}

Result<std::vector<BudgetRow>> Budgets::list(const std::string& after, std::int64_t max) {
  const auto held = database_.lock();
  const auto select =
      database_.prepare("SELECT " BUDGET_COLUMNS " FROM budgets WHERE id > ? ORDER BY id LIMIT ?");
  select->bind(after).bind(max);
  return all_rows(*select, budget_of);
}

Result<std::vector<BudgetRow>> Budgets::enabled() {
  const auto held = database_.lock();
  const auto select =
      database_.prepare("SELECT " BUDGET_COLUMNS " FROM budgets WHERE disabled = 0 ORDER BY id");
  return all_rows(*select, budget_of);
}

Result<std::int64_t> Budgets::version() {
  return database_.number("SELECT n FROM changes WHERE name = 'budgets'");
}

Result<std::int64_t> Budgets::spent(const std::string& id, std::int64_t start_unix_s) {
  const auto held = database_.lock();
  const auto select = database_.prepare(
      "SELECT COALESCE(SUM(spent), 0) FROM budget_spending WHERE budget = ? AND start_unix_s = ?");
  select->bind(id).bind(start_unix_s);
  const auto row = select->step();
  if (!row) return row.error();
  return select->number(0);
}

Result<void> Budgets::add_spent(const std::string& id, std::int64_t start_unix_s,
                                std::int64_t amount) {
  const auto held = database_.lock();
  const auto insert = database_.prepare(
      "INSERT INTO budget_spending (budget, start_unix_s, spent) VALUES (?, ?, ?) "
      "ON CONFLICT (budget, start_unix_s) DO UPDATE SET spent = budget_spending.spent + "
      "excluded.spent");
  insert->bind(id).bind(start_unix_s).bind(amount);
  return insert->run();
}

Result<std::int64_t> Budgets::book_none() {
  const auto moved = database_.run(
      "UPDATE changes SET n = (SELECT COALESCE(MAX(seq), 0) FROM receipt_rows) "
      "WHERE name = 'budgets_booked' AND n < (SELECT MAX(seq) FROM receipt_rows)");
  if (!moved) return moved.error();
  return std::int64_t{0};
}

Result<std::int64_t> Budgets::book(std::int64_t max,
                                   const std::function<Result<void>(const Spending&)>& visit) {
  const auto place = database_.number("SELECT n FROM changes WHERE name = 'budgets_booked'");
  if (!place) return place.error();
  const auto select = database_.prepare("SELECT " SPENDING_COLUMNS
                                        " FROM receipts WHERE seq > ? ORDER BY seq LIMIT ?");
  select->bind(*place).bind(max);
  std::int64_t count = 0, last = *place;
  while (true) {
    const auto row = select->step();
    if (!row) return row.error();
    if (!*row) break;
    ++count;
    last = select->number(0);
    const auto visited = visit(spending_of(*select));
    if (!visited) return visited.error();
  }
  if (count == 0) return count;
  const auto update = database_.prepare("UPDATE changes SET n = ? WHERE name = 'budgets_booked'");
  const auto moved = update->bind(last).run();
  if (!moved) return moved.error();
  return count;
}

Result<void> Budgets::booked_since(std::int64_t from_unix_s,
                                   const std::function<Result<void>(const Spending&)>& visit) {
  const auto held = database_.lock();
  const auto select = database_.prepare(
      "SELECT " SPENDING_COLUMNS
      " FROM receipts WHERE settled_unix_ns >= ? AND seq <= (SELECT n FROM changes "
      "WHERE name = 'budgets_booked')");
  select->bind(from_unix_s * kNsPerS);
  while (true) {
    const auto row = select->step();
    if (!row) return row.error();
    if (!*row) return {};
    const auto visited = visit(spending_of(*select));
    if (!visited) return visited.error();
  }
}

Result<bool> Budgets::add_alert(const AlertRow& alert) {
  const auto held = database_.lock();
  const auto insert = database_.prepare(
      "INSERT INTO alerts (id, body, created_unix_s, due_unix_s, delivered_unix_s) "
      "VALUES (?, ?, ?, ?, ?) ON CONFLICT (id) DO NOTHING");
  insert->bind(alert.id).bind(alert.body).bind(alert.created_unix_s).bind(alert.due_unix_s);
  insert->bind(alert.delivered_unix_s);
  return changes_row(database_, *insert);
}

Result<std::vector<AlertRow>> Budgets::due_alerts(std::int64_t now_unix_s, std::int64_t max) {
  const auto held = database_.lock();
  const auto select = database_.prepare("SELECT " ALERT_COLUMNS
                                        " FROM alerts WHERE delivered_unix_s = 0 AND "
                                        "due_unix_s <= ? ORDER BY due_unix_s, seq LIMIT ?");
  select->bind(now_unix_s).bind(max);
  return all_rows(*select, alert_of);
}

Result<bool> Budgets::update_alert(const AlertRow& alert, std::int64_t tries_before) {
  const auto held = database_.lock();
  const auto update = database_.prepare(
      "UPDATE alerts SET tries = ?, due_unix_s = ?, delivered_unix_s = ? "
      "WHERE seq = ? AND tries = ? AND delivered_unix_s = 0");
  update->bind(alert.tries).bind(alert.due_unix_s).bind(alert.delivered_unix_s).bind(alert.seq);
  update->bind(tries_before);
  return changes_row(database_, *update);
}

Result<std::vector<AlertRow>> Budgets::alerts(std::int64_t before_seq, std::int64_t max) {
  const auto held = database_.lock();
  const auto select = database_.prepare("SELECT " ALERT_COLUMNS
                                        " FROM alerts WHERE seq < ? ORDER BY seq DESC LIMIT ?");
  select->bind(before_seq).bind(max);
  return all_rows(*select, alert_of);
}

}  // namespace switchyard::store
