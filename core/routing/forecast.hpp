// How recorded requests would have fared under other strategies: they come once more when they
// came, their choices are made again, and what each comes to is expected of what was measured when
// it was made. What a choice puts in flight is in flight when the next one is made.
#pragma once

#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/nano.hpp"
#include "core/routing/decision.hpp"

namespace switchyard::routing {

// What requests come to. Of each candidate of a choice it is known how often it failed and how long
// it took; where one fails, the next one of the order is called.
struct Outlook {
  double requests = 0;
  std::map<std::string, double> served;  // requests by "provider/model"
  double failed = 0;                     // requests that nobody served
  double calls = 0;
  // Means over the requests that went to candidates of which it is known.
  double ttft_us = 0, latency_us = 0;
  double timed = 0;                  // requests that latency_us is of
  std::map<std::string, Nano> cost;  // by currency, at the estimates of the choices
  double unpriced = 0;               // requests that are not part of cost

  double share(const std::string& target) const;
};

struct Forecast {
  Outlook before, after;
};

// A request as it was recorded. Without a time what is in flight is what was recorded.
struct Recorded {
  std::uint64_t begun_ns = 0;  // since 1970; 0: not known
  std::uint64_t duration_us = 0;
  std::uint64_t served_by = 0;        // candidate_id()
  const std::string* kind = nullptr;  // the replay's own
};

// The recorded requests of one alias. Plans are kept of all that fail and of some that don't: each
// stands for as many requests of its kind as there are to a plan.
class Replay {
 public:
  // A request, whether its plan was kept or not; `kind` is what decided whether it was.
  void count(const std::string& kind, const Recorded& request = {});
  // The plan of a request that was counted.
  void add(const std::string& kind, Decision decision, std::uint64_t begun_ns = 0);

  std::size_t plans() const { return plans_.size(); }
  // Each choice as it was made, and as `pipeline` makes it.
  Forecast run(const Pipeline& pipeline, const Pricing& pricing) const;

 private:
  struct Kept {
    std::uint64_t begun_ns;
    const std::string* kind;
    Decision decision;
  };

  std::set<std::string> kinds_;  // the others point to these
  std::vector<Recorded> requests_;
  std::vector<Kept> plans_;
};

}  // namespace switchyard::routing
