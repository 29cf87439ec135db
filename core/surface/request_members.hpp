// What the translations of requests have in common: which types members may be of, and where one
// stands.
#pragma once

#include <algorithm>
#include <initializer_list>
#include <string>
#include <string_view>
#include <switchyard/chat_request.hpp>

namespace switchyard::surface {

struct MemberRule {
  std::string_view name, types;  // of json::type_of(); 'b' stands for a boolean
  const char* expected;
  bool required = false;

  bool allows(std::string_view value) const {
    const char type = swy::json::type_of(value);
    return types.find(type == 't' || type == 'f' ? 'b' : type) != std::string_view::npos;
  }
};

inline bool any_of(std::string_view text, std::initializer_list<std::string_view> names) {
  return std::find(names.begin(), names.end(), text) != names.end();
}

// Whether one of the tools, each with its own name, has this one.
inline bool offers_tool(std::string_view tools, std::string_view name) {
  swy::json::Cursor cursor(tools);
  if (!cursor.array()) return false;
  while (cursor.element()) {
    const std::string_view each = swy::json::find(cursor.value(), "name");
    if (swy::json::to_text(each) == swy::json::to_text(name)) return true;
  }
  return false;
}

// A path as OpenAI's and Google's errors have it: input[0].content.
inline std::string path_of(const swy::Place& place) {
  std::string out = place.up == nullptr ? std::string() : path_of(*place.up);
  if (place.index >= 0) return out + "[" + std::to_string(place.index) + "]";
  if (!out.empty() && !place.name.empty()) out += '.';
  return out + std::string(place.name);
}

}  // namespace switchyard::surface
