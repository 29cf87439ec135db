// chat_request.hpp - for providers whose upstream has a form of its own: reads a canonical chat
// request without a tree, writes the upstream's body without copying what is long, and keeps the
// list of what was lost on the way.
#pragma once

#include <cstdint>
#include <deque>
#include <string>
#include <string_view>
#include <switchyard/json.hpp>
#include <switchyard/provider.hpp>
#include <unordered_set>
#include <vector>

namespace swy {

// Where a member stands in the request: a chain on the stack, written out only where it is needed.
// Place{} is the request itself.
struct Place {
  const Place* up = nullptr;
  std::string_view name;
  std::int64_t index = -1;  // of an element, where there is no name
};

// The members of a request that don't reach the upstream as they were meant, as JSON pointers
// (RFC 6901). See CANONICAL.md, section 8.
class Losses {
 public:
  static constexpr unsigned kMax = 100;

  void add(const Place& place) {
    if (++count_ > kMax) return;
    list_ += count_ == 1 ? "\"" : ",\"";
    append(place);
    list_ += '"';
  }
  void add(std::string_view name) { add(Place{nullptr, name}); }
  void add(const Place& up, std::string_view name) { add(Place{&up, name}); }
  // A member with null says nothing that could be lost.
  void add_unless_null(const Place& up, std::string_view name, std::string_view value) {
    if (!json::is_null(value)) add(up, name);
  }

  bool empty() const { return count_ == 0; }
  std::string array() const { return "[" + list_ + (count_ > kMax ? ",\"...\"]" : "]"); }
  void emit(Out& out) const {
    if (!empty()) out.dropped(array());
  }

 private:
  void append(const Place& place) {
    if (place.up != nullptr) append(*place.up);
    if (place.up == nullptr && place.name.empty() && place.index < 0) return;  // the request
    list_ += '/';
    if (place.index >= 0) {
      list_ += std::to_string(place.index);
      return;
    }
    std::string_view name = place.name;
    for (;;) {
      const std::size_t plain = name.find_first_of("~/");
      json::append_escaped(list_, name.substr(0, plain));
      if (plain == std::string_view::npos) return;
      list_ += name[plain] == '~' ? "~0" : "~1";
      name.remove_prefix(plain + 1);
    }
  }

  std::string list_;
  unsigned count_ = 0;
};

// Writes a body: what is short is copied, what is long stays a view into the request.
class BodyWriter {
 public:
  BodyWriter() : json_(text_) {}
  BodyWriter(const BodyWriter&) = delete;
  BodyWriter& operator=(const BodyWriter&) = delete;

  json::Writer& json() { return json_; }

  // A value that is JSON already and lives as long as the request.
  BodyWriter& value(std::string_view value) {
    if (value.size() < kCopyMax) {
      json_.raw(value);
    } else {
      json_.raw("");
      views_.push_back({text_.size(), value});
    }
    return *this;
  }
  // A string of what stood between the quotes of a string of the request.
  BodyWriter& string_of(std::string_view inside) {
    json_.raw("\"");
    if (inside.size() < kCopyMax) {
      text_ += inside;
    } else {
      views_.push_back({text_.size(), inside});
    }
    text_ += '"';
    return *this;
  }
  // What was written so far ends a value of the caller's own making.
  std::string& text() { return text_; }

  // Good until the writer is gone or written to.
  Gather pieces() const {
    Gather gather;
    std::size_t at = 0;
    for (const View& view : views_) {
      gather.add(std::string_view(text_).substr(at, view.at - at));
      gather.add(view.bytes);
      at = view.at;
    }
    gather.add(std::string_view(text_).substr(at));
    return gather;
  }

 private:
  static constexpr std::size_t kCopyMax = 512;
  struct View {
    std::size_t at;
    std::string_view bytes;
  };

