// chat_body.hpp - the body of a chat for an upstream that says messages, tools and settings nearly
// as OpenAI does: derive from ChatBodyBase, write in the constructor.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <switchyard/chat_readers.hpp>
#include <utility>
#include <vector>

namespace swy {

// Holds views into the request.
class ChatBodyBase {
 public:
  ChatBodyBase(const ChatBodyBase&) = delete;
  ChatBodyBase& operator=(const ChatBodyBase&) = delete;

  const std::optional<Refusal>& refusal() const { return refusal_; }
  Gather pieces() const { return writer_.pieces(); }
  const Losses& losses() const { return losses_; }

 protected:
  using Message = ChatMessage;
  using Place = swy::Place;

  // Reads the messages. What can't be said stands as the refusal, the first one of all.
  explicit ChatBodyBase(const Request& request) : request_(request), json_(writer_.json()) {
    std::string wrong;
    if (!read_messages(request.value("messages"), messages_, losses_, wrong)) {
      refuse(SWY_CLS_BAD_REQUEST, "messages", std::move(wrong));
    }
  }
  ~ChatBodyBase() = default;

  void refuse(std::int32_t cls, std::string_view param, std::string message) {
    refuse_request(refusal_, cls, std::string(param), std::move(message));
  }
  void refuse_tools() {
    refuse_old_tools(request_, refusal_);
    refuse_impossible_choice(request_, refusal_);
  }

  // What asks for something, and is none of what `is_known(name)`, is lost.
  template <class IsKnown>
  void lose_unknown(const IsKnown& is_known) {
    for (std::size_t i = 0; i < request_.member_count(); ++i) {
      const swy_member& member = request_.member(i);
      const std::string_view name = view(member.name);
      if (!is_known(name) && !is_nothing(request_.value(member))) losses_.add(name);
    }
  }

  // ---- messages ----

  // Opens a message with its role and, of a tool's result, the call that it answers.
  void open_message(const Message& message, const Place& here) {
    losses_.add_unless_null(here, "name", message.name);
    losses_.add_unless_null(here, "cache_control", message.cache_control);
    json_.open_object().key("role");
    switch (message.role) {
      case ChatRole::kSystem:
        json_.text("system");
        break;
      case ChatRole::kAssistant:
        json_.text("assistant");
        break;
      case ChatRole::kTool:
        json_.text("tool").key("tool_call_id");
        writer_.string_of(json::inside(message.tool_call_id));
        if (json::is_true(message.is_error)) losses_.add(here, "is_error");
        break;
      default:
        json_.text("user");
    }
  }

  // Opens a call, with its function. What is no call of a function is refused in `vendor`'s name.
  void open_call(std::string_view call, const Place& here, std::string_view vendor) {
    const std::string_view function = json::find(call, "function");
    const std::string_view name = json::find(function, "name");
    const std::string_view arguments = json::find(function, "arguments");
    losses_.add_unless_null(here, "extra_content", json::find(call, "extra_content"));
    if (json::type_of(name) != 's') {
      refuse(SWY_CLS_NOT_OFFERED, "messages",
             "tool_calls[].function.name: " + std::string(vendor) + " knows functions only");
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
    json_.close_object();
  }

  // What a part says where it is text, without its quotes; nothing where it is none.
  static std::optional<std::string_view> words_of(const ChatPart& part) {
    if (part.type == "text") return json::inside(part.text);
    if (part.type == "refusal") return json::inside(part.refusal);
    return std::nullopt;
  }

  // ---- tools ----

  bool has_tools() {
    const std::string_view tools = request_.value("tools");
    if (json::type_of(tools) != 'a') losses_.add_unless_null(Place{}, "tools", tools);
    return json::type_of(tools) == 'a' && tools != "[]";
  }

  // Calls `visit` for each function among the tools, with its place; tools of other kinds are lost.
  template <class Visit>
  void each_function(const Visit& visit) {
    json::Cursor cursor(request_.value("tools"));
    cursor.array();
    const Place list{nullptr, "tools"};
    for (std::int64_t i = 0; cursor.element(); ++i) {
      const Place here{&list, {}, i}, inner{&here, "function"};
      const std::string_view tool = cursor.value();
      if (json::inside(json::find(tool, "type")) != "function") {
        losses_.add(here);
        continue;
      }
      const ChatFunction function = read_function(tool, inner, losses_);
      losses_.add_unless_null(here, "cache_control", json::find(tool, "cache_control"));
      visit(function, inner);
    }
  }

  // The parameters of a function, which has none where it says none.
  void write_parameters(const ChatFunction& function) {
    json_.key("parameters");
    if (json::type_of(function.parameters) == 'o') {
      writer_.value(function.parameters);
    } else {
      json_.raw(R"({"type":"object","properties":{}})");
    }
  }

  // A choice of one tool, as OpenAI says it.
  void write_named_choice(std::string_view name) {
    json_.open_object().key("type").text("function").key("function").open_object().key("name");
    writer_.string_of(json::inside(name));
    json_.close_object().close_object();
  }

  // ---- settings ----

  // A member as it stands, under the upstream's name.
  void write_as(std::string_view name, std::string_view upstream_name) {
    const std::string_view value = request_.value(name);
    if (json::is_null(value)) return;
    json_.key(upstream_name);
    writer_.value(value);
  }

  void write_tokens_max(std::string_view upstream_name) {
    const bool old = json::is_null(request_.value("max_completion_tokens"));
    write_as(old ? "max_tokens" : "max_completion_tokens", upstream_name);
  }

  // Always a list; what is beyond `most` is lost.
  void write_stops(std::string_view upstream_name, std::size_t most) {
    const std::string_view stop = request_.value("stop");
    if (json::type_of(stop) == 's') {
      json_.key(upstream_name).open_array().raw(stop).close_array();
      return;
    }
    json::Cursor cursor(stop);
    if (!cursor.array() || stop == "[]") return;
    const Place list{nullptr, "stop"};
    json_.key(upstream_name).open_array();
    for (std::size_t i = 0; cursor.element(); ++i) {
      const std::string_view each = cursor.value();
      if (i < most) {
        json_.raw(each);
      } else {
        losses_.add(Place{&list, {}, static_cast<std::int64_t>(i)});
      }
    }
    json_.close_array();
  }

  const Request request_;
  BodyWriter writer_;
  json::Writer& json_;
  Losses losses_;
  std::optional<Refusal> refusal_;
  std::vector<Message> messages_;
};

}  // namespace swy
