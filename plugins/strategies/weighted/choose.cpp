#include "strategies/weighted/choose.hpp"

#include <cmath>
#include <switchyard/json.hpp>

namespace weighted {
namespace {

// Weighted random order (Efraimidis, Spirakis 2006): sorted by log(u) / weight, each candidate
// comes first as often as its weight says, and so among those that are left. With u from a hash of
// session and candidate this is weighted rendezvous hashing: a candidate that comes or goes moves
// its own sessions only.
std::int64_t draw(std::uint64_t bits, std::uint32_t weight) {
  constexpr double kScale = 1e12;  // of log(u) >= -38; leaves 6 digits at the largest weight
  const double u = (static_cast<double>(bits >> 11) + 0.5) * 0x1p-53;
  return static_cast<std::int64_t>(std::log(u) / weight * kScale);
}

}  // namespace

const char kSchema[] = R"({
  "type": "object",
  "additionalProperties": false,
  "properties": {
    "sticky": {
      "type": "boolean",
      "description": "Requests of one session go to one candidate. True where left out."
    }
  }
})";

swy::Result<Strategy> Strategy::open(std::string_view config_json, swy::Host) {
  return Strategy(swy::json::find(config_json, "sticky") != "false");
}

void Strategy::score(const swy::RouteRequest& request, const swy::Candidates& candidates,
                     swy::Scores& scores) const {
  // Of requests that only begin alike, all would go to one: shares come before warm caches here.
  const bool by_session = sticky_ && request->affinity != 0 && !request.prefix();
  for (std::uint32_t i = 0; i < candidates.size(); ++i) {
    const swy_cand& candidate = candidates[i];
    if (candidate.weight == 0) {
      scores.exclude(i, "weight 0");
    } else {
      const std::uint64_t bits =
          by_session ? request.sticky_chance(candidate.id) : request.chance(candidate.id);
      scores.set(i, draw(bits, candidate.weight),
                 "weight " + std::to_string(candidate.weight) + (by_session ? ", by session" : ""));
    }
  }
}

}  // namespace weighted
