#include "core/surface/rate_headers.hpp"

#include <algorithm>

#include "core/base/utc.hpp"

namespace switchyard::surface {
namespace {

using Why = account::LimitRefusal::Why;

constexpr std::uint64_t kMs = 1'000'000, kSecond = 1'000'000'000;
// When one of those that run will end, nobody knows.
constexpr std::uint32_t kBusyRetryMs = 1000;

// "59.5s", "250ms": as OpenAI's API says durations of up to a minute.
std::string duration_text(std::uint64_t ns) {
  const std::uint64_t ms = (ns + kMs - 1) / kMs;
  if (ms < 1000) return std::to_string(ms) + "ms";
  std::string text = std::to_string(ms / 1000);
  if (ms % 1000 != 0) {
    std::string part = std::to_string(ms % 1000);
    part.insert(0, 3 - part.size(), '0');
    while (part.back() == '0') part.pop_back();
    text += '.' + part;
  }
  return text + 's';
}

void append_openai(std::string& lines, std::string_view what,
                   const account::LimitStanding::Of& each) {
  if (each.limit == 0) return;
  const auto line = [&](std::string_view name, const std::string& value) {
    lines.append("x-ratelimit-").append(name).append("-").append(what).append(": ");
    lines.append(value).append("\r\n");
  };
  line("limit", std::to_string(each.limit));
  line("remaining", std::to_string(each.left));
  line("reset", duration_text(each.reset_ns));
}

void append_anthropic(std::string& lines, std::string_view what,
                      const account::LimitStanding::Of& each, std::uint64_t unix_ns) {
  if (each.limit == 0) return;
  const auto line = [&](std::string_view name, const std::string& value) {
    lines.append("anthropic-ratelimit-").append(what).append("-").append(name).append(": ");
    lines.append(value).append("\r\n");
  };
  line("limit", std::to_string(each.limit));
  line("remaining", std::to_string(each.left));
  line("reset", utc_text((unix_ns + each.reset_ns + kSecond - 1) / kSecond));
}

std::string message_of(const account::LimitRefusal& refusal) {
  const std::string limit = std::to_string(refusal.limit);
  const std::string whose = " of " + refusal.words;
  switch (refusal.why) {
    case Why::kRequests:
      return "The limit" + whose + " is " + limit +
             " requests in 60 seconds, and it is reached; try again later.";
    case Why::kTokens:
      return "The limit" + whose + " is " + limit +
             " tokens in 60 seconds, and this request would exceed it; try again later.";
    case Why::kTooLarge:
      return "The limit" + whose + " is " + limit +
             " tokens in 60 seconds, and this request alone asks for more; send less, or ask for "
             "fewer tokens (max_tokens).";
    case Why::kConcurrency:
      return "The limit" + whose + " is " + limit +
             " requests at a time, and as many are running; try again when one has ended.";
    default:
      return "The limit" + whose + " is " + limit + (refusal.tokens ? " tokens" : " requests") +
             (refusal.why == Why::kDay ? refusal.plan ? " in the plan's period" : " a day"
                                       : " a month") +
             ", and this request would exceed it; it starts anew with the next one.";
  }
}

std::uint32_t retry_ms(const account::LimitRefusal& refusal, std::int64_t unix_s) {
  if (refusal.why == Why::kTooLarge) return 0;
  if (refusal.why == Why::kConcurrency) return kBusyRetryMs;
  if (!is_lasting(refusal)) {
    return static_cast<std::uint32_t>(
        std::max<std::uint64_t>(1, (refusal.wait_ns + kMs - 1) / kMs));
  }
  const std::int64_t left_s = std::clamp<std::int64_t>(refusal.until_unix_s - unix_s, 1, 4'000'000);
  return static_cast<std::uint32_t>(left_s * 1000);
}

}  // namespace

std::string rate_headers(const account::LimitStanding& standing, std::string_view dialect,
                         std::uint64_t unix_ns) {
  std::string lines;
  if (dialect == "anthropic") {
    append_anthropic(lines, "requests", standing.requests, unix_ns);
    append_anthropic(lines, "tokens", standing.tokens, unix_ns);
  } else {
    append_openai(lines, "requests", standing.requests);
    append_openai(lines, "tokens", standing.tokens);
  }
  return lines;
}

bool is_lasting(const account::LimitRefusal& refusal) {
  return refusal.why == Why::kTooLarge || refusal.why == Why::kDay || refusal.why == Why::kMonth;
}

exchange::Failure rate_failure(const account::LimitRefusal& refusal, std::int64_t unix_s) {
  exchange::Failure failure;
  failure.status = 429;
  failure.message = message_of(refusal);
  failure.retry_after_ms = retry_ms(refusal, unix_s);
  const bool spent = refusal.why == Why::kDay || refusal.why == Why::kMonth;
  const bool tokens = refusal.why == Why::kTokens || refusal.why == Why::kTooLarge;
  failure.code = spent ? "insufficient_quota" : "rate_limit_exceeded";
  failure.type = spent ? "insufficient_quota" : tokens ? "tokens" : "requests";
  return failure;
}

}  // namespace switchyard::surface
