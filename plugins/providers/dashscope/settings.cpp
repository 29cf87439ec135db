#include "providers/dashscope/settings.hpp"

#include <algorithm>
#include <switchyard/json.hpp>

namespace dashscope {

namespace json = swy::json;

namespace {

// As Alibaba documents them; the setting adds to these.
constexpr std::string_view kKnown[] = {
    "qwen3.5-plus*", "qwen3.5-flash*", "qwen3.6-plus*", "qwen3.6-flash*",
    "qwen3.7-plus*", "qwen3.7-flash*", "qvq*"};
constexpr std::string_view kKinds[] = {"-vl", "-omni", "-audio", "-ocr", "-asr"};

bool fits(std::string_view pattern, std::string_view name) {
  return pattern.ends_with('*') ? name.starts_with(pattern.substr(0, pattern.size() - 1))
                                : name == pattern;
}

}  // namespace

bool Settings::is_multimodal(std::string_view model) const {
  const auto named = [model](std::string_view pattern) { return fits(pattern, model); };
  const auto kind = [model](std::string_view word) {
    return model.find(word) != std::string_view::npos;
  };
  return std::any_of(std::begin(kKnown), std::end(kKnown), named) ||
         std::any_of(multimodal.begin(), multimodal.end(), named) ||
         std::any_of(std::begin(kKinds), std::end(kKinds), kind);
}

swy::Result<Settings> parse_settings(std::string_view config_json) {
  Settings settings;
  json::Cursor cursor(json::find_path(config_json, "settings.multimodal"));
  if (!cursor.array()) return settings;
  while (cursor.element()) {
    settings.multimodal.push_back(json::to_text(cursor.value()).value_or(""));
  }
  return settings;
}

}  // namespace dashscope
