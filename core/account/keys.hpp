// Gateway keys: what clients authenticate with. Only their MACs are kept.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "core/base/secret.hpp"

namespace switchyard::account {

using KeyMac = std::array<std::uint8_t, 32>;

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

// `prefix` + 16 random hexadecimal digits.
std::string new_id(std::string_view prefix);

std::string to_hex(const KeyMac& mac);
std::optional<KeyMac> mac_from_hex(std::string_view hex);

}  // namespace switchyard::account
