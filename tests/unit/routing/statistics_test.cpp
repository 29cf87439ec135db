#include "core/routing/statistics.hpp"

#include <switchyard/strategy.h>

#include <catch2/catch.hpp>
#include <thread>

namespace switchyard::routing {
namespace {

constexpr std::uint64_t kSecond = 1'000'000'000;
constexpr std::uint64_t kStart = 1000 * TargetStats::kSlotNs;

swy_outcome good(std::uint32_t latency_us, std::uint32_t ttft_us = 0, std::uint64_t tokens = 0) {
  swy_outcome outcome{};
  outcome.size = sizeof outcome;
  outcome.cls = -1;
  outcome.latency_us = latency_us;
  outcome.ttft_us = ttft_us;
  outcome.tok_out = tokens;
  return outcome;
}

swy_outcome bad(std::int32_t cls) {
  swy_outcome outcome = good(10);
  outcome.cls = cls;
  return outcome;
}

swy_cand read(const TargetStats& stats, std::uint64_t now_ns) {
  swy_cand candidate{};
  stats.read(candidate, now_ns);
  return candidate;
}

}  // namespace

TEST_CASE("routing: a target that nobody used is not measured", "[unit][routing]") {
  const TargetStats stats;
  const swy_cand candidate = read(stats, kStart);
  CHECK(candidate.samples == 0);
  CHECK(candidate.err_ppm == 0);
  CHECK(candidate.ttft_us + candidate.ttft_p95_us + candidate.latency_us +
            candidate.latency_p95_us + candidate.tok_per_s ==
        0);
}

TEST_CASE("routing: a target's faults count, a request's own and a fast failure's time do not",
          "[unit][routing]") {
  TargetStats stats;
  for (int i = 0; i < 3; ++i) stats.add(good(100'000), kStart);
  stats.add(bad(SWY_CLS_SERVER), kStart);
  for (const auto cls :
       {SWY_CLS_BAD_REQUEST, SWY_CLS_TOO_LONG, SWY_CLS_FILTERED, SWY_CLS_NOT_OFFERED}) {
    stats.add(bad(cls), kStart);
  }
  const swy_cand candidate = read(stats, kStart);
  CHECK(candidate.samples == 4);
  CHECK(candidate.err_ppm == 250'000);
  CHECK(candidate.latency_us == 100'000);
}

TEST_CASE("routing: what happened a minute ago is forgotten", "[unit][routing]") {
  TargetStats stats;
  stats.add(bad(SWY_CLS_TIMEOUT), kStart);
  stats.add(good(5'000, 2'000, 10), kStart);
  CHECK(read(stats, kStart + 39 * kSecond).samples == 2);
  CHECK(read(stats, kStart + 39 * kSecond).ttft_us == 2'000);
  const swy_cand later = read(stats, kStart + 60 * kSecond);
  CHECK(later.samples == 0);
  CHECK(later.latency_us + later.latency_p95_us + later.ttft_us + later.ttft_p95_us == 0);

  // A mean starts anew then, and does not go on from where it was.
  stats.add(good(900'000), kStart + 90 * kSecond);
  CHECK(read(stats, kStart + 90 * kSecond).latency_us == 900'000);
  CHECK(read(stats, kStart + 90 * kSecond).err_ppm == 0);
}

TEST_CASE("routing: a clock that is a little behind does not turn a slot back", "[unit][routing]") {
  TargetStats stats;
  stats.add(good(1'000), kStart + 3 * TargetStats::kSlotNs);
  stats.add(good(1'000), kStart);  // three slots ago: it shares the slot
  CHECK(read(stats, kStart + 3 * TargetStats::kSlotNs).samples == 2);
}

TEST_CASE("routing: the mean follows what is recent, the 95th percentile what is rare",
          "[unit][routing]") {
  TargetStats stats;
  for (int i = 0; i < 90; ++i) stats.add(good(10'000, 5'000), kStart);
  for (int i = 0; i < 10; ++i) stats.add(good(1'000'000, 5'000), kStart);
  const swy_cand candidate = read(stats, kStart);
  CHECK(candidate.latency_us > 500'000);
  CHECK(candidate.latency_us < 1'000'000);
  CHECK(candidate.latency_p95_us >= 1'000'000);
  CHECK(candidate.latency_p95_us <= 1'500'000);
  CHECK(candidate.ttft_us == 5'000);
  CHECK(candidate.ttft_p95_us >= 5'000);
  CHECK(candidate.ttft_p95_us <= 7'500);
}

TEST_CASE("routing: one in twenty is not the 95th percentile, two are", "[unit][routing]") {
  TargetStats stats;
  for (int i = 0; i < 19; ++i) stats.add(good(1'000), kStart);
  stats.add(good(4'000'000'000), kStart);
  CHECK(read(stats, kStart).latency_p95_us <= 1'536);
  stats.add(good(4'000'000'000), kStart);
  CHECK(read(stats, kStart).latency_p95_us > 100'000'000);
}

TEST_CASE("routing: speed is tokens over the time that answers took", "[unit][routing]") {
  TargetStats stats;
  stats.add(good(1'000'000, 0, 30), kStart);
  stats.add(good(3'000'000, 0, 50), kStart);
  CHECK(read(stats, kStart).tok_per_s == 20);
}

TEST_CASE("routing: loops write one cell together and nothing is lost", "[unit][routing]") {
  TargetStats stats;
  std::vector<std::thread> loops;
  for (int t = 0; t < 4; ++t) {
    loops.emplace_back([&stats] {
      for (int i = 0; i < 5'000; ++i) {
        stats.add(good(1'000, 500, 1), kStart);
      }
    });
  }
  for (std::thread& loop : loops) loop.join();
  const swy_cand candidate = read(stats, kStart);
  CHECK(candidate.samples == 20'000);
  CHECK(candidate.latency_us == 1'000);
}

TEST_CASE("routing: several cells are read as one, each mean by the weight of its samples",
          "[unit][routing]") {
  TargetStats busy, idle;
  for (int i = 0; i < 3; ++i) busy.add(good(1'000, 100, 10), kStart);
  idle.add(good(5'000, 500, 10), kStart);
  idle.add(bad(SWY_CLS_SERVER), kStart);
  TargetStats::Sum sum;
  sum.add(busy, kStart);
  sum.add(idle, kStart);
  swy_cand candidate{};
  sum.fill(candidate);
  CHECK(candidate.samples == 5);
  CHECK(candidate.err_ppm == 200'000);
  CHECK(candidate.latency_us == (3 * 1'000 + 2 * 5'000) / 5);
  CHECK(candidate.ttft_us == (3 * 100 + 2 * 500) / 5);
  CHECK(sum.classes()[SWY_CLS_SERVER] == 1);
  CHECK(sum.classes()[SWY_CLS_TIMEOUT] == 0);
}

TEST_CASE("routing: retries are a share of the other attempts, and a few in any case",
          "[unit][routing]") {
  TargetStats stats;
  const auto retries_within = [&stats](std::uint32_t percent) {
    int count = 0;
    for (; stats.may_retry(percent, kStart) && count < 1'000; ++count) {
      stats.add_retry(kStart);
      stats.add(bad(SWY_CLS_SERVER), kStart);
    }
    return count;
  };
  CHECK(retries_within(0) == 0);
  CHECK(retries_within(20) == 10);
  for (int i = 0; i < 200; ++i) stats.add(bad(SWY_CLS_SERVER), kStart);
  CHECK(retries_within(20) == 30);  // 40 of 200 with those before
  CHECK_FALSE(stats.may_retry(20, kStart));
  CHECK(stats.may_retry(20, kStart + 60 * kSecond));
}

}  // namespace switchyard::routing
