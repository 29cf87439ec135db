#include "providers/gemini/translate.hpp"

#include <algorithm>
#include <bit>
#include <cstring>

namespace gemini {

namespace json = swy::json;

namespace {

constexpr unsigned kPagesMax = 20;  // of a list of models

bool contains(std::string_view text, std::string_view part) {
  return text.find(part) != std::string_view::npos;
}
bool any_of(std::string_view text, std::initializer_list<std::string_view> names) {
  return std::find(names.begin(), names.end(), text) != names.end();
}

std::string percent_encoded(std::string_view text) {
  std::string out;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                       c == '-' || c == '.' || c == '_' || c == '~';
    if (plain) {
      out += c;
    } else {
      out += '%';
      out += "0123456789ABCDEF"[byte >> 4];
      out += "0123456789ABCDEF"[byte & 15U];
    }
  }
  return out;
}

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return out;
}

// The model wrote what nobody can read; trying again may help.
bool is_failure(std::string_view reason) {
  return any_of(reason, {"MALFORMED_FUNCTION_CALL", "UNEXPECTED_TOOL_CALL", "TOO_MANY_TOOL_CALLS",
                         "MALFORMED_RESPONSE"});
}

int class_of(unsigned status, std::string_view word, std::string_view message, bool daily) {
  const std::string text = lower(message);
  if (status == 429 || (status == 200 && word == "RESOURCE_EXHAUSTED")) {
    const bool spent =
        daily || contains(text, "per day") || contains(text, "spend") || contains(text, "billing");
    return spent ? SWY_CLS_QUOTA : SWY_CLS_RATE_LIMIT;
  }
  if (contains(text, "input token count") ||
      contains(text, "exceeds the maximum number of tokens")) {
    return SWY_CLS_TOO_LONG;
  }
  if (contains(text, "api key not valid") || contains(text, "api key expired")) return SWY_CLS_AUTH;
  if (contains(text, "location is not supported")) return SWY_CLS_NO_MODEL;
  if (status != 200) return swy::class_of_status(status);
  if (word == "UNAVAILABLE") return SWY_CLS_OVERLOADED;
  if (word == "DEADLINE_EXCEEDED") return SWY_CLS_TIMEOUT;
  if (any_of(word, {"UNAUTHENTICATED", "PERMISSION_DENIED"})) return SWY_CLS_AUTH;
  if (word == "NOT_FOUND") return SWY_CLS_NO_MODEL;
  if (any_of(word, {"INVALID_ARGUMENT", "FAILED_PRECONDITION"})) return SWY_CLS_BAD_REQUEST;
  return SWY_CLS_SERVER;
}

// The characters (code points) before a byte of UTF-8 text.
std::size_t characters_before(std::string_view text, std::int64_t byte) {
  text = text.substr(0, static_cast<std::size_t>(std::max<std::int64_t>(0, byte)));
  return static_cast<std::size_t>(std::count_if(text.begin(), text.end(), [](char c) {
    return (static_cast<unsigned char>(c) & 0xC0U) != 0x80U;
  }));
}

void append_base64(std::string& out, std::string_view bytes) {
  constexpr char kDigits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  for (std::size_t i = 0; i < bytes.size(); i += 3) {
    std::uint32_t bits = 0;
    const std::size_t n = std::min<std::size_t>(3, bytes.size() - i);
    for (std::size_t k = 0; k < 3; ++k) {
      bits = bits << 8 | (k < n ? static_cast<unsigned char>(bytes[i + k]) : 0U);
    }
    for (std::size_t k = 0; k < 4; ++k) {
      out += k <= n ? kDigits[bits >> (18 - 6 * k) & 63U] : '=';
    }
  }
}

// Little-endian 32-bit floats in base64; false where the values are no numbers.
bool append_floats(std::string& out, std::string_view values) {
  std::string bytes;
  json::Cursor cursor(values);
  if (!cursor.array()) return false;
  while (cursor.element()) {
    const std::string_view value = cursor.value();
    float number = 0;
    const auto read = std::from_chars(value.data(), value.data() + value.size(), number);
    if (read.ptr != value.data() + value.size() || read.ec == std::errc::invalid_argument) {
      return false;
    }
    const auto bits = std::bit_cast<std::uint32_t>(number);
    for (unsigned shift = 0; shift < 32; shift += 8) {
      bytes += static_cast<char>(bits >> shift & 0xFFU);
    }
  }
  append_base64(out, bytes);
  return cursor.ok();
}

}  // namespace

