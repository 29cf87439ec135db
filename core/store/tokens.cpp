#include "core/store/tokens.hpp"

namespace switchyard::store {
namespace {

#define TOKEN_COLUMNS \
  "id, name, role, account, mac, created_by, created_unix_s, expires_unix_s, disabled_unix_s"

TokenRow token_of(const Statement& row) {
  TokenRow token;
  token.id = row.text(0);
  token.name = row.text(1);
  token.role = row.text(2);
  token.account = row.text(3);
  token.mac_hex = row.text(4);
  token.created_by = row.text(5);
  token.created_unix_s = static_cast<std::uint64_t>(row.number(6));
  token.expires_unix_s = static_cast<std::uint64_t>(row.number(7));
  token.disabled_unix_s = static_cast<std::uint64_t>(row.number(8));
  return token;
}

Result<std::optional<TokenRow>> find_one(Database& database, const char* sql,
                                         const std::string& value) {
  const auto held = database.lock();
  const auto select = database.prepare(sql);
  const auto found = select->bind(value).step();
  if (!found) return found.error();
  if (!*found) return std::optional<TokenRow>();
  return std::optional(token_of(*select));
}

}  // namespace

Result<void> Tokens::add(const TokenRow& token) {
  const auto held = database_.lock();
  const auto insert = database_.prepare("INSERT INTO admin_tokens (" TOKEN_COLUMNS
                                        ") VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)");
  insert->bind(token.id).bind(token.name).bind(token.role).bind(token.account);
  insert->bind(token.mac_hex).bind(token.created_by).bind(token.created_unix_s);
  insert->bind(token.expires_unix_s).bind(token.disabled_unix_s);
  return insert->run();
}

Result<std::optional<TokenRow>> Tokens::find_by_mac(const std::string& mac_hex) {
  return find_one(database_, "SELECT " TOKEN_COLUMNS " FROM admin_tokens WHERE mac = ?", mac_hex);
}

Result<std::optional<TokenRow>> Tokens::find(const std::string& id) {
  return find_one(database_, "SELECT " TOKEN_COLUMNS " FROM admin_tokens WHERE id = ?", id);
}

Result<std::vector<TokenRow>> Tokens::list(const std::string& after, std::uint64_t limit) {
  const auto held = database_.lock();
  const auto select = database_.prepare("SELECT " TOKEN_COLUMNS
                                        " FROM admin_tokens WHERE id > ? ORDER BY id LIMIT ?");
  select->bind(after).bind(limit);
  std::vector<TokenRow> rows;
  while (true) {
    const auto row = select->step();
    if (!row) return row.error();
    if (!*row) return rows;
    rows.push_back(token_of(*select));
  }
}

Result<bool> Tokens::disable(const std::string& id, std::uint64_t at_unix_s) {
  return database_.transact([&]() -> Result<bool> {
    const auto known = find(id);
    if (!known) return known.error();
    if (!*known) return false;
    const auto update = database_.prepare(
        "UPDATE admin_tokens SET disabled_unix_s = ? WHERE id = ? AND disabled_unix_s = 0");
    const auto done = update->bind(at_unix_s).bind(id).run();
    if (!done) return done.error();
    return true;
  });
}

}  // namespace switchyard::store
