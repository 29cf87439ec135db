// Plans, and the subscriptions of accounts to them: what a period costs and grants, and what
// becomes of both when it ends.
#pragma once

#include <cstdint>
#include <string>

#include "core/account/purse.hpp"
#include "core/account/refusal.hpp"
#include "core/store/plans.hpp"

namespace switchyard::account {

// - A period begins at the start of a day of the account's zone. Its fee is paid from the balance
// of
//   whoever pays for the account; without it the subscription is past due, is tried again each
//   hour, and ends after a week. Periods that passed while no gateway ran are not charged.
// - What a period grants is spent before other money: what is left of it when the period ends goes
//   back. What is held at that moment stays with the account.
// - A change keeps the period; its day is the new plan's. A cancellation's day is paid. What days
//   cost is unused_of() (periods.hpp).
// What is to be done is written down before it is done, and each transfer has an id that follows
// from it: whatever is interrupted is taken up by advance_due(). Blocking. [any thread]
class Plans {
 public:
  Plans(store::Plans& rows, Purse& purse, FindHolder find)
      : rows_(rows), purse_(purse), find_(std::move(find)) {}

  // Without an id it gets one. Refused: names, amounts or a period that can't be.
  Asked<store::PlanRow> create(store::PlanRow plan, std::int64_t now_unix_s);
  // A new version; subscriptions keep theirs until they are changed.
  Asked<store::PlanRow> change(store::PlanRow plan, std::int64_t now_unix_s);

  // From today on. `id` makes it idempotent; empty: a new one.
  Asked<store::SubscriptionRow> subscribe(const std::string& account, const std::string& plan,
                                          std::int64_t now_unix_s, std::string id = {});
  enum class When { kNow, kNextPeriod };
  // To the newest version of `plan`. At once only between plans of one currency and length of
  // period.
  Asked<store::SubscriptionRow> change_to(const std::string& subscription, const std::string& plan,
                                          When when, std::int64_t now_unix_s);
  Asked<store::SubscriptionRow> cancel(const std::string& subscription, When when,
                                       std::int64_t now_unix_s);

  // Does what is due. The error is the first that came; the others are tried all the same.
  Result<void> advance_due(std::int64_t now_unix_s);

  store::Plans& rows() { return rows_; }

 private:
  struct Case;  // a subscription with what it is about
  Result<Case> load(store::SubscriptionRow row);
  Asked<store::SubscriptionRow> advance(const std::string& id, std::int64_t now_unix_s);
  Asked<void> start(Case& subject, std::int64_t now_unix_s);
  Asked<void> renew(Case& subject, std::int64_t now_unix_s);
  Asked<void> begin_period(Case& subject, std::int64_t now_unix_s);
  Asked<void> change_now(Case& subject);
  Asked<void> cancel_now(Case& subject);
  Result<void> give_grant(Case& subject, std::int64_t amount, const std::string& id);
  Result<void> take_back(Case& subject, const std::string& id);
  Result<Moved> transfer(const Case& subject, const std::string& id, std::string kind,
                         const std::string& house, std::int64_t to_account);
  Asked<void> write(Case& subject);
  Asked<store::SubscriptionRow> find(const std::string& id);
  Asked<store::PlanRow> offered(const std::string& id);

  store::Plans& rows_;
  Purse& purse_;
  FindHolder find_;
};

}  // namespace switchyard::account
