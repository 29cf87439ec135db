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

TEST_CASE("routing: attempts in flight are counted as they come and go", "[unit][routing]") {
  TargetStats stats;
  stats.begin();
  stats.begin();
  stats.end();
  CHECK(read(stats, kStart).inflight == 1);
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
        stats.begin();
        stats.add(good(1'000, 500, 1), kStart);
        stats.end();
      }
    });
  }
  for (std::thread& loop : loops) loop.join();
  const swy_cand candidate = read(stats, kStart);
  CHECK(candidate.inflight == 0);
  CHECK(candidate.samples == 20'000);
  CHECK(candidate.latency_us == 1'000);
}

TEST_CASE("routing: a cell is one as long as somebody holds it", "[unit][routing]") {
  Statistics statistics;
  const auto cell = statistics.cell("a");
  CHECK(statistics.cell("a") == cell);
  CHECK(statistics.cell("b") != cell);
  statistics.drop_unused();
  CHECK(statistics.cell("a") == cell);
  cell->begin();
  std::weak_ptr<TargetStats> gone = statistics.cell("b");
  statistics.drop_unused();
  CHECK(gone.expired());
}

}  // namespace switchyard::routing
