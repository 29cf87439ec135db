#include "providers/wenxinworkshop/chat.hpp"

#include <algorithm>
#include <charconv>

namespace wenxinworkshop {

namespace json = swy::json;

namespace {

constexpr std::size_t kStopsMax = 4;

// What the API takes as it stands where a client of ours knows to say it.
constexpr std::string_view kOwn[] = {"penalty_score", "disable_search", "enable_citation"};

bool is_read(std::string_view name) {
  return swy::is_one_of(name, {"model", "messages", "stream", "stream_options", "max_tokens",
                               "max_completion_tokens", "temperature", "top_p", "stop", "tools",
                               "tool_choice", "response_format", "user", "n", "reasoning",
                               "reasoning_effort", "parallel_tool_calls"}) ||
         std::find(std::begin(kOwn), std::end(kOwn), name) != std::end(kOwn);
}

}  // namespace

ChatBody::ChatBody(const swy::Request& request) : ChatBodyBase(request) {
  const std::string_view n = request.value("n");
  if (!json::is_null(n) && n != "1") refuse(SWY_CLS_NOT_OFFERED, "n", "n: one answer is given");
  refuse_tools();
  if (!refusal_) read_turns();
  if (!refusal_) write();
}

void ChatBody::write() {
  json_.open_object();
  write_format();  // may add to the system prompt
  write_turns();
  if (!system_.empty()) json_.key("system").raw("\"" + system_ + "\"");
  if (request_.stream()) json_.key("stream").boolean(true);
  write_functions();
  write_temperature();
  write_as("top_p", "top_p");
  write_stops("stop", kStopsMax);
  write_tokens_max("max_output_tokens");
  write_as("user", "user_id");
  for (const std::string_view name : kOwn) write_as(name, name);
  json_.close_object();
  note_unknown();
}

void ChatBody::note_unknown() {
  lose_unknown(is_read);
  // Nothing here thinks, and calls come one at a time.
  const swy::ChatReasoning asked = swy::read_reasoning(request_, losses_);
  const bool thinks = (!asked.effort.empty() && asked.effort != "none") || asked.budget >= 0;
  if (thinks) losses_.add(swy::reasoning_member(request_));
}

// ---- messages ----

void ChatBody::read_turns() {
  for (const Message& message : messages_) take_message(message);
  if (!turns_.empty() && turns_.front().role != "user") {
    turns_.erase(turns_.begin());
    losses_.add("messages");
  }
  if (turns_.empty() || turns_.back().role == "assistant") {
    refuse(SWY_CLS_NOT_OFFERED, "messages",
           "messages: the last one has to be the user's, or a tool's");
  }
}

void ChatBody::take_message(const Message& message) {
  const Place list{nullptr, "messages"};
  const Place here{&list, {}, message.index}, content{&here, "content"};
  lose_rest(message, here);
  switch (message.role) {
    case swy::ChatRole::kSystem: {
      const std::string text = text_of(message.content, content);
      if (!system_.empty() && !text.empty()) system_ += "\\n";
      system_ += text;
      break;
    }
    case swy::ChatRole::kAssistant: {
      std::string text = text_of(message.content, content);
      if (!text.empty()) add_text("assistant", std::move(text));
      take_calls(message, here);
      break;
    }
    case swy::ChatRole::kTool:
      take_result(message, content);
      break;
    default:
      add_text("user", text_of(message.content, content));
  }
}

void ChatBody::lose_rest(const Message& message, const Place& here) {
  losses_.add_unless_null(here, "name", message.name);
  losses_.add_unless_null(here, "cache_control", message.cache_control);
  losses_.add_unless_null(here, "reasoning_content", message.reasoning_content);
  losses_.add_unless_null(here, "reasoning_details", message.reasoning_details);
  losses_.add_unless_null(here, "refusal", message.refusal);
  if (json::is_true(message.is_error)) losses_.add(here, "is_error");
}

// Neighbours of one role are one message.
void ChatBody::add_text(std::string_view role, std::string text) {
  if (!turns_.empty() && turns_.back().role == role && turns_.back().call.empty()) {
    turns_.back().text += "\\n" + text;
  } else {
    turns_.push_back({role, std::move(text), {}});
  }
}

// One call a turn: each goes in front of its result.
void ChatBody::take_calls(const Message& message, const Place& here) {
  json::Cursor calls(message.tool_calls);
  if (!calls.array()) return;
  const Place list{&here, "tool_calls"};
  calls_.clear();
  for (std::int64_t i = 0; calls.element(); ++i) {
    const std::string_view call = calls.value();
    losses_.add_unless_null(Place{&list, {}, i}, "extra_content",
                            json::find(call, "extra_content"));
    if (json::type_of(json::find_path(call, "function.name")) != 's') {
      refuse(SWY_CLS_NOT_OFFERED, "messages",
             "tool_calls[].function.name: functions only are known");
    }
    calls_.push_back(call);
  }
}

void ChatBody::take_result(const Message& message, const Place& content) {
  const auto call = std::find_if(calls_.begin(), calls_.end(), [&](std::string_view each) {
    return json::find(each, "id") == message.tool_call_id;
  });
  if (call == calls_.end()) {
    return refuse(SWY_CLS_BAD_REQUEST, "messages", "messages[].tool_call_id: of no call before it");
  }
  const std::string_view function = json::find(*call, "function");
  // What was said before the call stands in the same message.
  if (turns_.empty() || turns_.back().role != "assistant" || !turns_.back().call.empty()) {
    turns_.push_back({"assistant", {}, {}});
  }
  turns_.back().call = function;
  turns_.push_back({"function", text_of(message.content, content), json::find(function, "name")});
}

std::string ChatBody::text_of(std::string_view content, const Place& place) {
  if (json::type_of(content) == 's') return std::string(json::inside(content));
  std::string text;
  if (json::is_null(content)) return text;
  swy::each_part(content, place, losses_, [&](std::string_view part, const Place& here) {
    swy::ChatPart read;
    if (!swy::read_part(part, read, here, losses_)) return losses_.add(here);
    if (!read.cache.empty()) losses_.add(here, "cache_control");
    if (const auto words = words_of(read)) {
      text += *words;
    } else {
      refuse(SWY_CLS_NOT_OFFERED, "messages",
             "messages[].content[].type: text alone is taken, not " +
                 std::string(read.type.substr(0, 40)));
    }
  });
  return text;
}

void ChatBody::write_turns() {
  json_.key("messages").open_array();
  for (const Turn& turn : turns_) {
    json_.open_object().key("role").text(turn.role);
    if (turn.role == "function") json_.key("name").raw(turn.call);
    json_.key("content");
    json_.raw("\"" + turn.text + "\"");
    if (turn.role == "assistant" && !turn.call.empty()) {
      const std::string_view arguments = json::find(turn.call, "arguments");
      json_.key("function_call").open_object().key("name").raw(json::find(turn.call, "name"));
      json_.key("arguments");
      if (json::type_of(arguments) == 's') {
        json_.raw(arguments);
      } else {
        json_.text(json::type_of(arguments) == 'o' ? arguments : std::string_view("{}"));
      }
      json_.close_object();
    }
    json_.close_object();
  }
  json_.close_array();
}

// ---- settings ----

void ChatBody::write_functions() {
  const swy::ChatChoice choice = swy::read_choice(request_, losses_);
  using Mode = swy::ChatChoice::Mode;
  if (!has_tools() || choice.mode == Mode::kNone) return;
  json_.key("functions").open_array();
  each_function([this](const swy::ChatFunction& function, const Place& place) {
    if (function.strict) losses_.add(place, "strict");
    swy::open_function(writer_, function);
    if (function.description.empty()) json_.key("description").raw(function.name);
    write_parameters(function);
    json_.close_object();
  });
  json_.close_array();
  if (choice.mode == Mode::kAny || !choice.allowed.empty()) losses_.add("tool_choice");
  if (choice.mode != Mode::kTool) return;
  json_.key("tool_choice");
  write_named_choice(choice.name);
}

void ChatBody::write_format() {
  const std::string_view format = request_.value("response_format");
  const std::string_view type = json::inside(json::find(format, "type"));
  if (type.empty() || type == "text") return;
  if (type == "json_schema") {
    schema_ = json::find_path(format, "json_schema.schema");
    losses_.add("response_format");
    if (!system_.empty()) system_ += "\\n";
    system_ += "Answer with JSON alone that fits this JSON schema: ";
    json::append_escaped(system_, schema_);
  }
  json_.key("response_format").text("json_object");
}

// Above 0, at most 1.
void ChatBody::write_temperature() {
  const std::string_view value = request_.value("temperature");
  double number = 0;
  const auto read = std::from_chars(value.data(), value.data() + value.size(), number);
  if (json::type_of(value) != 'n' || read.ec != std::errc() || (number > 0 && number <= 1)) {
    return write_as("temperature", "temperature");
  }
  if (number != 0) losses_.add("temperature");
  json_.key("temperature").raw(number <= 0 ? "0.01" : "1");
}

}  // namespace wenxinworkshop
