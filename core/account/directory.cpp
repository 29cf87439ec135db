#include "core/account/directory.hpp"

#include <openssl/crypto.h>
#include <rapidjson/document.h>

#include <algorithm>
#include <cstring>
#include <optional>

#include "core/base/pattern.hpp"

namespace switchyard::account {

// One way to a key: a MAC, and until when it is good. A cache line, for memory is what a search
// waits for.
struct alignas(64) DirectoryEntry {
  KeyMac mac{};
  std::shared_ptr<const GatewayKey> key;
  std::uint64_t until_unix_s = 0;  // 0: for ever
};

namespace {

// Bits of the MAC are as good as random: the first ones choose the shard, others the slot.
std::size_t shard_of(const KeyMac& mac) {
  return (static_cast<std::size_t>(mac[0]) << 8 | mac[1]) % Directory::kShards;
}

std::size_t slot_of(const KeyMac& mac) {
  std::size_t bits;
  std::memcpy(&bits, mac.data() + 2, sizeof bits);
  return bits;
}

bool same(const KeyMac& a, const KeyMac& b) {
  return CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

// Nothing where they can't be read.
std::optional<config::RateLimits> limits_of(const std::string& json) {
  config::RateLimits limits;
  if (json == "{}") return limits;
  rapidjson::Document document;
  document.Parse<rapidjson::kParseIterativeFlag>(json.data(), json.size());
  if (document.HasParseError() || config::read_rate_limits(document, limits)) return std::nullopt;
  return limits;
}

// Few keys are bound to anything.
std::shared_ptr<const config::Reach> shared(const config::Reach& reach) {
  return reach.anywhere() ? nullptr : std::make_shared<const config::Reach>(reach);
}

bool allowed(const std::vector<std::string>& patterns, std::string_view text) {
  return patterns.empty() ||
         std::any_of(patterns.begin(), patterns.end(),
                     [&](const std::string& pattern) { return matches_pattern(pattern, text); });
}

}  // namespace

// ---- what is read ----

bool Account::enabled() const {
  for (const Account* each = this; each != nullptr; each = each->parent.get()) {
    if (each->disabled) return false;
  }
  return true;
}

const Account& Account::payer() const {
  const Account* payer = this;
  while (payer->parent_pays && payer->parent) payer = payer->parent.get();
  return *payer;
}

bool GatewayKey::may_use(std::string_view model) const { return allowed(models, model); }

bool GatewayKey::may_use_feature(std::string_view feature) const {
  if (!features.empty()) return allowed(features, feature);
  return models.empty() || may_use(std::string(config::kFeaturePrefix).append(feature));
}

bool GatewayKey::may_do(std::string_view task) const {
  if (allowed(endpoints, task)) return true;
  const std::size_t dot = task.find('.');
  return dot != std::string_view::npos && may_do(task.substr(0, dot));
}

bool GatewayKey::may_come_from(const net::IpBytes& address) const {
  return ip_ranges.empty() || net::contains(ip_ranges, address);
}

// ---- shards ----

// Open addressing, at most three quarters full, so that a key that is not there is told soon.
class Shard {
 public:
  const DirectoryEntry* find(const KeyMac& mac) const {
    if (slots_.empty()) return nullptr;
    const std::size_t mask = slots_.size() - 1;
    for (std::size_t at = slot_of(mac) & mask; slots_[at].key; at = (at + 1) & mask) {
      if (same(slots_[at].mac, mac)) return &slots_[at];
    }
    return nullptr;
  }

  void put(DirectoryEntry entry) {
    const std::size_t mask = slots_.size() - 1;
    std::size_t at = slot_of(entry.mac) & mask;
    while (slots_[at].key && !same(slots_[at].mac, entry.mac)) at = (at + 1) & mask;
    if (!slots_[at].key) ++used_;
    slots_[at] = std::move(entry);
  }

