#include "core/surface/anthropic_answer.hpp"

#include <charconv>

#include "core/surface/anthropic_request.hpp"
#include "core/surface/carried.hpp"

namespace switchyard::surface {

namespace json = swy::json;

namespace {

void begin_event(std::string& out, std::string_view type) {
  out.append("event: ").append(type).append("\ndata: {\"type\":\"").append(type).append("\"");
}
void end_event(std::string& out) { out += "}\n\n"; }

std::string_view error_type(const exchange::Failure& failure) {
  switch (failure.status) {
    case 401:
      return "authentication_error";
    case 402:
      return "billing_error";
    case 403:
      return "permission_error";
    case 404:
      return "not_found_error";
    case 413:
      return "request_too_large";
    case 429:
      return "rate_limit_error";
    case 503:
    case 529:
      return "overloaded_error";
    case 504:
      return "timeout_error";
    default:
      return failure.status >= 500 ? "api_error" : "invalid_request_error";
  }
}

std::string_view stop_reason(std::string_view finish_reason) {
  if (finish_reason == "length") return "max_tokens";
  if (finish_reason == "tool_calls" || finish_reason == "function_call") return "tool_use";
  return finish_reason == "content_filter" ? "refusal" : "end_turn";
}

void append_id(std::string& out, std::string_view inside) {
  if (!inside.starts_with("msg_")) out += "msg_";
  json::append_inside(out, inside.empty() ? "switchyard" : inside);
}

// All members that the SDKs' types want, null where nothing is known.
void write_usage(json::Writer& json, const ChatCounts& counts, bool delta) {
  const std::uint64_t cached = counts.cached + counts.cache_write;
  json.open_object();
  json.key("input_tokens").natural(counts.prompt > cached ? counts.prompt - cached : 0);
  json.key("cache_creation_input_tokens").natural(counts.cache_write);
  json.key("cache_read_input_tokens").natural(counts.cached);
  json.key("output_tokens").natural(counts.completion);
  json.key("output_tokens_details");
  if (counts.reasoning > 0) {
    json.open_object().key("thinking_tokens").natural(counts.reasoning).close_object();
  } else {
    json.null();
  }
  json.key("server_tool_use").null();
  if (!delta) {
    for (const std::string_view name :
         {"cache_creation", "inference_geo", "service_tier", "speed"}) {
      json.key(name).null();
    }
  }
  json.close_object();
}

void write_stop(json::Writer& json, std::string_view reason, std::string_view refusal) {
  json.key("stop_reason");
  if (reason.empty()) {
    json.null();
  } else {
    json.text(reason);
  }
  json.key("stop_sequence").null().key("stop_details");
  if (reason != "refusal") {
    json.null();
    return;
  }
  json.open_object().key("type").text("refusal").key("category").null().key("explanation");
  if (refusal.empty()) {
    json.null();
  } else {
    json.raw("\"" + std::string(refusal) + "\"");
  }
  json.close_object();
}

// A block of a call, its input left to the writer behind "input":.
std::string call_block(std::string_view id, std::string_view name) {
  std::string out = R"({"type":"tool_use","id":")";
  json::append_inside(out, id);
  out += R"(","caller":{"type":"direct"},"name":")";
  json::append_inside(out, name);
  return out + R"(","input":)";
}

// The input of a call: its arguments where they are an object.
std::string input_of(std::string_view arguments_inside) {
  std::string quoted = "\"";
  quoted.append(arguments_inside).append("\"");
  std::string text = json::unescape(quoted);
  if (text.find_first_not_of(" \t\r\n") == std::string::npos) return "{}";
  if (json::valid(text) && json::type_of(text.substr(text.find_first_not_of(" \t\r\n"))) == 'o') {
    return text;
  }
  // What the model wrote is no object: it stays readable.
  return R"({"arguments":)" + json::quoted(text) + "}";
}

std::string sealed_block(std::string_view json) {
  return R"({"type":"redacted_thinking","data":")" + carry(json) + R"("})";
}
// For the call behind it, whose members have no place there.
std::string sealed_extra(std::string_view id_inside, std::string_view extra) {
  std::string json = R"({"call":")";
  json::append_inside(json, id_inside);
  json.append(R"(","extra_content":)").append(extra).append("}");
  return sealed_block(json);
}

