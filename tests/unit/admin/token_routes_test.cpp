#include "core/admin/token_routes.hpp"

#include <rapidjson/document.h>

#include "scratch_database.hpp"

using namespace switchyard;
using namespace switchyard::admin;

namespace {

constexpr std::uint64_t kNow = 1'900'000'000;  // 2030-03-17

struct Setting : ScratchDatabase {
  std::uint64_t now = kNow;
  store::Tokens tokens{*database};
  // "team" is below "org"; every account is within itself.
  IsWithin is_within = [](const std::string& account, const std::string& above) {
    return Result<bool>(account == above || (account == "team" && above == "org"));
  };
  std::vector<Route> routes = token_routes(tokens, pepper, is_within, [this] { return now; });
  Caller owner{"admin.token", Role::kOwner, {}, "owner"};

  Answer call(std::size_t route, const Caller& caller, const std::string& body = {},
              const std::string& id = {}) {
    Request request;
    request.caller = caller;
    request.body = body;
    if (!id.empty()) request.params["id"] = id;
    return routes[route].answer(request);
  }
  Answer list(const Caller& caller) { return call(0, caller); }
  Answer create(const Caller& caller, const std::string& body) { return call(1, caller, body); }
  Answer disable(const Caller& caller, const std::string& id) { return call(2, caller, {}, id); }

  std::string member(const Answer& answer, const char* name) {
    rapidjson::Document document;
    document.Parse(answer.body);
    REQUIRE(document.IsObject());
    const auto& from = document.HasMember("error") ? document["error"] : document;
    return from[name].GetString();
  }
  Caller caller_of(const Answer& created) {
    const auto found = find_token(tokens, pepper, member(created, "token"), now);
    REQUIRE(found);
    REQUIRE(*found);
    return **found;
  }
  bool works(const std::string& token) {
    const auto found = find_token(tokens, pepper, token, now);
    REQUIRE(found);
    return found->has_value();
  }
};

}  // namespace

TEST_CASE_METHOD(Setting, "admin: a body that does not make a token says what is wrong",
                 "[unit][admin]") {
  for (const char* body :
       {"", "[]", "{}", R"({"name":"a"})", R"({"role":"viewer"})", R"({"name":"a","role":"god"})",
        R"({"name":"a b","role":"viewer"})", R"({"name":1,"role":"viewer"})",
        R"({"name":"a","role":"viewer","rolle":"x"})", R"({"name":"a","name":"b","role":"viewer"})",
        R"({"name":"a","role":"viewer","expires":"tomorrow"})",
        R"({"name":"a","role":"viewer","expires":"2030-03-01T00:00:00Z"})"}) {
    CAPTURE(body);
    const Answer answer = create(owner, body);
    CHECK(answer.status == 400);
    CHECK(member(answer, "code") == "bad_body");
  }
  CHECK(tokens.list("", 10)->empty());
}

TEST_CASE_METHOD(Setting, "admin: a token is shown once, and only its MAC is kept",
                 "[unit][admin]") {
  const Answer created = create(owner, R"({"name":"ops","role":"operator"})");
  REQUIRE(created.status == 201);
  const std::string token = member(created, "token");
  CHECK(token.size() == 68);
  const Caller caller = caller_of(created);
  CHECK(caller.name == "ops");
  CHECK(caller.role == Role::kOperator);
  CHECK(list(owner).body.find(token.substr(4)) == std::string::npos);
  CHECK(list(owner).body.find(account::to_hex(pepper.mac(token))) == std::string::npos);

  std::string wrong = token;
  wrong.back() = wrong.back() == '0' ? '1' : '0';
  CHECK_FALSE(works(wrong));
  CHECK_FALSE(works(token.substr(0, 67)));
  CHECK_FALSE(works(token + "0"));
  CHECK_FALSE(works(""));
}

