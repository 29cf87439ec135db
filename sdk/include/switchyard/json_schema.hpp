// json_schema.hpp - whether a JSON value fits a schema, for providers whose upstream has no
// structured outputs and is asked in words. Knows what such schemas are made of: type, enum, const,
// properties, required, additionalProperties, items, minItems, maxItems, minimum, maximum, anyOf,
// oneOf (as anyOf), allOf and references within the schema. Any other keyword is taken to hold.
#pragma once

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <string>
#include <string_view>
#include <switchyard/json.hpp>

namespace swy {

namespace detail {

class SchemaCheck {
 public:
  explicit SchemaCheck(std::string_view root) : root_(root) {}

  bool fits(std::string_view schema, std::string_view value, const std::string& at) {
    if (++depth_ > kDepthMax) return fault(at, "the schema is too deep");
    if (!spend(schema.size())) return true;
    const bool good = json::type_of(schema) != 'o' ? schema != "false" || fault(at, "not allowed")
                                                   : keywords(schema, value, at);
    --depth_;
    return good;
  }
  const std::string& what() const { return what_; }

 private:
  static constexpr int kDepthMax = 100;
  // Bytes that may be looked at: what is left then is taken to hold, whatever a client made up.
  static constexpr std::size_t kWorkMax = 4U << 20;

  bool spend(std::size_t bytes) {
    work_ = std::min(work_ + bytes + 16, kWorkMax);
    return work_ < kWorkMax;
  }

  bool fault(const std::string& at, std::string_view what) {
    what_ = (at.empty() ? "/" : at) + ": " + std::string(what);
    return false;
  }

  bool keywords(std::string_view schema, std::string_view value, const std::string& at) {
    json::Cursor cursor(schema);
    std::string_view name;
    cursor.object();
    while (cursor.member(name)) {
      if (!keyword(name, cursor.value(), schema, value, at)) return false;
    }
    return true;
  }

  bool keyword(std::string_view name, std::string_view rule, std::string_view schema,
               std::string_view value, const std::string& at) {
    const char type = json::type_of(value);
    if (name == "$ref") return reference(rule, value, at);
    if (name == "type") return has_type(rule, value) || fault(at, "another type");
    if (name == "const") return same(rule, value) || fault(at, "another value");
    if (name == "enum") return listed(rule, value) || fault(at, "none of the values");
    if (name == "anyOf" || name == "oneOf") return any(rule, value, at);
    if (name == "allOf") return all(rule, value, at);
    if (type == 'o' && name == "properties") return properties(rule, value, at);
    if (type == 'o' && name == "required") return required(rule, value, at);
    if (type == 'o' && name == "additionalProperties") return others(rule, schema, value, at);
    if (type == 'a' && name == "items") return items(rule, value, at);
    if (type == 'a' && name == "minItems")
      return number(rule) <= count(value) || fault(at, "too few");
    if (type == 'a' && name == "maxItems")
      return number(rule) >= count(value) || fault(at, "too many");
    if (type == 'n' && name == "minimum")
      return number(value) >= number(rule) || fault(at, "too small");
    if (type == 'n' && name == "maximum")
      return number(value) <= number(rule) || fault(at, "too large");
    return true;
  }

  bool reference(std::string_view rule, std::string_view value, const std::string& at) {
    std::string path = json::to_text(rule).value_or("");
    if (path == "#") return fits(root_, value, at);
    std::string_view found = root_;
    if (!path.starts_with("#/")) return true;
    for (std::string_view rest = std::string_view(path).substr(2); !rest.empty();) {
      if (!spend(root_.size())) return true;
      const std::string_view name = rest.substr(0, rest.find('/'));
      found = json::find(found, name);
      rest.remove_prefix(std::min(rest.size(), name.size() + 1));
    }
    return found.empty() || fits(found, value, at);
  }

