// Keeps what belongs together at one candidate, for as long as that is well.
#pragma once

#include <string>
#include <switchyard/strategy.hpp>

namespace sticky {

struct Settings {
  bool prefixes = true;                // requests without a session stay together by their prompt
  std::uint32_t failed_ppm = 300'000;  // more of the attempts failed: released
  std::uint64_t samples_min = 10;      // fewer say nothing
  std::uint64_t ttft_us_max = 0;       // 0: no ceiling
  std::uint64_t latency_us_max = 0;
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

}  // namespace sticky
