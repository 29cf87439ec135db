#include "providers/openai/dialect.hpp"

#include <algorithm>
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

void forget(Rules& rules, const std::string& member) {
  const auto named = [&member](const auto& pair) { return pair.first == member; };
  std::erase_if(rules.values, named);
  std::erase_if(rules.words, named);
  std::erase_if(rules.instead, named);
  std::erase(rules.drop, member);
}

// Members that UpstreamBody looks at whatever the rules say.
constexpr std::string_view kAlwaysTouched[] = {
    "model",
    "messages",
    "tools",
    "stream_options",
    "response_format",
    "documents",
    "tool_choice",
    "parallel_tool_calls",
    "continue_final_message",
};

// Reads one dialect file; remembers the first fault with its place.
class Reader {
 public:
  swy::Result<Dialect> read(std::string_view text) {
    Dialect dialect;
    std::string_view models;
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
      } else if (name == "query") {
        dialect.query = pairs(value, at);
      } else if (name == "request") {
        read_rules(value, at, dialect.request);
      } else if (name == "models") {
        models = value;
      } else if (name == "stream") {
        read_stream(value, at, dialect);
      } else if (name == "answer") {
        read_answer(value, at, dialect);
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
                 name != "key_optional" && name != "balance" && name != "responses") {
        fault(at, "unknown member");
      }
    });
    if (!models.empty()) read_models(models, "/models", dialect);
    if (!fault_.empty()) return swy::Error{SWY_CLS_PLUGIN, "dialect: " + fault_};
    dialect.request.index();
    for (ModelRules& each : dialect.models) each.rules.index();
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

  bool boolean(std::string_view value, const std::string& at) {
    if (value != "true" && value != "false") fault(at, "expected true or false");
    return json::is_true(value);
  }

  Pairs raw_members(std::string_view value, const std::string& at) {
    Pairs members;
    object(value, at,
           [&](std::string_view name, std::string_view raw) { members.emplace_back(name, raw); });
    return members;
  }

  void numbers(std::string_view value, const std::string& at, Named<double>& into) {
    object(value, at, [&](std::string_view name, std::string_view number) {
      double limit = 0;
      const auto result = std::from_chars(number.data(), number.data() + number.size(), limit);
      if (result.ec != std::errc()) fault(at, "expected a number");
      set(into, std::string(name), limit);
    });
  }

  // By member: something of its own, read by `read`.
  template <class T, class Read>
  void by_member(std::string_view value, const std::string& at, Rules& rules,
                 Named<T> Rules::* into, const Read& read) {
    object(value, at, [&](std::string_view name, std::string_view each) {
      (rules.*into).emplace_back(name, read(each, at + "/" + std::string(name)));
    });
  }

  // `rules` may hold what the dialect says, which is kept where it is not said anew.
  void read_rules(std::string_view value, const std::string& at, Rules& rules) {
    object(value, at, [&](std::string_view name, std::string_view member) {
      const std::string place = at + "/" + std::string(name);
      if (!read_members(name, member, place, rules) && !read_messages(name, member, place, rules)) {
        fault(place, "unknown member");
      }
    });
  }

  bool read_members(std::string_view name, std::string_view member, const std::string& place,
                    Rules& rules) {
    const auto raw = [this](std::string_view value, const std::string& at) {
      return raw_members(value, at);
    };
    if (name == "rename") {
      for (auto& [from, to] : pairs(member, place)) set(rules.rename, from, std::move(to));
    } else if (name == "drop") {
      for (std::string& each : strings(member, place)) rules.drop.push_back(std::move(each));
    } else if (name == "extensions") {
      read_extensions(member, place, rules);
    } else if (name == "pass") {
      (void)strings(member, place);  // forget_named() has done it
    } else if (name == "as_list") {
      rules.as_list = strings(member, place);
    } else if (name == "values") {
      by_member(member, place, rules, &Rules::values, raw);
    } else if (name == "words") {
      by_member(member, place, rules, &Rules::words, raw);
    } else if (name == "instead") {
      by_member(member, place, rules, &Rules::instead,
                [&](std::string_view map, const std::string& at) {
                  Named<Pairs> result;
                  object(map, at, [&](std::string_view word, std::string_view members) {
                    result.emplace_back(word, raw_members(members, at));
                  });
                  return result;
                });
    } else if (name == "set_default") {
      object(member, place, [&](std::string_view task, std::string_view members) {
        set(rules.set_default, std::string(task), raw_members(members, place));
      });
    } else if (name == "minimum") {
      numbers(member, place, rules.minimum);
    } else if (name == "maximum") {
      numbers(member, place, rules.maximum);
    } else if (name == "items_max") {
      numbers(member, place, rules.items_max);
    } else if (name == "to_header") {
      rules.to_header = pairs(member, place);
    } else if (name == "choices_max") {
      rules.choices_max = json::to_integer(member).value_or(0);
      if (rules.choices_max < 1) fault(place, "expected a number above 0");
    } else if (name == "tool_choice") {
      read_tool_choice(member, place, rules.tool_choice);
    } else if (name == "function_drop") {
      rules.function_drop = strings(member, place);
    } else if (name == "schema_as_prompt") {
      rules.schema_as_prompt = boolean(member, place);
    } else if (name == "string_documents") {
      rules.string_documents = boolean(member, place);
    } else if (name == "prefix") {
      read_prefix(member, place, rules.prefix);
    } else if (name == "path") {
      rules.path = string(member, place);
    } else if (name == "model") {
      rules.model = string(member, place);
    } else {
      return false;
    }
    return true;
  }

  // false: models that the rest of the dialect does not speak for.
  void read_prefix(std::string_view value, const std::string& at, Prefix& prefix) {
    prefix = {};
    if (json::type_of(value) == 'f') return;
    prefix.known = true;
    object(value, at, [&](std::string_view name, std::string_view member) {
      if (name == "mark") {
        prefix.mark = string(member, at);
      } else if (name == "path") {
        prefix.path = string(member, at);
      } else if (name == "members") {
        prefix.members = raw_members(member, at);
      } else {
        fault(at, "expected mark, path and members");
      }
    });
  }

  void read_extensions(std::string_view value, const std::string& at, Rules& rules) {
    rules.extensions = strings(value, at);
    Rules none;
    for (const std::string& each : rules.extensions) {
      const bool known = none.lacks(kRequestExtensions, each) ||
                         none.lacks(kMessageExtensions, each) ||
                         none.lacks(kPartExtensions, each) || none.lacks(kCallExtensions, each);
      if (!known) fault(at, "expected names of the canonical form's extensions");
    }
  }

  bool read_messages(std::string_view name, std::string_view member, const std::string& place,
                     Rules& rules) {
    if (name == "message_drop") {
      rules.message_drop = strings(member, place);
    } else if (name == "roles") {
      rules.roles = pairs(member, place);
    } else if (name == "calls_need") {
      rules.calls_need = raw_members(member, place);
    } else if (name == "call_ids") {
      rules.call_ids = string(member, place);
      if (rules.call_ids != "nine") fault(place, "expected nine");
    } else if (name == "between") {
      json::Cursor cursor(member);
      if (!cursor.array()) fault(place, "expected an array");
      while (cursor.ok() && cursor.element())
        rules.between.push_back(between(cursor.value(), place));
    } else if (name == "content") {
      const std::string word = string(member, place);
      rules.text_only = word == "text";
      rules.content_needed = rules.text_only || word == "needed";
      if (!rules.content_needed) fault(place, "expected needed or text");
    } else if (name == "data_pictures") {
      rules.data_pictures = boolean(member, place);
    } else if (name == "parts") {
      rules.parts = strings(member, place);
    } else if (name == "reasoning_details") {
      rules.reasoning_details = boolean(member, place);
    } else if (name == "mistral_parts") {
      rules.mistral_parts = boolean(member, place);
    } else {
      return false;
    }
    return true;
  }

  Between between(std::string_view value, const std::string& at) {
    Between result;
    object(value, at, [&](std::string_view name, std::string_view member) {
      if (name == "after") {
        result.after = string(member, at);
      } else if (name == "before") {
        result.before = string(member, at);
      } else if (name == "insert" && json::type_of(member) == 'o') {
        result.insert = member;
      } else {
        fault(at, "expected after, before and insert, a message");
      }
    });
    return result;
  }

  void read_tool_choice(std::string_view value, const std::string& at, ToolChoice& choice) {
    choice = {};
    object(value, at, [&](std::string_view name, std::string_view member) {
      if (name == "required") {
        choice.required = string(member, at);
      } else if (name == "named") {
        choice.named = string(member, at);
      } else if (name == "none") {
        choice.none = string(member, at);
      } else if (name == "when_thinking") {
        choice.when_thinking = boolean(member, at);
      } else {
        fault(at, "unknown member");
      }
    });
  }

  // What a model's rules say of a member takes the place of all that the dialect says of it.
  static void forget_named(std::string_view request, Rules& rules) {
    std::string_view name;
    for (const std::string_view kind : {"values", "words", "instead"}) {
      json::Cursor cursor(json::find(request, kind));
      if (!cursor.object()) continue;
      while (cursor.member(name)) {
        forget(rules, std::string(name));
        cursor.skip();
      }
    }
    for (const std::string_view kind : {"drop", "pass"}) {
      json::Cursor cursor(json::find(request, kind));
      if (!cursor.array()) continue;
      while (cursor.element()) forget(rules, json::to_text(cursor.value()).value_or(""));
    }
  }

  void read_models(std::string_view value, const std::string& at, Dialect& dialect) {
    json::Cursor cursor(value);
    if (!cursor.array()) fault(at, "expected an array");
    while (cursor.ok() && cursor.element()) {
      ModelRules each{{}, dialect.request};
      object(cursor.value(), at, [&](std::string_view name, std::string_view member) {
        if (name == "models") {
          each.models = strings(member, at);
        } else if (name == "request") {
          forget_named(member, each.rules);
          read_rules(member, at + "/request", each.rules);
        } else {
          fault(at, "unknown member");
        }
      });
      dialect.models.push_back(std::move(each));
    }
  }

  void read_answer(std::string_view value, const std::string& at, Dialect& dialect) {
    object(value, at, [&](std::string_view name, std::string_view member) {
      const std::string place = at + "/" + std::string(name);
      if (name == "reasoning") {
        dialect.reasoning = string(member, place);
      } else if (name == "content_chunks") {
        dialect.content_chunks = boolean(member, place);
      } else if (name == "skip_bare") {
        dialect.skip_bare = boolean(member, place);
      } else if (name == "complete") {
        dialect.completes = boolean(member, place);
      } else if (name == "id_path") {
        dialect.id_path = string(member, place);
      } else if (name == "errors") {
        each_object(member, place, [&](std::string_view item) {
          dialect.error_places.push_back(
              {text(item, "path"), text(item, "fine"), text(item, "message")});
        });
      } else if (name == "finish_members") {
        each_object(member, place, [&](std::string_view item) {
          dialect.finish_members.push_back(
              {text(item, "member"), text(item, "fine"), text(item, "finish")});
        });
      } else {
        fault(place, "unknown member");
      }
    });
  }

  void each_object(std::string_view value, const std::string& at,
                   const std::function<void(std::string_view)>& visit) {
    json::Cursor cursor(value);
    if (!cursor.array()) fault(at, "expected an array of objects");
    while (cursor.ok() && cursor.element()) visit(cursor.value());
  }
  static std::string text(std::string_view object, std::string_view name) {
    return json::to_text(json::find(object, name)).value_or("");
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

void Rules::index() {
  touched = extensions_lacking = {};
  for (const std::string_view name : kAlwaysTouched) touched.add(name);
  for (const std::string_view name : kRequestExtensions) touched.add(name);
  for (const auto* const names : {&drop, &as_list}) {
    for (const std::string& name : *names) touched.add(name);
  }
  for (const auto& [from, to] : rename) {
    touched.add(from);
    touched.add(to);
  }
  const auto add_named = [this](const auto& pairs) {
    for (const auto& pair : pairs) touched.add(pair.first);
  };
  add_named(to_header);
  add_named(values);
  add_named(words);
  add_named(instead);
  add_named(minimum);
  add_named(maximum);
  add_named(items_max);
  const auto add_lacking = [this](const auto& extensions_of_a_place) {
    for (const std::string_view name : extensions_of_a_place) {
      if (lacks(extensions_of_a_place, name)) extensions_lacking.add(std::string(name) + '"');
    }
  };
  add_lacking(kMessageExtensions);
  add_lacking(kCallExtensions);
}

Dialect::Dialect() { request.index(); }

bool name_fits(std::string_view pattern, std::string_view model) {
  if (!pattern.ends_with('*')) return pattern == model;
  return model.starts_with(pattern.substr(0, pattern.size() - 1));
}

const Rules& Dialect::rules_for(std::string_view model) const {
  for (const ModelRules& each : models) {
    if (std::any_of(each.models.begin(), each.models.end(),
                    [model](const std::string& pattern) { return name_fits(pattern, model); })) {
      return each.rules;
    }
  }
  return request;
}

swy::Result<Dialect> parse_dialect(std::string_view text) { return Reader().read(text); }

}  // namespace openai
