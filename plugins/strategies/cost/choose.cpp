#include "strategies/cost/choose.hpp"

#include <algorithm>
#include <switchyard/json.hpp>

namespace cost {
namespace {

// Below every cost: first those that are known and quick enough, then the unknown, then the slow.
constexpr std::int64_t kCostMax = std::int64_t{1} << 56;
constexpr std::int64_t kUnknown = -kCostMax - 1;
constexpr std::int64_t kTooSlow = -(std::int64_t{1} << 61);

bool known(const swy_cand& candidate) { return candidate.est_cost_nano != INT64_MIN; }

// What was not measured may be quick.
bool too_slow(const swy_cand& candidate, bool stream, const Settings& settings) {
  const bool late =
      stream && settings.ttft_us_max > 0 && candidate.ttft_p95_us > settings.ttft_us_max;
  return late ||
         (settings.latency_us_max > 0 && candidate.latency_p95_us > settings.latency_us_max);
}

std::int64_t ceiling_of(std::int64_t cheapest, std::uint32_t within_percent) {
  return cheapest + cheapest / 100 * within_percent + cheapest % 100 * within_percent / 100;
}

}  // namespace

const char kSchema[] = R"({
  "type": "object",
  "additionalProperties": false,
  "properties": {
    "within_percent": {
      "type": "integer", "minimum": 0, "maximum": 1000,
      "description": "Candidates dearer than the cheapest by no more are equal to it: the next strategy decides. 0 where left out."
    },
    "ttft_ms_max": {
      "type": "integer", "minimum": 1, "maximum": 600000,
      "description": "For streams: candidates whose time to the first token is above this in 1 of 20 attempts come last."
    },
    "latency_ms_max": {
      "type": "integer", "minimum": 1, "maximum": 3600000,
      "description": "Candidates whose time to the end of the answer is above this in 1 of 20 attempts come last."
    }
  }
})";

std::string decimal(std::int64_t nano) {
  constexpr std::int64_t kNano = 1'000'000'000;
  std::string part = std::to_string(kNano + nano % kNano).substr(1);
  part.erase(part.find_last_not_of('0') + 1);
  return std::to_string(nano / kNano) + (part.empty() ? "" : "." + part);
}

swy::Result<Strategy> Strategy::open(std::string_view config_json, swy::Host) {
  namespace json = swy::json;
  const auto number = [config_json](const char* name) {
    return static_cast<std::uint64_t>(json::to_integer(json::find(config_json, name)).value_or(0));
  };
  Settings settings;
  settings.within_percent = static_cast<std::uint32_t>(number("within_percent"));
  settings.ttft_us_max = number("ttft_ms_max") * 1000;
  settings.latency_us_max = number("latency_ms_max") * 1000;
  return Strategy(settings);
}

void Strategy::score(const swy::RouteRequest& request, const swy::Candidates& candidates,
                     swy::Scores& scores) const {
  std::int64_t cheapest = kCostMax;
  for (std::uint32_t i = 0; i < candidates.size(); ++i) {
    const swy_cand& candidate = candidates[i];
    if (candidate.state == SWY_STATE_OPEN || !known(candidate) ||
        too_slow(candidate, request.stream(), settings_)) {
      continue;
    }
    cheapest = std::min(cheapest, candidate.est_cost_nano);
  }
  const std::int64_t equal_to = ceiling_of(cheapest, settings_.within_percent);
  for (std::uint32_t i = 0; i < candidates.size(); ++i) {
    const swy_cand& candidate = candidates[i];
    if (candidate.state == SWY_STATE_OPEN) {
      scores.exclude(i, "its breaker is open");
      continue;
    }
    std::string reason = "unknown";
    std::int64_t score = kUnknown;
    if (known(candidate)) {
      reason = decimal(candidate.est_cost_nano) + ' ' + std::string(request.currency());
      const std::int64_t paid = std::min(candidate.est_cost_nano, kCostMax);
      score = paid <= equal_to ? -cheapest : -paid;
    }
    if (too_slow(candidate, request.stream(), settings_)) {
      score += kTooSlow;
      reason += ", too slow";
    }
    scores.set(i, score, reason);
  }
}

}  // namespace cost
