#include "core/store/accounts.hpp"

#include <rapidjson/document.h>
#include <rapidjson/stringbuffer.h>
#include <rapidjson/writer.h>

#include <charconv>

namespace switchyard::store {
namespace {

constexpr std::string_view kModes[] = {"unmetered", "prepaid", "postpaid"};

#define ACCOUNT_COLUMNS                                                                    \
  "id, number, name, parent, parent_pays, mode, currency, credit_limit_nano, markup_ppm, " \
  "zone, metadata, created_unix_s, disabled_unix_s, limits"
#define KEY_COLUMNS                                                                          \
  "id, name, account, mac, models, created_unix_s, disabled_unix_s, deleted_unix_s, "        \
  "expires_unix_s, old_macs, features, endpoints, ip_ranges, default_feature, may_explain, " \
  "stores_bodies, body_bytes_max, metadata, limits, priority, providers, providers_denied, " \
  "regions"
// What was counted by count_change() in the same transaction.
#define THIS_CHANGE "(SELECT n FROM changes WHERE name = 'keys')"
// The accounts that are one or below it; its parameter is that one.
#define BELOW                                                                   \
  "(WITH RECURSIVE below(id) AS (SELECT CAST(? AS TEXT) UNION ALL "             \
  "SELECT accounts.id FROM accounts JOIN below ON accounts.parent = below.id) " \
  "SELECT id FROM below)"

std::string list_to_json(const std::vector<std::string>& texts) {
  rapidjson::StringBuffer buffer;
  rapidjson::Writer<rapidjson::StringBuffer> json(buffer);
  json.StartArray();
  for (const std::string& text : texts) json.String(text);
  json.EndArray();
  return {buffer.GetString(), buffer.GetSize()};
}

// Nothing where the text is no array of texts: an unreadable restriction must not become none.
std::optional<std::vector<std::string>> list_from_json(const std::string& text) {
  std::vector<std::string> texts;
  if (text == "[]") return texts;
  rapidjson::Document document;
  document.Parse<rapidjson::kParseIterativeFlag>(text.data(), text.size());
  if (document.HasParseError() || !document.IsArray()) return std::nullopt;
  for (const auto& each : document.GetArray()) {
    if (!each.IsString()) return std::nullopt;
    texts.emplace_back(each.GetString(), each.GetStringLength());
  }
  return texts;
}

// "MAC:UNTIL MAC:UNTIL"
std::string old_macs_to_text(const std::vector<OldMac>& macs) {
  std::string text;
  for (const OldMac& old : macs) {
    text += (text.empty() ? "" : " ") + old.mac_hex + ':' + std::to_string(old.until_unix_s);
  }
  return text;
}

std::vector<OldMac> old_macs_from_text(std::string_view text) {
  std::vector<OldMac> macs;
  while (!text.empty()) {
    const std::string_view one = text.substr(0, text.find(' '));
    text.remove_prefix(std::min(text.size(), one.size() + 1));
    const std::size_t colon = one.find(':');
    if (colon == std::string_view::npos) continue;
    OldMac old{std::string(one.substr(0, colon)), 0};
    const std::string_view until = one.substr(colon + 1);
    std::from_chars(until.data(), until.data() + until.size(), old.until_unix_s);
    macs.push_back(std::move(old));
  }
  return macs;
}

std::uint64_t count(const Statement& row, int column) {
  return static_cast<std::uint64_t>(row.number(column));
}

// In the order of the columns behind id and number.
void bind_account(Statement& statement, const AccountRow& row) {
  statement.bind(row.name).bind(row.parent).bind(row.parent_pays).bind(to_text(row.mode));
  statement.bind(row.currency).bind(row.credit_limit_nano).bind(row.markup_ppm).bind(row.zone);
  statement.bind(row.metadata).bind(row.created_unix_s).bind(row.disabled_unix_s);
  statement.bind(row.limits);
}

// In the order of the columns behind id.
void bind_key(Statement& statement, const KeyRow& row) {
  statement.bind(row.name).bind(row.account).bind(row.mac_hex).bind(list_to_json(row.models));
  statement.bind(row.created_unix_s).bind(row.disabled_unix_s).bind(row.deleted_unix_s);
  statement.bind(row.expires_unix_s).bind(old_macs_to_text(row.old_macs));
  statement.bind(list_to_json(row.features)).bind(list_to_json(row.endpoints));
  statement.bind(list_to_json(row.ip_ranges)).bind(row.default_feature).bind(row.may_explain);
  statement.bind(row.stores_bodies).bind(row.body_bytes_max).bind(row.metadata);
  statement.bind(row.limits).bind(row.priority);
  statement.bind(list_to_json(row.reach.providers)).bind(list_to_json(row.reach.providers_denied));
  statement.bind(list_to_json(row.reach.regions));
}

}  // namespace

std::string_view to_text(AccountMode mode) { return kModes[static_cast<std::size_t>(mode)]; }

std::optional<AccountMode> account_mode(std::string_view text) {
  for (std::size_t i = 0; i < std::size(kModes); ++i) {
    if (kModes[i] == text) return static_cast<AccountMode>(i);
  }
  return std::nullopt;
}

Result<void> Accounts::count_change() {
  return database_.prepare("UPDATE changes SET n = n + 1 WHERE name = 'keys'")->run();
}

// ---- accounts ----

Result<AccountRow> Accounts::account_of(const Statement& row) const {
  const auto mode = account_mode(row.text(5));
  if (!mode) {
    return database_.error("account " + row.text(0) + ": there is no mode " + row.text(5));
  }
  AccountRow found;
  found.id = row.text(0);
  found.number = row.number(1);
  found.name = row.text(2);
  found.parent = row.text(3);
  found.parent_pays = row.number(4) != 0;
  found.mode = *mode;
  found.currency = row.text(6);
  found.credit_limit_nano = row.number(7);
  found.markup_ppm = row.number(8);
  found.zone = row.text(9);
  found.metadata = row.text(10);
  found.created_unix_s = count(row, 11);
  found.disabled_unix_s = count(row, 12);
  found.limits = row.text(13);
  return found;
}

Result<void> Accounts::add_account(AccountRow& row) {
  return database_.transact([&]() -> Result<void> {
    if (auto counted = count_change(); !counted) return counted;
    const auto number = database_.number("SELECT COALESCE(MAX(number), 0) + 1 FROM accounts");
    if (!number) return number.error();
    row.number = *number;
    const auto insert = database_.prepare("INSERT INTO accounts (" ACCOUNT_COLUMNS
                                          ", change) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, "
                                          "?, ?, ?, ?, " THIS_CHANGE ")");
    insert->bind(row.id).bind(row.number);
    bind_account(*insert, row);
    return insert->run();
  });
}

Result<std::optional<AccountRow>> Accounts::account(const std::string& id) {
  const auto held = database_.lock();
  const auto select = database_.prepare("SELECT " ACCOUNT_COLUMNS " FROM accounts WHERE id = ?");
  const auto found = select->bind(id).step();
  if (!found) return found.error();
  if (!*found) return std::optional<AccountRow>();
  auto row = account_of(*select);
  if (!row) return row.error();
  return std::optional<AccountRow>(std::move(*row));
}

Result<std::vector<AccountRow>> Accounts::accounts(const AccountPage& page) {
  const auto held = database_.lock();
  const std::string sql =
      std::string("SELECT " ACCOUNT_COLUMNS " FROM accounts WHERE number > ") +
      (page.after.empty() ? "0" : "(SELECT number FROM accounts WHERE id = ?)") +
      (page.within.empty() ? "" : " AND id IN " BELOW) + " ORDER BY number LIMIT ?";
  const auto select = database_.prepare(sql.c_str());
  if (!page.after.empty()) select->bind(page.after);
  if (!page.within.empty()) select->bind(page.within);
  select->bind(page.limit);
  std::vector<AccountRow> rows;
  while (true) {
    const auto more = select->step();
    if (!more) return more.error();
    if (!*more) return rows;
    auto row = account_of(*select);
    if (!row) return row.error();
    rows.push_back(std::move(*row));
  }
}

Result<bool> Accounts::change_account(const std::string& id,
                                      const std::function<bool(AccountRow&)>& edit) {
  return database_.transact([&]() -> Result<bool> {
    auto row = account(id);
    if (!row) return row.error();
    if (!*row) return false;
    if (!edit(**row)) return true;
    if (const auto counted = count_change(); !counted) return counted.error();
    const auto update = database_.prepare(
        "UPDATE accounts SET name = ?, parent = ?, parent_pays = ?, mode = ?, currency = ?, "
        "credit_limit_nano = ?, markup_ppm = ?, zone = ?, metadata = ?, created_unix_s = ?, "
        "disabled_unix_s = ?, limits = ?, change = " THIS_CHANGE " WHERE id = ?");
    bind_account(*update, **row);
    if (const auto done = update->bind(id).run(); !done) return done.error();
    return true;
  });
}

Result<std::vector<AccountRow>> Accounts::lineage(const std::string& id) {
  const auto held = database_.lock();
  std::vector<AccountRow> rows;
  for (std::string next = id; !next.empty() && rows.size() < kAccountDepthMax;) {
    auto row = account(next);
    if (!row) return row.error();
    if (!*row) break;
    next = (*row)->parent;
    rows.push_back(std::move(**row));
  }
  return rows;
}

Result<std::vector<std::string>> Accounts::family(const std::string& id) {
  const auto held = database_.lock();
  const auto select =
      database_.prepare("SELECT id FROM accounts WHERE id IN " BELOW " ORDER BY id");
  select->bind(id);
  std::vector<std::string> ids;
  while (true) {
    const auto more = select->step();
    if (!more) return more.error();
    if (!*more) return ids;
    ids.push_back(select->text(0));
  }
}

// ---- keys ----

Result<KeyRow> Accounts::key_of(const Statement& row) const {
  KeyRow key;
  key.id = row.text(0);
  key.name = row.text(1);
  key.account = row.text(2);
  key.mac_hex = row.text(3);
  key.created_unix_s = count(row, 5);
  key.disabled_unix_s = count(row, 6);
  key.deleted_unix_s = count(row, 7);
  key.expires_unix_s = count(row, 8);
  key.old_macs = old_macs_from_text(row.text(9));
  key.default_feature = row.text(13);
  key.may_explain = row.number(14) != 0;
  key.stores_bodies = row.number(15) != 0;
  key.body_bytes_max = count(row, 16);
  key.metadata = row.text(17);
  key.limits = row.text(18);
  key.priority = row.text(19);
  struct List {
    int column;
    const char* name;
    std::vector<std::string>* texts;
  };
  const List lists[] = {{4, "models", &key.models},
                        {10, "features", &key.features},
                        {11, "endpoints", &key.endpoints},
                        {12, "ip_ranges", &key.ip_ranges},
                        {20, "providers", &key.reach.providers},
                        {21, "providers_denied", &key.reach.providers_denied},
                        {22, "regions", &key.reach.regions}};
  for (const List& list : lists) {
    auto texts = list_from_json(row.text(list.column));
    if (!texts) {
      return database_.error("key " + key.id + ": its " + list.name +
                             " are no JSON array of texts");
    }
    *list.texts = std::move(*texts);
  }
  return key;
}

Result<void> Accounts::add_key(const KeyRow& row) {
  return database_.transact([&]() -> Result<void> {
    const auto owner = account(row.account);
    if (!owner) return owner.error();
    if (!*owner) return database_.error("there is no account " + row.account);
    if (auto counted = count_change(); !counted) return counted;
    const auto insert =
        database_.prepare("INSERT INTO keys (" KEY_COLUMNS
                          ", change) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, "
                          "?, ?, ?, ?, ?, ?, ?, ?, ?, ?, " THIS_CHANGE ")");
    insert->bind(row.id);
    bind_key(*insert, row);
    return insert->run();
  });
}

Result<std::optional<KeyRow>> Accounts::key(const std::string& id) {
  const auto held = database_.lock();
  const auto select = database_.prepare("SELECT " KEY_COLUMNS " FROM keys WHERE id = ?");
  const auto found = select->bind(id).step();
  if (!found) return found.error();
  if (!*found) return std::optional<KeyRow>();
  auto row = key_of(*select);
  if (!row) return row.error();
  return std::optional<KeyRow>(std::move(*row));
}

Result<std::vector<KeyRow>> Accounts::keys(const AccountPage& page) {
  const auto held = database_.lock();
  const std::string sql =
      std::string("SELECT " KEY_COLUMNS " FROM keys WHERE ") +
      (page.after.empty() ? "1 = 1"
                          : "(created_unix_s, id) > (SELECT created_unix_s, id FROM keys WHERE "
                            "id = ?)") +
      (page.within.empty() ? "" : " AND account IN " BELOW) +
      " ORDER BY created_unix_s, id LIMIT ?";
  const auto select = database_.prepare(sql.c_str());
  if (!page.after.empty()) select->bind(page.after);
  if (!page.within.empty()) select->bind(page.within);
  select->bind(page.limit);
  std::vector<KeyRow> rows;
  while (true) {
    const auto more = select->step();
    if (!more) return more.error();
    if (!*more) return rows;
    auto row = key_of(*select);
    if (!row) return row.error();
    rows.push_back(std::move(*row));
  }
}

Result<bool> Accounts::change_key(const std::string& id, const std::function<bool(KeyRow&)>& edit) {
  return database_.transact([&]() -> Result<bool> {
    auto row = key(id);
    if (!row) return row.error();
    if (!*row) return false;
    if (!edit(**row)) return true;
    if (const auto counted = count_change(); !counted) return counted.error();
    const auto update = database_.prepare(
        "UPDATE keys SET name = ?, account = ?, mac = ?, models = ?, created_unix_s = ?, "
        "disabled_unix_s = ?, deleted_unix_s = ?, expires_unix_s = ?, old_macs = ?, features = ?, "
        "endpoints = ?, ip_ranges = ?, default_feature = ?, may_explain = ?, stores_bodies = ?, "
        "body_bytes_max = ?, metadata = ?, limits = ?, priority = ?, providers = ?, "
        "providers_denied = ?, regions = ?, change = " THIS_CHANGE " WHERE id = ?");
    bind_key(*update, **row);
    if (const auto done = update->bind(id).run(); !done) return done.error();
    return true;
  });
}

Result<Accounts::Presence> Accounts::presence() {
  const auto held = database_.lock();
  const auto any = database_.prepare("SELECT 1 FROM keys LIMIT 1");
  const auto has_any = any->step();
  if (!has_any) return has_any.error();
  const auto enabled = database_.prepare("SELECT 1 FROM keys WHERE disabled_unix_s = 0 LIMIT 1");
  const auto has_enabled = enabled->step();
  if (!has_enabled) return has_enabled.error();
  return Presence{*has_any, *has_enabled};
}

// ---- changes ----

Result<std::uint64_t> Accounts::version() {
  const auto version = database_.number("SELECT n FROM changes WHERE name = 'keys'");
  if (!version) return version.error();
  return static_cast<std::uint64_t>(*version);
}

Result<void> Accounts::accounts_since(std::uint64_t version,
                                      const std::function<void(AccountRow)>& visit) {
  const auto held = database_.lock();
  // Parents first: they have the smaller numbers.
  const auto select = database_.prepare("SELECT " ACCOUNT_COLUMNS
                                        " FROM accounts WHERE change > ? ORDER BY number");
  select->bind(version);
  while (true) {
    const auto more = select->step();
    if (!more) return more.error();
    if (!*more) return {};
    auto row = account_of(*select);
    if (!row) return row.error();
    visit(std::move(*row));
  }
}

Result<void> Accounts::keys_since(std::uint64_t version, const std::function<void(KeyRow)>& visit) {
  const auto held = database_.lock();
  const auto select = database_.prepare("SELECT " KEY_COLUMNS " FROM keys WHERE change > ?");
  select->bind(version);
  while (true) {
    const auto more = select->step();
    if (!more) return more.error();
    if (!*more) return {};
    auto row = key_of(*select);
    if (!row) return row.error();
    visit(std::move(*row));
  }
}

}  // namespace switchyard::store
