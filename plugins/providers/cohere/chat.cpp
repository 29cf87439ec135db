#include "providers/cohere/chat.hpp"

#include <algorithm>
#include <charconv>

namespace cohere {

namespace json = swy::json;

namespace {

constexpr std::size_t kStopsMax = 5;

// What Cohere takes as it stands where a client of ours knows to say it.
constexpr std::string_view kOwn[] = {"documents",     "citation_options", "safety_mode",
                                     "strict_tools",  "priority",         "thinking",
                                     "stop_sequences"};

bool is_own(std::string_view name) {
  return std::find(std::begin(kOwn), std::end(kOwn), name) != std::end(kOwn);
}

bool is_read(std::string_view name) {
  return swy::is_one_of(name, {"model",
                               "messages",
                               "stream",
                               "stream_options",
                               "max_tokens",
                               "max_completion_tokens",
                               "temperature",
                               "top_p",
                               "top_k",
                               "stop",
                               "seed",
                               "presence_penalty",
                               "frequency_penalty",
                               "tools",
                               "tool_choice",
                               "response_format",
                               "reasoning_effort",
                               "reasoning",
                               "logprobs",
                               "n"});
}

// How long thinking may be; -1: as long as it likes.
std::int64_t budget_of(std::string_view effort) {
  if (effort == "minimal") return 1024;
  if (effort == "low") return 2048;
  return effort == "medium" ? 8192 : -1;
}

}  // namespace

ChatBody::ChatBody(const swy::Request& request) : request_(request), json_(writer_.json()) {
  std::string wrong;
  if (!swy::read_messages(request.value("messages"), messages_, losses_, wrong)) {
    swy::refuse_request(refusal_, SWY_CLS_BAD_REQUEST, "messages", std::move(wrong));
    return;
  }
  const std::string_view n = request.value("n");
  if (!json::is_null(n) && n != "1") {
    swy::refuse_request(refusal_, SWY_CLS_NOT_OFFERED, "n", "n: Cohere gives one answer");
  }
  swy::refuse_old_tools(request, refusal_);
  swy::refuse_impossible_choice(request, refusal_);
  if (!refusal_) write();
}

void ChatBody::write() {
  json_.open_object().key("model").text(request_.model());
  if (request_.stream()) json_.key("stream").boolean(true);
  write_messages();
  write_tools();
  write_choice();
  write_thinking();
  write_format();
  write_limited("temperature", "temperature", 0, 1);
  write_limited("top_p", "p", 0.01, 0.99);
  write_as("top_k", "k");
  write_as(json::is_null(request_.value("max_completion_tokens")) ? "max_tokens"
                                                                  : "max_completion_tokens",
           "max_tokens");
  write_as("seed", "seed");
  write_limited("presence_penalty", "presence_penalty", 0, 1);
  write_limited("frequency_penalty", "frequency_penalty", 0, 1);
  write_stop();
  if (json::is_true(request_.value("logprobs"))) json_.key("logprobs").boolean(true);
  for (const std::string_view name : kOwn) write_as(name, name);
  json_.close_object();
  note_unknown();
}

void ChatBody::note_unknown() {
  for (std::size_t i = 0; i < request_.member_count(); ++i) {
    const swy_member& member = request_.member(i);
    const std::string_view name = swy::view(member.name);
    const std::string_view value = request_.value(member);
    const bool nothing = name == "parallel_tool_calls" ? value != "false" : swy::is_nothing(value);
    if (!is_read(name) && !is_own(name) && !nothing) losses_.add(name);
  }
}

// ---- messages ----

void ChatBody::write_messages() {
  json_.key("messages").open_array();
  for (const Message& message : messages_) write_message(message);
  json_.close_array();
}

void ChatBody::write_message(const Message& message) {
  const Place list{nullptr, "messages"};
  const Place here{&list, {}, message.index};
  losses_.add_unless_null(here, "name", message.name);
  losses_.add_unless_null(here, "cache_control", message.cache_control);
  json_.open_object().key("role");
  switch (message.role) {
    case swy::ChatRole::kSystem:
      json_.text("system");
      break;
    case swy::ChatRole::kAssistant:
      json_.text("assistant");
      write_calls(message, here);
      break;
    case swy::ChatRole::kTool:
      json_.text("tool").key("tool_call_id");
      writer_.string_of(json::inside(message.tool_call_id));
      if (json::is_true(message.is_error)) losses_.add(here, "is_error");
      break;
    default:
      json_.text("user");
  }
  write_content(message, here);
  json_.close_object();
}

// What the model thought before it called is its plan; other thinking is not wanted back.
void ChatBody::write_calls(const Message& message, const Place& here) {
  json::Cursor calls(message.tool_calls);
  const bool any = calls.array() && message.tool_calls != "[]";
  losses_.add_unless_null(here, "reasoning_details", message.reasoning_details);
  losses_.add_unless_null(here, "refusal", message.refusal);
  if (!any) return losses_.add_unless_null(here, "reasoning_content", message.reasoning_content);
  if (json::type_of(message.reasoning_content) == 's' && message.reasoning_content.size() > 2) {
    json_.key("tool_plan");
    writer_.string_of(json::inside(message.reasoning_content));
  }
  const Place list{&here, "tool_calls"};
  json_.key("tool_calls").open_array();
  for (std::int64_t i = 0; calls.element(); ++i) {
    const std::string_view call = calls.value();
    const std::string_view extra = json::find(call, "extra_content");
    losses_.add_unless_null(Place{&list, {}, i}, "extra_content", extra);
    const std::string_view function = json::find(call, "function");
    const std::string_view name = json::find(function, "name");
    const std::string_view arguments = json::find(function, "arguments");
    if (json::type_of(name) != 's') {
      swy::refuse_request(refusal_, SWY_CLS_NOT_OFFERED, "messages",
                          "tool_calls[].function.name: Cohere knows functions only");
    }
    json_.open_object().key("id");
    writer_.string_of(json::inside(json::find(call, "id")));
    json_.key("type").text("function").key("function").open_object().key("name");
    writer_.string_of(json::inside(name));
    json_.key("arguments");
    if (json::type_of(arguments) == 'o') {
      json_.text(arguments);
    } else {
      writer_.string_of(json::inside(arguments));
    }
    json_.close_object().close_object();
  }
  json_.close_array();
}

void ChatBody::write_content(const Message& message, const Place& here) {
  if (json::type_of(message.content) == 's') {
    if (message.role == swy::ChatRole::kAssistant && message.content.size() == 2) return;
    json_.key("content");
    writer_.string_of(json::inside(message.content));
    return;
  }
  if (json::is_null(message.content)) return;
  const Place content{&here, "content"};
  json_.key("content").open_array();
  swy::each_part(message.content, content, losses_,
                 [this](std::string_view part, const Place& place) { write_part(part, place); });
  json_.close_array();
}

void ChatBody::write_part(std::string_view part, const Place& place) {
  swy::ChatPart read;
  if (!swy::read_part(part, read, place, losses_)) return losses_.add(place);
  if (!read.cache.empty()) losses_.add(place, "cache_control");
  if (read.type == "text" || read.type == "refusal") {
    json_.open_object().key("type").text("text").key("text");
    writer_.string_of(json::inside(read.type == "text" ? read.text : read.refusal));
    json_.close_object();
  } else if (read.type == "image_url" && json::type_of(read.image) == 'o') {
    json_.open_object().key("type").text("image_url").key("image_url");
    writer_.value(read.image);
    json_.close_object();
  } else {
    swy::refuse_request(refusal_, SWY_CLS_NOT_OFFERED, "messages",
                        "messages[].content[].type: Cohere takes text and image_url, not " +
                            std::string(read.type.substr(0, 40)));
  }
}

// ---- tools ----

void ChatBody::write_tools() {
  const std::string_view tools = request_.value("tools");
  json::Cursor cursor(tools);
  if (!cursor.array() || tools == "[]") return losses_.add_unless_null(Place{}, "tools", tools);
  const Place list{nullptr, "tools"};
  bool strict = false;
  json_.key("tools").open_array();
  for (std::int64_t i = 0; cursor.element(); ++i) {
    const Place here{&list, {}, i}, inner{&here, "function"};
    const std::string_view tool = cursor.value();
    if (json::inside(json::find(tool, "type")) != "function") {
      losses_.add(here);
      continue;
    }
    const swy::ChatFunction function = swy::read_function(tool, inner, losses_);
    losses_.add_unless_null(here, "cache_control", json::find(tool, "cache_control"));
    strict |= function.strict;
    json_.open_object().key("type").text("function").key("function");
    swy::open_function(writer_, function);
    json_.key("parameters");
    if (json::type_of(function.parameters) == 'o') {
      writer_.value(function.parameters);
    } else {
      json_.raw(R"({"type":"object","properties":{}})");
    }
    json_.close_object().close_object();
  }
  json_.close_array();
  if (strict && json::is_null(request_.value("strict_tools"))) {
    json_.key("strict_tools").boolean(true);
  }
}

// All or none: a tool can't be named.
void ChatBody::write_choice() {
  const swy::ChatChoice choice = swy::read_choice(request_, losses_);
  if (choice.mode == swy::ChatChoice::Mode::kNone) json_.key("tool_choice").text("NONE");
  if (choice.mode == swy::ChatChoice::Mode::kAny) json_.key("tool_choice").text("REQUIRED");
  if (choice.mode == swy::ChatChoice::Mode::kTool) {
    json_.key("tool_choice").text("REQUIRED");
    losses_.add("tool_choice");
  } else if (!choice.allowed.empty()) {
    losses_.add("tool_choice");
  }
}

// ---- settings ----

void ChatBody::write_thinking() {
  const swy::ChatReasoning asked = swy::read_reasoning(request_, losses_);
  if ((asked.effort.empty() && asked.budget < 0) || !json::is_null(request_.value("thinking"))) {
    return;
  }
  if (asked.effort == "none") {
    json_.key("thinking").open_object().key("type").text("disabled").close_object();
    return;
  }
  const std::int64_t budget = asked.budget >= 0 ? asked.budget : budget_of(asked.effort);
  json_.key("thinking").open_object().key("type").text("enabled");
  if (budget >= 0) json_.key("token_budget").integer(budget);
  json_.close_object();
}

void ChatBody::write_format() {
  const std::string_view format = request_.value("response_format");
  const std::string_view type = json::inside(json::find(format, "type"));
  if (type.empty() || type == "text") return;
  if (type != "json_object" && type != "json_schema") return losses_.add("response_format");
  const std::string_view schema = json::find_path(format, "json_schema.schema");
  json_.key("response_format").open_object().key("type").text("json_object");
  if (json::type_of(schema) == 'o') {
    json_.key("json_schema");
    writer_.value(schema);
  }
  json_.close_object();
}

void ChatBody::write_stop() {
  const std::string_view stop = request_.value("stop");
  if (!json::is_null(request_.value("stop_sequences"))) return;
  if (json::type_of(stop) == 's') {
    json_.key("stop_sequences").open_array().raw(stop).close_array();
    return;
  }
  json::Cursor cursor(stop);
  if (!cursor.array() || stop == "[]") return;
  const Place list{nullptr, "stop"};
  json_.key("stop_sequences").open_array();
  for (std::size_t i = 0; cursor.element(); ++i) {
    const std::string_view each = cursor.value();
    if (i < kStopsMax) {
      json_.raw(each);
    } else {
      losses_.add(Place{&list, {}, static_cast<std::int64_t>(i)});
    }
  }
  json_.close_array();
}

void ChatBody::write_as(std::string_view name, std::string_view upstream_name) {
  const std::string_view value = request_.value(name);
  if (json::is_null(value)) return;
  json_.key(upstream_name);
  writer_.value(value);
}

void ChatBody::write_limited(std::string_view name, std::string_view upstream_name, double least,
                             double most) {
  const std::string_view value = request_.value(name);
  double number = 0;
  const auto read = std::from_chars(value.data(), value.data() + value.size(), number);
  if (json::type_of(value) != 'n' || read.ec != std::errc() ||
      (number >= least && number <= most)) {
    return write_as(name, upstream_name);
  }
  // 1 is what top_p is without being told.
  if (name != "top_p" || number != 1) losses_.add(name);
  char digits[32];
  const auto written = std::to_chars(digits, digits + sizeof digits, number < least ? least : most);
  json_.key(upstream_name)
      .raw(std::string_view(digits, static_cast<std::size_t>(written.ptr - digits)));
}

}  // namespace cohere
