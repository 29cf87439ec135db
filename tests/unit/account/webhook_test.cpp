#include "core/account/webhook.hpp"

#include "shop.hpp"

using namespace switchyard;
using namespace switchyard::account;

namespace {

constexpr std::int64_t kNow = 1'800'000'000;

std::string event(const std::string& id, const std::string& order, const std::string& amount,
                  const std::string& currency = "usd") {
  return R"({"id":")" + id + R"(","object":"event","type":"checkout.session.completed",)" +
         R"("data":{"object":{"object":"checkout.session","client_reference_id":")" + order +
         R"(","payment_status":"paid","payment_intent":"pi_1","amount_total":)" + amount +
         R"(,"currency":")" + currency + R"("}}})";
}

}  // namespace

TEST_CASE("account: a webhook's signature is HMAC-SHA256 over its time and body",
          "[unit][webhook]") {
  // By openssl: printf '1800000000.{"a":1}' | openssl dgst -sha256 -hmac whsec_test
  const Secret secret("whsec_test");
  const std::string good = sign_webhook("{\"a\":1}", secret, kNow);
  CHECK(good ==
        "t=1800000000,v1="
        "7de5e6bbc99c65ef0ddccacd4308ba03a5a12eb8859a0db070c5ca731c4fdc19");
  CHECK(check_signature(good, "{\"a\":1}", secret, kNow));
  CHECK_FALSE(check_signature(good, "{\"a\":2}", secret, kNow));
  CHECK_FALSE(check_signature(good, "{\"a\":1}", Secret("whsec_other"), kNow));
}

TEST_CASE("account: an empty secret lets nothing in", "[unit][webhook]") {
  const Secret empty;
  CHECK_FALSE(check_signature(sign_webhook("{}", empty, kNow), "{}", empty, kNow));
}

TEST_CASE("account: a signature is good for five minutes", "[unit][webhook]") {
  const Secret secret("whsec_test");
  const std::string header = sign_webhook("{}", secret, kNow);
  CHECK(check_signature(header, "{}", secret, kNow + 300));
  CHECK_FALSE(check_signature(header, "{}", secret, kNow + 301));
  CHECK(check_signature(header, "{}", secret, kNow - 300));
  CHECK_FALSE(check_signature(header, "{}", secret, kNow - 301));
}

TEST_CASE("account: of several signatures one has to fit", "[unit][webhook]") {
  const Secret secret("whsec_test");
  const std::string good = sign_webhook("{}", secret, kNow);
  const std::string digest = good.substr(good.find("v1="));
  const std::string time = "t=1800000000,";
  const std::string other = "v1=" + std::string(64, '0');
  const auto fits = [&](const std::string& header) {
    return check_signature(header, "{}", secret, kNow).has_value();
  };
  CHECK(fits(time + other + "," + digest));
  CHECK(fits(time + digest + ", " + other + ",v0=abc"));
  CHECK_FALSE(fits(time + other));
  CHECK_FALSE(fits(time + "v0=" + digest.substr(3)));
  CHECK_FALSE(fits(time));
  CHECK_FALSE(fits(digest));
  CHECK_FALSE(fits(""));
  CHECK_FALSE(fits("t=,v1="));
  CHECK_FALSE(fits("t=18e8," + digest));
  CHECK_FALSE(fits("t=1," + good));
  CHECK_FALSE(fits(time + digest.substr(0, 66)));
}

