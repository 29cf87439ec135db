#include "loaded.hpp"

using namespace switchyard;
using namespace std::chrono_literals;

TEST_CASE("config: limits, weights and breakers of upstreams are read, and told",
          "[unit][config]") {
  World world;
  world.environment = {"HOME=/home/somebody", "KEY=sk-1"};
  const auto config = world.config(R"({"providers": {"p": {"dialect": "openai",
    "credentials": [{"name": "eu", "key": "${KEY}", "weight": 3, "limits": {"rpm": 7}}],
    "limits": {"concurrency": 20, "tpm": 90000},
    "model_limits": {"big": {"rpm": 5}, "*": {"adaptive": true}},
    "breaker": {"errors_percent": 40, "slow": "30s", "cool_down": "1m", "probes": 1},
    "timeouts": {"first_token": "20s", "between_tokens": "7s"}}}})");
  const config::Provider& provider = config.providers.at(0);
  CHECK(provider.limits == config::UpstreamLimits{0, 20, 90'000, false});
  CHECK(provider.credentials[0].weight == 3);
  CHECK(provider.credentials[0].limits.rpm == 7);
  CHECK(provider.model_limits.at("big").rpm == 5);
  CHECK(provider.model_limits.at("*").adaptive);
  CHECK(provider.breaker.errors_percent == 40);
  CHECK(provider.breaker.slow == 30s);
  CHECK(provider.breaker.calls_min == 20);
  CHECK(provider.breaker.cool_down_max == 1min);  // no shorter than the first
  CHECK(provider.timeouts.first_token == 20s);
  CHECK(provider.timeouts.between_tokens == 7s);
  const std::string told = config::describe(config);
  CHECK_THAT(told, Catch::Contains("all calls: tpm 90000, concurrency 20; credential eu: rpm 7; "
                                   "each other model: adaptive; model big: rpm 5"));
  CHECK_THAT(told, Catch::Contains("opens at 40 % errors or 50 % over 30s of 20 calls or more in "
                                   "10s, for 60s to 60s"));
}

TEST_CASE("config: faults of limits and breakers are told by their pointers", "[unit][config]") {
  const World world;
  CHECK(world.faults(R"({"providers": {"p": {"dialect": "openai", "limits": {"rpm": 0},
    "model_limits": {"m": {"rps": 1}},
    "breaker": {"errors_percent": 101, "window": "long", "ramp": "999h"}}}})") ==
        R"(/providers/p/breaker/errors_percent: found 101, expected at most 100
/providers/p/breaker/ramp: a duration of more than 30 days
/providers/p/breaker/window: found "long", expected a duration such as "500ms", "10s", "5m" or "1h"
/providers/p/limits/rpm: found 0, expected at least 1
/providers/p/model_limits/m/rps: unknown key; did you mean "rpm"?)");
}
