#include "providers/openai/translate.hpp"

#include <algorithm>
#include <switchyard/fault.hpp>
#include <switchyard/json.hpp>
#include <switchyard/json_schema.hpp>

#include "providers/openai/errors.hpp"

namespace openai {

namespace json = swy::json;

namespace {

std::int64_t tokens_max(const swy::Request& request) {
  auto limit = json::to_integer(request.value("max_completion_tokens"));
  if (!limit) limit = json::to_integer(request.value("max_tokens"));
  return limit.value_or(0);
}

}  // namespace

// ---- operation ----

Operation::Operation(const Settings& settings, const swy::Request& request)
    : settings_(&settings),
      request_(request),
      streaming_(request.stream() && (request.task() == "chat" || request.task() == "completions")),
      want_usage_(request.want_usage()),
      emit_flags_(request.native() ? SWY_EMIT_NATIVE : 0),
      // Only a stream hides it: a whole answer always has usage.
      scanner_(settings.dialect, streaming_ && !want_usage_) {
  Identity& identity = scanner_.identity();
  identity.request = request.id();
  identity.object = streaming_ ? "chat.completion.chunk" : "chat.completion";
  identity.model = request.model();
  if (settings.dialect.completes) identity.tokens_max = tokens_max(request);
}

swy::Next Operation::step(const swy::Event& event, swy::Out& out) {
  if (pictures_.wanted() && event.kind() != SWY_EV_START) {
    const auto next = pictures_.step(event, out);
    return next ? *next : send(out);
  }
  switch (event.kind()) {
    case SWY_EV_DATA:
      return on_data(event, out);
    case SWY_EV_START:
      return start(out);
    case SWY_EV_HEAD:
      return on_head(event, out);
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
  if (request_.task() == "chat" && settings_->dialect.rules_for(request_.model()).data_pictures) {
    pictures_.find(request_.value("messages"));
    if (pictures_.wanted()) return pictures_.start(out);
  }
  return send(out);
}

swy::Next Operation::send(swy::Out& out) {
  const Dialect& dialect = settings_->dialect;
  const std::string* path = look_up(dialect.paths, request_.task());
  if (path == nullptr) {
    std::string what = dialect.name + " does not offer " + std::string(request_.task());
    return swy::Next::fail({SWY_CLS_NOT_OFFERED, std::move(what)});
  }
  const bool get = request_.task() == "models";
  if (request_.task() == "chat" && dialect.rules_for(request_.model()).schema_as_prompt) {
    schema_ = json::find_path(request_.value("response_format"), "json_schema.schema");
  }
  const UpstreamBody body(dialect, request_, &pictures_);
  if (!get && body.refusal()) return swy::Next::fail(*body.refusal());
  body.losses().emit(out);
  out.begin(get ? "GET" : "POST", upstream_path(dialect, settings_->query, *path, request_),
            streaming_ ? SWY_FRAME_SSE : SWY_FRAME_WHOLE);
  out.auth(dialect.auth_scheme, dialect.auth_name);
  out.header("accept", streaming_ ? "text/event-stream" : "application/json");
  for (std::uint32_t i = 0; i < request_.raw().nhdr; ++i) {
    const std::string_view name = swy::view(request_.raw().hdr[i].k);
    if (name == "accept" || name == "content-type") continue;
    out.header(name, swy::view(request_.raw().hdr[i].v));
  }
  for (const auto& [name, value] : dialect.headers) out.header(name, value);
  for (const auto& [name, value] : settings_->headers) out.header(name, value);
  if (!get) {
    for (const auto& [name, value] : body.headers()) out.header(name, value);
    out.header("content-type", "application/json");
    out.body(body.pieces());
  }
  return swy::Next::send();
}

swy::Next Operation::on_head(const swy::Event& event, swy::Out& out) {
  status_ = event.status();
  document_ = streaming_ && event.header("content-type").starts_with("application/json");
  if (settings_->dialect.completes) {
    scanner_.identity().created = std::max<std::int64_t>(0, swy::http_date(event.header("date")));
  }
  if (status_ >= 300) retry_after_ms_ = retry_after_ms(settings_->dialect, event.headers());
  const std::string limits = read_limits(event.headers());
  if (!limits.empty()) out.limits(limits);
  return swy::Next::feed();
}

swy::Next Operation::on_data(const swy::Event& event, swy::Out& out) {
  const std::string_view data = event.data();
  if (status_ >= 300) return refuse(data, out);
  if (!streaming_) return on_whole(data, out);
  if (document_) return on_document(data, out);
  if (data == "[DONE]") {
    if (!any_chunk_) return bad_answer("the stream ended before any chunk");
    if (settings_->dialect.completes && !finished_) put_finish(out);
    return end_stream(out);
  }
  if (event.name() == "error") return refuse(data, out);
  return on_chunk(data, out);
}

// A document where a stream was asked for tells of a fault.
swy::Next Operation::on_document(std::string_view body, swy::Out& out) {
  const Answer answer = scanner_.scan(body);
  if (!answer.error.empty() || answer.object == "error" || says_fault(settings_->dialect, body)) {
    return refuse(body, out);
  }
  return bad_answer("the upstream answered a request for a stream with a document");
}

swy::Next Operation::on_end(swy::Out& out) {
  if (status_ >= 300) return refuse({}, out);
  if (!streaming_) return bad_answer("the upstream's answer is empty");
  return finished_ ? end_stream(out) : bad_answer("the stream ended without finish_reason");
}

swy::Next Operation::on_chunk(std::string_view chunk, swy::Out& out) {
  const Answer answer = scanner_.scan(chunk);
  if (!answer.valid) return bad_answer("a stream event is not a JSON object");
  if (!answer.error.empty() || answer.object == "error" || says_fault(settings_->dialect, chunk)) {
    return refuse(chunk, out);
  }

  note_usage(chunk, answer, out);
  if (!note_finish(answer.finish, out)) return ended_with_error();
  if (settings_->dialect.skip_bare && !answer.delta && (answer.choices || answer.usage.empty())) {
    return swy::Next::feed();
  }
  any_chunk_ = true;
  if (!answer.choices && !answer.usage.empty()) {
    if (!want_usage_) return swy::Next::feed();
    usage_shown_ = true;
  }
  const std::string_view shown = scanner_.edited();
  if (!schema_.empty()) {
    content_ += json::to_text(json::find_path(shown, "choices.0.delta.content")).value_or("");
  }
  if (identity_.empty() && (want_usage_ || settings_->dialect.completes)) keep_identity(shown);
  out.delta(shown, emit_flags_ | (answer.content ? SWY_EMIT_CONTENT : 0));
  return swy::Next::feed();
}

swy::Next Operation::on_whole(std::string_view body, swy::Out& out) {
  std::string list;
  if (request_.task() == "models" &&
      !json::find(json::at(body, 0), "id").empty()) {  // some leave the list bare
    list.append(R"({"object":"list","data":)").append(body).append("}");
    body = list;
  }
  const Answer answer = scanner_.scan(body);
  if (!answer.valid) return bad_answer("the upstream's answer is not a JSON object");
  if (!answer.error.empty() || answer.object == "error" || says_fault(settings_->dialect, body)) {
    return refuse(body, out);
  }
  if (!answer.listed) {
    return bad_answer("the upstream's answer to " + std::string(request_.task()) +
                      " has no choices, data or results");
  }
  note_usage(body, answer, out);
  if (!note_finish(answer.finish, out)) return ended_with_error();
  if (request_.task() == "rerank") {
    if (!json::valid(body)) return bad_answer("the upstream's answer is broken JSON");
    out.whole(canonical_rerank(body, request_.model()), emit_flags_);
    return swy::Next::done();
  }
  if (request_.task() == "embeddings") scanner_.add_prompt_tokens(answer.usage);
  if (!schema_.empty()) {
    const std::string_view said = json::find_path(scanner_.edited(), "choices.0.message.content");
    content_ = json::to_text(said).value_or("");
    if (const auto failed = check_schema()) return *failed;
  }
  out.whole(scanner_.edited(), emit_flags_);
  return swy::Next::done();
}

void Operation::put_finish(swy::Out& out) {
  const std::string reason(scanner_.likely_finish(usage_said_));
  out.delta("{" + identity_ + R"("choices":[{"index":0,"delta":{},"finish_reason":")" + reason +
                R"("}]})",
            emit_flags_);
  note_finish(reason, out);
}

