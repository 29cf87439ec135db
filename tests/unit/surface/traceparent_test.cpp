#include "core/surface/traceparent.hpp"

#include <catch2/catch.hpp>
#include <string>

using switchyard::surface::parse_traceparent;

namespace {
const std::string kTrace = "4bf92f3577b34da6a3ce929d0e0e4736", kParent = "00f067aa0ba902b7";
const std::string kGood = "00-" + kTrace + "-" + kParent + "-01";
}  // namespace

TEST_CASE("surface: a traceparent is taken apart", "[unit][surface]") {
  const auto found = parse_traceparent(kGood);
  REQUIRE(found);
  REQUIRE(found->trace == kTrace);
  REQUIRE(found->parent == kParent);
  REQUIRE(found->flags == 1);
  REQUIRE(parse_traceparent("00-" + kTrace + "-" + kParent + "-fe")->flags == 0xfe);
  // A later version may say more.
  REQUIRE(parse_traceparent("cc-" + kTrace + "-" + kParent + "-01-more"));
  REQUIRE(parse_traceparent("cc" + kGood.substr(2)));
}

TEST_CASE("surface: a traceparent that is not valid is none", "[unit][surface]") {
  const std::string zeros(32, '0');
  for (const std::string& bad :
       {std::string(), kGood.substr(0, 54), kGood + "-", kGood + "0", "ff" + kGood.substr(2),
        "cc" + kGood.substr(2) + "0", "00-" + zeros + "-" + kParent + "-01",
        "00-" + kTrace + "-" + zeros.substr(16) + "-01",
        "00-4BF92F3577B34DA6A3CE929D0E0E4736-" + kParent + "-01",
        "00-" + kTrace + "-" + kParent + "-0g", "00_" + kTrace + "-" + kParent + "-01",
        "00-" + kTrace + "_" + kParent + "-01", "00-" + kTrace + "-" + kParent + "_01",
        "0g-" + kTrace + "-" + kParent + "-01"}) {
    CAPTURE(bad);
    REQUIRE_FALSE(parse_traceparent(bad));
  }
}
