// JSON Schema, draft 4, as far as the host checks configurations with it.
#include <algorithm>
#include <cstdlib>
#include <regex>

#include "plugin.hpp"

namespace swy::check {
namespace {

constexpr unsigned kDepthMax = 64;
// By the form of their values: t text, r reference, s schema, m map of schemas, l list of schemas,
// b boolean, B boolean or schema, c count, n number, N names, T type, a anything, v values.
constexpr std::pair<std::string_view, char> kKeywords[] = {{"$schema", 't'},
                                                           {"$ref", 'r'},
                                                           {"title", 't'},
                                                           {"description", 't'},
                                                           {"default", 'a'},
                                                           {"definitions", 'm'},
                                                           {"type", 'T'},
                                                           {"enum", 'v'},
                                                           {"allOf", 'l'},
                                                           {"anyOf", 'l'},
                                                           {"oneOf", 'l'},
                                                           {"not", 's'},
                                                           {"properties", 'm'},
                                                           {"additionalProperties", 'B'},
                                                           {"required", 'N'},
                                                           {"minProperties", 'c'},
                                                           {"maxProperties", 'c'},
                                                           {"items", 's'},
                                                           {"minItems", 'c'},
                                                           {"maxItems", 'c'},
                                                           {"uniqueItems", 'b'},
                                                           {"minLength", 'c'},
                                                           {"maxLength", 'c'},
                                                           {"pattern", 't'},
                                                           {"minimum", 'n'},
                                                           {"maximum", 'n'},
                                                           {"exclusiveMinimum", 'b'},
                                                           {"exclusiveMaximum", 'b'}};

bool is_bool(const Value& value) { return value.is('t') || value.is('f'); }

bool is_count(const Value& value) {
  const auto number = value.integer();
  return number && *number >= 0;
}

bool is_type(const Value& value, std::string_view type) {
  if (type == "integer")
    return value.is('n') && value.text.find_first_of(".eE") == std::string::npos;
  if (type == "boolean") return is_bool(value);
  if (type == "null") return value.is('0');
  return !type.empty() &&
                 (type == "object" || type == "array" || type == "string" || type == "number")
             ? value.is(type[0])
             : false;
}

bool known_type(std::string_view type) {
  constexpr std::string_view kTypes[] = {"null",   "boolean", "object", "array",
                                         "number", "string",  "integer"};
  return std::find(std::begin(kTypes), std::end(kTypes), type) != std::end(kTypes);
}

class SchemaCheck {
 public:
  explicit SchemaCheck(const Value& root) : root_(root) {}

  std::string schema(const Value& value, const std::string& at, unsigned depth) const {
    if (!value.is('o')) return at + ": a schema has to be an object";
    if (depth > kDepthMax) return at + ": nested too deep";
    for (const auto& [name, member] : value.members) {
      std::string fault = keyword(name, member, at + "/" + name, depth);
      if (!fault.empty()) return fault;
    }
    return {};
  }

 private:
  std::string keyword(std::string_view name, const Value& value, const std::string& at,
                      unsigned depth) const {
    const auto known = std::find_if(std::begin(kKeywords), std::end(kKeywords),
                                    [&](const auto& pair) { return pair.first == name; });
    if (known == std::end(kKeywords)) {
      return at + ": not among the keywords of draft 4 that the host checks";
    }
    const char form = known->second;
    if (form == 's' || (form == 'B' && !is_bool(value))) return schema(value, at, depth + 1);
    if (form == 'm' || form == 'l') return schemas(value, at, form == 'm', depth);
    return well_formed(form, value) ? "" : at + ": not of the form that draft 4 gives it";
  }

  std::string schemas(const Value& value, const std::string& at, bool map, unsigned depth) const {
    if (!value.is(map ? 'o' : 'a')) return at + ": not of the form that draft 4 gives it";
    std::string fault;
    for (const auto& [name, member] : value.members) {
      if (fault.empty()) fault = schema(member, at + "/" + name, depth + 1);
    }
    for (std::size_t i = 0; i < value.items.size(); ++i) {
      if (fault.empty()) fault = schema(value.items[i], at + "/" + std::to_string(i), depth + 1);
    }
    return fault;
  }

  bool well_formed(char form, const Value& value) const {
    const auto texts = [&] {
      return value.is('a') && !value.items.empty() &&
             std::all_of(value.items.begin(), value.items.end(),
                         [](const Value& item) { return item.is('s'); });
    };
    switch (form) {
      case 't':
        return value.is('s');
      case 'r': {
        constexpr std::string_view kPlace = "#/definitions/";
        const Value* definitions = root_.find("definitions");
        return value.is('s') && value.text.starts_with(kPlace) && definitions &&
               definitions->find(value.text.substr(kPlace.size()));
      }
      case 'b':
      case 'B':
        return is_bool(value);
      case 'c':
        return is_count(value);
      case 'n':
        return value.is('n');
      case 'N':
        return texts();
      case 'T':
        if (value.is('s')) return known_type(value.text);
        return texts() && std::all_of(value.items.begin(), value.items.end(),
                                      [](const Value& item) { return known_type(item.text); });
      case 'v':
        return value.is('a') && !value.items.empty();
      default:
        return true;
    }
  }

  const Value& root_;
};

class ConfigCheck {
 public:
  explicit ConfigCheck(const Value& root) : root_(root) {}

  std::string check(const Value& given, const Value& value, const std::string& at) const {
    const Value& schema = resolve(given);
    std::string fault = type(schema, value, at);
    if (fault.empty()) fault = listed(schema, value, at);
    if (fault.empty() && value.is('s')) fault = text(schema, value, at);
    if (fault.empty() && value.is('n')) fault = number(schema, value, at);
    if (fault.empty() && value.is('a')) fault = array(schema, value, at);
    if (fault.empty() && value.is('o')) fault = object(schema, value, at);
    if (fault.empty()) fault = combined(schema, value, at);
    return fault;
  }

