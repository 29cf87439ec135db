// What requests name: an alias or a feature, with its candidates and what holds for them.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "core/config/rate_limits.hpp"

namespace switchyard::config {

struct Candidate {
  std::string provider, model;
  std::uint32_t weight = 1, priority = 0;  // priority 0 is the best
  std::string region;
  std::map<std::string, std::string> tags;
};

inline constexpr std::size_t kCandidatesMax = 32;  // of a model; the schema says so too

// A strategy plugin that chooses among the candidates of a model.
struct Strategy {
  std::string plugin;       // "weighted"
  std::string config_json;  // what open() gets
  std::string pointer;      // where it stands: "/models/fast/strategy/0"
};

// What is tried after which faults of the attempt before.
struct Fallback {
  std::uint32_t on = 0;       // a bit 1 << SWY_CLS_* for each
  std::vector<Candidate> to;  // in this order
};

// A second attempt beside a stream that is slow to begin.
struct HedgePolicy {
  std::uint32_t percent = 0;  // of what a target's attempts cost, at most; 0: there is none
  std::chrono::milliseconds after_min{100};  // none begins sooner
};

// How attempts are made. A time of 0 leaves it to the provider's own.
struct AttemptPolicy {
  std::uint32_t attempts_max = 3;
  std::uint32_t retry_budget_percent = 20;  // of requests
  std::chrono::milliseconds first_byte{0}, first_token{0}, total{0};
  HedgePolicy hedge;
  bool continues = false;  // another model goes on with a stream that is cut
};

// Candidates come by priority and then as written. Without a strategy they are tried in this order.
struct Feature {
  std::string name;  // what is asked for: "fast", "feature/coding"
  std::vector<Candidate> candidates;
  std::vector<Strategy> strategies;
  std::vector<Fallback> fallback;
  std::vector<std::string> require;  // capabilities that each request needs
  std::vector<std::string> regions;  // only candidates of these; empty: any
  RateLimits limits;
  AttemptPolicy attempts;
  Priority priority = Priority::kNormal;
  std::string description;
};

// What all features' names begin with.
inline constexpr std::string_view kFeaturePrefix = "feature/";

// An alias.
using Model = Feature;

}  // namespace switchyard::config