  // This one with further entries, of which the last counts.
  std::shared_ptr<const Shard> with(std::vector<DirectoryEntry> entries) const {
    auto next = std::make_shared<Shard>();
    std::size_t size = 8;
    while (3 * size < 4 * (used_ + entries.size())) size *= 2;
    next->slots_.resize(size);
    each([&](const DirectoryEntry& entry) { next->put(entry); });
    for (DirectoryEntry& entry : entries) next->put(std::move(entry));
    next->each([&](const DirectoryEntry& entry) { next->enabled_ += !entry.key->disabled; });
    return next;
  }

  std::size_t enabled() const { return enabled_; }

  template <class Visit>
  void each(Visit visit) const {
    for (const DirectoryEntry& entry : slots_) {
      if (entry.key) visit(entry);
    }
  }

 private:
  std::vector<DirectoryEntry> slots_;  // a power of two of them
  std::size_t used_ = 0, enabled_ = 0;
};

// ---- the directory ----

Directory::Directory(Pepper pepper)
    : pepper_(std::move(pepper)), configured_(std::make_shared<const Shard>()) {
  shards_.fill(configured_);
  Account nobody;
  nobody.disabled = true;
  auto accounts = std::make_shared<Accounts>();
  accounts->places.push_back(std::make_shared<const Account>(std::move(nobody)));
  accounts_ = std::move(accounts);
}

Found Directory::find(std::string_view text, std::uint64_t now_unix_s) const {
  const KeyMac mac = pepper_.mac(text);
  const DirectoryEntry* entry = configured_->find(mac);
  if (entry == nullptr) entry = shards_[shard_of(mac)]->find(mac);
  if (entry == nullptr) return {};
  const GatewayKey& key = *entry->key;
  const auto over = [&](std::uint64_t end_unix_s) {
    return end_unix_s != 0 && now_unix_s >= end_unix_s;
  };
  Found found{&key, accounts_->places[key.account].get(), Standing::kGood};
  if (key.disabled) {
    found.standing = Standing::kDisabled;
  } else if (over(entry->until_unix_s) || over(key.expires_unix_s)) {
    found.standing = Standing::kExpired;
  } else if (!found.account->enabled()) {
    found.standing = Standing::kAccountDisabled;
  }
  return found;
}

Found Directory::key(std::string_view id) const {
  Found found;
  const auto look = [&](const Shard& shard) {
    shard.each([&](const DirectoryEntry& entry) {
      if (entry.key->id == id) found.key = &*entry.key;
    });
  };
  for (const auto& shard : shards_) look(*shard);
  look(*configured_);
  if (found.key != nullptr) found.account = accounts_->places[found.key->account].get();
  return found;
}

std::shared_ptr<const Account> Directory::account(const std::string& id) const {
  const auto found = accounts_->by_id.find(id);
  return found == accounts_->by_id.end() ? nullptr : accounts_->places[found->second];
}

std::size_t Directory::enabled() const {
  std::size_t sum = configured_->enabled();
  for (const auto& shard : shards_) sum += shard->enabled();
  return sum;
}

// ---- the next one ----

DirectoryEdit::DirectoryEdit(const Directory& from)
    : next_(std::make_shared<Directory>(from)), accounts_(from.accounts_) {}

DirectoryEdit::~DirectoryEdit() = default;

void DirectoryEdit::put(const store::AccountRow& row) {
  if (!own_accounts_) {
    own_accounts_ = std::make_shared<Directory::Accounts>(*accounts_);
    accounts_ = own_accounts_;
  }
  Account account;
  account.id = row.id;
  account.name = row.name;
  account.number = row.number;
  if (!row.parent.empty()) {
    account.parent = at(row.parent);
    account.disabled = account.parent == nullptr;  // who is above it can't be asked
  }
  account.parent_pays = row.parent_pays;
  account.mode = row.mode;
  account.currency = row.currency;
  account.credit_limit_nano = row.credit_limit_nano;
  account.markup_ppm = row.markup_ppm;
  account.zone = row.zone;
  account.disabled |= row.disabled_unix_s != 0;
  const auto limits = limits_of(row.limits);
  if (limits) account.limits = *limits;
  account.disabled |= !limits;  // a limit that can't be read must not become none
  auto& places = own_accounts_->places;
  const auto next = static_cast<std::uint32_t>(places.size());
  const auto [entry, added] = own_accounts_->by_id.try_emplace(row.id, next);
  if (added) places.emplace_back();
  places[entry->second] = std::make_shared<const Account>(std::move(account));
  if (!added) renew_below();
}

// Nobody's where there is no such account.
std::uint32_t DirectoryEdit::place_of(const std::string& id) const {
  const auto found = accounts_->by_id.find(id);
  return found == accounts_->by_id.end() ? 0 : found->second;
}

std::shared_ptr<const Account> DirectoryEdit::at(const std::string& id) const {
  const std::uint32_t place = place_of(id);
  return place == 0 ? nullptr : accounts_->places[place];
}

// Those that point to a parent that was replaced.
void DirectoryEdit::renew_below() {
  for (bool again = true; again;) {
    again = false;
    for (auto& account : own_accounts_->places) {
      if (!account->parent) continue;
      auto parent = at(account->parent->id);
      if (parent == account->parent) continue;
      Account renewed = *account;
      renewed.parent = std::move(parent);
      account = std::make_shared<const Account>(std::move(renewed));
      again = true;
    }
  }
}

bool DirectoryEdit::put(const store::KeyRow& row) {
  const auto mac = mac_from_hex(row.mac_hex);
  if (!mac) return false;
  auto key = std::make_shared<GatewayKey>();
  key->id = row.id;
  key->name = row.name;
  key->expires_unix_s = row.expires_unix_s;
  key->disabled = row.disabled_unix_s != 0 || row.deleted_unix_s != 0;
  key->may_explain = row.may_explain;
  key->stores_bodies = row.stores_bodies;
  key->body_bytes_max = row.body_bytes_max;
  key->models = row.models;
  key->features = row.features;
  key->endpoints = row.endpoints;
  key->default_feature = row.default_feature;
  key->reach = shared(row.reach);
  bool whole = true;
  for (const std::string& text : row.ip_ranges) {
    const auto range = net::parse_ip_range(text);
    if (range) key->ip_ranges.push_back(*range);
    whole = whole && range;
  }
  const auto limits = limits_of(row.limits);
  if (limits && limits->any()) key->limits = std::make_shared<const config::RateLimits>(*limits);
  key->priority = config::parse_priority(row.priority).value_or(config::Priority::kNormal);
  key->account = place_of(row.account);
  whole = whole && key->account != 0 && limits;
  if (!whole) key->disabled = true;

  const std::shared_ptr<const GatewayKey> kept = std::move(key);
  for (const store::OldMac& old : row.old_macs) {
    const auto before = mac_from_hex(old.mac_hex);
    if (before) changed_[shard_of(*before)].push_back({*before, kept, old.until_unix_s});
  }
  changed_[shard_of(*mac)].push_back({*mac, kept, 0});
  return whole;
}

void DirectoryEdit::configure(const std::vector<config::Key>& keys) {
  std::vector<DirectoryEntry> entries;
  for (const config::Key& from : keys) {
    const auto mac = from.key.empty()
                         ? mac_from_hex(from.mac)
                         : std::optional<KeyMac>(next_->pepper_.mac(from.key.reveal()));
    if (!mac) continue;
    auto key = std::make_shared<GatewayKey>();
    key->id = "config:" + from.name;
    key->name = from.name;
    key->account = place_of(std::string(store::kDefaultAccount));
    key->models = from.models;
    key->features = from.features;
    key->default_feature = from.default_feature;
    key->reach = shared(from.reach);
    key->body_bytes_max = from.body_bytes_max;
    if (from.limits.any()) key->limits = std::make_shared<const config::RateLimits>(from.limits);
    key->priority = from.priority;
    entries.push_back({*mac, std::move(key), 0});
  }
  next_->configured_ = Shard().with(std::move(entries));
}

std::shared_ptr<const Directory> DirectoryEdit::finish() {
  next_->accounts_ = accounts_;
  for (std::size_t i = 0; i < Directory::kShards; ++i) {
    if (!changed_[i].empty()) next_->shards_[i] = next_->shards_[i]->with(std::move(changed_[i]));
  }
  return std::move(next_);
}

}  // namespace switchyard::account
