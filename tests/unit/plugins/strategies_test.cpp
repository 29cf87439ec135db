#include <map>
#include <switchyard/testing.hpp>

#include "strategies/cost/choose.hpp"
#include "strategies/latency/choose.hpp"
#include "strategies/priority/choose.hpp"
#include "strategies/weighted/choose.hpp"

using swy::testing::FakeRoute;

namespace {

// How often each candidate comes first over many seeds.
template <class S>
std::map<std::string, int> firsts(FakeRoute& route, const S& strategy, int requests = 4000) {
  std::map<std::string, int> counts;
  for (int i = 0; i < requests; ++i) {
    route.request().seed = static_cast<std::uint64_t>(i) * 7919;
    const std::string order = route.order(strategy);
    ++counts[order.substr(0, order.find(' '))];
  }
  return counts;
}

}  // namespace

// ---- priority ----

TEST_CASE("priority: the lowest number first, equals as they are written", "[unit][plugins]") {
  FakeRoute route;
  route.add("a/m").priority = 2;
  route.add("b/m");
  route.add("c/m").priority = UINT32_MAX;
  route.add("d/m");
  CHECK(route.order(priority::Strategy()) == "b/m d/m a/m c/m");
  CHECK(route.score(priority::Strategy())[0].reason == "2");
}

TEST_CASE("strategies: a candidate whose breaker is open is left out, half open it is not",
          "[unit][plugins]") {
  FakeRoute route;
  route.add("a/m").state = SWY_STATE_OPEN;
  route.add("b/m").state = SWY_STATE_HALF_OPEN;
  route[0].est_cost_nano = 1;
  route[1].est_cost_nano = 2;
  CHECK(route.order(priority::Strategy()) == "b/m");
  CHECK(route.order(weighted::Strategy()) == "b/m");
  CHECK(route.order(latency::Strategy()) == "b/m");
  CHECK(route.order(cost::Strategy()) == "b/m");
  CHECK(route.score(cost::Strategy())[0].reason == "its breaker is open");
}

// ---- weighted ----

