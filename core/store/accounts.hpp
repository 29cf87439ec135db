// Accounts and their gateway keys, and which of them changed since.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/result.hpp"
#include "core/config/reach.hpp"
#include "core/store/database.hpp"

namespace switchyard::store {

// Always there; keys that name no other account are its.
inline constexpr std::string_view kDefaultAccount = "default";
// From a top account down, itself counted: whoever follows parents has an end.
inline constexpr unsigned kAccountDepthMax = 8;

enum class AccountMode : std::uint8_t { kUnmetered, kPrepaid, kPostpaid };
std::string_view to_text(AccountMode mode);
std::optional<AccountMode> account_mode(std::string_view text);

// Times are seconds since 1970, 0 stands for never.
struct AccountRow {
  std::string id;           // "acc_...", "default"
  std::int64_t number = 0;  // never used again; given by add_account()
  std::string name;
  std::string parent;        // empty: a top account. Never changes, nor does the currency.
  bool parent_pays = false;  // no balance of its own
  AccountMode mode = AccountMode::kUnmetered;
  std::string currency = "USD";
  std::int64_t credit_limit_nano = 0;  // how far below zero it may go, as a number >= 0
  std::int64_t markup_ppm = 0;         // on prices; below 0: a discount
  std::string zone = "UTC";            // IANA
  std::string metadata = "{}";         // a JSON object
  std::uint64_t created_unix_s = 0, disabled_unix_s = 0;
  std::string limits = "{}";  // as config::to_json() writes them
};

// A MAC that a key had before it was rotated.
struct OldMac {
  std::string mac_hex;
  std::uint64_t until_unix_s = 0;  // good before this
  bool operator==(const OldMac&) const = default;
};

// Lists are names or patterns with '*'; an empty one does not restrict.
struct KeyRow {
  std::string id, name, account, mac_hex;
  std::vector<std::string> models;
  std::uint64_t created_unix_s = 0, disabled_unix_s = 0;
  std::uint64_t deleted_unix_s = 0;  // disabled for ever
  std::uint64_t expires_unix_s = 0;
  std::vector<OldMac> old_macs;
  std::vector<std::string> features, endpoints;
  std::vector<std::string> ip_ranges;  // "10.0.0.0/8", "::1"
  std::string default_feature;
  bool may_explain = false, stores_bodies = false;
  std::uint64_t body_bytes_max = 0;  // 0: the host's limit
  std::string metadata = "{}";       // a JSON object
  std::string limits = "{}";         // as config::to_json() writes them
  std::string priority = "normal";   // "low", "normal", "high"
  config::Reach reach;
};

// Which rows of a list: those behind the id `after`, the oldest first.
struct AccountPage {
  std::string after;
  std::uint64_t limit = 100;
  std::string within;  // an account: it and those below it. Empty: all
};

// Calls are serialised inside. Blocking: never on a loop.
class Accounts {
 public:
  explicit Accounts(Database& database) : database_(database) {}

  // Gives the row its number. An error where the id is taken.
  Result<void> add_account(AccountRow& row);
  Result<std::optional<AccountRow>> account(const std::string& id);
  Result<std::vector<AccountRow>> accounts(const AccountPage& page);
  // Reads, has `edit` change it, and writes, in one transaction; nothing is written where `edit`
  // says false. False: no such account.
  Result<bool> change_account(const std::string& id, const std::function<bool(AccountRow&)>& edit);
  // The account and its parents, from itself up; empty where there is no such account.
  Result<std::vector<AccountRow>> lineage(const std::string& id);
  // The ids of an account and of those below it, in their order as texts.
  Result<std::vector<std::string>> family(const std::string& id);

  // An error where id or MAC are taken, or there is no such account.
  Result<void> add_key(const KeyRow& row);
  Result<std::optional<KeyRow>> key(const std::string& id);
  Result<std::vector<KeyRow>> keys(const AccountPage& page);
  Result<bool> change_key(const std::string& id, const std::function<bool(KeyRow&)>& edit);
  // Whether there is a key at all, and one that is not disabled.
  struct Presence {
    bool any = false, enabled = false;
  };
  Result<Presence> presence();

  // Counts changes of accounts and keys, by any connection: a worker polls it.
  Result<std::uint64_t> version();
  // Visits what changed after `version`; the newest form of each, once.
  Result<void> accounts_since(std::uint64_t version, const std::function<void(AccountRow)>& visit);
  Result<void> keys_since(std::uint64_t version, const std::function<void(KeyRow)>& visit);

 private:
  Result<void> count_change();
  Result<AccountRow> account_of(const Statement& row) const;
  Result<KeyRow> key_of(const Statement& row) const;

  Database& database_;
};

}  // namespace switchyard::store
