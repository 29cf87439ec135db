#include "core/routing/forecast.hpp"

#include "core/catalog/price_list.hpp"
#include "strategies.hpp"

namespace switchyard::routing {
namespace {

// A pipeline of the targets p/big and p/small, with one strategy.
struct World {
  explicit World(const std::string& strategy, std::vector<std::string> models = {"big", "small"}) {
    config::Model model;
    model.name = "alias";
    for (const std::string& name : models) model.candidates.push_back({"p", name});
    pipeline =
        std::make_unique<Pipeline>(config, model, catalog, statistics, strategies_of({strategy}));
  }

  config::Config config;
  catalog::Catalog catalog;
  Statistics statistics;
  std::unique_ptr<Pipeline> pipeline;
};

struct Shown {
  const char* model;
  std::int64_t cost_nano;
  std::uint32_t latency_us, err_ppm, inflight = 0;
};

// A choice between these, in this order.
Decision decided(const std::vector<Shown>& shown) {
  std::vector<swy_cand> candidates;
  Plan plan;
  for (const Shown& each : shown) {
    swy_cand candidate{};
    candidate.size = sizeof candidate;
    candidate.provider = to_swy("p");
    candidate.model = to_swy(each.model);
    candidate.id = candidate_id("p", each.model);
    candidate.est_cost_nano = each.cost_nano;
    candidate.latency_us = each.latency_us;
    candidate.err_ppm = each.err_ppm;
    candidate.inflight = each.inflight;
    candidate.samples = each.latency_us > 0 ? 10 : 0;
    candidate.inflight_max = candidate.rpm_left = UINT32_MAX;
    candidate.tpm_left = UINT64_MAX;
    plan.order.push_back(static_cast<std::uint32_t>(candidates.size()));
    candidates.push_back(candidate);
  }
  swy_rreq request{};
  request.size = sizeof request;
  request.currency = to_swy(shown.front().cost_nano == INT64_MIN ? "" : "USD");
  request.tok_in_est = 100;
  request.tok_out_est = 40;
  auto parsed = Decision::parse(decision_json("alias", {}, request, candidates, plan));
  REQUIRE(parsed);
  return std::move(*parsed);
}

}  // namespace

TEST_CASE("routing: a replay shifts shares, cost and time to where the order goes",
          "[unit][routing]") {
  Replay replay;
  for (int i = 0; i < 4; ++i) {
    replay.count("ok");
    replay.add("ok", decided({{"big", 1'000, 200, 0}, {"small", 100, 300, 0}}));
  }
  const World world(R"({"big":1,"small":2})");
  const Forecast forecast = replay.run(*world.pipeline, {});
  CHECK(forecast.before.requests == 4);
  CHECK(forecast.before.share("p/big") == 1);
  CHECK(forecast.before.cost.at("USD") == 4'000);
  CHECK(forecast.before.latency_us == 200);
  CHECK(forecast.after.share("p/small") == 1);
  CHECK(forecast.after.share("p/big") == 0);
  CHECK(forecast.after.cost.at("USD") == 400);
  CHECK(forecast.after.latency_us == 300);
  CHECK(forecast.after.calls == 4);
  CHECK(forecast.after.failed == 0);
}

TEST_CASE("routing: a candidate that fails is followed by the next one", "[unit][routing]") {
  Replay replay;
  replay.count("ok");
  replay.add("ok", decided({{"big", 1'000, 200, 250'000}, {"small", 100, 300, 500'000}}));
  const World world(R"({"big":2,"small":1})");
  const Outlook after = replay.run(*world.pipeline, {}).after;
  CHECK(after.share("p/big") == Approx(0.75));
  CHECK(after.share("p/small") == Approx(0.125));
  CHECK(after.failed == Approx(0.125));
  CHECK(after.calls == Approx(1.25));
  CHECK(after.latency_us == Approx((0.75 * 200 + 0.125 * 300) / 0.875));
  CHECK(after.cost.at("USD") == 762);  // 0.75 * 1000 + 0.125 * 100, whole
}

TEST_CASE("routing: what is a sample counts for all that it was drawn from", "[unit][routing]") {
  Replay replay;
  for (int i = 0; i < 100; ++i) replay.count("ok");
  for (int i = 0; i < 5; ++i) replay.count("failed");
  replay.add("ok", decided({{"big", 1, 1, 0}}));
  for (int i = 0; i < 5; ++i) replay.add("failed", decided({{"small", 1, 1, 0}}));
  const World world(R"({"big":1,"small":1})");
  const Outlook before = replay.run(*world.pipeline, {}).before;
  CHECK(before.requests == Approx(105));
  CHECK(before.share("p/big") == Approx(100.0 / 105));
}

TEST_CASE("routing: a candidate without a measurement has its mean, and one without any none",
          "[unit][routing]") {
  Replay replay;
  for (int i = 0; i < 2; ++i) replay.count("ok");
  replay.add("ok", decided({{"big", 1, 100, 0}, {"small", 1, 500, 0}}));
  replay.add("ok", decided({{"big", 1, 100, 0}, {"small", 1, 0, 0}}));
  const World small(R"({"big":1,"small":2})");
  CHECK(replay.run(*small.pipeline, {}).after.latency_us == 500);

  const World fresh(R"({"tiny":9,"big":1})", {"tiny", "big"});
  const Outlook after = replay.run(*fresh.pipeline, {}).after;
  CHECK(after.share("p/tiny") == 1);
  CHECK(after.timed == 0);
  CHECK(after.unpriced == 2);
}

TEST_CASE("routing: costs that nobody had asked for are those of today", "[unit][routing]") {
  Replay replay;
  replay.count("ok");
  replay.add("ok", decided({{"big", INT64_MIN, 1, 0}, {"small", INT64_MIN, 1, 0}}));
  const auto tariff = [](Nano per_million) {
    auto made = std::make_shared<catalog::Tariff>();
    catalog::Tariff::Period period;
    period.tiers.base.set(catalog::Meter::kInput, per_million);
    period.tiers.base.set(catalog::Meter::kOutput, per_million);
    made->periods.push_back(period);
    return made;
  };
  const std::vector<catalog::ListedPrice> listed{{"p", "big", tariff(3'000'000)},
                                                 {"p", "small", tariff(1'000'000)}};
  catalog::PricesInForce prices;
  prices.book = std::make_shared<catalog::PriceBook>(catalog::Catalog(), listed,
                                                     std::vector<catalog::ListedPrice>());
  prices.fx = std::make_shared<catalog::FxTable>();
  const World world(R"({"big":1,"small":2})");
  const Forecast forecast = replay.run(*world.pipeline, {&prices, 1});
  CHECK(forecast.before.cost.at("USD") == 3 * 140);
  CHECK(forecast.after.cost.at("USD") == 140);
}

TEST_CASE("routing: who was not allowed to a request is not in its replay", "[unit][routing]") {
  Replay replay;
  for (int i = 0; i < 2; ++i) replay.count("ok");
  replay.add("ok", decided({{"big", 1, 1, 0}, {"small", 1, 1, 0}}));
  replay.add("ok", decided({{"big", 1, 1, 0}}));
  const World world(R"({"big":1,"small":2})");
  const Outlook after = replay.run(*world.pipeline, {}).after;
  CHECK(after.share("p/small") == Approx(0.5));
  CHECK(after.share("p/big") == Approx(0.5));
}

namespace {

constexpr std::uint64_t kMs = 1'000'000;

// A thousand requests of 50 ms each, one a millisecond, all of which went to "big"; what a load
// follower makes of them.
Outlook spread(std::uint32_t big_inflight, std::uint32_t small_inflight, bool times_known = true) {
  Replay replay;
  const std::uint64_t from_ns = times_known ? 1'795'132'800'000 * kMs : 0;
  for (std::uint64_t i = 0; i < 1'000; ++i) {
    const std::uint64_t begun_ns = times_known ? from_ns + i * kMs : 0;
    replay.count(
        "ok", {.begun_ns = begun_ns, .duration_us = 50'000, .served_by = candidate_id("p", "big")});
    if (i % 100 != 99) continue;
    replay.add(
        "ok",
        decided({{"big", 1, 50'000, 0, big_inflight}, {"small", 1, 50'000, 0, small_inflight}}),
        begun_ns);
  }
  const World world(R"({"big":"load","small":"load"})");
  return replay.run(*world.pipeline, {}).after;
}

}  // namespace

TEST_CASE("routing: what a choice puts in flight is there when the next one is made again",
          "[unit][routing]") {
  CHECK(spread(50, 0).share("p/small") == Approx(0.5).margin(0.01));
}

TEST_CASE("routing: in flight is a request at who serves it", "[unit][routing]") {
  Replay replay;
  for (std::uint64_t i = 1; i <= 100; ++i) {
    replay.count(
        "ok",
        {.begun_ns = i * kMs, .duration_us = 50'000, .served_by = candidate_id("p", "small")});
  }
  replay.add("ok", decided({{"big", 1, 50'000, 1'000'000, 0}, {"small", 1, 50'000, 0, 49}}),
             100 * kMs);
  const World world(R"({"big":"load","small":"load"})");
  // "big" fails at once and is idle: each request asks it first.
  const Outlook after = replay.run(*world.pipeline, {}).after;
  CHECK(after.share("p/small") == 1);
  CHECK(after.calls == 200);
}

TEST_CASE("routing: what others have in flight is there whatever is chosen", "[unit][routing]") {
  // Of 50 in flight 35 and 15, to make 20 more of others' as many.
  CHECK(spread(50, 20).share("p/small") == Approx(0.3).margin(0.03));
  CHECK(spread(70, 0).share("p/small") == Approx(0.7).margin(0.03));
}

TEST_CASE("routing: without times what is in flight is what was recorded", "[unit][routing]") {
  CHECK(spread(50, 0, false).share("p/small") == 1);
  CHECK(spread(50, 51, false).share("p/small") == 0);
}

TEST_CASE("routing: those that share a plan have chances of their own", "[unit][routing]") {
  Replay replay;
  for (int i = 0; i < 1'000; ++i) replay.count("ok");
  replay.add("ok", decided({{"big", 1, 1, 0}, {"small", 1, 1, 0}}));
  const World world(R"({"big":"chance","small":"chance"})");
  CHECK(replay.run(*world.pipeline, {}).after.share("p/small") == Approx(0.5).margin(0.05));
}

}  // namespace switchyard::routing
