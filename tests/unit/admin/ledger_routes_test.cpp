#include "core/admin/ledger_routes.hpp"

#include <rapidjson/document.h>

#include "../scratch.hpp"
#include "../store/booking.hpp"
#include "core/store/store.hpp"

using namespace switchyard;
using admin::Answer;
using admin::Request;

namespace {

struct Fixture {
  Fixture() {
    auto opened = store::open_database(scratch.path());
    if (!opened) FAIL(opened.error().message);
    database = std::move(*opened);
    books = std::make_unique<store::Books>(*database);
    for (const char* account : {"a", "b", "c"}) {
      const std::string name = std::string("account:") + account;
      REQUIRE(*books->post({std::string("t_") + account,
                            "topup",
                            "n",
                            "",
                            1'795'219'200'000'000'000u,
                            {{"house:cash", "USD", -5}, {name, "USD", 5}}}));
    }
    store::Receipt receipt;
    receipt.request_id = "req_1";
    receipt.account = "a";
    receipt.currency = "USD";
    book(*books, receipt, "r1");
    routes = admin::ledger_routes(*books, scratch.path(), [](const std::string& account) {
      std::vector<std::string> family{account};
      if (account == "a") family.push_back("a1");
      return Result<std::vector<std::string>>(std::move(family));
    });
  }
  Answer get(const std::string& what, std::map<std::string, std::string> query = {},
             const std::string& own_account = "") {
    for (const admin::Route& route : routes) {
      if (route.path != "/admin/v1/ledger/" + what) continue;
      Request request;
      request.query = std::move(query);
      request.caller.account = own_account;
      return route.answer(request);
    }
    FAIL("no route " << what);
    return {};
  }
  rapidjson::Document json(const std::string& what, std::map<std::string, std::string> query = {},
                           const std::string& own_account = "") {
    const Answer answer = get(what, std::move(query), own_account);
    REQUIRE(answer.status == 200);
    rapidjson::Document document;
    document.Parse(answer.body);
    REQUIRE(document.IsObject());
    return document;
  }
  Scratch scratch;
  std::unique_ptr<store::Database> database;
  std::unique_ptr<store::Books> books;
  std::vector<admin::Route> routes;
};

}  // namespace

TEST_CASE("admin ledger: lists lead on page by page", "[unit][admin]") {
  Fixture f;
  for (const char* list : {"balances", "entries"}) {
    CAPTURE(list);
    std::string seen, after;
    for (int page = 0; page < 10; ++page) {
      std::map<std::string, std::string> query{{"limit", "2"}};
      if (!after.empty()) query["after"] = after;
      const auto document = f.json(list, query);
      for (const auto& row : document["data"].GetArray()) {
        seen += std::string(row["account"].GetString()) + " ";
      }
      if (document["next"].IsNull()) break;
      after = document["next"].GetString();
    }
    CHECK(seen == (std::string(list) == "balances"
                       ? "account:a account:b account:c house:cash "
                       : "house:cash account:a house:cash account:b house:cash account:c "));
  }
}

TEST_CASE("admin ledger: rows are amounts as texts with their currency", "[unit][admin]") {
  Fixture f;
  const auto balances = f.json("balances", {{"account", "a"}});
  REQUIRE(balances["data"].Size() == 1);
  CHECK(balances["data"][0]["balance"] == "0.000000005");
  CHECK(balances["data"][0]["currency"] == "USD");
  CHECK(f.json("balances", {{"name", "house:cash"}})["data"][0]["balance"] == "-0.000000015");
  const auto entries =
      f.json("entries",
             {{"account", "b"}, {"from", "2026-11-21T00:00:00Z"}, {"to", "2026-11-22T00:00:00Z"}});
  REQUIRE(entries["data"].Size() == 1);
  CHECK(entries["data"][0]["transaction"] == "t_b");
  CHECK(entries["data"][0]["time"] == "2026-11-21T00:00:00Z");
  CHECK(f.json("entries", {{"to", "2026-11-21T00:00:00Z"}})["data"].Size() == 0);
  const auto receipts = f.json("receipts", {{"account", "a"}});
  REQUIRE(receipts["data"].Size() == 1);
  CHECK(receipts["data"][0]["request_id"] == "req_1");
  CHECK(receipts["data"][0]["charge"].IsNull());
  CHECK(f.json("verify")["proven"].GetBool());
}

TEST_CASE("admin ledger: what is asked wrongly is a 400 with a stable code", "[unit][admin]") {
  Fixture f;
  for (const auto& [name, value] : std::map<std::string, std::string>{
           {"limit", "0"}, {"after", "x"}, {"from", "yesterday"}, {"to", "2026"}}) {
    CAPTURE(name);
    const Answer answer = f.get("entries", {{name, value}});
    CHECK(answer.status == 400);
    CHECK(answer.body.find("\"bad_" + name + "\"") != std::string::npos);
  }
  CHECK(f.get("entries", {{"limit", "1001"}}).status == 400);
  CHECK(f.get("balances", {{"after", "x"}}).status == 400);
  CHECK(f.get("entries", {{"account", "a"}, {"name", "house:cash"}}).status == 400);
}

TEST_CASE("admin ledger: a caller of one account sees that one and those below it",
          "[unit][admin]") {
  Fixture f;
  CHECK(f.json("balances", {}, "a")["data"].Size() == 1);
  CHECK(f.json("entries", {}, "a")["data"].Size() == 1);
  CHECK(f.json("receipts", {}, "b")["data"].Size() == 0);
  for (const char* list : {"balances", "entries", "receipts"}) {
    CHECK(f.get(list, {{"account", "b"}}, "a").status == 403);
  }
  for (const char* list : {"balances", "entries"}) {
    CHECK(f.get(list, {{"account", "a1"}}, "a").status == 200);
    CHECK(f.get(list, {{"account", "a1"}, {"name", "account:b"}}, "a").status == 403);
  }
  CHECK(f.get("balances", {{"name", "account:b"}}, "a").status == 403);
  CHECK(f.get("entries", {{"name", "house:cash"}}, "a").status == 403);
  CHECK(f.get("verify", {}, "a").status == 403);
}
