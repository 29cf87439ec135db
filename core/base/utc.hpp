// Times as texts: RFC 3339 in UTC, to the second.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace switchyard {

// "2026-11-21T19:30:00Z"
std::string utc_text(std::uint64_t unix_s);

// The same form alone; nothing for another one, and for times before 1970.
std::optional<std::uint64_t> parse_utc(std::string_view text);

// The same in nanoseconds, of a text that may have up to nine digits of a second:
// "2026-11-21T19:30:00.25Z".
std::optional<std::uint64_t> parse_utc_ns(std::string_view text);

}  // namespace switchyard
