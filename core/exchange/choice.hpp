// A request's choice among the targets of its route, and what comes of it.
#pragma once

#include "core/exchange/attempt.hpp"
#include "core/routing/live.hpp"

namespace switchyard::exchange {

// Lets the route's strategies put its targets in order. False where there is nothing to choose: one
// target, or no strategy.
bool choose(const Request& request);

// What the route was decided by, as records keep it: routing/decision.hpp.
std::string plan_json(const Snapshot& snapshot, const Request& request);

// How the targets of a request were chosen, and which one is tried now, in one line of printable
// ASCII for the answer's head.
std::string explanation(const Request& request, const Snapshot& snapshot,
                        const routing::Target& target);

// Keeps in the record what its route was decided by, where the request failed or wants to be
// explained, and of one in so many others. The snapshot's configuration says whether.
void note_plan(const Snapshot& snapshot, const Request& request);

// What strategies are told of a request; the currency is the pipeline's to say.
swy_rreq route_facts(const Request& request, std::uint64_t seed, std::uint64_t now_ns);

// One attempt as its target and the strategies that chose it are told of it.
class Observation {
 public:
  // chosen: whether strategies chose the target, and so are told.
  Observation(const Request& request, const routing::Target& target, bool chosen,
              std::uint64_t now_ns)
      : request_(request), target_(target), chosen_(chosen), begun_ns_(now_ns) {}

  // The attempt came to its end. `left`: because of the client, which says nothing of the target.
  routing::Outcome end(const Attempt& attempt, bool ok, bool left, std::uint64_t now_ns) const;

 private:
  const Request& request_;
  const routing::Target& target_;
  const bool chosen_;
  const std::uint64_t begun_ns_;
};

}  // namespace switchyard::exchange
