// Who may use the gateway: accounts and keys as the hot path reads them.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "core/account/keys.hpp"
#include "core/config/config.hpp"
#include "core/net/ip_range.hpp"
#include "core/store/accounts.hpp"

namespace switchyard::account {

// As it was when the directory was made; times are seconds since 1970, 0 stands for never.
struct Account {
  std::string id, name;
  std::int64_t number = 0;  // of its cell
  std::shared_ptr<const Account> parent;
  bool parent_pays = false;
  store::AccountMode mode = store::AccountMode::kUnmetered;
  std::string currency;
  std::int64_t credit_limit_nano = 0;  // how far below zero a postpaid balance may go, >= 0
  std::int64_t markup_ppm = 0;
  std::string zone;
  bool disabled = false;
  config::RateLimits limits;  // of all that is asked for in its name, or below it

  // Not where it or one above it is disabled.
  bool enabled() const;
  // Whose balance is spent: itself, or the nearest above it that pays for itself.
  const Account& payer() const;
};

// Lists are names or patterns with '*'; an empty one does not restrict. What every request reads
// stands together.
struct GatewayKey {
  std::uint64_t expires_unix_s = 0;
  std::uint32_t account = 0;  // the place of its account in the directory: Found has it
  bool disabled = false, may_explain = false, stores_bodies = false;
  std::string id;  // "key_...", "config:NAME": safe to show
  std::string name;
  std::uint64_t body_bytes_max = 0;  // 0: the host's limit
  std::vector<std::string> models, features, endpoints;
  std::vector<net::IpRange> ip_ranges;
  std::string default_feature;
  std::shared_ptr<const config::RateLimits> limits;  // null: what holds for every key
  config::Priority priority = config::Priority::kNormal;
  std::shared_ptr<const config::Reach> reach;  // null: anywhere

  bool may_use(std::string_view model) const;
  // Also where `models` names some, but "feature/NAME" is none of them and `features` is empty: no.
  bool may_use_feature(std::string_view feature) const;
  // "images" stands for "images.edits" too.
  bool may_do(std::string_view task) const;
  bool may_come_from(const net::IpBytes& address) const;
};

enum class Standing : std::uint8_t { kGood, kUnknown, kExpired, kDisabled, kAccountDisabled };

// `key` and `account` are there for every key that is known, also where it may not be used. They
// live as long as the directory.
struct Found {
  const GatewayKey* key = nullptr;
  const Account* account = nullptr;
  Standing standing = Standing::kUnknown;
};

class Shard;
struct DirectoryEntry;

// Immutable; the next one shares all but what changed. [any thread]
class Directory {
 public:
  static constexpr std::size_t kShards = 1024;
  // Keys know their account by its place, so that a change of one with many keys touches none of
  // them. The first place is nobody's.
  struct Accounts {
    std::vector<std::shared_ptr<const Account>> places;
    std::unordered_map<std::string, std::uint32_t> by_id;
  };

  // With no key and no account.
  explicit Directory(Pepper pepper);

  // The cost does not tell how close a guess was.
  Found find(std::string_view key, std::uint64_t now_unix_s) const;
  // By its id, which takes as long as there are keys: for people who ask, not for requests. Its
  // standing is not looked at; a null key: there is none.
  Found key(std::string_view id) const;
  // nullptr: there is none.
  std::shared_ptr<const Account> account(const std::string& id) const;
  // Keys that are not disabled; of a key being rotated each form counts.
  std::size_t enabled() const;

 private:
  friend class DirectoryEdit;

  Pepper pepper_;
  std::array<std::shared_ptr<const Shard>, kShards> shards_;
  std::shared_ptr<const Shard> configured_;  // these hold where the store has the same key
  std::shared_ptr<const Accounts> accounts_;
};

// Makes the next directory. Accounts are put before what names them.
class DirectoryEdit {
 public:
  explicit DirectoryEdit(const Directory& from);
  ~DirectoryEdit();

  void put(const store::AccountRow& row);
  // False: something of it can't be read, or its account is not there; it may do nothing.
  bool put(const store::KeyRow& row);
  // In place of those of the configuration before.
  void configure(const std::vector<config::Key>& keys);
  bool has_account(const std::string& id) const { return accounts_->by_id.contains(id); }
  std::shared_ptr<const Directory> finish();

 private:
  std::uint32_t place_of(const std::string& id) const;
  std::shared_ptr<const Account> at(const std::string& id) const;
  void renew_below();

  std::shared_ptr<Directory> next_;
  std::shared_ptr<const Directory::Accounts> accounts_;
  std::shared_ptr<Directory::Accounts> own_accounts_;  // the same, once one was put
  std::array<std::vector<DirectoryEntry>, Directory::kShards> changed_;
};

}  // namespace switchyard::account
