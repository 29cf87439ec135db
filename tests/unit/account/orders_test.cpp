#include "core/account/orders.hpp"

#include <thread>

#include "core/account/corrections.hpp"
#include "shop.hpp"

using namespace switchyard;
using namespace switchyard::account;

namespace {

constexpr std::int64_t kNow = 1'800'000'000;
const std::string kAccount = "account:a";

store::OrderRow ask(const std::string& reference, std::int64_t amount = 25 * kUnit) {
  store::OrderRow order;
  order.account = "a";
  order.kind = "top_up";
  order.provider = "stripe";
  order.reference = reference;
  order.amount = amount;
  order.currency = "USD";
  return order;
}

store::OrderRow create(Shop& shop, const store::OrderRow& order) {
  auto made = shop.orders->create(order, kNow);
  if (!made) FAIL(made.error().message);
  return std::move(*made);
}

store::OrderRow look(Shop& shop, const std::string& id) {
  const auto row = shop.order_rows->find(id);
  REQUIRE(row);
  REQUIRE(*row);
  return **row;
}

PaymentEvent paid(const std::string& id, const std::string& order) {
  return {"stripe",   id,   "payment_intent.succeeded", PaymentEvent::Kind::kPaid, order, "pi_1",
          25 * kUnit, "USD"};
}

PaymentEvent refunded(const std::string& id, std::int64_t amount) {
  return {"stripe", id,   "charge.refunded", PaymentEvent::Kind::kRefunded, "", "pi_1",
          amount,   "USD"};
}

Outcome take(Shop& shop, const PaymentEvent& event) {
  const auto outcome = shop.orders->take(event, kNow + 1);
  return outcome ? *outcome : "error: " + outcome.error().message;
}

std::vector<std::string> codes(Shop& shop, std::int64_t count, std::int64_t uses,
                               std::int64_t expires = 0) {
  store::CodeBatchRow batch;
  batch.name = "spring";
  batch.amount = 5 * kUnit;
  batch.currency = "USD";
  batch.count = count;
  batch.uses = uses;
  batch.expires_unix_s = expires;
  auto made = shop.orders->create_codes(batch, kNow);
  if (!made) FAIL(made.error().message);
  return made->codes;
}

std::string redeem(Shop& shop, const std::string& account, const std::string& code,
                   std::int64_t now = kNow) {
  const auto done = shop.orders->redeem(account, code, now);
  return done ? done->state : done.error().code;
}

}  // namespace

TEST_CASE("account: an order that can't be is refused", "[unit][orders]") {
  Shop shop;
  const auto refused = [&](auto change) {
    auto order = ask("r-1");
    change(order);
    const auto made = shop.orders->create(order, kNow);
    REQUIRE_FALSE(made);
    return made.error().message.substr(0, made.error().message.find(':'));
  };
  CHECK(refused([](auto& order) { order.amount = 0; }) == "amount");
  CHECK(refused([](auto& order) { order.amount = -kUnit; }) == "amount");
  CHECK(refused([](auto& order) { order.currency = "EUR"; }) == "currency");
  CHECK(refused([](auto& order) { order.provider = "no such%"; }) == "provider");
  CHECK(refused([](auto& order) { order.reference = std::string(201, 'r'); }) == "reference");
  CHECK(refused([](auto& order) { order.kind = "refund"; }) == "kind");
  CHECK(refused([](auto& order) { order.account = "none"; }) == "There is no account 'none'.");
}

TEST_CASE("account: one order for each reference of a provider", "[unit][orders]") {
  Shop shop;
  const auto first = create(shop, ask("r-1"));
  CHECK(first.state == "pending");
  CHECK(create(shop, ask("r-1")).id == first.id);
  CHECK(shop.orders->create(ask("r-1", 26 * kUnit), kNow).error().code == "reference_used");
  CHECK(create(shop, ask("r-2")).id != first.id);
}

