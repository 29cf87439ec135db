// The candidate that is quickest now.
#pragma once

#include <switchyard/strategy.hpp>

namespace latency {

struct Settings {
  bool p95 = false;                   // else the mean
  std::uint32_t explore_percent = 3;  // of requests, to see how another one fares
  std::uint32_t concurrency = 32;     // in flight, which make a candidate twice as slow
};

class Strategy {
 public:
  static swy::Result<Strategy> open(std::string_view config_json, swy::Host host);
  explicit Strategy(const Settings& settings = Settings()) : settings_(settings) {}

  void score(const swy::RouteRequest& request, const swy::Candidates& candidates,
             swy::Scores& scores) const;

 private:
  Settings settings_;
};

extern const char kSchema[];

}  // namespace latency
