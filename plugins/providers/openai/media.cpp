#include "providers/openai/media.hpp"

#include <algorithm>
#include <optional>
#include <switchyard/json.hpp>

#include "providers/openai/errors.hpp"

namespace openai {

namespace json = swy::json;

namespace {

constexpr std::string_view kForms[] = {"images.edits", "images.variations", "audio.transcriptions",
                                       "audio.translations"};

bool is_form(std::string_view task) {
  return std::find(std::begin(kForms), std::end(kForms), task) != std::end(kForms);
}

// Holds the usage at the end of the last event, whatever came before it.
constexpr std::size_t kTailBytes = 4096;

// Speech is sound; an answer in pieces, or in a form of text of its own, is no JSON either.
bool answers_bytes(const swy::Request& request) {
  if (request.task() == "audio.speech" || json::is_true(request.value("stream"))) return true;
  const std::string format = json::to_text(request.value("response_format")).value_or("");
  return format == "text" || format == "srt" || format == "vtt";
}

// A name inside quotes, as browsers write it (WHATWG HTML, multipart/form-data encoding).
std::string quoted(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"') {
      out += "%22";
    } else if (c == '\r' || c == '\n') {
      out += c == '\r' ? "%0D" : "%0A";
    } else {
      out += c;
    }
  }
  return out + '"';
}

const swy_blob* blob_of(const swy::Request& request, std::string_view value) {
  if (json::type_of(value) != 'o') return nullptr;
  const auto id = json::to_integer(json::find(value, "$blob"));
  const swy_req& raw = request.raw();
  for (std::uint32_t i = 0; id && i < raw.nblob; ++i) {
    const swy_blob* const blob = SWY_AT(swy_blob, raw.blob, i, raw.blob_stride);
    if (blob->id == static_cast<std::uint64_t>(*id)) return blob;
  }
  return nullptr;
}

// Writes the members of a canonical body as the parts of a form.
class FormWriter {
 public:
  FormWriter(const Rules& rules, const swy::Request& request, swy::Out& out)
      : rules_(rules), request_(request), out_(out) {}

  void write() {
    bool model = false;
    for (std::size_t i = 0; i < request_.member_count(); ++i) {
      const swy_member& member = request_.member(i);
      const std::string_view name = swy::view(member.name);
      if (std::find(rules_.drop.begin(), rules_.drop.end(), name) != rules_.drop.end()) {
        if (!asks_for_nothing(name, request_.value(member))) losses_.add(name);
        continue;
      }
      if (name == "model") {
        model = true;
        put_text("model", request_.model());
      } else {
        const std::string* const renamed = look_up(rules_.rename, name);
        put_member(renamed != nullptr ? *renamed : std::string(name), request_.value(member));
      }
    }
    if (!model) put_text("model", request_.model());
    losses_.emit(out_);
  }

 private:
  void put_member(const std::string& name, std::string_view value) {
    if (json::type_of(value) != 'a') return put_value(name, value);
    json::Cursor cursor(value);
    cursor.array();
    while (cursor.element()) put_value(name + "[]", cursor.value());
  }

  void put_value(const std::string& name, std::string_view value) {
    if (json::is_null(value)) return;
    if (const swy_blob* const blob = blob_of(request_, value)) return put_file(name, *blob);
    const auto text = json::to_text(value);
    put_text(name, text ? std::string_view(*text) : value);
  }

  void open(const std::string& disposition, std::string_view type) {
    const swy_kv headers[] = {{swy::str("content-disposition"), swy::str(disposition)},
                              {swy::str("content-type"), swy::str(type)}};
    out_.raw().req_part(out_.raw().ctx, headers, type.empty() ? 1 : 2);
  }

  void put_text(const std::string& name, std::string_view text) {
    open("form-data; name=" + quoted(name), {});
    out_.body(text);
  }

  void put_file(const std::string& name, const swy_blob& blob) {
    const std::string_view type = swy::view(blob.mime);
    open("form-data; name=" + quoted(name) + "; filename=" + quoted(swy::view(blob.name)),
         type.empty() ? "application/octet-stream" : type);
    const swy_seg piece{SWY_SEG_BLOB, SWY_ENC_RAW, blob.id, 0, {nullptr, blob.len}};
    out_.raw().req_body(out_.raw().ctx, &piece, 1);
  }

  const Rules& rules_;
  const swy::Request& request_;
  swy::Out& out_;
  swy::Losses losses_;
};

// What tokens of a task's answer are when nobody says so.
std::string_view tokens_made(std::string_view task) {
  if (task == "audio.speech") return "audio_tokens";
  return task.starts_with("images.") ? "image_tokens" : "";
}