TEST_CASE("account: an order is credited once, said a hundred times", "[unit][orders]") {
  Shop shop;
  const auto order = create(shop, ask("r-1"));
  CHECK(take(shop, paid("evt_1", order.id)) == "paid");
  CHECK(shop.purse.balance(kAccount) == 25 * kUnit);
  CHECK(look(shop, order.id).state == "applied");
  for (int i = 0; i < 100; ++i) {
    CHECK(take(shop, paid("evt_1", order.id)) == "duplicate");
    CHECK(take(shop, paid("evt_of_" + std::to_string(i), order.id)) == "already_paid");
  }
  CHECK(shop.purse.balance(kAccount) == 25 * kUnit);
  CHECK(look(shop, order.id).alarm.empty());
  // A second payment of one order is somebody's money, and somebody has to look at it.
  auto second = paid("evt_2", order.id);
  second.payment = "pi_2";
  CHECK(take(shop, second) == "already_paid");
  CHECK(look(shop, order.id).alarm == "A second payment came, pi_2; it is not credited.");
  CHECK(shop.purse.balance(kAccount) == 25 * kUnit);
}

TEST_CASE("account: what is not the order's payment credits nothing", "[unit][orders]") {
  Shop shop;
  const auto order = create(shop, ask("r-1"));
  auto event = paid("evt_1", order.id);
  SECTION("wrong amount") {
    event.amount = 25 * kUnit - 1;
    CHECK(take(shop, event) == "wrong_amount");
    CHECK_FALSE(look(shop, order.id).alarm.empty());
  }
  SECTION("more than was ordered") {
    event.amount = 26 * kUnit;
    CHECK(take(shop, event) == "wrong_amount");
  }
  SECTION("wrong currency") {
    event.currency = "JPY";
    CHECK(take(shop, event) == "wrong_currency");
    CHECK_FALSE(look(shop, order.id).alarm.empty());
  }
  SECTION("another provider's order") {
    auto manual = ask("r-1");
    manual.provider = "manual";
    event.order = create(shop, manual).id;
    CHECK(take(shop, event) == "other_provider");
    CHECK(look(shop, event.order).state == "pending");
  }
  SECTION("no order of ours") {
    event.order = "ord_none";
    CHECK(take(shop, event) == "unknown_order");
    event.order.clear();
    event.id = "evt_2";
    CHECK(take(shop, event) == "unknown_order");
  }
  SECTION("a cancelled one") {
    REQUIRE(shop.orders->cancel(order.id, kNow));
    CHECK(take(shop, event) == "not_open");
    CHECK(look(shop, order.id).state == "cancelled");
    CHECK_FALSE(look(shop, order.id).alarm.empty());
  }
  CHECK(shop.purse.done.empty());
  CHECK(shop.order_rows->find(order.id).value()->state != "applied");
}

TEST_CASE("account: what could not be booked is booked later, once", "[unit][orders]") {
  Shop shop;
  const auto order = create(shop, ask("r-1"));
  shop.purse.broken = true;
  CHECK(take(shop, paid("evt_1", order.id)) == "paid");
  CHECK(look(shop, order.id).state == "paid");
  CHECK_FALSE(shop.orders->apply_due(kNow + 100));
  shop.purse.broken = false;
  REQUIRE(shop.orders->apply_due(kNow + 2));  // young: whoever took it may still be at it
  CHECK(shop.purse.balance(kAccount) == 0);
  REQUIRE(shop.orders->apply_due(kNow + 100));
  REQUIRE(shop.orders->apply_due(kNow + 200));
  CHECK(shop.purse.balance(kAccount) == 25 * kUnit);
  CHECK(look(shop, order.id).state == "applied");
}

TEST_CASE("account: an operator's word pays an order, once", "[unit][orders]") {
  Shop shop;
  const auto order = create(shop, ask("r-1"));
  CHECK(shop.orders->mark_paid(order.id, "bank 7", kNow)->state == "applied");
  CHECK(shop.orders->mark_paid(order.id, "bank 7", kNow)->state == "applied");
  CHECK(shop.purse.balance(kAccount) == 25 * kUnit);
  CHECK(shop.orders->cancel(order.id, kNow).error().code == "not_open");
  CHECK(shop.orders->mark_paid("ord_none", "", kNow).error().status == 404);
}

