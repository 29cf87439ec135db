// What a configuration makes of a plugin: the instances that it asks for.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "core/base/result.hpp"

namespace switchyard::plugin {

struct Use {
  std::string family;        // "provider", "strategy", "logger"
  std::string kind;          // "openai"
  std::string id;            // of the instance, for people
  std::string config;        // what open() gets, byte for byte
  std::string model;         // of a provider: one that it serves, or empty
  std::string destinations;  // of a logger: the names of those it may post to, parted by commas
};
using Uses = std::vector<Use>;

// The way of uses to the trial's process: a JSON array.
std::string to_json(const Uses& uses);
Result<Uses> parse_uses(std::string_view json);

}  // namespace switchyard::plugin