// In the terms of the record: tokens, or seconds of sound; empty where neither was counted. Details
// are called input_tokens_details of pictures, and input_token_details of sound.
std::string canonical_usage(std::string_view usage, std::string_view made) {
  const auto in = json::to_integer(json::find(usage, "input_tokens"));
  const auto read = json::to_integer(json::find(usage, "output_tokens"));
  const std::string_view seconds = json::find(usage, "seconds");
  if (!in && !read) {
    return json::type_of(seconds) == 'n' ? R"({"seconds":)" + std::string(seconds) + "}" : "";
  }
  std::string_view details = json::find(usage, "input_tokens_details");
  if (details.empty()) details = json::find(usage, "input_token_details");
  std::string out;
  json::Writer writer(out);
  const auto put = [&](std::string_view name, std::string_view from) {
    const auto count = json::to_integer(json::find(details, from));
    if (count) writer.key(name).integer(*count);
  };
  writer.open_object();
  if (in) writer.key("prompt_tokens").integer(*in);
  if (read) writer.key("completion_tokens").integer(*read);
  if (json::type_of(details) == 'o') {
    writer.key("prompt_tokens_details").open_object();
    put("cached_tokens", "cached_tokens");
    put("audio_tokens", "audio_tokens");
    put("image_tokens", "image_tokens");
    writer.close_object();
  }
  if (!made.empty() && read) {
    const auto told =
        json::to_integer(json::find(json::find(usage, "output_tokens_details"), made));
    writer.key("completion_tokens_details").open_object();
    writer.key(made).integer(told.value_or(*read)).close_object();
  }
  writer.close_object();
  return out;
}

// The usage of the last event that has one; empty where none has. Within a text its quotes would be
// escaped.
std::string_view last_usage(std::string_view events) {
  constexpr std::string_view kMark = R"("usage":)";
  const std::size_t at = events.rfind(kMark);
  if (at == std::string_view::npos) return {};
  const std::string_view usage = json::Cursor(events.substr(at + kMark.size())).value();
  return json::type_of(usage) == 'o' ? usage : std::string_view();
}

std::optional<std::int64_t> count_images(std::string_view data) {
  json::Cursor list(data);
  std::int64_t count = 0;
  if (!list.array()) return std::nullopt;
  while (list.element()) {
    // One that failed is told in its place, and not paid for.
    if (json::is_null(json::find(list.value(), "error"))) ++count;
  }
  return list.ok() ? std::optional(count) : std::nullopt;
}

// Another member of a usage object; one of its own where there is none yet.
void add_count(std::string& counted, std::string_view name, std::int64_t count) {
  if (counted.empty()) {
    counted = "{";
  } else {
    counted.back() = ',';
  }
  counted += json::quoted(name) + ":" + std::to_string(count) + "}";
}

}  // namespace

bool is_media(std::string_view task) {
  return task.starts_with("images.") || task.starts_with("audio.");
}

MediaOperation::MediaOperation(const Settings& settings, const swy::Request& request)
    : settings_(&settings), request_(request), relays_(answers_bytes(request)) {}

