// What an instance was configured with.
#pragma once

#include <string>
#include <string_view>
#include <switchyard/provider.hpp>
#include <utility>
#include <vector>

namespace wenxinworkshop {

struct Settings {
  std::vector<std::pair<std::string, std::string>> paths;  // of models beside those known here

  // The last part of a model's address; its own name in lower case where nobody knows better.
  std::string path_of(std::string_view model) const;
};

swy::Result<Settings> parse_settings(std::string_view config_json);

}  // namespace wenxinworkshop
