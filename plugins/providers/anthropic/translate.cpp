#include "providers/anthropic/translate.hpp"

#include <algorithm>

namespace anthropic {

namespace json = swy::json;

namespace {

constexpr std::string_view kDialect = "anthropic";
constexpr unsigned kPagesMax = 20;  // of a list of models
constexpr std::size_t kHeldMax = 16u << 20;

bool contains(std::string_view text, std::string_view part) {
  return text.find(part) != std::string_view::npos;
}

// Anthropic's reasons in OpenAI's words.
std::string_view finish_reason(std::string_view stop_reason) {
  if (stop_reason == "max_tokens" || stop_reason == "model_context_window_exceeded") {
    return "length";
  }
  if (stop_reason == "tool_use") return "tool_calls";
  if (stop_reason == "refusal") return "content_filter";
  return "stop";  // end_turn, stop_sequence, pause_turn, and what is yet to come
}

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return out;
}

int class_of(unsigned status, std::string_view type, std::string_view message,
             std::string_view code) {
  const std::string text = lower(message);
  if (type == "billing_error" || contains(code, "spend_limit") || contains(text, "spend limit") ||
      contains(text, "credit balance")) {
    return SWY_CLS_QUOTA;
  }
  if (type == "request_too_large" || contains(text, "prompt is too long") ||
      contains(text, "exceed context limit")) {
    return SWY_CLS_TOO_LONG;
  }
  if (status != 200) return swy::class_of_status(status);
  // Within an answer that had begun only the type says what it is.
  if (type == "overloaded_error") return SWY_CLS_OVERLOADED;
  if (type == "rate_limit_error") return SWY_CLS_RATE_LIMIT;
  if (type == "authentication_error" || type == "permission_error") return SWY_CLS_AUTH;
  if (type == "not_found_error") return SWY_CLS_NO_MODEL;
  if (type == "invalid_request_error") return SWY_CLS_BAD_REQUEST;
  if (type == "timeout_error") return SWY_CLS_TIMEOUT;
  return SWY_CLS_SERVER;
}

// anthropic-ratelimit-*: what is left until when.
std::string read_limits(const swy::Event& head) {
  std::string out;
  json::Writer writer(out);
  bool any = false;
  writer.open_object();
  const auto put = [&](std::string_view name, std::string_view header) {
    const auto number = json::to_integer(head.header(header));
    if (!number || *number < 0) return;
    any = true;
    writer.key(name).integer(*number);
  };
  put("rpm", "anthropic-ratelimit-requests-limit");
  put("tpm", "anthropic-ratelimit-tokens-limit");
  put("remaining_requests", "anthropic-ratelimit-requests-remaining");
  put("remaining_tokens", "anthropic-ratelimit-tokens-remaining");
  const std::int64_t reset = swy::rfc3339(head.header("anthropic-ratelimit-tokens-reset"));
  const std::int64_t now = swy::http_date(head.header("date"));
  if (reset >= 0 && now >= 0) {
    writer.key("reset_ms").integer(std::max<std::int64_t>(0, reset - now) * 1000);
  }
  writer.close_object();
  return any ? out : std::string();
}

}  // namespace

swy::Refusal read_refusal(unsigned status, std::uint32_t retry_after_ms, std::string_view body) {
  const std::string_view error = json::find(body, "error");
  swy::Refusal refusal;
  refusal.status = status;
  refusal.retry_after_ms = retry_after_ms;
  refusal.type = json::to_text(json::find(error, "type")).value_or("");
  refusal.message = json::to_text(json::find(error, "message")).value_or("");
  const std::string code = json::to_text(json::find_path(error, "details.error_code")).value_or("");
  refusal.cls = class_of(status, refusal.type, refusal.message, code);
  refusal.code = code;
  return refusal;
}

swy::Result<Settings> parse_settings(std::string_view config_json) {
  Settings settings;
  const std::string_view given = json::find(config_json, "settings");
  if (auto version = json::to_text(json::find(given, "version"))) {
    settings.version = *std::move(version);
  }
  if (const auto tokens = json::to_integer(json::find(given, "max_tokens"))) {
    settings.max_tokens = *tokens;
  }
  json::Cursor betas(json::find(given, "betas"));
  if (betas.array()) {
    while (betas.element()) {
      if (!settings.betas.empty()) settings.betas += ',';
      settings.betas += json::to_text(betas.value()).value_or("");
    }
  }
  return settings;
}

