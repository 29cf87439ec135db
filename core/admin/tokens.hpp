// Admin tokens: made, shown once, and told apart. Only their MACs are kept.
#pragma once

#include <functional>
#include <string>

#include "core/account/keys.hpp"
#include "core/admin/server.hpp"
#include "core/store/tokens.hpp"

namespace switchyard::admin {

using UnixSeconds = std::function<std::uint64_t()>;
std::uint64_t now_unix_s();

struct NewToken {
  std::string name, created_by;
  Role role = Role::kViewer;
  std::string account;               // empty: not scoped
  std::uint64_t expires_unix_s = 0;  // 0: never
};

struct MintedToken {
  store::TokenRow row;
  Secret token;  // "sya-" + 64 hexadecimal digits over 256 random bits
};

Result<MintedToken> mint_token(store::Tokens& tokens, const account::Pepper& pepper,
                               const NewToken& asked, std::uint64_t now_s);

// 1 to 64 characters of A-Z, a-z, 0-9, . _ and -
bool is_token_name(const std::string& name);

// As the API and `switchyard token list --json` show it: all but the MAC.
std::string token_json(const store::TokenRow& row);

// Nothing for a token that is unknown, disabled or expired. [any thread; may block]
Result<std::optional<Caller>> find_token(store::Tokens& tokens, const account::Pepper& pepper,
                                         std::string_view token, std::uint64_t now_s);

}  // namespace switchyard::admin
