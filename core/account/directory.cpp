#include "core/account/directory.hpp"

#include <openssl/crypto.h>

#include <algorithm>
#include <cstring>

namespace switchyard::account {

// One way to a key: a MAC, and until when it is good.
struct DirectoryEntry {
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

// Any text against a pattern where '*' stands for any characters; linear in practice, never
// exponential.
bool matches(std::string_view pattern, std::string_view text) {
  std::size_t p = 0, t = 0, star = std::string_view::npos, resume = 0;
  while (t < text.size()) {
    if (p < pattern.size() && pattern[p] == '*') {
      star = p++;
      resume = t;
    } else if (p < pattern.size() && pattern[p] == text[t]) {
      ++p;
      ++t;
    } else if (star != std::string_view::npos) {
      p = star + 1;
      t = ++resume;
    } else {
      return false;
    }
  }
  return pattern.find_first_not_of('*', p) == std::string_view::npos;
}

bool allowed(const std::vector<std::string>& patterns, std::string_view text) {
  return patterns.empty() ||
         std::any_of(patterns.begin(), patterns.end(),
                     [&](const std::string& pattern) { return matches(pattern, text); });
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
  return allowed(features, feature);
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

// Open addressing, at most half full, so that a key that is not there is told soon.
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
    while (size < 2 * (used_ + entries.size())) size *= 2;
    next->slots_.resize(size);
    each([&](const DirectoryEntry& entry) { next->put(entry); });
    for (DirectoryEntry& entry : entries) next->put(std::move(entry));
    each_of(*next, [&](const DirectoryEntry& entry) { next->enabled_ += !entry.key->disabled; });
    return next;
  }

  template <class Visit>
  void each(Visit visit) const {
    each_of(*this, visit);
  }

  std::size_t enabled() const { return enabled_; }

 private:
  template <class Visit>
  static void each_of(const Shard& shard, Visit visit) {
    for (const DirectoryEntry& entry : shard.slots_) {
      if (entry.key) visit(entry);
    }
  }

  std::vector<DirectoryEntry> slots_;  // a power of two of them
  std::size_t used_ = 0, enabled_ = 0;
};

// ---- the directory ----

Directory::Directory(Pepper pepper)
    : pepper_(std::move(pepper)),
      configured_(std::make_shared<const Shard>()),
      accounts_(std::make_shared<const Accounts>()) {
  shards_.fill(configured_);
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
  Found found{&key, Standing::kGood};
  if (key.disabled) {
    found.standing = Standing::kDisabled;
  } else if (over(entry->until_unix_s) || over(key.expires_unix_s)) {
    found.standing = Standing::kExpired;
  } else if (!key.account->enabled()) {
    found.standing = Standing::kAccountDisabled;
  }
  return found;
}

std::shared_ptr<const Account> Directory::account(const std::string& id) const {
  const auto found = accounts_->find(id);
  return found == accounts_->end() ? nullptr : found->second;
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
    const auto parent = accounts_->find(row.parent);
    if (parent != accounts_->end()) account.parent = parent->second;
    account.disabled = account.parent == nullptr;  // who is above it can't be asked
  }
  account.parent_pays = row.parent_pays;
  account.mode = row.mode;
  account.currency = row.currency;
  account.credit_limit_nano = row.credit_limit_nano;
  account.markup_ppm = row.markup_ppm;
  account.zone = row.zone;
  account.disabled |= row.disabled_unix_s != 0;
  auto& place = (*own_accounts_)[row.id];
  const bool was_there = place != nullptr;
  place = std::make_shared<const Account>(std::move(account));
  if (was_there) {
    replaced_.insert(row.id);
    renew_below();
  }
}

// Those that point to a parent that was replaced.
void DirectoryEdit::renew_below() {
  for (bool again = true; again;) {
    again = false;
    for (auto& [id, account] : *own_accounts_) {
      if (!account->parent) continue;
      const auto& parent = accounts_->at(account->parent->id);
      if (parent == account->parent) continue;
      Account renewed = *account;
      renewed.parent = parent;
      account = std::make_shared<const Account>(std::move(renewed));
      replaced_.insert(id);
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
  bool whole = true;
  for (const std::string& text : row.ip_ranges) {
    const auto range = net::parse_ip_range(text);
    if (range) key->ip_ranges.push_back(*range);
    whole = whole && range;
  }
  const auto owner = accounts_->find(row.account);
  whole = whole && owner != accounts_->end();
  key->account = owner == accounts_->end() ? nobody() : owner->second;
  if (!whole) key->disabled = true;

  const std::shared_ptr<const GatewayKey> shared = std::move(key);
  for (const store::OldMac& old : row.old_macs) {
    const auto before = mac_from_hex(old.mac_hex);
    if (before) changed_[shard_of(*before)].push_back({*before, shared, old.until_unix_s});
  }
  changed_[shard_of(*mac)].push_back({*mac, shared, 0});
  return whole;
}

// Whose keys may do nothing.
std::shared_ptr<const Account> DirectoryEdit::nobody() {
  Account account;
  account.disabled = true;
  return std::make_shared<const Account>(std::move(account));
}

void DirectoryEdit::configure(const std::vector<config::Key>& keys) {
  const auto owner = accounts_->find(std::string(store::kDefaultAccount));
  std::vector<DirectoryEntry> entries;
  for (const config::Key& from : keys) {
    const auto mac = from.key.empty()
                         ? mac_from_hex(from.mac)
                         : std::optional<KeyMac>(next_->pepper_.mac(from.key.reveal()));
    if (!mac) continue;
    auto key = std::make_shared<GatewayKey>();
    key->id = "config:" + from.name;
    key->name = from.name;
    key->account = owner == accounts_->end() ? nobody() : owner->second;
    key->models = from.models;
    key->body_bytes_max = from.body_bytes_max;
    entries.push_back({*mac, std::move(key), 0});
  }
  next_->configured_ = Shard().with(std::move(entries));
}

std::shared_ptr<const Directory> DirectoryEdit::finish() {
  next_->accounts_ = accounts_;
  for (std::size_t i = 0; i < Directory::kShards; ++i) {
    if (!changed_[i].empty()) next_->shards_[i] = next_->shards_[i]->with(std::move(changed_[i]));
  }
  if (!replaced_.empty()) move_keys();
  return std::move(next_);
}

// Keys whose account was replaced, to what it is now.
void DirectoryEdit::move_keys() {
  std::unordered_map<const GatewayKey*, std::shared_ptr<const GatewayKey>> moved;
  const auto move = [&](std::shared_ptr<const Shard>& shard) {
    std::vector<DirectoryEntry> entries;
    shard->each([&](const DirectoryEntry& entry) {
      const GatewayKey& key = *entry.key;
      if (!replaced_.contains(key.account->id)) return;
      const auto& account = accounts_->at(key.account->id);
      if (account == key.account) return;
      auto& next = moved[&key];
      if (!next) {
        auto copy = std::make_shared<GatewayKey>(key);
        copy->account = account;
        next = std::move(copy);
      }
      entries.push_back({entry.mac, next, entry.until_unix_s});
    });
    if (!entries.empty()) shard = shard->with(std::move(entries));
  };
  move(next_->configured_);
  for (auto& shard : next_->shards_) move(shard);
}

}  // namespace switchyard::account
