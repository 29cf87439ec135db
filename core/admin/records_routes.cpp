#include "core/admin/records_routes.hpp"

#include <rapidjson/stringbuffer.h>
#include <rapidjson/writer.h>

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <ctime>
#include <functional>
#include <set>

#include "core/base/base64.hpp"
#include "core/base/clock.hpp"
#include "core/base/near.hpp"
#include "core/catalog/catalog.hpp"
#include "core/net/websocket.hpp"
#include "core/store/record_search.hpp"
#include "core/store/rollups.hpp"

namespace switchyard::admin {
namespace fs = std::filesystem;
namespace {

using Json = rapidjson::Writer<rapidjson::StringBuffer>;
using store::RecordRow;
using store::UsageBy;
using store::UsageStep;

constexpr std::uint64_t kSecondNs = 1'000'000'000;
constexpr std::uint64_t kDayNs = 86'400 * kSecondNs;
constexpr std::size_t kNamesMax = 50;  // in one filter of usage
constexpr std::size_t kFamilyMax = 10'000;

struct Place {
  fs::path directory;
  FindFamily find_family;
};

// ---- writing ----

void put(Json& json, const char* name, std::string_view text) {
  json.Key(name);
  json.String(text.data(), static_cast<rapidjson::SizeType>(text.size()));
}

void put(Json& json, const char* name, std::uint64_t number) {
  json.Key(name);
  json.Uint64(number);
}

// Of microseconds, so that the digits are exact.
void put_ms(Json& json, const char* name, std::uint64_t us) {
  char digits[32];
  const int size = std::snprintf(digits, sizeof digits, "%llu.%03llu",
                                 static_cast<unsigned long long>(us / 1000),
                                 static_cast<unsigned long long>(us % 1000));
  json.Key(name);
  json.RawValue(digits, static_cast<std::size_t>(size), rapidjson::kNumberType);
}

// "12.5" of 12,500,000,000.
std::string decimal(std::int64_t nano) {
  const bool negative = nano < 0;
  const std::uint64_t size =
      negative ? 0 - static_cast<std::uint64_t>(nano) : static_cast<std::uint64_t>(nano);
  std::string fraction = std::to_string(kSecondNs + size % kSecondNs).substr(1);
  fraction.erase(fraction.find_last_not_of('0') + 1);
  return (negative ? "-" : "") + std::to_string(size / kSecondNs) +
         (fraction.empty() ? "" : "." + fraction);
}

std::string utc(std::uint64_t unix_ns) {
  const auto seconds = static_cast<std::time_t>(unix_ns / kSecondNs);
  std::tm broken{};
  gmtime_r(&seconds, &broken);
  char text[32];
  const std::size_t size = std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &broken);
  std::string all(text, size);
  if (const std::uint64_t us = unix_ns % kSecondNs / 1000; us > 0) {
    all += '.' + std::to_string(1'000'000 + us).substr(1);
  }
  return all + 'Z';
}

// null where it is not known.
void put_amount(Json& json, const char* name, const std::optional<std::int64_t>& nano,
                const std::string& currency) {
  json.Key(name);
  if (!nano) {
    json.Null();
    return;
  }
  json.StartObject();
  put(json, "amount", decimal(*nano));
  put(json, "currency", currency);
  json.EndObject();
}

void put_raw(Json& json, const char* name, const std::string& text) {
  if (text.empty()) return;
  json.Key(name);
  json.RawValue(text.data(), text.size(), rapidjson::kObjectType);
}

// What it cost the house, and how it was chosen, is no business of one account.
bool sees_cost(const Caller& caller) { return caller.account.empty(); }

void put_record(Json& json, const RecordRow& row, const Caller& caller) {
  json.StartObject();
  put(json, "id", row.id);
  put(json, "time", utc(row.start_ns));
  put(json, "key", row.key_id);
  put(json, "account", row.account);
  put(json, "feature", row.feature);
  put(json, "task", row.task);
  put(json, "surface", row.surface);
  put(json, "model_asked", row.model_asked);
  put(json, "model", row.model_used);
  put(json, "provider", row.provider);
  json.Key("stream");
  json.Bool(row.stream != 0);
  put(json, "status", row.status);
  put(json, "final_status", row.final_status);
  put(json, "attempts", row.attempts);
  put_ms(json, "latency_ms", row.duration_us);
  if (row.ttft_us > 0) put_ms(json, "ttft_ms", row.ttft_us);
  put_ms(json, "upstream_ms", row.upstream_us);
  json.Key("usage");
  json.StartObject();
  put(json, "input_tokens", row.tok_in);
  put(json, "output_tokens", row.tok_out);
  put(json, "cached_tokens", row.tok_cached);
  put(json, "reasoning_tokens", row.tok_reasoning);
  json.Key("estimated");
  json.Bool(row.reported == 0);
  put_raw(json, "further", row.quantities);
  json.EndObject();
  put_amount(json, "charge", row.charge_nano, row.charge_currency);
  put_amount(json, "cost", sees_cost(caller) ? row.cost_nano : std::nullopt, row.cost_currency);
  put(json, "price_version", row.price_version);
  put(json, "error_code", row.error_code);
  put(json, "error", row.error_text);
  put(json, "finish_reason", row.finish_reason);
  put(json, "fallback_path", row.fallback_path);
  put(json, "route_reason", row.route_reason);
  put(json, "dropped", row.dropped);
  put(json, "trace", row.trace);
  put(json, "parent_span", row.parent_span);
  if (sees_cost(caller)) put_raw(json, "facts", row.facts);
  if (sees_cost(caller)) put_raw(json, "plan", row.plan);
  json.EndObject();
}

// ---- reading ----

// "2026-11-21T13:00:00Z", with a fraction or without, or "2026-11-21": its begin.
std::optional<std::uint64_t> parse_time(const std::string& text) {
  if (const auto day = store::day_begin_ns(text)) return day;
  std::tm broken{};
  const char* rest = strptime(text.c_str(), "%Y-%m-%dT%H:%M:%S", &broken);
  if (rest == nullptr) return std::nullopt;
  std::uint64_t fraction_ns = 0;
  if (*rest == '.') {
    std::uint64_t unit = kSecondNs / 10;
    for (++rest; *rest >= '0' && *rest <= '9'; ++rest, unit /= 10) {
      fraction_ns += static_cast<std::uint64_t>(*rest - '0') * unit;
    }
  }
  const std::time_t seconds = timegm(&broken);
  if (std::string_view(rest) != "Z" || seconds < 0) return std::nullopt;
  return static_cast<std::uint64_t>(seconds) * kSecondNs + fraction_ns;
}

std::vector<std::string> split(const std::string& text) {
  std::vector<std::string> parts;
  std::size_t begin = 0;
  while (true) {
    const std::size_t comma = text.find(',', begin);
    parts.push_back(text.substr(begin, comma - begin));
    if (comma == std::string::npos) return parts;
    begin = comma + 1;
  }
}

// A query's members, each asked for once; what is wrong with the first one that is wrong.
class Query {
 public:
  explicit Query(const Request& request) : members_(request.query) {}

