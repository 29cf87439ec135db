#include "providers/wenxinworkshop/translate.hpp"

#include "providers/wenxinworkshop/chat.hpp"
#include "providers/wenxinworkshop/embeddings.hpp"

namespace wenxinworkshop {

namespace json = swy::json;

namespace {

constexpr std::string_view kWorkshop = "/rpc/2.0/ai_custom/v1/wenxinworkshop/";
constexpr std::string_view kToken = "access";

bool is_plain(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
         c == '.' || c == '_';
}

std::string percent_encoded(std::string_view text) {
  std::string out;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (is_plain(c)) {
      out += c;
    } else {
      out += '%';
      out += "0123456789ABCDEF"[byte >> 4];
      out += "0123456789ABCDEF"[byte & 15U];
    }
  }
  return out;
}

// The token is none, or is good no more.
bool is_stale(std::int64_t code) { return code == 110 || code == 111; }

std::int32_t class_of(std::int64_t code, unsigned status) {
  switch (code) {
    case 1:
    case 2:
    case 336000:
      return SWY_CLS_SERVER;
    case 336100:
      return SWY_CLS_OVERLOADED;
    case 3:
    case 336001:
    case 336002:
    case 336003:
    case 336006:
    case 336007:
      return SWY_CLS_BAD_REQUEST;
    case 336103:
    case 336104:
    case 336105:
      return SWY_CLS_TOO_LONG;
    case 4:
    case 18:
    case 336501:
    case 336502:
      return SWY_CLS_RATE_LIMIT;
    case 17:
    case 19:
      return SWY_CLS_QUOTA;
    case 6:
    case 13:
    case 14:
    case 15:
    case 100:
    case 110:
    case 111:
    case 336004:
    case 336005:
      return SWY_CLS_AUTH;
    case 336101:
    case 336102:
      return SWY_CLS_FILTERED;
    default:
      return swy::class_of_status(status);
  }
}

std::string_view finish_of(std::string_view frame) {
  const std::string_view reason = json::inside(json::find(frame, "finish_reason"));
  if (json::is_true(json::find(frame, "need_clear_history"))) return "content_filter";
  if (reason == "content_filter") return "content_filter";
  if (json::type_of(json::find(frame, "function_call")) == 'o') return "tool_calls";
  if (json::is_true(json::find(frame, "is_truncated")) || reason == "length") return "length";
  return "stop";
}

}  // namespace

swy::Refusal read_refusal(unsigned status, std::uint32_t retry_after_ms, std::string_view body) {
  swy::Refusal refusal;
  const auto code = json::to_integer(json::find(body, "error_code"));
  refusal.status = status;
  refusal.retry_after_ms = retry_after_ms;
  refusal.message = json::to_text(json::find(body, "error_msg")).value_or("");
  refusal.cls = class_of(code.value_or(0), status);
  const bool named = refusal.cls == SWY_CLS_TOO_LONG || refusal.cls == SWY_CLS_FILTERED;
  if (code && !named) refusal.code = std::to_string(*code);
  return refusal;
}

Operation::Operation(const Settings& settings, const swy::Request& request, std::int64_t created)
    : TaskOperation(request, created, "wenxinworkshop"), settings_(&settings) {}

// ---- requests ----

swy::Next Operation::start(swy::Out& out) {
  std::optional<swy::Next> refused;
  if (chat_) {
    const ChatBody body(request_);
    refused = refused_body(body.refusal(), body.losses(), out);
    schema_ = body.schema();
    if (!schema_.empty()) answer_.keep_text();
  } else if (request_.task() == "embeddings") {
    refused = open_embeddings(std::make_unique<Embeddings>(request_), out);
  } else {
    return not_offered("wenxinworkshop");
  }
  if (refused) return *refused;
  return out.has_token(kToken) ? start_task(out) : ask_for_token(out);
}

// The secret key is the host's to add; the API key is public beside it.
swy::Next Operation::ask_for_token(swy::Out& out) {
  const std::string_view key = request_.credential("api_key");
  if (key.empty()) {
    return swy::Next::fail(
        {SWY_CLS_AUTH, "the credential has no \"api_key\" among its parts, beside its secret key"});
  }
  out.begin("POST",
            "/oauth/2.0/token?grant_type=client_credentials&client_id=" + percent_encoded(key),
            SWY_FRAME_TOKEN);
  out.auth("query", "client_secret");
  out.header("accept", "application/json");
  out.token(kToken, "/access_token", "/expires_in");
  exchanging_ = true;
  return swy::Next::send();
}

