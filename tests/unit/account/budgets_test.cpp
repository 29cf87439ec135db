#include "core/account/budgets.hpp"

#include "../store/booking.hpp"
#include "core/account/alerts.hpp"
#include "core/account/webhook.hpp"
#include "shop.hpp"

using namespace switchyard;
using namespace switchyard::account;

namespace {

constexpr std::int64_t kHour = 3600;

Result<UtcOffset> zone(const std::string& name) {
  if (name == "UTC") return UtcOffset([](std::int64_t) -> std::int64_t { return 0; });
  if (name == "Asia/Tokyo") return UtcOffset([](std::int64_t) -> std::int64_t { return 32'400; });
  return Error{"there is no zone " + name};
}

store::BudgetRow row(const std::string& name) {
  store::BudgetRow budget;
  budget.name = name;
  budget.period = "day";
  budget.zone = "UTC";
  budget.amount = 10 * kUnit;
  budget.currency = "USD";
  budget.thresholds = "[100, 50, 80]";
  return budget;
}

std::vector<std::string> who(const BudgetTable& table, const Spender& spender) {
  std::vector<std::string> names;
  table.find(spender, [&](const Budget& budget) { names.push_back(budget.name); });
  std::sort(names.begin(), names.end());
  return names;
}

struct Desk {
  Desk() {
    auto opened = store::open_database(scratch.path());
    if (!opened) FAIL(opened.error().message);
    database = std::move(*opened);
    rows.emplace(*database);
    books.emplace(*database);
    budgets.emplace(*rows, zone);
    alerts.emplace(*budgets);
  }
  store::BudgetRow create(const store::BudgetRow& budget, std::int64_t now) {
    auto made = budgets->create(budget, now);
    if (!made) FAIL(made.error().message);
    return std::move(*made);
  }
  void receipt(const std::string& key, const std::string& model, std::int64_t charge,
               std::int64_t at, const std::string& currency = "USD") {
    store::Receipt made;
    made.account = "a";
    made.key = key;
    made.feature = "f";
    made.model_asked = model;
    made.model_used = "used";
    made.currency = currency;
    made.charge = charge;
    made.settled_unix_ns = static_cast<std::uint64_t>(at) * 1'000'000'000;
    book(*books, made, "r" + std::to_string(++receipts));
  }
  std::int64_t spent(const store::BudgetRow& budget, std::int64_t now) {
    const auto found = budgets->spent(budget, now);
    REQUIRE(found);
    return found->amount;
  }
  std::vector<std::string> told() {
    std::vector<std::string> ids;
    const auto found = rows->alerts(INT64_MAX, 100);
    REQUIRE(found);
    for (const auto& alert : *found) ids.push_back(alert.id);
    return ids;
  }

  Scratch scratch;
  std::unique_ptr<store::Database> database;
  std::optional<store::Budgets> rows;
  std::optional<store::Books> books;
  std::optional<Budgets> budgets;
  std::optional<Alerts> alerts;
  int receipts = 0;
};

}  // namespace

TEST_CASE("account: which budgets a spender's money comes out of", "[unit][budgets]") {
  std::vector<store::BudgetRow> rows;
  const auto add = [&](const char* name, auto set) {
    rows.push_back(row(name));
    rows.back().id = name;
    set(rows.back());
  };
  add("all", [](auto&) {});
  add("account", [](auto& budget) { budget.account = "a"; });
  add("key", [](auto& budget) { budget.key_id = "k"; });
  add("key of another", [](auto& budget) { budget.key_id = "k", budget.account = "b"; });
  add("feature", [](auto& budget) { budget.feature = "search"; });
  add("model", [](auto& budget) { budget.model = "gpt-*"; });
  add("model of account", [](auto& budget) { budget.account = "a", budget.model = "gpt-5"; });
  add("no zone", [](auto& budget) { budget.zone = "Mars/Olympus"; });
  const auto table = BudgetTable::make(rows, zone, utc_day(2026, 6, 1));
  using Names = std::vector<std::string>;
  CHECK(who(*table, {"a", "k", "search", "gpt-5"}) ==
        Names{"account", "all", "feature", "key", "model", "model of account"});
  CHECK(who(*table, {"a", "other", "", "o3"}) == Names{"account", "all"});
  CHECK(who(*table, {"b", "k", "", "gpt-4"}) == Names{"all", "key", "key of another", "model"});
  CHECK(who(*table, {"", "", "", ""}) == Names{"all"});
}

TEST_CASE("account: a table knows the next period before it begins", "[unit][budgets]") {
  auto tokyo = row("day");
  tokyo.zone = "Asia/Tokyo";
  const auto table = BudgetTable::make({tokyo}, zone, utc_day(2026, 6, 1) + 20 * kHour);
  const Budget& budget = table->budgets().front();
  const std::int64_t midnight = utc_day(2026, 6, 2) + 15 * kHour;  // of the 3rd, in Tokyo
  CHECK(budget.period_at(midnight - 1).start_unix_s == midnight - 86'400);
  CHECK(budget.period_at(midnight).start_unix_s == midnight);
  CHECK(budget.cell_name(budget.period_at(midnight - 1)) !=
        budget.cell_name(budget.period_at(midnight)));
  CHECK(table->good_until_unix_s() == midnight + 86'400);
}

TEST_CASE("account: a budget that can't be is refused by its field", "[unit][budgets]") {
  Desk desk;
  const auto refused = [&](auto change) {
    auto budget = row("b");
    change(budget);
    const auto made = desk.budgets->create(budget, 0);
    REQUIRE_FALSE(made);
    return made.error().message.substr(0, made.error().message.find(':'));
  };
  CHECK(refused([](auto& budget) { budget.amount = -1; }) == "amount");
  CHECK(refused([](auto& budget) { budget.period = "year"; }) == "period");
  CHECK(refused([](auto& budget) { budget.zone = "Mars/Olympus"; }) == "zone");
  CHECK(refused([](auto& budget) { budget.name.clear(); }) == "name");
  CHECK(refused([](auto& budget) { budget.currency = "US"; }) == "currency");
  for (const char* const bad : {"{}", "[0]", "[1001]", "[\"5\"]", "[1.5]", "nonsense",
                                "[1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17]"}) {
    CHECK(refused([&](auto& budget) { budget.thresholds = bad; }) == "thresholds");
  }
}

TEST_CASE("account: charges are booked once, to the period they fell in", "[unit][budgets]") {
  Desk desk;
  const std::int64_t day = utc_day(2026, 6, 2);
  auto of_key = row("key");
  of_key.key_id = "k";
  of_key = desk.create(of_key, day);
  const auto all = desk.create(row("all"), day);
  desk.receipt("k", "m", 2 * kUnit, day - 1);  // yesterday's, booked today
  desk.receipt("k", "m", 3 * kUnit, day);
  desk.receipt("other", "m", 4 * kUnit, day + kHour);
  desk.receipt("k", "m", 50 * kUnit, day, "EUR");
  for (int i = 0; i < 3; ++i) REQUIRE(desk.budgets->book(day + 2 * kHour));
  CHECK(desk.spent(of_key, day) == 3 * kUnit);
  CHECK(desk.spent(all, day) == 7 * kUnit);
  CHECK(desk.spent(all, day - 1) == 2 * kUnit);
  CHECK(desk.spent(all, day + 86'400) == 0);
}

TEST_CASE("account: a new budget counts what its period had spent", "[unit][budgets]") {
  Desk desk;
  const std::int64_t day = utc_day(2026, 6, 2);
  desk.receipt("k", "gpt-5", 2 * kUnit, day - 1);
  desk.receipt("k", "gpt-5", 3 * kUnit, day + 1);
  desk.receipt("k", "o3", 5 * kUnit, day + 1);
  desk.receipt("k", "gpt-5", 70 * kUnit, day + 1, "EUR");
  REQUIRE(desk.budgets->book(day + 2));
  desk.receipt("k", "gpt-5", 4 * kUnit, day + 3);  // not booked yet
  auto budget = row("late");
  budget.model = "gpt-*";
  budget = desk.create(budget, day + 4);
  CHECK(desk.spent(budget, day) == 3 * kUnit);
  REQUIRE(desk.budgets->book(day + 5));
  CHECK(desk.spent(budget, day) == 7 * kUnit);
}

TEST_CASE("account: each threshold is told once a period", "[unit][budgets]") {
  Desk desk;
  const std::int64_t day = utc_day(2026, 6, 2);
  const auto budget = desk.create(row("all"), day);
  const std::string id = "budget:" + budget.id + ":" + std::to_string(day) + ":";
  const auto look = [&](std::int64_t now) {
    REQUIRE(desk.budgets->book(now));
    REQUIRE(desk.alerts->look_at_budgets(now));
    return desk.told();
  };
  using Ids = std::vector<std::string>;
  CHECK(look(day).empty());
  desk.receipt("k", "m", 5 * kUnit - 1, day);
  CHECK(look(day + 1).empty());
  desk.receipt("k", "m", 1, day);
  CHECK(look(day + 2) == Ids{id + "50"});
  CHECK(look(day + 3) == Ids{id + "50"});
  desk.receipt("k", "m", 6 * kUnit, day);
  CHECK(look(day + 4) == Ids{id + "100", id + "80", id + "50"});
  CHECK(look(day + 86'400).size() == 3);
  desk.receipt("k", "m", 5 * kUnit, day + 86'400);
  CHECK(look(day + 86'401).size() == 4);
}

TEST_CASE("account: a budget of nothing is used up by what is spent, not before",
          "[unit][budgets]") {
  Desk desk;
  const std::int64_t day = utc_day(2026, 6, 2);
  auto nothing = row("nothing");
  nothing.amount = 0;
  desk.create(nothing, day);
  REQUIRE(desk.alerts->look_at_budgets(day));
  CHECK(desk.told().empty());
  desk.receipt("k", "m", 1, day);
  REQUIRE(desk.budgets->book(day + 1));
  REQUIRE(desk.alerts->look_at_budgets(day + 1));
  CHECK(desk.told().size() == 3);
}

TEST_CASE("account: balances below the floor are told once a day", "[unit][budgets]") {
  Desk desk;
  const std::vector<AccountBalance> balances{
      {"a", "USD", 4 * kUnit}, {"b", "USD", 5 * kUnit}, {"c", "EUR", -kUnit}};
  for (const std::int64_t now : {utc_day(2026, 6, 2), utc_day(2026, 6, 2) + 5}) {
    REQUIRE(desk.alerts->look_at_balances(balances, 5 * kUnit, now));
  }
  CHECK(desk.told().size() == 2);
  REQUIRE(desk.alerts->look_at_balances(balances, 5 * kUnit, utc_day(2026, 6, 3)));
  CHECK(desk.told().size() == 4);
}

TEST_CASE("account: a provider key's end is told beforehand", "[unit][budgets]") {
  Desk desk;
  const std::int64_t end = utc_day(2026, 6, 30);
  const std::vector<ExpiringCredential> credentials{{"openai", "default", end}};
  const auto told = [&](std::int64_t now) {
    REQUIRE(desk.alerts->look_at_credentials(credentials, now));
    return desk.told().size();
  };
  CHECK(told(end - 14 * 86'400 - 1) == 0);
  CHECK(told(end - 14 * 86'400) == 1);
  CHECK(told(end - 8 * 86'400) == 1);
  CHECK(told(end - 7 * 86'400) == 2);
  CHECK(told(end - 86'400) == 3);
  CHECK(told(end) == 4);
  CHECK(told(end + 86'400) == 4);
  // Of one that is first looked at late, the nearest threshold says it.
  REQUIRE(desk.alerts->look_at_credentials({{"openai", "late", end}}, end - 5 * 86'400));
  CHECK(desk.told().size() == 5);
}

TEST_CASE("account: an alert arrives once, signed, however often it is tried", "[unit][budgets]") {
  Desk desk;
  const Secret secret("alert secret");
  const std::int64_t now = utc_day(2026, 6, 2);
  REQUIRE(desk.alerts->look_at_balances({{"a", "USD", 0}}, kUnit, now));
  int tries = 0;
  bool works = false;
  const Alerts::Post post = [&](const std::string& body,
                                const std::string& signature) -> Result<void> {
    ++tries;
    CHECK(body.find(R"("kind":"balance")") != std::string::npos);
    CHECK(check_signature(signature, body, secret, now + 100));
    if (works) return {};
    return Error{"nobody there"};
  };
  const auto deliver = [&](std::int64_t at) {
    REQUIRE(desk.alerts->deliver(post, secret, at));
    return tries;
  };
  CHECK(deliver(now) == 1);
  CHECK(deliver(now + 9) == 1);
  CHECK(deliver(now + 10) == 2);
  CHECK(deliver(now + 29) == 2);
  works = true;
  CHECK(deliver(now + 30) == 3);
  CHECK(deliver(now + 300) == 3);
  CHECK(desk.rows->alerts(INT64_MAX, 1)->front().delivered_unix_s == now + 30);
}