// ---- operation ----

Operation::Operation(const Settings& settings, const swy::Request& request, std::int64_t now)
    : settings_(&settings),
      request_(request),
      streaming_(request.stream() && request.task() == "chat"),
      answer_(request, now, kFormat) {}

swy::Next Operation::step(const swy::Event& event, swy::Out& out) {
  switch (event.kind()) {
    case SWY_EV_DATA:
      return on_data(event, out);
    case SWY_EV_START:
      return start(out);
    case SWY_EV_HEAD:
      return on_head(event, out);
    case SWY_EV_END:
      return on_end();
    case SWY_EV_IOERR:
      return swy::Next::fail(
          {static_cast<std::int32_t>(event.status()), std::string(event.data())});
    case SWY_EV_CANCEL:
      return swy::Next::done();
    default:
      return swy::Next::unknown_event();
  }
}

swy::Next Operation::start(swy::Out& out) {
  if (request_.task() == "models") return ask_for_models(out);
  if (request_.native() && request_.dialect() == kDialect) return start_native(out);
  if (request_.task() != "chat") {
    return swy::Next::fail(
        {SWY_CLS_NOT_OFFERED, "anthropic does not offer " + std::string(request_.task())});
  }
  UpstreamBody body(*settings_, request_);
  if (body.refusal()) return swy::refuse(out, *body.refusal());
  custom_tools_ = body.custom_tools();
  body.losses().emit(out);
  swy::Next next = send(out, "POST", "/messages", streaming_ ? SWY_FRAME_SSE : SWY_FRAME_WHOLE);
  out.header("content-type", "application/json");
  out.body(body.pieces());
  return next;
}

// The client's own bytes, but for the model's name.
swy::Next Operation::start_native(swy::Out& out) {
  swy::Gather body;
  const std::string model = json::quoted(request_.model());
  const swy_member* const asked = request_.find("model");
  if (asked == nullptr || (request_.task() != "chat" && !counts())) {
    return swy::Next::fail({SWY_CLS_NOT_OFFERED, "anthropic does not offer this"});
  }
  body.add(request_.body().substr(0, asked->value_at));
  body.add(model);
  body.add(request_.body().substr(asked->value_at + asked->value_n));
  swy::Next next = send(out, "POST", counts() ? "/messages/count_tokens" : "/messages",
                        streaming_ ? SWY_FRAME_SSE : SWY_FRAME_WHOLE);
  out.header("content-type", "application/json");
  out.body(body);
  return next;
}

swy::Next Operation::send(swy::Out& out, std::string_view method, std::string_view path,
                          std::uint32_t framing) {
  out.begin(method, path, framing);
  out.auth("header", "x-api-key");
  out.header("accept", framing == SWY_FRAME_SSE ? "text/event-stream" : "application/json");
  std::string version, betas = settings_->betas;
  if (request_.native()) {
    version = request_.header("anthropic-version");
    const std::string_view asked = request_.header("anthropic-beta");
    if (!betas.empty() && !asked.empty()) betas += ',';
    betas += asked;
  }
  out.header("anthropic-version", version.empty() ? settings_->version : version);
  if (!betas.empty()) out.header("anthropic-beta", betas);
  for (const std::string_view name : {"traceparent", "tracestate"}) {
    const std::string_view value = request_.header(name);
    if (!value.empty()) out.header(name, value);
  }
  return swy::Next::send();
}

swy::Next Operation::ask_for_models(swy::Out& out) {
  std::string path = "/models?limit=1000";
  if (!after_.empty()) path += "&after_id=" + after_;
  return send(out, "GET", path, SWY_FRAME_WHOLE);
}

swy::Next Operation::on_head(const swy::Event& event, swy::Out& out) {
  status_ = event.status();
  if (status_ >= 300) retry_after_ms_ = swy::retry_after_ms(event);
  const std::string limits = read_limits(event);
  if (!limits.empty()) out.limits(limits);
  return swy::Next::feed();
}

swy::Next Operation::on_data(const swy::Event& event, swy::Out& out) {
  if (status_ >= 300) return refuse(event.data(), out);
  if (request_.native() && request_.task() != "models") {
    return streaming_ ? on_native_event(event.data(), out) : on_native_answer(event.data(), out);
  }
  if (streaming_) return on_event(event.data(), out);
  return request_.task() == "models" ? on_models(event.data(), out) : on_message(event.data(), out);
}

