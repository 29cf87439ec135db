#include "core/account/plans.hpp"

#include "core/account/plan_table.hpp"
#include "core/observe/log.hpp"

namespace switchyard::account {
namespace {

constexpr std::int64_t kRetryS = 3600;
constexpr std::int64_t kPastDueMaxS = 7 * 86'400;
constexpr std::int64_t kDueAtOnceMax = 100;
constexpr std::size_t kNameMax = 200;

// States of a subscription.
constexpr char kStarting[] = "starting";
constexpr char kActive[] = "active";
constexpr char kChanging[] = "changing";
constexpr char kCancelling[] = "cancelling";
constexpr char kPastDue[] = "past_due";
constexpr char kEnded[] = "ended";

Refusal unknown(const char* what, const std::string& id) {
  return {404, "not_found", std::string("There is no ") + what + " '" + id + "'."};
}

Refusal refused(const std::string& code, const std::string& message) {
  return {409, code, message};
}

bool good_id(const std::string& id) {
  return !id.empty() && id.size() <= 64 &&
         id.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789_-") == std::string::npos;
}

bool good_currency(const std::string& currency) {
  return currency.size() == 3 &&
         currency.find_first_not_of("ABCDEFGHIJKLMNOPQRSTUVWXYZ") == std::string::npos;
}

Asked<void> check(const store::PlanRow& plan) {
  const auto bad = [](const char* field, const char* what) {
    return Refusal{400, "invalid_plan", std::string(field) + ": " + what};
  };
  if (!good_id(plan.id)) {
    return bad("id", "expected 1 to 64 characters of a-z, 0-9, '_' and '-'.");
  }
  if (plan.name.empty() || plan.name.size() > kNameMax) {
    return bad("name", "expected 1 to 200 bytes.");
  }
  if (!good_currency(plan.currency)) return bad("currency", "expected three letters, as USD.");
  if (plan.price < 0) return bad("price", "expected 0 or more.");
  if (plan.quota < 0) return bad("quota", "expected 0 or more.");
  if (!parse_cycle(plan.period)) return bad("period", "expected day, week, month or year.");
  const auto terms = read_plan_terms(plan);
  if (!terms) return Refusal{400, "invalid_plan", terms.error().message};
  return {};
}

// A transfer's id: of this subscription, at this place of its life.
std::string transfer_id(const store::SubscriptionRow& row, const char* what) {
  return row.id + ":" + std::to_string(row.start_unix_s) + ":" + what;
}
std::string change_id(const store::SubscriptionRow& row, const char* what) {
  return row.id + ":" + std::to_string(row.revision) + ":" + what;
}

}  // namespace

struct Plans::Case {
  store::SubscriptionRow row;
  store::PlanRow plan;
  Holder holder;

