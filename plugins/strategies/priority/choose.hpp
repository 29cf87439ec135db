// Candidates by their priority, then as they are written.
#pragma once

#include <switchyard/strategy.hpp>

namespace priority {

class Strategy {
 public:
  void score(const swy::RouteRequest& request, const swy::Candidates& candidates,
             swy::Scores& scores) const;
};

}  // namespace priority
