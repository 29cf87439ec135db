// What each strategy makes of providers that fall ill, and whether a replay foresees it.
#include "world.hpp"

#include <algorithm>
#include <array>
#include <catch2/catch.hpp>
#include <cmath>
#include <cstdio>
#include <cstdlib>

namespace switchyard::sim {
namespace {

// Well, ill, well again.
constexpr std::uint64_t kIllFrom = 90, kWellFrom = 180, kEnd = 300;

constexpr const char* kStrategies[] = {"priority",   "weighted", "latency", "cost",
                                       "capability", "sticky",   "split"};

// "a" is the one that each strategy would rather ask, or one of equals.
std::vector<Provider> providers() {
  std::vector<Provider> three;
  const auto add = [&three](const char* id, double ttft_ms, Nano price, std::uint32_t place) {
    Provider provider;
    provider.id = id;
    provider.ttft_ms = ttft_ms;
    provider.token_ms = 10;
    provider.input = price;
    provider.output = 4 * price;
    provider.priority = place;
    provider.tags = {{"quality", std::to_string(90 - 10 * place)}, {"variant", id}};
    three.push_back(std::move(provider));
  };
  add("a", 200, 1'000'000'000, 0);
  add("b", 240, 1'200'000'000, 1);
  add("c", 280, 1'500'000'000, 2);
  return three;
}

std::string config_of(const std::string& name) {
  if (name == "capability") return R"({"rank_by":"quality"})";
  if (name == "split") return R"({"experiment":"trial","variants":{"a":1,"b":1,"c":1}})";
  return "{}";
}

Scenario scenario(const std::string& name, Illness illness) {
  Scenario made;
  made.providers = providers();
  // Those that share out do so among equals.
  const bool ranks = name == "priority";
  for (Provider& provider : made.providers) {
    if (!ranks) provider.priority = 0;
  }
  made.strategies = {strategy(name, config_of(name))};
  made.illness = illness;
  made.sick_from_ns = kIllFrom * kSecond;
  made.well_from_ns = kWellFrom * kSecond;
  made.end_ns = kEnd * kSecond;
  return made;
}

double part(std::uint64_t of, std::uint64_t all) {
  return all == 0 ? 0 : static_cast<double>(of) / static_cast<double>(all);
}

// What the promises are about.
struct Measured {
  double before, ill, after;  // shares of all calls that went to the sick one
  double extra_calls;         // while it was ill, per request
  unsigned flaps;
  std::uint64_t failed;
};

Measured measure(const Seen& seen) {
  const auto share = [&seen](std::uint64_t from, std::uint64_t to) {
    return part(seen.calls(0, from, to), seen.calls(from, to));
  };
  Measured measured{};
  measured.before = share(30, kIllFrom);
  measured.ill = share(kIllFrom + 10, kWellFrom);
  measured.after = share(kWellFrom + 60, kEnd);
  measured.extra_calls =
      part(seen.calls(kIllFrom, kWellFrom), seen.requests(kIllFrom, kWellFrom)) - 1;
  measured.flaps = seen.flaps;
  measured.failed = seen.failed(0, kEnd);
  return measured;
}

// A row of core/routing/SIMULATION.md; said where SWITCHYARD_SIM_TABLE is set.
void tell(const char* name, Illness illness, const Measured& measured) {
  if (std::getenv("SWITCHYARD_SIM_TABLE") == nullptr) return;
  std::printf("| `%s` | %s | %.1f %% | %.1f %% | %.1f %% | %u | %.1f %% | %llu |\n", name,
              to_string(illness), 100 * measured.before, 100 * measured.ill, 100 * measured.after,
              measured.flaps, 100 * measured.extra_calls,
              static_cast<unsigned long long>(measured.failed));
}

}  // namespace

TEST_CASE("sim: a sick provider is left alone, and found again when it is well", "[sim]") {
  const Illness illness = GENERATE(Illness::kDown, Illness::kSlow, Illness::kFlaky);
  for (const char* const name : kStrategies) {
    const Measured measured = measure(World(scenario(name, illness)).run());
    tell(name, illness, measured);
    CAPTURE(name, to_string(illness), measured.before, measured.after, measured.extra_calls);
    CHECK(measured.ill <= 0.05);
    CHECK(measured.flaps <= 2);
    CHECK(measured.after >= 0.9 * measured.before);
    CHECK(measured.extra_calls <= 0.20);
    CHECK(measured.failed == 0);
  }
}

TEST_CASE("sim: a provider that limits is asked for what it gives, and no client notices",
          "[sim]") {
  for (const char* const name : kStrategies) {
    const Measured measured = measure(World(scenario(name, Illness::kLimited)).run());
    tell(name, Illness::kLimited, measured);
    CAPTURE(name, measured.before, measured.ill, measured.after);
    CHECK(measured.after >= 0.9 * measured.before);
    CHECK(measured.extra_calls <= 0.20);
    CHECK(measured.failed == 0);
  }
}

// ---- hedging ----

namespace {

std::uint32_t percentile_us(std::vector<std::uint32_t> times, double part) {
  std::sort(times.begin(), times.end());
  return times[static_cast<std::size_t>(part * static_cast<double>(times.size() - 1))];
}

void tell_hedged(std::uint32_t percent, const Seen& seen, double calls, double cost) {
  if (std::getenv("SWITCHYARD_SIM_TABLE") == nullptr) return;
  std::printf("| %u %% | %u ms | %u ms | %u ms | %.1f %% | %.1f %% |\n", percent,
              percentile_us(seen.first_us, 0.50) / 1000, percentile_us(seen.first_us, 0.95) / 1000,
              percentile_us(seen.first_us, 0.99) / 1000, 100 * calls, 100 * cost);
}

}  // namespace

TEST_CASE("sim: hedging cuts what is slowest, within its share of the cost", "[sim]") {
  std::uint32_t without_us = 0;
  for (const std::uint32_t percent : {0u, 2u, 5u, 10u}) {
    Scenario made = scenario("priority", Illness::kHiccups);
    made.sick_from_ns = 0;
    made.well_from_ns = made.end_ns;
    made.hedge_percent = percent;
    const Seen seen = World(made).run();
    const double extra_calls = part(seen.calls(0, kEnd), seen.requests(0, kEnd)) - 1;
    const double extra_cost = double(seen.outrun_nano) / double(seen.cost_nano);
    tell_hedged(percent, seen, extra_calls, extra_cost);
    const std::uint32_t p99_us = percentile_us(seen.first_us, 0.99);
    CAPTURE(percent, p99_us, extra_calls, extra_cost);
    CHECK(seen.failed(0, kEnd) == 0);
    if (percent == 0) {
      CHECK(extra_calls == 0);
      without_us = p99_us;
      continue;
    }
    CHECK(extra_calls <= percent / 100.0);
    CHECK(extra_cost <= percent / 100.0);
    if (percent >= 5) CHECK(p99_us < without_us / 2);
  }
}

TEST_CASE("sim: the same world is the same twice", "[sim]") {
  Scenario made = scenario("latency", Illness::kFlaky);
  made.end_ns = 120 * kSecond;
  const Seen first = World(made).run();
  const Seen second = World(made).run();
  for (std::size_t i = 0; i < 3; ++i) CHECK(first.served(i) == second.served(i));
  CHECK(first.latency_us == second.latency_us);
  made.seed = 2;
  CHECK(World(made).run().latency_us != first.latency_us);
}

// ---- replay ----

namespace {

// Mildly ill, so that no breaker opens: what is measured is what a forecast has.
Scenario everyday(const std::string& name) {
  Scenario made = scenario(name, Illness::kNone);
  made.end_ns = 240 * kSecond;
  made.keeps_plans = true;
  return made;
}

routing::Replay recorded(const Seen& seen, std::size_t one_in) {
  routing::Replay replay;
  for (std::size_t i = 0; i < seen.plans.size(); ++i) {
    replay.count("ok", seen.records[i]);
    if (i % one_in != 0) continue;
    auto decision = routing::Decision::parse(seen.plans[i]);
    REQUIRE(decision);
    replay.add("ok", std::move(*decision), seen.records[i].begun_ns);
  }
  return replay;
}

void check_within_a_tenth(const char* what, double forecast, double truth) {
  CAPTURE(what);
  CHECK(forecast == Approx(truth).epsilon(0.10));
}

// A tenth of a share, as of everything else, and no less than what so many plans tell a share by:
// two standard errors.
double tolerance(double share, double plans) {
  return std::max(0.10 * share, 2 * std::sqrt(share * (1 - share) / plans));
}

// A row of core/routing/SIMULATION.md.
void tell_forecast(const char* before, const char* name, const routing::Forecast& forecast,
                   const Seen& truth) {
  if (std::getenv("SWITCHYARD_SIM_TABLE") == nullptr) return;
  std::printf("| `%s` | `%s` |", before, name);
  for (std::size_t i = 0; i < 3; ++i) {
    const std::string target = std::string(1, static_cast<char>('a' + i)) + "/m";
    std::printf(" %.1f %%, %.1f %% |", 100 * forecast.after.share(target),
                100 * part(truth.served(i), truth.requests(0, 240)));
  }
  std::printf("\n");
}

}  // namespace

TEST_CASE("sim: a replay foresees what another strategy comes to", "[sim]") {
  // Of a strategy that goes by load, and of one that does not.
  const char* const before = GENERATE("weighted", "latency");
  CAPTURE(before);
  const Seen seen = World(everyday(before)).run();
  const routing::Replay replay = recorded(seen, 10);
  const double plans = double(seen.plans.size()) / 10;
  for (const char* const name : kStrategies) {
    CAPTURE(name);
    World other(everyday(name));
    const routing::Forecast forecast = replay.run(other.pipeline(), other.pricing());
    const Seen truth = other.run();
    tell_forecast(before, name, forecast, truth);
    const std::uint64_t requests = truth.requests(0, 240);
    CHECK(forecast.after.requests == Approx(double(requests)).epsilon(0.01));
    for (std::size_t i = 0; i < 3; ++i) {
      const std::string target = std::string(1, static_cast<char>('a' + i)) + "/m";
      CAPTURE(target);
      const double share = part(truth.served(i), requests);
      CHECK(forecast.after.share(target) == Approx(share).margin(tolerance(share, plans)));
    }
    check_within_a_tenth("cost", double(forecast.after.cost.at("USD")), double(truth.cost_nano));
    check_within_a_tenth("first token", forecast.after.ttft_us, truth.ttft_us / double(requests));
    check_within_a_tenth("answer", forecast.after.latency_us, truth.latency_us / double(requests));
    check_within_a_tenth("calls", forecast.after.calls, double(truth.calls(0, 240)));
  }
}

TEST_CASE("sim: what failed is foreseen too", "[sim]") {
  // One of three fails every tenth call, which no breaker minds.
  Scenario made = everyday("weighted");
  made.illness = Illness::kFlaky;
  made.sick_from_ns = 0;
  made.well_from_ns = made.end_ns;
  made.flaky = 0.1;
  const Seen seen = World(made).run();
  const routing::Replay replay = recorded(seen, 10);
  made.strategies = {strategy("priority")};
  World other(made);
  const routing::Forecast forecast = replay.run(other.pipeline(), other.pricing());
  const Seen truth = other.run();
  check_within_a_tenth("calls", forecast.after.calls, double(truth.calls(0, 240)));
  CHECK(forecast.after.calls > 1.05 * forecast.after.requests);
  CHECK(forecast.before.calls == Approx(double(seen.calls(0, 240))).epsilon(0.02));
}

}  // namespace switchyard::sim
