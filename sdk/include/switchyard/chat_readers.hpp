// chat_readers.hpp - what a part, a tool, a call and a choice of a canonical chat request say, for
// providers whose upstream has a form of its own. See chat_request.hpp for messages and losses.
#pragma once

#include <algorithm>
#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <switchyard/chat_request.hpp>
#include <switchyard/fault.hpp>
#include <utility>
#include <vector>

namespace swy {

inline bool is_one_of(std::string_view text, std::initializer_list<std::string_view> names) {
  return std::find(names.begin(), names.end(), text) != names.end();
}

// A value that asks for nothing.
inline bool is_nothing(std::string_view value) {
  return json::is_null(value) || is_one_of(value, {"false", "0", "0.0", "{}", "[]", "\"\""});
}

// The first reason why a request can't be said stands.
inline void refuse_request(std::optional<Refusal>& refusal, std::int32_t cls, std::string param,
                           std::string message) {
  if (refusal) return;
  refusal.emplace();
  refusal->cls = cls;
  refusal->status = 400;
  refusal->param = std::move(param);
  refusal->message = std::move(message);
}

// The form that tools had before there were tools.
inline void refuse_old_tools(const Request& request, std::optional<Refusal>& refusal) {
  for (const std::string_view name : {"functions", "function_call"}) {
    if (is_nothing(request.value(name))) continue;
    refuse_request(refusal, SWY_CLS_NOT_OFFERED, std::string(name),
                   std::string(name) + ": the old form of tools; send tools and tool_choice");
  }
}

namespace detail {

// Whether one of the tools has the name that is asked for.
inline bool offers_tool(std::string_view tools, std::string_view choice) {
  const auto name_of = [](std::string_view tool) {
    const std::string_view inner = json::find(tool, json::inside(json::find(tool, "type")));
    return json::to_text(json::find(inner.empty() ? tool : inner, "name"));
  };
  json::Cursor cursor(tools);
  if (!cursor.array()) return false;
  while (cursor.element()) {
    if (name_of(cursor.value()) == name_of(choice)) return true;
  }
  return false;
}

}  // namespace detail

// A call is asked for of a tool that is not offered.
inline void refuse_impossible_choice(const Request& request, std::optional<Refusal>& refusal) {
  const std::string_view choice = request.value("tool_choice"), tools = request.value("tools");
  const std::string_view type = json::inside(json::find(choice, "type"));
  const bool named = type == "function" || type == "custom";
  if (named && !detail::offers_tool(tools, choice)) {
    refuse_request(refusal, SWY_CLS_BAD_REQUEST, "tool_choice",
                   "tool_choice: tools has no tool of this name");
  }
  if (json::inside(choice) == "required" && is_nothing(tools)) {
    refuse_request(refusal, SWY_CLS_BAD_REQUEST, "tool_choice",
                   "tool_choice: a call is required, and there are no tools");
  }
}

// ---- messages ----

// How many messages stand before the conversation and are the system prompt. One message is left
// for the conversation, as the user's: there has to be something to answer.
inline std::size_t leading_system(std::vector<ChatMessage>& messages, Losses& losses) {
  std::size_t n = 0;
  while (n < messages.size() && messages[n].role == ChatRole::kSystem) ++n;
  if (n < messages.size() || n == 0) return n;
  const Place list{nullptr, "messages"};
  const Place last{&list, {}, static_cast<std::int64_t>(--n)};
  losses.add(last, "role");
  messages[n].role = ChatRole::kUser;
  return n;
}

// What only an assistant's message or a tool's says, in one of the system's or the user's.
inline void lose_strays(const ChatMessage& message, const Place& here, Losses& losses) {
  for (const auto& [name, value] :
       {std::pair<std::string_view, std::string_view>{"name", message.name},
        {"tool_calls", message.tool_calls},
        {"tool_call_id", message.tool_call_id},
        {"reasoning_content", message.reasoning_content},
        {"reasoning_details", message.reasoning_details},
        {"refusal", message.refusal}}) {
    losses.add_unless_null(here, name, value);
  }
}

// One part of a message's content; what is absent is empty.
struct ChatPart {
  std::string_view type;  // without its quotes
  std::string_view text, refusal, image, video, audio, file, cache;
};

// False for what is no object. Members beside the canonical ones are losses.
inline bool read_part(std::string_view value, ChatPart& part, const Place& place, Losses& losses) {
  json::Cursor cursor(value);
  std::string_view name;
  if (!cursor.object()) return false;
  while (cursor.member(name)) {
    const std::string_view member = cursor.value();
    if (json::same(name, "type")) {
      part.type = json::inside(member);
    } else if (json::same(name, "text")) {
      part.text = member;
    } else if (json::same(name, "refusal")) {
      part.refusal = member;
    } else if (json::same(name, "image_url")) {
      part.image = member;
    } else if (json::same(name, "video_url")) {
      part.video = member;
    } else if (json::same(name, "input_audio")) {
      part.audio = member;
    } else if (json::same(name, "file")) {
      part.file = member;
    } else if (json::same(name, "cache_control")) {
      part.cache = member;
    } else if (json::same(name, "prompt_cache_breakpoint")) {
      if (part.cache.empty() && !json::is_null(member)) {
        part.cache = json::find(member, "ttl").empty() ? R"({"type":"ephemeral"})"
                                                       : R"({"type":"ephemeral","ttl":"1h"})";
      }
    } else {
      losses.add_unless_null(place, name, member);
    }
  }
  if (json::is_null(part.cache)) part.cache = {};
  return true;
}

// Calls `visit` for each part with its place; what is no list is a loss.
template <class Visit>
void each_part(std::string_view parts, const Place& place, Losses& losses, const Visit& visit) {
  json::Cursor cursor(parts);
  if (!cursor.array()) {
    if (!json::is_null(parts)) losses.add(place);
    return;
  }
  for (std::int64_t i = 0; cursor.element(); ++i) {
    const Place here{&place, {}, i};
    visit(cursor.value(), here);
  }
}

// An address of a picture or a film: data within it, or a place elsewhere (false). Nothing for what
// is neither.
inline std::optional<bool> read_media(std::string_view url, DataUrl& data) {
  const bool inside = parse_data_url(url, data);
  if (url.empty() || (inside ? !data.base64 : url.starts_with("data:"))) return std::nullopt;
  return inside;
}

// A file's data: a data URL, or base64 alone.
inline DataUrl read_file_data(std::string_view given) {
  DataUrl data;
  if (!parse_data_url(given, data)) {
    data.data = given;
    data.base64 = true;
  }
  return data;
}

// ---- tools ----

// Of a tool, a call or a choice: what names it, be it a function or a custom tool.
inline std::string_view function_of(std::string_view tool) {
  const std::string_view custom = json::find(tool, "custom");
  return custom.empty() ? json::find(tool, "function") : custom;
}

struct ChatFunction {
  std::string_view name, description, parameters;
  bool strict = false;
};

// Of a tool of type function; `place` is that of the function.
inline ChatFunction read_function(std::string_view tool, const Place& place, Losses& losses) {
  ChatFunction found;
  json::Cursor cursor(json::find(tool, "function"));
  std::string_view name;
  if (!cursor.object()) return found;
  while (cursor.member(name)) {
    const std::string_view value = cursor.value();
    if (json::same(name, "name")) {
      found.name = value;
    } else if (json::same(name, "description")) {
      found.description = value;
    } else if (json::same(name, "parameters")) {
      found.parameters = value;
    } else if (json::same(name, "strict")) {
      found.strict = json::is_true(value);
    } else {
      losses.add_unless_null(place, name, value);
    }
  }
  return found;
}

// A custom tool, which upstreams know as a function with one string, "input". A grammar is lost.
constexpr std::string_view kCustomSchema =
    R"({"type":"object","properties":{"input":{"type":"string"}},"required":["input"]})";

inline ChatFunction read_custom(std::string_view tool, const Place& place, Losses& losses) {
  const std::string_view custom = json::find(tool, "custom");
  const std::string_view format = json::find(custom, "format");
  if (!json::is_null(format) && json::inside(json::find(format, "type")) != "text") {
    losses.add(place, "format");
  }
  return {json::find(custom, "name"), json::find(custom, "description"), kCustomSchema, false};
}

// Opens an object with the function's name and description.
inline void open_function(BodyWriter& writer, const ChatFunction& function) {
  writer.json().open_object().key("name");
  writer.string_of(json::inside(function.name));
  if (json::type_of(function.description) == 's') {
    writer.json().key("description");
    writer.string_of(json::inside(function.description));
  }
}

// What a call passes, as an object: a string that holds JSON in OpenAI's form, free text of a
// custom tool. Broken JSON goes as text, which is a loss.
inline void write_call_input(BodyWriter& writer, std::string_view call, const Place& place,
                             Losses& losses) {
  json::Writer& json = writer.json();
  const std::string_view custom = json::find(call, "custom");
  if (!custom.empty()) {
    json.open_object().key("input");
    writer.string_of(json::inside(json::find(custom, "input")));
    json.close_object();
    return;
  }
  const std::string_view arguments = json::find(json::find(call, "function"), "arguments");
  if (json::type_of(arguments) == 'o') {
    writer.value(arguments);  // not what OpenAI says, and meant clearly
    return;
  }
  const std::string text = json::to_text(arguments).value_or("");
  if (json::is_blank(json::inside(arguments))) {
    json.raw("{}");
  } else if (json::Cursor cursor(text); cursor.type() == 'o' && json::valid(text)) {
    json.raw(text);
  } else {
    losses.add(place, "function/arguments");
    json.open_object().key("arguments").text(text).close_object();
  }
}

// Which tool the model is to call.
struct ChatChoice {
  enum class Mode { kUnsaid, kNone, kAuto, kAny, kTool };
  Mode mode = Mode::kUnsaid;
  std::string_view name;     // with kTool, a JSON string
  std::string_view allowed;  // the array, where the client named some tools
};

inline ChatChoice read_choice(const Request& request, Losses& losses) {
  using Mode = ChatChoice::Mode;
  ChatChoice found;
  const std::string_view choice = request.value("tool_choice");
  const std::string_view word = json::inside(choice);
  const std::string_view type = json::inside(json::find(choice, "type"));
  if (word == "none") {
    found.mode = Mode::kNone;
  } else if (word == "auto") {
    found.mode = Mode::kAuto;
  } else if (word == "required") {
    found.mode = Mode::kAny;
  } else if (type == "allowed_tools") {
    const std::string_view allowed = json::find(choice, "allowed_tools");
    found.allowed = json::find(allowed, "tools");
    found.mode = json::inside(json::find(allowed, "mode")) == "required" ? Mode::kAny : Mode::kAuto;
  } else if (!type.empty()) {
    found.name = json::find(function_of(choice), "name");
    found.mode = json::type_of(found.name) == 's' ? Mode::kTool : Mode::kAuto;
    if (found.mode == Mode::kAuto) losses.add("tool_choice");
  } else if (!json::is_null(choice)) {
    losses.add("tool_choice");
  }
  return found;
}

// ---- settings ----

// Where the client says how hard the model shall think.
inline std::string_view reasoning_member(const Request& request) {
  return json::is_null(request.value("reasoning_effort")) ? "reasoning" : "reasoning_effort";
}

// 1 is what temperature and top_p are without being told.
inline void lose_sampling(const Request& request, std::string_view name, Losses& losses) {
  const std::string_view value = request.value(name);
  if (value != "1" && value != "1.0") losses.add_unless_null(Place{}, name, value);
}

}  // namespace swy
