// How recorded requests would have fared under other strategies: their choices are made again, and
// what each comes to is expected of what was measured when it was made.
#pragma once

#include <map>
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

// The recorded requests of one alias. Plans are kept of all that fail and of some that don't: each
// kind is weighed by how many requests there were of it.
class Replay {
 public:
  // A request, whether its plan was kept or not; `kind` is what decided whether it was.
  void count(const std::string& kind) { ++kinds_[kind].requests; }
  // The plan of a request that was counted.
  void add(const std::string& kind, Decision decision);

  std::size_t plans() const { return plans_.size(); }
  // Each choice as it was made, and as `pipeline` makes it.
  Forecast run(const Pipeline& pipeline, const Pricing& pricing) const;

 private:
  struct Kind {
    std::uint64_t requests = 0, plans = 0;
    double weight() const { return static_cast<double>(requests) / static_cast<double>(plans); }
  };
  struct Kept {
    const Kind* kind;
    Decision decision;
  };

  std::map<std::string, Kind> kinds_;
  std::vector<Kept> plans_;
};

}  // namespace switchyard::routing
