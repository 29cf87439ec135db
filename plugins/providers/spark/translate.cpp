#include "providers/spark/translate.hpp"

#include <switchyard/json.hpp>
#include <switchyard/json_schema.hpp>

namespace spark {

namespace json = swy::json;

namespace {

constexpr std::int64_t kOutputFiltered = 10014;
constexpr std::uint32_t kShortWaitMs = 500;  // after which a limit by the second has room again

std::string escaped(std::string_view text) {
  std::string out;
  json::append_escaped(out, text);
  return out;
}

// A number, or one in a string.
std::optional<std::int64_t> code_in(std::string_view value) {
  return json::to_integer(json::type_of(value) == 's' ? json::inside(value) : value);
}

// The first of these places that holds something.
std::string_view first_of(std::string_view body, std::initializer_list<std::string_view> paths) {
  for (const std::string_view path : paths) {
    const std::string_view found = json::find_path(body, path);
    if (!json::is_null(found)) return found;
  }
  return {};
}

std::int32_t class_of(std::int64_t code, unsigned status) {
  switch (code) {
    case 10000:
    case 10001:
    case 10002:
    case 10009:
    case 10010:
    case 10011:
    case 10012:
    case 10017:
    case 10222:
      return SWY_CLS_SERVER;
    case 10008:
    case 10110:
      return SWY_CLS_OVERLOADED;
    case 10003:
    case 10004:
    case 10005:
    case 10163:
    case 11501:
      return SWY_CLS_BAD_REQUEST;
    case 10907:
      return SWY_CLS_TOO_LONG;
    case 10006:
    case 10007:
    case 11202:
    case 11203:
      return SWY_CLS_RATE_LIMIT;
    case 10016:
    case 11201:
      return SWY_CLS_QUOTA;
    case 10013:
    case kOutputFiltered:
    case 10019:
    case 10021:
      return SWY_CLS_FILTERED;
    case 10015:
    case 11200:
    case 11500:
      return SWY_CLS_AUTH;
    case 10404:
      return SWY_CLS_NO_MODEL;
    default:
      return swy::class_of_status(status);
  }
}

}  // namespace

swy::Refusal read_refusal(unsigned status, std::uint32_t retry_after_ms, std::string_view body) {
  swy::Refusal refusal;
  const auto code = code_in(first_of(body, {"header.code", "code", "error.code"}));
  refusal.status = status;
  refusal.cls = class_of(code.value_or(0), status);
  refusal.message =
      json::to_text(first_of(body, {"header.message", "message", "error.message"})).value_or("");
  refusal.retry_after_ms = retry_after_ms;
  if (refusal.cls == SWY_CLS_RATE_LIMIT && retry_after_ms == 0) {
    refusal.retry_after_ms = kShortWaitMs;
  }
  // Words of OpenAI's for what clients look at.
  const bool named = refusal.cls == SWY_CLS_TOO_LONG || refusal.cls == SWY_CLS_FILTERED ||
                     refusal.cls == SWY_CLS_NO_MODEL;
  if (code && !named) refusal.code = std::to_string(*code);
  return refusal;
}

Operation::Operation(const Settings& settings, swy::Signer signer, const swy::Request& request,
                     std::int64_t created)
    : settings_(&settings),
      signer_(signer),
      request_(request),
      answer_(request, created, "spark") {}

swy::Next Operation::step(const swy::Event& event, swy::Out& out) {
  switch (event.kind()) {
    case SWY_EV_START:
      return start(out);
    case SWY_EV_SIGN:
      return sign(event, out);
    case SWY_EV_HEAD:
      return on_head(event, out);
    case SWY_EV_UP_MSG:
      return on_message(event.data(), out);
    case SWY_EV_CLOSED:
      return bad_answer("the upstream closed its WebSocket before the answer's end");
    case SWY_EV_DATA:
      return on_refusal(event.data(), out);
    case SWY_EV_END:
      return on_refusal({}, out);
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

// ---- the request ----

swy::Next Operation::start(swy::Out& out) {
  if (request_.task() != "chat") {
    return swy::Next::fail(
        {SWY_CLS_NOT_OFFERED, "spark does not offer " + std::string(request_.task())});
  }
  auto address = settings_->find(request_.model());
  if (!address) {
    return swy::Next::fail(
        {SWY_CLS_NO_MODEL, "spark knows no address of this model; settings.models can name it"});
  }
  for (const char* const part : {"app_id", "api_key"}) {
    if (!request_.credential(part).empty()) continue;
    return swy::Next::fail({SWY_CLS_AUTH, "the credential has no \"" + std::string(part) +
                                              "\" among its parts, beside its API secret"});
  }
  address_ = *std::move(address);
  body_ = std::make_unique<ChatBody>(request_, address_);
  if (body_->refusal()) return swy::refuse(out, *body_->refusal());
  body_->losses().emit(out);
  schema_ = body_->schema();
  if (!schema_.empty()) answer_.keep_text();
  tokens_max_ = body_->tokens_max();
  out.begin("GET", address_.path, SWY_FRAME_WEBSOCKET);
  out.auth("sign");
  return swy::Next::send();
}

swy::Next Operation::sign(const swy::Event& event, swy::Out& out) {
  const auto done = spark::sign(signer_, request_.credential("api_key"), event.sign(), out);
  return done ? swy::Next::feed() : swy::Next::fail(done.error());
}

swy::Next Operation::on_head(const swy::Event& event, swy::Out& out) {
  status_ = event.status();
  retry_after_ms_ = swy::retry_after_ms(event);
  if (status_ != 101 || !body_) return swy::Next::feed();
  const swy_rc rc = out.to_upstream(body_->pieces(), true);
  body_.reset();
  if (rc < 0) return swy::Next::fail({SWY_CLS_SERVER, "the upstream did not take the request"});
  return swy::Next::feed();
}

swy::Next Operation::on_refusal(std::string_view body, swy::Out& out) const {
  if (status_ < 300) return bad_answer("the upstream answered without a WebSocket");
  return swy::refuse(out, read_refusal(status_, retry_after_ms_, body));
}

// ---- the answer ----

swy::Next Operation::on_message(std::string_view message, swy::Out& out) {
  const auto code = code_in(json::find_path(message, "header.code"));
  if (!json::valid(message) || !code) return bad_answer("a message is no answer of this API");
  if (!answer_.identified()) {
    sid_ = json::inside(json::find_path(message, "header.sid"));
    if (sid_.empty()) sid_ = escaped(request_.id());
    answer_.identify(sid_, escaped(request_.model()));
  }
  note_usage(json::find_path(message, "payload.usage.text"));
  if (*code == kOutputFiltered && said_) return end("content_filter", std::to_string(*code), out);
  if (*code != 0) return swy::refuse(out, read_refusal(200, retry_after_ms_, message));
  json::Cursor texts(json::find_path(message, "payload.choices.text"));
  if (texts.array()) {
    while (texts.element()) on_text(texts.value(), out);
  }
  const bool last = first_of(message, {"payload.choices.status", "header.status"}) == "2";
  return last ? finish(out) : swy::Next::feed();
}

void Operation::on_text(std::string_view text, swy::Out& out) {
  const std::string_view thought = json::inside(json::find(text, "reasoning_content"));
  const std::string_view content = json::inside(json::find(text, "content"));
  said_ = said_ || !thought.empty() || !content.empty();
  answer_.open(out, 0);
  answer_.thought(out, 0, thought);
  answer_.text(out, 0, content);
  const std::string_view call = json::find(text, "function_call");
  if (json::type_of(call) == 'o') on_call(call, out);
}

// Whole, and without an id.
void Operation::on_call(std::string_view call, swy::Out& out) {
  const unsigned number = answer_.calls(0);
  const std::string id = "call_" + sid_ + (number > 0 ? "_" + std::to_string(number) : "");
  const std::string_view given = json::find(call, "arguments");
  std::string arguments = json::to_text(given).value_or("");
  if (json::type_of(given) == 'o') arguments = given;
  if (arguments.empty()) arguments = "{}";
  answer_.whole_call(out, 0, id, json::inside(json::find(call, "name")), {}, arguments);
  said_ = true;
}

// Each report is of all so far.
void Operation::note_usage(std::string_view usage) {
  if (json::type_of(usage) != 'o') return;
  usage_.prompt = swy::ChatUsage::count(json::find(usage, "prompt_tokens"));
  usage_.completion = swy::ChatUsage::count(json::find(usage, "completion_tokens"));
}

// Why it ended is not said.
swy::Next Operation::finish(swy::Out& out) {
  if (answer_.calls(0) > 0) return end("tool_calls", {}, out);
  if (tokens_max_ > 0 && usage_.completion && *usage_.completion >= tokens_max_) {
    return end("length", {}, out);
  }
  if (!schema_.empty()) {
    const std::string said = json::unescape("\"" + std::string(answer_.text_of(0)) + "\"");
    const std::string fault = swy::schema_fault(schema_, said);
    if (!fault.empty()) {
      return bad_answer("the answer does not fit the JSON schema that was asked for: " + fault);
    }
  }
  return end("stop", {}, out);
}

swy::Next Operation::end(std::string_view reason, std::string_view native, swy::Out& out) {
  answer_.finish(out, 0, reason, native);
  answer_.end(out, usage_);
  return swy::Next::done();
}

}  // namespace spark
