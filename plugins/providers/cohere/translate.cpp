#include "providers/cohere/translate.hpp"

#include "providers/cohere/chat.hpp"
#include "providers/cohere/lists.hpp"

namespace cohere {

namespace json = swy::json;

namespace {

std::string lower(std::string text) {
  for (char& c : text) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return text;
}

std::int32_t class_of(unsigned status, const std::string& message) {
  const auto says = [&message](std::string_view words) {
    return message.find(words) != std::string::npos;
  };
  if (status == 498) return SWY_CLS_AUTH;  // here an invalid token
  if (status == 429 && says("month")) return SWY_CLS_QUOTA;
  if (status == 400 && (says("too many tokens") || says("too long"))) return SWY_CLS_TOO_LONG;
  return swy::class_of_status(status);
}

// Empty for a reason that is a fault.
std::string_view finish_of(std::string_view reason) {
  if (reason == "COMPLETE" || reason == "STOP_SEQUENCE") return "stop";
  if (reason == "MAX_TOKENS") return "length";
  if (reason == "TOOL_CALL") return "tool_calls";
  return {};
}

// Tokens, not what is billed.
swy::ChatUsage usage_of(std::string_view usage) {
  swy::ChatUsage found;
  found.prompt = swy::ChatUsage::count(json::find_path(usage, "tokens.input_tokens"));
  found.completion = swy::ChatUsage::count(json::find_path(usage, "tokens.output_tokens"));
  found.cached = swy::ChatUsage::count(json::find(usage, "cached_tokens"));
  return found;
}

}  // namespace

swy::Refusal read_refusal(unsigned status, std::uint32_t retry_after_ms, std::string_view body) {
  swy::Refusal refusal;
  refusal.status = status;
  refusal.retry_after_ms = retry_after_ms;
  refusal.message = json::to_text(json::find(body, "message")).value_or("");
  refusal.cls = class_of(status, lower(refusal.message));
  return refusal;
}

Operation::Operation(const swy::Request& request, std::int64_t created)
    : TaskOperation(request, created, "cohere-v2") {}

// ---- requests ----

swy::Next Operation::start(swy::Out& out) {
  if (chat_) return start_chat(out);
  if (request_.task() == "rerank") return start_rerank(out);
  if (request_.task() != "embeddings") return not_offered("cohere");
  const auto refused = open_embeddings(std::make_unique<Embeddings>(request_), out);
  return refused ? *refused : send_batch(out);
}

swy::Next Operation::start_chat(swy::Out& out) {
  const ChatBody body(request_);
  const auto refused = refused_body(body.refusal(), body.losses(), out);
  if (refused) return *refused;
  identify();
  return send("/v2/chat", body.pieces(), out);
}

swy::Next Operation::start_rerank(swy::Out& out) {
  swy::RerankBody body;
  write_rerank(request_, body);
  const auto refused = refused_body(body.refusal, body.losses, out);
  return refused ? *refused : send("/v2/rerank", body.writer.pieces(), out);
}

swy::Next Operation::send_batch(swy::Out& out) {
  swy::Gather body;
  body.add(embeddings_->next_body());
  return send("/v2/embed", body, out);
}

swy::Next Operation::send(std::string_view path, const swy::Gather& body, swy::Out& out) const {
  swy::begin_post(out, path, streaming_);
  out.auth("bearer");
  out.body(body);
  return swy::Next::send();
}

// ---- answers ----

swy::Next Operation::on_data(const swy::Event& event, swy::Out& out) {
  const std::string_view data = event.data();
  if (status_ >= 300) return swy::refuse(out, read_refusal(status_, retry_after_ms_, data));
  if (streaming_) return on_event(data, out);
  if (chat_) return on_message(data, out);
  if (request_.task() != "rerank") return on_embeddings(data, out);
  return end_rerank(rerank_answer(request_, data), rerank_usage(data), out);
}

swy::Next Operation::on_end(swy::Out& out) {
  if (status_ >= 300) return swy::refuse(out, read_refusal(status_, retry_after_ms_, {}));
  return bad_answer(streaming_ ? "the stream ended before message-end"
                               : "the upstream's answer is empty");
}

swy::Next Operation::on_message(std::string_view body, swy::Out& out) {
  const std::string_view message = json::find(body, "message");
  if (!json::valid(body) || json::type_of(message) != 'o') {
    return bad_answer("the answer is no answer of Cohere's chat");
  }
  const std::string_view id = json::inside(json::find(body, "id"));
  if (!id.empty()) identify(id);
  answer_.open(out, 0);
  answer_.thought(out, 0, json::inside(json::find(message, "tool_plan")));
  json::Cursor blocks(json::find(message, "content"));
  if (blocks.array()) {
    while (blocks.element()) {
      const std::string_view block = blocks.value();
      answer_.thought(out, 0, json::inside(json::find(block, "thinking")));
      answer_.text(out, 0, json::inside(json::find(block, "text")));
    }
  }
  json::Cursor calls(json::find(message, "tool_calls"));
  if (calls.array()) {
    while (calls.element()) {
      const std::string_view call = calls.value();
      const std::string arguments =
          json::to_text(json::find_path(call, "function.arguments")).value_or("{}");
      answer_.whole_call(out, 0, json::inside(json::find(call, "id")),
                         json::inside(json::find_path(call, "function.name")), {},
                         arguments.empty() ? std::string_view("{}") : arguments);
    }
  }
  return finish(json::inside(json::find(body, "finish_reason")), json::find(body, "usage"), out);
}

swy::Next Operation::finish(std::string_view reason, std::string_view usage, swy::Out& out) {
  const std::string_view ours = finish_of(reason);
  if (ours.empty()) {
    return swy::refuse(out, {.cls = reason == "TIMEOUT" ? SWY_CLS_TIMEOUT : SWY_CLS_SERVER,
                             .status = status_,
                             .message = "the upstream broke off its answer"});
  }
  answer_.finish(out, 0, ours, reason);
  answer_.end(out, usage_of(usage));
  return swy::Next::done();
}

swy::Next Operation::on_event(std::string_view data, swy::Out& out) {
  const std::string_view type = json::inside(json::find(data, "type"));
  if (type.empty()) {
    if (!json::find(data, "message").empty()) {  // an error's document
      return swy::refuse(out, read_refusal(200, retry_after_ms_, data));
    }
    return data == "[DONE]" ? bad_answer("the stream ended before message-end")
                            : bad_answer("a stream event has no type");
  }
  const std::string_view delta = json::find(data, "delta");
  const std::string_view message = json::find(delta, "message");
  if (type == "message-start") {
    const std::string_view id = json::inside(json::find(data, "id"));
    if (!id.empty()) identify(id);
    answer_.open(out, 0);
  } else if (type == "content-delta" || type == "content-start") {
    on_content(json::find(message, "content"), out);
  } else if (type == "tool-plan-delta") {
    answer_.thought(out, 0, json::inside(json::find(message, "tool_plan")));
  } else if (type.starts_with("tool-call-")) {
    on_call(type, message, out);
  } else if (type == "message-end") {
    return finish(json::inside(json::find(delta, "finish_reason")), json::find(delta, "usage"),
                  out);
  }
  return swy::Next::feed();
}

void Operation::on_content(std::string_view content, swy::Out& out) {
  answer_.thought(out, 0, json::inside(json::find(content, "thinking")));
  answer_.text(out, 0, json::inside(json::find(content, "text")));
}

// Here tool_calls is one call, not a list.
void Operation::on_call(std::string_view type, std::string_view message, swy::Out& out) {
  const std::string_view call = json::find(message, "tool_calls");
  const std::string_view arguments = json::inside(json::find_path(call, "function.arguments"));
  if (type == "tool-call-start") {
    call_ = answer_.begin_call(out, 0, json::inside(json::find(call, "id")),
                               json::inside(json::find_path(call, "function.name")));
    answer_.arguments(out, 0, call_, arguments);
  } else if (type == "tool-call-delta" && answer_.calls(0) > 0) {
    answer_.arguments(out, 0, call_, arguments);
  } else if (type == "tool-call-end" && answer_.calls(0) > 0) {
    answer_.end_call(0);
  }
}

}  // namespace cohere
