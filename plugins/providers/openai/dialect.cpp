#include "providers/openai/dialect.hpp"

#include <charconv>
#include <functional>
#include <switchyard/json.hpp>

namespace openai {

namespace json = swy::json;

namespace {

constexpr std::pair<std::string_view, int> kClasses[] = {
    {"bad_request", SWY_CLS_BAD_REQUEST},
    {"auth", SWY_CLS_AUTH},
    {"rate_limit", SWY_CLS_RATE_LIMIT},
    {"overloaded", SWY_CLS_OVERLOADED},
    {"too_long", SWY_CLS_TOO_LONG},
    {"filtered", SWY_CLS_FILTERED},
    {"timeout", SWY_CLS_TIMEOUT},
    {"not_offered", SWY_CLS_NOT_OFFERED},
    {"quota", SWY_CLS_QUOTA},
    {"server", SWY_CLS_SERVER},
    {"no_model", SWY_CLS_NO_MODEL},
    {"bad_answer", SWY_CLS_BAD_ANSWER},
};

// Reads one dialect file; remembers the first fault with its place.
class Reader {
 public:
  swy::Result<Dialect> read(std::string_view text) {
    Dialect dialect;
    object(text, "", [&](std::string_view name, std::string_view value) {
      const std::string at = "/" + std::string(name);
      if (name == "name") {
        dialect.name = string(value, at);
      } else if (name == "auth") {
        read_auth(value, at, dialect);
      } else if (name == "paths") {
        dialect.paths = pairs(value, at);
      } else if (name == "headers") {
        dialect.headers = pairs(value, at);
      } else if (name == "request") {
        read_request(value, at, dialect);
      } else if (name == "stream") {
        read_stream(value, at, dialect);
      } else if (name == "usage_paths") {
        dialect.usage_paths = strings(value, at);
      } else if (name == "usage_cached_path") {
        dialect.usage_cached_path = string(value, at);
      } else if (name == "usage_cache_write_path") {
        dialect.usage_cache_write_path = string(value, at);
      } else if (name == "usage_reasoning_beside") {
        dialect.usage_reasoning_beside = json::is_true(value);
      } else if (name == "finish_tool_calls") {
        dialect.finish_tool_calls = json::is_true(value);
      } else if (name == "finish_reasons") {
        dialect.finish_reasons = pairs(value, at);
      } else if (name == "errors") {
        read_errors(value, at, dialect);
      } else if (name == "retry_after_headers") {
        dialect.retry_after_headers = strings(value, at);
      } else if (name != "description" && name != "base_url" && name != "key_env" &&
                 name != "key_optional") {
        fault(at, "unknown member");
      }
    });
    if (!fault_.empty()) return swy::Error{SWY_CLS_PLUGIN, "dialect: " + fault_};
    return dialect;
  }

 private:
  using Visit = std::function<void(std::string_view, std::string_view)>;

  void fault(const std::string& at, std::string_view what) {
    if (fault_.empty()) fault_ = (at.empty() ? "/" : at) + ": " + std::string(what);
  }

  void object(std::string_view value, const std::string& at, const Visit& visit) {
    json::Cursor cursor(value);
    std::string_view raw;
    if (!cursor.object()) return fault(at, "expected an object");
    while (cursor.member(raw)) {
      const std::string_view member = cursor.value();
      if (!cursor.ok()) break;
      visit(json::unescape("\"" + std::string(raw) + "\""), member);
    }
    if (!cursor.ok()) fault(at, "broken JSON");
  }

  std::string string(std::string_view value, const std::string& at) {
    const auto text = json::to_text(value);
    if (!text) fault(at, "expected a string");
    return text.value_or("");
  }

  std::vector<std::string> strings(std::string_view value, const std::string& at) {
    std::vector<std::string> list;
    json::Cursor cursor(value);
    if (!cursor.array()) fault(at, "expected an array of strings");
    while (cursor.ok() && cursor.element()) list.push_back(string(cursor.value(), at));
    return list;
  }

  Pairs pairs(std::string_view value, const std::string& at) {
    Pairs result;
    object(value, at, [&](std::string_view name, std::string_view member) {
      result.emplace_back(name, string(member, at + "/" + std::string(name)));
    });
    return result;
  }

