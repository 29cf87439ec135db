#include <switchyard/plugin.h>

#include "loaded.hpp"

using namespace switchyard;

namespace {

std::string with(const std::string& models, const std::string& features,
                 const std::string& more = "") {
  return R"({"providers":{"a":{"plugin":"demo","region":"eu"},"b":{"plugin":"demo"}},"models":)" +
         models + R"(,"features":)" + features + more + "}";
}

std::string targets(const std::vector<config::Candidate>& candidates) {
  std::string text;
  for (const config::Candidate& each : candidates) {
    text += (text.empty() ? "" : " ") + each.provider + "/" + each.model;
  }
  return text;
}

constexpr std::uint32_t on(int cls) { return 1u << cls; }

}  // namespace

TEST_CASE("config: a feature says all that holds for its requests", "[unit][config]") {
  const World world;
  const config::Config config = world.config(with("{}", R"({"coding":{
    "description":"Programming","candidates":["a/best",{"target":"b/next","priority":1}],
    "strategy":{"plugin":"priority"},"require":["tools","vision"],"priority":"high",
    "limits":{"rpm":60,"tokens_per_day":1000},
    "timeouts":{"first_token":"8s","total":"2m"},
    "retry":{"attempts_max":5,"budget_percent":10},"continue":true,
    "fallback":[{"on":["too_long","filtered"],"to":"b/long"},{"to":["a/x","b/y"]}]}})"));
  const config::Feature& feature = config.features.at(0);
  CHECK(feature.name == "feature/coding");
  CHECK(targets(feature.candidates) == "a/best b/next");
  CHECK(feature.candidates[0].region == "eu");  // its provider's
  CHECK(feature.strategies.at(0).pointer == "/features/coding/strategy");
  CHECK(feature.require == std::vector<std::string>{"tools", "vision"});
  CHECK(feature.priority == config::Priority::kHigh);
  CHECK(feature.limits.rpm == 60);
  CHECK(feature.limits.tokens_per_day == 1000);
  CHECK(feature.attempts.first_token == std::chrono::seconds(8));
  CHECK(feature.attempts.total == std::chrono::minutes(2));
  CHECK(feature.attempts.first_byte.count() == 0);
  CHECK(feature.attempts.attempts_max == 5);
  CHECK(feature.attempts.retry_budget_percent == 10);
  CHECK(feature.attempts.continues);
  REQUIRE(feature.fallback.size() == 2);
  CHECK(feature.fallback[0].on == (on(SWY_CLS_TOO_LONG) | on(SWY_CLS_FILTERED)));
  CHECK(targets(feature.fallback[0].to) == "b/long");
  CHECK((feature.fallback[1].on & on(SWY_CLS_OVERLOADED)) != 0);
  CHECK((feature.fallback[1].on & on(SWY_CLS_BAD_REQUEST)) == 0);
  CHECK(feature.fallback[1].on != UINT32_MAX);
  CHECK(targets(feature.fallback[1].to) == "a/x b/y");
  const std::string said = config::describe(config);
  CHECK_THAT(said,
             Catch::Contains("  feature/coding -> a/best (region eu), b/next (priority 1), by "
                             "priority\n"));
  CHECK_THAT(said, Catch::Contains("too_long, filtered -> b/long\n"));
  CHECK_THAT(said, Catch::Contains("any -> a/x (region eu), b/y\n"));
  CHECK_THAT(said, Catch::Contains("5 at most, first token in 8000 ms, whole in 120000 ms, cut "
                                   "streams continued\n"));
}

TEST_CASE("config: a candidate may be all of an alias, and an alias made of others",
          "[unit][config]") {
  const World world;
  const config::Config config =
      world.config(with(R"({"all":[{"model":"fast"},"a/own",{"model":"slow"}],"fast":["a/f","b/f"],
               "slow":{"candidates":[{"target":"b/s","weight":3},"a/f"],
                       "fallback":[{"to":{"feature":"f"}}]}})",
                        R"({"f":{"candidates":[{"model":"all"}],
                    "fallback":[{"on":["any"],"to":[{"model":"slow"},{"feature":"g"}]}]},
               "g":{"candidates":["b/g"]}})"));
  CHECK(targets(config.models[0].candidates) == "a/f b/f a/own b/s");
  CHECK(config.models[0].candidates[3].weight == 3);
  CHECK(targets(config.features[0].candidates) == "a/f b/f a/own b/s");
  CHECK(targets(config.features[0].fallback.at(0).to) == "b/s a/f b/g");
  CHECK(targets(config.models[2].fallback.at(0).to) == "a/f b/f a/own b/s");
}

