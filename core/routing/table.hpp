// From the name that a client gives to the targets that may serve it. Immutable, made from a configuration.
#pragma once

#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "core/config/config.hpp"

namespace switchyard::routing {

struct Target {
  std::size_t provider = 0;  // index into Config::providers
  std::string model;         // upstream name
};

struct Route {
  std::string name;             // what the client asked for
  std::vector<Target> targets;  // tried in order
  std::string reason;           // why these, for the record: "alias fast", "model gpt-x at openai", ...
};

class Table {
 public:
  explicit Table(const config::Config& config);

  // Resolution order: a configured model (alias); "provider/model"; a model that providers list, in configuration
  // order; a provider that takes any name ("*"). Empty targets: unknown.
  Route resolve(std::string_view name) const;

  // Every name that can be asked for, sorted, without duplicates ("*" providers contribute nothing).
  struct Listed {
    std::string name;
    std::string owned_by;  // provider id, or "switchyard" for an alias of several
  };
  const std::vector<Listed>& models() const { return listed_; }
  // At most `max` known names that look like `name` (edit distance, common prefix), nearest first.
  std::vector<std::string> near(std::string_view name, std::size_t max = 3) const;

 private:
  std::unordered_map<std::string, Route> aliases_;
  std::unordered_map<std::string, std::size_t> provider_ids_;
  std::unordered_map<std::string, std::vector<Target>> by_model_;
  std::vector<std::size_t> any_;
  std::vector<Listed> listed_;
};

}  // namespace switchyard::routing