  Cycle cycle() const { return parse_cycle(plan.period).value_or(Cycle::kMonth); }
  Day anchor() const { return Day(std::chrono::days(row.anchor_day)); }
  Period period() const { return {row.start_unix_s, row.end_unix_s}; }
  int days() const { return days_in(period(), holder.offset); }
  // Of the period that are over before the day of `unix_s`.
  int days_before(std::int64_t unix_s) const {
    return days_in({row.start_unix_s, unix_s}, holder.offset);
  }
};

// ---- plans ----

Asked<store::PlanRow> Plans::create(store::PlanRow plan, std::int64_t now_unix_s) {
  if (plan.id.empty()) plan.id = new_id("plan_");
  plan.version = 1;
  plan.created_unix_s = now_unix_s;
  const auto fits = check(plan);
  if (!fits) return fits.error();
  const auto added = rows_.add_plan(plan);
  if (!added) return Refusal(added.error());
  if (!*added) return refused("plan_exists", "There is a plan '" + plan.id + "' already.");
  return plan;
}

Asked<store::PlanRow> Plans::change(store::PlanRow plan, std::int64_t now_unix_s) {
  ++plan.version;
  plan.created_unix_s = now_unix_s;
  const auto fits = check(plan);
  if (!fits) return fits.error();
  const auto added = rows_.add_plan(plan);
  if (!added) return Refusal(added.error());
  if (!*added) {
    return refused("changed_meanwhile", "The plan was changed meanwhile; look at it again.");
  }
  return plan;
}

Asked<store::PlanRow> Plans::offered(const std::string& id) {
  auto plan = rows_.plan(id);
  if (!plan) return Refusal(plan.error());
  if (!*plan) return unknown("plan", id);
  if (!(*plan)->offered) {
    return refused("plan_not_offered", "The plan '" + id + "' takes no new subscriptions.");
  }
  return std::move(**plan);
}

// ---- what is asked for ----

Asked<store::SubscriptionRow> Plans::find(const std::string& id) {
  auto row = rows_.subscription(id);
  if (!row) return Refusal(row.error());
  if (!*row) return unknown("subscription", id);
  return std::move(**row);
}

Asked<store::SubscriptionRow> Plans::subscribe(const std::string& account,
                                               const std::string& plan_id, std::int64_t now_unix_s,
                                               std::string id) {
  const auto plan = offered(plan_id);
  if (!plan) return plan.error();
  const auto holder = find_(account);
  if (!holder) return Refusal(holder.error());
  if (!*holder) return unknown("account", account);
  if ((*holder)->currency != plan->currency) {
    return refused("other_currency", "The plan is sold in " + plan->currency +
                                         ", the account's currency is " + (*holder)->currency +
                                         ".");
  }
  store::SubscriptionRow row;
  row.id = id.empty() ? new_id("sub_") : std::move(id);
  row.account = account;
  row.plan = plan->id;
  row.plan_version = plan->version;
  row.state = kStarting;
  row.zone = (*holder)->zone;
  const Day today = day_of(now_unix_s, (*holder)->offset);
  row.anchor_day = today.time_since_epoch().count();
  const Cycle cycle = parse_cycle(plan->period).value_or(Cycle::kMonth);
  const Period first = period_from(today, cycle, now_unix_s, (*holder)->offset);
  row.start_unix_s = first.start_unix_s;
  row.end_unix_s = first.end_unix_s;
  row.due_unix_s = now_unix_s;
  row.created_unix_s = now_unix_s;
  const auto added = rows_.add_subscription(row);
  if (!added) return Refusal(added.error());
  if (!*added) {
    const auto there = rows_.subscription(row.id);
    if (!there) return Refusal(there.error());
    if (!*there) {
      return refused("already_subscribed", "The account has a subscription to the plan '" +
                                               plan_id + "'; change or cancel that one.");
    }
  }
  return advance(row.id, now_unix_s);
}

Asked<store::SubscriptionRow> Plans::change_to(const std::string& subscription,
                                               const std::string& plan_id, When when,
                                               std::int64_t now_unix_s) {
  auto row = find(subscription);
  if (!row) return row;
  auto now = load(*row);
  if (!now) return Refusal(now.error());
  const auto next = offered(plan_id);
  if (!next) return next.error();
  if (row->state != kActive) {
    return refused("not_active", "The subscription is " + row->state +
                                     "; only an active one can "
                                     "change its plan.");
  }
  if (next->currency != now->plan.currency) {
    return refused("other_currency", "The plans are sold in " + now->plan.currency + " and " +
                                         next->currency + "; cancel the one and begin the other.");
  }
  if (when == When::kNow && next->period != now->plan.period) {
    return refused("other_period", "The plans' periods differ; change with the next period.");
  }
  now->row.next_plan = next->id;
  now->row.ends = false;
  if (when == When::kNow) {
    now->row.state = kChanging;
    now->row.due_unix_s = now_unix_s;
  }
  const auto written = write(*now);
  if (!written) return written.error();
  if (when == When::kNextPeriod) return now->row;
  return advance(subscription, now_unix_s);
}

Asked<store::SubscriptionRow> Plans::cancel(const std::string& subscription, When when,
                                            std::int64_t now_unix_s) {
  auto row = find(subscription);
  if (!row) return row;
  auto subject = load(*row);
  if (!subject) return Refusal(subject.error());
  if (row->state == kEnded || row->state == kCancelling) return row;
  if (row->state != kActive && row->state != kPastDue) {
    return refused("changed_meanwhile", "The subscription is " + row->state + "; ask again.");
  }
  if (when == When::kNextPeriod && row->state == kActive) {
    subject->row.ends = true;
    subject->row.next_plan.clear();
    const auto written = write(*subject);
    if (!written) return written.error();
    return subject->row;
  }
  // Nothing is paid of a period that is past due.
  subject->row.state = row->state == kActive ? kCancelling : kEnded;
  subject->row.due_unix_s = now_unix_s;
  const auto written = write(*subject);
  if (!written) return written.error();
  return advance(subscription, now_unix_s);
}

// ---- what is done ----

Result<Plans::Case> Plans::load(store::SubscriptionRow row) {
  auto plan = rows_.plan(row.plan, row.plan_version);
  if (!plan) return plan.error();
  if (!*plan) return Error{"subscription " + row.id + ": its plan is gone from the database"};
  auto holder = find_(row.account);
  if (!holder) return holder.error();
  if (!*holder) return Error{"subscription " + row.id + ": there is no account " + row.account};
  return Case{std::move(row), std::move(**plan), std::move(**holder)};
}

Asked<void> Plans::write(Case& subject) {
  ++subject.row.revision;
  const auto written = rows_.update_subscription(subject.row);
  if (!written) return Refusal(written.error());
  if (!*written) {
    return refused("changed_meanwhile", "The subscription was changed meanwhile; ask again.");
  }
  return {};
}

Result<void> Plans::advance_due(std::int64_t now_unix_s) {
  const auto due = rows_.due(now_unix_s, kDueAtOnceMax);
  if (!due) return due.error();
  Result<void> first;
  for (const store::SubscriptionRow& row : *due) {
    const auto done = advance(row.id, now_unix_s);
    if (!done && done.error().status >= 500 && first) first = Error{done.error().message};
  }
  return first;
}

Asked<store::SubscriptionRow> Plans::advance(const std::string& id, std::int64_t now_unix_s) {
  auto row = find(id);
  if (!row) return row;
  if (row->state == kEnded) return row;
  auto subject = load(std::move(*row));
  if (!subject) return Refusal(subject.error());
  const std::string state = subject->row.state;
  Asked<void> done;
  if (state == kStarting) {
    done = start(*subject, now_unix_s);
  } else if (state == kChanging) {
    done = change_now(*subject);
  } else if (state == kCancelling) {
    done = cancel_now(*subject);
  } else if (now_unix_s >= subject->row.due_unix_s) {
    done = renew(*subject, now_unix_s);
  }
  if (!done) return done.error();
  return subject->row;
}

Asked<void> Plans::start(Case& subject, std::int64_t now_unix_s) {
  const auto begun = begin_period(subject, now_unix_s);
  if (!begun || subject.row.state != kPastDue) return begun;
  subject.row.state = kEnded;
  const auto written = write(subject);
  if (!written) return written.error();
  return Refusal{402, "insufficient_funds",
                 "The account's balance does not cover the plan's price; top it up first."};
}

Asked<void> Plans::renew(Case& subject, std::int64_t now_unix_s) {
  store::SubscriptionRow& row = subject.row;
  if (row.state == kActive) {
    const auto returned = take_back(subject, row.grant_id + ":return");
    if (!returned) return Refusal(returned.error());
    row.grant_id.clear();
    row.grant_amount = 0;
    if (row.ends) {
      row.state = kEnded;
      return write(subject);
    }
    if (!row.next_plan.empty()) {
      auto next = rows_.plan(row.next_plan);
      if (!next) return Refusal(next.error());
      if (*next) {
        // Another length of period is counted from where it begins.
        if ((*next)->period != subject.plan.period) {
          row.anchor_day = day_of(row.end_unix_s, subject.holder.offset).time_since_epoch().count();
        }
        subject.plan = std::move(**next);
        row.plan = subject.plan.id;
        row.plan_version = subject.plan.version;
      }
      row.next_plan.clear();
    }
    const Period next =
        period_from(subject.anchor(), subject.cycle(), now_unix_s, subject.holder.offset);
    row.start_unix_s = next.start_unix_s;
    row.end_unix_s = next.end_unix_s;
  } else if (now_unix_s >= row.start_unix_s + kPastDueMaxS || now_unix_s >= row.end_unix_s) {
    spdlog::warn("subscription_ended subscription={} account={} reason=\"not paid\"", row.id,
                 row.account);
    row.state = kEnded;
    return write(subject);
  }
  return begin_period(subject, now_unix_s);
}

// The fee, and then what it grants.
Asked<void> Plans::begin_period(Case& subject, std::int64_t now_unix_s) {
  store::SubscriptionRow& row = subject.row;
  if (subject.plan.price > 0) {
    const auto paid = transfer(subject, transfer_id(row, "fee"), "plan_fee", "house:revenue",
                               -subject.plan.price);
    if (!paid) return Refusal(paid.error());
    if (*paid == Moved::kUncovered) {
      if (row.state == kActive) {
        spdlog::warn("subscription_past_due subscription={} account={}", row.id, row.account);
      }
      row.state = kPastDue;
      row.due_unix_s = now_unix_s + kRetryS;
      return write(subject);
    }
  }
  const auto granted = give_grant(subject, subject.plan.quota, transfer_id(row, "grant"));
  if (!granted) return Refusal(granted.error());
  row.state = kActive;
  row.due_unix_s = row.end_unix_s;
  return write(subject);
}

// Today is the new plan's first day.
Asked<void> Plans::change_now(Case& subject) {
  store::SubscriptionRow& row = subject.row;
  auto next = rows_.plan(row.next_plan);
  if (!next) return Refusal(next.error());
  if (!*next) return unknown("plan", row.next_plan);
  const int days = subject.days();
  const int before = subject.days_before(row.due_unix_s);
  const std::int64_t back = unused_of(subject.plan.price, days, before);
  const std::int64_t due = unused_of((*next)->price, days, before);
  bool uncovered = false;
  if (back != due) {
    const auto moved =
        transfer(subject, change_id(row, "change"), "plan_change", "house:revenue", back - due);
    if (!moved) return Refusal(moved.error());
    uncovered = *moved == Moved::kUncovered;
  }
  if (!uncovered) {
    const auto returned = take_back(subject, row.grant_id + ":return");
    if (!returned) return Refusal(returned.error());
    const auto granted =
        give_grant(subject, unused_of((*next)->quota, days, before), change_id(row, "grant"));
    if (!granted) return Refusal(granted.error());
    row.plan = (*next)->id;
    row.plan_version = (*next)->version;
  }
  row.next_plan.clear();
  row.state = kActive;
  row.due_unix_s = row.end_unix_s;
  auto written = write(subject);
  if (!written || !uncovered) return written;
  return Refusal{402, "insufficient_funds",
                 "The account's balance does not cover what the new plan costs for the rest of the "
                 "period; top it up first."};
}

// Today was still the plan's.
Asked<void> Plans::cancel_now(Case& subject) {
  store::SubscriptionRow& row = subject.row;
  const std::int64_t back =
      unused_of(subject.plan.price, subject.days(), subject.days_before(row.due_unix_s) + 1);
  const auto returned = take_back(subject, row.grant_id + ":return");
  if (!returned) return Refusal(returned.error());
  if (back > 0) {
    const auto moved =
        transfer(subject, change_id(row, "cancel"), "plan_refund", "house:revenue", back);
    if (!moved) return Refusal(moved.error());
  }
  row.state = kEnded;
  row.grant_id.clear();
  row.grant_amount = 0;
  return write(subject);
}

Result<void> Plans::give_grant(Case& subject, std::int64_t amount, const std::string& id) {
  subject.row.grant_id.clear();
  subject.row.grant_amount = 0;
  if (amount == 0) return {};
  const auto moved = transfer(subject, id, "grant", "house:grants", amount);
  if (!moved) return moved.error();
  subject.row.grant_id = id;
  subject.row.grant_amount = amount;
  return {};
}

Result<void> Plans::take_back(Case& subject, const std::string& id) {
  const store::SubscriptionRow& row = subject.row;
  if (row.grant_amount == 0) return {};
  const std::string account = "account:" + subject.holder.payer;
  const auto spent = purse_.spent_since(account, subject.plan.currency, row.grant_id);
  if (!spent) return spent.error();
  const auto available = purse_.available(account, subject.plan.currency, subject.holder.floor);
  if (!available) return available.error();
  const std::int64_t left =
      std::min(row.grant_amount - std::min(row.grant_amount, *spent), *available);
  if (left <= 0) return {};
  const auto moved = transfer(subject, id, "grant_return", "house:grants", -left);
  if (!moved) return moved.error();
  if (*moved == Moved::kUncovered) {
    return Error{"subscription " + row.id + ": its grant is being spent; it is taken back later"};
  }
  return {};
}

Result<Moved> Plans::transfer(const Case& subject, const std::string& id, std::string kind,
                              const std::string& house, std::int64_t to_account) {
  Transfer transfer;
  transfer.id = id;
  transfer.kind = std::move(kind);
  transfer.note = subject.row.id;
  transfer.currency = subject.plan.currency;
  transfer.floor = subject.holder.floor;
  transfer.entries = {{"account:" + subject.holder.payer, to_account}, {house, -to_account}};
  return purse_.move(transfer);
}

}  // namespace switchyard::account
