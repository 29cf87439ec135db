#include "core/account/plans.hpp"

#include "shop.hpp"

using namespace switchyard;
using namespace switchyard::account;

namespace {

constexpr std::int64_t kHour = 3600;
const std::string kAccount = "account:a";

store::SubscriptionRow begin(Shop& shop, const std::string& plan, std::int64_t now) {
  auto begun = shop.plans->subscribe("a", plan, now);
  if (!begun) FAIL(begun.error().message);
  return std::move(*begun);
}

store::SubscriptionRow look(Shop& shop, const std::string& id) {
  const auto row = shop.plan_rows->subscription(id);
  REQUIRE(row);
  REQUIRE(*row);
  return **row;
}

}  // namespace

TEST_CASE("account: a plan that can't be is refused by its field", "[unit][plans]") {
  Shop shop;
  const auto refused = [&](auto change) {
    auto plan = shop.plan("basic", kUnit);
    change(plan);
    const auto made = shop.plans->create(plan, 1);
    REQUIRE_FALSE(made);
    return made.error().message.substr(0, made.error().message.find(':'));
  };
  CHECK(refused([](auto& plan) { plan.price = -1; }) == "price");
  CHECK(refused([](auto& plan) { plan.quota = -1; }) == "quota");
  CHECK(refused([](auto& plan) { plan.period = "fortnight"; }) == "period");
  CHECK(refused([](auto& plan) { plan.currency = "usd"; }) == "currency");
  CHECK(refused([](auto& plan) { plan.id = "A plan"; }) == "id");
  CHECK(refused([](auto& plan) { plan.name.clear(); }) == "name");
  shop.offer(shop.plan("basic", kUnit));
  CHECK(shop.plans->create(shop.plan("basic", kUnit), 1).error().code == "plan_exists");
}

TEST_CASE("account: a subscription without the money does not begin", "[unit][plans]") {
  Shop shop;
  shop.offer(shop.plan("basic", 20 * kUnit, 5 * kUnit));
  shop.purse.balances[kAccount] = 20 * kUnit - 1;
  const auto begun = shop.plans->subscribe("a", "basic", utc_day(2026, 1, 31));
  REQUIRE_FALSE(begun);
  CHECK(begun.error().code == "insufficient_funds");
  CHECK(shop.purse.balance(kAccount) == 20 * kUnit - 1);
  // It left nothing behind that is in the way.
  shop.purse.balances[kAccount] = 20 * kUnit;
  CHECK(shop.plans->subscribe("a", "basic", utc_day(2026, 1, 31)));
}

TEST_CASE("account: what can't be subscribed to", "[unit][plans]") {
  Shop shop;
  auto old = shop.plan("old", 0);
  old.offered = false;
  shop.offer(old);
  shop.offer(shop.plan("basic", 0));
  const auto code = [&](const char* account, const char* plan) {
    const auto begun = shop.plans->subscribe(account, plan, 0);
    return begun ? "" : begun.error().code;
  };
  CHECK(code("a", "none") == "not_found");
  CHECK(code("nobody", "basic") == "not_found");
  CHECK(code("a", "old") == "plan_not_offered");
  CHECK(code("b", "basic") == "other_currency");
  CHECK(code("a", "basic").empty());
  CHECK(code("a", "basic") == "already_subscribed");
}

TEST_CASE("account: a period's fee and grant, and what is left of it returns", "[unit][plans]") {
  Shop shop;
  shop.offer(shop.plan("basic", 20 * kUnit, 5 * kUnit));
  shop.purse.balances[kAccount] = 50 * kUnit;
  const auto row = begin(shop, "basic", utc_day(2026, 1, 31) + 9 * kHour);
  CHECK(row.state == "active");
  CHECK(row.start_unix_s == utc_day(2026, 1, 31));
  CHECK(row.end_unix_s == utc_day(2026, 2, 28));
  CHECK(shop.purse.balance(kAccount) == 35 * kUnit);

  shop.purse.charge(kAccount, 2 * kUnit);
  REQUIRE(shop.plans->advance_due(utc_day(2026, 2, 28) - 1));
  CHECK(shop.purse.balance(kAccount) == 33 * kUnit);
  // 3 of 5 are left and go back; then 20 for February's last day on, and 5 again.
  REQUIRE(shop.plans->advance_due(utc_day(2026, 2, 28)));
  CHECK(shop.purse.balance(kAccount) == (33 - 3 - 20 + 5) * kUnit);
  CHECK(look(shop, row.id).end_unix_s == utc_day(2026, 3, 31));
  CHECK(shop.purse.balance("house:grants") == -7 * kUnit);
  // Twice changes nothing.
  REQUIRE(shop.plans->advance_due(utc_day(2026, 2, 28)));
  CHECK(shop.purse.balance(kAccount) == 15 * kUnit);
  // A grant that was spent whole leaves nothing to return.
  shop.purse.charge(kAccount, 6 * kUnit);
  shop.purse.balances[kAccount] = 20 * kUnit;
  REQUIRE(shop.plans->advance_due(utc_day(2026, 3, 31)));
  CHECK(shop.purse.balance(kAccount) == 5 * kUnit);
}