  static bool has_type(std::string_view rule, std::string_view value) {
    if (json::type_of(rule) == 's') return is(json::inside(rule), value);
    json::Cursor cursor(rule);
    if (!cursor.array()) return true;
    while (cursor.element()) {
      if (is(json::inside(cursor.value()), value)) return true;
    }
    return false;
  }
  static bool is(std::string_view type, std::string_view value) {
    switch (json::type_of(value)) {
      case 'o':
        return type == "object";
      case 'a':
        return type == "array";
      case 's':
        return type == "string";
      case 't':
      case 'f':
        return type == "boolean";
      case 'n':
        return type == "number" || (type == "integer" && is_whole(value));
      default:
        return type == "null";
    }
  }
  static bool is_whole(std::string_view value) {
    const double wanted = number(value);
    return wanted < -9e15 || wanted > 9e15 ||
           wanted == static_cast<double>(static_cast<std::int64_t>(wanted));
  }
  static double number(std::string_view value) {
    double result = 0;
    std::from_chars(value.data(), value.data() + value.size(), result);
    return result;
  }
  double count(std::string_view array) {
    (void)spend(array.size());
    json::Cursor cursor(array);
    double n = 0;
    cursor.array();
    while (cursor.element()) {
      cursor.skip();
      ++n;
    }
    return n;
  }

  // Strings by their text, numbers by their value, all else as it is written.
  static bool same(std::string_view a, std::string_view b) {
    const char type = json::type_of(a);
    if (type != json::type_of(b)) return false;
    if (type == 's') return json::to_text(a) == json::to_text(b);
    return type == 'n' ? number(a) == number(b) : a == b;
  }
  bool listed(std::string_view values, std::string_view value) {
    json::Cursor cursor(values);
    if (!cursor.array() || !spend(values.size())) return true;
    while (cursor.element()) {
      if (same(cursor.value(), value)) return true;
    }
    return false;
  }

  bool any(std::string_view rules, std::string_view value, const std::string& at) {
    json::Cursor cursor(rules);
    if (!cursor.array()) return true;
    bool some = false;
    while (cursor.element()) {
      some = true;
      if (fits(cursor.value(), value, at)) return true;
    }
    return !some;
  }
  bool all(std::string_view rules, std::string_view value, const std::string& at) {
    json::Cursor cursor(rules);
    if (!cursor.array()) return true;
    while (cursor.element()) {
      if (!fits(cursor.value(), value, at)) return false;
    }
    return true;
  }

  bool properties(std::string_view rules, std::string_view object, const std::string& at) {
    json::Cursor cursor(rules);
    std::string_view name;
    if (!cursor.object()) return true;
    while (cursor.member(name)) {
      const std::string_view rule = cursor.value();
      if (!spend(object.size())) return true;
      const std::string_view value = json::find(object, name);
      if (!value.empty() && !fits(rule, value, at + "/" + std::string(name))) return false;
    }
    return true;
  }
  bool required(std::string_view names, std::string_view object, const std::string& at) {
    json::Cursor cursor(names);
    if (!cursor.array()) return true;
    while (cursor.element()) {
      const std::string name = json::to_text(cursor.value()).value_or("");
      if (!spend(object.size())) return true;
      if (json::find(object, name).empty()) return fault(at + "/" + name, "missing");
    }
    return true;
  }
  bool others(std::string_view rule, std::string_view schema, std::string_view object,
              const std::string& at) {
    const std::string_view known = json::find(schema, "properties");
    json::Cursor cursor(object);
    std::string_view name;
    cursor.object();
    while (cursor.member(name)) {
      const std::string_view value = cursor.value();
      if (!spend(known.size())) return true;
      if (!json::find(known, name).empty()) continue;
      if (!fits(rule, value, at + "/" + std::string(name))) return false;
    }
    return true;
  }
  bool items(std::string_view rule, std::string_view array, const std::string& at) {
    json::Cursor cursor(array);
    cursor.array();
    for (std::size_t i = 0; cursor.element(); ++i) {
      if (!fits(rule, cursor.value(), at + "/" + std::to_string(i))) return false;
    }
    return true;
  }

  std::string_view root_;
  std::string what_;
  int depth_ = 0;
  std::size_t work_ = 0;
};

}  // namespace detail

// Where a text is not JSON, or does not fit the schema, and how; empty where it does. White space
// around the value is fine.
inline std::string schema_fault(std::string_view schema, std::string_view text) {
  constexpr std::string_view kBlank = " \t\r\n";
  const std::size_t first = text.find_first_not_of(kBlank);
  if (first == std::string_view::npos) return "/: empty";
  text = text.substr(first, text.find_last_not_of(kBlank) + 1 - first);
  if (!json::valid(text)) return "/: not JSON";
  detail::SchemaCheck check(schema);
  return check.fits(schema, text, "") ? std::string() : check.what();
}

}  // namespace swy
