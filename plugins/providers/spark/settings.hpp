// What an instance was configured with.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <switchyard/provider.hpp>
#include <utility>
#include <vector>

namespace spark {

// Where a model is, and what it is called there. Both have to match.
struct Address {
  std::string path, domain;
  bool takes_system = true;  // false: knows no such role
};

struct Settings {
  std::vector<std::pair<std::string, Address>> models;  // beside those known here

  // Nothing for a model that nobody named.
  std::optional<Address> find(std::string_view model) const;
};

swy::Result<Settings> parse_settings(std::string_view config_json);

}  // namespace spark