 private:
  const Value& resolve(const Value& schema) const {
    const std::string ref = schema.text_of("$ref");
    if (ref.empty()) return schema;
    return *root_.find("definitions")->find(ref.substr(std::string_view("#/definitions/").size()));
  }

  static std::string type(const Value& schema, const Value& value, const std::string& at) {
    const Value* types = schema.find("type");
    if (!types) return {};
    if (types->is('s') ? is_type(value, types->text)
                       : std::any_of(types->items.begin(), types->items.end(),
                                     [&](const Value& t) { return is_type(value, t.text); })) {
      return {};
    }
    return at + ": expected type " + to_json(*types) + ", found " + shown(to_json(value));
  }

  static std::string listed(const Value& schema, const Value& value, const std::string& at) {
    const Value* allowed = schema.find("enum");
    if (!allowed) return {};
    const std::string text = to_json(value);
    for (const Value& each : allowed->items) {
      if (to_json(each) == text) return {};
    }
    return at + ": expected one of " + to_json(*allowed) + ", found " + shown(text);
  }

  static std::string bounds(const Value& schema, const char* least, const char* most, std::size_t n,
                            const std::string& at) {
    const auto low = schema.integer_at(least), high = schema.integer_at(most);
    if ((low && n < static_cast<std::size_t>(*low)) ||
        (high && n > static_cast<std::size_t>(*high))) {
      return at + ": " + std::to_string(n) + " is beyond its " + least + " or " + most;
    }
    return {};
  }

  static std::string text(const Value& schema, const Value& value, const std::string& at) {
    const auto points =
        static_cast<std::size_t>(std::count_if(value.text.begin(), value.text.end(), [](char c) {
          return (static_cast<unsigned char>(c) & 0xC0U) != 0x80U;
        }));
    std::string fault = bounds(schema, "minLength", "maxLength", points, at);
    const Value* pattern = schema.find("pattern");
    if (fault.empty() && pattern && !std::regex_search(value.text, std::regex(pattern->text))) {
      fault = at + ": does not match " + pattern->text;
    }
    return fault;
  }

  static std::string number(const Value& schema, const Value& value, const std::string& at) {
    const double n = std::strtod(value.text.c_str(), nullptr);
    for (const bool least : {true, false}) {
      const Value* bound = schema.find(least ? "minimum" : "maximum");
      if (!bound) continue;
      const double limit = std::strtod(bound->text.c_str(), nullptr);
      const bool open = schema.true_at(least ? "exclusiveMinimum" : "exclusiveMaximum");
      if (least ? n < limit || (open && n == limit) : n > limit || (open && n == limit)) {
        return at + ": " + value.text + " is beyond " + bound->text;
      }
    }
    return {};
  }

  std::string array(const Value& schema, const Value& value, const std::string& at) const {
    std::string fault = bounds(schema, "minItems", "maxItems", value.items.size(), at);
    const Value* items = schema.find("items");
    for (std::size_t i = 0; items && i < value.items.size(); ++i) {
      if (fault.empty()) fault = check(*items, value.items[i], at + "/" + std::to_string(i));
    }
    if (!fault.empty() || !schema.true_at("uniqueItems")) return fault;
    std::vector<std::string> seen;
    for (const Value& item : value.items) seen.push_back(to_json(item));
    std::sort(seen.begin(), seen.end());
    const bool twice = std::adjacent_find(seen.begin(), seen.end()) != seen.end();
    return twice ? at + ": an item is there twice" : "";
  }

  std::string object(const Value& schema, const Value& value, const std::string& at) const {
    std::string fault = bounds(schema, "minProperties", "maxProperties", value.members.size(), at);
    if (const Value* required = schema.find("required")) {
      for (const Value& name : required->items) {
        if (fault.empty() && !value.find(name.text)) fault = at + "/" + name.text + ": missing";
      }
    }
    const Value* properties = schema.find("properties");
    const Value* further = schema.find("additionalProperties");
    for (const auto& [name, member] : value.members) {
      if (!fault.empty()) break;
      const Value* own = properties ? properties->find(name) : nullptr;
      if (own) {
        fault = check(*own, member, at + "/" + name);
      } else if (further && further->is('f')) {
        fault = at + "/" + name + ": not known";
      } else if (further && further->is('o')) {
        fault = check(*further, member, at + "/" + name);
      }
    }
    return fault;
  }

  std::string combined(const Value& schema, const Value& value, const std::string& at) const {
    const auto fitting = [&](const Value& list) {
      return std::count_if(list.items.begin(), list.items.end(),
                           [&](const Value& each) { return check(each, value, at).empty(); });
    };
    const Value* all = schema.find("allOf");
    const Value* any = schema.find("anyOf");
    const Value* one = schema.find("oneOf");
    const Value* none = schema.find("not");
    if (all && static_cast<std::size_t>(fitting(*all)) != all->items.size()) {
      return at + ": does not fit all of allOf";
    }
    if (any && fitting(*any) == 0) return at + ": fits nothing of anyOf";
    if (one && fitting(*one) != 1) return at + ": fits not exactly one of oneOf";
    if (none && check(*none, value, at).empty()) return at + ": fits what it must not";
    return {};
  }

  const Value& root_;
};

}  // namespace

std::string schema_fault(const Value& schema) { return SchemaCheck(schema).schema(schema, "", 0); }

std::string config_fault(const Value& schema, const Value& config) {
  return ConfigCheck(schema).check(schema, config, "");
}

}  // namespace swy::check
