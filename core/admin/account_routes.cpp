#include "core/admin/account_routes.hpp"

#include <charconv>
#include <string>

#include "core/config/address.hpp"

namespace switchyard::admin {
namespace {

using account::Done;
using account::Refusal;
using account::Registry;
using Fields = rapidjson::Value;

constexpr std::uint64_t kPageMax = 1000;

Answer refused(const Refusal& refusal) {
  const bool ours = refusal.status >= 500;
  return error_answer(refusal.status, refusal.message,
                      ours ? "server_error" : "invalid_request_error", refusal.code);
}

std::string query_of(const Request& request, const char* name) {
  const auto found = request.query.find(name);
  return found == request.query.end() ? std::string() : found->second;
}

Done<store::AccountPage> page_of(const Request& request, const char* within) {
  store::AccountPage page;
  page.after = query_of(request, "after");
  page.within = query_of(request, within);
  const std::string limit = query_of(request, "limit");
  if (limit.empty()) return page;
  const char* const end = limit.data() + limit.size();
  const auto read = std::from_chars(limit.data(), end, page.limit);
  if (read.ec != std::errc() || read.ptr != end || page.limit < 1 || page.limit > kPageMax) {
    return Refusal{400, "invalid_value", "limit: expected 1 to 1000", "limit"};
  }
  return page;
}

// {"data":[...],"next":...}; `rows` has one more than the page where it goes on.
template <class Row, class ToJson>
Answer list_answer(std::vector<Row> rows, std::uint64_t limit, ToJson to_json) {
  const bool more = rows.size() > limit;
  if (more) rows.pop_back();
  std::string body = R"({"data":[)";
  for (const Row& row : rows) {
    if (!body.ends_with('[')) body += ',';
    body += to_json(row);
  }
  body += R"(],"next":)";
  body += more ? '"' + rows.back().id + '"' : "null";
  return {200, body + '}'};
}

Done<std::uint64_t> grace_of(const std::string& body) {
  if (body.empty()) return std::uint64_t{0};
  const auto fields = account::parse_fields(body);
  if (!fields) return fields.error();
  if (fields->MemberCount() == 0) return std::uint64_t{0};
  const bool alone = fields->MemberCount() == 1 && fields->HasMember("grace");
  const auto grace = alone && (*fields)["grace"].IsString()
                         ? config::parse_duration((*fields)["grace"].GetString())
                         : std::nullopt;
  if (!grace) {
    return Refusal{400, "invalid_value", "grace: expected a duration such as 24h, at most 720h",
                   "grace"};
  }
  return static_cast<std::uint64_t>(grace->count()) / 1000;
}

// What the routes are made of.
class AccountApi {
 public:
  AccountApi(account::Registry& registry, std::function<std::uint64_t()> now_unix_s)
      : registry_(registry), now_unix_s_(std::move(now_unix_s)) {}

  Answer list_accounts(const Request& request) const {
    auto page = page_of(request, "below");
    if (!page) return refused(page.error());
    const std::uint64_t limit = page->limit++;
    auto rows = registry_.accounts(request.caller.account, std::move(*page));
    if (!rows) return refused(rows.error());
    return list_answer(std::move(*rows), limit,
                       [](const store::AccountRow& row) { return account::to_json(row); });
  }

  Answer list_keys(const Request& request) const {
    auto page = page_of(request, "account");
    if (!page) return refused(page.error());
    const std::uint64_t limit = page->limit++;
    auto rows = registry_.keys(request.caller.account, std::move(*page));
    if (!rows) return refused(rows.error());
    return list_answer(std::move(*rows), limit, [now = now()](const store::KeyRow& row) {
      return account::to_json(row, now);
    });
  }

  Answer get_account(const Request& request) const {
    return shown(registry_.account(request.caller.account, id_of(request)));
  }
  Answer get_key(const Request& request) const {
    return shown(registry_.key(request.caller.account, id_of(request)));
  }

  Answer create_account(const Request& request) const {
    return with_fields(request, [&](const Fields& fields) {
      return shown(registry_.create_account(request.caller.account, fields, now()), 201);
    });
  }
  Answer change_account(const Request& request) const {
    return with_fields(request, [&](const Fields& fields) {
      return shown(registry_.change_account(request.caller.account, id_of(request), fields));
    });
  }
  Answer enable_account(const Request& request, bool enabled) const {
    return shown(registry_.enable_account(request.caller.account, id_of(request), enabled, now()));
  }

