#include "core/admin/ledger_routes.hpp"

#include <rapidjson/stringbuffer.h>
#include <rapidjson/writer.h>

#include <algorithm>
#include <charconv>
#include <optional>

#include "core/account/reconciliation.hpp"
#include "core/account/verify.hpp"
#include "core/base/clock.hpp"
#include "core/base/nano.hpp"
#include "core/base/utc.hpp"

namespace switchyard::admin {
namespace {

using Json = rapidjson::Writer<rapidjson::StringBuffer>;

constexpr std::uint64_t kSecond = 1'000'000'000;
constexpr std::uint64_t kSecondsPerDay = 86'400, kReconciledDaysMax = 366;
constexpr std::uint64_t kLimit = 100, kLimitMax = 1000;

struct Refusal {
  int status;
  std::string message, code;
};

Answer refuse(const Refusal& refusal) {
  return error_answer(refusal.status, refusal.message, "invalid_request_error", refusal.code);
}

Answer fault(const Error& error) {
  return error_answer(503, error.message, "server_error", "books_unavailable");
}

std::string asked(const Request& request, const std::string& name) {
  const auto found = request.query.find(name);
  return found == request.query.end() ? "" : found->second;
}

Result<std::uint64_t, Refusal> number(const Request& request, const std::string& name,
                                      std::uint64_t otherwise) {
  const std::string text = asked(request, name);
  if (text.empty()) return otherwise;
  std::uint64_t value = 0;
  const auto read = std::from_chars(text.data(), text.data() + text.size(), value);
  if (read.ec == std::errc() && read.ptr == text.data() + text.size() && value <= INT64_MAX) {
    return value;
  }
  return Refusal{400, name + ": " + text + ": expected a number.", "bad_" + name};
}

Result<std::uint64_t, Refusal> limit_of(const Request& request) {
  auto limit = number(request, "limit", kLimit);
  if (!limit || (*limit >= 1 && *limit <= kLimitMax)) return limit;
  return Refusal{400, "limit: expected 1 to 1000.", "bad_limit"};
}

Result<std::uint64_t, Refusal> time(const Request& request, const std::string& name,
                                    std::uint64_t otherwise) {
  const std::string text = asked(request, name);
  if (text.empty()) return otherwise;
  const auto seconds = parse_utc(text);
  if (seconds && *seconds <= INT64_MAX / kSecond) return *seconds * kSecond;
  return Refusal{400, name + ": " + text + ": expected a time such as 2026-11-21T19:30:00Z.",
                 "bad_" + name};
}

struct Ledger {
  store::Books& books;
  FindFamily find_family;
};

// The account that is asked for, by its id. Who is scoped to an account may ask for it and for
// those below it, and for its own without saying so.
Result<std::string, Refusal> account_of(const Ledger& ledger, const Request& request) {
  const std::string account = asked(request, "account");
  const std::string& own = request.caller.account;
  if (own.empty() || account == own) return account;
  const bool by_name = request.query.contains("name");
  if (account.empty() && !by_name) return own;
  const auto family = ledger.find_family(own);
  if (!family) return Refusal{503, family.error().message, "store_failed"};
  const bool below = std::binary_search(family->begin(), family->end(), account);
  if (below && !by_name) return account;
  return Refusal{403, "This token sees the account " + own + " and those below it.", "forbidden"};
}

// As the ledger has it; empty: all.
Result<std::string, Refusal> name_of(const Ledger& ledger, const Request& request) {
  auto account = account_of(ledger, request);
  if (!account) return account;
  const std::string name = asked(request, "name");
  if (account->empty()) return name;
  if (name.empty()) return store::account_name(*account);
  return Refusal{400, "account and name both say whose it is; give one.", "bad_name"};
}

void put(Json& json, const char* name, const std::string& text) {
  json.Key(name);
  json.String(text);
}

void put_amount(Json& json, const char* name, const std::optional<Nano>& amount) {
  json.Key(name);
  if (amount) {
    json.String(format_nano(*amount));
  } else {
    json.Null();
  }
}

// {"data":[...],"next":...}: `next` leads on where the page is full.
template <class Row, class Put, class Cursor>
Answer page(const std::vector<Row>& rows, std::uint64_t limit, Put put_row, Cursor cursor) {
  rapidjson::StringBuffer text;
  Json json(text);
  json.StartObject();
  json.Key("data");
  json.StartArray();
  for (const Row& row : rows) {
    json.StartObject();
    put_row(json, row);
    json.EndObject();
  }
  json.EndArray();
  json.Key("next");
  if (rows.size() == limit) {
    json.String(cursor(rows.back()));
  } else {
    json.Null();
  }
  json.EndObject();
  return {200, text.GetString()};
}

// ---- balances ----

Answer balances(const Ledger& ledger, const Request& request) {
  const auto limit = limit_of(request);
  if (!limit) return refuse(limit.error());
  const auto name = name_of(ledger, request);
  if (!name) return refuse(name.error());
  store::Balance after;
  const std::string cursor = asked(request, "after");
  const std::size_t space = cursor.rfind(' ');
  if (!cursor.empty() && space == std::string::npos) {
    return refuse({400, "after: expected what \"next\" of the page before was.", "bad_after"});
  }
  if (!cursor.empty()) after = {cursor.substr(0, space), cursor.substr(space + 1), 0};
  const auto found =
      name->empty() ? ledger.books.balances("", after, *limit) : ledger.books.balances_of(*name);
  if (!found) return fault(found.error());
  return page(
      *found, name->empty() ? *limit : UINT64_MAX,
      [](Json& json, const store::Balance& each) {
        put(json, "account", each.account);
        put(json, "currency", each.currency);
        put_amount(json, "balance", each.amount);
      },
      [](const store::Balance& each) { return each.account + " " + each.currency; });
}

// ---- entries ----

Answer entries(const Ledger& ledger, const Request& request) {
  const auto limit = limit_of(request);
  if (!limit) return refuse(limit.error());
  const auto name = name_of(ledger, request);
  if (!name) return refuse(name.error());
  const auto after = number(request, "after", 0);
  if (!after) return refuse(after.error());
  const auto from = time(request, "from", 0);
  if (!from) return refuse(from.error());
  const auto to = time(request, "to", INT64_MAX);
  if (!to) return refuse(to.error());
  const auto rows =
      ledger.books.entries({*name, *from, *to, static_cast<std::int64_t>(*after), *limit});
  if (!rows) return fault(rows.error());
  return page(
      *rows, *limit,
      [](Json& json, const store::EntryRow& row) {
        put(json, "time", utc_text(row.at_unix_ns / kSecond));
        put(json, "transaction", row.transaction);
        put(json, "kind", row.kind);
        put(json, "note", row.note);
        put(json, "account", row.account);
        put_amount(json, "amount", row.amount);
        put(json, "currency", row.currency);
      },
      [](const store::EntryRow& row) { return std::to_string(row.seq); });
}

// ---- receipts ----

void put_receipt(Json& json, const store::ReceiptRow& row) {
  const store::Receipt& receipt = row.receipt;
  put(json, "request_id", receipt.request_id);
  put(json, "account", receipt.account);
  put(json, "key", receipt.key);
  put(json, "feature", receipt.feature);
  put(json, "task", receipt.task);
  put(json, "model_asked", receipt.model_asked);
  put(json, "model_used", receipt.model_used);
  put(json, "provider", receipt.provider);
  put(json, "ended", receipt.ended);
  put_amount(json, "charge", receipt.charge);
  put_amount(json, "shortfall", receipt.shortfall);
  put_amount(json, "held", receipt.held);
  put(json, "currency", receipt.currency);
  put(json, "price_version", receipt.price_version);
  put_amount(json, "cost", receipt.cost);
  put(json, "cost_currency", receipt.cost_currency);
  json.Key("estimated");
  json.Bool(receipt.estimated);
  json.Key("quantities");
  json.StartArray();
  for (const std::uint64_t quantity : receipt.quantities) json.Uint64(quantity);
  json.EndArray();
  put(json, "started", utc_text(receipt.started_unix_ns / kSecond));
  put(json, "settled", utc_text(receipt.settled_unix_ns / kSecond));
  json.Key("transaction");
  row.transaction.empty() ? json.Null() : json.String(row.transaction);
}

Answer receipts(const Ledger& ledger, const Request& request) {
  const auto limit = limit_of(request);
  if (!limit) return refuse(limit.error());
  const auto account = account_of(ledger, request);
  if (!account) return refuse(account.error());
  const auto after = number(request, "after", 0);
  if (!after) return refuse(after.error());
  const auto from = time(request, "from", 0);
  if (!from) return refuse(from.error());
  const auto to = time(request, "to", INT64_MAX);
  if (!to) return refuse(to.error());
  const auto rows = ledger.books.receipts(
      {*account, asked(request, "key"), asked(request, "feature"), asked(request, "model"),
       asked(request, "transaction"), *from, *to, static_cast<std::int64_t>(*after), *limit});
  if (!rows) return fault(rows.error());
  return page(*rows, *limit, put_receipt,
              [](const store::ReceiptRow& row) { return std::to_string(row.seq); });
}

// ---- reconciliation ----

Result<std::uint64_t, Refusal> day_of(const Request& request, const std::string& name,
                                      std::uint64_t otherwise) {
  const std::string text = asked(request, name);
  if (text.empty()) return otherwise;
  const auto seconds = parse_utc(text + "T00:00:00Z");
  if (seconds) return *seconds / kSecondsPerDay;
  return Refusal{400, name + ": " + text + ": expected a day such as 2026-11-21.", "bad_" + name};
}

Answer reconciliation(const Ledger& ledger, const Request& request) {
  if (!request.caller.account.empty()) {
    return refuse({403, "What upstreams cost is not one account's.", "forbidden"});
  }
  const std::uint64_t today = unix_ns() / kSecond / kSecondsPerDay;
  const auto to = day_of(request, "to", today);
  if (!to) return refuse(to.error());
  const auto from = day_of(request, "from", *to);
  if (!from) return refuse(from.error());
  if (*from > *to || *to - *from >= kReconciledDaysMax) {
    return refuse({400, "from: expected a day before to, and at most 366 days.", "bad_from"});
  }
  const auto lines = account::reconcile(ledger.books.database(), *from, *to,
                                        asked(request, "provider"), asked(request, "model"));
  if (!lines) return fault(lines.error());
  std::string text = "{\"data\":[";
  for (const account::ReconciledLine& line : *lines) {
    if (text.back() != '[') text += ',';
    text += account::to_json(line);
  }
  return {200, text + "],\"next\":null}"};
}

// ---- verify ----

Answer verify(const std::filesystem::path& state, const Request& request) {
  if (!request.caller.account.empty()) {
    return refuse({403, "The proof is about every account's money.", "forbidden"});
  }
  const auto violations = account::verify_ledger(state);
  if (!violations) return fault(violations.error());
  rapidjson::StringBuffer text;
  Json json(text);
  json.StartObject();
  json.Key("proven");
  json.Bool(violations->empty());
  json.Key("violations");
  json.StartArray();
  for (const std::string& each : *violations) json.String(each);
  json.EndArray();
  json.EndObject();
  return {200, text.GetString()};
}

}  // namespace

std::vector<Route> ledger_routes(store::Books& books, std::filesystem::path state,
                                 FindFamily find_family) {
  const Ledger ledger{books, std::move(find_family)};
  const auto ask = [&ledger](Answer (*answer)(const Ledger&, const Request&)) {
    return [ledger, answer](const Request& request) { return answer(ledger, request); };
  };
  return {
      {"GET", "/admin/v1/ledger/balances", Access::kToken, ask(balances), Role::kViewer, true},
      {"GET", "/admin/v1/ledger/entries", Access::kToken, ask(entries), Role::kViewer, true},
      {"GET", "/admin/v1/ledger/receipts", Access::kToken, ask(receipts), Role::kViewer},
      {"GET", "/admin/v1/reconciliation", Access::kToken, ask(reconciliation), Role::kViewer},
      {"GET", "/admin/v1/ledger/verify", Access::kToken,
       [state = std::move(state)](const Request& request) { return verify(state, request); },
       Role::kViewer},
  };
}

}  // namespace switchyard::admin