std::string_view finish_reason(std::string_view reason, bool called) {
  if (any_of(reason, {"MAX_TOKENS", "CONTINUATION"})) return "length";
  if (any_of(reason,
             {"SAFETY", "RECITATION", "BLOCKLIST", "PROHIBITED_CONTENT", "SPII", "IMAGE_SAFETY",
              "IMAGE_PROHIBITED_CONTENT", "IMAGE_RECITATION", "MODEL_ARMOR"})) {
    return "content_filter";
  }
  return called ? "tool_calls" : "stop";  // STOP, LANGUAGE, OTHER, and what is yet to come
}

swy::Refusal read_refusal(unsigned status, std::uint32_t retry_after_ms, std::string_view body) {
  if (json::Cursor cursor(body); cursor.type() == 'a') body = json::at(body, 0);
  const std::string_view error = json::find(body, "error");
  swy::Refusal refusal;
  refusal.status = status;
  refusal.retry_after_ms = retry_after_ms;
  refusal.message = json::to_text(json::find(error, "message")).value_or("");
  refusal.type = json::to_text(json::find(error, "status")).value_or("");
  bool daily = false;
  json::Cursor details(json::find(error, "details"));
  if (details.array()) {
    while (details.element()) {
      const std::string_view detail = details.value();
      std::string_view delay = json::inside(json::find(detail, "retryDelay"));
      if (delay.ends_with('s')) {
        delay.remove_suffix(1);
        const std::int64_t ms = swy::seconds_as_ms(delay);
        if (ms > 0) refusal.retry_after_ms = static_cast<std::uint32_t>(ms);
      }
      daily |= contains(detail, "PerDay");
    }
  }
  refusal.cls = class_of(status, refusal.type, refusal.message, daily);
  // In an answer that had begun the status of its own says more than 200.
  const auto code = json::to_integer(json::find(error, "code"));
  if (status == 200 && code && *code >= 400 && *code < 600) {
    refusal.status = static_cast<unsigned>(*code);
    refusal.cls = class_of(refusal.status, refusal.type, refusal.message, daily);
  }
  return refusal;
}

swy::Result<Settings> parse_settings(std::string_view config_json) {
  Settings settings;
  const std::string_view given = json::find(config_json, "settings");
  settings.safety_settings = json::find(given, "safety_settings");
  settings.vertex = json::is_true(json::find(given, "vertex"));
  // Vertex refuses the member.
  settings.send_store = !settings.vertex && json::find(given, "send_store") != "false";
  if (auto url = json::to_text(json::find(given, "token_url"))) settings.token_url = *url;
  return settings;
}

// ---- operation ----

Operation::Operation(const Settings& settings, const swy::Request& request, std::int64_t now,
                     swy::Signer signer)
    : settings_(&settings),
      request_(request),
      signer_(signer),
      now_(now),
      streaming_(request.stream() && request.task() == "chat"),
      answer_(request, now, kFormat) {
  if (request.find("web_search_options") != nullptr) answer_.keep_text();
}

swy::Next Operation::step(const swy::Event& event, swy::Out& out) {
  switch (event.kind()) {
    case SWY_EV_DATA:
      return on_data(event, out);
    case SWY_EV_START:
      return start(out);
    case SWY_EV_HEAD:
      return on_head(event);
    case SWY_EV_END:
      return on_end(out);
    case SWY_EV_IOERR:
      return on_broken(event, out);
    case SWY_EV_CANCEL:
      return swy::Next::done();
    default:
      return swy::Next::unknown_event();
  }
}

swy::Next Operation::start(swy::Out& out) {
  return needs_token(out) ? ask_for_token(out) : start_task(out);
}