  void read_auth(std::string_view value, const std::string& at, Dialect& dialect) {
    object(value, at, [&](std::string_view name, std::string_view member) {
      std::string text = string(member, at);
      if (name == "scheme") {
        if (text != "bearer" && text != "header" && text != "query" && text != "none") {
          fault(at + "/scheme", "expected bearer, header, query or none");
        }
        dialect.auth_scheme = std::move(text);
      } else if (name == "name") {
        dialect.auth_name = std::move(text);
      } else {
        fault(at, "unknown member");
      }
    });
  }

  void read_request(std::string_view value, const std::string& at, Dialect& dialect) {
    object(value, at, [&](std::string_view name, std::string_view member) {
      const std::string place = at + "/" + std::string(name);
      if (name == "rename") {
        dialect.rename = pairs(member, place);
      } else if (name == "drop") {
        dialect.drop = strings(member, place);
      } else if (name == "message_drop") {
        dialect.message_drop = strings(member, place);
      } else if (name == "roles") {
        dialect.roles = pairs(member, place);
      } else if (name == "values") {
        object(member, place, [&](std::string_view field, std::string_view map) {
          dialect.values.emplace_back(field, pairs(map, place + "/" + std::string(field)));
        });
      } else if (name == "set_default") {
        object(member, place, [&](std::string_view task, std::string_view members) {
          Pairs defaults;
          object(members, place, [&](std::string_view field, std::string_view raw) {
            defaults.emplace_back(field, raw);
          });
          dialect.set_default.emplace_back(task, std::move(defaults));
        });
      } else if (name == "maximum") {
        object(member, place, [&](std::string_view field, std::string_view number) {
          double limit = 0;
          const auto result = std::from_chars(number.data(), number.data() + number.size(), limit);
          if (result.ec != std::errc()) fault(place, "expected a number");
          dialect.maximum.emplace_back(field, limit);
        });
      } else {
        fault(place, "unknown member");
      }
    });
  }

  void read_stream(std::string_view value, const std::string& at, Dialect& dialect) {
    object(value, at, [&](std::string_view name, std::string_view member) {
      const std::string text = string(member, at);
      if (name == "usage" && text == "stream_options") {
        dialect.stream_usage = StreamUsage::kOnRequest;
      } else if (name == "usage" && text == "always") {
        dialect.stream_usage = StreamUsage::kAlways;
      } else if (name == "usage" && text == "none") {
        dialect.stream_usage = StreamUsage::kNone;
      } else {
        fault(at + "/usage", "expected stream_options, always or none");
      }
    });
  }

  void read_errors(std::string_view value, const std::string& at, Dialect& dialect) {
    json::Cursor cursor(value);
    if (!cursor.array()) fault(at, "expected an array");
    while (cursor.ok() && cursor.element()) {
      dialect.errors.push_back(
          rule(cursor.value(), at + "/" + std::to_string(dialect.errors.size())));
    }
  }

  ErrorRule rule(std::string_view value, const std::string& at) {
    ErrorRule result;
    bool has_class = false;
    object(value, at, [&](std::string_view name, std::string_view member) {
      const std::string place = at + "/" + std::string(name);
      if (name == "status") {
        result.status = static_cast<unsigned>(json::to_integer(member).value_or(0));
      } else if (name == "code") {
        result.code = string(member, place);
      } else if (name == "type") {
        result.type = string(member, place);
      } else if (name == "text") {
        result.text = string(member, place);
        for (char& c : result.text) {
          if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
        }
      } else if (name == "class") {
        has_class = class_of(string(member, place), result.cls);
      } else {
        fault(place, "unknown member");
      }
    });
    if (!has_class) fault(at + "/class", "no known class");
    return result;
  }

  static bool class_of(std::string_view name, int& cls) {
    for (const auto& [known, value] : kClasses) {
      if (known != name) continue;
      cls = value;
      return true;
    }
    return false;
  }

  std::string fault_;
};

}  // namespace

const std::string* look_up(const Pairs& pairs, std::string_view key) {
  for (const auto& [first, second] : pairs) {
    if (first == key) return &second;
  }
  return nullptr;
}

swy::Result<Dialect> parse_dialect(std::string_view text) { return Reader().read(text); }

}  // namespace openai
