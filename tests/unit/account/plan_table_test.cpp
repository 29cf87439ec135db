#include "core/account/plan_table.hpp"

#include "shop.hpp"

using namespace switchyard;
using namespace switchyard::account;

namespace {

store::PlanRow terms(Shop& shop, const std::string& id, const std::string& limits,
                     const std::string& models = "[]", const std::string& quotas = "[]") {
  store::PlanRow plan = shop.plan(id, 0);
  plan.limits = limits;
  plan.models = models;
  plan.quota_tokens = quotas;
  return plan;
}

void subscribe(Shop& shop, const store::PlanRow& plan) {
  const auto made = shop.plans->create(plan, 1);
  if (!made) FAIL(made.error().message);
  const auto begun = shop.plans->subscribe("a", plan.id, 1);
  if (!begun) FAIL(begun.error().message);
}

std::shared_ptr<const PlanTable> read(Shop& shop) {
  auto table = PlanTable::read(*shop.plan_rows);
  if (!table) FAIL(table.error().message);
  return std::move(*table);
}

}  // namespace

TEST_CASE("account: a plan's terms are checked when it is made", "[unit][plans]") {
  Shop shop;
  const auto refused = [&](const store::PlanRow& plan) {
    const auto made = shop.plans->create(plan, 1);
    REQUIRE_FALSE(made);
    return made.error().message;
  };
  CHECK(refused(terms(shop, "p", R"({"rps":1})")).starts_with("limits: rps"));
  CHECK(refused(terms(shop, "p", R"({"rpm":-1})")).starts_with("limits: rpm: expected"));
  CHECK(refused(terms(shop, "p", "{}", R"([""])")).starts_with("models: expected"));
  CHECK(refused(terms(shop, "p", "{}", R"(["a",1])")).starts_with("models: expected"));
  for (const char* quota : {R"([{"model":"a"}])", R"([{"model":"a","tokens":0}])", R"(["a"])",
                            R"([{"model":"a","tokens":1,"more":1}])"}) {
    CHECK(refused(terms(shop, "p", "{}", "[]", quota)).starts_with("quota_tokens: expected"));
  }
}

TEST_CASE("account: an account without a plan is bounded by none", "[unit][plans]") {
  Shop shop;
  CHECK(read(shop)->find("a") == nullptr);
}

TEST_CASE("account: of several plans the one that allows most holds", "[unit][plans]") {
  Shop shop;
  const auto before = shop.plan_rows->version();
  subscribe(shop, terms(shop, "one", R"({"rpm":60,"tpm":1000})", R"(["gpt-*"])",
                        R"([{"model":"gpt-5*","tokens":100},{"model":"*","tokens":900}])"));
  const auto after = shop.plan_rows->version();
  REQUIRE(before);
  REQUIRE(after);
  CHECK(*after > *before);
  {
    const auto table = read(shop);
    const PlanRights* const rights = table->find("a");
    REQUIRE(rights != nullptr);
    CHECK(rights->limits().rpm == 60);
    CHECK(rights->may_use("gpt-5"));
    CHECK_FALSE(rights->may_use("claude"));
    REQUIRE(rights->quotas_of("gpt-5-mini").size() == 1);
    CHECK(rights->quotas_of("gpt-5-mini")[0]->tokens == 100);
    CHECK(rights->quotas_of("gpt-4")[0]->tokens == 900);
    CHECK(rights->quotas_of("gpt-4")[0]->name != rights->quotas_of("gpt-5")[0]->name);
  }
  subscribe(shop, terms(shop, "two", R"({"rpm":10})", R"(["claude","gpt-4"])"));
  const auto table = read(shop);
  const PlanRights* const rights = table->find("a");
  REQUIRE(rights != nullptr);
  CHECK(rights->limits().rpm == 60);
  CHECK(rights->limits().tpm == 0);  // the second has none
  CHECK(rights->may_use("claude"));
  CHECK(rights->quotas_of("claude").empty());
  CHECK(rights->quotas_of("gpt-4").empty());  // the second does not bound it
  CHECK(rights->quotas_of("gpt-5").size() == 1);
}

TEST_CASE("account: a plan of the store that can't be read lets nothing through", "[unit][plans]") {
  Shop shop;
  subscribe(shop, terms(shop, "one", "{}"));
  REQUIRE(shop.database->run("UPDATE plans SET models = 'gpt'"));
  const auto table = read(shop);
  REQUIRE(table->find("a") != nullptr);
  CHECK_FALSE(table->find("a")->may_use("gpt"));
}