  Answer create_key(const Request& request) const {
    return with_fields(request, [&](const Fields& fields) {
      return shown(registry_.create_key(request.caller.account, fields, now()), 201);
    });
  }
  Answer change_key(const Request& request) const {
    return with_fields(request, [&](const Fields& fields) {
      return shown(registry_.change_key(request.caller.account, id_of(request), fields));
    });
  }
  Answer rotate_key(const Request& request) const {
    const auto grace_s = grace_of(request.body);
    if (!grace_s) return refused(grace_s.error());
    return shown(registry_.rotate_key(request.caller.account, id_of(request), *grace_s, now()));
  }
  Answer set_key(const Request& request, Registry::KeyChange change) const {
    return shown(registry_.set_key(request.caller.account, id_of(request), change, now()));
  }

 private:
  std::uint64_t now() const { return now_unix_s_(); }
  static const std::string& id_of(const Request& request) { return request.params.at("id"); }

  std::string json_of(const store::AccountRow& row) const { return account::to_json(row); }
  std::string json_of(const store::KeyRow& row) const { return account::to_json(row, now()); }
  std::string json_of(const account::MintedKey& key) const { return account::to_json(key, now()); }

  template <class Row>
  Answer shown(const Done<Row>& row, int status = 200) const {
    return row ? Answer{status, json_of(*row)} : refused(row.error());
  }
  template <class Work>
  Answer with_fields(const Request& request, Work work) const {
    const auto fields = account::parse_fields(request.body);
    return fields ? work(*fields) : refused(fields.error());
  }

  account::Registry& registry_;
  std::function<std::uint64_t()> now_unix_s_;
};

}  // namespace

std::vector<Route> account_routes(account::Registry& registry,
                                  std::function<std::uint64_t()> now_unix_s) {
  using Call = Answer (AccountApi::*)(const Request&) const;
  const auto api = std::make_shared<const AccountApi>(registry, std::move(now_unix_s));
  const auto call = [&](Call member) {
    return [api, member](const Request& request) { return (api.get()->*member)(request); };
  };
  const auto enable = [&](bool enabled) {
    return [api, enabled](const Request& request) { return api->enable_account(request, enabled); };
  };
  const auto set = [&](Registry::KeyChange change) {
    return [api, change](const Request& request) { return api->set_key(request, change); };
  };
  using enum Registry::KeyChange;
  constexpr Access kToken = Access::kToken;
  constexpr Role kViewer = Role::kViewer, kOperator = Role::kOperator;
  const std::string accounts = "/admin/v1/accounts", keys = "/admin/v1/keys";
  const std::string one_account = accounts + "/{id}", one_key = keys + "/{id}";
  std::vector<Route> routes{
      {"GET", accounts, kToken, call(&AccountApi::list_accounts), kViewer},
      made_once({"POST", accounts, kToken, call(&AccountApi::create_account), kOperator}),
      {"GET", one_account, kToken, call(&AccountApi::get_account), kViewer},
      {"PATCH", one_account, kToken, call(&AccountApi::change_account), kOperator},
      {"POST", one_account + "/disable", kToken, enable(false), kOperator},
      {"POST", one_account + "/enable", kToken, enable(true), kOperator},
      {"GET", keys, kToken, call(&AccountApi::list_keys), kViewer},
      made_once({"POST", keys, kToken, call(&AccountApi::create_key), kOperator}),
      {"GET", one_key, kToken, call(&AccountApi::get_key), kViewer},
      {"PATCH", one_key, kToken, call(&AccountApi::change_key), kOperator},
      {"DELETE", one_key, kToken, set(kDelete), kOperator},
      made_once({"POST", one_key + "/rotate", kToken, call(&AccountApi::rotate_key), kOperator}),
      {"POST", one_key + "/disable", kToken, set(kDisable), kOperator},
      {"POST", one_key + "/enable", kToken, set(kEnable), kOperator},
  };
  // What is another account's is not there for a caller of one: registry.hpp.
  for (Route& route : routes) route.for_accounts = true;
  return routes;
}

}  // namespace switchyard::admin
