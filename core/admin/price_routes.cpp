#include "core/admin/price_routes.hpp"

#include <rapidjson/stringbuffer.h>
#include <rapidjson/writer.h>

#include <charconv>
#include <ctime>
#include <optional>

#include "core/base/clock.hpp"
#include "core/catalog/price_list.hpp"
#include "core/config/json_text.hpp"
#include "core/store/prices.hpp"

namespace switchyard::admin {
namespace {

using Json = rapidjson::Writer<rapidjson::StringBuffer>;

void put(Json& json, const char* name, std::string_view value) {
  json.Key(name);
  json.String(value.data(), static_cast<rapidjson::SizeType>(value.size()));
}

std::string utc(std::uint64_t unix_s) {
  const auto seconds = static_cast<std::time_t>(unix_s);
  std::tm broken{};
  char text[32];
  if (gmtime_r(&seconds, &broken) == nullptr) return {};
  return {text, std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &broken)};
}

void put_row(Json& json, const store::PriceListRow& row) {
  put(json, "name", row.name);
  put(json, "book", row.book);
  json.Key("version");
  json.Int64(row.version);
  put(json, "created", utc(row.created_unix_s));
  put(json, "created_by", row.created_by);
}

Answer failed(const Error& error) {
  return error_answer(500, error.message, "server_error", "store_failed");
}
Answer bad(std::string_view message, std::string_view code) {
  return error_answer(400, message, "invalid_request_error", code);
}

std::optional<std::int64_t> number(const std::string& text) {
  std::int64_t value = 0;
  const auto [end, fault] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (fault != std::errc() || end != text.data() + text.size() || value < 1) return std::nullopt;
  return value;
}

Answer refused(const config::Faults& faults) {
  rapidjson::StringBuffer text;
  Json json(text);
  json.StartObject();
  json.Key("error");
  json.StartObject();
  put(json, "message", "The price list is refused; what was in force stays.");
  put(json, "type", "invalid_request_error");
  put(json, "code", "invalid_price_list");
  json.Key("faults");
  json.StartArray();
  for (const config::Fault& fault : faults) {
    json.StartObject();
    put(json, "pointer", fault.pointer);
    put(json, "message", fault.message);
    json.EndObject();
  }
  json.EndArray();
  json.EndObject();
  json.EndObject();
  return {422, text.GetString()};
}

Answer list_answer(const std::vector<store::PriceListRow>& rows, std::int64_t next) {
  rapidjson::StringBuffer text;
  Json json(text);
  json.StartObject();
  json.Key("data");
  json.StartArray();
  for (const store::PriceListRow& row : rows) {
    json.StartObject();
    put_row(json, row);
    json.EndObject();
  }
  json.EndArray();
  json.Key("next");
  if (next == 0) {
    json.Null();
  } else {
    const std::string cursor = std::to_string(next);
    json.String(cursor.c_str());
  }
  json.EndObject();
  return {200, text.GetString()};
}

class PriceApi {
 public:
  explicit PriceApi(store::Database& database) : prices_(database) {}

  Answer list() {
    const auto rows = prices_.in_force();
    return rows ? list_answer(*rows, 0) : failed(rows.error());
  }

  Answer import(const Request& request) {
    const auto list = catalog::read_price_list(request.body, 0);
    if (!list) return refused(list.error());
    store::PriceListRow row;
    row.book = list->book;
    row.name = list->name;
    row.body = request.body;
    row.created_unix_s = unix_ns() / 1'000'000'000u;
    row.created_by = request.caller.name;
    const auto newest = prices_.find(row.name, std::nullopt);
    if (!newest) return failed(newest.error());
    const std::optional<store::PriceListRow>& last = *newest;
    if (last && last->book != row.book) {
      return error_answer(409,
                          "\"" + row.name + "\" is a list of the book \"" + last->book +
                              "\"; give this one another name.",
                          "invalid_request_error", "price_list_of_other_book");
    }
    const auto added = prices_.add(row);
    if (!added) return failed(added.error());
    rapidjson::StringBuffer text;
    Json json(text);
    json.StartObject();
    put_row(json, *added);
    json.EndObject();
    const bool same = last && last->version == added->version;
    return {same ? 200 : 201, text.GetString()};
  }

  Answer show(const Request& request) {
    std::optional<std::int64_t> version;
    if (const auto asked = request.query.find("version"); asked != request.query.end()) {
      version = number(asked->second);
      if (!version) return bad("version: expected a whole number from 1 on.", "bad_version");
    }
    const auto found = prices_.find(request.params.at("name"), version);
    if (!found) return failed(found.error());
    if (!*found) {
      return error_answer(404, "There is no price list of this name and version.",
                          "invalid_request_error", "no_price_list");
    }
    // As it was written it may have comments.
    const auto document = config::parse_text((*found)->body);
    rapidjson::StringBuffer text;
    Json json(text);
    json.StartObject();
    put_row(json, **found);
    json.Key("list");
    if (document) {
      document->Accept(json);
    } else {
      json.Null();
    }
    json.EndObject();
    return {200, text.GetString()};
  }

  Answer history(const Request& request) {
    constexpr std::int64_t kLimit = 100, kLimitMax = 1000;
    const auto asked = [&](const char* name, std::int64_t usual) -> std::optional<std::int64_t> {
      const auto found = request.query.find(name);
      return found == request.query.end() ? usual : number(found->second);
    };
    const auto limit = asked("limit", kLimit), after = asked("after", 0);
    if (!limit || *limit > kLimitMax) {
      return bad("limit: expected a whole number from 1 to 1000.", "bad_limit");
    }
    if (!after) return bad("after: expected what the page before gave as next.", "bad_cursor");
    // One more tells whether there is a next page.
    auto rows = prices_.history(request.params.at("name"), *after, *limit + 1);
    if (!rows) return failed(rows.error());
    std::int64_t next = 0;
    if (static_cast<std::int64_t>(rows->size()) > *limit) {
      rows->pop_back();
      next = rows->back().version;
    }
    return list_answer(*rows, next);
  }

 private:
  store::Prices prices_;
};

}  // namespace

std::vector<Route> price_routes(store::Database& database) {
  const auto api = std::make_shared<PriceApi>(database);
  const auto with = [api](Answer (PriceApi::*answer)(const Request&)) {
    return [api, answer](const Request& request) { return ((*api).*answer)(request); };
  };
  return {
      {"GET", "/admin/v1/prices", Access::kToken, [api](const Request&) { return api->list(); },
       Role::kViewer},
      {"POST", "/admin/v1/prices", Access::kToken, with(&PriceApi::import), Role::kOwner, false,
       true, false, catalog::kPriceListBytesMax},
      {"GET", "/admin/v1/prices/{name}", Access::kToken, with(&PriceApi::show), Role::kViewer},
      {"GET", "/admin/v1/prices/{name}/history", Access::kToken, with(&PriceApi::history),
       Role::kViewer},
  };
}

}  // namespace switchyard::admin
