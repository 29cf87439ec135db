#include "strategies/priority/choose.hpp"

namespace priority {

void Strategy::score(const swy::RouteRequest&, const swy::Candidates& candidates,
                     swy::Scores& scores) const {
  for (std::uint32_t i = 0; i < candidates.size(); ++i) {
    const swy_cand& candidate = candidates[i];
    if (candidate.state == SWY_STATE_OPEN) {
      scores.exclude(i, "its breaker is open");
    } else {
      scores.set(i, -std::int64_t{candidate.priority}, std::to_string(candidate.priority));
    }
  }
}

}  // namespace priority
