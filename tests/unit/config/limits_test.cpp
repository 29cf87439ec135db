#include <rapidjson/document.h>

#include "core/config/rate_limits.hpp"
#include "loaded.hpp"

using namespace switchyard;
using config::RateLimits;

namespace {

std::string read(const char* json, RateLimits& limits) {
  rapidjson::Document document;
  document.Parse(json);
  return config::read_rate_limits(document, limits).value_or("");
}

}  // namespace

TEST_CASE("config: limits of keys, and what holds where a key says nothing", "[unit][config]") {
  World world;
  world.environment = {"HOME=/h", "KEY=k"};
  const auto config = world.config(R"({
    "keys": [{"name": "app", "key": "${KEY}", "priority": "low",
              "limits": {"rpm": 60, "tokens_per_day": 1000}}],
    "limits": {"default_key": {"rpm": 10, "concurrency": 2}, "queue_timeout": "500ms"},
    "overload": {"open_requests_max": 9, "memory_max": "2GB", "loop_lag_max": "2s"}})");
  CHECK(config.keys.at(0).limits.rpm == 60);
  CHECK(config.keys.at(0).limits.tokens_per_day == 1000);
  CHECK(config.keys.at(0).priority == config::Priority::kLow);
  CHECK(config.limits.default_key.concurrency == 2);
  CHECK(config.limits.queue_timeout == std::chrono::milliseconds(500));
  CHECK(config.overload.open_requests_max == 9);
  CHECK(config.overload.memory_max == 2'000'000'000);
  CHECK(config.overload.loop_lag_max == std::chrono::seconds(2));
  const std::string described = config::describe(config);
  CHECK(described.find("60 requests a minute, 1000 tokens a day; priority low") !=
        std::string::npos);
  CHECK(described.find("10 requests a minute, 2 at a time") != std::string::npos);

  const RateLimits both = config.keys[0].limits.or_else(config.limits.default_key);
  CHECK(both.rpm == 60);
  CHECK(both.concurrency == 2);
}

TEST_CASE("config: a limit that can't be is a fault", "[unit][config]") {
  World world;
  CHECK(world.faults(R"({"limits": {"default_key": {"rpm": -1}}})")
            .starts_with("/limits/default_key/rpm: "));
  CHECK(world.faults(R"({"limits": {"default_key": {"rps": 1}}})")
            .starts_with("/limits/default_key"));
  CHECK(world.faults(R"({"limits": {"queue_timeout": "soon"}})")
            .starts_with("/limits/queue_timeout: "));
  CHECK(world.faults(R"({"overload": {"memory_max": "all"}})").starts_with("/overload/memory_max"));
  CHECK(world
            .faults(R"({"keys": [{"name": "a", "mac": ")" + std::string(64, 'a') +
                    R"(", "priority": "urgent"}]})")
            .starts_with("/keys/0/priority"));
}

TEST_CASE("config: limits are read over those that are there, null and 0 lift one",
          "[unit][config]") {
  RateLimits limits;
  CHECK(read(R"({"rpm":60,"tpm":1000})", limits).empty());
  CHECK(read(R"({"rpm":null,"concurrency":3})", limits).empty());
  CHECK(config::to_json(limits) == R"({"tpm":1000,"concurrency":3})");
  CHECK(read(R"({"tpm":0,"concurrency":0})", limits).empty());
  CHECK_FALSE(limits.any());
  CHECK(config::to_json(limits) == "{}");

  CHECK(read("[]", limits).starts_with("expected an object"));
  CHECK(read(R"({"rmp":1})", limits) == "rmp: there is no such limit; did you mean \"rpm\"?");
  for (const char* bad :
       {R"({"rpm":-1})", R"({"rpm":1.5})", R"({"rpm":"1"})", R"({"rpm":1000000000001})"}) {
    CHECK(read(bad, limits).starts_with("rpm: expected"));
  }
}

TEST_CASE("config: of two limits the one that allows more, or less", "[unit][config]") {
  RateLimits a, b;
  a.rpm = 10;
  b.rpm = 20;
  a.tpm = 5;
  CHECK(a.most(b).rpm == 20);
  CHECK(a.most(b).tpm == 0);  // the other has none
  CHECK(a.least(b).rpm == 10);
  CHECK(a.least(b).tpm == 5);
}
