#include "core/routing/gate.hpp"

#include <atomic>
#include <catch2/catch.hpp>
#include <thread>
#include <vector>

namespace switchyard::routing {
namespace {

constexpr std::uint64_t kSecond = 1'000'000'000;
constexpr std::uint64_t kStart = 1'000'000 * kSecond;

config::UpstreamLimits limits(std::uint32_t rpm, std::uint64_t tpm = 0,
                              std::uint32_t concurrency = 0) {
  config::UpstreamLimits all;
  all.rpm = rpm;
  all.tpm = tpm;
  all.concurrency = concurrency;
  return all;
}

}  // namespace

TEST_CASE("gate: without limits everything goes, and what runs is counted", "[unit][routing]") {
  Gate gate({});
  for (int i = 0; i < 100; ++i) REQUIRE(gate.enter(1'000'000, kStart));
  CHECK(gate.inflight() == 100);
  CHECK(gate.inflight_max() == UINT32_MAX);
  CHECK(gate.requests_left(kStart) == UINT32_MAX);
  CHECK(gate.tokens_left(kStart) == UINT64_MAX);
  CHECK_FALSE(gate.tight(1'000'000, kStart));
  gate.leave();
  CHECK(gate.inflight() == 99);
}

TEST_CASE("gate: no minute has more requests than allowed", "[unit][routing]") {
  Gate gate(limits(10));
  std::vector<std::uint64_t> begun;
  // One try each 700 ms for five minutes.
  for (std::uint64_t now = kStart; now < kStart + 300 * kSecond; now += 700'000'000) {
    if (!gate.enter(0, now)) continue;
    gate.leave();
    begun.push_back(now);
  }
  for (std::size_t i = 10; i < begun.size(); ++i) {
    CAPTURE(i);
    REQUIRE(begun[i] - begun[i - 10] >= 60 * kSecond);
  }
  // And it does not starve: 10 in 65 s at the least.
  CHECK(begun.size() >= 46);
}

TEST_CASE("gate: tokens count as thought, then as they were", "[unit][routing]") {
  Gate gate(limits(0, 1'000));
  REQUIRE(gate.enter(600, kStart));
  CHECK_FALSE(gate.enter(600, kStart));
  CHECK(gate.inflight() == 1);
  gate.correct(-500, kStart);
  CHECK(gate.tokens_left(kStart) == 900);
  REQUIRE(gate.enter(600, kStart));
  gate.correct(800, kStart);
  CHECK(gate.tokens_left(kStart) == 0);
  CHECK_FALSE(gate.enter(1, kStart + 59 * kSecond));
  CHECK(gate.eases_ns(kStart + 59 * kSecond) <= 6 * kSecond);
  // What is larger than a minute's tokens has a minute of its own.
  CHECK(gate.enter(5'000, kStart + 65 * kSecond));
}

TEST_CASE("gate: a call that was never made counts for nothing", "[unit][routing]") {
  Gate gate(limits(1, 100, 1));
  for (int i = 0; i < 3; ++i) {
    REQUIRE(gate.enter(100, kStart));
    CHECK_FALSE(gate.enter(1, kStart));
    gate.undo(100, kStart);
  }
  CHECK(gate.inflight() == 0);
  CHECK(gate.requests_left(kStart) == 1);
}

TEST_CASE("gate: as many at once as allowed, and what is refused counts for no limit",
          "[unit][routing]") {
  Gate two(limits(0, 0, 2));
  REQUIRE(two.enter(0, kStart));
  REQUIRE(two.enter(0, kStart));
  CHECK_FALSE(two.enter(0, kStart));
  CHECK(two.inflight() == 2);
  two.leave();
  CHECK(two.enter(0, kStart));

  Gate tokens(limits(10, 100));
  REQUIRE(tokens.enter(60, kStart));
  CHECK_FALSE(tokens.enter(60, kStart));
  CHECK(tokens.requests_left(kStart) == 9);
  CHECK(tokens.enter(40, kStart));  // to the last one
  CHECK(tokens.tokens_left(kStart) == 0);
}

TEST_CASE("gate: never more at once than allowed, on many threads", "[unit][routing]") {
  Gate gate(limits(500, 0, 3));
  std::atomic<int> running{0}, most{0}, gone{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 2'000; ++i) {
        if (!gate.enter(1, kStart)) continue;
        const int now = ++running;
        int seen = most;
        while (seen < now && !most.compare_exchange_weak(seen, now)) {
        }
        ++gone;
        --running;
        gate.leave();
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(most <= 3);
  CHECK(gone <= 500);
  CHECK(gate.inflight() == 0);
}

TEST_CASE("gate: what the upstream says is left is believed until it begins anew",
          "[unit][routing]") {
  Gate gate({});
  LearnedLimits said;
  said.rpm = 60;
  said.remaining_requests = 2;
  said.reset_ms = 10'000;
  gate.learn(said, kStart);
  CHECK(gate.learned_rpm() == 60);
  CHECK(gate.requests_left(kStart) == 2);
  REQUIRE(gate.enter(0, kStart));
  REQUIRE(gate.enter(0, kStart));
  CHECK(gate.tight(0, kStart));
  CHECK(gate.enter(0, kStart));  // who has nowhere else to go may try
  // 60 in 10 s: the first of them is there after 167 ms.
  CHECK(gate.tight(0, kStart + kSecond / 10));
  CHECK_FALSE(gate.tight(0, kStart + kSecond / 5));
  CHECK(gate.requests_left(kStart + 5 * kSecond) == 30);
  CHECK(gate.requests_left(kStart + 10 * kSecond) == UINT32_MAX);

  said = {};
  said.remaining_tokens = 500;
  gate.learn(said, kStart);  // it did not say for how long
  CHECK(gate.tight(501, kStart));
  CHECK_FALSE(gate.tight(500, kStart));
  CHECK_FALSE(gate.tight(501, kStart + kSecond));
}

TEST_CASE("gate: a limit that adapts falls when the upstream is pressed and grows when it isn't",
          "[unit][routing]") {
  config::UpstreamLimits all;
  all.adaptive = true;
  Gate gate(all);
  for (int i = 0; i < 40; ++i) REQUIRE(gate.enter(0, kStart));
  CHECK_FALSE(gate.tight(0, kStart));
  gate.pressed(kStart);
  CHECK(gate.inflight_max() == 30);
  CHECK(gate.tight(0, kStart));
  gate.pressed(kStart);  // the same trouble
  CHECK(gate.inflight_max() == 30);
  for (int i = 0; i < 15; ++i) gate.leave();
  gate.pressed(kStart + kSecond);
  CHECK(gate.inflight_max() == 18);  // three quarters of the 25 that ran
  for (int i = 0; i < 18; ++i) gate.eased();
  CHECK(gate.inflight_max() >= 18);
  CHECK(gate.inflight_max() <= 19);
  for (int i = 0; i < 2'000; ++i) gate.eased();
  CHECK(gate.inflight_max() <= 51);  // no further than twice what runs
  CHECK(gate.inflight_max() >= 45);
}

}  // namespace switchyard::routing
