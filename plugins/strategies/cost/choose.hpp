// The cheapest candidate for this request.
#pragma once

#include <string>
#include <switchyard/strategy.hpp>

namespace cost {

struct Settings {
  std::uint32_t within_percent = 0;  // dearer than the cheapest by no more counts as equal
  std::uint64_t ttft_us_max = 0;     // 0: no ceiling
  std::uint64_t latency_us_max = 0;
  std::string quality_tag = "quality";  // of candidates: a whole number
  std::int64_t quality_min = INT64_MIN;
  std::uint32_t failed_ppm_max = 1'000'000;
};

class Strategy {
 public:
  static swy::Result<Strategy> open(std::string_view config_json, swy::Host host);
  explicit Strategy(Settings settings = Settings()) : settings_(std::move(settings)) {}

  void score(const swy::RouteRequest& request, const swy::Candidates& candidates,
             swy::Scores& scores) const;

 private:
  Settings settings_;
};

// 1200000 -> "0.0012".
std::string decimal(std::int64_t nano);

extern const char kSchema[];

}  // namespace cost