// A client that asked for usage gets it as OpenAI sends it, wherever the upstream had put it.
swy::Next Operation::end_stream(swy::Out& out) {
  if (const auto failed = check_schema()) return *failed;
  if (want_usage_ && !usage_shown_ && !usage_.empty()) {
    std::string chunk = "{" + identity_ + R"("choices":[],"usage":)" + usage_ + "}";
    out.delta(chunk, emit_flags_);
  }
  return swy::Next::done();
}

swy::Next Operation::refuse(std::string_view body, swy::Out& out) {
  Fault fault = read_fault(settings_->dialect, status_, retry_after_ms_, body);
  out.error(fault.client);
  return swy::Next::fail(std::move(fault.error));
}

std::optional<swy::Next> Operation::check_schema() const {
  // An answer that ends for another reason is known to be no whole one.
  if (schema_.empty() || finish_ != "stop") return std::nullopt;
  const std::string fault = swy::schema_fault(schema_, content_);
  if (fault.empty()) return std::nullopt;
  return bad_answer("the answer does not fit the JSON schema that was asked for: " + fault);
}

swy::Next Operation::bad_answer(std::string what) const {
  return swy::Next::fail({SWY_CLS_BAD_ANSWER, std::move(what), status_});
}

// False where the upstream says that it failed.
bool Operation::note_finish(std::string_view reason, swy::Out& out) {
  if (reason.empty()) return true;
  finished_ = true;
  if (reason == "error") return false;
  finish_ = reason;
  out.finish_reason(reason);
  return true;
}