// A detail without its text and signature, or nothing where it is not valid.
std::string head_of(std::string_view detail) {
  std::string out;
  json::Writer writer(out);
  json::Cursor cursor(detail);
  std::string_view name;
  if (!json::valid(detail) || !cursor.object()) return {};
  writer.open_object();
  while (cursor.member(name)) {
    const std::string_view value = cursor.value();
    if (json::is(name, "text") || json::is(name, "signature")) continue;
    std::string quoted = "\"";
    quoted.append(name).append("\"");
    writer.key(json::unescape(quoted)).raw(value);
  }
  writer.close_object();
  return out;
}

// What a client brings back for a block of thinking.
std::string signature_of(std::string_view head, std::string_view signature_inside) {
  std::string json(head.substr(0, head.size() - 1));
  json.append(R"(,"signature":")").append(signature_inside).append("\"}");
  return carry(json);
}

}  // namespace

std::string anthropic_error(const exchange::Failure& failure, std::string_view request_id) {
  std::string message = failure.message, code = failure.code;
  if (json::valid(failure.error_json)) {
    message = json::to_text(json::find(failure.error_json, "message")).value_or(message);
    code = json::to_text(json::find(failure.error_json, "code")).value_or(code);
  }
  std::string out;
  json::Writer writer(out);
  writer.open_object().key("type").text("error").key("error").open_object();
  writer.key("type").text(error_type(failure)).key("message").text(message);
  if (!code.empty()) {
    writer.key("details").open_object().key("error_code").text(code).close_object();
  }
  writer.close_object().key("request_id");
  if (request_id.empty()) {
    writer.null();
  } else {
    writer.text(request_id);
  }
  writer.close_object();
  return out;
}

void AnthropicAnswer::reset() {
  counts_ = ChatCounts();
  started_ = native_ = false;
  block_ = Block::kNone;
  index_ = 0;
  calls_.clear();
  stop_reason_.clear();
  refusal_.clear();
  detail_ = -1;
  detail_head_.clear();
  signature_.clear();
}

// ---- a stream ----

void AnthropicAnswer::native(std::string_view piece, std::string& out) {
  native_ = true;
  const std::string_view type = json::inside(json::find(piece, "type"));
  out.append("event: ").append(type).append("\n");
  for (;;) {
    const std::size_t end = piece.find_first_of("\r\n");
    out.append("data: ").append(piece.substr(0, end)).append("\n");
    if (end == std::string_view::npos) break;
    piece.remove_prefix(end + 1);
  }
  out += '\n';
}

void AnthropicAnswer::start(std::string& out) {
  if (started_) return;
  started_ = true;
  begin_event(out, "message_start");
  out += R"(,"message":{"id":")";
  append_id(out, chunk_.id);
  out += R"(","type":"message","role":"assistant","model":")";
  json::append_inside(out, chunk_.model);
  out += R"(","content":[],"container":null,"diagnostics":null,)";
  json::Writer writer(out);
  write_stop(writer, {}, {});
  writer.key("usage");
  write_usage(writer, ChatCounts(), false);
  out += '}';
  end_event(out);
}

void AnthropicAnswer::delta(std::string_view text, std::string& out) {
  if (!chunk_.read(text)) return;
  start(out);
  counts_.read(chunk_.usage);
  const ChatChoice* const choice = chunk_.first();
  if (choice == nullptr) return;
  if (shows_thinking_) {
    json::Cursor details(choice->details);
    if (details.array()) {
      // The block's own beginning comes before its text.
      while (details.element()) add_detail(details.value(), out);
    }
    add_thinking(choice->reasoning, out);
  }
  add_text(choice->content, out);
  if (!choice->refusal.empty()) {
    json::append_inside(refusal_, json::inside(choice->refusal));
    add_text(choice->refusal, out);
  }
  json::Cursor calls(choice->calls);
  if (calls.array()) {
    while (calls.element()) add_call(calls.value(), out);
  }
  if (!choice->finish_reason.empty()) stop_reason_ = stop_reason(choice->finish_reason);
}

void AnthropicAnswer::open_block(Block block, std::string_view content, std::string& out) {
  close_block(out);
  begin_event(out, "content_block_start");
  out.append(R"(,"index":)").append(std::to_string(index_));
  out.append(R"(,"content_block":)").append(content);
  end_event(out);
  block_ = block;
}

