#include "core/surface/overload.hpp"

#include <catch2/catch.hpp>

using namespace switchyard;
using config::Priority;
using surface::Overload;
using Reason = Overload::Reason;

namespace {

std::vector<bool> refused(const Overload& overload) {
  return {overload.refuses(Priority::kLow).has_value(),
          overload.refuses(Priority::kNormal).has_value(),
          overload.refuses(Priority::kHigh).has_value()};
}

}  // namespace

TEST_CASE("surface: without bounds nothing is turned away", "[unit][overload]") {
  Overload overload;
  const std::atomic<std::int64_t> open{1'000'000};
  overload.add_loop(open);
  overload.configure({});
  Overload::Sample sample;
  sample.memory = sample.descriptors = sample.lag_ns = UINT64_MAX;
  overload.take(sample);
  overload.take(sample);
  CHECK(refused(overload) == std::vector<bool>{false, false, false});
}

TEST_CASE("surface: requests of all loops count, and low ones are turned away first",
          "[unit][overload]") {
  Overload overload;
  std::atomic<std::int64_t> first{0}, second{0};
  overload.add_loop(first);
  overload.add_loop(second);
  config::Overload bounds;
  bounds.open_requests_max = 10;
  overload.configure(bounds);
  // The one that asks is among them.
  const auto at = [&](std::int64_t open) {
    first = open / 2;
    second = open - open / 2;
    return refused(overload);
  };
  CHECK(at(8) == std::vector<bool>{false, false, false});
  CHECK(at(9) == std::vector<bool>{true, false, false});
  CHECK(at(10) == std::vector<bool>{true, true, false});
  CHECK(at(11) == std::vector<bool>{true, true, true});
  CHECK(overload.refuses(Priority::kHigh) == Reason::kRequests);
  CHECK(at(1) == std::vector<bool>{false, false, false});
}

TEST_CASE("surface: memory and descriptors turn requests away before they run out",
          "[unit][overload]") {
  Overload overload;
  Overload::Sample sample;
  sample.memory_max = 1000;
  sample.descriptors_max = 1000;
  const auto with = [&](std::uint64_t memory, std::uint64_t descriptors) {
    sample.memory = memory;
    sample.descriptors = descriptors;
    overload.take(sample);
    return overload.refuses(Priority::kNormal);
  };
  CHECK_FALSE(with(899, 899));
  CHECK(with(900, 0) == Reason::kMemory);
  CHECK(with(UINT64_MAX / 4, 0) == Reason::kMemory);
  CHECK(with(0, 950) == Reason::kDescriptors);
  CHECK_FALSE(with(0, 0));
}

TEST_CASE("surface: a loop that is late once is not overloaded", "[unit][overload]") {
  Overload overload;
  Overload::Sample late, well;
  late.lag_max_ns = well.lag_max_ns = 1000;
  late.lag_ns = 5000;
  overload.take(late);
  CHECK_FALSE(overload.refuses(Priority::kLow));
  overload.take(late);
  CHECK(overload.refuses(Priority::kHigh) == Reason::kLag);
  overload.take(well);
  CHECK_FALSE(overload.refuses(Priority::kLow));
  overload.take(late);
  CHECK_FALSE(overload.refuses(Priority::kLow));
}
