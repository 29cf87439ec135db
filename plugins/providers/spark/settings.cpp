#include "providers/spark/settings.hpp"

#include <algorithm>
#include <switchyard/json.hpp>

namespace spark {

namespace json = swy::json;

namespace {

struct Known {
  std::string_view domain, path;
  bool takes_system = true;
};
constexpr Known kKnown[] = {
    {"lite", "/v1.1/chat", false}, {"generalv2", "/v2.1/chat", false},
    {"generalv3", "/v3.1/chat"},   {"pro-128k", "/chat/pro-128k"},
    {"generalv3.5", "/v3.5/chat"}, {"max-32k", "/chat/max-32k"},
    {"4.0Ultra", "/v4.0/chat"},    {"x1", "/v1/x1"},
};

bool same_name(std::string_view a, std::string_view b) {
  const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; };
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [&lower](char x, char y) { return lower(x) == lower(y); });
}

}  // namespace

std::optional<Address> Settings::find(std::string_view model) const {
  for (const auto& [name, address] : models) {
    if (name == model) return address;
  }
  for (const Known& known : kKnown) {
    if (!same_name(known.domain, model)) continue;
    return Address{std::string(known.path), std::string(known.domain), known.takes_system};
  }
  return std::nullopt;
}

swy::Result<Settings> parse_settings(std::string_view config_json) {
  Settings settings;
  json::Cursor cursor(json::find_path(config_json, "settings.models"));
  std::string_view name;
  if (!cursor.object()) return settings;
  while (cursor.member(name)) {
    const std::string_view said = cursor.value();
    const std::string model = json::unescape("\"" + std::string(name) + "\"");
    settings.models.emplace_back(
        model, Address{json::to_text(json::find(said, "path")).value_or(""),
                       json::to_text(json::find(said, "domain")).value_or(model)});
  }
  return settings;
}

}  // namespace spark
