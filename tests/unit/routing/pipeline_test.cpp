#include "core/routing/pipeline.hpp"

#include <set>

#include "../scratch.hpp"
#include "core/catalog/price_list.hpp"
#include "strategies.hpp"

namespace switchyard::routing {
namespace {

// An alias "alias" of models big, small and tiny at the providers a, b and c.
struct World {
  World() {
    for (const char* id : {"a", "b", "c"}) {
      config::Provider provider;
      provider.id = provider.family = id;
      config.providers.push_back(provider);
    }
    model.name = "alias";
    model.candidates = {{"a", "big"}, {"b", "small"}, {"c", "tiny"}};
  }

  const Pipeline& pipeline(const std::vector<std::string>& configs) {
    Pipelines made;
    made.emplace("alias", std::make_unique<Pipeline>(config, model, catalog, statistics,
                                                     strategies_of(configs)));
    config.models = {model};
    table = std::make_unique<Table>(config, catalog, std::move(made), &statistics);
    return *table->pipelines().at("alias");
  }

  // "big small tiny": the targets in the order that these strategies give them.
  std::string order(const std::vector<std::string>& configs, swy_rreq request = {}) {
    pipeline(configs);
    route = table->resolve("alias");
    route.pipeline->plan(request, route);
    std::string text;
    for (const Target& target : route.targets) text += (text.empty() ? "" : " ") + target.model;
    return text;
  }

  void prices(const std::string& family, const std::string& model_name, const std::string& price,
              const std::string& currency = "USD") {
    files.write(family + ".json", R"({"family":")" + family + R"(","currency":")" + currency +
                                      R"(","models":[{"name":")" + model_name +
                                      R"(","context_tokens":1000,"price":)" + price + "}]}");
    auto loaded = catalog::Catalog::load(files.path());
    REQUIRE(loaded);
    catalog = std::move(*loaded);
  }

  // The catalog's prices, and what a dollar costs in yuan where that is known.
  Pricing pricing(const char* yuan = nullptr) {
    const std::map<std::string, Nano, std::less<>> rates =
        yuan == nullptr ? std::map<std::string, Nano, std::less<>>{}
                        : std::map<std::string, Nano, std::less<>>{{"CNY", *parse_nano(yuan)}};
    in_force.book = std::make_shared<catalog::PriceBook>(
        catalog, std::vector<catalog::ListedPrice>{}, std::vector<catalog::ListedPrice>{});
    in_force.fx = std::make_shared<catalog::FxTable>("bank#1", "USD", rates);
    return {&in_force, 1};
  }

  catalog::PricesInForce in_force;
  config::Config config;
  config::Model model;
  catalog::Catalog catalog;
  Statistics statistics;
  std::unique_ptr<Table> table;
  Route route;
  Scratch files;
};

// Shows what it was shown.
struct Mirror {
  static inline std::vector<swy_cand> seen;
  static inline std::string currency;
  void score(const swy::RouteRequest& request, const swy::Candidates& candidates,
             swy::Scores& scores) const {
    seen.clear();
    currency = request.currency();
    for (std::uint32_t i = 0; i < candidates.size(); ++i) {
      seen.push_back(candidates[i]);
      scores.set(i, 0, "");
    }
  }
};

const Pipeline& mirrored(World& world) {
  static const swy_kind kind = swy::strategy<Mirror>("mirror");
  auto opened = plugin::StrategyInstance::from_table(static_cast<const swy_strategy*>(kind.vt),
                                                     "mirror", "{}");
  REQUIRE(opened);
  Strategies strategies;
  strategies.push_back(std::move(*opened));
  Pipelines made;
  made.emplace("alias", std::make_unique<Pipeline>(world.config, world.model, world.catalog,
                                                   world.statistics, std::move(strategies)));
  world.config.models = {world.model};
  world.table = std::make_unique<Table>(world.config, world.catalog, std::move(made));
  world.route = world.table->resolve("alias");
  return *world.table->pipelines().at("alias");
}

}  // namespace