swy::Next Operation::on_end() {
  return bad_answer(streaming_ ? "the stream ended without message_stop"
                               : "the upstream's answer is empty");
}

swy::Next Operation::refuse(std::string_view body, swy::Out& out) {
  return swy::refuse(out, read_refusal(status_, retry_after_ms_, body));
}

swy::Next Operation::bad_answer(std::string what) const {
  return swy::Next::fail({SWY_CLS_BAD_ANSWER, std::move(what), status_});
}

// ---- native passage ----

// What the record wants to know is read on the way; nothing is changed.
swy::Next Operation::on_native_event(std::string_view data, swy::Out& out) {
  json::Cursor cursor(data);
  if (cursor.type() == 'o') cursor.skip();
  const std::string_view type = json::inside(json::find(data, "type"));
  if (!cursor.at_end() || type.empty()) return bad_answer("a stream event is not a JSON object");
  if (type == "error") return refuse(data, out);
  if (type == "message_start") {
    if (begun_) return bad_answer("message_start came twice");
    begun_ = true;
    note_usage(json::find_path(data, "message.usage"));
    if (usage().any()) out.usage(usage().json());
  } else if (!begun_ && type != "ping") {
    return bad_answer("the stream did not begin with message_start");
  } else if (type == "message_delta") {
    note_usage(json::find(data, "usage"));
    const std::string_view reason = json::inside(json::find_path(data, "delta.stop_reason"));
    stopped_ |= !reason.empty();
    if (!reason.empty()) out.finish_reason(finish_reason(reason));
  } else if (type == "message_stop") {
    if (!stopped_) return bad_answer("the message ended without a stop_reason");
    if (usage().any()) out.usage(usage().json());
  }
  const bool content = type == "content_block_delta";
  out.delta(data, SWY_EMIT_NATIVE | (content ? SWY_EMIT_CONTENT : 0U));
  return type == "message_stop" ? swy::Next::done() : swy::Next::feed();
}

swy::Next Operation::on_native_answer(std::string_view body, swy::Out& out) {
  if (!json::valid(body)) return bad_answer("the upstream's answer is not JSON");
  const std::string_view type = json::inside(json::find(body, "type"));
  if (type == "error") return refuse(body, out);
  if (counts() ? !json::to_integer(json::find(body, "input_tokens")) : type != "message") {
    return bad_answer("the upstream's answer is no message");
  }
  note_usage(json::find(body, "usage"));
  if (usage().any()) out.usage(usage().json());
  const std::string_view reason = json::inside(json::find(body, "stop_reason"));
  if (!reason.empty()) out.finish_reason(finish_reason(reason));
  out.whole(body, SWY_EMIT_NATIVE);
  return swy::Next::done();
}

// ---- a stream ----

swy::Next Operation::on_event(std::string_view data, swy::Out& out) {
  std::string_view type, message, block, delta, usage, error, index, name;
  json::Cursor cursor(data);
  if (!cursor.object()) return bad_answer("a stream event is not a JSON object");
  while (cursor.member(name)) {
    const std::string_view value = cursor.value();
    if (json::is(name, "type")) {
      type = json::inside(value);
    } else if (json::is(name, "delta")) {
      delta = value;
    } else if (json::is(name, "index")) {
      index = value;
    } else if (json::is(name, "content_block")) {
      block = value;
    } else if (json::is(name, "message")) {
      message = value;
    } else if (json::is(name, "usage")) {
      usage = value;
    } else if (json::is(name, "error")) {
      error = value;
    }
  }
  if (!cursor.at_end()) return bad_answer("a stream event is not a JSON object");
  if (type == "error" || !json::is_null(error)) return refuse(data, out);
  if (type == "ping") return swy::Next::feed();
  if (type == "message_start") {
    return on_message_start(message, out) ? swy::Next::feed()
                                          : bad_answer("message_start is wrong or came twice");
  }
  if (!answer_.identified()) return bad_answer("the stream did not begin with message_start");
  if (type == "content_block_delta") {
    const bool fits = block_open_ && json::to_integer(index) == block_index_;
    return fits && on_block_delta(delta, out)
               ? swy::Next::feed()
               : bad_answer("content_block_delta does not fit the open block");
  }
  if (type == "content_block_start") {
    if (block_open_) return bad_answer("a block began within another");
    block_index_ = json::to_integer(index).value_or(-1);
    return begin_block(block, out) ? swy::Next::feed()
                                   : bad_answer("content_block_start holds no block");
  }
  if (type == "content_block_stop") {
    return end_block(out) ? swy::Next::feed() : bad_answer("a block ended that was not open");
  }
  if (type == "message_delta") {
    on_message_delta(delta, usage, out);
    return swy::Next::feed();
  }
  if (type == "message_stop") return on_message_stop(out);
  return swy::Next::feed();  // "New event types may be added": Messages API, streaming
}