TEST_CASE("account: an order that was closed stays closed", "[unit][orders]") {
  Shop shop;
  const auto of_kind = [&](const char* id, const std::string& order, PaymentEvent::Kind kind) {
    auto event = paid(id, order);
    event.kind = kind;
    return take(shop, event);
  };
  const auto cancelled = create(shop, ask("r-1"));
  REQUIRE(shop.orders->cancel(cancelled.id, kNow));
  CHECK(shop.orders->cancel(cancelled.id, kNow)->state == "cancelled");
  CHECK(shop.orders->mark_paid(cancelled.id, "bank", kNow).error().code == "not_open");
  CHECK(look(shop, cancelled.id).payment.empty());
  const auto failed = create(shop, ask("r-2"));
  CHECK(of_kind("evt_1", failed.id, PaymentEvent::Kind::kFailed) == "failed");
  CHECK(look(shop, failed.id).state == "failed");
  CHECK(shop.orders->mark_paid(failed.id, "bank", kNow).error().code == "not_open");
  CHECK(shop.purse.done.empty());
  // What failed later, another attempt at paying it, undoes nothing.
  const auto applied = create(shop, ask("r-3"));
  CHECK(take(shop, paid("evt_2", applied.id)) == "paid");
  CHECK(of_kind("evt_3", applied.id, PaymentEvent::Kind::kFailed) == "ignored");
  CHECK(look(shop, applied.id).state == "applied");
}

TEST_CASE("account: refunds go back in parts, at most what was paid", "[unit][orders]") {
  Shop shop;
  const auto order = create(shop, ask("r-1"));
  // Before the payment it is to be said again, and then it counts.
  auto early = refunded("evt_0", 5 * kUnit);
  early.order = order.id;
  CHECK(take(shop, early) == "error: order " + order.id + " is not paid yet");
  CHECK(take(shop, paid("evt_1", order.id)) == "paid");
  CHECK(take(shop, early) == "refunded");
  CHECK(shop.purse.balance(kAccount) == 20 * kUnit);
  // All that was refunded so far, not what was refunded now.
  CHECK(take(shop, refunded("evt_2", 15 * kUnit)) == "refunded");
  CHECK(take(shop, refunded("evt_2", 15 * kUnit)) == "duplicate");
  CHECK(take(shop, refunded("evt_3", 15 * kUnit)) == "already_refunded");
  CHECK(shop.purse.balance(kAccount) == 10 * kUnit);
  CHECK(look(shop, order.id).state == "applied");
  CHECK(take(shop, refunded("evt_4", 99 * kUnit)) == "refunded");
  CHECK(shop.purse.balance(kAccount) == 0);
  CHECK(look(shop, order.id).state == "refunded");
  CHECK(shop.purse.balance("house:cash") == 0);
  CHECK(take(shop, paid("evt_5", order.id)) == "already_paid");
}

TEST_CASE("account: a refund takes no account below zero", "[unit][orders]") {
  Shop shop;
  const auto order = create(shop, ask("r-1"));
  CHECK(take(shop, paid("evt_1", order.id)) == "paid");
  shop.purse.charge(kAccount, 10 * kUnit);
  CHECK(take(shop, refunded("evt_2", 25 * kUnit)) == "refunded");
  CHECK(shop.purse.balance(kAccount) == 0);
  CHECK(shop.purse.balance("house:cash") == 0);
  CHECK(shop.purse.balance("house:shortfall") == -10 * kUnit);
}

