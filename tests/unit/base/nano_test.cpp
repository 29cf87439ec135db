#include "core/base/nano.hpp"

#include <cstdint>
#include <random>

using namespace switchyard;

TEST_CASE("base: amounts are read exactly or not at all", "[unit][base][money]") {
  CHECK(parse_nano("2.5") == 2'500'000'000);
  CHECK(parse_nano("0.003625") == 3'625'000);
  CHECK(parse_nano("0.000000001") == 1);
  CHECK(parse_nano("0") == 0);
  CHECK(parse_nano("30") == 30'000'000'000);
  CHECK(parse_nano("9223372036.854775807") == INT64_MAX);
  for (const char* wrong : {"", ".", ".5", "5.", "-1", "+1", "1e3", "0.0000000001", "1,5", " 1",
                            "1 ", "9223372036.854775808", "99999999999999999999", "0x1", "1.2.3"}) {
    CAPTURE(wrong);
    CHECK_FALSE(parse_nano(wrong).has_value());
  }
  CHECK(parse_signed_nano("-2.5") == -2'500'000'000);
  CHECK(parse_signed_nano("2.5") == 2'500'000'000);
  CHECK_FALSE(parse_signed_nano("--1").has_value());
  CHECK_FALSE(parse_signed_nano("-").has_value());
}

TEST_CASE("base: an amount is written as the shortest decimal that reads back",
          "[unit][base][money]") {
  CHECK(format_nano(0) == "0");
  CHECK(format_nano(30'000'000'000) == "30");
  CHECK(format_nano(2'500'000'000) == "2.5");
  CHECK(format_nano(-1) == "-0.000000001");
  CHECK(format_nano(INT64_MAX) == "9223372036.854775807");
  CHECK(format_nano(INT64_MIN) == "-9223372036.854775808");
  std::mt19937_64 random(7);
  for (int i = 0; i < 1000; ++i) {
    const auto amount = static_cast<Nano>(random() >> (i % 60));
    if (amount == INT64_MIN) continue;
    CAPTURE(amount);
    CHECK(parse_signed_nano(format_nano(amount)) == amount);
  }
}

TEST_CASE("base: products are rounded once, halves away from zero, and never wrap",
          "[unit][base][money]") {
  CHECK(scale_nano(1, 499'999, 1'000'000) == 0);
  CHECK(scale_nano(1, 500'000, 1'000'000) == 1);
  CHECK(scale_nano(-1, 500'000, 1'000'000) == -1);
  CHECK(scale_nano(-1, 499'999, 1'000'000) == 0);
  CHECK(scale_nano(3, 500'000, 1'000'000) == 2);
  CHECK(scale_nano(7, 1, 7) == 1);
  CHECK(scale_nano(INT64_MAX, 1, 1) == INT64_MAX);
  CHECK(scale_nano(INT64_MAX, UINT64_MAX, UINT64_MAX) == INT64_MAX);
  CHECK_FALSE(scale_nano(INT64_MAX, 2, 1).has_value());
  CHECK_FALSE(scale_nano(INT64_MIN, UINT64_MAX, 1).has_value());
  CHECK(add_nano(INT64_MAX, -1) == INT64_MAX - 1);
  CHECK_FALSE(add_nano(INT64_MAX, 1).has_value());
  CHECK_FALSE(add_nano(INT64_MIN, -1).has_value());
}