TEST_CASE("account: what is held when a period ends is not taken back", "[unit][plans]") {
  Shop shop;
  shop.offer(shop.plan("free", 0, 5 * kUnit));
  begin(shop, "free", utc_day(2026, 1, 1));
  shop.purse.held = 4 * kUnit;
  REQUIRE(shop.plans->advance_due(utc_day(2026, 2, 1)));
  CHECK(shop.purse.balance(kAccount) == 9 * kUnit);
}

TEST_CASE("account: a renewal that is not covered is tried again, and ends", "[unit][plans]") {
  Shop shop;
  shop.offer(shop.plan("basic", 20 * kUnit, 5 * kUnit));
  shop.purse.balances[kAccount] = 20 * kUnit;
  const auto row = begin(shop, "basic", utc_day(2026, 1, 1));
  const std::int64_t due = utc_day(2026, 2, 1);
  REQUIRE(shop.plans->advance_due(due));
  CHECK(look(shop, row.id).state == "past_due");
  CHECK(shop.purse.balance(kAccount) == 0);  // the grant went back, the next was not given

  SECTION("paid within the week") {
    shop.purse.balances[kAccount] = 20 * kUnit;
    REQUIRE(shop.plans->advance_due(due + kHour - 1));
    CHECK(look(shop, row.id).state == "past_due");
    REQUIRE(shop.plans->advance_due(due + kHour));
    CHECK(look(shop, row.id).state == "active");
    CHECK(look(shop, row.id).start_unix_s == due);
    CHECK(shop.purse.balance(kAccount) == 5 * kUnit);
  }
  SECTION("cancelled, with which nothing that was not paid comes back") {
    const auto when = GENERATE(Plans::When::kNow, Plans::When::kNextPeriod);
    REQUIRE(shop.plans->cancel(row.id, when, due + 86'400));
    CHECK(look(shop, row.id).state == "ended");
    CHECK(shop.purse.balance(kAccount) == 0);
  }
  SECTION("not paid") {
    REQUIRE(shop.plans->advance_due(due + 7 * 86'400 - kHour));
    CHECK(look(shop, row.id).state == "past_due");
    REQUIRE(shop.plans->advance_due(due + 7 * 86'400));
    CHECK(look(shop, row.id).state == "ended");
    shop.purse.balances[kAccount] = 100 * kUnit;
    REQUIRE(shop.plans->advance_due(due + 8 * 86'400));
    CHECK(shop.purse.balance(kAccount) == 100 * kUnit);
  }
}

TEST_CASE("account: periods that passed without a gateway are not charged", "[unit][plans]") {
  Shop shop;
  shop.offer(shop.plan("basic", 20 * kUnit));
  shop.purse.balances[kAccount] = 100 * kUnit;
  const auto row = begin(shop, "basic", utc_day(2026, 1, 31));
  REQUIRE(shop.plans->advance_due(utc_day(2026, 6, 15)));
  CHECK(shop.purse.balance(kAccount) == 60 * kUnit);
  CHECK(look(shop, row.id).start_unix_s == utc_day(2026, 5, 31));
  CHECK(look(shop, row.id).end_unix_s == utc_day(2026, 6, 30));
}

TEST_CASE("account: a plan's new version is for new subscriptions", "[unit][plans]") {
  Shop shop;
  shop.offer(shop.plan("basic", 20 * kUnit));
  shop.purse.balances[kAccount] = 100 * kUnit;
  const auto row = begin(shop, "basic", utc_day(2026, 1, 1));
  auto dearer = shop.plan("basic", 30 * kUnit);
  REQUIRE(shop.plans->change(dearer, 5)->version == 2);
  CHECK(shop.plans->change(dearer, 5).error().code == "changed_meanwhile");
  REQUIRE(shop.plans->advance_due(utc_day(2026, 2, 1)));
  CHECK(shop.purse.balance(kAccount) == 60 * kUnit);
  CHECK(look(shop, row.id).plan_version == 1);
  // Asked for, it is taken over.
  REQUIRE(shop.plans->change_to(row.id, "basic", Plans::When::kNextPeriod, utc_day(2026, 2, 2)));
  REQUIRE(shop.plans->advance_due(utc_day(2026, 3, 1)));
  CHECK(shop.purse.balance(kAccount) == 30 * kUnit);
  CHECK(look(shop, row.id).plan_version == 2);
}

TEST_CASE("account: an upgrade pays the difference of the days that are left", "[unit][plans]") {
  Shop shop;
  shop.offer(shop.plan("basic", 30 * kUnit, 3 * kUnit));
  shop.offer(shop.plan("pro", 100 * kUnit, 10 * kUnit));
  shop.purse.balances[kAccount] = 100 * kUnit;
  const auto row = begin(shop, "basic", utc_day(2026, 6, 1));  // 30 days
  CHECK(shop.purse.balance(kAccount) == 73 * kUnit);
  // On the 11th 10 days are over: 20 of 30 come back, of 100 (3.333333333 a day) 66.666666670 are
  // due. The grant of 3 goes back, and of 10 (0.333333333 a day) 6.666666670 are given.
  const auto pro =
      shop.plans->change_to(row.id, "pro", Plans::When::kNow, utc_day(2026, 6, 11) + 15 * kHour);
  REQUIRE(pro);
  CHECK(pro->state == "active");
  CHECK(pro->plan == "pro");
  CHECK(pro->end_unix_s == row.end_unix_s);
  CHECK(pro->grant_amount == 6'666'666'670);
  CHECK(shop.purse.balance(kAccount) ==
        73 * kUnit - (66'666'666'670 - 20 * kUnit) - 3 * kUnit + 6'666'666'670);
  // The next period is the new plan's whole.
  shop.purse.balances[kAccount] = 200 * kUnit;
  REQUIRE(shop.plans->advance_due(row.end_unix_s));
  CHECK(shop.purse.balance(kAccount) == 200 * kUnit - 6'666'666'670 - 100 * kUnit + 10 * kUnit);
}

TEST_CASE("account: an upgrade that is not covered leaves all as it was", "[unit][plans]") {
  Shop shop;
  shop.offer(shop.plan("basic", 30 * kUnit, 3 * kUnit));
  shop.offer(shop.plan("pro", 100 * kUnit));
  shop.purse.balances[kAccount] = 30 * kUnit;
  const auto row = begin(shop, "basic", utc_day(2026, 6, 1));
  const auto pro = shop.plans->change_to(row.id, "pro", Plans::When::kNow, utc_day(2026, 6, 2));
  REQUIRE_FALSE(pro);
  CHECK(pro.error().code == "insufficient_funds");
  CHECK(look(shop, row.id).plan == "basic");
  CHECK(look(shop, row.id).state == "active");
  CHECK(shop.purse.balance(kAccount) == 3 * kUnit);
}

TEST_CASE("account: a downgrade gives the difference back, or waits", "[unit][plans]") {
  Shop shop;
  shop.offer(shop.plan("basic", 30 * kUnit));
  shop.offer(shop.plan("pro", 60 * kUnit));
  auto weekly = shop.plan("weekly", 5 * kUnit);
  weekly.period = "week";
  shop.offer(weekly);
  shop.purse.balances[kAccount] = 100 * kUnit;
  const auto row = begin(shop, "pro", utc_day(2026, 6, 1));

  SECTION("not to one that is sold in another currency") {
    auto other = shop.plan("euros", 30 * kUnit);
    other.currency = "EUR";
    shop.offer(other);
    for (const auto when : {Plans::When::kNow, Plans::When::kNextPeriod}) {
      const auto changed = shop.plans->change_to(row.id, "euros", when, utc_day(2026, 6, 16));
      REQUIRE_FALSE(changed);
      CHECK(changed.error().code == "other_currency");
    }
    CHECK(shop.purse.balance(kAccount) == 40 * kUnit);
  }
  SECTION("at once") {
    REQUIRE(shop.plans->change_to(row.id, "basic", Plans::When::kNow, utc_day(2026, 6, 16)));
    CHECK(shop.purse.balance(kAccount) == 40 * kUnit + 15 * kUnit);
  }
  SECTION("with the next period, and another length of it") {
    CHECK(shop.plans->change_to(row.id, "weekly", Plans::When::kNow, utc_day(2026, 6, 16))
              .error()
              .code == "other_period");
    REQUIRE(
        shop.plans->change_to(row.id, "weekly", Plans::When::kNextPeriod, utc_day(2026, 6, 16)));
    CHECK(shop.purse.balance(kAccount) == 40 * kUnit);
    REQUIRE(shop.plans->advance_due(utc_day(2026, 7, 1)));
    CHECK(shop.purse.balance(kAccount) == 35 * kUnit);
    CHECK(look(shop, row.id).end_unix_s == utc_day(2026, 7, 8));
  }
}

TEST_CASE("account: a cancellation pays the days behind today back", "[unit][plans]") {
  Shop shop;
  shop.offer(shop.plan("basic", 100, 40));  // nano-units, to see each of them
  shop.purse.balances[kAccount] = 100;
  const auto row = begin(shop, "basic", utc_day(2026, 6, 1));  // 30 days at 3, and 10 more
  shop.purse.charge(kAccount, 15);

  SECTION("on its first day") {
    REQUIRE(shop.plans->cancel(row.id, Plans::When::kNow, utc_day(2026, 6, 1)));
    CHECK(shop.purse.balance(kAccount) == 97);  // the grant of 25 that was left went back
    CHECK(look(shop, row.id).state == "ended");
  }
  SECTION("on its last day") {
    REQUIRE(shop.plans->cancel(row.id, Plans::When::kNow, utc_day(2026, 6, 30) + 5));
    CHECK(shop.purse.balance(kAccount) == 0);
  }
  SECTION("with its period") {
    REQUIRE(shop.plans->cancel(row.id, Plans::When::kNextPeriod, utc_day(2026, 6, 5)));
    CHECK(shop.purse.balance(kAccount) == 25);
    REQUIRE(shop.plans->advance_due(utc_day(2026, 7, 1)));
    CHECK(shop.purse.balance(kAccount) == 0);
    CHECK(look(shop, row.id).state == "ended");
  }
  SECTION("twice") {
    REQUIRE(shop.plans->cancel(row.id, Plans::When::kNow, utc_day(2026, 6, 10)));
    const std::int64_t balance = shop.purse.balance(kAccount);
    CHECK(balance == 100 - 30);
    REQUIRE(shop.plans->cancel(row.id, Plans::When::kNow, utc_day(2026, 6, 20)));
    CHECK(shop.purse.balance(kAccount) == balance);
  }
}

TEST_CASE("account: what the books did not take is done when they do", "[unit][plans]") {
  Shop shop;
  shop.offer(shop.plan("basic", 30 * kUnit, 3 * kUnit));
  shop.offer(shop.plan("pro", 60 * kUnit, 6 * kUnit));
  shop.purse.balances[kAccount] = 200 * kUnit;
  const auto row = begin(shop, "basic", utc_day(2026, 6, 1));
  shop.purse.broken = true;
  CHECK_FALSE(shop.plans->change_to(row.id, "pro", Plans::When::kNow, utc_day(2026, 6, 16)));
  CHECK(look(shop, row.id).state == "changing");
  CHECK_FALSE(shop.plans->advance_due(utc_day(2026, 6, 20)));
  shop.purse.broken = false;
  REQUIRE(shop.plans->advance_due(utc_day(2026, 6, 21)));
  // As of the day it was asked for.
  CHECK(shop.purse.balance(kAccount) == (200 - 30 + 3 - 15 - 3 + 3) * kUnit);
  CHECK(look(shop, row.id).plan == "pro");
}

TEST_CASE("account: a subscription's days are its account's", "[unit][plans]") {
  Shop shop;
  shop.offset_s = 9 * kHour;  // Tokyo
  shop.offer(shop.plan("free", 0));
  const auto row = begin(shop, "free", utc_day(2026, 1, 30) + 16 * kHour);  // 1:00 on the 31st
  CHECK(row.start_unix_s == utc_day(2026, 1, 31) - 9 * kHour);
  CHECK(row.end_unix_s == utc_day(2026, 2, 28) - 9 * kHour);
}