bool Operation::on_message_start(std::string_view message, swy::Out& out) {
  if (answer_.identified() || json::type_of(message) != 'o') return false;
  const std::string_view id = json::find(message, "id"), model = json::find(message, "model");
  answer_.identify(json::inside(id), json::inside(model));
  answer_.open(out, 0);
  note_usage(json::find(message, "usage"));
  // Already known, and wanted should the stream break off.
  const swy::ChatUsage known = usage();
  if (known.any()) out.usage(known.json());
  return true;
}

void Operation::on_message_delta(std::string_view delta, std::string_view usage, swy::Out& out) {
  note_usage(usage);
  note_stop(delta, out);
}

swy::Next Operation::on_message_stop(swy::Out& out) {
  if (block_open_) return bad_answer("the message ended within a block");
  if (!stopped_) return bad_answer("the message ended without a stop_reason");
  answer_.end(out, usage());
  return swy::Next::done();
}

// Tokens of the cache are counted beside those of the prompt.
swy::ChatUsage Operation::usage() const {
  swy::ChatUsage usage;
  if (input_) usage.prompt = *input_ + cache_read_.value_or(0) + cache_write_.value_or(0);
  usage.completion = output_;
  usage.cached = cache_read_;
  usage.cache_write = cache_write_;
  usage.cache_write_1h = cache_write_1h_;
  usage.reasoning = thinking_;
  usage.searches = searches_;
  usage.service_tier = service_tier_;
  return usage;
}

// Cumulative, and null where a later report says nothing new: the last number counts.
void Operation::note_usage(std::string_view usage) {
  json::Cursor cursor(usage);
  std::string_view name;
  if (!cursor.object()) return;
  while (cursor.member(name)) {
    const std::string_view value = cursor.value();
    std::optional<std::int64_t>* to = nullptr;
    if (json::is(name, "input_tokens")) {
      to = &input_;
    } else if (json::is(name, "output_tokens")) {
      to = &output_;
    } else if (json::is(name, "cache_read_input_tokens")) {
      to = &cache_read_;
    } else if (json::is(name, "cache_creation_input_tokens")) {
      to = &cache_write_;
    } else if (json::is(name, "output_tokens_details")) {
      if (const auto count = swy::ChatUsage::count(json::find(value, "thinking_tokens"))) {
        thinking_ = count;
      }
    } else if (json::is(name, "cache_creation")) {
      const auto count = swy::ChatUsage::count(json::find(value, "ephemeral_1h_input_tokens"));
      if (count && *count > 0) cache_write_1h_ = count;
    } else if (json::is(name, "server_tool_use")) {
      const auto count = swy::ChatUsage::count(json::find(value, "web_search_requests"));
      if (count && *count > 0) searches_ = count;
    } else if (json::is(name, "service_tier") && service_tier_ != "fast") {
      service_tier_ = json::to_text(value).value_or(service_tier_);
    } else if (json::is(name, "speed") && json::to_text(value) == "fast") {
      service_tier_ = "fast";  // has a price of its own, whichever tier it is served by
    }
    if (to == nullptr) continue;
    if (const auto count = swy::ChatUsage::count(value)) *to = count;
  }
}

// stop_reason and what belongs to it, of a message or of message_delta's delta.
void Operation::note_stop(std::string_view holder, swy::Out& out) {
  const std::string_view reason = json::inside(json::find(holder, "stop_reason"));
  if (reason.empty()) return;
  stopped_ = true;
  if (reason == "refusal") {
    answer_.refusal(out, 0, json::inside(json::find_path(holder, "stop_details.explanation")));
  }
  answer_.finish(out, 0, finish_reason(reason), reason);
}

// ---- blocks ----

