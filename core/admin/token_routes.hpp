// /admin/v1/tokens: made, listed and disabled. Nobody makes one that may more than its maker.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "core/admin/server.hpp"
#include "core/admin/tokens.hpp"

namespace switchyard::admin {

// Whether `account` is `above` or below it. The error says why that can't be told.
using IsWithin = std::function<Result<bool>(const std::string& account, const std::string& above)>;

// `tokens` outlives the routes.
std::vector<Route> token_routes(store::Tokens& tokens, const account::Pepper& pepper,
                                IsWithin is_within, UnixSeconds now = now_unix_s);

}  // namespace switchyard::admin