  std::string text_;
  json::Writer json_;
  std::vector<View> views_;
};

// ---- reading ----

enum class ChatRole { kSystem, kUser, kAssistant, kTool, kOther };

// One message: views of its members, empty where they are absent or null.
struct ChatMessage {
  ChatRole role = ChatRole::kOther;
  std::uint32_t index = 0;
  std::string_view content, tool_calls, tool_call_id, name, refusal;
  std::string_view reasoning_content, reasoning_details, cache_control, is_error;
};

inline ChatRole chat_role(std::string_view value) {
  const std::string_view role = json::inside(value);
  if (role == "user") return ChatRole::kUser;
  if (role == "assistant") return ChatRole::kAssistant;
  if (role == "tool") return ChatRole::kTool;
  if (role == "system" || role == "developer") return ChatRole::kSystem;
  return ChatRole::kOther;
}

namespace detail {

inline std::string_view* member_of(ChatMessage& message, std::string_view name) {
  if (json::same(name, "content")) return &message.content;
  if (json::same(name, "tool_calls")) return &message.tool_calls;
  if (json::same(name, "tool_call_id")) return &message.tool_call_id;
  if (json::same(name, "name")) return &message.name;
  if (json::same(name, "refusal")) return &message.refusal;
  if (json::same(name, "reasoning_content")) return &message.reasoning_content;
  if (json::same(name, "reasoning_details")) return &message.reasoning_details;
  if (json::same(name, "cache_control")) return &message.cache_control;
  if (json::same(name, "is_error")) return &message.is_error;
  return nullptr;
}

// The ids of the calls that were made so far.
class CallIds {
 public:
  void add(std::string_view tool_calls) {
    json::Cursor calls(tool_calls);
    if (!calls.array()) return;
    while (calls.element())
      ids_.insert(json::to_text(json::find(calls.value(), "id")).value_or(""));
  }
  bool contains(std::string_view id) const {
    const auto text = json::to_text(id);
    return text && ids_.count(*text) != 0;
  }

