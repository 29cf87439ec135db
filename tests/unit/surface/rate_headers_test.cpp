#include "core/surface/rate_headers.hpp"

#include <catch2/catch.hpp>

using namespace switchyard;
using account::LimitRefusal;
using account::LimitStanding;
using Why = LimitRefusal::Why;

namespace {

constexpr std::uint64_t kMs = 1'000'000;

LimitRefusal refusal(Why why) {
  LimitRefusal made;
  made.why = why;
  made.words = "this API key";
  made.limit = 60;
  made.wait_ns = 1500 * kMs;
  made.until_unix_s = 1000;
  return made;
}

}  // namespace

TEST_CASE("surface: limits are told in the headers of each dialect", "[unit][limits]") {
  LimitStanding standing;
  CHECK(surface::rate_headers(standing, "openai", 0).empty());
  standing.requests = {60, 59, 59'500 * kMs};
  CHECK(surface::rate_headers(standing, "gemini", 0) ==
        "x-ratelimit-limit-requests: 60\r\nx-ratelimit-remaining-requests: 59\r\n"
        "x-ratelimit-reset-requests: 59.5s\r\n");
  standing.requests = {};
  standing.tokens = {1000, 0, 12 * kMs - 1};
  CHECK(surface::rate_headers(standing, "openai", 0) ==
        "x-ratelimit-limit-tokens: 1000\r\nx-ratelimit-remaining-tokens: 0\r\n"
        "x-ratelimit-reset-tokens: 12ms\r\n");
  CHECK(surface::rate_headers(standing, "anthropic", 1'795'132'800'000'000'000) ==
        "anthropic-ratelimit-tokens-limit: 1000\r\nanthropic-ratelimit-tokens-remaining: 0\r\n"
        "anthropic-ratelimit-tokens-reset: 2026-11-20T00:00:01Z\r\n");
}

TEST_CASE("surface: a refusal names its limit, and when to come again", "[unit][limits]") {
  const auto requests = surface::rate_failure(refusal(Why::kRequests), 0);
  CHECK(requests.status == 429);
  CHECK(requests.code == "rate_limit_exceeded");
  CHECK(requests.type == "requests");
  CHECK(requests.retry_after_ms == 1500);
  CHECK(requests.message.find("this API key is 60 requests in 60 seconds") != std::string::npos);

  CHECK(surface::rate_failure(refusal(Why::kTokens), 0).type == "tokens");
  CHECK(surface::rate_failure(refusal(Why::kConcurrency), 0).retry_after_ms > 0);

  // To try again soon would do nothing.
  CHECK(surface::is_lasting(refusal(Why::kTooLarge)));
  CHECK(surface::rate_failure(refusal(Why::kTooLarge), 0).retry_after_ms == 0);
  const auto day = surface::rate_failure(refusal(Why::kDay), 400);
  CHECK(day.code == "insufficient_quota");
  CHECK(day.retry_after_ms == 600'000);
  CHECK(surface::is_lasting(refusal(Why::kDay)));
  CHECK_FALSE(surface::is_lasting(refusal(Why::kTokens)));
}