  std::string text(const std::string& name) {
    known_.push_back(name);
    const auto found = members_.find(name);
    return found == members_.end() ? std::string() : found->second;
  }
  std::optional<std::uint64_t> count(const std::string& name, std::uint64_t most = INT64_MAX) {
    const std::string given = text(name);
    if (given.empty()) return std::nullopt;
    std::uint64_t number = 0;
    const char* const end = given.data() + given.size();
    const auto [rest, fault] = std::from_chars(given.data(), end, number);
    if (fault == std::errc() && rest == end && number <= most) return number;
    wrong(name, "expected a whole number up to " + std::to_string(most));
    return std::nullopt;
  }
  // Milliseconds as microseconds.
  std::optional<std::uint64_t> duration_us(const std::string& name) {
    const auto ms = count(name, INT64_MAX / 1000);
    return ms ? std::optional(*ms * 1000) : std::nullopt;
  }
  std::optional<std::int64_t> amount(const std::string& name) {
    const std::string given = text(name);
    if (given.empty()) return std::nullopt;
    const auto nano = parse_nano(given);
    if (!nano) wrong(name, "expected an amount such as 0.25");
    return nano;
  }
  std::uint64_t time(const std::string& name, std::uint64_t otherwise) {
    const std::string given = text(name);
    if (given.empty()) return otherwise;
    const auto at = parse_time(given);
    if (!at) wrong(name, "expected a time such as 2026-11-21T13:00:00Z, or a date");
    return at.value_or(otherwise);
  }
  bool flag(const std::string& name) {
    const std::string given = text(name);
    if (!given.empty() && given != "true" && given != "false")
      wrong(name, "expected true or false");
    return given == "true";
  }
  std::size_t limit() {
    const auto given = count("limit", 1000);
    if (given && *given == 0) wrong("limit", "expected 1 to 1000");
    return given.value_or(100);
  }
  void wrong(const std::string& name, const std::string& message) {
    if (fault_.empty()) fault_ = name + ": " + message + ".";
  }

