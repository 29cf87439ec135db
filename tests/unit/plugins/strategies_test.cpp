#include <map>
#include <set>
#include <switchyard/testing.hpp>

#include "strategies/capability/choose.hpp"
#include "strategies/cost/choose.hpp"
#include "strategies/latency/choose.hpp"
#include "strategies/priority/choose.hpp"
#include "strategies/split/choose.hpp"
#include "strategies/sticky/choose.hpp"
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

TEST_CASE("weighted: prompts that only begin alike are shared out all the same",
          "[unit][plugins]") {
  FakeRoute route;
  route.add("a/m");
  route.add("b/m");
  route.request().affinity = 5;
  CHECK(firsts(route, weighted::Strategy(), 100).size() == 1);
  route.request().flags = SWY_RREQ_PREFIX;
  CHECK(firsts(route, weighted::Strategy(), 100).size() == 2);
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
  CHECK(firsts(route, latency::Strategy()).at("b/m") == Approx(120).margin(54));
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
  const auto counts =
      firsts(route, *latency::Strategy::open(R"({"explore_percent":0})", {}), 6'000);
  CHECK(counts.at("a/m") == Approx(3000).margin(195));  // of 6 pairs 3 have it
  CHECK(counts.at("b/m") == Approx(2000).margin(185));
  CHECK(counts.at("c/m") == Approx(1000).margin(145));
  CHECK(counts.count("d/m") == 0);
}

TEST_CASE("latency: who is passed over is looked at by a few, one at a time", "[unit][plugins]") {
  FakeRoute route;
  route.add("a/m").latency_us = 100'000;
  route.add("b/m").latency_us = 900'000;
  CHECK(firsts(route, latency::Strategy()).at("b/m") == Approx(120).margin(54));
  route[1].inflight = 1;
  CHECK(firsts(route, latency::Strategy()).count("b/m") == 0);
}

TEST_CASE("latency: a half-open breaker learns at once how its target fares", "[unit][plugins]") {
  FakeRoute route;
  route.add("a/m").latency_us = 100'000;
  route.add("b/m").samples = 9;
  route[1].err_ppm = 1'000'000;
  CHECK(firsts(route, latency::Strategy(), 100).at("a/m") == 100);
  route[1].state = SWY_STATE_HALF_OPEN;
  CHECK(firsts(route, latency::Strategy(), 100).at("b/m") == 100);
  route[1].inflight = 1;  // one at a time
  CHECK(firsts(route, latency::Strategy(), 100).at("a/m") == 100);
  route[1].inflight = 0;
  route[1].latency_us = 90'000;  // what failed before does not count
  CHECK(route.order(latency::Strategy()) == "b/m a/m");
  route[1].state = SWY_STATE_CLOSED;
  CHECK(route.order(latency::Strategy()) == "a/m b/m");
}

TEST_CASE("latency: a short answer is judged by what it takes", "[unit][plugins]") {
  FakeRoute route;
  // 400 ms to the first token and 100 ms for 100 more; 100 ms and 500 ms for the same.
  route.add("a/m").latency_us = 500'000;
  route.add("b/m").latency_us = 600'000;
  route[0].ttft_us = 400'000;
  route[1].ttft_us = 100'000;
  route[0].tok_per_s = 200;
  route[1].tok_per_s = 167;
  CHECK(route.order(latency::Strategy()) == "a/m b/m");
  route.request().tok_out_max = 10;
  CHECK(route.order(latency::Strategy()) == "b/m a/m");
  CHECK(route.score(latency::Strategy())[0].reason == "answer 410 ms, 0 in flight");
  route.request().tok_out_max = 100'000;  // more than answers have says nothing
  CHECK(route.order(latency::Strategy()) == "a/m b/m");
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

TEST_CASE("cost: what is not good enough comes after all that is", "[unit][plugins]") {
  FakeRoute route;
  route.add("a/m", {{"quality", "60"}}).est_cost_nano = 1;
  route.add("b/m").est_cost_nano = 2;
  route.add("c/m", {{"quality", "80"}}).est_cost_nano = 3;
  route.add("d/m", {{"quality", "high"}, {"elo", "1300"}}).est_cost_nano = 4;
  CHECK(route.order(cost::Strategy()) == "a/m b/m c/m d/m");
  const auto floor = cost::Strategy::open(R"({"quality_min":80})", {});
  CHECK(route.order(*floor) == "c/m a/m b/m d/m");
  CHECK(route.score(*floor)[1].reason == "0.000000002 USD, below the floor of quality");
  CHECK(route.order(*cost::Strategy::open(R"({"quality_min":1200,"quality_tag":"elo"})", {})) ==
        "d/m a/m b/m c/m");
}

TEST_CASE("cost: what fails too often comes last, where that was seen often enough",
          "[unit][plugins]") {
  FakeRoute route;
  route.add("a/m").est_cost_nano = 1;
  route.add("b/m").est_cost_nano = 2;
  route[0].err_ppm = 210'000;
  route[0].samples = 9;
  const auto strategy = cost::Strategy::open(R"({"failed_percent_max":20})", {});
  CHECK(route.order(*strategy) == "a/m b/m");
  route[0].samples = 10;
  CHECK(route.order(*strategy) == "b/m a/m");
  CHECK(route.order(cost::Strategy()) == "a/m b/m");
}

// ---- sticky ----

TEST_CASE("sticky: a session has one home, and its next one when that is unwell",
          "[unit][plugins]") {
  FakeRoute route;
  for (const char* name : {"a/m", "b/m", "c/m"}) route.add(name);
  const sticky::Strategy strategy;
  std::map<std::string, int> homes;
  for (std::uint64_t session = 1; session <= 300; ++session) {
    CAPTURE(session);
    route.request().affinity = session * 0x9e3779b97f4a7c15u;
    const std::string order = route.order(strategy);
    ++homes[order.substr(0, 3)];
    route.request().seed = session;  // chance has no say
    CHECK(route.order(strategy) == order);

    const std::size_t home = static_cast<std::size_t>(order[0] - 'a');
    route[home].samples = 10;
    route[home].err_ppm = 300'001;
    CHECK(route.order(strategy) == order.substr(4) + ' ' + order.substr(0, 3));
    CHECK(route.score(strategy)[home].reason == "released: fails");
    // What is half open is shown to no more requests than it is to have.
    route[home].state = SWY_STATE_HALF_OPEN;
    CHECK(route.order(strategy) == order);
    route[home].state = SWY_STATE_CLOSED;
    route[home].samples = 9;
    CHECK(route.order(strategy) == order);
    CHECK(route.score(strategy)[home].reason == "home of the session");
    route[home].err_ppm = 0;
  }
  for (const char* name : {"a/m", "b/m", "c/m"}) CHECK(homes[name] == Approx(100).margin(41));
}

TEST_CASE("sticky: weights share the sessions out", "[unit][plugins]") {
  FakeRoute route;
  route.add("a/m").weight = 9;
  route.add("b/m").weight = 1;
  int at_a = 0;
  for (std::uint64_t session = 1; session <= 1000; ++session) {
    route.request().affinity = session * 0x9e3779b97f4a7c15u;
    at_a += route.order(sticky::Strategy()).starts_with("a") ? 1 : 0;
  }
  CHECK(at_a == Approx(900).margin(48));
}

TEST_CASE("sticky: slowness releases too, where a ceiling says so", "[unit][plugins]") {
  FakeRoute route;
  route.add("a/m");
  route.add("b/m");
  route.request().affinity = 5;
  const std::string order = route.order(sticky::Strategy());
  const std::size_t home = static_cast<std::size_t>(order[0] - 'a');
  route[home].ttft_p95_us = 1'000'001;
  route[home].latency_p95_us = 2'000'001;
  const auto ttft = sticky::Strategy::open(R"({"ttft_ms_max":1000})", {});
  CHECK(route.order(sticky::Strategy()) == order);
  CHECK(route.order(*ttft) == order);  // no stream
  route.request().flags = SWY_RREQ_STREAM;
  CHECK(route.order(*ttft) != order);
  CHECK(route.order(*sticky::Strategy::open(R"({"latency_ms_max":2000})", {})) != order);
  CHECK(route.score(*ttft)[home].reason == "released: slow");
}

TEST_CASE("sticky: who belongs to nothing leaves the order to the next strategy",
          "[unit][plugins]") {
  FakeRoute route;
  route.add("a/m");
  route.add("b/m");
  const auto equal = [&route](const sticky::Strategy& strategy) {
    const auto scored = route.score(strategy);
    return scored[0].score == scored[1].score;
  };
  CHECK(equal(sticky::Strategy()));
  route.request().affinity = 5;
  CHECK_FALSE(equal(sticky::Strategy()));
  route.request().flags = SWY_RREQ_PREFIX;
  CHECK_FALSE(equal(sticky::Strategy()));
  CHECK(equal(*sticky::Strategy::open(R"({"prefixes":false})", {})));
}

// ---- split ----

namespace {

split::Strategy trial(const std::string& more = "") {
  auto opened = split::Strategy::open(
      R"({"experiment":"trial","variants":{"old":90,"new":10})" + more + "}", {});
  REQUIRE(opened);
  return *std::move(opened);
}

}  // namespace

TEST_CASE("split: a key has one variant, and shares are as they are set", "[unit][plugins]") {
  FakeRoute route;
  route.add("a/m", {{"variant", "old"}});
  route.add("b/m", {{"variant", "new"}});
  int fresh = 0;
  for (int key = 0; key < 1000; ++key) {
    const std::string id = "key_" + std::to_string(key);
    route.request().key_id = swy::str(id);
    const std::string order = route.order(trial());
    fresh += order.starts_with("b") ? 1 : 0;
    for (const std::uint64_t seed : {1u, 2u, 3u}) {
      route.request().seed = seed;
      REQUIRE(route.order(trial()) == order);
    }
  }
  CHECK(fresh == Approx(100).margin(48));
}

TEST_CASE("split: another experiment assigns anew", "[unit][plugins]") {
  FakeRoute route;
  route.add("a/m", {{"variant", "old"}});
  route.add("b/m", {{"variant", "new"}});
  const auto half = [](const std::string& name) {
    return *split::Strategy::open(
        R"({"experiment":")" + name + R"(","variants":{"old":1,"new":1}})", {});
  };
  int same = 0;
  for (int key = 0; key < 1000; ++key) {
    const std::string id = "key_" + std::to_string(key);
    route.request().key_id = swy::str(id);
    same += route.order(half("one")) == route.order(half("two")) ? 1 : 0;
  }
  CHECK(same == Approx(500).margin(80));
}

TEST_CASE("split: the reason names the experiment and the variant", "[unit][plugins]") {
  FakeRoute route;
  route.add("a/m", {{"variant", "new"}});
  route.add("b/m", {{"variant", "new"}});
  route.add("c/m");
  const auto all_new =
      split::Strategy::open(R"({"experiment":"trial","variants":{"old":0,"new":1}})", {});
  const auto scored = route.score(*all_new);
  CHECK(scored[0].reason == "trial=new");
  CHECK(scored[0].score == scored[1].score);  // the next strategy chooses within a variant
  CHECK(scored[2].reason == "trial=new, but is of none");
  CHECK(route.order(*all_new) == "a/m b/m c/m");
  const auto strict =
      split::Strategy::open(R"({"experiment":"trial","variants":{"new":1},"strict":true})", {});
  CHECK(route.order(*strict) == "a/m b/m");
  CHECK_FALSE(split::Strategy::open(R"({"experiment":"x","variants":{"a":0}})", {}));
}

TEST_CASE("split: requests are assigned together by what the configuration says",
          "[unit][plugins]") {
  FakeRoute route;
  route.add("a/m", {{"variant", "old"}});
  route.add("b/m", {{"variant", "new"}});
  const auto moves = [&route](const std::string& by, const auto& change) {
    const auto strategy = split::Strategy::open(
        R"({"experiment":"trial","variants":{"old":1,"new":1},"by":")" + by + "\"}", {});
    std::set<std::string> orders;
    for (std::uint64_t i = 1; i <= 64; ++i) {
      change(route.request(), i);
      orders.insert(route.order(*strategy));
    }
    return orders.size() > 1;
  };
  static const std::string names = std::string(64, 'x');
  const auto account = [](swy_rreq& request, std::uint64_t i) {
    request.account = swy::str(std::string_view(names).substr(0, i));
  };
  const auto session = [](swy_rreq& request, std::uint64_t i) { request.affinity = i; };
  const auto seed = [](swy_rreq& request, std::uint64_t i) { request.seed = i; };
  route.request().key_id = swy::str("key");
  route.request().account = swy::str("acme");
  route.request().affinity = 1;
  CHECK_FALSE(moves("key", account));
  CHECK_FALSE(moves("key", session));
  CHECK(moves("account", account));
  CHECK_FALSE(moves("account", seed));
  CHECK(moves("session", session));
  CHECK_FALSE(moves("session", seed));
  CHECK(moves("request", seed));
  route.request().key_id = {};
  CHECK(moves("key", seed));  // without a key each request is drawn for itself
}

// ---- capability ----

TEST_CASE("capability: who lacks what is required is left out", "[unit][plugins]") {
  FakeRoute route;
  route.add("a/m", {{"tier", "large"}, {"licence", "open"}});
  route.add("b/m", {{"tier", "small, medium"}});
  route.add("c/m").region = swy::str("eu");
  const auto order = [&route](const std::string& require) {
    const auto opened = capability::Strategy::open(R"({"require":)" + require + "}", {});
    REQUIRE(opened);
    return route.order(*opened);
  };
  CHECK(order("{}") == "a/m b/m c/m");
  CHECK(order(R"({"tier":"large"})") == "a/m");
  CHECK(order(R"({"tier":["medium","large"]})") == "a/m b/m");
  CHECK(order(R"({"tier":true,"licence":true})") == "a/m");
  CHECK(order(R"({"region":"eu"})") == "c/m");
  CHECK(order(R"({"tier":"larg"})") == "");
  const auto opened = capability::Strategy::open(R"({"require":{"tier":"large"}})", {});
  CHECK(route.score(*opened)[2].reason == "lacks tier");
}

TEST_CASE("capability: points make the order, and the reason says what for", "[unit][plugins]") {
  FakeRoute route;
  route.add("a/m", {{"languages", "en"}, {"bench", "70"}});
  route.add("b/m", {{"languages", "en, zh"}, {"bench", "65"}});
  route.add("c/m", {{"tier", "old"}, {"bench", "x"}}).region = swy::str("cn");
  CHECK(route.order(capability::Strategy()) == "a/m b/m c/m");
  route.request().language = swy::str("zh");
  CHECK(route.order(capability::Strategy()) == "b/m a/m c/m");
  CHECK(route.score(capability::Strategy())[1].reason == "10: zh");
  route.request().region = swy::str("cn");
  CHECK(route.order(capability::Strategy()) == "b/m c/m a/m");

  const auto ranked = capability::Strategy::open(
      R"({"rank_by":"bench","language_points":0,"prefer":[{"tag":"tier","is":"old","points":-5},)"
      R"({"tag":"languages","is":["zh"],"points":4}]})",
      {});
  REQUIRE(ranked);
  CHECK(route.order(*ranked) == "a/m b/m c/m");
  CHECK(route.score(*ranked)[1].reason == "69: languages, zh, bench");
  CHECK(route.score(*ranked)[2].reason == "5: tier, cn");
}