TEST_CASE("account: amounts in a currency's smallest unit", "[unit][webhook]") {
  CHECK(from_minor_units(1999, "USD") == 19'990'000'000);
  CHECK(from_minor_units(500, "JPY") == 500'000'000'000);
  CHECK(from_minor_units(1234, "KWD") == 1'234'000'000);
  CHECK(from_minor_units(0, "EUR") == 0);
  CHECK_FALSE(from_minor_units(-1, "USD"));
  CHECK_FALSE(from_minor_units(INT64_MAX / 1000, "USD"));
}

TEST_CASE("account: a Stripe event is read, or refused by what is missing", "[unit][webhook]") {
  const auto read = read_stripe_event(event("evt_1", "ord_1", "2500"));
  REQUIRE(read);
  CHECK(read->kind == PaymentEvent::Kind::kPaid);
  CHECK(read->order == "ord_1");
  CHECK(read->payment == "pi_1");
  CHECK(read->amount == 25'000'000'000);
  CHECK(read->currency == "USD");

  const auto intent = read_stripe_event(
      R"({"id":"e","type":"payment_intent.succeeded","data":{"object":{"id":"pi_9","amount":9,)"
      R"("amount_received":700,"currency":"eur","metadata":{"order":"ord_2"}}}})");
  REQUIRE(intent);
  CHECK(intent->payment == "pi_9");
  CHECK(intent->order == "ord_2");
  CHECK(intent->amount == 7'000'000'000);

  const auto refund = read_stripe_event(
      R"({"id":"e","type":"charge.refunded","data":{"object":{"id":"ch_1","payment_intent":"pi_9",)"
      R"("amount_refunded":100,"currency":"eur","metadata":{}}}})");
  REQUIRE(refund);
  CHECK(refund->kind == PaymentEvent::Kind::kRefunded);
  CHECK(refund->payment == "pi_9");
  CHECK(refund->order.empty());

  for (
      const char* const bad :
      {"", "[]", "{", R"({"id":"e"})", R"({"type":"x"})", R"({"id":1,"type":"x"})",
       R"({"id":"e","type":"charge.refunded"})", R"({"id":"e","type":"charge.refunded","data":[]})",
       R"({"id":"e","type":"payment_intent.succeeded","data":{"object":{"amount_received":1.5}}})",
       R"({"id":"e","type":"payment_intent.succeeded","data":{"object":{"amount_received":-1}}})"}) {
    CAPTURE(bad);
    CHECK_FALSE(read_stripe_event(bad));
  }
  CHECK(read_stripe_event(R"({"id":"e","type":"customer.created"})")->kind ==
        PaymentEvent::Kind::kOther);
}

TEST_CASE("account: a session that completes unpaid pays nothing", "[unit][webhook]") {
  std::string unpaid = event("evt_1", "ord_1", "2500");
  unpaid.replace(unpaid.find("\"paid\""), 6, "\"unpaid\"");
  CHECK(read_stripe_event(unpaid)->kind == PaymentEvent::Kind::kOther);
}

TEST_CASE("account: of a hundred webhooks one credits", "[unit][webhook]") {
  Shop shop;
  store::OrderRow wanted;
  wanted.account = "a";
  wanted.kind = "top_up";
  wanted.provider = "stripe";
  wanted.reference = "r";
  wanted.amount = 25 * kUnit;
  wanted.currency = "USD";
  const auto order = shop.orders->create(wanted, kNow);
  REQUIRE(order);
  const Secret secret("whsec_test");
  StripeWebhook webhook(*shop.orders);
  const std::string body = event("evt_1", order->id, "2500");
  const auto post = [&](const std::string& text, const Secret& key, std::int64_t signed_at) {
    return webhook.take(sign_webhook(text, key, signed_at), text, key.empty() ? key : secret, kNow);
  };

  CHECK(post(body, Secret("whsec_other"), kNow).status == 400);
  CHECK(post(body, secret, kNow - 301).status == 400);
  CHECK(post(body, Secret(), kNow).status == 400);
  CHECK(webhook.take("", body, secret, kNow).status == 400);
  CHECK(post("{}", secret, kNow).status == 400);
  CHECK(post(event("evt_2", order->id, "2400"), secret, kNow).body ==
        R"({"outcome":"wrong_amount"})");
  CHECK(post(event("evt_3", order->id, "2500", "jpy"), secret, kNow).body ==
        R"({"outcome":"wrong_currency"})");
  CHECK(shop.purse.done.empty());

  CHECK(post(body, secret, kNow).body == R"({"outcome":"paid"})");
  for (int i = 0; i < 100; ++i) {
    CHECK(post(body, secret, kNow).body == R"({"outcome":"duplicate"})");
  }
  CHECK(shop.purse.balance("account:a") == 25 * kUnit);
  CHECK(shop.purse.done.size() == 1);
}
