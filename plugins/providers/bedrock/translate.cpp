#include "providers/bedrock/translate.hpp"

#include <switchyard/json.hpp>
#include <utility>

#include "providers/bedrock/errors.hpp"
#include "providers/bedrock/sigv4.hpp"

namespace bedrock {

namespace json = swy::json;

namespace {

constexpr std::size_t kBlocksMax = 4096;

std::string_view finish_of(std::string_view stop_reason) {
  if (stop_reason == "tool_use") return "tool_calls";
  if (stop_reason == "max_tokens" || stop_reason == "model_context_window_exceeded") {
    return "length";
  }
  if (stop_reason == "guardrail_intervened" || stop_reason == "content_filtered") {
    return "content_filter";
  }
  return "stop";  // end_turn, stop_sequence
}

std::string escaped(std::string_view text) {
  std::string out;
  json::append_escaped(out, text);
  return out;
}

swy::Next fail(const swy::Error& error, swy::Out& out) {
  return swy::refuse(out, {.cls = error.cls, .message = error.message});
}

}  // namespace

swy::Result<Settings> parse_settings(std::string_view config_json) {
  const std::string url = json::to_text(json::find(config_json, "base_url")).value_or("");
  if (url.empty()) {
    return swy::Error{SWY_CLS_PLUGIN,
                      "base_url is missing: https://bedrock-runtime.REGION.amazonaws.com"};
  }
  return Settings{std::string(region_of(url))};
}

Operation::Operation(const Settings& settings, swy::Signer signer, const swy::Request& request,
                     std::int64_t created)
    : settings_(&settings),
      signer_(signer),
      request_(request),
      streaming_(request.stream()),
      signs_(request.credential("auth") != "bearer"),
      wants_thoughts_back_(is_claude(family_of(request.model()))),
      answer_(request, created, kFormat) {}

swy::Next Operation::step(const swy::Event& event, swy::Out& out) {
  if (pictures_.wanted() && event.kind() != SWY_EV_START) {
    const auto next = pictures_.step(event, out);
    return next ? *next : send(out);
  }
  switch (event.kind()) {
    case SWY_EV_START:
      return start(out);
    case SWY_EV_SIGN:
      return sign(event, out);
    case SWY_EV_HEAD:
      return on_head(event);
    case SWY_EV_DATA:
      return on_data(event, out);
    case SWY_EV_END:
      return on_end(out);
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
  if (request_.task() != "chat") {
    return fail({SWY_CLS_NOT_OFFERED, "bedrock does chat only"}, out);
  }
  pictures_.find(request_.value("messages"));
  return pictures_.wanted() ? pictures_.start(out) : send(out);
}

swy::Next Operation::send(swy::Out& out) {
  Upstream upstream;
  upstream.pictures = &pictures_;
  if (auto refused = to_upstream(request_, upstream)) return fail(*refused, out);
  upstream.losses.emit(out);

  out.begin("POST", path_of(request_.model(), streaming_),
            streaming_ ? SWY_FRAME_AWS : SWY_FRAME_WHOLE);
  out.header("content-type", "application/json");
  out.header("accept", streaming_ ? "application/vnd.amazon.eventstream" : "application/json");
  out.auth(signs_ ? "sign" : "bearer");
  out.body(upstream.body.pieces());
  return swy::Next::send();
}

swy::Next Operation::sign(const swy::Event& event, swy::Out& out) {
  const Scope scope{.access_key_id = request_.credential("access_key_id"),
                    .session_token = request_.credential("session_token"),
                    .region = request_.credential("region").empty()
                                  ? std::string_view(settings_->region)
                                  : request_.credential("region"),
                    .service = "bedrock"};
  const char* const missing = scope.access_key_id.empty() ? "access_key_id" : "region";
  if (scope.access_key_id.empty() || scope.region.empty()) {
    return swy::Next::fail(
        {SWY_CLS_AUTH, std::string("the credential has no part \"") + missing +
                           "\", which AWS signatures need; an API key has \"auth\": \"bearer\""});
  }
  const auto done = bedrock::sign(signer_, event.sign(), scope, out);
  return done ? swy::Next::feed() : swy::Next::fail(done.error());
}

swy::Next Operation::on_head(const swy::Event& event) {
  status_ = event.status();
  retry_after_ms_ = swy::retry_after_ms(event);
  error_type_ = event.header("x-amzn-errortype");
  answer_.identify("chatcmpl-" + escaped(event.header("x-amzn-requestid")),
                   escaped(request_.model()));
  return swy::Next::feed();
}

swy::Next Operation::on_data(const swy::Event& event, swy::Out& out) {
  if (status_ >= 300) {
    swy::Refusal refusal = read_refusal(status_, error_type_, event.data());
    refusal.retry_after_ms = retry_after_ms_;
    return swy::refuse(out, std::move(refusal));
  }
  return streaming_ ? on_message(event.name(), event.data(), out) : on_whole(event.data(), out);
}

swy::Next Operation::on_end(swy::Out& out) {
  if (status_ >= 300) {  // no body came
    swy::Refusal refusal = read_refusal(status_, error_type_, {});
    refusal.retry_after_ms = retry_after_ms_;
    return swy::refuse(out, std::move(refusal));
  }
  if (answer_.finish_of(0).empty()) return bad_answer("the stream ended before messageStop", out);
  answer_.end(out, usage_);
  return swy::Next::done();
}

swy::Next Operation::bad_answer(std::string what, swy::Out& out) const {
  return swy::refuse(out,
                     {.cls = SWY_CLS_BAD_ANSWER, .status = status_, .message = std::move(what)});
}

bool Operation::note_stop(std::string_view reason, swy::Out& out) {
  if (reason == "malformed_model_output" || reason == "malformed_tool_use") return false;
  answer_.finish(out, 0, finish_of(reason), reason);
  return true;
}

// Tokens of the cache are counted beside those of the prompt.
void Operation::note_usage(std::string_view usage) {
  const auto count = [usage](std::string_view name) {
    return swy::ChatUsage::count(json::find(usage, name));
  };
  const auto input = count("inputTokens");
  usage_.cached = count("cacheReadInputTokens");
  usage_.cache_write = count("cacheWriteInputTokens");
  usage_.completion = count("outputTokens");
  if (input) usage_.prompt = *input + usage_.cached.value_or(0) + usage_.cache_write.value_or(0);
  json::Cursor details(json::find(usage, "cacheDetails"));
  if (!details.array()) return;
  while (details.element()) {
    const std::string_view each = details.value();
    const auto written = swy::ChatUsage::count(json::find(each, "inputTokens"));
    const bool for_an_hour = json::inside(json::find(each, "ttl")) == "1h";
    if (for_an_hour && written) usage_.cache_write_1h = written;
  }
}

void Operation::note_tier(std::string_view tier) {
  usage_.service_tier = json::to_text(tier).value_or("");
}

// ---- a stream ----

swy::Next Operation::on_message(std::string_view name, std::string_view payload, swy::Out& out) {
  if (name.starts_with("exception:") || name.starts_with("error:")) {
    return swy::refuse(out, read_refusal(200, name.substr(name.find(':') + 1), payload));
  }
  if (name == "messageStart") {
    answer_.open(out, 0);
  } else if (name == "contentBlockStart") {
    start_block(payload, out);
  } else if (name == "contentBlockDelta") {
    add_to_block(payload, out);
  } else if (name == "contentBlockStop") {
    stop_block(payload, out);
  } else if (name == "messageStop") {
    const std::string_view reason = json::inside(json::find(payload, "stopReason"));
    if (!note_stop(reason, out))
      return bad_answer("the model ended with " + std::string(reason), out);
  } else if (name == "metadata") {
    note_usage(json::find(payload, "usage"));
    note_tier(json::find_path(payload, "serviceTier.type"));
  }
  return swy::Next::feed();
}

Operation::Block* Operation::block_of(std::string_view payload) {
  const auto index = json::to_integer(json::find(payload, "contentBlockIndex")).value_or(0);
  if (index < 0 || static_cast<std::size_t>(index) >= kBlocksMax) return nullptr;
  if (static_cast<std::size_t>(index) >= blocks_.size()) {
    blocks_.resize(static_cast<std::size_t>(index) + 1);
  }
  return &blocks_[static_cast<std::size_t>(index)];
}

// Matters for calls alone: text and reasoning begin with their first delta, and may have no start.
void Operation::start_block(std::string_view payload, swy::Out& out) {
  Block* const block = block_of(payload);
  const std::string_view call = json::find_path(payload, "start.toolUse");
  if (block == nullptr) return;
  // What AWS calls by itself is none of the client's calls.
  if (call.empty() || json::inside(json::find(call, "type")) == "server_tool_use") return;
  block->kind = Block::kCall;
  block->call = answer_.begin_call(out, 0, json::inside(json::find(call, "toolUseId")),
                                   json::inside(json::find(call, "name")));
}

void Operation::add_to_block(std::string_view payload, swy::Out& out) {
  Block* const block = block_of(payload);
  if (block == nullptr) return;
  json::Cursor cursor(json::find(payload, "delta"));
  std::string_view name;
  if (!cursor.object()) return;
  while (cursor.member(name)) {
    const std::string_view value = cursor.value();
    if (name == "text") {
      if (block->kind == Block::kNone) block->from = answer_.characters(0);
      block->kind = Block::kText;
      answer_.text(out, 0, json::inside(value));
    } else if (name == "citation") {
      cite(value, block->from, out);
    } else if (name == "toolUse" && block->kind == Block::kCall) {
      const std::string_view piece = json::inside(json::find(value, "input"));
      block->arguments = block->arguments || !piece.empty();
      answer_.arguments(out, 0, block->call, piece);
    } else if (name == "reasoningContent") {
      add_reasoning(*block, value, out);
    }
  }
}

void Operation::add_reasoning(Block& block, std::string_view reasoning, swy::Out& out) {
  const std::string_view text = json::inside(json::find(reasoning, "text"));
  const std::string_view signature = json::inside(json::find(reasoning, "signature"));
  const std::string_view redacted = json::inside(json::find(reasoning, "redactedContent"));
  if (!wants_thoughts_back_) return answer_.thought(out, 0, text);
  if (!redacted.empty()) return answer_.sealed(out, 0, redacted);
  if (block.kind != Block::kReasoning) answer_.begin_reasoning(out, 0);
  block.kind = Block::kReasoning;
  answer_.reasoning(out, 0, text);
  answer_.signature(out, 0, signature);
}

void Operation::stop_block(std::string_view payload, swy::Out& out) {
  Block* const block = block_of(payload);
  if (block == nullptr) return;
  if (block->kind == Block::kReasoning) answer_.end_reasoning(0);
  if (block->kind == Block::kCall) {
    // A call without parameters streams no input; clients parse what they are given.
    if (!block->arguments) answer_.arguments(out, 0, block->call, "{}");
    answer_.end_call(0);
  }
  *block = Block();
}

// ---- a whole answer ----

swy::Next Operation::on_whole(std::string_view body, swy::Out& out) {
  json::Cursor blocks(json::find_path(body, "output.message.content"));
  const std::string_view reason = json::inside(json::find(body, "stopReason"));
  if (!json::valid(body) || !blocks.array() || reason.empty()) {
    return bad_answer("the answer is no answer of Converse", out);
  }
  answer_.open(out, 0);
  while (blocks.element()) put_block(blocks.value(), out);
  if (!note_stop(reason, out))
    return bad_answer("the model ended with " + std::string(reason), out);
  note_usage(json::find(body, "usage"));
  note_tier(json::find_path(body, "serviceTier.type"));
  answer_.end(out, usage_);
  return swy::Next::done();
}

void Operation::put_block(std::string_view block, swy::Out& out) {
  json::Cursor cursor(block);
  std::string_view name;
  if (!cursor.object()) return;
  while (cursor.member(name)) {
    const std::string_view value = cursor.value();
    if (name == "text") {
      answer_.text(out, 0, json::inside(value));
    } else if (name == "reasoningContent") {
      put_reasoning(value, out);
    } else if (name == "citationsContent") {
      put_cited(value, out);
    } else if (name == "toolUse" && json::inside(json::find(value, "type")) != "server_tool_use") {
      const std::string_view input = json::find(value, "input");
      answer_.whole_call(out, 0, json::inside(json::find(value, "toolUseId")),
                         json::inside(json::find(value, "name")), {},
                         json::type_of(input) == 'o' ? input : std::string_view("{}"));
    }
  }
}

void Operation::put_cited(std::string_view cited, swy::Out& out) {
  const std::size_t from = answer_.characters(0);
  json::Cursor texts(json::find(cited, "content"));
  if (texts.array()) {
    while (texts.element()) answer_.text(out, 0, json::inside(json::find(texts.value(), "text")));
  }
  json::Cursor citations(json::find(cited, "citations"));
  if (!citations.array()) return;
  while (citations.element()) cite(citations.value(), from, out);
}

void Operation::cite(std::string_view citation, std::size_t from, swy::Out& out) {
  const std::string_view url = json::inside(json::find_path(citation, "location.web.url"));
  if (url.empty()) return;
  answer_.url_citation(out, 0, from, answer_.characters(0), url,
                       json::inside(json::find(citation, "title")));
}

void Operation::put_reasoning(std::string_view reasoning, swy::Out& out) {
  const std::string_view text = json::find(reasoning, "reasoningText");
  if (text.empty()) {
    if (wants_thoughts_back_) {
      answer_.sealed(out, 0, json::inside(json::find(reasoning, "redactedContent")));
    }
    return;
  }
  const std::string_view thought = json::inside(json::find(text, "text"));
  if (!wants_thoughts_back_) return answer_.thought(out, 0, thought);
  answer_.begin_reasoning(out, 0);
  answer_.reasoning(out, 0, thought);
  answer_.signature(out, 0, json::inside(json::find(text, "signature")));
  answer_.end_reasoning(0);
}

}  // namespace bedrock