swy::Next MediaOperation::step(const swy::Event& event, swy::Out& out) {
  switch (event.kind()) {
    case SWY_EV_START:
      return start(out);
    case SWY_EV_HEAD:
      return on_head(event, out);
    case SWY_EV_DATA:
      return on_data(event.data(), out);
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

swy::Next MediaOperation::start(swy::Out& out) {
  const Dialect& dialect = settings_->dialect;
  const std::string* const path = look_up(dialect.paths, request_.task());
  if (path == nullptr) {
    return swy::Next::fail(
        {SWY_CLS_NOT_OFFERED, dialect.name + " does not offer " + std::string(request_.task())});
  }
  const bool form = is_form(request_.task());
  std::optional<UpstreamBody> body;
  if (!form) body.emplace(dialect, request_);
  if (body && body->refusal()) return swy::Next::fail(*body->refusal());
  if (body) body->losses().emit(out);
  out.begin("POST", upstream_path(dialect, settings_->query, *path, request_),
            relays_ ? SWY_FRAME_RAW : SWY_FRAME_WHOLE);
  out.auth(dialect.auth_scheme, dialect.auth_name);
  for (const auto& [name, value] : dialect.headers) out.header(name, value);
  for (const auto& [name, value] : settings_->headers) out.header(name, value);
  if (form) {
    FormWriter(dialect.rules_for(request_.model()), request_, out).write();
  } else {
    out.header("content-type", "application/json");
    out.body(body->pieces());
  }
  return swy::Next::send();
}

swy::Next MediaOperation::on_head(const swy::Event& event, swy::Out& out) {
  status_ = event.status();
  in_events_ = event.header("content-type").starts_with("text/event-stream");
  const std::string limits = read_limits(event.headers());
  if (!limits.empty()) out.limits(limits);
  if (status_ >= 300) {
    retry_after_ms_ = retry_after_ms(settings_->dialect, event.headers());
  } else if (relays_) {
    std::string head;
    json::Writer writer(head);
    const std::string_view type = event.header("content-type");
    writer.open_object().key("content_type").text(type.empty() ? "application/octet-stream" : type);
    const auto length = json::to_integer(event.header("content-length"));
    if (length && *length > 0) writer.key("content_length").integer(*length);
    writer.close_object();
    out.emit(SWY_EMIT_HEAD, head);
  }
  return swy::Next::feed();
}

swy::Next MediaOperation::on_data(std::string_view data, swy::Out& out) {
  if (status_ >= 300) return refuse(data, out);
  if (!relays_) return on_whole(data, out);
  any_ = true;
  keep_tail(data);
  out.emit(SWY_EMIT_RAW, data);
  return swy::Next::feed();
}

swy::Next MediaOperation::on_whole(std::string_view body, swy::Out& out) {
  json::Cursor cursor(body);
  std::string_view name, error, usage, data, duration;
  bool object = cursor.object();
  while (object && cursor.member(name)) {
    const std::string_view value = cursor.value();
    if (json::is(name, "error") && !json::is_null(value)) error = value;
    if (json::is(name, "usage")) usage = value;
    if (json::is(name, "data")) data = value;
    if (json::is(name, "duration")) duration = value;
  }
  object = object && cursor.at_end();
  if (!object) {
    return swy::Next::fail(
        {SWY_CLS_BAD_ANSWER, "the upstream's answer is not a JSON object", status_});
  }
  if (!error.empty() || says_fault(settings_->dialect, body)) return refuse(body, out);
  std::string counted = canonical_usage(usage, tokens_made(request_.task()));
  // Of the sound, which `verbose_json` tells also where there is no usage.
  const bool heard = request_.task().starts_with("audio.");
  if (heard && counted.empty() && json::type_of(duration) == 'n') {
    counted = R"({"seconds":)" + std::string(duration) + "}";
  }
  const auto images = request_.task().starts_with("images.") ? count_images(data) : std::nullopt;
  if (images) add_count(counted, "images", *images);
  if (!counted.empty()) out.usage(counted);
  out.whole(body, request_.native() ? SWY_EMIT_NATIVE : 0u);
  return swy::Next::done();
}

swy::Next MediaOperation::on_end(swy::Out& out) {
  if (status_ >= 300) return refuse({}, out);
  if (!relays_) {
    return swy::Next::fail({SWY_CLS_BAD_ANSWER, "the upstream's answer is empty", status_});
  }
  if (!any_) out.emit(SWY_EMIT_RAW, {});
  count_relayed(out);
  return swy::Next::done();
}

// Only events end with their usage.
void MediaOperation::keep_tail(std::string_view data) {
  if (!in_events_) return;
  if (data.size() >= kTailBytes) {
    tail_ = data.substr(data.size() - kTailBytes);
    return;
  }
  if (tail_.size() + data.size() > 2 * kTailBytes) tail_.erase(0, tail_.size() - kTailBytes);
  tail_ += data;
}

// Speech that comes as mere sound is told nothing of by its upstream; it is sold by the character.
void MediaOperation::count_relayed(swy::Out& out) const {
  const std::string_view usage = last_usage(tail_);
  std::string counted = canonical_usage(usage, tokens_made(request_.task()));
  const swy_member* const spoken =
      request_.task() == "audio.speech" ? request_.find("input") : nullptr;
  if (spoken != nullptr && spoken->type == 's') {
    const std::size_t count = json::count_characters(json::inside(request_.value(*spoken)));
    add_count(counted, "characters", static_cast<std::int64_t>(count));
  }
  const auto made = json::to_integer(json::find(usage, "generated_images"));
  if (made) add_count(counted, "images", *made);
  if (!counted.empty()) out.usage(counted);
}

swy::Next MediaOperation::refuse(std::string_view body, swy::Out& out) {
  Fault fault = read_fault(settings_->dialect, status_, retry_after_ms_, body);
  out.error(fault.client);
  return swy::Next::fail(std::move(fault.error));
}

}  // namespace openai
