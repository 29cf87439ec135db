#include "core/exchange/tokens.hpp"

#include <catch2/catch.hpp>

using switchyard::Secret;
using switchyard::exchange::TokenCache;

TEST_CASE("exchange: a token is held until a minute before its end, for its credential alone",
          "[unit][exchange]") {
  constexpr std::uint64_t kSecond = 1'000'000'000u;
  TokenCache tokens;
  CHECK_FALSE(tokens.find("a", "t", 0));
  tokens.put("a", "t", Secret("one"), 100 * kSecond);
  REQUIRE(tokens.find("a", "t", 40 * kSecond));
  CHECK(tokens.find("a", "t", 40 * kSecond)->reveal() == "one");
  CHECK_FALSE(tokens.find("a", "t", 40 * kSecond + 1));
  CHECK_FALSE(tokens.find("b", "t", 0));
  CHECK_FALSE(tokens.find("a", "u", 0));
  tokens.put("a", "t", Secret("two"), 200 * kSecond);
  CHECK(tokens.find("a", "t", 140 * kSecond)->reveal() == "two");
}