TEST_CASE("routing: the highest score goes first, equals as they are configured",
          "[unit][routing]") {
  World world;
  CHECK(world.order({R"({"big":1,"small":3,"tiny":2})"}) == "small tiny big");
  CHECK(world.order({R"({"big":0,"small":0,"tiny":0})"}) == "big small tiny");
  CHECK(world.order({R"({"big":0,"small":-1,"tiny":0})"}) == "big tiny small");
  CHECK(world.route.reason == "alias alias: by_name 0 (of 3)");
  CHECK(world.route.targets[0].provider == 0);
  CHECK(world.route.targets[1].provider == 2);
}

TEST_CASE("routing: a later strategy decides only where those before it are undecided",
          "[unit][routing]") {
  World world;
  CHECK(world.order({R"({"big":1,"small":1,"tiny":0})", R"({"big":0,"small":9,"tiny":99})"}) ==
        "small big tiny");
  CHECK(world.route.reason == "alias alias: by_name 1, by_name 9 (of 3)");
}

TEST_CASE("routing: who is excluded is shown to nobody after, and not tried", "[unit][routing]") {
  World world;
  // The second would fail on "big", which it does not know.
  CHECK(world.order({R"({"big":"exclude","small":0,"tiny":0})", R"({"small":1,"tiny":2})"}) ==
        "tiny small");
  CHECK(world.route.reason == "alias alias: by_name 0, by_name 2 (of 3, 1 excluded)");
}

TEST_CASE("routing: where everybody is excluded the configuration's order stands",
          "[unit][routing]") {
  World world;
  CHECK(world.order({R"({"big":"exclude","small":0,"tiny":"exclude"})", R"({"small":"exclude"})",
                     R"({})"}) == "big small tiny");
  CHECK(world.route.reason ==
        "alias alias: configuration order, for every candidate is excluded (of 3)");
  CHECK(world.route.pipeline->faults() == 0);
}

TEST_CASE("routing: a strategy's fault leaves the configuration's order, less what was excluded",
          "[unit][routing]") {
  World world;
  CHECK(world.order({R"({"big":"exclude","small":1,"tiny":2})", R"({"small":1})"}) == "small tiny");
  CHECK(world.route.reason ==
        "alias alias: configuration order, for a strategy failed (of 3, 1 excluded)");
  CHECK(world.route.pipeline->faults() == 1);
  Route again = world.table->resolve("alias");
  again.pipeline->plan({}, again);
  CHECK(again.pipeline->faults() == 2);
}

TEST_CASE("routing: only the targets that are left to a request are chosen among",
          "[unit][routing]") {
  World world;
  world.pipeline({R"({"small":1,"tiny":2})"});
  Route route = world.table->resolve("alias");
  route.targets.erase(route.targets.begin());  // as for a task that it does not do
  route.pipeline->plan({}, route);
  REQUIRE(route.targets.size() == 2);
  CHECK(route.targets[0].model == "tiny");
  CHECK(route.reason == "alias alias: by_name 2 (of 2)");
}

TEST_CASE("routing: every order of many targets is put right in place", "[unit][routing]") {
  World world;
  world.model.candidates.clear();
  std::string config = "{";
  for (int i = 0; i < 32; ++i) {
    const std::string name = "m" + std::to_string(i);
    world.model.candidates.push_back({"a", name});
    config += (i == 0 ? "\"" : ",\"") + name + R"(":"chance")";
  }
  config += "}";
  std::set<std::string> orders;
  for (std::uint64_t seed = 0; seed < 50; ++seed) {
    swy_rreq request{};
    request.seed = seed;
    const std::string order = world.order({config}, request);
    CHECK(world.order({config}, request) == order);
    orders.insert(order);
    std::set<std::string> names;
    for (const Target& target : world.route.targets) names.insert(target.model);
    CHECK(names.size() == 32);
  }
  CHECK(orders.size() == 50);
}

