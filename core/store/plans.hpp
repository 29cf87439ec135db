// Plans in their versions, and the subscriptions of accounts to them.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/store/database.hpp"

namespace switchyard::store {

struct PlanRow {
  std::string id;
  std::int64_t version = 1;
  std::string name;
  std::int64_t price = 0;  // nano-units, of each period
  std::string currency;
  std::string period;               // "day", "week", "month", "year"
  std::int64_t quota = 0;           // nano-units granted each period
  std::string quota_tokens = "[]";  // JSON: [{"model":PATTERN,"tokens":N}, ...]
  std::string limits = "{}";        // JSON: {"rpm":N,"tpm":N,"concurrency":N}
  std::string models = "[]";        // JSON array of patterns; empty: all
  bool offered = true;              // to new subscriptions
  std::int64_t created_unix_s = 0;
};

struct SubscriptionRow {
  std::string id, account, plan;
  std::int64_t plan_version = 1;
  std::string next_plan;        // takes this one's place with the next period
  std::string state;            // active, past_due, ended
  bool ends = false;            // with its period
  std::string zone;             // IANA
  std::int64_t anchor_day = 0;  // days since 1970-01-01, of the zone's calendar
  std::int64_t start_unix_s = 0, end_unix_s = 0;
  std::int64_t due_unix_s = 0;  // when to look at it again
  std::int64_t revision = 0;    // counts its changes
  std::string grant_id;         // the transaction of what this period granted
  std::int64_t grant_amount = 0;
  std::int64_t created_unix_s = 0;
};

class Plans {
 public:
  explicit Plans(Database& database) : database_(database) {}

  // The row's version is the one before plus 1; false: another change came between.
  Result<bool> add_plan(const PlanRow& plan);
  Result<std::optional<PlanRow>> plan(const std::string& id);  // its newest version
  Result<std::optional<PlanRow>> plan(const std::string& id, std::int64_t version);
  // Newest versions by id, behind `after`.
  Result<std::vector<PlanRow>> plans(const std::string& after, std::int64_t max);

  // False: the account has one of this plan that has not ended.
  Result<bool> add_subscription(const SubscriptionRow& subscription);
  // Writes a changed row of the next revision; false: somebody else wrote that revision.
  Result<bool> update_subscription(const SubscriptionRow& subscription);
  Result<std::optional<SubscriptionRow>> subscription(const std::string& id);
  // By id, behind `after`; of one account where it is not empty.
  Result<std::vector<SubscriptionRow>> subscriptions(const std::string& account,
                                                     const std::string& after, std::int64_t max);
  // Not ended, of all accounts.
  Result<std::vector<SubscriptionRow>> in_force();
  // Counts changes of subscriptions, by any connection.
  Result<std::int64_t> version();
  // Not ended, and due; the earliest first.
  Result<std::vector<SubscriptionRow>> due(std::int64_t now_unix_s, std::int64_t max);

 private:
  Database& database_;
};

}  // namespace switchyard::store