void AnthropicAnswer::close_block(std::string& out) {
  if (block_ == Block::kNone) return;
  if (block_ == Block::kThinking && !signature_.empty() && !detail_head_.empty()) {
    put_delta("signature_delta", "signature", signature_of(detail_head_, signature_), out);
  }
  begin_event(out, "content_block_stop");
  out.append(R"(,"index":)").append(std::to_string(index_++));
  end_event(out);
  block_ = Block::kNone;
  detail_head_.clear();
  signature_.clear();
}

void AnthropicAnswer::put_delta(std::string_view type, std::string_view member,
                                std::string_view inside, std::string& out) {
  begin_event(out, "content_block_delta");
  char digits[12];
  const auto end = std::to_chars(digits, digits + sizeof digits, index_);
  out.append(R"(,"index":)").append(digits, end.ptr);
  out.append(R"(,"delta":{"type":")").append(type).append(R"(",")").append(member);
  out += R"(":")";
  json::append_inside(out, inside);
  out += "\"}";
  end_event(out);
}

void AnthropicAnswer::add_text(std::string_view value, std::string& out) {
  const std::string_view inside = json::inside(value);
  if (inside.empty()) return;
  if (block_ != Block::kText) {
    flush_calls(out);
    open_block(Block::kText, R"({"type":"text","text":"","citations":null})", out);
  }
  put_delta("text_delta", "text", inside, out);
}

void AnthropicAnswer::add_thinking(std::string_view value, std::string& out) {
  const std::string_view inside = json::inside(value);
  if (inside.empty()) return;
  if (block_ != Block::kThinking) {
    flush_calls(out);
    open_block(Block::kThinking, R"({"type":"thinking","thinking":"","signature":""})", out);
  }
  put_delta("thinking_delta", "thinking", inside, out);
}

void AnthropicAnswer::add_detail(std::string_view detail, std::string& out) {
  const std::string_view type = json::inside(json::find(detail, "type"));
  const std::int64_t number = json::to_integer(json::find(detail, "index")).value_or(0);
  const bool goes_on = block_ == Block::kThinking && number == detail_;
  // Only the first fragment of a block says what it is.
  if (type != "reasoning.text" && !(type.empty() && goes_on)) {
    if (type.empty() || !json::valid(detail)) return;
    flush_calls(out);
    add_sealed(sealed_block(detail), out);
    return;
  }
  if (!goes_on) {
    flush_calls(out);
    open_block(Block::kThinking, R"({"type":"thinking","thinking":"","signature":""})", out);
    detail_ = number;
    detail_head_ = head_of(detail);
  }
  json::append_inside(signature_, json::inside(json::find(detail, "signature")));
}

// A block that is whole at once.
void AnthropicAnswer::add_sealed(std::string_view content, std::string& out) {
  open_block(Block::kText, content, out);
  close_block(out);
}

AnthropicAnswer::Call& AnthropicAnswer::call_of(std::uint64_t index) {
  for (Call& call : calls_) {
    if (call.index == index) return call;
  }
  calls_.emplace_back().index = index;
  return calls_.back();
}

void AnthropicAnswer::begin_call(Call& call, std::string& out) {
  if (!call.extra.empty()) add_sealed(sealed_extra(call.id, call.extra), out);
  open_block(Block::kCall, call_block(call.id, call.name) + "{}}", out);
  call.begun = true;
  open_call_ = static_cast<std::size_t>(&call - calls_.data());
  send_arguments(call, out);
}

void AnthropicAnswer::send_arguments(Call& call, std::string& out) {
  if (call.sent == call.arguments.size()) return;
  put_delta("input_json_delta", "partial_json", std::string_view(call.arguments).substr(call.sent),
            out);
  call.sent = call.arguments.size();
}

void AnthropicAnswer::add_call(std::string_view entry, std::string& out) {
  ChatCall piece;
  piece.read(entry);
  Call& call = call_of(piece.index);
  if (call.ended) return;
  if (call.id.empty()) json::append_inside(call.id, piece.id);
  if (call.name.empty()) json::append_inside(call.name, piece.name);
  if (!piece.extra.empty() && json::valid(piece.extra)) call.extra = piece.extra;
  json::append_inside(call.arguments, piece.arguments);
  if (call.begun) return send_arguments(call, out);
  if (call.name.empty()) return;
  if (block_ == Block::kCall) {
    // Only once it is whole may another one begin.
    Call& open = calls_[open_call_];
    std::string quoted = "\"" + open.arguments + "\"";
    if (!json::valid(json::unescape(quoted))) return;
    open.ended = true;
  }
  begin_call(call, out);
}

