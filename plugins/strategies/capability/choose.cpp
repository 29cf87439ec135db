#include "strategies/capability/choose.hpp"

#include <algorithm>
#include <switchyard/json.hpp>

namespace capability {
namespace {

namespace json = swy::json;

constexpr std::int64_t kPointsMax = 1'000'000;

std::string name_of(std::string_view raw) {
  std::string quoted = "\"";
  quoted.append(raw).append("\"");
  return json::unescape(quoted);
}

// "large", ["large", "medium"] or true, which is any.
std::vector<std::string> values_of(std::string_view value) {
  if (auto one = json::to_text(value)) return {std::move(*one)};
  std::vector<std::string> values;
  json::Cursor list(value);
  if (!list.array()) return values;
  while (list.element()) {
    if (auto each = json::to_text(list.value())) values.push_back(std::move(*each));
  }
  return values;
}

std::vector<Wanted> requirements(std::string_view object) {
  std::vector<Wanted> wanted;
  json::Cursor members(object);
  std::string_view name;
  if (!members.object()) return wanted;
  while (members.member(name)) wanted.push_back({name_of(name), values_of(members.value()), 0});
  return wanted;
}

std::vector<Wanted> preferences(std::string_view array) {
  std::vector<Wanted> wanted;
  json::Cursor list(array);
  if (!list.array()) return wanted;
  while (list.element()) {
    const std::string_view each = list.value();
    wanted.push_back({json::to_text(json::find(each, "tag")).value_or(""),
                      values_of(json::find(each, "is")),
                      json::to_integer(json::find(each, "points")).value_or(0)});
  }
  return wanted;
}

// Whether a list such as "zh, en" names the value.
bool lists(std::string_view list, std::string_view value) {
  while (!list.empty()) {
    const std::size_t comma = std::min(list.find(','), list.size());
    std::string_view each = list.substr(0, comma);
    while (each.starts_with(' ')) each.remove_prefix(1);
    while (each.ends_with(' ')) each.remove_suffix(1);
    if (each == value) return true;
    list.remove_prefix(std::min(comma + 1, list.size()));
  }
  return false;
}

bool has(const swy::Candidates& candidates, std::uint32_t i, const Wanted& wanted) {
  const std::string_view tag =
      wanted.tag == "region" ? swy::view(candidates[i].region) : candidates.tag(i, wanted.tag);
  if (wanted.values.empty()) return !tag.empty();
  return std::any_of(wanted.values.begin(), wanted.values.end(),
                     [&](const std::string& value) { return lists(tag, value); });
}

}  // namespace

const char kSchema[] = R"({
  "type": "object",
  "additionalProperties": false,
  "properties": {
    "require": {
      "type": "object",
      "additionalProperties": { "$ref": "#/definitions/values" },
      "description": "By tag, or \"region\": what a candidate has to have. Others are left out."
    },
    "prefer": {
      "type": "array", "maxItems": 32,
      "items": {
        "type": "object",
        "additionalProperties": false,
        "required": ["tag", "points"],
        "properties": {
          "tag": { "type": "string", "minLength": 1, "description": "A tag, or \"region\"." },
          "is": { "$ref": "#/definitions/values" },
          "points": { "type": "integer", "minimum": -1000000, "maximum": 1000000, "description": "For a candidate that has it." }
        }
      },
      "description": "What makes a candidate better, or worse, than others."
    },
    "rank_by": {
      "type": "string", "minLength": 1,
      "description": "A tag with a whole number, such as a benchmark's result, which is added to the points."
    },
    "language_points": {
      "type": "integer", "minimum": 0, "maximum": 1000000,
      "description": "For a candidate whose tag \"languages\" (such as \"zh, en\") has the language of the request. 10 where left out."
    },
    "region_points": {
      "type": "integer", "minimum": 0, "maximum": 1000000,
      "description": "For a candidate in the region of the request. 10 where left out."
    }
  },
  "definitions": {
    "values": {
      "description": "A value, several of which one is enough, or true for any.",
      "type": ["string", "array", "boolean"],
      "items": { "type": "string" }
    }
  }
})";

swy::Result<Strategy> Strategy::open(std::string_view config_json, swy::Host) {
  Settings settings;
  settings.require = requirements(json::find(config_json, "require"));
  settings.prefer = preferences(json::find(config_json, "prefer"));
  settings.rank_by = json::to_text(json::find(config_json, "rank_by")).value_or("");
  const auto points = [config_json](const char* name, std::int64_t otherwise) {
    return json::to_integer(json::find(config_json, name)).value_or(otherwise);
  };
  settings.language_points = points("language_points", settings.language_points);
  settings.region_points = points("region_points", settings.region_points);
  return Strategy(std::move(settings));
}

void Strategy::score(const swy::RouteRequest& request, const swy::Candidates& candidates,
                     swy::Scores& scores) const {
  const std::string_view language = swy::view(request->language);
  const std::string_view region = swy::view(request->region);
  for (std::uint32_t i = 0; i < candidates.size(); ++i) {
    const auto missing =
        std::find_if(settings_.require.begin(), settings_.require.end(),
                     [&](const Wanted& wanted) { return !has(candidates, i, wanted); });
    if (missing != settings_.require.end()) {
      scores.exclude(i, "lacks " + missing->tag);
      continue;
    }
    std::int64_t points = 0;
    std::string of;
    const auto add = [&](std::int64_t more, std::string_view why) {
      points += more;
      of.append(of.empty() ? ": " : ", ").append(why);
    };
    for (const Wanted& wanted : settings_.prefer) {
      if (has(candidates, i, wanted)) add(wanted.points, wanted.tag);
    }
    if (!language.empty() && lists(candidates.tag(i, "languages"), language)) {
      add(settings_.language_points, language);
    }
    if (!region.empty() && swy::view(candidates[i].region) == region) {
      add(settings_.region_points, region);
    }
    if (!settings_.rank_by.empty()) {
      const auto rank = json::to_integer(candidates.tag(i, settings_.rank_by));
      if (rank) add(std::clamp(*rank, -kPointsMax, kPointsMax), settings_.rank_by);
    }
    scores.set(i, points, std::to_string(points) + of);
  }
}

}  // namespace capability
