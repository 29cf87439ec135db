// Codes that the holder of a key redeems for its account:
//
//   POST /v1/redeem {"code":"..."}   201, what the account was given
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "core/account/refusal.hpp"

namespace switchyard::surface {

inline constexpr std::string_view kRedeemPath = "/v1/redeem";

// What the account was given for a code, as JSON. Blocking. [compute pool]
using RedeemCode =
    std::function<account::Asked<std::string>(const std::string& account, const std::string& code)>;

}  // namespace switchyard::surface
