#include "strategies/cost/choose.hpp"

#include <algorithm>
#include <switchyard/json.hpp>

namespace cost {
namespace {

// Below every cost: first those that are known and good enough, then the unknown, then those that
// are not good enough.
constexpr std::int64_t kCostMax = std::int64_t{1} << 56;
constexpr std::int64_t kUnknown = -kCostMax - 1;
constexpr std::int64_t kNotEnough = -(std::int64_t{1} << 61);
// Fewer attempts than these say nothing about how many fail.
constexpr std::uint64_t kSamplesMin = 10;

bool known(const swy_cand& candidate) { return candidate.est_cost_nano != INT64_MIN; }

// What was not measured may be quick.
bool too_slow(const swy_cand& candidate, bool stream, const Settings& settings) {
  const bool late =
      stream && settings.ttft_us_max > 0 && candidate.ttft_p95_us > settings.ttft_us_max;
  return late ||
         (settings.latency_us_max > 0 && candidate.latency_p95_us > settings.latency_us_max);
}

// What a candidate falls short of, or nothing where it is good enough.
const char* shortfall(const swy::RouteRequest& request, const swy::Candidates& candidates,
                      std::uint32_t i, const Settings& settings) {
  const swy_cand& candidate = candidates[i];
  if (settings.quality_min != INT64_MIN) {
    const auto quality = swy::json::to_integer(candidates.tag(i, settings.quality_tag));
    if (!quality || *quality < settings.quality_min) return "below the floor of quality";
  }
  if (too_slow(candidate, request.stream(), settings)) return "too slow";
  const bool fails =
      candidate.samples >= kSamplesMin && candidate.err_ppm > settings.failed_ppm_max;
  return fails ? "fails too often" : nullptr;
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
    },
    "failed_percent_max": {
      "type": "integer", "minimum": 0, "maximum": 100,
      "description": "Candidates of which more attempts failed in the last minute come last. 100 where left out: breakers alone decide."
    },
    "quality_min": {
      "type": "integer",
      "description": "Candidates whose tag of quality is lower, or missing, come last."
    },
    "quality_tag": {
      "type": "string", "minLength": 1,
      "description": "The tag that holds a candidate's quality as a whole number. \"quality\" where left out."
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
  if (const auto floor = json::to_integer(json::find(config_json, "quality_min"))) {
    settings.quality_min = *floor;
  }
  if (auto tag = json::to_text(json::find(config_json, "quality_tag"))) {
    settings.quality_tag = std::move(*tag);
  }
  if (const auto percent = json::to_integer(json::find(config_json, "failed_percent_max"))) {
    settings.failed_ppm_max = static_cast<std::uint32_t>(*percent) * 10'000;
  }
  return Strategy(std::move(settings));
}

void Strategy::score(const swy::RouteRequest& request, const swy::Candidates& candidates,
                     swy::Scores& scores) const {
  std::int64_t cheapest = kCostMax;
  for (std::uint32_t i = 0; i < candidates.size(); ++i) {
    if (!known(candidates[i]) || shortfall(request, candidates, i, settings_) != nullptr) continue;
    cheapest = std::min(cheapest, candidates[i].est_cost_nano);
  }
  const std::int64_t equal_to = ceiling_of(cheapest, settings_.within_percent);
  for (std::uint32_t i = 0; i < candidates.size(); ++i) {
    const swy_cand& candidate = candidates[i];
    std::string reason = "unknown";
    std::int64_t score = kUnknown;
    if (known(candidate)) {
      reason = decimal(candidate.est_cost_nano) + ' ' + std::string(request.currency());
      const std::int64_t paid = std::min(candidate.est_cost_nano, kCostMax);
      score = paid <= equal_to ? -cheapest : -paid;
    }
    if (const char* const what = shortfall(request, candidates, i, settings_)) {
      score += kNotEnough;
      reason.append(", ").append(what);
    }
    scores.set(i, score, reason);
  }
}

}  // namespace cost
