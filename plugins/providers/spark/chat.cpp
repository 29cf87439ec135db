#include "providers/spark/chat.hpp"

#include <algorithm>
#include <charconv>

namespace spark {

namespace json = swy::json;

namespace {

constexpr std::size_t kUserMax = 32;  // characters
constexpr std::int64_t kTopKMax = 6;

// What the API takes as it stands where a client of ours knows to say it.
constexpr std::string_view kOwn[] = {"auditing", "show_ref_label"};

bool is_read(std::string_view name) {
  return swy::is_one_of(name, {"model", "messages", "stream", "stream_options", "max_tokens",
                               "max_completion_tokens", "temperature", "top_k", "top_p", "tools",
                               "tool_choice", "response_format", "user", "n", "reasoning",
                               "reasoning_effort", "parallel_tool_calls"}) ||
         std::find(std::begin(kOwn), std::end(kOwn), name) != std::end(kOwn);
}

void append_line(std::string& text, std::string_view line) {
  if (!text.empty() && !line.empty()) text += "\\n";
  text += line;
}

std::string escaped(std::string_view text) {
  std::string out;
  json::append_escaped(out, text);
  return out;
}

}  // namespace

ChatBody::ChatBody(const swy::Request& request, const Address& address)
    : request_(request), address_(address), json_(writer_.json()) {
  std::string wrong;
  if (!swy::read_messages(request.value("messages"), messages_, losses_, wrong)) {
    refuse(SWY_CLS_BAD_REQUEST, "messages", std::move(wrong));
    return;
  }
  const std::string_view n = request.value("n");
  if (!json::is_null(n) && n != "1") refuse(SWY_CLS_NOT_OFFERED, "n", "n: one answer is given");
  swy::refuse_old_tools(request, refusal_);
  swy::refuse_impossible_choice(request, refusal_);
  read_turns();
  ask_for_format();
  fold_system();
  if (!refusal_) write();
}

void ChatBody::refuse(std::int32_t cls, std::string_view param, std::string message) {
  swy::refuse_request(refusal_, cls, std::string(param), std::move(message));
}

std::int64_t ChatBody::tokens_max() const {
  const std::string_view newer = request_.value("max_completion_tokens");
  return json::to_integer(json::is_null(newer) ? request_.value("max_tokens") : newer).value_or(0);
}

// ---- messages ----

void ChatBody::read_turns() {
  for (const Message& message : messages_) take_message(message);
}

void ChatBody::take_message(const Message& message) {
  const Place list{nullptr, "messages"};
  const Place here{&list, {}, message.index}, content{&here, "content"};
  lose_rest(message, here);
  switch (message.role) {
    case swy::ChatRole::kSystem:
      if (address_.takes_system) {
        turns_.push_back({"system", text_of(message.content, content)});
      } else {
        losses_.add(here, "role");
        append_line(folded_, text_of(message.content, content));
      }
      break;
    case swy::ChatRole::kAssistant:
      turns_.push_back({"assistant", text_of(message.content, content)});
      take_calls(message, here);
      break;
    case swy::ChatRole::kTool:
      take_result(message, here);
      break;
    default:
      turns_.push_back({"user", text_of(message.content, content)});
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

// A message is a role and a text: calls that were made, and their results, can be told in these
// alone.
void ChatBody::take_calls(const Message& message, const Place& here) {
  json::Cursor calls(message.tool_calls);
  if (!calls.array() || message.tool_calls == "[]") return;
  losses_.add(here, "tool_calls");
  while (calls.element()) {
    const std::string_view call = calls.value();
    const std::string_view function = json::find(call, "function");
    if (json::type_of(json::find(function, "name")) != 's') {
      refuse(SWY_CLS_NOT_OFFERED, "messages",
             "tool_calls[].function.name: functions only are known");
    }
    calls_.push_back(call);
    append_line(turns_.back().text, escaped(R"({"function_call":)" + std::string(function) + "}"));
  }
}

void ChatBody::take_result(const Message& message, const Place& here) {
  losses_.add(here, "role");
  // Ids may come again in later turns.
  const auto call = std::find_if(calls_.rbegin(), calls_.rend(), [&](std::string_view each) {
    return json::to_text(json::find(each, "id")) == json::to_text(message.tool_call_id);
  });
  if (call == calls_.rend()) return;  // read_messages() has seen to it
  std::string text = R"({"function":)";
  text.append(json::find_path(*call, "function.name")).append(R"(,"result":")");
  text += text_of(message.content, Place{&here, "content"}) + "\"}";
  turns_.push_back({"user", escaped(text)});
}

std::string ChatBody::text_of(std::string_view content, const Place& place) {
  if (json::type_of(content) == 's') return std::string(json::inside(content));
  std::string text;
  if (json::is_null(content)) return text;
  swy::each_part(content, place, losses_, [&](std::string_view part, const Place& here) {
    swy::ChatPart read;
    if (!swy::read_part(part, read, here, losses_)) return losses_.add(here);
    if (!read.cache.empty()) losses_.add(here, "cache_control");
    if (read.type == "text" || read.type == "refusal") {
      text += json::inside(read.type == "text" ? read.text : read.refusal);
    } else {
      refuse(SWY_CLS_NOT_OFFERED, "messages",
             "messages[].content[].type: text alone is taken, not " +
                 std::string(read.type.substr(0, 40)));
    }
  });
  return text;
}

// JSON is asked for in words: nothing else is known here.
void ChatBody::ask_for_format() {
  const std::string_view format = request_.value("response_format");
  const std::string_view type = json::inside(json::find(format, "type"));
  if (type.empty() || type == "text") return;
  losses_.add("response_format");
  if (type != "json_schema") return instruct("Answer with a JSON object alone.");
  schema_ = json::find_path(format, "json_schema.schema");
  instruct("Answer with JSON alone that fits this JSON schema: " + escaped(schema_));
}

void ChatBody::instruct(std::string_view words) {
  if (!address_.takes_system) return append_line(folded_, words);
  if (turns_.empty() || turns_.front().role != "system") {
    turns_.insert(turns_.begin(), Turn{"system", {}});
  }
  append_line(turns_.front().text, words);
}

void ChatBody::fold_system() {
  if (folded_.empty()) return;
  auto user = std::find_if(turns_.begin(), turns_.end(),
                           [](const Turn& turn) { return turn.role == "user"; });
  if (user == turns_.end()) user = turns_.insert(turns_.begin(), Turn{"user", {}});
  append_line(folded_, user->text);
  user->text = std::move(folded_);
}

// ---- the message ----

void ChatBody::write() {
  json_.open_object().key("header").open_object();
  json_.key("app_id").text(request_.credential("app_id"));
  write_user();
  json_.close_object().key("parameter").open_object().key("chat").open_object();
  write_settings();
  json_.close_object().close_object().key("payload").open_object();
  write_turns();
  write_functions();
  json_.close_object().close_object();
  note_unknown();
}

void ChatBody::write_user() {
  const std::string_view user = request_.value("user");
  if (json::count_characters(json::inside(user)) <= kUserMax) return write_as("user", "uid");
  losses_.add("user");
}

void ChatBody::write_settings() {
  json_.key("domain").text(address_.domain);
  write_temperature();
  write_top_k();
  write_as(json::is_null(request_.value("max_completion_tokens")) ? "max_tokens"
                                                                  : "max_completion_tokens",
           "max_tokens");
  for (const std::string_view name : kOwn) write_as(name, name);
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

void ChatBody::write_top_k() {
  const std::string_view value = request_.value("top_k");
  const auto number = json::to_integer(value);
  if (!number || (*number >= 1 && *number <= kTopKMax)) return write_as("top_k", "top_k");
  losses_.add("top_k");
  json_.key("top_k").integer(*number < 1 ? 1 : kTopKMax);
}

void ChatBody::write_as(std::string_view name, std::string_view upstream_name) {
  const std::string_view value = request_.value(name);
  if (json::is_null(value)) return;
  json_.key(upstream_name);
  writer_.value(value);
}

void ChatBody::write_turns() {
  json_.key("message").open_object().key("text").open_array();
  for (const Turn& turn : turns_) {
    json_.open_object().key("role").text(turn.role).key("content");
    json_.raw("\"" + turn.text + "\"").close_object();
  }
  json_.close_array().close_object();
}

void ChatBody::write_functions() {
  const std::string_view tools = request_.value("tools");
  const swy::ChatChoice choice = swy::read_choice(request_, losses_);
  using Mode = swy::ChatChoice::Mode;
  json::Cursor cursor(tools);
  if (!cursor.array() || tools == "[]") return losses_.add_unless_null(Place{}, "tools", tools);
  if (choice.mode == Mode::kNone) return;
  const Place list{nullptr, "tools"};
  json_.key("functions").open_object().key("text").open_array();
  for (std::int64_t i = 0; cursor.element(); ++i) {
    write_function(cursor.value(), Place{&list, {}, i});
  }
  json_.close_array().close_object();
  if (choice.mode == Mode::kAny || choice.mode == Mode::kTool || !choice.allowed.empty()) {
    losses_.add("tool_choice");
  }
}

void ChatBody::write_function(std::string_view tool, const Place& here) {
  const Place inner{&here, "function"};
  if (json::inside(json::find(tool, "type")) != "function") return losses_.add(here);
  const swy::ChatFunction function = swy::read_function(tool, inner, losses_);
  losses_.add_unless_null(here, "cache_control", json::find(tool, "cache_control"));
  if (function.strict) losses_.add(inner, "strict");
  swy::open_function(writer_, function);
  json_.key("parameters");
  if (json::type_of(function.parameters) == 'o') {
    writer_.value(function.parameters);
  } else {
    json_.raw(R"({"type":"object","properties":{}})");
  }
  json_.close_object();
}

void ChatBody::note_unknown() {
  for (std::size_t i = 0; i < request_.member_count(); ++i) {
    const swy_member& member = request_.member(i);
    const std::string_view name = swy::view(member.name);
    if (!is_read(name) && !swy::is_nothing(request_.value(member))) losses_.add(name);
  }
  swy::lose_sampling(request_, "top_p", losses_);
  // Whether and how long a model thinks is its own; calls come one at a time.
  const swy::ChatReasoning asked = swy::read_reasoning(request_, losses_);
  const bool thinks = (!asked.effort.empty() && asked.effort != "none") || asked.budget >= 0;
  if (thinks || (asked.effort == "none" && address_.domain == "x1")) {
    losses_.add(swy::reasoning_member(request_));
  }
}

}  // namespace spark
