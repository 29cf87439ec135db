#include <httplib.h>
#include <spdlog/spdlog.h>

#include "core/admin/server.hpp"

using namespace switchyard;
using namespace switchyard::admin;

namespace {

// Tokens are "ROLE" or "ROLE@ACCOUNT".
Result<std::optional<Caller>> by_its_word(std::string_view token) {
  if (token == "broken") return Error{"secret detail"};
  const std::size_t at = token.find('@');
  const auto role = parse_role(token.substr(0, at));
  if (!role) return std::optional<Caller>();
  const std::string account(at == std::string_view::npos ? "" : token.substr(at + 1));
  return std::optional(Caller{std::string(token), *role, account, "tok_1"});
}

struct Setting {
  std::vector<Request> seen;
  std::unique_ptr<Server> server = start();
  httplib::Client client{"127.0.0.1", server->port()};

  std::unique_ptr<Server> start() {
    const auto note = [this](const Request& request) {
      seen.push_back(request);
      return Answer{200, "{}"};
    };
    Route forgotten{"GET", "/admin/v1/forgotten", Access::kToken, note};
    Route own{"GET", "/admin/v1/own/{id}", Access::kToken, note, Role::kViewer, true};
    Route list{"GET", "/admin/v1/list", Access::kToken, note, Role::kViewer};
    Route put{"PUT", "/admin/v1/list", Access::kToken, note, Role::kOperator};
    put.body_bytes_max = 100;
    return std::move(*Server::start({"127.0.0.1", 0, std::nullopt},
                                    Secret("the-owner-of-the-gateway"), {forgotten, own, list, put},
                                    by_its_word));
  }
  httplib::Result get(const char* path, const char* token) {
    return client.Get(path, {{"Authorization", std::string("Bearer ") + token}});
  }
  int status(const char* path, const char* token) {
    const auto answer = get(path, token);
    REQUIRE(answer);
    return answer->status;
  }
  Setting() { spdlog::set_level(spdlog::level::off); }
  ~Setting() { spdlog::set_level(spdlog::level::info); }
};

}  // namespace

TEST_CASE_METHOD(Setting, "admin: a route that names no role is the owner's", "[unit][admin]") {
  CHECK(status("/admin/v1/forgotten", "viewer") == 403);
  CHECK(status("/admin/v1/forgotten", "operator") == 403);
  CHECK(status("/admin/v1/forgotten", "nobody") == 401);
  CHECK(seen.empty());
  CHECK(status("/admin/v1/forgotten", "owner") == 200);
  CHECK(status("/admin/v1/forgotten", "the-owner-of-the-gateway") == 200);
  REQUIRE(seen.size() == 2);
  CHECK(seen[0].caller.id == "tok_1");
  CHECK(seen[1].caller.id == "owner");
  CHECK(seen[1].peer == "127.0.0.1");
}

TEST_CASE_METHOD(Setting, "admin: a scoped caller is let in only where the route says so",
                 "[unit][admin]") {
  CHECK(status("/admin/v1/list", "owner@acc_1") == 403);
  CHECK(status("/admin/v1/forgotten", "owner@acc_1") == 403);
  CHECK(seen.empty());
  CHECK(status("/admin/v1/own/x", "viewer@acc_1") == 200);
  REQUIRE(seen.size() == 1);
  CHECK(seen[0].caller.account == "acc_1");
  CHECK(seen[0].params.at("id") == "x");
}

TEST_CASE_METHOD(Setting, "admin: each route has its own limit for bodies", "[unit][admin]") {
  const httplib::Headers operators{{"Authorization", "Bearer operator"}};
  CHECK(client.Put("/admin/v1/list", operators, std::string(100, 'x'), "text/plain")->status ==
        200);
  CHECK(client.Put("/admin/v1/list", operators, std::string(101, 'x'), "text/plain")->status ==
        413);
}

TEST_CASE_METHOD(Setting, "admin: where tokens can't be checked nobody is let in",
                 "[unit][admin]") {
  const auto answer = get("/admin/v1/list", "broken");
  REQUIRE(answer);
  CHECK(answer->status == 503);
  CHECK(answer->body.find("secret detail") == std::string::npos);
  CHECK(status("/admin/v1/list", "the-owner-of-the-gateway") == 200);
  CHECK(seen.size() == 1);
}

TEST_CASE_METHOD(Setting, "admin: an unknown route shows nothing without a token",
                 "[unit][admin]") {
  CHECK(client.Get("/admin/v1/nothing")->status == 401);
  CHECK(status("/admin/v1/nothing", "viewer@acc_1") == 404);
  CHECK(status("/admin/v1/nothing", "nobody") == 401);
}
