#include "providers/dashscope/chat.hpp"

#include <algorithm>

namespace dashscope {

namespace json = swy::json;

namespace {

constexpr std::int64_t kChoicesMax = 4;

// What DashScope takes as it stands where a client of ours knows to say it.
constexpr std::string_view kOwn[] = {"enable_search",      "search_options",
                                     "repetition_penalty", "enable_thinking",
                                     "thinking_budget",    "vl_high_resolution_images"};
constexpr std::string_view kSame[] = {"temperature", "top_p",    "top_k",
                                      "seed",        "stop",     "presence_penalty",
                                      "n",           "logprobs", "top_logprobs"};

bool is_read(std::string_view name) {
  return swy::is_one_of(
             name, {"model", "messages", "stream", "stream_options", "max_tokens",
                    "max_completion_tokens", "tools", "tool_choice", "parallel_tool_calls",
                    "response_format", "reasoning_effort", "reasoning", "web_search_options"}) ||
         std::find(std::begin(kOwn), std::end(kOwn), name) != std::end(kOwn) ||
         std::find(std::begin(kSame), std::end(kSame), name) != std::end(kSame);
}

// How long thinking may be; -1: as long as it likes.
std::int64_t budget_of(std::string_view effort) {
  if (effort == "low") return 2048;
  if (effort == "medium") return 8192;
  return effort == "high" ? 38'912 : -1;
}

// Models that know json_schema.
bool knows_schemas(std::string_view model) {
  return model.starts_with("qwen3.7") || model.starts_with("qwen3.8");
}

std::string_view url_of(std::string_view media) {
  return json::type_of(media) == 's' ? media : json::find(media, "url");
}

}  // namespace

ChatBody::ChatBody(const swy::Request& request, bool multimodal)
    : ChatBodyBase(request), multimodal_(multimodal) {
  check_choices();
  if (request.value("modalities").find("\"audio\"") != std::string_view::npos) {
    refuse(SWY_CLS_NOT_OFFERED, "modalities", "modalities: text alone is answered here");
  }
  refuse_tools();
  if (!refusal_) write();
}

void ChatBody::check_choices() {
  const auto n = json::to_integer(request_.value("n"));
  if (!n || *n <= 1) return;
  if (*n > kChoicesMax) refuse(SWY_CLS_NOT_OFFERED, "n", "n: at most 4 answers");
  if (!swy::is_nothing(request_.value("tools"))) {
    refuse(SWY_CLS_NOT_OFFERED, "n", "n: one answer where there are tools");
  }
}

void ChatBody::write() {
  json_.open_object().key("model").text(request_.model());
  json_.key("input").open_object();
  write_messages();
  json_.close_object().key("parameters").open_object();
  json_.key("result_format").text("message").key("incremental_output").boolean(true);
  write_tokens_max("max_tokens");
  for (const std::string_view name : kSame) write_as(name, name);
  write_tools();
  write_choice();
  write_thinking();
  write_format();
  write_search();
  for (const std::string_view name : kOwn) write_as(name, name);
  json_.close_object().close_object();
  lose_unknown(is_read);
}

// ---- messages ----

void ChatBody::write_messages() {
  const std::string_view format = request_.value("response_format");
  if (json::inside(json::find(format, "type")) == "json_schema" &&
      !knows_schemas(request_.model())) {
    schema_ = json::find_path(format, "json_schema.schema");
  }
  json_.key("messages").open_array();
  if (!schema_.empty()) {
    const std::string words =
        "Answer with JSON alone that fits this JSON schema:\n" + std::string(schema_);
    json_.open_object().key("role").text("system").key("content");
    if (multimodal_) json_.open_array().open_object().key("text");
    json_.text(words);
    if (multimodal_) json_.close_object().close_array();
    json_.close_object();
  }
  for (const Message& message : messages_) write_message(message);
  json_.close_array();
}

void ChatBody::write_message(const Message& message) {
  const Place list{nullptr, "messages"};
  const Place here{&list, {}, message.index};
  open_message(message, here);
  if (message.role == swy::ChatRole::kAssistant) {
    losses_.add_unless_null(here, "reasoning_content", message.reasoning_content);
    losses_.add_unless_null(here, "reasoning_details", message.reasoning_details);
    losses_.add_unless_null(here, "refusal", message.refusal);
    write_calls(message, here);
  }
  write_content(message, here);
  json_.close_object();
}

void ChatBody::write_calls(const Message& message, const Place& here) {
  json::Cursor calls(message.tool_calls);
  if (!calls.array() || message.tool_calls == "[]") return;
  const Place list{&here, "tool_calls"};
  json_.key("tool_calls").open_array();
  for (std::int64_t i = 0; calls.element(); ++i) {
    open_call(calls.value(), Place{&list, {}, i}, "DashScope");
    json_.key("index").integer(i).close_object();
  }
  json_.close_array();
}

// One string for models of text, a list of parts for the others.
void ChatBody::write_content(const Message& message, const Place& here) {
  json_.key("content");
  const bool plain = json::type_of(message.content) != 'a';
  const std::string_view text = json::type_of(message.content) == 's' ? message.content : "\"\"";
  if (plain && !multimodal_) {
    writer_.string_of(json::inside(text));
    return;
  }
  if (plain) {
    json_.open_array().open_object().key("text");
    writer_.string_of(json::inside(text));
    json_.close_object().close_array();
    return;
  }
  const Place content{&here, "content"};
  if (multimodal_) json_.open_array();
  std::string joined;
  swy::each_part(message.content, content, losses_, [&](std::string_view part, const Place& place) {
    if (multimodal_) return write_part(part, place);
    swy::ChatPart read;
    if (!swy::read_part(part, read, place, losses_)) return losses_.add(place);
    if (!read.cache.empty()) losses_.add(place, "cache_control");
    if (const auto words = words_of(read)) {
      joined += *words;
    } else {
      refuse(SWY_CLS_NOT_OFFERED, "messages",
             "messages[].content[].type: the model " + std::string(request_.model()) +
                 " takes text, not " + std::string(read.type.substr(0, 40)) +
                 "; name it in settings.multimodal where it does");
    }
  });
  if (multimodal_) {
    json_.close_array();
  } else {
    json_.raw("\"" + joined + "\"");
  }
}

void ChatBody::write_part(std::string_view part, const Place& place) {
  swy::ChatPart read;
  if (!swy::read_part(part, read, place, losses_)) return losses_.add(place);
  if (!read.cache.empty()) losses_.add(place, "cache_control");
  if (const auto words = words_of(read)) {
    json_.open_object().key("text");
    writer_.string_of(*words);
    json_.close_object();
  } else if (read.type == "image_url" && json::type_of(url_of(read.image)) == 's') {
    losses_.add_unless_null(Place{&place, "image_url"}, "detail", json::find(read.image, "detail"));
    write_media("image", url_of(read.image));
  } else if (read.type == "video_url" && json::type_of(url_of(read.video)) == 's') {
    write_media("video", url_of(read.video));
  } else if (read.type == "input_audio" && json::type_of(json::find(read.audio, "data")) == 's') {
    const std::string_view data = json::inside(json::find(read.audio, "data"));
    const std::string_view format = json::inside(json::find(read.audio, "format"));
    json_.open_object().key("audio");
    if (data.starts_with("data:") || data.starts_with("http")) {
      writer_.string_of(data);
    } else {
      std::string url = "data:audio/";
      url.append(format.empty() ? std::string_view("wav") : format).append(";base64,");
      json_.raw("\"" + url + std::string(data) + "\"");
    }
    json_.close_object();
  } else {
    refuse(SWY_CLS_NOT_OFFERED, "messages",
           "messages[].content[].type: DashScope takes text, image_url, video_url and "
           "input_audio, not " +
               std::string(read.type.substr(0, 40)));
  }
}

void ChatBody::write_media(std::string_view name, std::string_view url) {
  json_.open_object().key(name);
  writer_.string_of(json::inside(url));
  json_.close_object();
}

// ---- tools ----

void ChatBody::write_tools() {
  if (!has_tools()) return;
  json_.key("tools").open_array();
  each_function([this](const swy::ChatFunction& function, const Place& place) {
    if (function.strict) losses_.add(place, "strict");
    json_.open_object().key("type").text("function").key("function");
    swy::open_function(writer_, function);
    if (json::type_of(function.parameters) == 'o') write_parameters(function);
    json_.close_object().close_object();
  });
  json_.close_array();
  // Where nothing is said DashScope calls one at a time, and OpenAI's clients expect several.
  const bool one = request_.value("parallel_tool_calls") == "false";
  json_.key("parallel_tool_calls").boolean(!one);
}

void ChatBody::write_choice() {
  const swy::ChatChoice choice = swy::read_choice(request_, losses_);
  using Mode = swy::ChatChoice::Mode;
  if (choice.mode == Mode::kUnsaid) return;
  if (choice.mode == Mode::kAny || !choice.allowed.empty()) losses_.add("tool_choice");
  json_.key("tool_choice");
  if (choice.mode == Mode::kTool) {
    write_named_choice(choice.name);
  } else {
    json_.text(choice.mode == Mode::kNone ? "none" : "auto");
  }
}

// ---- settings ----

void ChatBody::write_thinking() {
  const swy::ChatReasoning asked = swy::read_reasoning(request_, losses_);
  if (!json::is_null(request_.value("enable_thinking"))) return;
  if (asked.effort.empty() && asked.budget < 0) return;
  const bool thinks = asked.effort != "none" && asked.effort != "minimal";
  json_.key("enable_thinking").boolean(thinks);
  const std::int64_t budget = asked.budget >= 0 ? asked.budget : budget_of(asked.effort);
  if (thinks && budget >= 0 && json::is_null(request_.value("thinking_budget"))) {
    json_.key("thinking_budget").integer(budget);
  }
}

void ChatBody::write_format() {
  const std::string_view format = request_.value("response_format");
  const std::string_view type = json::inside(json::find(format, "type"));
  if (type.empty() || type == "text") return;
  json_.key("response_format");
  if (!schema_.empty()) {
    losses_.add("response_format");
    json_.open_object().key("type").text("json_object").close_object();
  } else {
    writer_.value(format);
  }
}

void ChatBody::write_search() {
  const std::string_view options = request_.value("web_search_options");
  if (json::type_of(options) != 'o')
    return losses_.add_unless_null({}, "web_search_options", options);
  const Place here{nullptr, "web_search_options"};
  json::Cursor cursor(options);
  std::string_view name;
  cursor.object();
  while (cursor.member(name)) losses_.add_unless_null(here, name, cursor.value());
  if (json::is_null(request_.value("enable_search"))) json_.key("enable_search").boolean(true);
  if (json::is_null(request_.value("search_options"))) {
    json_.key("search_options").open_object().key("enable_source").boolean(true).close_object();
  }
}

}  // namespace dashscope