swy::Next Operation::start_task(swy::Out& out) {
  if (settings_->vertex &&
      (request_.task() == "models" || (request_.task() == "embeddings" && !native()))) {
    return swy::Next::fail(
        {SWY_CLS_NOT_OFFERED, "Vertex does not offer " + std::string(request_.task())});
  }
  if (native() && request_.task() != "models") return start_native(out);
  if (request_.task() == "chat") return start_chat(out);
  if (request_.task() == "embeddings") return start_embeddings(out);
  if (request_.task() == "models") return ask_for_models(out);
  return swy::Next::fail(
      {SWY_CLS_NOT_OFFERED, "gemini does not offer " + std::string(request_.task())});
}

swy::Next Operation::start_chat(swy::Out& out) {
  UpstreamBody body(*settings_, request_);
  if (body.refusal()) return swy::refuse(out, *body.refusal());
  custom_tools_ = body.custom_tools();
  body.losses().emit(out);
  begin(out, "POST", model_path(streaming_ ? ":streamGenerateContent?alt=sse" : ":generateContent"),
        streaming_ ? SWY_FRAME_SSE : SWY_FRAME_WHOLE);
  out.header("content-type", "application/json");
  out.body(body.pieces());
  return swy::Next::send();
}

swy::Next Operation::start_embeddings(swy::Out& out) {
  EmbeddingsBody body;
  write_embeddings(request_, body);
  if (body.refusal) return swy::refuse(out, *body.refusal);
  body.losses.emit(out);
  begin(out, "POST", model_path(":batchEmbedContents"), SWY_FRAME_WHOLE);
  out.header("content-type", "application/json");
  out.body(body.writer.pieces());
  return swy::Next::send();
}

swy::Next Operation::ask_for_models(swy::Out& out) {
  std::string path = "/models?pageSize=1000";
  if (!page_.empty()) path += "&pageToken=" + percent_encoded(page_);
  begin(out, "GET", path, SWY_FRAME_WHOLE);
  return swy::Next::send();
}

void Operation::begin(swy::Out& out, std::string_view method, std::string_view path,
                      std::uint32_t framing) {
  out.begin(method, path, framing);
  if (settings_->vertex && !account().empty()) {
    out.auth("bearer", {}, kToken);
  } else {
    out.auth("header", "x-goog-api-key");
  }
  out.header("accept", framing == SWY_FRAME_SSE ? "text/event-stream" : "application/json");
  for (const std::string_view name : {"traceparent", "tracestate"}) {
    const std::string_view value = request_.header(name);
    if (!value.empty()) out.header(name, value);
  }
}

// A name that a client may choose can't leave its place in the path.
std::string Operation::model_path(std::string_view call) const {
  constexpr std::string_view kModels = "models/", kTuned = "tunedModels/";
  std::string_view model = request_.model(), folder = kModels;
  if (model.starts_with(kModels)) model.remove_prefix(kModels.size());
  if (model.starts_with(kTuned)) {
    model.remove_prefix(kTuned.size());
    folder = kTuned;
  }
  return "/" + std::string(folder) + percent_encoded(model) + std::string(call);
}

swy::Next Operation::on_head(const swy::Event& event) {
  status_ = event.status();
  if (status_ >= 300) retry_after_ms_ = swy::retry_after_ms(event);
  return swy::Next::feed();
}

swy::Next Operation::on_data(const swy::Event& event, swy::Out& out) {
  if (exchanging_) return refused_token();
  if (status_ >= 300) return refuse(event.data(), out);
  if (native() && request_.task() != "models") return on_native(event.data(), out);
  if (request_.task() == "models") return on_models(event.data(), out);
  if (request_.task() == "embeddings") return on_embeddings(event.data(), out);
  const swy::Next next = on_response(event.data(), out);
  return streaming_ || next.act != SWY_ACT_FEED ? next : on_end(out);
}

// Google marks the end by ending; only a reason to finish tells it from a cut.
swy::Next Operation::on_end(swy::Out& out) {
  if (exchanging_) {
    if (status_ >= 300) return refused_token();
    exchanging_ = false;
    return start_task(out);
  }
  if (status_ >= 300) return refuse({}, out);
  if (native()) {
    if (!native_finished_) return bad_answer("the answer ended without a finishReason");
    return swy::Next::done();
  }
  if (!answer_.any()) return bad_answer("the upstream's answer holds no candidate");
  if (!answer_.all_finished()) return bad_answer("the answer ended without a finishReason");
  answer_.end(out, usage_);
  return swy::Next::done();
}

