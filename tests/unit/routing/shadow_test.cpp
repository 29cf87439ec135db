#include "core/routing/shadow.hpp"

#include "strategies.hpp"

namespace switchyard::routing {
namespace {

std::uint64_t now_ns = 0, step_ns = 0;
// Each look at it takes as long as the test says.
std::uint64_t tick() { return now_ns += step_ns; }

// An alias "alias" of models big and small at the providers a and b: what serves chooses big.
struct Fixture {
  Fixture() {
    now_ns = 1'000'000'000;
    step_ns = 1'000;
    for (const char* id : {"a", "b"}) {
      config::Provider provider;
      provider.id = provider.family = id;
      config.providers.push_back(provider);
    }
    model.name = "alias";
    model.candidates = {{"a", "big"}, {"b", "small"}};
    config.models = {model};
    Pipelines made;
    made.emplace("alias", pipeline(R"({"big":2,"small":1})"));
    table = std::make_unique<Table>(config, catalog, std::move(made), &statistics);
  }

  std::unique_ptr<Pipeline> pipeline(const std::string& scores) {
    return std::make_unique<Pipeline>(config, model, catalog, statistics, strategies_of({scores}));
  }

  void begin(const std::string& scores, std::uint64_t decisions_max = 100) {
    Pipelines made;
    made.emplace("alias", pipeline(scores));
    shadow = std::make_unique<Shadow>(
        std::move(made), nullptr, decisions_max, [this] { ++enough; }, &tick);
  }

  // The models in the order that the request tries them; it comes a second after the one before.
  std::string ask(std::string_view request_id = "r", std::uint64_t after_ns = 1'000'000'000) {
    now_ns += after_ns;
    Route route = table->resolve("alias");
    route.pipeline->plan({}, route);
    shadow->compare(route, request_id);
    return route.targets[0].model + " " + route.targets[1].model;
  }

  config::Config config;
  config::Model model;
  catalog::Catalog catalog;
  Statistics statistics;
  std::unique_ptr<Table> table;
  std::unique_ptr<Shadow> shadow;
  int enough = 0;
};

TEST_CASE_METHOD(Fixture, "shadow: what it decides is compared and changes nothing",
                 "[unit][routing]") {
  begin(R"({"big":1,"small":2})");
  CHECK(ask("r1") == "big small");
  const ShadowFindings found = shadow->findings();
  CHECK(found.compared == 1);
  CHECK(found.agreed == 0);
  REQUIRE(found.differences.size() == 1);
  const ShadowFindings::Difference& difference = found.differences[0];
  CHECK(difference.request_id == "r1");
  CHECK(difference.alias == "alias");
  CHECK(difference.serving == "a/big");
  CHECK(difference.serving_reason == "alias alias: by_name 2 (of 2)");
  CHECK(difference.candidate == "b/small");
  CHECK(difference.candidate_reason == "alias alias: by_name 2 (of 2)");
}

TEST_CASE_METHOD(Fixture, "shadow: the same first choice agrees, the same order is counted too",
                 "[unit][routing]") {
  begin(R"({"big":7,"small":0})");
  ask();
  begin(R"({"big":7,"small":"exclude"})");
  ask();
  const ShadowFindings found = shadow->findings();
  CHECK(found.agreed == 1);
  CHECK(found.same_order == 0);
  CHECK(found.differences.empty());
}

TEST_CASE_METHOD(Fixture, "shadow: it ends itself once, after so many decisions",
                 "[unit][routing]") {
  begin(R"({"big":1,"small":2})", 9);
  for (int i = 0; i < 12; ++i) ask();
  CHECK(enough == 1);
  CHECK(shadow->findings().compared == 9);
  CHECK(shadow->findings().differences.size() == ShadowFindings::kDifferencesMax);
}

TEST_CASE_METHOD(Fixture, "shadow: a fault of the candidate ends it", "[unit][routing]") {
  begin(R"({"big":1})");
  CHECK(ask() == "big small");
  CHECK(ask() == "big small");
  CHECK(enough == 1);
  CHECK(shadow->findings().compared == 1);
  CHECK(shadow->findings().fault == "strategy \"by_name\": score: left out b/small");
}

TEST_CASE_METHOD(Fixture, "shadow: a decision that takes too long is a fault", "[unit][routing]") {
  begin(R"({"big":2,"small":1})");
  step_ns = Shadow::kDecisionNsMax + 1;
  ask();
  CHECK(shadow->findings().fault == "a decision took 100 ms, at most 100 ms are allowed");
}

TEST_CASE_METHOD(Fixture, "shadow: it has one part in twenty of the time", "[unit][routing]") {
  begin(R"({"big":2,"small":1})");
  step_ns = 1'000'000;
  ask();
  ask("r", 10'000'000);
  CHECK(shadow->findings().compared == 1);
  ask("r", 20'000'000);
  CHECK(shadow->findings().compared == 2);
}

TEST_CASE_METHOD(Fixture, "shadow: once it is ended nothing is compared and nobody is called",
                 "[unit][routing]") {
  begin(R"({"big":1,"small":2})", 1);
  shadow->end();
  ask();
  CHECK(enough == 0);
  CHECK(shadow->findings().compared == 0);
}

TEST_CASE_METHOD(Fixture, "shadow: it is told what those in force are told", "[unit][routing]") {
  Pipelines made;
  made.emplace("alias", pipeline(R"({"big":2,"small":1})"));
  const plugin::StrategyInstance& told = *made.at("alias")->strategies()[0];
  Shadow learning(std::move(made), nullptr, 100, [] {}, &tick);
  const Route route = table->resolve("alias");
  learning.observe("alias", route.targets[0], {}, {});
  learning.observe("other", route.targets[0], {}, {});
  CHECK(told.save().value() == "1");
  learning.end();
  learning.observe("alias", route.targets[0], {}, {});
  CHECK(told.save().value() == "1");
}

}  // namespace
}  // namespace switchyard::routing
