#include "core/admin/records_routes.hpp"

#include <rapidjson/document.h>

#include "../scratch.hpp"
#include "core/store/records.hpp"

using namespace switchyard;
using namespace switchyard::admin;

namespace {

const std::uint64_t kMidnight = *store::day_begin_ns("2026-11-21");

store::RecordRow row(const std::string& id, const std::string& account, std::uint64_t start_ns) {
  store::RecordRow made;
  made.id = id;
  made.account = account;
  made.start_ns = start_ns;
  made.final_status = "ok";
  made.attempts = 1;
  return made;
}

Result<std::optional<store::BodyRow>> kept(const std::string& record_id, const std::string&) {
  if (record_id != "priced") return std::optional<store::BodyRow>();
  return std::optional(store::BodyRow{"priced", "k", "asked", "\xff\xfe", 0, true});
}

Result<std::vector<std::string>> family(const std::string& account) {
  if (account == "parent") return std::vector<std::string>{"acme", "parent"};
  return std::vector<std::string>{account};
}

// The routes over three records of two accounts.
struct World {
  Scratch scratch;
  std::vector<Route> routes = records_routes(scratch.path(), kept, family);

  World() {
    store::Records records(scratch.path(), {});
    store::RecordRow priced = row("priced", "acme", kMidnight + 1'500'000'000);
    priced.charge_nano = -12'500'000'001;
    priced.charge_currency = "USD";
    priced.cost_nano = 0;
    priced.cost_currency = "CNY";
    priced.duration_us = 1'234'567;
    priced.quantities = R"({"images":2})";
    priced.plan = R"({"alias":"fast"})";
    REQUIRE(records.write(std::vector{row("theirs", "other", kMidnight), priced}).result);
    REQUIRE(records.sum_up());
  }

  rapidjson::Document ask(const std::string& path, Request request, int status = 200) const {
    for (const Route& route : routes) {
      if (route.path != path) continue;
      CHECK(route.role == (path.ends_with("/bodies") ? Role::kOwner : Role::kViewer));
      const Answer answer = route.answer(request);
      CAPTURE(answer.body);
      REQUIRE(answer.status == status);
      rapidjson::Document document;
      document.Parse(answer.body.c_str());
      REQUIRE_FALSE(document.HasParseError());
      return document;
    }
    FAIL(path);
    return {};
  }
};

Request of_account(const std::string& account) {
  Request request;
  request.caller.account = account;
  return request;
}

}  // namespace

TEST_CASE("admin: a record has exact amounts, and null for one that is not known",
          "[unit][admin][records]") {
  const World world;
  Request request;
  request.params["id"] = "priced";
  const auto record = world.ask("/admin/v1/records/{id}", request);
  CHECK(record["charge"]["amount"].GetString() == std::string("-12.500000001"));
  CHECK(record["charge"]["currency"].GetString() == std::string("USD"));
  CHECK(record["cost"]["amount"].GetString() == std::string("0"));
  CHECK(record["time"].GetString() == std::string("2026-11-21T00:00:01.500000Z"));
  CHECK(record["latency_ms"].GetDouble() == 1234.567);
  CHECK_FALSE(record.HasMember("ttft_ms"));
  CHECK(record["usage"]["further"]["images"].GetInt() == 2);
  CHECK(record["plan"]["alias"].GetString() == std::string("fast"));
  request.params["id"] = "theirs";
  CHECK(world.ask("/admin/v1/records/{id}", request)["cost"].IsNull());
}

TEST_CASE("admin: a token of one account sees nothing of another", "[unit][admin][records]") {
  const World world;
  const auto page = world.ask("/admin/v1/records", of_account("acme"));
  REQUIRE(page["data"].Size() == 1);
  CHECK(page["data"][0]["id"].GetString() == std::string("priced"));
  CHECK_FALSE(page["data"][0].HasMember("plan"));
  Request theirs = of_account("acme");
  theirs.params["id"] = "theirs";
  world.ask("/admin/v1/records/{id}", theirs, 404);
  for (const char* path : {"/admin/v1/records", "/admin/v1/usage"}) {
    for (const char* accounts : {"other", "acme,other"}) {
      Request other = of_account("acme");
      other.query["account"] = accounts;
      const auto refusal = world.ask(path, other, 400);
      CHECK(refusal["error"]["message"].GetString() ==
            std::string("account: this token sees acme and the accounts below it."));
    }
  }
  Request usage = of_account("acme");
  usage.query = {{"from", "2026-11-21"}, {"to", "2026-11-22"}, {"by", "account"}};
  const auto sums = world.ask("/admin/v1/usage", usage);
  REQUIRE(sums["data"].Size() == 1);
  CHECK(sums["data"][0]["account"].GetString() == std::string("acme"));
  CHECK(sums["data"][0]["requests"].GetInt() == 1);
  CHECK(sums["data"][0]["charge"][0]["amount"].GetString() == std::string("-12.500000001"));
}

TEST_CASE("admin: a token of a parent sees what is below it, and nothing else",
          "[unit][admin][records]") {
  const World world;
  CHECK(world.ask("/admin/v1/records", of_account("parent"))["data"].Size() == 1);
  Request below = of_account("parent");
  below.params["id"] = "priced";
  world.ask("/admin/v1/records/{id}", below);
  below.params["id"] = "theirs";
  world.ask("/admin/v1/records/{id}", below, 404);
  Request usage = of_account("parent");
  usage.query = {{"from", "2026-11-21"}, {"to", "2026-11-22"}, {"account", "acme"}};
  const auto sums = world.ask("/admin/v1/usage", usage);
  REQUIRE(sums["data"].Size() == 1);
  CHECK(sums["data"][0]["requests"].GetInt() == 1);
  usage.query["account"] = "acme,other";
  world.ask("/admin/v1/usage", usage, 400);
}

TEST_CASE("admin: what a request said is shown where it was kept", "[unit][admin][records]") {
  const World world;
  Request request;
  request.params["id"] = "priced";
  const auto bodies = world.ask("/admin/v1/records/{id}/bodies", request);
  CHECK(bodies["request"]["text"] == "asked");
  CHECK(bodies["answer"]["base64"] == "//4=");
  CHECK(bodies["cut"].GetBool());

  request.params["id"] = "theirs";
  CHECK(world.ask("/admin/v1/records/{id}/bodies", request, 404)["error"]["code"] ==
        "bodies_not_kept");
  request.params["id"] = "priced";
  request.caller.account = "other";
  CHECK(world.ask("/admin/v1/records/{id}/bodies", request, 404)["error"]["code"] ==
        "record_not_found");
}
