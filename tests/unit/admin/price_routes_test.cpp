#include "core/admin/price_routes.hpp"

#include <rapidjson/document.h>

#include "../scratch.hpp"
#include "core/store/store.hpp"

using namespace switchyard;

namespace {

constexpr char kList[] =
    R"({"name":"retail","book":"sale","prices":[{"model":"m","price":{"input":"1"}}], /* x */ })";

struct Api {
  Api() {
    auto opened = store::open_database(scratch.path());
    if (!opened) FAIL(opened.error().message);
    database = std::move(*opened);
    routes = admin::price_routes(*database);
  }

  admin::Answer ask(const std::string& method, const std::string& path,
                    const admin::Request& request = {}) {
    for (const auto& route : routes) {
      if (route.method == method && route.path == path) return route.answer(request);
    }
    FAIL("no route " << path);
    return {};
  }
  admin::Answer import(const std::string& body) {
    admin::Request request;
    request.body = body;
    request.caller.name = "ada";
    return ask("POST", "/admin/v1/prices", request);
  }
  admin::Answer history(std::map<std::string, std::string> query) {
    admin::Request request;
    request.params["name"] = "retail";
    request.query = std::move(query);
    return ask("GET", "/admin/v1/prices/{name}/history", request);
  }

  Scratch scratch;
  std::unique_ptr<store::Database> database;
  std::vector<admin::Route> routes;
};

rapidjson::Document json_of(const admin::Answer& answer) {
  rapidjson::Document document;
  document.Parse(answer.body.c_str());
  REQUIRE_FALSE(document.HasParseError());
  return document;
}

}  // namespace

TEST_CASE("admin: a price list is imported once, listed and shown as it was",
          "[unit][admin][prices]") {
  Api api;
  CHECK(api.ask("GET", "/admin/v1/prices").body == R"({"data":[],"next":null})");
  CHECK(api.import(kList).status == 201);
  CHECK(api.import(kList).status == 200);
  const auto listed = json_of(api.ask("GET", "/admin/v1/prices"));
  REQUIRE(listed["data"].Size() == 1);
  CHECK(listed["data"][0]["version"].GetInt() == 1);
  CHECK(listed["data"][0]["created_by"] == "ada");

  admin::Request request;
  request.params["name"] = "retail";
  const auto shown = json_of(api.ask("GET", "/admin/v1/prices/{name}", request));
  CHECK(shown["list"]["prices"][0]["price"]["input"] == "1");
  request.query["version"] = "2";
  CHECK(api.ask("GET", "/admin/v1/prices/{name}", request).status == 404);
  request.query["version"] = "two";
  CHECK(api.ask("GET", "/admin/v1/prices/{name}", request).status == 400);
}

TEST_CASE("admin: a price list that is wrong changes nothing and tells every fault",
          "[unit][admin][prices]") {
  Api api;
  const auto refused = api.import(
      R"({"name":"retail","book":"sale","prices":[{"model":"m","price":{"input":1}},{}]})");
  CHECK(refused.status == 422);
  const auto told = json_of(refused);
  CHECK(told["error"]["code"] == "invalid_price_list");
  CHECK(told["error"]["faults"][0]["pointer"] == "/prices/0/price/input");
  CHECK(told["error"]["faults"].Size() == 3);
  CHECK(json_of(api.ask("GET", "/admin/v1/prices"))["data"].Empty());

  REQUIRE(api.import(kList).status == 201);
  const auto other = api.import(R"({"name":"retail","book":"purchase","prices":[]})");
  CHECK(other.status == 409);
  CHECK(json_of(other)["error"]["code"] == "price_list_of_other_book");
}

TEST_CASE("admin: the versions of a price list come in pages", "[unit][admin][prices]") {
  Api api;
  for (const char* price : {"1", "2", "3"}) {
    REQUIRE(api.import(std::string(R"({"name":"retail","book":"sale","prices":[{"model":"m",)") +
                       R"("price":{"input":")" + price + R"("}}]})")
                .status == 201);
  }
  const auto first = json_of(api.history({{"limit", "2"}}));
  REQUIRE(first["data"].Size() == 2);
  CHECK(first["data"][0]["version"].GetInt() == 3);
  CHECK(first["next"] == "2");
  const auto second = json_of(api.history({{"limit", "2"}, {"after", "2"}}));
  REQUIRE(second["data"].Size() == 1);
  CHECK(second["data"][0]["version"].GetInt() == 1);
  CHECK(second["next"].IsNull());
  for (const char* limit : {"0", "1001", "x", ""})
    CHECK(api.history({{"limit", limit}}).status == 400);
  CHECK(api.history({{"after", "-1"}}).status == 400);
}