 private:
  std::unordered_set<std::string> ids_;
};

inline bool holds_nothing(std::string_view value) {
  return json::is_null(value) || value == "[]" || value == "{}" || value == "\"\"";
}

}  // namespace detail

// The messages of a request; what a message holds beside the canonical members is a loss. False,
// with `wrong` saying why, where they are no messages, or a result is one of no call before it.
inline bool read_messages(std::string_view messages, std::vector<ChatMessage>& found,
                          Losses& losses, std::string& wrong) {
  json::Cursor cursor(messages);
  if (!cursor.array()) {
    wrong = "messages: expected an array";
    return false;
  }
  const Place list{nullptr, "messages"};
  detail::CallIds calls;
  while (cursor.element()) {
    ChatMessage message;
    message.index = static_cast<std::uint32_t>(found.size());
    const Place here{&list, {}, message.index};
    if (!cursor.object()) {
      wrong = "messages[" + std::to_string(message.index) + "]: expected an object";
      return false;
    }
    std::string_view name, role;
    while (cursor.member(name)) {
      const std::string_view value = cursor.value();
      if (json::same(name, "role")) {
        role = value;
        message.role = chat_role(value);
      } else if (std::string_view* member = detail::member_of(message, name)) {
        if (!json::is_null(value)) *member = value;
      } else if (!detail::holds_nothing(value)) {
        losses.add(here, name);
      }
    }
    if (message.role == ChatRole::kOther) {
      wrong = "messages[" + std::to_string(message.index) + "].role: " +
              (role.empty() ? std::string("missing") : std::string(role.substr(0, 40))) +
              ", expected developer, system, user, assistant or tool";
      return false;
    }
    calls.add(message.tool_calls);
    if (message.role == ChatRole::kTool && !calls.contains(message.tool_call_id)) {
      wrong = "messages[" + std::to_string(message.index) +
              "].tool_call_id: no call before it has this id";
      return false;
    }
    found.push_back(message);
  }
  if (found.empty()) wrong = "messages: none given";
  return !found.empty();
}

// How hard the model shall think: `reasoning_effort`, or the object `reasoning`.
struct ChatReasoning {
  std::string_view effort;   // "none" ... "max"; empty: not said
  std::int64_t budget = -1;  // tokens; -1: not said
  bool hide = false;         // the client does not want to see it
};

inline ChatReasoning read_reasoning(const Request& request, Losses& losses) {
  ChatReasoning found;
  const Place place{nullptr, "reasoning"};
  json::Cursor cursor(request.value("reasoning"));
  std::string_view name;
  if (cursor.object()) {
    while (cursor.member(name)) {
      const std::string_view value = cursor.value();
      if (json::is_null(value)) continue;
      if (json::same(name, "effort")) {
        found.effort = json::inside(value);
      } else if (json::same(name, "max_tokens")) {
        found.budget = json::to_integer(value).value_or(-1);
      } else if (json::same(name, "exclude")) {
        found.hide = json::is_true(value);
      } else if (json::same(name, "enabled")) {
        if (found.effort.empty()) found.effort = json::is_true(value) ? "medium" : "none";
      } else {
        losses.add(place, name);
      }
    }
  }
  const std::string_view effort = json::inside(request.value("reasoning_effort"));
  if (!effort.empty()) found.effort = effort;
  return found;
}

// The parts of "data:image/png;charset=x;base64,AAAA"; the views point into the text.
struct DataUrl {
  std::string_view mime, data;
  bool base64 = false;
};

inline bool parse_data_url(std::string_view text, DataUrl& url) {
  if (text.size() < 5 || (text.substr(0, 5) != "data:" && text.substr(0, 5) != "DATA:")) {
    return false;
  }
  text.remove_prefix(5);
  const std::size_t comma = text.find(',');
  if (comma == std::string_view::npos) return false;
  std::string_view head = text.substr(0, comma);
  url.data = text.substr(comma + 1);
  url.mime = head.substr(0, head.find(';'));
  url.base64 = head.ends_with(";base64");
  return true;
}

// Base64 (RFC 4648, 4; padding may be missing) as bytes; false where it is none.
inline bool decode_base64(std::string_view text, std::string& bytes) {
  while (text.ends_with('=')) text.remove_suffix(1);
  std::uint32_t bits = 0;
  unsigned held = 0;
  bytes.clear();
  bytes.reserve(text.size() * 3 / 4);
  for (const char c : text) {
    std::uint32_t value = 0;
    if (c >= 'A' && c <= 'Z') {
      value = static_cast<std::uint32_t>(c - 'A');
    } else if (c >= 'a' && c <= 'z') {
      value = static_cast<std::uint32_t>(c - 'a') + 26;
    } else if (c >= '0' && c <= '9') {
      value = static_cast<std::uint32_t>(c - '0') + 52;
    } else if (c == '+' || c == '/') {
      value = c == '+' ? 62 : 63;
    } else {
      return false;
    }
    bits = bits << 6 | value;
    held += 6;
    if (held < 8) continue;
    held -= 8;
    bytes += static_cast<char>(bits >> held & 0xFFU);
  }
  return true;
}

// What the first bytes, in base64, say of an image; empty where they say nothing.
inline std::string_view image_mime(std::string_view base64) {
  if (base64.starts_with("iVBORw0KGgo")) return "image/png";
  if (base64.starts_with("/9j/")) return "image/jpeg";
  if (base64.starts_with("R0lGOD")) return "image/gif";
  if (base64.starts_with("UklGR")) return "image/webp";
  return {};
}

// Strings of a request as views without escapes; those few that have some are kept here.
class PlainStrings {
 public:
  std::string_view plain(std::string_view value) {
    const std::string_view inside = json::inside(value);
    if (inside.find('\\') == std::string_view::npos) return inside;
    return kept_.emplace_back(json::unescape(value));
  }

