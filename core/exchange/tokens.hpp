// Credentials that were exchanged for others: kept in memory, never shown.
#pragma once

#include <cstdint>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>

#include "core/base/secret.hpp"

namespace switchyard::exchange {

// The tokens of one provider's credentials, shared by all loops. A new configuration begins without
// any. [any thread]
class TokenCache {
 public:
  // The token of this name for this credential, where it lives a minute longer.
  std::optional<Secret> find(std::string_view credential, std::string_view name,
                             std::uint64_t now_ns) const;
  void put(std::string_view credential, std::string_view name, Secret token,
           std::uint64_t expires_ns);

 private:
  struct Token {
    Secret text;
    std::uint64_t expires_ns;
  };
  mutable std::mutex mutex_;
  std::map<std::string, Token, std::less<>> tokens_;
};

}  // namespace switchyard::exchange
