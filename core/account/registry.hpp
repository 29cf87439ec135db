// Accounts and keys as people make and change them: the admin API and the command line say the
// same here.
#pragma once

#include <rapidjson/document.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/account/keys.hpp"
#include "core/account/refusal.hpp"
#include "core/base/result.hpp"
#include "core/base/secret.hpp"
#include "core/store/accounts.hpp"

namespace switchyard::account {

template <class T>
using Done = Result<T, Refusal>;

struct MintedKey {
  store::KeyRow row;
  Secret key;  // shown this once
};

// A JSON object of few, shallow members.
Done<rapidjson::Document> parse_fields(std::string_view json);

// What the members say of a new one, before anything is asked of a store. `account`, `parent` and
// what they decide are as the members say.
Done<store::AccountRow> read_account(const rapidjson::Value& fields);
Done<store::KeyRow> read_key(const rapidjson::Value& fields);

// What is shown of them, one JSON object each; nothing of it authenticates.
std::string to_json(const store::AccountRow& row);
std::string to_json(const store::KeyRow& row, std::uint64_t now_unix_s);
// {"id":..., ..., "key":"sy-...","mac":"..."}
std::string to_json(const MintedKey& minted, std::uint64_t now_unix_s);

// "enabled", "disabled", "expired" or "deleted".
std::string_view state_of(const store::KeyRow& row, std::uint64_t now_unix_s);

// Whoever acts is bound to `scope`: an account, it and those below it alone are there for them.
// Empty: all are. Blocking.
class Registry {
 public:
  // Outlived by `accounts`.
  Registry(store::Accounts& accounts, Pepper pepper)
      : accounts_(accounts), pepper_(std::move(pepper)) {}

  // Members: name, parent, payer (self|parent), mode, currency, credit_limit, markup_ppm, zone,
  // metadata, limits. Under a scope the new one is below it and spends its parent's balance.
  Done<store::AccountRow> create_account(const std::string& scope, const rapidjson::Value& fields,
                                         std::uint64_t now_unix_s);
  // All but parent and currency.
  Done<store::AccountRow> change_account(const std::string& scope, const std::string& id,
                                         const rapidjson::Value& fields);
  Done<store::AccountRow> enable_account(const std::string& scope, const std::string& id,
                                         bool enabled, std::uint64_t now_unix_s);
  Done<store::AccountRow> account(const std::string& scope, const std::string& id);
  Done<std::vector<store::AccountRow>> accounts(const std::string& scope, store::AccountPage page);

  // Members: name, account, models, features, endpoints, ip_ranges, default_feature, may_explain,
  // stores_bodies, body_bytes_max, expires, metadata, limits, priority, providers,
  // providers_denied, regions.
  Done<MintedKey> create_key(const std::string& scope, const rapidjson::Value& fields,
                             std::uint64_t now_unix_s);
  // All but account.
  Done<store::KeyRow> change_key(const std::string& scope, const std::string& id,
                                 const rapidjson::Value& fields);
  // A new secret; the one before is good for `grace_s` more, at most.
  Done<MintedKey> rotate_key(const std::string& scope, const std::string& id, std::uint64_t grace_s,
                             std::uint64_t now_unix_s);
  enum class KeyChange { kEnable, kDisable, kDelete };
  Done<store::KeyRow> set_key(const std::string& scope, const std::string& id, KeyChange change,
                              std::uint64_t now_unix_s);
  Done<store::KeyRow> key(const std::string& scope, const std::string& id);
  Done<std::vector<store::KeyRow>> keys(const std::string& scope, store::AccountPage page);

 private:
  Done<bool> reaches(const std::string& scope, const std::string& account);
  Done<std::string> narrowed(const std::string& scope, const std::string& within);

  store::Accounts& accounts_;
  Pepper pepper_;
};

}  // namespace switchyard::account