 private:
  std::deque<std::string> kept_;
};

// ---- schemas ----

// Writes a JSON schema anew with what an upstream can't take left out.
struct SchemaRules {
  // False: the keyword is left out, which is a loss.
  bool (*keep)(std::string_view keyword, std::string_view value) = nullptr;
  bool close_objects = false;  // every object gets "additionalProperties": false
  bool const_as_enum = false;
};

namespace detail {

class SchemaWriter {
 public:
  SchemaWriter(const SchemaRules& rules, json::Writer& json, Losses& losses)
      : rules_(rules), json_(json), losses_(losses) {}

  void write(std::string_view schema, const Place& place) {
    json::Cursor cursor(schema);
    if (!cursor.object()) {
      json_.raw(schema);
      return;
    }
    const bool closes = rules_.close_objects && is_object(schema);
    json_.open_object();
    std::string_view name;
    while (cursor.member(name)) {
      const std::string_view value = cursor.value();
      if (closes && json::same(name, "additionalProperties")) {
        if (value != "false") losses_.add(place, name);
        continue;
      }
      keyword(name, value, place);
    }
    if (closes) json_.key("additionalProperties").boolean(false);
    json_.close_object();
  }

 private:
  static bool one_of(std::string_view name, std::initializer_list<std::string_view> names) {
    for (const std::string_view known : names) {
      if (json::same(name, known)) return true;
    }
    return false;
  }
  static bool is_object(std::string_view schema) {
    return json::inside(json::find(schema, "type")) == "object" ||
           !json::find(schema, "properties").empty();
  }

  // A name as the text has it, escapes and all.
  void key(std::string_view name) {
    if (name.find('\\') == std::string_view::npos) {
      json_.key(name);
    } else {
      json_.key(json::unescape("\"" + std::string(name) + "\""));
    }
  }

  void keyword(std::string_view name, std::string_view value, const Place& place) {
    const Place here{&place, name};
    const char type = json::type_of(value);
    if (rules_.const_as_enum && json::same(name, "const")) {
      json_.key("enum").open_array().raw(value).close_array();
    } else if (type == 'o' && one_of(name, {"properties", "$defs", "definitions",
                                            "patternProperties", "dependentSchemas"})) {
      named(name, value, here);
    } else if (type == 'o' && one_of(name, {"items", "additionalProperties", "not", "contains",
                                            "propertyNames", "if", "then", "else"})) {
      if (!kept(name, value, place)) return;
      key(name);
      write(value, here);
    } else if (type == 'a' && one_of(name, {"anyOf", "allOf", "oneOf", "prefixItems", "items"})) {
      if (!kept(name, value, place)) return;
      listed(name, value, here);
    } else if (kept(name, value, place)) {
      key(name);
      json_.raw(value);
    }
  }

  bool kept(std::string_view name, std::string_view value, const Place& place) {
    if (rules_.keep == nullptr || rules_.keep(name, value)) return true;
    losses_.add(place, name);
    return false;
  }

  void named(std::string_view name, std::string_view value, const Place& place) {
    json::Cursor cursor(value);
    cursor.object();
    key(name);
    json_.open_object();
    std::string_view each;
    while (cursor.member(each)) {
      const Place here{&place, each};
      key(each);
      write(cursor.value(), here);
    }
    json_.close_object();
  }

  void listed(std::string_view name, std::string_view value, const Place& place) {
    json::Cursor cursor(value);
    cursor.array();
    key(name);
    json_.open_array();
    for (std::int64_t i = 0; cursor.element(); ++i) {
      const Place here{&place, {}, i};
      write(cursor.value(), here);
    }
    json_.close_array();
  }

  const SchemaRules& rules_;
  json::Writer& json_;
  Losses& losses_;
};

}  // namespace detail

inline void write_schema(std::string_view schema, const SchemaRules& rules, json::Writer& json,
                         const Place& place, Losses& losses) {
  detail::SchemaWriter(rules, json, losses).write(schema, place);
}

}  // namespace swy
