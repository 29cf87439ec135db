#include "core/account/registry.hpp"

#include <rapidjson/stringbuffer.h>
#include <rapidjson/writer.h>

#include <algorithm>
#include <set>
#include <span>

#include "core/base/json_scan.hpp"
#include "core/base/nano.hpp"
#include "core/base/near.hpp"
#include "core/base/utc.hpp"
#include "core/base/zone.hpp"
#include "core/config/rate_limits.hpp"
#include "core/net/ip_range.hpp"

namespace switchyard::account {
namespace {

using Json = rapidjson::Value;
using Writer = rapidjson::Writer<rapidjson::StringBuffer>;
using Fault = std::optional<Refusal>;
using store::AccountRow;
using store::KeyRow;

constexpr unsigned kDepthMax = 8;
constexpr std::size_t kPatternBytesMax = 256, kListMax = 256, kMetadataBytesMax = 4096;
constexpr std::uint64_t kGraceMaxS = 30 * 24 * 3600;
// An old MAC is told to workers for this long after its end.
constexpr std::uint64_t kOldMacKeptS = 24 * 3600;
constexpr std::int64_t kMarkupPpmMin = -1'000'000, kMarkupPpmMax = 1'000'000'000;

Refusal bad(std::string_view member, std::string_view expected) {
  return {400, "invalid_value", std::string(member) + ": expected " + std::string(expected),
          std::string(member)};
}

Refusal no_account(const std::string& id) {
  return {404, "account_not_found", "There is no account " + id + ".", {}};
}

Refusal no_key(const std::string& id) {
  return {404, "key_not_found", "There is no key " + id + ".", {}};
}

Refusal out_of_scope(std::string_view member) {
  return {403, "not_allowed",
          std::string(member) +
              ": not for a caller that is bound to an account; ask who runs the "
              "gateway",
          std::string(member)};
}

Refusal broken(const Error& error) { return {500, "store_failed", error.message, {}}; }

std::string_view text_of(const Json& value) { return {value.GetString(), value.GetStringLength()}; }

template <class Allowed>
bool all_of(std::string_view text, Allowed allowed) {
  return std::all_of(text.begin(), text.end(), allowed);
}

bool is_alnum(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

bool is_key_name(std::string_view name) {
  return !name.empty() && name.size() <= 64 &&
         all_of(name, [](char c) { return is_alnum(c) || c == '.' || c == '_' || c == '-'; });
}

bool is_account_name(std::string_view name) {
  return !name.empty() && name.size() <= 128 && name.front() != ' ' && name.back() != ' ' &&
         all_of(name, [](char c) { return static_cast<unsigned char>(c) >= 0x20 && c != 0x7f; });
}

bool is_pattern(std::string_view pattern) {
  return !pattern.empty() && pattern.size() <= kPatternBytesMax &&
         all_of(pattern, [](char c) { return static_cast<unsigned char>(c) > 0x20 && c != 0x7f; });
}

bool is_currency(std::string_view currency) {
  return currency.size() == 3 && all_of(currency, [](char c) { return c >= 'A' && c <= 'Z'; });
}

// ---- members, read ----

Fault read_text(const Json& value, const char* member, bool (*good)(std::string_view),
                const char* expected, std::string& out) {
  if (!value.IsString() || !good(text_of(value))) return bad(member, expected);
  out = text_of(value);
  return std::nullopt;
}

Fault read_flag(const Json& value, const char* member, bool& out) {
  if (!value.IsBool()) return bad(member, "true or false");
  out = value.GetBool();
  return std::nullopt;
}

Fault read_list(const Json& value, const char* member, std::vector<std::string>& out) {
  constexpr char kExpected[] = "an array of up to 256 names or patterns without spaces";
  if (!value.IsArray() || value.Size() > kListMax) return bad(member, kExpected);
  std::vector<std::string> texts;
  for (const Json& each : value.GetArray()) {
    if (!each.IsString() || !is_pattern(text_of(each))) return bad(member, kExpected);
    texts.emplace_back(text_of(each));
  }
  out = std::move(texts);
  return std::nullopt;
}

Fault read_ranges(const Json& value, std::vector<std::string>& out) {
  std::vector<std::string> texts;
  if (auto fault = read_list(value, "ip_ranges", texts)) return fault;
  for (const std::string& text : texts) {
    const auto range = net::parse_ip_range(text);
    if (!range)
      return Refusal{400, "invalid_value", "ip_ranges: " + range.error().message, "ip_ranges"};
  }
  out = std::move(texts);
  return std::nullopt;
}

Fault read_metadata(const Json& value, std::string& out) {
  rapidjson::StringBuffer buffer;
  Writer json(buffer);
  value.Accept(json);
  if (!value.IsObject() || buffer.GetSize() > kMetadataBytesMax) {
    return bad("metadata", "an object of at most 4096 bytes");
  }
  out.assign(buffer.GetString(), buffer.GetSize());
  return std::nullopt;
}

Fault read_expiry(const Json& value, std::uint64_t& out) {
  const auto time = value.IsString() ? parse_utc(text_of(value)) : std::nullopt;
  if (!value.IsNull() && (!time || *time == 0)) {
    return bad("expires", "a time such as 2027-01-31T00:00:00Z, or null for never");
  }
  out = time.value_or(0);
  return std::nullopt;
}

Fault read_zone(const Json& value, std::string& out) {
  if (!value.IsString()) return bad("zone", "a time zone such as Europe/Berlin");
  const auto zone = Zone::find(text_of(value));
  if (!zone) return Refusal{400, "invalid_value", "zone: " + zone.error().message, "zone"};
  out = text_of(value);
  return std::nullopt;
}

// Beside those that it has; null and 0 lift one.
Fault read_limits(const Json& value, std::string& out) {
  rapidjson::Document document;
  document.Parse(out.data(), out.size());
  config::RateLimits limits;
  (void)config::read_rate_limits(document, limits);
  const auto wrong = config::read_rate_limits(value, limits);
  if (wrong) return Refusal{400, "invalid_value", "limits: " + *wrong, "limits"};
  out = config::to_json(limits);
  return std::nullopt;
}

bool is_priority(std::string_view text) { return config::parse_priority(text).has_value(); }

// What may be said of an account.
Fault read_account_member(const std::string& name, const Json& value, AccountRow& row) {
  if (name == "name") {
    return read_text(value, "name", is_account_name, "1 to 128 characters of text", row.name);
  }
  if (name == "parent") {
    return read_text(value, "parent", is_pattern, "the id of an account", row.parent);
  }
  if (name == "currency") {
    return read_text(value, "currency", is_currency, "three capital letters such as USD",
                     row.currency);
  }
  if (name == "zone") return read_zone(value, row.zone);
  if (name == "limits") return read_limits(value, row.limits);
  if (name == "metadata") return read_metadata(value, row.metadata);
  if (name == "payer") {
    const bool parent = value.IsString() && text_of(value) == "parent";
    if (!parent && !(value.IsString() && text_of(value) == "self")) {
      return bad("payer", "\"self\" or \"parent\"");
    }
    row.parent_pays = parent;
    return std::nullopt;
  }
  if (name == "mode") {
    const auto mode = value.IsString() ? store::account_mode(text_of(value)) : std::nullopt;
    if (!mode) return bad("mode", "\"unmetered\", \"prepaid\" or \"postpaid\"");
    row.mode = *mode;
    return std::nullopt;
  }
  if (name == "credit_limit") {
    const auto limit = value.IsString() ? parse_nano(text_of(value)) : std::nullopt;
    if (!limit) return bad("credit_limit", "an amount of 0 or more as a text, such as \"100.50\"");
    row.credit_limit_nano = *limit;
    return std::nullopt;
  }
  // markup_ppm
  if (!value.IsInt64() || value.GetInt64() < kMarkupPpmMin || value.GetInt64() > kMarkupPpmMax) {
    return bad("markup_ppm", "millionths to add to prices, -1000000 to 1000000000");
  }
  row.markup_ppm = value.GetInt64();
  return std::nullopt;
}

Fault read_key_member(const std::string& name, const Json& value, KeyRow& row) {
  if (name == "name") {
    return read_text(value, "name", is_key_name, "1 to 64 characters of A-Z, a-z, 0-9, . _ and -",
                     row.name);
  }
  if (name == "account") {
    return read_text(value, "account", is_pattern, "the id of an account", row.account);
  }
  if (name == "models") return read_list(value, "models", row.models);
  if (name == "features") return read_list(value, "features", row.features);
  if (name == "endpoints") return read_list(value, "endpoints", row.endpoints);
  if (name == "providers") return read_list(value, "providers", row.reach.providers);
  if (name == "providers_denied") {
    return read_list(value, "providers_denied", row.reach.providers_denied);
  }
  if (name == "regions") return read_list(value, "regions", row.reach.regions);
  if (name == "ip_ranges") return read_ranges(value, row.ip_ranges);
  if (name == "default_feature") {
    if (value.IsNull()) {
      row.default_feature.clear();
      return std::nullopt;
    }
    return read_text(value, "default_feature", is_pattern, "the name of a feature, or null",
                     row.default_feature);
  }
  if (name == "may_explain") return read_flag(value, "may_explain", row.may_explain);
  if (name == "stores_bodies") return read_flag(value, "stores_bodies", row.stores_bodies);
  if (name == "expires") return read_expiry(value, row.expires_unix_s);
  if (name == "metadata") return read_metadata(value, row.metadata);
  if (name == "limits") return read_limits(value, row.limits);
  if (name == "priority") {
    return read_text(value, "priority", is_priority, "\"low\", \"normal\" or \"high\"",
                     row.priority);
  }
  // body_bytes_max
  if (!value.IsUint64() || value.GetUint64() > std::uint64_t{1} << 40) {
    return bad("body_bytes_max", "a number of bytes, or 0 for the gateway's limit");
  }
  row.body_bytes_max = value.GetUint64();
  return std::nullopt;
}

const std::vector<std::string> kAccountMembers = {"name",     "parent",       "payer", "mode",
                                                  "currency", "credit_limit", "zone",  "markup_ppm",
                                                  "metadata", "limits"};
const std::vector<std::string> kKeyMembers = {
    "name",     "account",         "models",      "features",         "endpoints",      "ip_ranges",
    "metadata", "default_feature", "may_explain", "stores_bodies",    "body_bytes_max", "expires",
    "limits",   "priority",        "providers",   "providers_denied", "regions"};

// What only those say who run the gateway.
constexpr const char* kMoneyMembers[] = {"payer", "mode", "credit_limit", "markup_ppm", "limits"};
constexpr const char* kHostMembers[] = {"may_explain", "body_bytes_max", "priority"};
// What an account or a key is made with, and keeps.
constexpr const char* kAccountFixed[] = {"parent", "currency"};
constexpr const char* kKeyFixed[] = {"account"};

template <class Row>
Fault read_members(const Json& fields, const std::vector<std::string>& known,
                   Fault (*read)(const std::string&, const Json&, Row&), Row& row) {
  std::set<std::string> seen;
  for (const auto& member : fields.GetObject()) {
    const std::string name(text_of(member.name));
    if (std::find(known.begin(), known.end(), name) == known.end()) {
      return Refusal{400, "unknown_member",
                     "There is no member \"" + name + "\"" + did_you_mean(name, known), name};
    }
    if (!seen.insert(name).second) {
      return Refusal{400, "duplicate_member", name + ": is there twice", name};
    }
    if (auto fault = read(name, member.value, row)) return fault;
  }
  return std::nullopt;
}

// What members say together.
Fault check(const AccountRow& row) {
  if (row.name.empty()) return bad("name", "1 to 128 characters of text");
  if (row.parent_pays && row.parent.empty()) {
    return bad("payer", "\"self\", for there is no parent");
  }
  if (row.parent_pays && row.mode != store::AccountMode::kUnmetered) {
    return bad("mode", "none where the parent pays: its mode holds");
  }
  if (row.credit_limit_nano > 0 && row.mode != store::AccountMode::kPostpaid) {
    return bad("credit_limit", "0, for only a postpaid account has one");
  }
  return std::nullopt;
}

Fault check_members(const Json& fields, std::span<const char* const> forbidden,
                    Refusal (*refusal)(std::string_view)) {
  for (const char* member : forbidden) {
    if (fields.HasMember(member)) return refusal(member);
  }
  return std::nullopt;
}

Refusal is_fixed(std::string_view member) {
  return {400, "invalid_value", std::string(member) + ": is what it was made with, and stays so",
          std::string(member)};
}

// ---- members, shown ----

void put(Writer& json, const char* name, std::string_view text) {
  json.Key(name);
  json.String(text.data(), static_cast<rapidjson::SizeType>(text.size()));
}

void put_or_null(Writer& json, const char* name, std::string_view text) {
  if (!text.empty()) return put(json, name, text);
  json.Key(name);
  json.Null();
}

void put_time(Writer& json, const char* name, std::uint64_t unix_s) {
  put_or_null(json, name, unix_s == 0 ? std::string() : utc_text(unix_s));
}

void put_list(Writer& json, const char* name, const std::vector<std::string>& texts) {
  json.Key(name);
  json.StartArray();
  for (const std::string& text : texts) json.String(text);
  json.EndArray();
}

void put_flag(Writer& json, const char* name, bool value) {
  json.Key(name);
  json.Bool(value);
}

void put_raw(Writer& json, const char* name, const std::string& raw) {
  json.Key(name);
  json.RawValue(raw.data(), raw.size(), rapidjson::kObjectType);
}

void put_key(Writer& json, const KeyRow& row, std::uint64_t now_unix_s) {
  put(json, "id", row.id);
  put(json, "name", row.name);
  put(json, "account", row.account);
  put(json, "state", state_of(row, now_unix_s));
  put_list(json, "models", row.models);
  put_list(json, "features", row.features);
  put_list(json, "endpoints", row.endpoints);
  put_list(json, "ip_ranges", row.ip_ranges);
  put_list(json, "providers", row.reach.providers);
  put_list(json, "providers_denied", row.reach.providers_denied);
  put_list(json, "regions", row.reach.regions);
  put_or_null(json, "default_feature", row.default_feature);
  put_flag(json, "may_explain", row.may_explain);
  put_flag(json, "stores_bodies", row.stores_bodies);
  json.Key("body_bytes_max");
  json.Uint64(row.body_bytes_max);
  put_raw(json, "limits", row.limits);
  put(json, "priority", row.priority);
  put_raw(json, "metadata", row.metadata);
  put_time(json, "created", row.created_unix_s);
  put_time(json, "expires", row.expires_unix_s);
  put_time(json, "disabled", row.disabled_unix_s);
  put_time(json, "deleted", row.deleted_unix_s);
  std::uint64_t grace_until = 0;
  for (const store::OldMac& old : row.old_macs) {
    if (old.until_unix_s > now_unix_s) grace_until = std::max(grace_until, old.until_unix_s);
  }
  put_time(json, "grace_until", grace_until);
}

}  // namespace

std::string_view state_of(const KeyRow& row, std::uint64_t now_unix_s) {
  if (row.deleted_unix_s != 0) return "deleted";
  if (row.disabled_unix_s != 0) return "disabled";
  return row.expires_unix_s != 0 && row.expires_unix_s <= now_unix_s ? "expired" : "enabled";
}

Done<rapidjson::Document> parse_fields(std::string_view text) {
  JsonIndex index;
  // First: the tree is built by something that minds neither depth nor encoding.
  const auto scanned = index.scan(text, kDepthMax);
  if (!scanned) {
    return Refusal{400,
                   "bad_body",
                   "The body is no JSON object: " + std::string(scanned.error().what) +
                       " at byte " + std::to_string(scanned.error().at) + ".",
                   {}};
  }
  rapidjson::Document document;
  document.Parse<rapidjson::kParseIterativeFlag>(text.data(), text.size());
  if (document.HasParseError() || !document.IsObject()) {
    return Refusal{400, "bad_body", "The body is no JSON object.", {}};
  }
  return document;
}

Done<AccountRow> read_account(const Json& fields) {
  AccountRow row;
  if (auto fault = read_members(fields, kAccountMembers, read_account_member, row)) {
    return std::move(*fault);
  }
  if (auto fault = check(row)) return std::move(*fault);
  return row;
}

Done<KeyRow> read_key(const Json& fields) {
  KeyRow row;
  if (auto fault = read_members(fields, kKeyMembers, read_key_member, row)) {
    return std::move(*fault);
  }
  if (row.name.empty()) return bad("name", "1 to 64 characters of A-Z, a-z, 0-9, . _ and -");
  return row;
}

std::string to_json(const AccountRow& row) {
  rapidjson::StringBuffer buffer;
  Writer json(buffer);
  json.StartObject();
  put(json, "id", row.id);
  put(json, "name", row.name);
  put_or_null(json, "parent", row.parent);
  put(json, "payer", row.parent_pays ? "parent" : "self");
  put(json, "mode", store::to_text(row.mode));
  put(json, "currency", row.currency);
  put(json, "credit_limit", format_nano(row.credit_limit_nano));
  json.Key("markup_ppm");
  json.Int64(row.markup_ppm);
  put(json, "zone", row.zone);
  put_raw(json, "limits", row.limits);
  put_raw(json, "metadata", row.metadata);
  put_time(json, "created", row.created_unix_s);
  put_time(json, "disabled", row.disabled_unix_s);
  json.EndObject();
  return {buffer.GetString(), buffer.GetSize()};
}

std::string to_json(const KeyRow& row, std::uint64_t now_unix_s) {
  rapidjson::StringBuffer buffer;
  Writer json(buffer);
  json.StartObject();
  put_key(json, row, now_unix_s);
  json.EndObject();
  return {buffer.GetString(), buffer.GetSize()};
}

std::string to_json(const MintedKey& minted, std::uint64_t now_unix_s) {
  rapidjson::StringBuffer buffer;
  Writer json(buffer);
  json.StartObject();
  put_key(json, minted.row, now_unix_s);
  put(json, "key", minted.key.reveal());
  put(json, "mac", minted.row.mac_hex);
  json.EndObject();
  return {buffer.GetString(), buffer.GetSize()};
}

// ---- who sees what ----

// Whether the account is there for this scope.
Done<bool> Registry::reaches(const std::string& scope, const std::string& account) {
  const auto lineage = accounts_.lineage(account);
  if (!lineage) return broken(lineage.error());
  if (scope.empty()) return !lineage->empty();
  return std::any_of(lineage->begin(), lineage->end(),
                     [&](const AccountRow& row) { return row.id == scope; });
}

// The account to list below: what is asked for where the scope has it, else the scope.
Done<std::string> Registry::narrowed(const std::string& scope, const std::string& within) {
  if (within.empty()) return scope;
  const auto reached = reaches(scope, within);
  if (!reached) return reached.error();
  if (!*reached) return no_account(within);
  return within;
}

// ---- accounts ----

Done<AccountRow> Registry::create_account(const std::string& scope, const Json& fields,
                                          std::uint64_t now_unix_s) {
  if (!scope.empty()) {
    if (auto fault = check_members(fields, kMoneyMembers, out_of_scope)) return std::move(*fault);
  }
  auto read = read_account(fields);
  if (!read) return read;
  AccountRow& row = *read;
  row.id = new_id("acc_");
  row.created_unix_s = now_unix_s;
  if (!scope.empty()) {
    if (row.parent.empty()) row.parent = scope;
    row.parent_pays = true;
  }
  if (!row.parent.empty()) {
    const auto reached = reaches(scope, row.parent);
    if (!reached) return reached.error();
    if (!*reached) return no_account(row.parent);
    const auto above = accounts_.lineage(row.parent);
    if (!above) return broken(above.error());
    if (above->size() >= store::kAccountDepthMax) {
      return bad("parent", "an account that is less than 8 deep");
    }
    if (row.parent_pays) {
      if (fields.HasMember("currency") && row.currency != above->front().currency) {
        return bad("currency", above->front().currency + ", which the parent pays in");
      }
      row.currency = above->front().currency;
    }
  }
  const auto added = accounts_.add_account(row);
  if (!added) return broken(added.error());
  return read;
}

Done<AccountRow> Registry::change_account(const std::string& scope, const std::string& id,
                                          const Json& fields) {
  const auto reached = reaches(scope, id);
  if (!reached) return reached.error();
  if (!*reached) return no_account(id);
  if (auto fault = check_members(fields, kAccountFixed, is_fixed)) {
    return std::move(*fault);
  }
  if (!scope.empty()) {
    if (auto fault = check_members(fields, kMoneyMembers, out_of_scope)) return std::move(*fault);
  }
  Fault fault;
  AccountRow after;
  const auto found = accounts_.change_account(id, [&](AccountRow& row) {
    fault = read_members(fields, kAccountMembers, read_account_member, row);
    if (!fault) fault = check(row);
    after = row;
    return !fault;
  });
  if (!found) return broken(found.error());
  if (!*found) return no_account(id);
  if (fault) return std::move(*fault);
  return after;
}

Done<AccountRow> Registry::enable_account(const std::string& scope, const std::string& id,
                                          bool enabled, std::uint64_t now_unix_s) {
  const auto reached = reaches(scope, id);
  if (!reached) return reached.error();
  if (!*reached) return no_account(id);
  // What was done to it from above is not its own to undo.
  if (id == scope) return out_of_scope("account");
  AccountRow after;
  const auto found = accounts_.change_account(id, [&](AccountRow& row) {
    const bool changes = enabled == (row.disabled_unix_s != 0);
    if (changes) row.disabled_unix_s = enabled ? 0 : now_unix_s;
    after = row;
    return changes;
  });
  if (!found) return broken(found.error());
  if (!*found) return no_account(id);
  return after;
}

Done<AccountRow> Registry::account(const std::string& scope, const std::string& id) {
  const auto reached = reaches(scope, id);
  if (!reached) return reached.error();
  if (!*reached) return no_account(id);
  auto row = accounts_.account(id);
  if (!row) return broken(row.error());
  if (!*row) return no_account(id);
  return std::move(**row);
}

Done<std::vector<AccountRow>> Registry::accounts(const std::string& scope,
                                                 store::AccountPage page) {
  auto within = narrowed(scope, page.within);
  if (!within) return within.error();
  page.within = std::move(*within);
  auto rows = accounts_.accounts(page);
  if (!rows) return broken(rows.error());
  return std::move(*rows);
}

// ---- keys ----

Done<MintedKey> Registry::create_key(const std::string& scope, const Json& fields,
                                     std::uint64_t now_unix_s) {
  if (!scope.empty()) {
    if (auto fault = check_members(fields, kHostMembers, out_of_scope)) return std::move(*fault);
  }
  auto read = read_key(fields);
  if (!read) return read.error();
  MintedKey minted{std::move(*read), {}};
  KeyRow& row = minted.row;
  if (row.account.empty()) {
    row.account = scope.empty() ? std::string(store::kDefaultAccount) : scope;
  }
  const auto reached = reaches(scope, row.account);
  if (!reached) return reached.error();
  if (!*reached) return no_account(row.account);
  minted.key = new_gateway_key();
  row.id = new_id("key_");
  row.mac_hex = to_hex(pepper_.mac(minted.key.reveal()));
  row.created_unix_s = now_unix_s;
  const auto added = accounts_.add_key(row);
  if (!added) return broken(added.error());
  return minted;
}

Done<KeyRow> Registry::change_key(const std::string& scope, const std::string& id,
                                  const Json& fields) {
  const auto before = key(scope, id);
  if (!before) return before.error();
  if (auto fault = check_members(fields, kKeyFixed, is_fixed)) return std::move(*fault);
  if (!scope.empty()) {
    if (auto fault = check_members(fields, kHostMembers, out_of_scope)) return std::move(*fault);
  }
  Fault fault;
  KeyRow after;
  const auto found = accounts_.change_key(id, [&](KeyRow& row) {
    fault = read_members(fields, kKeyMembers, read_key_member, row);
    after = row;
    return !fault;
  });
  if (!found) return broken(found.error());
  if (!*found) return no_key(id);
  if (fault) return std::move(*fault);
  return after;
}

Done<MintedKey> Registry::rotate_key(const std::string& scope, const std::string& id,
                                     std::uint64_t grace_s, std::uint64_t now_unix_s) {
  if (grace_s > kGraceMaxS) return bad("grace", "at most 30 days");
  const auto before = key(scope, id);
  if (!before) return before.error();
  MintedKey minted;
  minted.key = new_gateway_key();
  const std::string mac = to_hex(pepper_.mac(minted.key.reveal()));
  bool gone = false;
  const auto found = accounts_.change_key(id, [&](KeyRow& row) {
    gone = row.deleted_unix_s != 0;
    if (gone) return false;
    std::erase_if(row.old_macs, [&](const store::OldMac& old) {
      return old.until_unix_s + kOldMacKeptS < now_unix_s;
    });
    row.old_macs.push_back({row.mac_hex, now_unix_s + grace_s});
    for (store::OldMac& old : row.old_macs) {
      old.until_unix_s = std::min(old.until_unix_s, now_unix_s + grace_s);
    }
    row.mac_hex = mac;
    minted.row = row;
    return true;
  });
  if (!found) return broken(found.error());
  if (!*found) return no_key(id);
  if (gone)
    return Refusal{409, "key_deleted", "The key " + id + " is deleted; make a new one.", {}};
  return minted;
}

Done<KeyRow> Registry::set_key(const std::string& scope, const std::string& id, KeyChange change,
                               std::uint64_t now_unix_s) {
  const auto before = key(scope, id);
  if (!before) return before.error();
  KeyRow after;
  bool gone = false;
  const auto found = accounts_.change_key(id, [&](KeyRow& row) {
    gone = row.deleted_unix_s != 0 && change == KeyChange::kEnable;
    if (gone) return false;
    // The first time stands.
    if (change == KeyChange::kEnable) row.disabled_unix_s = 0;
    if (change != KeyChange::kEnable && row.disabled_unix_s == 0) row.disabled_unix_s = now_unix_s;
    if (change == KeyChange::kDelete && row.deleted_unix_s == 0) row.deleted_unix_s = now_unix_s;
    after = row;
    return true;
  });
  if (!found) return broken(found.error());
  if (!*found) return no_key(id);
  if (gone)
    return Refusal{409, "key_deleted", "The key " + id + " is deleted; make a new one.", {}};
  return after;
}

Done<KeyRow> Registry::key(const std::string& scope, const std::string& id) {
  auto row = accounts_.key(id);
  if (!row) return broken(row.error());
  if (!*row) return no_key(id);
  const auto reached = reaches(scope, (*row)->account);
  if (!reached) return reached.error();
  if (!*reached) return no_key(id);
  return std::move(**row);
}

Done<std::vector<KeyRow>> Registry::keys(const std::string& scope, store::AccountPage page) {
  auto within = narrowed(scope, page.within);
  if (!within) return within.error();
  page.within = std::move(*within);
  auto rows = accounts_.keys(page);
  if (!rows) return broken(rows.error());
  return std::move(*rows);
}

}  // namespace switchyard::account
