#include "core/surface/self_service.hpp"

#include <rapidjson/document.h>

using namespace switchyard;
using namespace switchyard::surface;

namespace {

constexpr std::uint64_t kToday = 20'778;  // 2026-11-21
constexpr Nano kUnit = 1'000'000'000;

rapidjson::Document said(SelfServiceKind kind, const SelfServiceFacts& facts) {
  rapidjson::Document document;
  document.Parse(self_service_json(kind, facts));
  REQUIRE_FALSE(document.HasParseError());
  return document;
}

SelfServiceFacts prepaid() {
  SelfServiceFacts facts;
  facts.key_id = "key_1";
  facts.days = {kToday - 1, kToday};
  facts.means = {"acc_1",      "USD", true, 7 * kUnit + 500'000'000, 0, 7 * kUnit + 500'000'000,
                 2 * kUnit + 1};
  facts.usage = {{kToday - 1, "a", "USD", 2, 10'000'000},
                 {kToday - 1, "b", "USD", 1, 5},
                 {kToday, "a", "USD", 1, kUnit}};
  return facts;
}

}  // namespace

TEST_CASE("self service: its paths, and no other", "[unit][surface]") {
  CHECK(self_service_kind("/v1/balance") == SelfServiceKind::kBalance);
  CHECK(self_service_kind("/v1/usage") == SelfServiceKind::kUsage);
  for (const char* prefix : {"", "/v1"}) {
    const std::string at = std::string(prefix) + "/dashboard/billing/";
    CHECK(self_service_kind(at + "subscription") == SelfServiceKind::kSubscription);
    CHECK(self_service_kind(at + "usage") == SelfServiceKind::kDashboardUsage);
    CHECK(self_service_kind(at + "credit_grants") == SelfServiceKind::kCreditGrants);
  }
  for (const char* path : {"", "/balance", "/v1/balance/", "/v1/dashboard/billing",
                           "/v1/v1/dashboard/billing/usage", "/V1/balance"}) {
    CAPTURE(path);
    CHECK_FALSE(self_service_kind(path));
  }
}

TEST_CASE("self service: days that are none are refused by name", "[unit][surface]") {
  for (const char* query : {"start_date=x", "end_date=2026-02-30", "start_date=2026-1-1",
                            "start_date=1969-12-31", "start_date=2026-11-22"}) {
    CAPTURE(query);
    const auto days = read_days(query, kToday);
    REQUIRE_FALSE(days);
    CHECK(days.error().status == 400);
    CHECK(std::string(query).starts_with(days.error().param));
  }
}

TEST_CASE("self service: left out, the days are the month's; years become one", "[unit][surface]") {
  const auto month = read_days("", kToday);
  REQUIRE(month);
  CHECK(month->first == kToday - 20);
  CHECK(month->last == kToday);
  const auto asked = read_days("x=1&start_date=2026-11-20&end_date=2026-11-30", kToday);
  REQUIRE(asked);
  CHECK(asked->first == kToday - 1);
  CHECK(asked->last == kToday + 9);
  const auto years = read_days("start_date=2023-01-01&end_date=2026-11-22", kToday);
  REQUIRE(years);
  CHECK(years->last == kToday + 1);
  CHECK(years->last - years->first == 365);
}

TEST_CASE("self service: what is left is limit less usage, exactly", "[unit][surface]") {
  const SelfServiceFacts facts = prepaid();
  const std::string subscription = self_service_json(SelfServiceKind::kSubscription, facts);
  // 7.5 and 2.000000001
  CHECK(subscription.find("\"hard_limit_usd\":9.500000001,") != std::string::npos);
  const std::string usage = self_service_json(SelfServiceKind::kDashboardUsage, facts);
  CHECK(usage.find("\"total_usage\":200.0000001,") != std::string::npos);
  const auto grants = said(SelfServiceKind::kCreditGrants, facts);
  CHECK(grants["total_available"].GetDouble() == 7.5);
  CHECK(grants["total_used"].GetDouble() == 2.000000001);
  CHECK(grants["total_granted"].GetDouble() == 9.500000001);
}

TEST_CASE("self service: days are told with their models", "[unit][surface]") {
  const auto dashboard = said(SelfServiceKind::kDashboardUsage, prepaid());
  const auto& days = dashboard["daily_costs"];
  REQUIRE(days.Size() == 2);
  CHECK(days[0]["timestamp"].GetUint64() == (kToday - 1) * 86'400);
  REQUIRE(days[0]["line_items"].Size() == 2);
  CHECK(std::string(days[0]["line_items"][0]["name"].GetString()) == "a");
  CHECK(days[0]["line_items"][0]["cost"].GetDouble() == 1);
  CHECK(days[0]["line_items"][1]["cost"].GetDouble() == 0.0000005);
  CHECK(days[1]["line_items"][0]["cost"].GetDouble() == 100);

  const auto own = said(SelfServiceKind::kUsage, prepaid());
  CHECK(std::string(own["key"].GetString()) == "key_1");
  REQUIRE(own["data"].Size() == 3);
  CHECK(std::string(own["data"][0]["date"].GetString()) == "2026-11-20");
  CHECK(std::string(own["data"][0]["charge"].GetString()) == "0.01");
}

TEST_CASE("self service: who is not limited has no end of money", "[unit][surface]") {
  SelfServiceFacts facts = prepaid();
  facts.means.limited = false;
  facts.means.balance = facts.means.available = -3 * kUnit;
  CHECK(said(SelfServiceKind::kCreditGrants, facts)["total_available"].GetDouble() == 1e8);
  const auto balance = said(SelfServiceKind::kBalance, facts);
  CHECK(balance["available"].IsNull());
  CHECK(std::string(balance["balance"].GetString()) == "-3");
}

TEST_CASE("self service: what is owed beyond the limit is nothing available", "[unit][surface]") {
  SelfServiceFacts facts = prepaid();
  facts.means.available = -1;
  CHECK(said(SelfServiceKind::kCreditGrants, facts)["total_available"].GetDouble() == 0);
  CHECK(said(SelfServiceKind::kSubscription, facts)["hard_limit_usd"].GetDouble() == 2.000000001);
}