TEST_CASE("config: only candidates of the feature's regions are its", "[unit][config]") {
  const World world;
  const config::Config config =
      world.config(with("{}", R"({"f":{"regions":["eu*"],"candidates":["a/x","b/none",
        {"target":"b/named","region":"eu-west"},{"target":"b/else","region":"us"}],
        "fallback":[{"to":["b/none","a/y"]}]}})"));
  CHECK(targets(config.features[0].candidates) == "a/x b/named");
  CHECK(targets(config.features[0].fallback[0].to) == "a/y");
  CHECK(world.faults(with("{}", R"({"f":{"regions":["us"],"candidates":["a/x","b/y"]}})")) ==
        "/features/f: no candidate is in one of its \"regions\"; say \"region\" of candidates or "
        "of their providers");
}

TEST_CASE("config: faults of a feature are named by their place", "[unit][config]") {
  const World world;
  CHECK(world.faults(with(R"({"a":[{"model":"b"}],"b":["a/x",{"model":"c"}],"c":[{"model":"a"}]})",
                          "{}")) == "/models/c/0/model: \"a\": is made of this one itself");
  CHECK(world.faults(with(R"({"a":[{"model":"a"}]})", "{}")) ==
        "/models/a/0/model: \"a\": is made of this one itself");
  CHECK(world.faults(with(R"({"fast":"a/x"})", R"({"f":{"candidates":[{"model":"fsat"}]}})")) ==
        "/features/f/candidates/0/model: \"fsat\": there is none of that name in \"models\"; did "
        "you mean \"fast\"?");
  CHECK(world.faults(with("{}", R"({"f":{"candidates":["a/x"],
          "fallback":[{"to":{"feature":"g"}}]}})")) ==
        "/features/f/fallback/0/to/feature: \"g\": there is none of that name in \"features\"");
  CHECK(world
            .faults(with("{}", R"({"f":{"candidates":["a/x"],
          "fallback":[{"on":["tired"],"to":"a/y"}]}})"))
            .starts_with("/features/f/fallback/0/on/0: "));
  CHECK(world.faults(with("{}", R"({"f g":{"candidates":["a/x"]}})")) ==
        "/features/f g: a feature's name has 1 to 64 characters of A-Z, a-z, 0-9, . _ and -");
  CHECK(world.faults(with(R"({"m":[{"weight":1}]})", "{}")) ==
        "/models/m/0: \"target\" is missing, or \"model\" for all of an alias");
  CHECK(world.faults(with(R"({"n":"a/x","m":[{"model":"n","weight":1}]})", "{}")) ==
        "/models/m/0: stands for several targets, which say themselves what holds for them");
  CHECK(world.faults(with(R"({"n":"a/x","m":[{"model":"n","target":"a/x"}]})", "{}")) ==
        "/models/m/0: has several of \"target\", \"model\" and \"feature\"");
}

TEST_CASE("config: a key says where its requests may go", "[unit][config]") {
  World world;
  world.environment.push_back("K=sy-some-key");
  const auto keys = [](const std::string& members) {
    return with("{}", R"({"f":{"candidates":["a/x"]}})",
                R"(,"keys":[{"name":"k","key":"${K}",)" + members + "}]");
  };
  const config::Config config = world.config(
      keys(R"("features":["f"],"default_feature":"f","providers":["a"],"providers_denied":["b"],
              "regions":["eu"])"));
  const config::Key& key = config.keys.at(0);
  CHECK(key.default_feature == "f");
  CHECK(key.reach.providers == std::vector<std::string>{"a"});
  CHECK(key.reach.providers_denied == std::vector<std::string>{"b"});
  CHECK(key.reach.regions == std::vector<std::string>{"eu"});
  CHECK_THAT(config::describe(config),
             Catch::Contains("any model, features f, else feature f, at a, not at b, in eu"));
  CHECK(world.faults(keys(R"("default_feature":"g")")) ==
        "/keys/0/default_feature: there is no feature \"g\"");
}