bool Operation::begin_block(std::string_view block, swy::Out& out) {
  if (json::type_of(block) != 'o') return false;
  const std::string_view type = json::inside(json::find(block, "type"));
  if (type.empty()) return false;
  block_open_ = true;
  if (type == "text") {
    block_ = Block::kText;
    text_from_ = answer_.characters(0);
    citations_.clear();
    json::Cursor citations(json::find(block, "citations"));
    if (citations.array()) {
      while (citations.element()) note_citation(citations.value());
    }
    answer_.text(out, 0, json::inside(json::find(block, "text")));
  } else if (type == "thinking") {
    block_ = Block::kThinking;
    answer_.begin_reasoning(out, 0);
    answer_.reasoning(out, 0, json::inside(json::find(block, "thinking")));
    answer_.signature(out, 0, json::inside(json::find(block, "signature")));
  } else if (type == "redacted_thinking") {
    block_ = Block::kIgnored;
    answer_.sealed(out, 0, json::inside(json::find(block, "data")));
  } else if (type == "tool_use") {
    begin_call(block, out);
  } else {
    block_ = Block::kOpaque;
    block_text_ = block;
    held_.clear();
  }
  return true;
}

void Operation::begin_call(std::string_view block, swy::Out& out) {
  const std::string_view id = json::find(block, "id"), name = json::find(block, "name");
  const std::string_view input = json::find(block, "input");
  const bool empty = json::type_of(input) != 'o' || input == "{}";
  arguments_seen_ = false;
  held_.clear();
  if (!custom_tools_.empty() && custom_tools_.contains(json::to_text(name).value_or(""))) {
    block_ = Block::kCustomCall;
    call_id_ = json::inside(id);
    call_name_ = json::inside(name);
    if (!empty) held_ = input;
    return;
  }
  block_ = Block::kCall;
  call_ = answer_.begin_call(out, 0, json::inside(id), json::inside(name));
  if (empty) return;
  // All at once: in a whole answer, and from upstreams that only follow Anthropic.
  arguments_seen_ = true;
  std::string escaped;
  json::append_escaped(escaped, input);
  answer_.arguments(out, 0, call_, escaped);
}

bool Operation::on_block_delta(std::string_view delta, swy::Out& out) {
  std::string_view type, text, thinking, json_piece, signature, citation, name;
  json::Cursor cursor(delta);
  if (!cursor.object()) return false;
  while (cursor.member(name)) {
    const std::string_view value = cursor.value();
    if (json::is(name, "type")) {
      type = json::inside(value);
    } else if (json::is(name, "text")) {
      text = json::inside(value);
    } else if (json::is(name, "thinking")) {
      thinking = json::inside(value);
    } else if (json::is(name, "partial_json")) {
      json_piece = value;
    } else if (json::is(name, "signature")) {
      signature = json::inside(value);
    } else if (json::is(name, "citation")) {
      citation = value;
    }
  }
  if (type == "text_delta") {
    if (block_ != Block::kText) return false;
    answer_.text(out, 0, text);
  } else if (type == "thinking_delta") {
    if (block_ != Block::kThinking) return false;
    answer_.reasoning(out, 0, thinking);
  } else if (type == "signature_delta") {
    if (block_ != Block::kThinking) return false;
    answer_.signature(out, 0, signature);
  } else if (type == "input_json_delta") {
    if (block_ == Block::kCall) {
      const std::string_view inside = json::inside(json_piece);
      arguments_seen_ |= !inside.empty();
      answer_.arguments(out, 0, call_, inside);
    } else if (block_ == Block::kCustomCall || block_ == Block::kOpaque) {
      held_ += json::unescape(json_piece);
      return held_.size() <= kHeldMax;
    } else {
      return false;
    }
  } else if (type == "citations_delta") {
    note_citation(citation);
  }
  return true;
}

bool Operation::end_block(swy::Out& out) {
  if (!block_open_) return false;
  block_open_ = false;
  switch (block_) {
    case Block::kText:
      end_text(out);
      break;
    case Block::kThinking:
      answer_.end_reasoning(0);
      break;
    case Block::kCall:
      if (!arguments_seen_) answer_.arguments(out, 0, call_, "{}");
      answer_.end_call(0);
      break;
    case Block::kCustomCall:
      end_custom_call(out);
      break;
    case Block::kOpaque:
      end_opaque(out);
      break;
    default:
      break;
  }
  block_ = Block::kNone;
  return true;
}