swy::Next Operation::on_broken(const swy::Event& event, swy::Out& out) {
  if (usage_.any()) out.usage(usage_.json());
  return swy::Next::fail({static_cast<std::int32_t>(event.status()), std::string(event.data())});
}

swy::Next Operation::refuse(std::string_view body, swy::Out& out) {
  if (usage_.any()) out.usage(usage_.json());
  return swy::refuse(out, read_refusal(status_, retry_after_ms_, body));
}

// The prompt was refused before the model saw it.
swy::Next Operation::blocked(std::string_view reason, std::string_view message, swy::Out& out) {
  swy::Refusal refusal;
  refusal.cls = SWY_CLS_FILTERED;
  refusal.status = 400;
  refusal.param = "messages";
  refusal.message = "the prompt was blocked: " + std::string(reason);
  if (!message.empty()) refusal.message += ": " + std::string(message);
  return swy::refuse(out, std::move(refusal));
}

swy::Next Operation::bad_answer(std::string what) const {
  return swy::Next::fail({SWY_CLS_BAD_ANSWER, std::move(what), status_});
}

// ---- chat ----

swy::Next Operation::on_response(std::string_view response, swy::Out& out) {
  std::string_view candidates, feedback, usage, model, id, error, name;
  json::Cursor cursor(response);
  if (cursor.type() == 'a') return refuse(response, out);  // an error in an array of one
  if (!cursor.object()) return bad_answer("the upstream's answer is not a JSON object");
  while (cursor.member(name)) {
    const std::string_view value = cursor.value();
    if (json::is(name, "candidates")) {
      candidates = value;
    } else if (json::is(name, "usageMetadata")) {
      usage = value;
    } else if (json::is(name, "modelVersion")) {
      model = json::inside(value);
    } else if (json::is(name, "responseId")) {
      id = json::inside(value);
    } else if (json::is(name, "promptFeedback")) {
      feedback = value;
    } else if (json::is(name, "error")) {
      error = value;
    }
  }
  if (!cursor.at_end()) return bad_answer("the upstream's answer is not a JSON object");
  if (!json::is_null(error)) return refuse(response, out);
  note_usage(usage);
  if (!usage_told_ && usage_.any()) {
    usage_told_ = true;
    out.usage(usage_.json());  // wanted should the stream break off
  }
  const auto reason = json::to_text(json::find(feedback, "blockReason"));
  if (reason && !reason->empty() && !answer_.any()) {
    const auto message = json::to_text(json::find(feedback, "blockReasonMessage"));
    return blocked(*reason, message.value_or(""), out);
  }
  if (!answer_.identified()) {
    const std::string own = json::quoted("chatcmpl-" + std::string(request_.id()));
    const std::string asked = json::quoted(request_.model());
    answer_.identify(id.empty() ? json::inside(own) : id,
                     model.empty() ? json::inside(asked) : model);
  }
  json::Cursor list(candidates);
  if (!list.array()) {
    return json::is_null(candidates) ? swy::Next::feed() : bad_answer("candidates is no array");
  }
  while (list.element()) {
    if (!on_candidate(list.value(), out)) return bad_answer("a candidate can't be understood");
  }
  if (!list.ok()) return bad_answer("candidates is broken");
  if (!failed_.empty()) {
    return swy::Next::fail({SWY_CLS_SERVER, "the model failed: " + failed_, status_});
  }
  return swy::Next::feed();
}

bool Operation::on_candidate(std::string_view candidate, swy::Out& out) {
  std::string_view content, finish, grounding, logprobs, index, name;
  json::Cursor cursor(candidate);
  if (!cursor.object()) return false;
  while (cursor.member(name)) {
    const std::string_view value = cursor.value();
    if (json::is(name, "content")) {
      content = value;
    } else if (json::is(name, "finishReason")) {
      finish = json::inside(value);
    } else if (json::is(name, "index")) {
      index = value;
    } else if (json::is(name, "groundingMetadata")) {
      grounding = value;
    } else if (json::is(name, "logprobsResult")) {
      logprobs = value;
    }
  }
  const std::int64_t number = index.empty() ? 0 : json::to_integer(index).value_or(-1);
  if (number < 0 || number >= swy::ChatAnswer::kChoicesMax || !cursor.ok()) return false;
  const auto choice = static_cast<unsigned>(number);
  answer_.open(out, choice);
  if (!json::is_null(content) && !on_parts(content, choice, out)) return false;
  if (json::type_of(logprobs) == 'o') on_logprobs(logprobs, choice, out);
  if (json::type_of(grounding) == 'o') on_grounding(grounding, choice, out);
  on_finish(finish, choice, out);
  return true;
}