swy::Next Operation::ended_with_error() const {
  return swy::Next::fail({SWY_CLS_SERVER, "the upstream broke off its answer", status_});
}

void Operation::note_usage(std::string_view text, const Answer& answer, swy::Out& out) {
  std::string_view usage = answer.usage;
  const auto& paths = settings_->dialect.usage_paths;
  if (usage.empty() && !paths.empty() && text.find("usage") != std::string_view::npos) {
    for (const std::string& path : paths) {
      const std::string_view found = json::find_path(text, path);
      // Groq's x_groq.usage of a whole answer counts hardware caches only.
      if (!json::find(found, "prompt_tokens").empty()) usage = found;
    }
  }
  if (usage.empty()) return;
  std::string canonical = canonical_usage(settings_->dialect, usage);
  if (settings_->dialect.completes) usage_said_ = canonical;
  if (want_usage_ && streaming_) usage_ = canonical;
  if (!answer.tier.empty() && json::find(usage, "service_tier").empty()) {
    // It decides the price, and stands beside usage here.
    json::Cursor cursor(usage);
    std::string_view first;
    const bool any = cursor.object() && cursor.member(first);
    canonical.insert(1, R"("service_tier":)" + std::string(answer.tier) + (any ? "," : ""));
  }
  out.usage(canonical);
}

void Operation::keep_identity(std::string_view chunk) {
  for (const std::string_view name : {"id", "object", "created", "model"}) {
    const std::string_view value = json::find(chunk, name);
    if (value.empty()) continue;
    json::append_string(identity_, name);
    identity_.append(":").append(value).append(",");
  }
}

// ---- instance ----

namespace {

Pairs texts(std::string_view object) {
  Pairs result;
  json::Cursor cursor(object);
  std::string_view name;
  if (object.empty() || !cursor.object()) return result;
  while (cursor.member(name)) {
    result.emplace_back(name, json::to_text(cursor.value()).value_or(""));
  }
  return result;
}

}  // namespace

swy::Result<Settings> parse_settings(std::string_view config_json) {
  Settings settings;
  const std::string_view dialect = json::find(config_json, "dialect");
  if (!json::is_null(dialect)) {
    auto parsed = parse_dialect(dialect);
    if (!parsed) return parsed.error();
    settings.dialect = *std::move(parsed);
  }
  settings.headers = texts(json::find_path(config_json, "settings.headers"));
  settings.query = texts(json::find_path(config_json, "settings.query"));
  return settings;
}

}  // namespace openai
