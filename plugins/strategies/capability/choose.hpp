// The candidates that can do what is needed, those first that do it best.
#pragma once

#include <string>
#include <switchyard/strategy.hpp>
#include <vector>

namespace capability {

struct Wanted {
  std::string tag;
  std::vector<std::string> values;  // one of them; empty: any
  std::int64_t points = 0;          // where it is preferred, not required
};

struct Settings {
  std::vector<Wanted> require, prefer;
  std::string rank_by;  // a tag that holds a whole number; empty: none
  std::int64_t language_points = 10, region_points = 10;
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

extern const char kSchema[];

}  // namespace capability