// The one string that the tool was wrapped with; input of any other form goes over as it is.
void Operation::end_custom_call(swy::Out& out) {
  const std::string_view input = json::find(held_, "input");
  if (json::type_of(input) == 's' && json::valid(held_)) {
    answer_.custom_call(out, 0, call_id_, call_name_, json::inside(input));
    return;
  }
  std::string escaped;
  json::append_escaped(escaped, held_);
  answer_.custom_call(out, 0, call_id_, call_name_, escaped);
}

// Only Anthropic knows what to do with it: kept whole, with the input that came in pieces.
void Operation::end_opaque(swy::Out& out) {
  if (!held_.empty()) {
    std::string whole;
    json::Writer writer(whole);
    json::Cursor cursor(block_text_);
    std::string_view name;
    cursor.object();
    writer.open_object();
    while (cursor.member(name)) {
      const std::string_view value = cursor.value();
      writer.key(name).raw(json::is(name, "input") ? std::string_view(held_) : value);
    }
    writer.close_object();
    block_text_ = std::move(whole);
  }
  if (json::valid(block_text_)) answer_.opaque(out, 0, block_text_);
}

void Operation::note_citation(std::string_view citation) {
  if (json::type_of(citation) != 'o' || !json::valid(citation)) return;
  if (!citations_.empty()) citations_ += ',';
  citations_ += citation;
}

// A citation belongs to the whole of its block.
void Operation::end_text(swy::Out& out) {
  if (citations_.empty()) return;
  const std::string list = "[" + citations_ + "]";
  const std::size_t to = answer_.characters(0);
  json::Cursor cursor(list);
  cursor.array();
  while (cursor.element()) {
    const std::string_view citation = cursor.value();
    const std::string_view url = json::inside(json::find(citation, "url"));
    if (!url.empty()) {
      answer_.url_citation(out, 0, text_from_, to, url,
                           json::inside(json::find(citation, "title")));
    } else {
      answer_.annotation(out, 0,
                         R"({"type":"citation","start_index":)" + std::to_string(text_from_) +
                             R"(,"end_index":)" + std::to_string(to) + R"(,"format":")" + kFormat +
                             R"(","citation":)" + std::string(citation) + "}");
    }
  }
  citations_.clear();
}

// ---- whole answers ----

swy::Next Operation::on_message(std::string_view body, swy::Out& out) {
  json::Cursor check(body);
  if (check.type() != 'o') return bad_answer("the upstream's answer is not a JSON object");
  check.skip();
  if (!check.at_end()) return bad_answer("the upstream's answer is not a JSON object");
  if (json::inside(json::find(body, "type")) == "error") return refuse(body, out);
  json::Cursor content(json::find(body, "content"));
  if (!content.array()) return bad_answer("the upstream's answer has no content");
  if (!on_message_start(body, out)) return bad_answer("the upstream's answer is no message");
  while (content.element()) {
    if (!begin_block(content.value(), out) || !end_block(out)) {
      return bad_answer("the upstream's answer holds content that is no block");
    }
  }
  if (!content.ok()) return bad_answer("the upstream's answer is broken");
  note_stop(body, out);
  return on_message_stop(out);
}

swy::Next Operation::on_models(std::string_view body, swy::Out& out) {
  json::Cursor data(json::find(body, "data"));
  if (!data.array() || !json::valid(body)) {
    return bad_answer("the upstream's list of models has no data");
  }
  std::string last;
  while (data.element()) {
    const std::string_view model = data.value();
    const std::string id = json::to_text(json::find(model, "id")).value_or("");
    if (id.empty()) continue;
    last = id;
    const std::int64_t created = swy::rfc3339(json::inside(json::find(model, "created_at")));
    if (!models_.empty()) models_ += ',';
    json::Writer entry(models_);
    entry.open_object().key("id").text(id).key("object").text("model");
    entry.key("created").integer(std::max<std::int64_t>(0, created));
    entry.key("owned_by").text("anthropic").close_object();
  }
  const bool plain =
      last.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789-_.@:") == std::string::npos;
  if (json::is_true(json::find(body, "has_more")) && !last.empty() && plain && last != after_ &&
      ++pages_ < kPagesMax) {
    after_ = last;
    return ask_for_models(out);
  }
  out.whole(R"({"object":"list","data":[)" + models_ + "]}", 0);
  return swy::Next::done();
}

}  // namespace anthropic
