#include "providers/wenxinworkshop/settings.hpp"

#include <switchyard/json.hpp>

namespace wenxinworkshop {

namespace json = swy::json;

namespace {

// Addresses are no rule: some are names of older models, and both - and _ stand in them.
constexpr std::pair<std::string_view, std::string_view> kKnown[] = {
    {"ernie-4.0-8k", "completions_pro"},
    {"ernie-4.0-8k-preview-0518", "completions_adv_pro"},
    {"ernie-4.0-turbo-8k", "ernie-4.0-turbo-8k"},
    {"ernie-3.5-8k", "completions"},
    {"ernie-3.5-128k", "ernie-3.5-128k"},
    {"ernie-bot-turbo", "eb-instant"},
    {"ernie-lite-8k-0922", "eb-instant"},
    {"ernie-lite-8k", "ernie-lite-8k"},
    {"ernie-lite-8k-0308", "ernie-lite-8k"},
    {"ernie-speed-8k", "ernie_speed"},
    {"ernie-speed-128k", "ernie-speed-128k"},
    {"ernie-tiny-8k", "ernie-tiny-8k"},
    {"ernie-char-8k", "ernie-char-8k"},
    {"ernie-func-8k", "ernie-func-8k"},
    {"bloomz-7b", "bloomz_7b1"},
    {"embedding-v1", "embedding-v1"},
    {"bge-large-zh", "bge_large_zh"},
    {"bge-large-en", "bge_large_en"},
    {"tao-8k", "tao_8k"},
};

}  // namespace

std::string Settings::path_of(std::string_view model) const {
  for (const auto& [name, path] : paths) {
    if (name == model) return path;
  }
  std::string lower(model);
  for (char& c : lower) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  for (const auto& [name, path] : kKnown) {
    if (name == lower) return std::string(path);
  }
  return lower;
}

swy::Result<Settings> parse_settings(std::string_view config_json) {
  Settings settings;
  json::Cursor cursor(json::find_path(config_json, "settings.paths"));
  std::string_view name;
  if (!cursor.object()) return settings;
  while (cursor.member(name)) {
    settings.paths.emplace_back(json::unescape("\"" + std::string(name) + "\""),
                                json::to_text(cursor.value()).value_or(""));
  }
  return settings;
}

}  // namespace wenxinworkshop