// What waited for the calls before it.
void AnthropicAnswer::flush_calls(std::string& out) {
  for (Call& call : calls_) {
    if (call.ended) continue;
    if (!call.begun && call.name.empty() && call.arguments.empty()) continue;
    if (!call.begun) begin_call(call, out);
    call.ended = true;
  }
  if (block_ == Block::kCall) close_block(out);
}

void AnthropicAnswer::end(const observe::Usage& usage, std::string& out) {
  if (native_) return;
  start(out);
  flush_calls(out);
  close_block(out);
  counts_.otherwise(usage);
  if (!refusal_.empty()) stop_reason_ = "refusal";
  if (stop_reason_.empty() || (stop_reason_ == "end_turn" && !calls_.empty())) {
    stop_reason_ = calls_.empty() ? "end_turn" : "tool_use";
  }
  begin_event(out, "message_delta");
  out += R"(,"delta":{"container":null,)";
  json::Writer writer(out);
  write_stop(writer, stop_reason_, refusal_);
  out += '}';
  writer.key("usage");
  write_usage(writer, counts_, true);
  end_event(out);
  begin_event(out, "message_stop");
  end_event(out);
}

void AnthropicAnswer::fail(const exchange::Failure& failure, std::string& out) {
  out.append("event: error\ndata: ").append(anthropic_error(failure, {})).append("\n\n");
}

// ---- a whole answer ----

bool AnthropicAnswer::whole(std::string_view answer, std::string& out) {
  const ChatChoice* choice = nullptr;
  if (!chunk_.read(answer) || (choice = chunk_.first()) == nullptr) return false;
  counts_.read(chunk_.usage);
  out += R"({"id":")";
  append_id(out, chunk_.id);
  out += R"(","type":"message","role":"assistant","model":")";
  json::append_inside(out, chunk_.model);
  out += R"(","content":[)";

  bool first = true;
  const auto block = [&](std::string_view json) {
    if (!first) out += ',';
    first = false;
    out += json;
  };
  const auto thinking = [](std::string_view text, std::string_view signature) {
    std::string json = R"({"type":"thinking","thinking":")";
    json::append_inside(json, text);
    return json.append(R"(","signature":")").append(signature).append("\"}");
  };
  bool said = false;
  json::Cursor details(shows_thinking_ ? choice->details : std::string_view());
  if (details.array()) {
    while (details.element()) {
      const std::string_view detail = details.value();
      const std::string head = head_of(detail);
      if (head.empty()) continue;
      if (json::inside(json::find(detail, "type")) != "reasoning.text") {
        block(sealed_block(detail));
        continue;
      }
      said = true;
      const std::string_view signature = json::inside(json::find(detail, "signature"));
      block(thinking(json::inside(json::find(detail, "text")),
                     signature.empty() ? std::string() : signature_of(head, signature)));
    }
  }
  const std::string_view reasoning = json::inside(choice->reasoning);
  if (shows_thinking_ && !said && !reasoning.empty()) block(thinking(reasoning, {}));
  for (const std::string_view value : {choice->content, choice->refusal}) {
    const std::string_view inside = json::inside(value);
    if (inside.empty()) continue;
    std::string text = R"({"type":"text","text":")";
    json::append_inside(text, inside);
    block(text + R"(","citations":null})");
  }
  bool called = false;
  json::Cursor calls(choice->calls);
  if (calls.array()) {
    while (calls.element()) {
      ChatCall call;
      call.read(calls.value());
      called = true;
      if (!call.extra.empty() && json::valid(call.extra)) {
        block(sealed_extra(call.id, call.extra));
      }
      block(call_block(call.id, call.name) + input_of(call.arguments) + "}");
    }
  }
  out += R"(],"container":null,"diagnostics":null,)";
  std::string_view reason = stop_reason(choice->finish_reason);
  std::string refusal;
  json::append_inside(refusal, json::inside(choice->refusal));
  if (!refusal.empty()) reason = "refusal";
  if (called && reason == "end_turn") reason = "tool_use";
  json::Writer writer(out);
  write_stop(writer, reason, refusal);
  writer.key("usage");
  write_usage(writer, counts_, false);
  out += '}';
  return true;
}

}  // namespace switchyard::surface
