#include "core/admin/audit.hpp"

#include <rapidjson/document.h>
#include <spdlog/spdlog.h>

#include "scratch_database.hpp"

using namespace switchyard;
using namespace switchyard::admin;

namespace {

struct Setting : ScratchDatabase {
  int made = 0;
  std::function<Answer(const Request&)> make = [this](const Request&) {
    ++made;
    return Answer{201, R"({"id":"acc_1","secret":"sy-shown-once"})"};
  };
  store::AuditLog log{*database};
  std::vector<Route> routes = audited(
      {{"POST", "/admin/v1/accounts", Access::kToken, [this](const Request& r) { return make(r); }},
       {"GET", "/admin/v1/accounts", Access::kToken, [this](const Request& r) { return make(r); }},
       {"PATCH", "/admin/v1/accounts/{id}", Access::kToken,
        [this](const Request& r) { return make(r); }}},
      log, pepper);

  Request request(const std::string& body = "{}") {
    Request asked;
    asked.method = "POST";
    asked.body = body;
    asked.peer = "203.0.113.5";
    asked.caller = {"ops", Role::kOperator, {}, "tok_1"};
    return asked;
  }
  std::vector<store::AuditRow> rows() { return *log.list({}); }
};

}  // namespace

TEST_CASE_METHOD(Setting, "audit: a change is there with who, from where, what and its result",
                 "[unit][admin]") {
  routes[0].answer(request(R"({"name":"team","limit":"5"})"));
  REQUIRE(rows().size() == 1);
  const store::AuditRow row = rows().front();
  CHECK(row.begin.caller == "ops");
  CHECK(row.begin.caller_id == "tok_1");
  CHECK(row.begin.role == "operator");
  CHECK(row.begin.peer == "203.0.113.5");
  CHECK(row.begin.method == "POST");
  CHECK(row.begin.route == "/admin/v1/accounts");
  CHECK(row.begin.body == R"({"name":"team","limit":"5"})");
  CHECK(row.begin.body_mac.size() == 64);
  CHECK(row.status == 201);
  CHECK(row.object == "acc_1");
  CHECK(audit_json(row).find("shown-once") == std::string::npos);
}

TEST_CASE_METHOD(Setting, "audit: reading leaves no trace", "[unit][admin]") {
  routes[1].answer(request());
  CHECK(rows().empty());
}

TEST_CASE_METHOD(Setting, "audit: what was refused, and what broke, is there too",
                 "[unit][admin]") {
  make = [](const Request&) {
    return error_answer(409, "taken", "invalid_request_error", "taken");
  };
  Request named = request();
  named.params["id"] = "acc_9";
  routes[2].answer(named);
  make = [](const Request&) -> Answer { throw std::runtime_error("broke"); };
  CHECK_THROWS(routes[0].answer(request()));
  REQUIRE(rows().size() == 2);
  CHECK(rows()[0].status == 500);
  CHECK(rows()[1].status == 409);
  CHECK(rows()[1].code == "taken");
  CHECK(rows()[1].begin.object == "acc_9");
}

TEST_CASE_METHOD(Setting, "audit: what can't be written down is not done", "[unit][admin]") {
  spdlog::set_level(spdlog::level::off);
  REQUIRE(database->run("DROP TABLE audit_ends; DROP TABLE audit"));
  const Answer answer = routes[0].answer(request());
  CHECK(answer.status == 503);
  CHECK(answer.body.find("audit_unavailable") != std::string::npos);
  CHECK(made == 0);
  spdlog::set_level(spdlog::level::info);
}

TEST_CASE_METHOD(Setting, "audit: a change that never ended says so", "[unit][admin]") {
  REQUIRE(log.begin({}));
  REQUIRE(rows().size() == 1);
  CHECK_FALSE(rows()[0].status);
  CHECK(audit_json(rows()[0]).find("\"status\":null") != std::string::npos);
}

TEST_CASE_METHOD(Setting, "audit: no row changes and none goes", "[unit][admin]") {
  routes[0].answer(request());
  CHECK_FALSE(database->run("UPDATE audit SET caller = 'nobody'"));
  CHECK_FALSE(database->run("DELETE FROM audit"));
  CHECK_FALSE(database->run("UPDATE audit_ends SET status = 200"));
  CHECK_FALSE(database->run("DELETE FROM audit_ends"));
  CHECK(rows().front().begin.caller == "ops");
}

TEST_CASE("audit: a body is kept without what may be secret", "[unit][admin]") {
  const std::string body = redacted_body(
      R"({"name":"a","api_key":"CANARY","nested":{"Password":"CANARY","x":["Bearer CANARY","b"]},
          "token":{"deep":"CANARY"},"key_id":"key_1","note":"my sy-CANARY","n":5})");
  CHECK(body.find("CANARY") == std::string::npos);
  CHECK(body.find(R"("name":"a")") != std::string::npos);
  CHECK(body.find(R"("key_id":"key_1")") != std::string::npos);
  CHECK(body.find(R"("n":5)") != std::string::npos);
  CHECK(redacted_body("api_key=CANARY").empty());
  CHECK(redacted_body("").empty());
  CHECK(redacted_body(R"({"a":")" + std::string(9000, 'a') + "\"}").empty());
  std::string deep(1000, '[');
  deep += R"("CANARY")" + std::string(1000, ']');
  CHECK(redacted_body(deep).find("CANARY") == std::string::npos);
}

TEST_CASE_METHOD(Setting, "audit: of a private body only the digest is kept", "[unit][admin]") {
  Route secret = routes[0];
  secret.private_body = true;
  secret = audited({secret}, log, pepper).front();
  secret.answer(request(R"({"name":"CANARY"})"));
  for (const store::AuditRow& row : rows()) {
    if (row.begin.body.empty()) CHECK(row.begin.body_mac.size() == 64);
  }
  CHECK(rows().back().begin.body.empty());
}

TEST_CASE_METHOD(Setting, "audit: pages go from the newest to the oldest", "[unit][admin]") {
  for (int i = 0; i < 5; ++i) routes[0].answer(request());
  const Route list = audit_routes(log).front();
  Request asked = request();
  asked.query["limit"] = "2";
  std::vector<std::uint64_t> seen;
  while (true) {
    rapidjson::Document page;
    page.Parse(list.answer(asked).body);
    REQUIRE(page.IsObject());
    for (const auto& row : page["data"].GetArray()) seen.push_back(row["seq"].GetUint64());
    if (page["next"].IsNull()) break;
    asked.query["after"] = page["next"].GetString();
  }
  CHECK(seen == std::vector<std::uint64_t>{5, 4, 3, 2, 1});
  for (const char* after : {"x", "-1", "0", "9999999999999999999"}) {
    asked.query["after"] = after;
    CHECK(list.answer(asked).status == 400);
  }
}