TEST_CASE_METHOD(Setting, "admin: a token ends with its time, or when it is disabled",
                 "[unit][admin]") {
  const Answer created =
      create(owner, R"({"name":"a","role":"viewer","expires":"2030-03-18T00:00:00Z"})");
  const std::string token = member(created, "token");
  CHECK(works(token));
  now = 1'900'022'400;  // 2030-03-18T00:00:00Z
  CHECK_FALSE(works(token));

  const Answer other = create(owner, R"({"name":"b","role":"viewer"})");
  CHECK(works(member(other, "token")));
  CHECK(disable(owner, member(other, "id")).status == 200);
  CHECK_FALSE(works(member(other, "token")));
  CHECK(disable(owner, "tok_none").status == 404);
}

TEST_CASE_METHOD(Setting, "admin: nobody makes a token that may more than its maker",
                 "[unit][admin]") {
  const auto refused = [&](const Caller& caller, const std::string& body) {
    const Answer answer = create(caller, body);
    return answer.status == 403 && member(answer, "code") == "beyond_own_rights";
  };
  const Caller viewer{"v", Role::kViewer, {}, "tok_v"};
  CHECK(refused(viewer, R"({"name":"a","role":"operator"})"));
  CHECK(create(viewer, R"({"name":"a","role":"viewer"})").status == 201);

  const Caller scoped{"s", Role::kOwner, "org", "tok_s"};
  CHECK(refused(scoped, R"({"name":"a","role":"viewer"})"));
  CHECK(refused(scoped, R"({"name":"a","role":"viewer","account":""})"));
  CHECK(refused(scoped, R"({"name":"a","role":"viewer","account":"other"})"));
  CHECK(create(scoped, R"({"name":"a","role":"owner","account":"org"})").status == 201);
  CHECK(create(scoped, R"({"name":"a","role":"viewer","account":"team"})").status == 201);

  const Caller brief =
      caller_of(create(owner, R"({"name":"b","role":"owner","expires":"2030-04-01T00:00:00Z"})"));
  CHECK(refused(brief, R"({"name":"a","role":"viewer"})"));
  CHECK(refused(brief, R"({"name":"a","role":"viewer","expires":"2030-04-01T00:00:01Z"})"));
  CHECK(create(brief, R"({"name":"a","role":"viewer","expires":"2030-04-01T00:00:00Z"})").status ==
        201);
}

TEST_CASE_METHOD(Setting, "admin: who is scoped to an account sees its tokens alone",
                 "[unit][admin]") {
  const std::string own =
      member(create(owner, R"({"name":"own","role":"viewer","account":"org"})"), "id");
  const std::string below =
      member(create(owner, R"({"name":"below","role":"viewer","account":"team"})"), "id");
  const std::string other =
      member(create(owner, R"({"name":"other","role":"viewer","account":"other"})"), "id");
  const std::string whole = member(create(owner, R"({"name":"whole","role":"viewer"})"), "id");

  const Caller scoped{"s", Role::kOwner, "org", "tok_s"};
  const std::string seen = list(scoped).body;
  CHECK(seen.find(own) != std::string::npos);
  CHECK(seen.find(below) != std::string::npos);
  CHECK(seen.find(other) == std::string::npos);
  CHECK(seen.find(whole) == std::string::npos);
  CHECK(disable(scoped, other).status == 404);
  CHECK(disable(scoped, whole).status == 404);
  CHECK(disable(scoped, below).status == 200);
  CHECK(list(owner).body.find(other) != std::string::npos);
}

TEST_CASE_METHOD(Setting, "admin: a list of tokens is paged to its end", "[unit][admin]") {
  for (int i = 0; i < 5; ++i)
    REQUIRE(create(owner, R"({"name":"a","role":"viewer"})").status == 201);
  Request request;
  request.caller = owner;
  request.query["limit"] = "2";
  std::size_t seen = 0, pages = 0;
  while (true) {
    const Answer answer = routes[0].answer(request);
    rapidjson::Document page;
    page.Parse(answer.body);
    seen += page["data"].Size();
    ++pages;
    if (page["next"].IsNull()) break;
    request.query["after"] = page["next"].GetString();
  }
  CHECK(seen == 5);
  CHECK(pages == 3);
  for (const char* limit : {"0", "1001", "-1", "x", "", "1 "}) {
    request.query["limit"] = limit;
    CHECK(routes[0].answer(request).status == 400);
  }
}
