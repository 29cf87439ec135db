// Strategies and targets to choose among, for the tests of this room.
#pragma once

#include <switchyard/json.hpp>
#include <switchyard/testing.hpp>

#include "core/base/json_scan.hpp"
#include "core/routing/decision.hpp"
#include "core/routing/pipeline.hpp"

namespace switchyard::routing {

// Scores by the models' names: {"big":3,"small":1,"none":"exclude"}; "load" is the less in flight
// the better. A name that is not there is left out, which is a fault.
struct ByName {
  std::string config;
  mutable std::atomic<int> observed{0}, learned{0};

  explicit ByName(std::string_view text) : config(text) {}
  static swy::Result<std::unique_ptr<ByName>> open(std::string_view text, swy::Host) {
    return std::make_unique<ByName>(text);
  }
  void score(const swy::RouteRequest& request, const swy::Candidates& candidates,
             swy::Scores& scores) const {
    for (std::uint32_t i = 0; i < candidates.size(); ++i) {
      const std::string_view value = swy::json::find(config, swy::view(candidates[i].model));
      if (value.empty()) continue;
      if (value == R"("exclude")") {
        scores.exclude(i, "out");
      } else if (value == R"("load")") {
        scores.set(i, -std::int64_t{candidates[i].inflight}, "load");
      } else if (value == R"("chance")") {
        scores.set(i, static_cast<std::int64_t>(request.chance(candidates[i].id) >> 2), "chance");
      } else {
        scores.set(i, *swy::json::to_integer(value) + learned, std::string(value));
      }
    }
  }
  void observe(const swy_outcome&) { ++observed; }
  std::string save() const { return std::to_string(observed); }
  swy::Result<> load(std::string_view state) {
    observed = static_cast<int>(swy::json::to_integer(state).value_or(0));
    return {};
  }
};

inline std::unique_ptr<plugin::StrategyInstance> by_name(std::string_view config,
                                                         std::string name = "by_name") {
  static const swy_kind kind = swy::strategy<ByName>("by_name");
  auto opened = plugin::StrategyInstance::from_table(static_cast<const swy_strategy*>(kind.vt),
                                                     std::move(name), config);
  REQUIRE(opened);
  return std::move(*opened);
}

inline Strategies strategies_of(const std::vector<std::string>& configs) {
  Strategies strategies;
  for (const std::string& config : configs) strategies.push_back(by_name(config));
  return strategies;
}

}  // namespace switchyard::routing
