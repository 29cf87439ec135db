// What an instance was configured with.
#pragma once

#include <string>
#include <string_view>
#include <switchyard/provider.hpp>
#include <vector>

namespace dashscope {

struct Settings {
  std::vector<std::string> multimodal;  // names, or their beginnings with a * behind

  // Whether a model is served where pictures and sound are taken, also for plain text: each is
  // served at one place only.
  bool is_multimodal(std::string_view model) const;
};

swy::Result<Settings> parse_settings(std::string_view config_json);

}  // namespace dashscope
