#include "core/store/plans.hpp"

#include "core/store/rows.hpp"

namespace switchyard::store {
namespace {

#define PLAN_COLUMNS                                                                           \
  "id, version, name, price, currency, period, quota, quota_tokens, limits, models, offered, " \
  "created_unix_s"
#define SUBSCRIPTION_COLUMNS                                                                  \
  "id, account, plan, plan_version, next_plan, state, ends, zone, anchor_day, start_unix_s, " \
  "end_unix_s, due_unix_s, revision, grant_id, grant_amount, created_unix_s"

PlanRow plan_of(const Statement& row) {
  return {row.text(0), row.number(1), row.text(2),         row.number(3),
          row.text(4), row.text(5),   row.number(6),       row.text(7),
          row.text(8), row.text(9),   row.number(10) != 0, row.number(11)};
}

SubscriptionRow subscription_of(const Statement& row) {
  return {row.text(0),    row.text(1),   row.text(2),        row.number(3),
          row.text(4),    row.text(5),   row.number(6) != 0, row.text(7),
          row.number(8),  row.number(9), row.number(10),     row.number(11),
          row.number(12), row.text(13),  row.number(14),     row.number(15)};
}

}  // namespace

Result<bool> Plans::add_plan(const PlanRow& plan) {
  const auto held = database_.lock();
  const auto insert = database_.prepare("INSERT INTO plans (" PLAN_COLUMNS
                                        ") VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) "
                                        "ON CONFLICT DO NOTHING");
  insert->bind(plan.id).bind(plan.version).bind(plan.name).bind(plan.price).bind(plan.currency);
  insert->bind(plan.period).bind(plan.quota).bind(plan.quota_tokens).bind(plan.limits);
  insert->bind(plan.models).bind(plan.offered ? 1 : 0).bind(plan.created_unix_s);
  return changes_row(database_, *insert);
}

Result<std::optional<PlanRow>> Plans::plan(const std::string& id) {
  const auto held = database_.lock();
  const auto select = database_.prepare("SELECT " PLAN_COLUMNS
                                        " FROM plans WHERE id = ? ORDER BY version DESC LIMIT 1");
  select->bind(id);
  return first_row(*select, plan_of);
}

Result<std::optional<PlanRow>> Plans::plan(const std::string& id, std::int64_t version) {
  const auto held = database_.lock();
  const auto select =
      database_.prepare("SELECT " PLAN_COLUMNS " FROM plans WHERE id = ? AND version = ?");
  select->bind(id).bind(version);
  return first_row(*select, plan_of);
}

Result<std::vector<PlanRow>> Plans::plans(const std::string& after, std::int64_t max) {
  const auto held = database_.lock();
  const auto select = database_.prepare(
      "SELECT " PLAN_COLUMNS
      " FROM plans WHERE id > ? AND version = (SELECT MAX(newest.version) FROM plans AS newest "
      "WHERE newest.id = plans.id) ORDER BY id LIMIT ?");
  select->bind(after).bind(max);
  return all_rows(*select, plan_of);
}

Result<bool> Plans::add_subscription(const SubscriptionRow& row) {
  const auto held = database_.lock();
  const auto insert = database_.prepare(
      "INSERT INTO subscriptions (" SUBSCRIPTION_COLUMNS
      ") VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING");
  insert->bind(row.id).bind(row.account).bind(row.plan).bind(row.plan_version);
  insert->bind(row.next_plan).bind(row.state).bind(row.ends ? 1 : 0).bind(row.zone);
  insert->bind(row.anchor_day).bind(row.start_unix_s).bind(row.end_unix_s).bind(row.due_unix_s);
  insert->bind(row.revision).bind(row.grant_id).bind(row.grant_amount).bind(row.created_unix_s);
  return changes_row(database_, *insert);
}

Result<bool> Plans::update_subscription(const SubscriptionRow& row) {
  const auto held = database_.lock();
  const auto update = database_.prepare(
      "UPDATE subscriptions SET plan = ?, plan_version = ?, next_plan = ?, state = ?, ends = ?, "
      "anchor_day = ?, start_unix_s = ?, end_unix_s = ?, due_unix_s = ?, revision = ?, "
      "grant_id = ?, grant_amount = ? WHERE id = ? AND revision = ?");
  update->bind(row.plan).bind(row.plan_version).bind(row.next_plan).bind(row.state);
  update->bind(row.ends ? 1 : 0).bind(row.anchor_day).bind(row.start_unix_s);
  update->bind(row.end_unix_s).bind(row.due_unix_s).bind(row.revision).bind(row.grant_id);
  update->bind(row.grant_amount).bind(row.id).bind(row.revision - 1);
  return changes_row(database_, *update);
}

Result<std::optional<SubscriptionRow>> Plans::subscription(const std::string& id) {
  const auto held = database_.lock();
  const auto select =
      database_.prepare("SELECT " SUBSCRIPTION_COLUMNS " FROM subscriptions WHERE id = ?");
  select->bind(id);
  return first_row(*select, subscription_of);
}

Result<std::vector<SubscriptionRow>> Plans::subscriptions(const std::string& account,
                                                          const std::string& after,
                                                          std::int64_t max) {
  const auto held = database_.lock();
  const auto select = database_.prepare("SELECT " SUBSCRIPTION_COLUMNS
                                        " FROM subscriptions WHERE id > ? AND (? = '' OR "
                                        "account = ?) ORDER BY id LIMIT ?");
  select->bind(after).bind(account).bind(account).bind(max);
  return all_rows(*select, subscription_of);
}

Result<std::vector<SubscriptionRow>> Plans::in_force() {
  const auto held = database_.lock();
  const auto select = database_.prepare("SELECT " SUBSCRIPTION_COLUMNS
                                        " FROM subscriptions WHERE state <> 'ended' ORDER BY id");
  return all_rows(*select, subscription_of);
}

Result<std::int64_t> Plans::version() {
  return database_.number("SELECT n FROM changes WHERE name = 'subscriptions'");
}

Result<std::vector<SubscriptionRow>> Plans::due(std::int64_t now_unix_s, std::int64_t max) {
  const auto held = database_.lock();
  const auto select = database_.prepare("SELECT " SUBSCRIPTION_COLUMNS
                                        " FROM subscriptions WHERE state <> 'ended' AND "
                                        "due_unix_s <= ? ORDER BY due_unix_s, id LIMIT ?");
  select->bind(now_unix_s).bind(max);
  return all_rows(*select, subscription_of);
}

}  // namespace switchyard::store