// Some upstreams say STOP with every piece: the last reason counts, once the answer has ended.
void Operation::on_finish(std::string_view reason, unsigned choice, swy::Out& out) {
  if (reason.empty() || reason == "FINISH_REASON_UNSPECIFIED") return;
  if (is_failure(reason)) {
    failed_ = reason;
    return;
  }
  answer_.finish(out, choice, finish_reason(reason, answer_.calls(choice) > 0), reason);
}

bool Operation::on_parts(std::string_view content, unsigned choice, swy::Out& out) {
  if (json::type_of(content) != 'o') return false;
  json::Cursor parts(json::find(content, "parts"));
  if (!parts.array()) return true;
  while (parts.element()) {
    if (!on_part(parts.value(), choice, out)) return false;
  }
  return parts.ok();
}

bool Operation::on_part(std::string_view part, unsigned choice, swy::Out& out) {
  std::string_view text, call, data, signature, name;
  bool thought = false, other = false;
  json::Cursor cursor(part);
  if (!cursor.object()) return false;
  while (cursor.member(name)) {
    const std::string_view value = cursor.value();
    if (json::is(name, "text")) {
      text = json::inside(value);
    } else if (json::is(name, "thought")) {
      thought = json::is_true(value);
    } else if (json::is(name, "functionCall")) {
      call = value;
    } else if (json::is(name, "thoughtSignature")) {
      signature = json::inside(value);
    } else if (json::is(name, "inlineData")) {
      data = value;
    } else {
      other = true;
    }
  }
  if (!cursor.at_end()) return false;
  if (json::type_of(call) == 'o') {
    on_call(call, signature, choice, out);
    if (answer_.finish_of(choice) == "stop") on_finish("STOP", choice, out);
    return true;
  }
  if (thought) {
    answer_.thought(out, choice, text);
  } else {
    answer_.text(out, choice, text);
  }
  if (json::type_of(data) == 'o') {
    answer_.image(out, choice, json::inside(json::find(data, "mimeType")),
                  json::inside(json::find(data, "data")));
  }
  if (!signature.empty()) answer_.sealed(out, choice, signature);
  // Code that ran and what came of it: only Google knows what to do with it.
  if (other && text.empty() && json::valid(part)) answer_.opaque(out, choice, part);
  return true;
}

// A call comes whole. Its signature has to come back with it.
void Operation::on_call(std::string_view call, std::string_view signature, unsigned choice,
                        swy::Out& out) {
  const std::string_view name = json::find(call, "name"), args = json::find(call, "args");
  std::string own;
  std::string_view id = json::inside(json::find(call, "id"));
  if (id.empty()) {
    own = json::quoted("call_" + std::string(request_.id()) + "_" + std::to_string(made_up_ids_++));
    id = json::inside(own);
  }
  std::string extra;
  if (!signature.empty()) {
    extra = R"("extra_content":{"google":{"thought_signature":")";
    json::append_inside(extra, signature);
    extra += R"(","model":)" + json::quoted(request_.model()) + "}},";
  }
  if (!custom_tools_.empty() && custom_tools_.contains(json::to_text(name).value_or(""))) {
    answer_.custom_call(out, choice, id, json::inside(name),
                        json::inside(json::find(args, "input")));
    return;
  }
  answer_.whole_call(out, choice, id, json::inside(name), extra,
                     json::type_of(args) == 'o' ? args : std::string_view("{}"));
}

