// Gateway keys: what clients authenticate with. Only their MACs are kept.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "core/base/result.hpp"
#include "core/base/secret.hpp"
#include "core/config/config.hpp"
#include "core/store/store.hpp"

namespace switchyard::account {

using KeyMac = std::array<std::uint8_t, 32>;

struct GatewayKey {
  std::string id;  // "key_...": safe to show
  std::string name;
  std::string account;
  std::vector<std::string> models;   // names or patterns with '*'; empty: all
  std::uint64_t body_bytes_max = 0;  // 0: the host's limit
  bool may_use(std::string_view model) const;
};

// HMAC-SHA256 under the pepper. The key schedule is computed once. [any thread]
class Pepper {
 public:
  explicit Pepper(Secret pepper);
  KeyMac mac(std::string_view key) const;

 private:
  struct State;
  std::shared_ptr<const State> state_;  // inner and outer hash state after the padded key
};

// A new key: "sy-" + 43 characters of base64url over 256 random bits + 6 of a checksum. Shown once.
Secret new_gateway_key();

// "key_" + 16 random hexadecimal digits.
std::string new_key_id();

std::string to_hex(const KeyMac& mac);
std::optional<KeyMac> mac_from_hex(std::string_view hex);

// An immutable set of keys. [any thread]
class KeyTable {
 public:
  KeyTable(Pepper pepper, std::vector<std::pair<KeyMac, GatewayKey>> keys);
  // nullptr for an unknown key. The cost does not tell how close a guess was.
  const GatewayKey* find(std::string_view key) const;
  std::size_t size() const { return keys_.size(); }

 private:
  struct MacHash {
    std::size_t operator()(const KeyMac& mac) const;
  };
  struct MacEqual {  // in constant time
    bool operator()(const KeyMac& a, const KeyMac& b) const;
  };
  Pepper pepper_;
  std::unordered_map<KeyMac, GatewayKey, MacHash, MacEqual> keys_;
};

// The keys of a configuration and the enabled ones of the store. Where both have one, the
// configuration's rules hold.
std::vector<std::pair<KeyMac, GatewayKey>> collect_keys(const std::vector<config::Key>& configured,
                                                        const std::vector<store::KeyRow>& stored,
                                                        const Pepper& pepper);

}  // namespace switchyard::account
