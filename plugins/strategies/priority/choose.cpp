#include "strategies/priority/choose.hpp"

namespace priority {

void Strategy::score(const swy::RouteRequest&, const swy::Candidates& candidates,
                     swy::Scores& scores) const {
  for (std::uint32_t i = 0; i < candidates.size(); ++i) {
    const std::uint32_t priority = candidates[i].priority;
    scores.set(i, -std::int64_t{priority}, std::to_string(priority));
  }
}

}  // namespace priority
