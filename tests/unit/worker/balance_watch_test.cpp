#include "core/worker/balance_watch.hpp"

using namespace switchyard;
using config::BalanceSource;

namespace {

std::string shown(const BalanceSource& source, std::string_view json) {
  const auto read = read_balances(source, json);
  if (!read) return "error: " + read.error().message;
  std::string text;
  for (const ToldBalance& each : *read) {
    text += std::to_string(each.amount) + ' ' + each.currency + ';';
  }
  return text;
}

}  // namespace

TEST_CASE("balances: what providers answer is read exactly, as text or as number",
          "[unit][worker]") {
  const BalanceSource listed{"/user/balance", "balance_infos", "total_balance", "", "currency", ""};
  CHECK(shown(listed, R"({"is_available":true,"balance_infos":[
      {"currency":"CNY","total_balance":"110.00","granted_balance":"10.00"},
      {"currency":"USD","total_balance":"-0.5"}]})") == "110000000000 CNY;-500000000 USD;");
  const BalanceSource nested{"/users/me/balance", "", "data.available_balance", "", "", "USD"};
  CHECK(shown(nested, R"({"code":0,"data":{"available_balance":49.58894},"status":true})") ==
        "49588940000 USD;");
  // Beyond a billionth is no money.
  const BalanceSource used{"/credits", "", "data.total_credits", "data.total_usage", "", "USD"};
  CHECK(shown(used, R"({"data":{"total_credits":100.5,"total_usage":25.7500000009}})") ==
        "74750000000 USD;");
  CHECK(shown({"/b", "", "a.1", "", "", ""}, R"({"a":[1,2]})") == "2000000000 ;");
}

TEST_CASE("balances: an answer that tells none says what is missing", "[unit][worker]") {
  const BalanceSource nested{"/b", "", "data.left", "", "", "USD"};
  CHECK(shown(nested, "<html>") == "error: its answer is no JSON");
  CHECK(shown(nested, "{}") == "error: no amount at \"data.left\"");
  CHECK(shown(nested, R"({"code":401,"data":null})") == "error: no amount at \"data.left\"");
  CHECK(shown(nested, R"({"data":{"left":true}})") == "error: no amount at \"data.left\"");
  CHECK(shown(nested, R"({"data":{"left":1e3}})") ==
        "error: no amount at \"data.left\" but \"1e3\"");
  CHECK(shown(nested, R"({"data":{"left":"much"}})") ==
        "error: no amount at \"data.left\" but \"much\"");
  const BalanceSource listed{"/b", "list", "left", "", "", ""};
  CHECK(shown(listed, R"({"list":{}})") == "error: no list at \"list\"");
  CHECK(shown(listed, R"({"list":[]})") == "error: nothing in the list at \"list\"");
  CHECK(shown(listed, R"({"list":[{"left":"1"},{}]})") == "error: no amount at \"left\"");
}

TEST_CASE("balances: low is what has nothing that reaches its floor", "[unit][worker]") {
  UpstreamBalance balance{"p", "default", 5, {}, 0, ""};
  CHECK_FALSE(balance.is_low());  // nobody told yet
  balance.balances = {{"CNY", 4}, {"USD", 0}};
  CHECK(balance.is_low());
  balance.balances.push_back({"EUR", 5});
  CHECK_FALSE(balance.is_low());
  balance.floor.reset();
  balance.balances = {{"CNY", -1}};
  CHECK_FALSE(balance.is_low());
}