// Which page stands behind which piece of the text. Google counts bytes, OpenAI characters.
void Operation::on_grounding(std::string_view grounding, unsigned choice, swy::Out& out) {
  note_searches(json::find(grounding, "webSearchQueries"));
  const std::string_view chunks = json::find(grounding, "groundingChunks");
  json::Cursor supports(json::find(grounding, "groundingSupports"));
  if (!supports.array()) return;
  std::string quoted = "\"";
  quoted.append(answer_.text_of(choice)).append("\"");
  const std::string text = json::unescape(quoted);
  while (supports.element()) {
    const std::string_view support = supports.value();
    const std::string_view segment = json::find(support, "segment");
    const std::int64_t from = json::to_integer(json::find(segment, "startIndex")).value_or(0);
    const std::int64_t to = json::to_integer(json::find(segment, "endIndex")).value_or(0);
    json::Cursor indices(json::find(support, "groundingChunkIndices"));
    if (!indices.array()) continue;
    while (indices.element()) {
      const auto index = json::to_integer(indices.value());
      if (!index || *index < 0) continue;
      const std::string_view web =
          json::find(json::at(chunks, static_cast<std::size_t>(*index)), "web");
      const std::string_view uri = json::inside(json::find(web, "uri"));
      if (uri.empty()) continue;
      answer_.url_citation(out, choice, characters_before(text, from), characters_before(text, to),
                           uri, json::inside(json::find(web, "title")));
    }
  }
}

namespace {

// {"token","logprob","bytes"} without its closing bracket; false where it is no candidate.
bool append_logprob(std::string& list, std::string_view candidate) {
  const std::string_view token = json::find(candidate, "token");
  const std::string_view logprob = json::find(candidate, "logProbability");
  if (json::type_of(token) != 's' || !json::valid(logprob)) return false;
  list += R"({"token":")";
  json::append_inside(list, json::inside(token));
  list.append(R"(","logprob":)").append(logprob).append(R"(,"bytes":[)");
  const std::string text = json::unescape(token);
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (i > 0) list += ',';
    list += std::to_string(static_cast<unsigned char>(text[i]));
  }
  list += ']';
  return true;
}

}  // namespace

void Operation::on_logprobs(std::string_view result, unsigned choice, swy::Out& out) {
  json::Cursor chosen(json::find(result, "chosenCandidates"));
  json::Cursor steps(json::find(result, "topCandidates"));
  if (!chosen.array()) return;
  bool tops = steps.array();
  std::string list;
  while (chosen.element()) {
    tops = tops && steps.element();
    const std::string_view step = tops ? steps.value() : std::string_view();
    const std::size_t before = list.size();
    if (before > 0) list += ',';
    if (!append_logprob(list, chosen.value())) {
      list.resize(before);
      continue;
    }
    list += R"(,"top_logprobs":[)";
    json::Cursor top(json::find(step, "candidates"));
    bool first = true;
    if (top.array()) {
      while (top.element()) {
        const std::size_t at = list.size();
        if (!first) list += ',';
        if (append_logprob(list, top.value())) {
          list += '}';
          first = false;
        } else {
          list.resize(at);
        }
      }
    }
    list += "]}";
  }
  if (!list.empty()) answer_.logprobs(out, choice, list);
}

namespace {

// [{"modality":"AUDIO","tokenCount":7}]; nothing where there are none of it.
std::optional<std::int64_t> tokens_of(std::string_view details, std::string_view modality) {
  json::Cursor list(details);
  if (!list.array()) return std::nullopt;
  while (list.element()) {
    const std::string_view each = list.value();
    if (json::inside(json::find(each, "modality")) != modality) continue;
    const auto count = swy::ChatUsage::count(json::find(each, "tokenCount"));
    if (count && *count > 0) return count;
  }
  return std::nullopt;
}

}  // namespace