TEST_CASE("account: an operator's refund", "[unit][orders]") {
  Shop shop;
  const auto order = create(shop, ask("r-1"));
  CHECK(shop.orders->refund(order.id, kUnit, "b-1", kNow).error().code == "not_applied");
  CHECK(take(shop, paid("evt_1", order.id)) == "paid");
  CHECK(shop.orders->refund(order.id, 26 * kUnit, "b-1", kNow).error().code == "invalid_order");
  CHECK(shop.orders->refund(order.id, 0, "b-1", kNow).error().code == "invalid_order");
  const auto back = shop.orders->refund(order.id, 10 * kUnit, "b-1", kNow);
  REQUIRE(back);
  CHECK(back->kind == "refund");
  CHECK(shop.orders->refund(order.id, 10 * kUnit, "b-1", kNow)->id == back->id);
  CHECK(shop.orders->refund(order.id, 9 * kUnit, "b-1", kNow).error().code == "reference_used");
  CHECK(shop.purse.balance(kAccount) == 15 * kUnit);
  CHECK(shop.orders->refund(order.id, 16 * kUnit, "b-2", kNow).error().code == "invalid_order");
  CHECK(look(shop, order.id).state == "applied");
  // A refund paid nothing in.
  CHECK(shop.orders->refund(back->id, kUnit, "b-2", kNow).error().code == "not_applied");
  auto euros = refunded("evt_2", 15 * kUnit);
  euros.currency = "EUR";
  CHECK(take(shop, euros) == "wrong_currency");
  CHECK(shop.purse.balance(kAccount) == 15 * kUnit);
  REQUIRE(shop.orders->refund(order.id, 15 * kUnit, "b-3", kNow));
  CHECK(look(shop, order.id).state == "refunded");
  CHECK(shop.orders->refund(order.id, kUnit, "b-4", kNow).error().code == "not_applied");
  CHECK(shop.purse.balance(kAccount) == 0);
}

TEST_CASE("account: an order of a plan pays it and begins it", "[unit][orders]") {
  Shop shop;
  shop.offer(shop.plan("basic", 20 * kUnit, 3 * kUnit));
  auto wanted = ask("r-1", 0);
  wanted.kind = "plan";
  wanted.plan = "basic";
  const auto order = create(shop, wanted);
  CHECK(order.amount == 20 * kUnit);
  CHECK(shop.orders->mark_paid(order.id, "", kNow)->state == "applied");
  CHECK(shop.purse.balance(kAccount) == 3 * kUnit);
  const auto rows = shop.plan_rows->subscriptions("a", "", 10);
  REQUIRE(rows);
  REQUIRE(rows->size() == 1);
  CHECK(rows->front().state == "active");
  // Paid again while it runs: the money is the account's, and somebody is told.
  wanted.reference = "r-2";
  const auto again = shop.orders->mark_paid(create(shop, wanted).id, "", kNow);
  REQUIRE(again);
  CHECK(again->alarm.starts_with("The amount is credited, but the plan did not begin"));
  CHECK(shop.purse.balance(kAccount) == 23 * kUnit);
}

TEST_CASE("account: a correction moves what it says, or nothing", "[unit][orders]") {
  Shop shop;
  const FindHolder find = [](const std::string& id) -> Result<std::optional<Holder>> {
    if (id != "team") return std::optional<Holder>();
    return std::optional<Holder>(Holder{"payer", "USD", "Etc/Test", {}, 0});
  };
  const auto made = correct(shop.purse, find, {"", "team", 3 * kUnit, "", "an outage"});
  REQUIRE(made);
  CHECK(made->account == "payer");
  CHECK(made->currency == "USD");
  CHECK(shop.purse.balance("account:payer") == 3 * kUnit);
  CHECK(shop.purse.balance("house:corrections") == -3 * kUnit);
  REQUIRE(correct(shop.purse, find, {"", "team", -2 * kUnit, "USD", "charged twice"}));
  CHECK(shop.purse.balance("account:payer") == kUnit);
  const auto refused = correct(shop.purse, find, {"", "team", -kUnit - 1, "", "too much"});
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code == "insufficient_funds");
  const auto code = [&](Correction wanted) {
    const auto done = correct(shop.purse, find, std::move(wanted));
    return done ? "done" : done.error().code;
  };
  CHECK(code({"", "team", kUnit, "", std::string(201, 'x')}) == "invalid_correction");
  CHECK(code({"", "team", kUnit, "", ""}) == "invalid_correction");
  CHECK(code({"", "team", 0, "", "nothing"}) == "invalid_correction");
  CHECK(code({"", "team", kUnit, "EUR", "other money"}) == "invalid_correction");
  CHECK(code({"", "none", kUnit, "", "nobody"}) == "not_found");
  CHECK(shop.purse.balance("account:payer") == kUnit);
  CHECK(shop.purse.done.size() == 2);
  CHECK(shop.purse.done[1].id != shop.purse.done[0].id);
  CHECK(shop.purse.done[1].kind == "correction");
}

