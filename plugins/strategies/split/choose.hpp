// Assigns requests to the variants of an experiment, always the same to whom it is assigned by.
#pragma once

#include <string>
#include <switchyard/strategy.hpp>
#include <vector>

namespace split {

enum class By { kKey, kAccount, kSession, kRequest };

struct Variant {
  std::string name;
  std::uint32_t share = 0;
};

struct Settings {
  std::string experiment;
  By by = By::kKey;
  bool strict = false;  // rather fail than serve another variant
  std::vector<Variant> variants;
};

class Strategy {
 public:
  static swy::Result<Strategy> open(std::string_view config_json, swy::Host host);
  explicit Strategy(Settings settings) : settings_(std::move(settings)) {}

  void score(const swy::RouteRequest& request, const swy::Candidates& candidates,
             swy::Scores& scores) const;

 private:
  std::uint64_t drawn(const swy::RouteRequest& request) const;
  const Variant& assigned(const swy::RouteRequest& request) const;

  Settings settings_;
};

extern const char kSchema[];

}  // namespace split