TEST_CASE("routing: candidates are shown as they are configured", "[unit][routing]") {
  World world;
  world.model.candidates[1].weight = 7;
  world.model.candidates[1].priority = 2;
  world.model.candidates[1].region = "eu";
  world.model.candidates[1].tags = {{"tier", "gold"}};
  const Pipeline& pipeline = mirrored(world);
  Lane::Call call;
  REQUIRE(pipeline.live(1)->lane(0).begin({}, call) == Lane::Barred::kNot);
  pipeline.plan({}, world.route);
  REQUIRE(Mirror::seen.size() == 3);
  const swy_cand& shown = Mirror::seen[1];
  CHECK(view(shown.provider) == "b");
  CHECK(view(shown.model) == "small");
  CHECK(view(shown.region) == "eu");
  CHECK(shown.weight == 7);
  CHECK(shown.priority == 2);
  CHECK(shown.inflight == 1);
  CHECK(shown.rpm_left == UINT32_MAX);
  CHECK(shown.est_cost_nano == INT64_MIN);
  REQUIRE(shown.ntag == 1);
  CHECK(view(shown.tag[0].k) == "tier");
  CHECK(view(shown.tag[0].v) == "gold");
  CHECK(shown.id != Mirror::seen[0].id);
}

TEST_CASE("routing: a candidate's cost is that of this request, in one currency",
          "[unit][routing]") {
  World world;
  world.prices("a", "big", R"({"input":"2.5","output":"10"})");
  world.prices("b", "small", R"({"input":"1"})");
  world.prices("c", "tiny", R"({"input":"1","output":"1"})", "CNY");
  swy_rreq request{};
  request.tok_in_est = 1'000;
  request.tok_out_est = 100;
  mirrored(world).plan(request, world.route, world.pricing());
  CHECK(Mirror::currency == "USD");
  CHECK(Mirror::seen[0].est_cost_nano == 3'500'000);  // 0.0025 + 0.001
  CHECK(Mirror::seen[0].ctx_tokens == 1'000);
  CHECK(Mirror::seen[1].est_cost_nano == INT64_MIN);  // what it answers has no price
  CHECK(Mirror::seen[2].est_cost_nano == INT64_MIN);  // another currency, and no rate

  mirrored(world).plan(request, world.route, world.pricing("5"));
  CHECK(Mirror::seen[2].est_cost_nano == 220'000);  // 0.0011 CNY

  request.tok_out_est = 0;
  mirrored(world).plan(request, world.route, world.pricing());
  CHECK(Mirror::seen[1].est_cost_nano == 1'000'000);
  mirrored(world).plan(request, world.route);  // without prices nothing is known
  CHECK(Mirror::seen[1].est_cost_nano == INT64_MIN);
  CHECK(Mirror::currency.empty());

  request.tok_in_est = UINT64_MAX;  // nothing that is too large becomes cheap
  mirrored(world).plan(request, world.route, world.pricing());
  CHECK(Mirror::seen[0].est_cost_nano == INT64_MIN);
}

TEST_CASE("routing: a price is the one of the hour that the request came in", "[unit][routing]") {
  World world;
  world.prices("a", "big",
               R"({"input":"2","output":"2","windows":[{"zone":"UTC","hours":"16:30-00:30",)"
               R"("input":"0.5","output":"0.5"}]})");
  swy_rreq request{};
  request.tok_in_est = 1'000'000;
  Pricing pricing = world.pricing();
  const std::uint64_t hour_ns = 3'600'000'000'000;
  pricing.unix_ns = 20'000 * 24 * hour_ns + 12 * hour_ns;
  mirrored(world).plan(request, world.route, pricing);
  CHECK(Mirror::seen[0].est_cost_nano == 2'000'000'000);
  pricing.unix_ns += 8 * hour_ns;
  mirrored(world).plan(request, world.route, pricing);
  CHECK(Mirror::seen[0].est_cost_nano == 500'000'000);
}

// ---- what the host refuses ----

TEST_CASE(
    "routing: what is open or at its limit is shown to no strategy, unless that is everything",
    "[unit][routing]") {
  const Strategies strategies = strategies_of({R"({"big":1,"small":2})"});
  const std::vector<const plugin::StrategyInstance*> views{strategies[0].get()};
  swy_cand fresh{};
  fresh.size = sizeof fresh;
  fresh.inflight_max = fresh.rpm_left = UINT32_MAX;
  fresh.tpm_left = UINT64_MAX;
  swy_rreq request{};
  request.size = sizeof request;
  request.tok_in_est = 100;
  const auto order = [&](const swy_cand& big, const swy_cand& small) {
    std::vector<swy_cand> candidates{big, small};
    candidates[0].model = to_swy("big");
    candidates[1].model = to_swy("small");
    Plan plan;
    decide(views, request, candidates, plan);
    return plan.order;
  };
  using Order = std::vector<std::uint32_t>;
  CHECK(order(fresh, fresh) == Order{1, 0});
  const auto refused = [&](const char* why, const auto& change) {
    CAPTURE(why);
    swy_cand sick = fresh;
    change(sick);
    CHECK(host_refusal(request, sick) == why);
    CHECK(order(fresh, sick) == Order{0});
    CHECK(order(sick, sick) == Order{1, 0});
  };
  refused("its breaker is open", [](swy_cand& each) { each.state = SWY_STATE_OPEN; });
  refused("as many in flight as it may have",
          [](swy_cand& each) { each.inflight = each.inflight_max = 3; });
  refused("no request left in this minute", [](swy_cand& each) { each.rpm_left = 0; });
  refused("too few tokens left in this minute", [](swy_cand& each) { each.tpm_left = 99; });
  swy_cand half = fresh;
  half.state = SWY_STATE_HALF_OPEN;
  half.rpm_left = 1;
  half.tpm_left = 100;
  half.inflight = 2;
  half.inflight_max = 3;
  CHECK(host_refusal(request, half).empty());
}

TEST_CASE("routing: what the host refuses is a last resort, as it is without strategies",
          "[unit][routing]") {
  World world;
  const Pipeline& pipeline = world.pipeline({R"({"big":2,"small":1})"});
  Route route = world.table->resolve("alias");
  const std::string first = route.targets.at(0).model;
  pipeline.live(route.targets[0].candidate)->lane(0).breaker.force(Breaker::Force::kOpen);
  swy_rreq request{};
  request.size = sizeof request;
  pipeline.plan(request, route);
  REQUIRE(route.targets.size() == 3);
  CHECK(route.targets[2].model == first);
  CHECK(route.decided->plan.order.size() == 2);
}

TEST_CASE(
    "routing: what is learned of a target outlives a configuration, of another server it "
    "does not",
    "[unit][routing]") {
  World world;
  const auto before = world.pipeline({"{}"}).live(0);
  CHECK(world.pipeline({"{}"}).live(0) == before);
  world.config.providers[0].base_url = "https://elsewhere.example";
  CHECK(world.pipeline({"{}"}).live(0) != before);
}

TEST_CASE("routing: by whatever name a target is asked for, it is one", "[unit][routing]") {
  World world;
  world.config.providers[0].models = {"big", "other"};
  world.config.providers[1].models = {"*"};
  const Pipeline& pipeline = world.pipeline({"{}"});
  CHECK(world.table->resolve("big").targets.at(0).live == pipeline.live(0));
  CHECK(world.table->resolve("a/big").targets.at(0).live == pipeline.live(0));
  CHECK(world.table->resolve("other").targets.at(0).live != pipeline.live(0));
  CHECK(world.table->resolve("other").targets.at(0).live != nullptr);
  CHECK(world.table->resolve("big").pipeline == nullptr);
  // Of a provider that takes any name, an alias names one, and others come as they are asked for.
  CHECK(world.table->resolve("b/small").targets.at(0).live == pipeline.live(1));
  Live* const unlisted = world.table->resolve("b/never-heard-of").targets.at(0).live;
  REQUIRE(unlisted != nullptr);
  CHECK(unlisted->model() == "never-heard-of");
  CHECK(world.table->resolve("never-heard-of").targets.at(0).live == unlisted);
}

TEST_CASE("routing: outcomes reach the strategies, and their state the next generation",
          "[unit][routing]") {
  World world;
  const Pipeline& first = world.pipeline({"{}", "{}"});
  const Target target = world.table->resolve("alias").targets[1];
  for (int i = 0; i < 3; ++i) first.observe(target, {});
  CHECK(*first.strategies()[0]->save() == "3");

  Strategies next = strategies_of({"{}", "{}"});
  next.push_back(by_name("{}", "another"));
  Pipelines after;
  after.emplace("alias", std::make_unique<Pipeline>(world.config, world.model, world.catalog,
                                                    world.statistics, std::move(next)));
  hand_over(world.table->pipelines(), after);
  const auto strategies = after.at("alias")->strategies();
  CHECK(*strategies[0]->save() == "3");
  CHECK(*strategies[1]->save() == "3");
  CHECK(*strategies[2]->save() == "0");
}

// ---- replay ----

TEST_CASE("routing: a decision that was written down can be made again", "[unit][routing]") {
  const std::string config = R"({"big":"chance","small":"chance","tiny":"exclude"})";
  const Strategies strategies = strategies_of({config});
  const std::vector<const plugin::StrategyInstance*> views{strategies[0].get()};
  std::vector<swy_cand> candidates(3);
  const swy_kv tags[] = {{to_swy("tier"), to_swy("go\"ld")}, {to_swy("b"), to_swy("")}};
  const char* const names[] = {"big", "small", "tiny"};
  for (std::uint32_t i = 0; i < 3; ++i) {
    candidates[i].size = sizeof(swy_cand);
    candidates[i].id = UINT64_MAX - i;
    candidates[i].provider = to_swy("p");
    candidates[i].model = to_swy(names[i]);
    candidates[i].est_cost_nano = i == 0 ? INT64_MIN : -static_cast<std::int64_t>(i);
    candidates[i].tag = tags;
    candidates[i].ntag = i;
    candidates[i].ttft_p95_us = UINT32_MAX;
  }
  std::set<std::uint32_t> firsts;
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    swy_rreq request{};
    request.size = sizeof request;
    request.model = to_swy("alias");
    request.flags = SWY_RREQ_STREAM;
    request.seed = UINT64_MAX - seed;
    Plan plan;
    decide(views, request, candidates, plan);
    const std::string json = decision_json("alias", views, request, candidates, plan);

    auto parsed = Decision::parse(json);
    REQUIRE(parsed);
    const Decision decision = std::move(*parsed);
    CHECK(decision.alias() == "alias");
    CHECK(decision.strategies() == std::vector<std::string>{"by_name"});
    CHECK(decision.order() == plan.order);
    const Plan again = replay(decision, views);
    CHECK(again.order == plan.order);
    // Nothing that a strategy can see is lost on the way.
    CHECK(decision_json("alias", views, decision.request(), decision.candidates(), again) == json);
    firsts.insert(plan.order.front());
  }
  CHECK(firsts.size() == 2);  // chance had its say
}

TEST_CASE("routing: a decision says what each strategy made of each candidate", "[unit][routing]") {
  const Strategies strategies =
      strategies_of({R"({"big":5,"small":"exclude"})", R"({"big":"chance"})"});
  const std::vector<const plugin::StrategyInstance*> views{strategies[0].get(),
                                                           strategies[1].get()};
  std::vector<swy_cand> candidates(2);
  candidates[0].model = to_swy("big");
  candidates[1].model = to_swy("small");
  Plan plan;
  decide(views, {}, candidates, plan);
  const std::string json = decision_json("alias", views, {}, candidates, plan);
  CHECK_THAT(json, Catch::Contains(R"("verdict":[{"score":5,"reason":"5"},{"score":)"));
  CHECK_THAT(json, Catch::Contains(R"("verdict":[{"excluded":true,"reason":"out"}])"));
  CHECK_THAT(json, Catch::EndsWith(R"("order":[0]})"));
}

TEST_CASE("routing: a damaged decision is refused by its place", "[unit][routing]") {
  const auto fault = [](const char* json) {
    const auto parsed = Decision::parse(json);
    return parsed ? "" : parsed.error().message;
  };
  CHECK_THAT(fault("{"), Catch::StartsWith("decision: "));
  CHECK(fault("{}") == "decision: /request: missing");
  CHECK(fault(R"({"request":{}})") == "decision: /candidates: missing");
  CHECK(fault(R"({"request":{"seed":-1},"candidates":[]})") ==
        "decision: /request/seed: expected a number of 64 bits");
  CHECK(fault(R"({"request":{},"candidates":[{},{"weight":"x"}]})") ==
        "decision: /candidates/1/weight: expected a number of 32 bits");
  CHECK(fault(R"({"request":{},"candidates":[7]})") ==
        "decision: /candidates/0: expected an object");
  CHECK(fault(R"({"request":{},"candidates":[{}],"order":[1]})") ==
        "decision: /order: expected places of candidates");
  CHECK(fault(R"({"request":{},"candidates":[{"model":"m"}],"order":[0]})").empty());
}

}  // namespace switchyard::routing