  // After the last was asked for.
  std::optional<Answer> refusal() {
    for (const auto& [name, value] : members_) {
      if (std::find(known_.begin(), known_.end(), name) != known_.end()) continue;
      wrong(name, "there is nothing of that name to ask for" + did_you_mean(name, known_));
    }
    if (fault_.empty()) return std::nullopt;
    return error_answer(400, fault_, "invalid_request_error", "bad_query");
  }

 private:
  const std::map<std::string, std::string>& members_;
  std::vector<std::string> known_;
  std::string fault_;
};

Answer store_failed(const Error& error) {
  return error_answer(503, error.message + ".", "server_error", "store_failed");
}

// A caller of an account sees that one and those below it, whatever is asked for.
Result<void, Answer> restrict_to(const Place& place, const Caller& caller, Query& query,
                                 std::vector<std::string>& accounts) {
  if (caller.account.empty()) return {};
  auto family = place.find_family(caller.account);
  if (!family) return store_failed(family.error());
  for (const std::string& asked : accounts) {
    if (std::binary_search(family->begin(), family->end(), asked)) continue;
    query.wrong("account", "this token sees " + caller.account + " and the accounts below it");
  }
  if (!accounts.empty()) return {};
  // Gone, perhaps: no list would be no restriction.
  if (family->empty()) family->push_back(caller.account);
  if (family->size() > kFamilyMax) {
    query.wrong("account", "this token sees " + std::to_string(family->size()) +
                               " accounts, which are too many at once; name some");
  }
  accounts = std::move(*family);
  return {};
}

Answer not_searched(const Error& error) {
  return error_answer(422, "The search was broken off: " + error.message + ".",
                      "invalid_request_error", "search_too_wide");
}

// ---- records ----

Answer list_records(const Place& place, const Request& request) {
  Query query(request);
  store::RecordFilter filter;
  filter.from_ns = query.time("from", 0);
  filter.to_ns = query.time("to", UINT64_MAX);
  if (const std::string account = query.text("account"); !account.empty()) {
    filter.accounts = split(account);
  }
  filter.key_id = query.text("key");
  filter.feature = query.text("feature");
  filter.model_used = query.text("model");
  filter.model_asked = query.text("model_asked");
  filter.provider = query.text("provider");
  filter.task = query.text("task");
  filter.final_status = query.text("final_status");
  filter.error_code = query.text("error_code");
  filter.error = query.text("error");
  filter.currency = query.text("currency");
  if (const auto status = query.count("status", 999))
    filter.status = static_cast<unsigned>(*status);
  filter.cost_nano_min = query.amount("cost_min");
  filter.cost_nano_max = query.amount("cost_max");
  filter.duration_us_min = query.duration_us("latency_min_ms");
  filter.duration_us_max = query.duration_us("latency_max_ms");
  filter.failed = query.flag("failed");
  store::SearchLimits limits;
  limits.rows_max = query.limit();
  const std::string cursor = query.text("after");
  const auto after = store::parse_record_place(cursor);
  if (!cursor.empty() && !after) query.wrong("after", "expected what \"next\" of a page said");
  if (filter.error.size() > store::RecordFilter::kErrorMax) {
    query.wrong("error",
                "expected at most " + std::to_string(store::RecordFilter::kErrorMax) + " bytes");
  }
  if (!sees_cost(request.caller) && (filter.cost_nano_min || filter.cost_nano_max)) {
    query.wrong("cost_min", "this token does not see costs");
  }
  const auto restricted = restrict_to(place, request.caller, query, filter.accounts);
  if (!restricted) return restricted.error();
  if (auto refused = query.refusal()) return *refused;

  const auto page = store::find_records(place.directory, filter, after, limits);
  if (!page) return not_searched(page.error());
  rapidjson::StringBuffer text;
  Json json(text);
  json.StartObject();
  json.Key("data");
  json.StartArray();
  for (const RecordRow& row : page->rows) put_record(json, row, request.caller);
  json.EndArray();
  json.Key("next");
  if (page->next) {
    json.String(to_text(*page->next));
  } else {
    json.Null();
  }
  if (!page->unreadable.empty()) {
    json.Key("unreadable_days");
    json.StartArray();
    for (const std::string& day : page->unreadable) json.String(day);
    json.EndArray();
  }
  json.EndObject();
  return {200, text.GetString()};
}

Result<bool> sees(const Place& place, const Caller& caller, const std::string& account) {
  if (caller.account.empty() || caller.account == account) return true;
  const auto family = place.find_family(caller.account);
  if (!family) return family.error();
  return std::binary_search(family->begin(), family->end(), account);
}

// The record of this id, where the caller may see it; else the answer that says why not.
Result<RecordRow, Answer> their_record(const Place& place, const Request& request) {
  const std::string& id = request.params.at("id");
  auto found = store::find_record(place.directory, id);
  if (!found) return not_searched(found.error());
  const auto theirs = *found ? sees(place, request.caller, (*found)->account) : Result<bool>(false);
  if (!theirs) return store_failed(theirs.error());
  if (!*theirs) {
    return error_answer(404, "There is no record of the request " + id + ".",
                        "invalid_request_error", "record_not_found");
  }
  return std::move(**found);
}

Answer show_record(const Place& place, const Request& request) {
  const auto record = their_record(place, request);
  if (!record) return record.error();
  rapidjson::StringBuffer text;
  Json json(text);
  put_record(json, *record, request.caller);
  return {200, text.GetString()};
}

bool is_utf8(const std::string& text) {
  net::Utf8Check check;
  return check.feed(text) && check.complete();
}

// As text where it is one, else as base64.
void put_body(Json& json, const char* name, const std::string& body) {
  json.Key(name);
  json.StartObject();
  const bool is_text = is_utf8(body);
  put(json, is_text ? "text" : "base64", is_text ? body : base64(body));
  json.EndObject();
}

Answer show_bodies(const Place& place, const FindBodies& find, const Request& request) {
  const auto record = their_record(place, request);
  if (!record) return record.error();
  const auto bodies = find(record->id, record->key_id);
  if (!bodies) {
    return error_answer(500, bodies.error().message + ".", "server_error", "bodies_unreadable");
  }
  if (!*bodies) {
    return error_answer(404,
                        "Nothing is kept of what the request " + record->id +
                            " said: its key has no bodies kept, or they were too old.",
                        "invalid_request_error", "bodies_not_kept");
  }
  rapidjson::StringBuffer text;
  Json json(text);
  json.StartObject();
  put(json, "record", record->id);
  put_body(json, "request", (*bodies)->request);
  put_body(json, "answer", (*bodies)->answer);
  json.Key("cut");
  json.Bool((*bodies)->cut);
  json.EndObject();
  return {200, text.GetString()};
}

// ---- usage ----

constexpr std::array<const char*, store::kUsageBy> kByNames{"account", "key", "feature", "model",
                                                            "provider"};

void read_by(Query& query, store::UsageQuery& usage) {
  const std::string by = query.text("by");
  if (by.empty()) return;
  for (const std::string& name : split(by)) {
    const auto known = std::find(kByNames.begin(), kByNames.end(), name);
    if (known == kByNames.end()) {
      return query.wrong("by", "expected some of account, key, feature, model and provider");
    }
    const auto each = static_cast<UsageBy>(known - kByNames.begin());
    if (std::count(usage.by.begin(), usage.by.end(), each) > 0) {
      return query.wrong("by", name + " is named twice");
    }
    usage.by.push_back(each);
  }
}

void read_step(Query& query, store::UsageQuery& usage) {
  const std::string step = query.text("step");
  if (step == "minute") {
    usage.step = UsageStep::kMinute;
  } else if (step == "hour") {
    usage.step = UsageStep::kHour;
  } else if (!step.empty() && step != "day") {
    query.wrong("step", "expected minute, hour or day");
  }
}

void put_money(Json& json, const char* name, const std::map<std::string, std::int64_t>& amounts) {
  json.Key(name);
  json.StartArray();
  for (const auto& [currency, nano] : amounts) {
    json.StartObject();
    put(json, "amount", decimal(nano));
    put(json, "currency", currency);
    json.EndObject();
  }
  json.EndArray();
}

void put_times(Json& json, const char* name, const store::Histogram& histogram) {
  json.Key(name);
  json.StartObject();
  put_ms(json, "p50_ms", histogram.quantile_us(500));
  put_ms(json, "p95_ms", histogram.quantile_us(950));
  put_ms(json, "p99_ms", histogram.quantile_us(990));
  json.EndObject();
}

void put_usage(Json& json, const store::UsageQuery& query, const store::UsageRow& row,
               const Caller& caller) {
  const store::UsageSums& sums = row.sums;
  json.StartObject();
  put(json, "start", utc(static_cast<std::uint64_t>(row.start_s) * kSecondNs));
  for (const UsageBy by : query.by) {
    const auto i = static_cast<std::size_t>(by);
    put(json, kByNames[i], row.names[i]);
  }
  put(json, "requests", sums.requests);
  put(json, "errors", sums.errors);
  put(json, "clients_left", sums.clients_left);
  put(json, "input_tokens", sums.tok_in);
  put(json, "output_tokens", sums.tok_out);
  put(json, "cached_tokens", sums.tok_cached);
  put(json, "reasoning_tokens", sums.tok_reasoning);
  put(json, "estimated", sums.estimated);
  put(json, "unpriced", sums.unpriced);
  put_money(json, "charge", sums.charge_nano);
  put_money(json, "cost", sees_cost(caller) ? sums.cost_nano : store::UsageSums().cost_nano);
  put_ms(json, "latency_avg_ms", sums.requests > 0 ? sums.duration_us / sums.requests : 0);
  put_ms(json, "ttft_avg_ms", sums.with_ttft > 0 ? sums.ttft_us / sums.with_ttft : 0);
  if (query.histograms) {
    put_times(json, "latency", sums.duration);
    put_times(json, "ttft", sums.ttft);
  }
  json.EndObject();
}

// The day that it is and the 29 before, where nothing else is asked for.
Answer list_usage(const Place& place, const Request& request) {
  Query query(request);
  store::UsageQuery usage;
  const std::uint64_t to = query.time("to", unix_ns());
  const std::uint64_t from = query.time("from", to > 29 * kDayNs ? to - 29 * kDayNs : 0);
  usage.from_s = static_cast<std::int64_t>(from / kSecondNs);
  usage.to_s = static_cast<std::int64_t>((to + kSecondNs - 1) / kSecondNs);
  if (from >= to) query.wrong("from", "expected a time before \"to\"");
  read_step(query, usage);
  read_by(query, usage);
  usage.histograms = query.flag("latency");
  for (std::size_t i = 0; i < kByNames.size(); ++i) {
    const std::string given = query.text(kByNames[i]);
    if (given.empty()) continue;
    auto names = split(given);
    if (names.size() > kNamesMax) {
      query.wrong(kByNames[i], "expected at most " + std::to_string(kNamesMax) + " names");
    }
    usage.only[static_cast<UsageBy>(i)] = std::move(names);
  }
  if (!request.caller.account.empty()) {
    const auto restricted =
        restrict_to(place, request.caller, query, usage.only[UsageBy::kAccount]);
    if (!restricted) return restricted.error();
  }
  if (auto refused = query.refusal()) return *refused;

  auto rollups = store::Rollups::open(store::usage_file(place.directory));
  if (!rollups) {
    return error_answer(503, rollups.error().message + ".", "server_error", "usage_unreadable");
  }
  const auto rows = (*rollups)->usage(usage);
  if (!rows) return not_searched(rows.error());
  rapidjson::StringBuffer text;
  Json json(text);
  json.StartObject();
  json.Key("data");
  json.StartArray();
  for (const store::UsageRow& row : *rows) put_usage(json, usage, row, request.caller);
  json.EndArray();
  json.Key("next");
  json.Null();
  json.EndObject();
  return {200, text.GetString()};
}

}  // namespace

std::vector<Route> records_routes(fs::path directory, FindBodies find_bodies,
                                  FindFamily find_family) {
  const Place place{std::move(directory), std::move(find_family)};
  Route bodies{"GET",
               "/admin/v1/records/{id}/bodies",
               Access::kToken,
               [place, find_bodies = std::move(find_bodies)](const Request& request) {
                 return show_bodies(place, find_bodies, request);
               },
               Role::kOwner,
               true};
  bodies.audited_read = true;
  const auto of = [&place](Answer (*answer)(const Place&, const Request&)) {
    return [place, answer](const Request& request) { return answer(place, request); };
  };
  return {
      {"GET", "/admin/v1/records", Access::kToken, of(list_records), Role::kViewer, true},
      {"GET", "/admin/v1/records/{id}", Access::kToken, of(show_record), Role::kViewer, true},
      std::move(bodies),
      {"GET", "/admin/v1/usage", Access::kToken, of(list_usage), Role::kViewer, true},
  };
}

}  // namespace switchyard::admin
