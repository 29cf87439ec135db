#include "loaded.hpp"

using namespace switchyard;

namespace {

const char kProviders[] = R"("providers":{"a":{"plugin":"demo"},"b":{"plugin":"demo"}},)";

std::string with(const std::string& models) {
  return "{" + std::string(kProviders) + R"("models":)" + models + "}";
}

}  // namespace

TEST_CASE("config: an alias in full says what its candidates are and who chooses",
          "[unit][config]") {
  const World world;
  const config::Config config = world.config(with(R"({"fast":{
    "candidates":[{"target":"a/last","priority":2},"a/plain",
                  {"target":"b/full","weight":7,"region":"eu","tags":{"tier":"gold"}}],
    "strategy":[{"plugin":"priority"},{"plugin":"weighted","config":{"sticky":false}}]}})"));
  const config::Model& model = config.models.at(0);
  REQUIRE(model.candidates.size() == 3);
  CHECK(model.candidates[0].model == "plain");
  CHECK(model.candidates[0].weight == 1);
  CHECK(model.candidates[0].priority == 0);
  CHECK(model.candidates[1].model == "full");
  CHECK(model.candidates[1].provider == "b");
  CHECK(model.candidates[1].weight == 7);
  CHECK(model.candidates[1].region == "eu");
  CHECK(model.candidates[1].tags.at("tier") == "gold");
  CHECK(model.candidates[2].model == "last");  // by priority, whatever the order
  REQUIRE(model.strategies.size() == 2);
  CHECK(model.strategies[0].plugin == "priority");
  CHECK(model.strategies[0].config_json == "{}");
  CHECK(model.strategies[0].pointer == "/models/fast/strategy/0");
  CHECK(model.strategies[1].config_json == R"({"sticky":false})");
  CHECK_THAT(config::describe(config),
             Catch::Contains("fast        -> a/plain, b/full (weight 7, region eu, tier gold), "
                             "a/last (priority 2), by priority, then weighted {\"sticky\":false}"));
}

TEST_CASE("config: one strategy needs no list, and a list of candidates no strategy",
          "[unit][config]") {
  const World world;
  const config::Config config = world.config(with(R"({
    "one":{"candidates":["a/x","b/x"],"strategy":{"plugin":"cost"}},
    "two":[{"target":"a/x","priority":1},"b/x"]})"));
  CHECK(config.models[0].strategies.at(0).pointer == "/models/one/strategy");
  CHECK(config.models[1].strategies.empty());
  CHECK(config.models[1].candidates[0].provider == "b");
}

TEST_CASE("config: faults of an alias are named by their place", "[unit][config]") {
  const World world;
  CHECK(world.faults(with(R"({"m":{"strategy":{"plugin":"cost"}}})")) ==
        "/models/m: \"candidates\" is missing");
  CHECK(world.faults(with(R"({"m":{"candidates":["a/x"],"strategy":{}}})")) ==
        "/models/m/strategy: \"plugin\" is missing");
  CHECK(
      world.faults(with(R"({"m":{"candidates":["a/x"],"strategy":[{"plugin":"x","conf":{}}]}})")) ==
      "/models/m/strategy/0/conf: unknown key; did you mean \"config\"?");
  CHECK(world.faults(with(R"({"m":{"candidates":[{"target":"a/x","weight":-1}]}})")) ==
        "/models/m/candidates/0/weight: found -1, expected at least 0");
  CHECK(world.faults(with(R"({"m":{"candidates":[{"target":"z/x"}]}})")) ==
        "/models/m/candidates/0/target: \"z/x\": there is no provider \"z\"");
  CHECK(world.faults(with(R"({"m":["a/x",{"target":"a/x","weight":2}]})")) ==
        "/models/m/1: a second candidate for the same target");
  CHECK(world.faults(with(R"({"m":{"candidates":[]}})")) == "/models/m/candidates: is empty");
  CHECK(world.faults(with(R"({"m":{"candidates":[{"target":"a/x","tags":{"t":1}}]}})")) ==
        "/models/m/candidates/0/tags/t: found an integer, expected a string");
}

TEST_CASE("config: a strategy without a choice is told of", "[unit][config]") {
  const World world;
  const auto config =
      world.config(with(R"({"m":{"candidates":["a/x"],"strategy":{"plugin":"cost"}}})"));
  CHECK(config::warnings(config) ==
        std::vector<std::string>{"alias m: its strategy has nothing to choose from"});
}