void Operation::note_usage(std::string_view usage) {
  json::Cursor cursor(usage);
  std::string_view name;
  if (!cursor.object()) return;
  std::optional<std::int64_t> prompt, tools, candidates, thoughts, cached;
  while (cursor.member(name)) {
    const std::string_view value = cursor.value();
    const auto count = swy::ChatUsage::count(value);
    if (json::is(name, "promptTokenCount")) {
      prompt = count;
    } else if (json::is(name, "toolUsePromptTokenCount")) {
      tools = count;
    } else if (json::is(name, "candidatesTokenCount")) {
      candidates = count;
    } else if (json::is(name, "thoughtsTokenCount")) {
      thoughts = count;
    } else if (json::is(name, "cachedContentTokenCount")) {
      cached = count;
    } else if (json::is(name, "promptTokensDetails")) {
      usage_.audio_in = tokens_of(value, "AUDIO");
      usage_.image_in = tokens_of(value, "IMAGE");
    } else if (json::is(name, "cacheTokensDetails")) {
      usage_.cached_audio = tokens_of(value, "AUDIO");
    } else if (json::is(name, "candidatesTokensDetails")) {
      usage_.audio_out = tokens_of(value, "AUDIO");
      usage_.image_out = tokens_of(value, "IMAGE");
    }
  }
  if (prompt) usage_.prompt = *prompt + tools.value_or(0);
  if (candidates || thoughts) usage_.completion = candidates.value_or(0) + thoughts.value_or(0);
  if (prompt && !usage_.completion) usage_.completion = 0;
  if (cached) usage_.cached = cached;
  if (thoughts) usage_.reasoning = thoughts;
}

// The list grows while a stream goes on.
void Operation::note_searches(std::string_view queries) {
  json::Cursor list(queries);
  if (!list.array()) return;
  std::int64_t count = 0;
  while (list.element()) {
    list.skip();
    ++count;
  }
  if (count > usage_.searches.value_or(0)) usage_.searches = count;
}

// ---- embeddings, models ----

swy::Next Operation::on_embeddings(std::string_view body, swy::Out& out) {
  json::Cursor list(json::find(body, "embeddings"));
  if (!list.array()) {
    if (!json::is_null(json::find(body, "error"))) return refuse(body, out);
    return bad_answer("the upstream's answer has no embeddings");
  }
  const bool base64 = json::inside(request_.value("encoding_format")) == "base64";
  std::string answer = R"({"object":"list","data":[)";
  for (std::size_t i = 0; list.element(); ++i) {
    const std::string_view values = json::find(list.value(), "values");
    if (i > 0) answer += ',';
    answer += R"({"object":"embedding","index":)" + std::to_string(i) + R"(,"embedding":)";
    if (base64) {
      answer += '"';
      if (!append_floats(answer, values)) return bad_answer("an embedding holds no numbers");
      answer += '"';
    } else if (json::type_of(values) == 'a' && json::valid(values)) {
      answer += values;
    } else {
      return bad_answer("an embedding holds no numbers");
    }
    answer += '}';
  }
  if (!list.ok()) return bad_answer("the upstream's answer is broken");
  answer += R"(],"model":)" + json::quoted(request_.model());
  note_usage(json::find(body, "usageMetadata"));
  if (usage_.prompt) {
    out.usage(R"({"prompt_tokens":)" + std::to_string(*usage_.prompt) + "}");
    answer += R"(,"usage":{"prompt_tokens":)" + std::to_string(*usage_.prompt) +
              R"(,"total_tokens":)" + std::to_string(*usage_.prompt) + "}";
  }
  out.whole(answer + "}", 0);
  return swy::Next::done();
}

swy::Next Operation::on_models(std::string_view body, swy::Out& out) {
  constexpr std::string_view kPrefix = "models/";
  json::Cursor list(json::find(body, "models"));
  if (!list.array()) return bad_answer("the upstream's list of models has no models");
  while (list.element()) {
    std::string name = json::to_text(json::find(list.value(), "name")).value_or("");
    if (name.starts_with(kPrefix)) name.erase(0, kPrefix.size());
    if (name.empty()) continue;
    if (!models_.empty()) models_ += ',';
    json::Writer entry(models_);
    entry.open_object().key("id").text(name).key("object").text("model");
    entry.key("created").integer(0).key("owned_by").text("google").close_object();
  }
  std::string next = json::to_text(json::find(body, "nextPageToken")).value_or("");
  if (!next.empty() && next.size() < 1024 && next != page_ && ++pages_ < kPagesMax) {
    page_ = std::move(next);
    return ask_for_models(out);
  }
  out.whole(R"({"object":"list","data":[)" + models_ + "]}", 0);
  return swy::Next::done();
}

}  // namespace gemini