TEST_CASE("account: a code is worth what its batch says, once an account", "[unit][orders]") {
  Shop shop;
  const auto once = codes(shop, 2, 1);
  CHECK(redeem(shop, "a", "AAAAAA-AAAAAA-AAAAAA-AAAAAA") == "unknown_code");
  CHECK(redeem(shop, "b", once[0]) == "other_currency");
  CHECK(redeem(shop, "none", once[0]) == "not_found");
  CHECK(redeem(shop, "a", once[0]) == "applied");
  CHECK(redeem(shop, "a", once[0]) == "code_used");
  CHECK(shop.purse.balance(kAccount) == 5 * kUnit);
  CHECK(shop.purse.balance("house:grants") == -5 * kUnit);
  std::string typed = once[1];
  for (char& c : typed) c = c == '-' ? ' ' : static_cast<char>(std::tolower(c));
  CHECK(redeem(shop, "a", typed) == "applied");

  const auto twice = codes(shop, 1, 2);
  CHECK(redeem(shop, "a", twice[0]) == "applied");
  CHECK(redeem(shop, "a", twice[0]) == "code_used");
  const auto batches = shop.order_rows->batches("", 10);
  REQUIRE(batches);
  REQUIRE(batches->size() == 2);
  const bool first = (*batches)[0].count == 2;
  CHECK((*batches)[first ? 0 : 1].used == 2);
  CHECK((*batches)[first ? 1 : 0].used == 1);
}

TEST_CASE("account: a batch of codes that can't be is refused by its field", "[unit][orders]") {
  Shop shop;
  const auto refused = [&](auto change) {
    store::CodeBatchRow batch;
    batch.name = "spring", batch.amount = kUnit, batch.currency = "USD";
    batch.count = batch.uses = 1;
    change(batch);
    const auto made = shop.orders->create_codes(batch, kNow);
    REQUIRE_FALSE(made);
    return made.error().message.substr(0, made.error().message.find(':'));
  };
  CHECK(refused([](auto& batch) { batch.name.clear(); }) == "name");
  CHECK(refused([](auto& batch) { batch.name = std::string(201, 'n'); }) == "name");
  CHECK(refused([](auto& batch) { batch.amount = 0; }) == "amount");
  CHECK(refused([](auto& batch) { batch.currency = "dollars"; }) == "currency");
  CHECK(refused([](auto& batch) { batch.count = 0; }) == "count");
  CHECK(refused([](auto& batch) { batch.count = 10'001; }) == "count");
  CHECK(refused([](auto& batch) { batch.uses = 0; }) == "uses");
  CHECK(refused([](auto& batch) { batch.expires_unix_s = kNow; }) == "expires");
}

TEST_CASE("account: a code that expired or was withdrawn is worth nothing", "[unit][orders]") {
  Shop shop;
  const auto late = codes(shop, 1, 1, kNow + 10);
  CHECK(redeem(shop, "a", late[0], kNow + 10) == "code_expired");
  REQUIRE(shop.order_rows->disable_batch(shop.order_rows->batches("", 1)->front().id));
  CHECK(redeem(shop, "a", late[0], kNow + 9) == "code_disabled");
  CHECK(shop.purse.done.empty());
}

TEST_CASE("account: of many that redeem one code at once, one gets it", "[unit][orders]") {
  Shop shop;
  const auto code = codes(shop, 1, 1);
  std::atomic<int> got = 0;
  std::vector<std::thread> threads;
  for (int i = 0; i < 8; ++i) {
    threads.emplace_back([&] { got += redeem(shop, "a", code[0]) == "applied"; });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(got == 1);
  CHECK(shop.purse.balance(kAccount) == 5 * kUnit);
}

TEST_CASE("account: codes are kept as their MACs alone", "[unit][orders]") {
  Shop shop;
  const std::string code = codes(shop, 1, 1)[0];
  const auto select = shop.database->prepare("SELECT mac FROM codes");
  REQUIRE(select->step());
  CHECK(select->text(0) == to_hex(Pepper(Secret("pepper"))
                                      .mac("code:" + code.substr(0, 6) + code.substr(7, 6) +
                                           code.substr(14, 6) + code.substr(21, 6))));
}
