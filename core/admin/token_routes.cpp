#include "core/admin/token_routes.hpp"

#include <stdexcept>

#include "core/admin/json_body.hpp"
#include "core/base/json_object.hpp"
#include "core/base/utc.hpp"

namespace switchyard::admin {
namespace {

Answer forbidden(const std::string& message) {
  return error_answer(403, message, "permission_error", "beyond_own_rights");
}

template <class T>
T must(Result<T> result) {
  if (!result) throw std::runtime_error(result.error().message);
  return std::move(*result);
}

class TokenRoutes {
 public:
  TokenRoutes(store::Tokens& tokens, account::Pepper pepper, IsWithin is_within, UnixSeconds now)
      : tokens_(tokens),
        pepper_(std::move(pepper)),
        is_within_(std::move(is_within)),
        now_(std::move(now)) {}

  Answer create(const Request& request) const {
    auto asked = read(request);
    if (!asked) return std::move(asked).error();
    auto refused = beyond(request.caller, *asked);
    if (!refused) return refused.error();
    const MintedToken minted = must(mint_token(tokens_, pepper_, *asked, now_()));
    std::string json = token_json(minted.row);
    json.pop_back();
    return {201, json + ",\"token\":" + json_text(minted.token.reveal()) + "}"};
  }

  Answer list(const Request& request) const {
    const auto limit = read_limit(request);
    if (!limit) return limit.error();
    const auto after = request.query.find("after");
    const auto rows_after = [&](const std::string& id) {
      return must(tokens_.list(id, *limit + 1));
    };
    std::vector<store::TokenRow> rows;
    for (auto page = rows_after(after == request.query.end() ? "" : after->second); !page.empty();
         page = rows_after(page.back().id)) {
      for (const store::TokenRow& row : page) {
        if (rows.size() <= *limit && sees(request.caller, row)) rows.push_back(row);
      }
      if (rows.size() > *limit || page.size() <= *limit) break;
    }
    const bool more = rows.size() > *limit;
    if (more) rows.pop_back();
    return {200, JsonObject()
                     .raw("data", json_array(rows, token_json))
                     .text_or_null("next", more ? rows.back().id : "")
                     .take()};
  }

  Answer disable(const Request& request) const {
    const std::string& id = request.params.at("id");
    const auto row = must(tokens_.find(id));
    // What is another's is not told apart from what is not there.
    if (!row || !sees(request.caller, *row)) {
      return error_answer(404, "There is no token " + id + ".", "invalid_request_error",
                          "token_not_found");
    }
    must(tokens_.disable(id, now_()));
    return {200, token_json(*must(tokens_.find(id)))};
  }

 private:
  bool sees(const Caller& caller, const store::TokenRow& row) const {
    return caller.account.empty() || must(is_within_(row.account, caller.account));
  }

  Result<NewToken, Answer> read(const Request& request) const {
    const auto body =
        JsonBody::read(request.body, {{"name", true}, {"role", true}, {"account"}, {"expires"}});
    if (!body) return body.error();
    NewToken asked;
    std::string role, expires;
    const std::pair<const char*, std::string*> texts[] = {
        {"name", &asked.name}, {"role", &role}, {"account", &asked.account}, {"expires", &expires}};
    for (const auto& [name, to] : texts) {
      auto text = body->text(name);
      if (!text) return std::move(text).error();
      *to = std::move(*text);
    }
    if (!is_token_name(asked.name)) {
      return bad_body("name: expected 1 to 64 characters of A-Z, a-z, 0-9, . _ and -.");
    }
    const auto known = parse_role(role);
    if (!known) return bad_body("role: expected viewer, operator or owner.");
    asked.role = *known;
    asked.created_by = request.caller.name;
    if (expires.empty()) return asked;
    const auto at = parse_utc(expires);
    if (!at || *at <= now_()) {
      return bad_body("expires: expected a time to come, like 2030-01-31T00:00:00Z.");
    }
    asked.expires_unix_s = *at;
    return asked;
  }

  Result<void, Answer> beyond(const Caller& caller, const NewToken& asked) const {
    if (asked.role > caller.role) {
      return forbidden("A token of a higher role than one's own can't be made.");
    }
    if (!caller.account.empty() && !must(is_within_(asked.account, caller.account))) {
      return forbidden("account: expected " + caller.account + " or one below it.");
    }
    const auto own = must(tokens_.find(caller.id));
    const std::uint64_t latest = own ? own->expires_unix_s : 0;
    if (latest != 0 && (asked.expires_unix_s == 0 || asked.expires_unix_s > latest)) {
      return forbidden("expires: expected no later than one's own, " + utc_text(latest) + ".");
    }
    return {};
  }

  store::Tokens& tokens_;
  account::Pepper pepper_;
  IsWithin is_within_;
  UnixSeconds now_;
};

}  // namespace

std::vector<Route> token_routes(store::Tokens& tokens, const account::Pepper& pepper,
                                IsWithin is_within, UnixSeconds now) {
  const TokenRoutes routes(tokens, pepper, std::move(is_within), std::move(now));
  Route list{"GET", "/admin/v1/tokens", Access::kToken,
             [routes](const Request& request) { return routes.list(request); }};
  Route create{"POST", "/admin/v1/tokens", Access::kToken,
               [routes](const Request& request) { return routes.create(request); }};
  Route disable{"POST", "/admin/v1/tokens/{id}/disable", Access::kToken,
                [routes](const Request& request) { return routes.disable(request); }};
  create.idempotent_by_key = true;
  for (Route* route : {&list, &create, &disable}) route->for_accounts = true;
  return {list, create, disable};
}

}  // namespace switchyard::admin
