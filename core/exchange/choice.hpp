// A request's choice among the targets of its route, and what comes of it.
#pragma once

#include "core/exchange/attempt.hpp"

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

// One attempt as the statistics of its target see it: it runs as long as this lives.
class Observation {
 public:
  // chosen: whether strategies chose the target, and so are told.
  Observation(const Request& request, const routing::Target& target, bool chosen);
  ~Observation();
  Observation(const Observation&) = delete;
  Observation& operator=(const Observation&) = delete;

  // The attempt came to its end, and not because the client left.
  void end(const Attempt& attempt, bool ok);

 private:
  const Request& request_;
  const routing::Target& target_;
  const bool chosen_;
  std::uint64_t begun_ns_ = 0;
};

}  // namespace switchyard::exchange
