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

ChatBody::ChatBody(const swy::Request& request) : ChatBodyBase(request) {
  const std::string_view n = request.value("n");
  if (!json::is_null(n) && n != "1") refuse(SWY_CLS_NOT_OFFERED, "n", "n: Cohere gives one answer");
  refuse_tools();
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
  write_tokens_max("max_tokens");
  write_as("seed", "seed");
  write_limited("presence_penalty", "presence_penalty", 0, 1);
  write_limited("frequency_penalty", "frequency_penalty", 0, 1);
  if (json::is_null(request_.value("stop_sequences"))) write_stops("stop_sequences", kStopsMax);
  if (json::is_true(request_.value("logprobs"))) json_.key("logprobs").boolean(true);
  for (const std::string_view name : kOwn) write_as(name, name);
  json_.close_object();
  note_unknown();
}

// That several calls may be made at once is so anyway.
void ChatBody::note_unknown() {
  lose_unknown([](std::string_view name) {
    return is_read(name) || is_own(name) || name == "parallel_tool_calls";
  });
  if (request_.value("parallel_tool_calls") == "false") losses_.add("parallel_tool_calls");
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
  open_message(message, here);
  if (message.role == swy::ChatRole::kAssistant) write_calls(message, here);
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
    open_call(calls.value(), Place{&list, {}, i}, "Cohere");
    json_.close_object();
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
  if (const auto words = words_of(read)) {
    json_.open_object().key("type").text("text").key("text");
    writer_.string_of(*words);
    json_.close_object();
  } else if (read.type == "image_url" && json::type_of(read.image) == 'o') {
    json_.open_object().key("type").text("image_url").key("image_url");
    writer_.value(read.image);
    json_.close_object();
  } else {
    refuse(SWY_CLS_NOT_OFFERED, "messages",
           "messages[].content[].type: Cohere takes text and image_url, not " +
               std::string(read.type.substr(0, 40)));
  }
}

// ---- tools ----

void ChatBody::write_tools() {
  if (!has_tools()) return;
  bool strict = false;
  json_.key("tools").open_array();
  each_function([&](const swy::ChatFunction& function, const Place&) {
    strict |= function.strict;
    json_.open_object().key("type").text("function").key("function");
    swy::open_function(writer_, function);
    write_parameters(function);
    json_.close_object().close_object();
  });
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
