// Tokens of the admin API beside the owner's own, which is a file of the state directory.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/store/database.hpp"

namespace switchyard::store {

struct TokenRow {
  std::string id, name, role;  // role: "viewer", "operator" or "owner"
  std::string account;         // empty: not scoped
  std::string mac_hex;         // of the token, under the pepper
  std::string created_by;
  std::uint64_t created_unix_s = 0;
  std::uint64_t expires_unix_s = 0;   // 0: never
  std::uint64_t disabled_unix_s = 0;  // 0: enabled
};

// One row each in `admin_tokens`. [any thread; may block]
class Tokens {
 public:
  explicit Tokens(Database& database) : database_(database) {}

  Result<void> add(const TokenRow& token);
  Result<std::optional<TokenRow>> find_by_mac(const std::string& mac_hex);
  Result<std::optional<TokenRow>> find(const std::string& id);
  // At most `limit`, in the order of their ids, those behind `after`.
  Result<std::vector<TokenRow>> list(const std::string& after, std::uint64_t limit);
  // The first time stands. False: there is no such token.
  Result<bool> disable(const std::string& id, std::uint64_t at_unix_s);

 private:
  Database& database_;
};

}  // namespace switchyard::store