TEST_CASE("weighted: each candidate comes first as often as its weight says", "[unit][plugins]") {
  FakeRoute route;
  route.add("a/m").weight = 6;
  route.add("b/m").weight = 3;
  route.add("c/m").weight = 1;
  route.add("d/m").weight = 0;
  const auto counts = firsts(route, weighted::Strategy(), 10'000);
  // Five standard deviations of a binomial of 10,000.
  CHECK(counts.at("a/m") == Approx(6000).margin(245));
  CHECK(counts.at("b/m") == Approx(3000).margin(230));
  CHECK(counts.at("c/m") == Approx(1000).margin(150));
  CHECK(counts.count("d/m") == 0);
}

TEST_CASE("weighted: large weights keep their shares", "[unit][plugins]") {
  FakeRoute route;
  route.add("a/m").weight = 1'000'000;
  route.add("b/m").weight = 500'000;
  CHECK(firsts(route, weighted::Strategy(), 9'000).at("b/m") == Approx(3000).margin(225));
}

TEST_CASE("weighted: a session keeps its candidate, and loses it only when that goes",
          "[unit][plugins]") {
  FakeRoute route;
  for (const char* name : {"a/m", "b/m", "c/m"}) route.add(name);
  for (std::uint64_t session = 1; session <= 200; ++session) {
    route.request().affinity = session;
    const auto counts = firsts(route, weighted::Strategy(), 3);
    REQUIRE(counts.size() == 1);
    const std::string kept = counts.begin()->first;
    for (std::size_t gone = 0; gone < 3; ++gone) {
      route[gone].state = SWY_STATE_OPEN;
      const std::string order = route.order(weighted::Strategy());
      const bool its_own = kept == std::string(1, static_cast<char>('a' + gone)) + "/m";
      if (!its_own) CHECK(order.substr(0, 3) == kept);
      route[gone].state = SWY_STATE_CLOSED;
    }
  }
  CHECK(route.score(weighted::Strategy())[0].reason == "weight 1, by session");
}

TEST_CASE("weighted: sessions are shared out by weight too, unless they don't matter",
          "[unit][plugins]") {
  FakeRoute route;
  route.add("a/m").weight = 3;
  route.add("b/m");
  int first = 0;
  for (std::uint64_t session = 1; session <= 4000; ++session) {
    route.request().affinity = session * 0x9e3779b97f4a7c15u;
    first += route.order(weighted::Strategy()).starts_with("a/m") ? 1 : 0;
  }
  CHECK(first == Approx(3000).margin(140));

  route.request().affinity = 5;
  CHECK(firsts(route, *weighted::Strategy::open(R"({"sticky":false})", {}), 100).size() == 2);
  CHECK(firsts(route, *weighted::Strategy::open(R"({"sticky":true})", {}), 100).size() == 1);
}

// ---- latency ----

TEST_CASE("latency: the quicker one of two, by what the request waits for", "[unit][plugins]") {
  FakeRoute route;
  route.add("a/m").ttft_us = 300'000;
  route.add("b/m").ttft_us = 100'000;
  route[0].latency_us = 1'000'000;
  route[1].latency_us = 2'000'000;
  CHECK(route.order(latency::Strategy()) == "a/m b/m");
  CHECK(route.score(latency::Strategy())[0].reason == "answer 1000 ms, 0 in flight");
  route.request().flags = SWY_RREQ_STREAM;
  CHECK(route.order(latency::Strategy()) == "b/m a/m");
  CHECK(route.score(latency::Strategy())[1].reason == "first token 100 ms, 0 in flight");

  route[1].ttft_us = 0;  // no stream yet: what is known of it is the whole answer
  CHECK(route.order(latency::Strategy()) == "a/m b/m");
  route[0].latency_p95_us = 9'000'000;
  route[0].ttft_p95_us = 900'000;
  route[1].latency_p95_us = 3'000'000;
  CHECK(route.score(*latency::Strategy::open(R"({"measure":"p95"})", {}))[0].reason ==
        "first token 900 ms, 0 in flight");
}

TEST_CASE("latency: load and failures make a candidate slower", "[unit][plugins]") {
  FakeRoute route;
  route.add("a/m").latency_us = 100'000;
  route.add("b/m").latency_us = 150'000;
  route[0].inflight = 15;
  CHECK(route.order(latency::Strategy()) == "a/m b/m");
  route[0].inflight = 17;
  CHECK(route.order(latency::Strategy()) == "b/m a/m");
  CHECK(route.order(*latency::Strategy::open(R"({"concurrency":100})", {})) == "a/m b/m");

  route[0].inflight = 0;
  route[0].samples = 10;
  route[0].err_ppm = 500'000;
  CHECK(route.order(latency::Strategy()) == "b/m a/m");
  route[1].latency_us = UINT32_MAX;
  route[1].err_ppm = 1'000'000;
  route[1].inflight = UINT32_MAX;
  CHECK(route.order(latency::Strategy()) == "a/m b/m");
}

TEST_CASE("latency: what only fails comes last", "[unit][plugins]") {
  FakeRoute route;
  route.add("a/m").samples = 3;
  route[0].err_ppm = 1'000'000;
  route.add("b/m").latency_us = 60'000'000;
  CHECK(firsts(route, latency::Strategy(), 500).at("b/m") == 500);
  CHECK(route.score(latency::Strategy())[0].reason == "only failures lately");
}

TEST_CASE("latency: a candidate that nobody measured is tried by some, one at a time",
          "[unit][plugins]") {
  FakeRoute route;
  route.add("a/m").latency_us = 1'000;
  route.add("b/m");
  CHECK(firsts(route, latency::Strategy()).at("b/m") == Approx(400).margin(95));
  const auto never = latency::Strategy::open(R"({"explore_percent":0})", {});
  CHECK(firsts(route, *never, 500).at("a/m") == 500);
  route[1].inflight = 1;
  CHECK(firsts(route, latency::Strategy()).at("a/m") == 4000);

  route[0].latency_us = 0;  // nobody is known: anybody may be first
  route[1].inflight = 0;
  CHECK(firsts(route, *never).at("b/m") == Approx(2000).margin(160));
}

TEST_CASE("latency: of many the better of two goes first, the slowest never", "[unit][plugins]") {
  FakeRoute route;
  for (std::uint32_t i = 0; i < 4; ++i) {
    route.add(std::string(1, static_cast<char>('a' + i)) + "/m").latency_us = 1'000 * (i + 1);
  }
  const auto counts = firsts(route, latency::Strategy(), 6'000);
  CHECK(counts.at("a/m") == Approx(3000).margin(195));  // of 6 pairs 3 have it
  CHECK(counts.at("b/m") == Approx(2000).margin(185));
  CHECK(counts.at("c/m") == Approx(1000).margin(145));
  CHECK(counts.count("d/m") == 0);
}

// ---- cost ----

TEST_CASE("cost: the cheapest first, the unknown last", "[unit][plugins]") {
  FakeRoute route;
  route.add("a/m").est_cost_nano = 1'234'000;
  route.add("b/m");
  route.add("c/m").est_cost_nano = 1'200'000;
  route.add("d/m").est_cost_nano = 0;
  route.add("e/m").est_cost_nano = INT64_MAX;
  CHECK(route.order(cost::Strategy()) == "d/m c/m a/m e/m b/m");
  const auto scored = route.score(cost::Strategy());
  CHECK(scored[0].reason == "0.001234 USD");
  CHECK(scored[1].reason == "unknown");
  CHECK(scored[3].reason == "0 USD");
}

TEST_CASE("cost: where nothing is known nothing is preferred", "[unit][plugins]") {
  FakeRoute route;
  route.add("a/m");
  route.add("b/m");
  CHECK(route.order(*cost::Strategy::open(R"({"within_percent":1000})", {})) == "a/m b/m");
}

TEST_CASE("cost: about as cheap is equal, for the next strategy to decide", "[unit][plugins]") {
  FakeRoute route;
  route.add("a/m").est_cost_nano = 1'101;
  route.add("b/m").est_cost_nano = 1'100;
  route.add("c/m").est_cost_nano = 1'000;
  const auto strategy = cost::Strategy::open(R"({"within_percent":10})", {});
  const auto scored = route.score(*strategy);
  CHECK(scored[1].score == scored[2].score);
  CHECK(scored[0].score < scored[1].score);
}

TEST_CASE("cost: what is too slow comes after all that is quick enough", "[unit][plugins]") {
  FakeRoute route;
  route.add("a/m").est_cost_nano = 1;
  route.add("b/m").est_cost_nano = 2;
  route.add("c/m");
  route[0].ttft_p95_us = 500'001;
  route[0].latency_p95_us = 2'000'000;
  const auto strategy = cost::Strategy::open(R"({"ttft_ms_max":500})", {});
  CHECK(route.order(*strategy) == "a/m b/m c/m");  // no stream, no first token to wait for
  route.request().flags = SWY_RREQ_STREAM;
  CHECK(route.order(*strategy) == "b/m c/m a/m");
  CHECK(route.score(*strategy)[0].reason == "0.000000001 USD, too slow");
  route.request().flags = 0;
  CHECK(route.order(*cost::Strategy::open(R"({"latency_ms_max":1000})", {})) == "b/m c/m a/m");
}

TEST_CASE("cost: amounts are exact", "[unit][plugins]") {
  CHECK(cost::decimal(0) == "0");
  CHECK(cost::decimal(1) == "0.000000001");
  CHECK(cost::decimal(1'200'000) == "0.0012");
  CHECK(cost::decimal(10'000'000'000) == "10");
  CHECK(cost::decimal(INT64_MAX) == "9223372036.854775807");
}
