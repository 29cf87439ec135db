// What an upstream's error means, and what of it the client may see.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <switchyard/provider.hpp>

#include "providers/openai/dialect.hpp"

namespace openai {

struct Fault {
  swy::Error error;
  std::string client;  // the error object for the client: {"message","type","param","code"}
};

// Of an answer with status >= 300, or of an error found inside a good one (status 200). `body` is
// whatever came.
Fault read_fault(const Dialect& dialect, unsigned status, std::uint32_t retry_after_ms,
                 std::string_view body);

// True where an answer with status 200, or a chunk of it, tells of a fault in this dialect's own
// way.
bool says_fault(const Dialect& dialect, std::string_view text);

// A length of time as vendors write it ("12ms", "1s", "6m0s", "1.5s", "1h2m"), in milliseconds; -1
// where it is none.
std::int64_t duration_ms(std::string_view text);

// The learned limits for SWY_EMIT_LIMITS from x-ratelimit-* headers; empty where there are none.
std::string read_limits(std::span<const swy_kv> headers);

// How long the upstream asks to wait, capped at an hour; 0 where it says nothing sensible.
std::uint32_t retry_after_ms(const Dialect& dialect, std::span<const swy_kv> headers);

}  // namespace openai
