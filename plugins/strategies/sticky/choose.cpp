#include "strategies/sticky/choose.hpp"

#include <algorithm>
#include <cmath>
#include <switchyard/json.hpp>
#include <vector>

namespace sticky {
namespace {

// Below every place of a candidate that is well.
constexpr std::int64_t kReleased = -1'000;

struct Placed {
  std::uint32_t index = 0;
  double draw = 0;
  const char* unwell = nullptr;
};

// Weighted rendezvous hashing: each candidate draws log(u) / weight with u of session and
// candidate, and the highest has the session. Who comes or goes moves its own sessions only.
double draw(std::uint64_t bits, std::uint32_t weight) {
  const double u = (static_cast<double>(bits >> 11) + 0.5) * 0x1p-53;
  return std::log(u) / std::max(weight, 1u);
}

// Why sessions are released; null where the candidate is well. One that is half open gets its
// sessions back in the measure that the host lets through: what failed before says nothing of it.
const char* unwell(const swy_cand& candidate, bool stream, const Settings& settings) {
  if (candidate.state == SWY_STATE_HALF_OPEN) return nullptr;
  if (candidate.samples >= settings.samples_min && candidate.err_ppm > settings.failed_ppm) {
    return "released: fails";
  }
  const bool late =
      stream && settings.ttft_us_max > 0 && candidate.ttft_p95_us > settings.ttft_us_max;
  const bool slow =
      settings.latency_us_max > 0 && candidate.latency_p95_us > settings.latency_us_max;
  return late || slow ? "released: slow" : nullptr;
}

std::string reason(const Placed& placed, std::int64_t place, bool prefix) {
  if (placed.unwell != nullptr) return placed.unwell;
  const std::string of = prefix ? " of the prompt's start" : " of the session";
  return (place == 0 ? "home" : "choice " + std::to_string(place + 1)) + of;
}

}  // namespace

const char kSchema[] = R"({
  "type": "object",
  "additionalProperties": false,
  "properties": {
    "prefixes": {
      "type": "boolean",
      "description": "Requests that name no session stay together by the start of their prompt. True where left out."
    },
    "failed_percent": {
      "type": "integer", "minimum": 1, "maximum": 100,
      "description": "A candidate of which more attempts failed in the last minute is left by its sessions. 30 where left out."
    },
    "samples_min": {
      "type": "integer", "minimum": 1, "maximum": 1000000,
      "description": "Attempts in the last minute below which nothing is said about how many fail. 10 where left out."
    },
    "ttft_ms_max": {
      "type": "integer", "minimum": 1, "maximum": 600000,
      "description": "For streams: a candidate whose time to the first token is above this in 1 of 20 attempts is left."
    },
    "latency_ms_max": {
      "type": "integer", "minimum": 1, "maximum": 3600000,
      "description": "A candidate whose time to the end of the answer is above this in 1 of 20 attempts is left."
    }
  }
})";

swy::Result<Strategy> Strategy::open(std::string_view config_json, swy::Host) {
  namespace json = swy::json;
  const auto number = [config_json](const char* name, std::int64_t otherwise) {
    return json::to_integer(json::find(config_json, name)).value_or(otherwise);
  };
  Settings settings;
  settings.prefixes = json::find(config_json, "prefixes") != "false";
  settings.failed_ppm = static_cast<std::uint32_t>(number("failed_percent", 30)) * 10'000;
  settings.samples_min = static_cast<std::uint64_t>(number("samples_min", 10));
  settings.ttft_us_max = static_cast<std::uint64_t>(number("ttft_ms_max", 0)) * 1000;
  settings.latency_us_max = static_cast<std::uint64_t>(number("latency_ms_max", 0)) * 1000;
  return Strategy(settings);
}

void Strategy::score(const swy::RouteRequest& request, const swy::Candidates& candidates,
                     swy::Scores& scores) const {
  const bool belongs = request->affinity != 0 && (settings_.prefixes || !request.prefix());
  std::vector<Placed> placed(candidates.size());
  for (std::uint32_t i = 0; i < candidates.size(); ++i) {
    placed[i].index = i;
    placed[i].draw = draw(request.sticky_chance(candidates[i].id), candidates[i].weight);
    placed[i].unwell = unwell(candidates[i], request.stream(), settings_);
  }
  if (!belongs) {
    for (const Placed& each : placed) {
      scores.set(each.index, each.unwell == nullptr ? 0 : kReleased,
                 each.unwell == nullptr ? "no session" : each.unwell);
    }
    return;
  }
  std::sort(placed.begin(), placed.end(), [](const Placed& a, const Placed& b) {
    return a.draw != b.draw ? a.draw > b.draw : a.index < b.index;
  });
  for (std::size_t i = 0; i < placed.size(); ++i) {
    const auto place = static_cast<std::int64_t>(i);
    const std::int64_t score = (placed[i].unwell == nullptr ? 0 : kReleased) - place;
    scores.set(placed[i].index, score, reason(placed[i], place, request.prefix()));
  }
}

}  // namespace sticky
