#include "providers/cohere/translate.hpp"

#include <algorithm>
#include <switchyard/json.hpp>

#include "providers/cohere/chat.hpp"

namespace cohere {

namespace json = swy::json;

namespace {

std::string escaped(std::string_view text) {
  std::string out;
  json::append_escaped(out, text);
  return out;
}

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
    : request_(request),
      chat_(request.task() == "chat"),
      streaming_(chat_ && request.stream()),
      answer_(request, created, "cohere-v2") {}

swy::Next Operation::step(const swy::Event& event, swy::Out& out) {
  switch (event.kind()) {
    case SWY_EV_START:
      return start(out);
    case SWY_EV_HEAD:
      status_ = event.status();
      retry_after_ms_ = swy::retry_after_ms(event);
      return swy::Next::feed();
    case SWY_EV_DATA:
      return on_data(event.data(), out);
    case SWY_EV_END:
      if (status_ >= 300) return swy::refuse(out, read_refusal(status_, retry_after_ms_, {}));
      return bad_answer(streaming_ ? "the stream ended before message-end"
                                   : "the upstream's answer is empty");
    case SWY_EV_IOERR:
      return swy::Next::fail(
          {static_cast<std::int32_t>(event.status()), std::string(event.data())});
    case SWY_EV_CANCEL:
      return swy::Next::done();
    default:
      return swy::Next::unknown_event();
  }
}

swy::Next Operation::bad_answer(std::string what) const {
  return swy::Next::fail({SWY_CLS_BAD_ANSWER, std::move(what), status_});
}

// ---- requests ----

swy::Next Operation::start(swy::Out& out) {
  if (chat_) return start_chat(out);
  if (request_.task() == "rerank") return start_rerank(out);
  if (request_.task() == "embeddings") {
    embeddings_.emplace(request_);
    if (embeddings_->refusal()) return swy::refuse(out, *embeddings_->refusal());
    embeddings_->losses().emit(out);
    return send_batch(out);
  }
  return swy::Next::fail(
      {SWY_CLS_NOT_OFFERED, "cohere does not offer " + std::string(request_.task())});
}

swy::Next Operation::start_chat(swy::Out& out) {
  const ChatBody body(request_);
  if (body.refusal()) return swy::refuse(out, *body.refusal());
  body.losses().emit(out);
  answer_.identify("chatcmpl-" + escaped(request_.id()), escaped(request_.model()));
  out.begin("POST", "/v2/chat", streaming_ ? SWY_FRAME_SSE : SWY_FRAME_WHOLE);
  out.auth("bearer");
  out.header("accept", streaming_ ? "text/event-stream" : "application/json");
  out.header("content-type", "application/json");
  out.body(body.pieces());
  return swy::Next::send();
}

swy::Next Operation::start_rerank(swy::Out& out) {
  RerankBody body;
  write_rerank(request_, body);
  if (body.refusal) return swy::refuse(out, *body.refusal);
  body.losses.emit(out);
  out.begin("POST", "/v2/rerank", SWY_FRAME_WHOLE);
  out.auth("bearer");
  out.header("accept", "application/json");
  out.header("content-type", "application/json");
  out.body(body.writer.pieces());
  return swy::Next::send();
}

swy::Next Operation::send_batch(swy::Out& out) {
  out.begin("POST", "/v2/embed", SWY_FRAME_WHOLE);
  out.auth("bearer");
  out.header("accept", "application/json");
  out.header("content-type", "application/json");
  out.body(embeddings_->next_body());
  return swy::Next::send();
}

// ---- answers ----

swy::Next Operation::on_data(std::string_view data, swy::Out& out) {
  if (status_ >= 300) return swy::refuse(out, read_refusal(status_, retry_after_ms_, data));
  if (streaming_) return on_event(data, out);
  if (chat_) return on_message(data, out);
  return request_.task() == "rerank" ? on_rerank(data, out) : on_embeddings(data, out);
}

swy::Next Operation::on_embeddings(std::string_view body, swy::Out& out) {
  if (!embeddings_ || !embeddings_->take(body)) {
    return bad_answer("the answer has not one embedding for each text");
  }
  if (!embeddings_->complete()) return send_batch(out);
  out.usage(embeddings_->usage());
  out.whole(embeddings_->answer(), 0);
  return swy::Next::done();
}

swy::Next Operation::on_rerank(std::string_view body, swy::Out& out) {
  const std::string answer = rerank_answer(request_, body);
  if (answer.empty()) return bad_answer("the answer has no results of a rerank");
  const std::string usage = rerank_usage(body);
  if (!usage.empty()) out.usage(usage);
  out.whole(answer, 0);
  return swy::Next::done();
}

swy::Next Operation::on_message(std::string_view body, swy::Out& out) {
  const std::string_view message = json::find(body, "message");
  if (!json::valid(body) || json::type_of(message) != 'o') {
    return bad_answer("the answer is no answer of Cohere's chat");
  }
  const std::string_view id = json::inside(json::find(body, "id"));
  if (!id.empty()) answer_.identify(id, escaped(request_.model()));
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
    if (!id.empty()) answer_.identify(id, escaped(request_.model()));
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
