// How limits are told to clients: headers of each answer, and the refusal.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "core/account/limits.hpp"
#include "core/exchange/exchange.hpp"

namespace switchyard::surface {

// Header lines: `anthropic-ratelimit-*` in that dialect, `x-ratelimit-*` in any other. Empty where
// there is neither a limit of requests nor one of tokens.
std::string rate_headers(const account::LimitStanding& standing, std::string_view dialect,
                         std::uint64_t unix_ns);

// 429, with the limit in its message.
exchange::Failure rate_failure(const account::LimitRefusal& refusal, std::int64_t unix_s);
// A client that tries again at once would be refused again.
bool is_lasting(const account::LimitRefusal& refusal);

}  // namespace switchyard::surface
