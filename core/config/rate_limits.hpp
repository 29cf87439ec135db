// How much somebody may ask for in a time: a key, an account, a feature, a plan.
#pragma once

#include <rapidjson/fwd.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace switchyard::config {

// 0: no limit. Tokens are those of prompt and answer together. Days and months are the calendar's,
// of the account's time zone.
struct RateLimits {
  std::uint64_t rpm = 0;          // requests in any 60 seconds
  std::uint64_t tpm = 0;          // tokens in any 60 seconds
  std::uint64_t concurrency = 0;  // requests at a time
  std::uint64_t requests_per_day = 0, requests_per_month = 0;
  std::uint64_t tokens_per_day = 0, tokens_per_month = 0;

  bool any() const { return *this != RateLimits{}; }
  bool operator==(const RateLimits&) const = default;
  // This, and where it says nothing what `other` says.
  RateLimits or_else(const RateLimits& other) const;
  // Of two limits of the same thing the one that allows more, or less.
  RateLimits most(const RateLimits& other) const;
  RateLimits least(const RateLimits& other) const;
};

// Takes over what the members of an object say; null and 0 lift a limit, those left out stay. What
// is wrong, "rpm: expected ...", or nothing.
std::optional<std::string> read_rate_limits(const rapidjson::Value& object, RateLimits& limits);
// {"rpm":60}: those that are set.
std::string to_json(const RateLimits& limits);
// "60 requests and 10000 tokens a minute, 4 at a time"
std::string to_words(const RateLimits& limits);

// Who is turned away first where the gateway has more to do than it can.
enum class Priority : std::uint8_t { kLow, kNormal, kHigh };
std::optional<Priority> parse_priority(std::string_view text);
std::string_view to_text(Priority priority);

}  // namespace switchyard::config
