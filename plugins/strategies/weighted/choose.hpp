// Shares requests out by weight; a session keeps its candidate.
#pragma once

#include <switchyard/strategy.hpp>

namespace weighted {

class Strategy {
 public:
  // Takes {"sticky": false}.
  static swy::Result<Strategy> open(std::string_view config_json, swy::Host host);
  explicit Strategy(bool sticky = true) : sticky_(sticky) {}

  void score(const swy::RouteRequest& request, const swy::Candidates& candidates,
             swy::Scores& scores) const;

 private:
  bool sticky_;
};

extern const char kSchema[];

}  // namespace weighted