swy::Next Operation::refused_token() const {
  swy::Error error{SWY_CLS_AUTH, "Baidu refused the API key and its secret key"};
  if (status_ >= 500) error = {SWY_CLS_SERVER, "Baidu's token endpoint failed"};
  error.http = status_;
  return swy::Next::fail(std::move(error));
}

swy::Next Operation::start_task(swy::Out& out) { return chat_ ? start_chat(out) : send_batch(out); }

swy::Next Operation::start_chat(swy::Out& out) {
  const ChatBody body(request_);
  identify();
  return send("chat/", body.pieces(), streaming_, out);
}

swy::Next Operation::send_batch(swy::Out& out) {
  swy::Gather body;
  body.add(embeddings_->next_body());
  return send("embeddings/", body, false, out);
}

swy::Next Operation::send(std::string_view kind, const swy::Gather& body, bool streams,
                          swy::Out& out) {
  std::string path(kWorkshop);
  path.append(kind).append(percent_encoded(settings_->path_of(request_.model())));
  swy::begin_post(out, path, streams);
  out.auth("query", "access_token", kToken);
  out.body(body);
  return swy::Next::send();
}

// ---- answers ----

swy::Next Operation::on_data(const swy::Event& event, swy::Out& out) {
  if (exchanging_) return refused_token();
  const std::string_view data = event.data();
  if (status_ >= 300 || !json::is_null(json::find(data, "error_code"))) return refused(data, out);
  return chat_ ? on_chat(data, out) : on_embeddings(data, out);
}

// A token may end before its time, once.
swy::Next Operation::refused(std::string_view body, swy::Out& out) {
  const auto code = json::to_integer(json::find(body, "error_code")).value_or(0);
  if (is_stale(code) && !renewed_ && !answer_.any()) {
    renewed_ = true;
    return ask_for_token(out);
  }
  return swy::refuse(out, read_refusal(status_, retry_after_ms_, body));
}

// A frame of a stream is of the form of a whole answer.
swy::Next Operation::on_chat(std::string_view frame, swy::Out& out) {
  const std::string_view call = json::find(frame, "function_call");
  if (!json::valid(frame) || (json::find(frame, "result").empty() && json::type_of(call) != 'o')) {
    return bad_answer("the answer is no answer of this API");
  }
  const std::string_view id = json::inside(json::find(frame, "id"));
  if (!id.empty() && !answer_.any()) identify(id);
  answer_.open(out, 0);
  answer_.text(out, 0, json::inside(json::find(frame, "result")));
  if (json::type_of(call) == 'o') {
    const std::string arguments = json::to_text(json::find(call, "arguments")).value_or("{}");
    answer_.whole_call(out, 0, "call_" + std::string(id), json::inside(json::find(call, "name")),
                       {}, arguments.empty() ? std::string_view("{}") : arguments);
  }
  const std::string_view usage = json::find(frame, "usage");
  if (json::type_of(usage) == 'o') {
    usage_.prompt = swy::ChatUsage::count(json::find(usage, "prompt_tokens"));
    usage_.completion = swy::ChatUsage::count(json::find(usage, "completion_tokens"));
  }
  if (streaming_ && !json::is_true(json::find(frame, "is_end"))) return swy::Next::feed();
  return finish(frame, out);
}

swy::Next Operation::finish(std::string_view frame, swy::Out& out) {
  std::string_view reason = finish_of(frame);
  if (reason == "stop" && answer_.calls(0) > 0) reason = "tool_calls";
  if (!schema_.empty() && reason == "stop") {
    const auto fault = misfit(schema_);
    if (fault) return *fault;
  }
  answer_.finish(out, 0, reason, json::inside(json::find(frame, "finish_reason")));
  answer_.end(out, usage_);
  return swy::Next::done();
}

swy::Next Operation::on_end(swy::Out& out) {
  if (exchanging_) {
    if (status_ >= 300) return refused_token();
    exchanging_ = false;
    return start_task(out);
  }
  if (status_ >= 300) return refused({}, out);
  return bad_answer(streaming_ ? "the stream ended without is_end"
                               : "the upstream's answer is empty");
}

}  // namespace wenxinworkshop
