#include "providers/openai/realtime.hpp"

#include <charconv>
#include <cmath>
#include <switchyard/json.hpp>

#include "providers/openai/errors.hpp"

namespace openai {

namespace json = swy::json;

namespace {

void append_escaped(std::string& out, std::string_view text) {
  static constexpr char kHex[] = "0123456789ABCDEF";
  for (const char c : text) {
    const bool plain = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                       c == '-' || c == '_' || c == '.' || c == '~';
    if (plain) {
      out += c;
      continue;
    }
    const auto byte = static_cast<unsigned char>(c);
    out += '%';
    out += kHex[byte >> 4];
    out += kHex[byte & 15];
  }
}

// The path with the client's query, the model's name the upstream's own.
std::string url_of(std::string_view path, const swy::Request& request) {
  std::string url(path);
  url += "?model=";
  append_escaped(url, request.model());
  for (std::size_t i = 0; i < request.member_count(); ++i) {
    const swy_member& member = request.member(i);
    const std::string_view name = swy::view(member.name);
    const auto value = json::to_text(request.value(member));
    if (name == "model" || !value) continue;
    url += '&';
    append_escaped(url, name);
    url += '=';
    append_escaped(url, *value);
  }
  return url;
}

void add(std::uint64_t& sum, std::string_view usage, std::string_view path) {
  const auto count = json::to_integer(json::find_path(usage, path));
  if (count && *count > 0) sum += static_cast<std::uint64_t>(*count);
}

std::uint64_t milliseconds(std::string_view seconds) {
  constexpr double kMost = 1e9;
  double number = 0;
  (void)std::from_chars(seconds.data(), seconds.data() + seconds.size(), number);
  return number > 0 ? static_cast<std::uint64_t>(std::ceil(std::min(number, kMost) * 1000)) : 0;
}

}  // namespace

swy::Next RealtimeOperation::step(const swy::Event& event, swy::Out& out) {
  switch (event.kind()) {
    case SWY_EV_UP_MSG:
      if (event.name() == "text") note(event.data(), out);
      out.to_client(event.data(), event.name() == "text");
      return swy::Next::feed();
    case SWY_EV_DOWN_MSG:
      out.to_upstream(event.data(), event.name() == "text");
      return swy::Next::feed();
    case SWY_EV_START:
      return start(out);
    case SWY_EV_HEAD:
      return on_head(event, out);
    case SWY_EV_DATA:
      return on_refusal(event.data(), out);
    case SWY_EV_END:
      return on_refusal({}, out);
    case SWY_EV_CLOSED:
      return on_closed(event, out);
    case SWY_EV_IOERR:
      return swy::Next::fail(
          {static_cast<std::int32_t>(event.status()), std::string(event.data())});
    case SWY_EV_CANCEL:
      return swy::Next::done();
    default:
      return swy::Next::unknown_event();
  }
}

swy::Next RealtimeOperation::start(swy::Out& out) {
  const Dialect& dialect = settings_->dialect;
  const std::string* path = look_up(dialect.paths, "realtime");
  if (path == nullptr) {
    return swy::Next::fail({SWY_CLS_NOT_OFFERED, dialect.name + " does not offer realtime"});
  }
  out.begin("GET", url_of(*path, request_), SWY_FRAME_WEBSOCKET);
  out.auth(dialect.auth_scheme, dialect.auth_name);
  for (std::uint32_t i = 0; i < request_.raw().nhdr; ++i) {
    out.header(swy::view(request_.raw().hdr[i].k), swy::view(request_.raw().hdr[i].v));
  }
  for (const auto& [name, value] : dialect.headers) out.header(name, value);
  for (const auto& [name, value] : settings_->headers) out.header(name, value);
  return swy::Next::send();
}

swy::Next RealtimeOperation::on_head(const swy::Event& event, swy::Out& out) {
  status_ = event.status();
  if (status_ >= 300) retry_after_ms_ = retry_after_ms(settings_->dialect, event.headers());
  const std::string limits = read_limits(event.headers());
  if (!limits.empty()) out.limits(limits);
  return swy::Next::feed();
}

swy::Next RealtimeOperation::on_refusal(std::string_view body, swy::Out& out) {
  if (status_ < 300) {
    return swy::Next::fail(
        {SWY_CLS_BAD_ANSWER, "the upstream answered without a WebSocket", status_});
  }
  Fault fault = read_fault(settings_->dialect, status_, retry_after_ms_, body);
  out.error(fault.client);
  return swy::Next::fail(std::move(fault.error));
}

// The other side hears the same. 1005 and 1006 are never sent: the first is a Close without a code.
swy::Next RealtimeOperation::on_closed(const swy::Event& event, swy::Out& out) {
  const std::uint32_t code = event.status() == 1005 ? 0 : event.status();
  if (event.name() == "client") {
    if (event.status() == 1006) {
      out.close_upstream(1001);
    } else {
      out.close_upstream(code, event.data());
    }
    return swy::Next::done();
  }
  if (event.status() == 1006) {
    return swy::Next::fail({SWY_CLS_SERVER, "the upstream left the session without a Close"});
  }
  out.close_client(code, event.data());
  return swy::Next::done();
}

// What is written down beside responses is another model's work, and none of theirs to price; in a
// session of transcription it is all there is.
void RealtimeOperation::note(std::string_view message, swy::Out& out) {
  const std::string_view type = json::find(message, "type");
  if (type == R"("response.done")") {
    add_usage(json::find_path(message, "response.usage"), out);
  } else if (type == R"("session.created")" || type == R"("session.updated")") {
    transcribes_ = json::find_path(message, "session.type") == R"("transcription")";
  } else if (type.starts_with(R"("transcription_session.)")) {
    transcribes_ = true;
  } else if (transcribes_ && type == R"("conversation.item.input_audio_transcription.completed")") {
    add_usage(json::find(message, "usage"), out);
  }
}

void RealtimeOperation::add_usage(std::string_view usage, swy::Out& out) {
  if (json::type_of(usage) != 'o') return;
  add(input_, usage, "input_tokens");
  add(output_, usage, "output_tokens");
  add(cached_, usage, "input_token_details.cached_tokens");
  add(audio_in_, usage, "input_token_details.audio_tokens");
  add(cached_audio_, usage, "input_token_details.cached_tokens_details.audio_tokens");
  add(image_in_, usage, "input_token_details.image_tokens");
  add(audio_out_, usage, "output_token_details.audio_tokens");
  milliseconds_ += milliseconds(json::find(usage, "seconds"));
  std::string text;
  json::Writer writer(text);
  const auto put = [&writer](std::string_view name, std::uint64_t value) {
    writer.key(name).integer(static_cast<std::int64_t>(value));
  };
  writer.open_object();
  put("prompt_tokens", input_);
  put("completion_tokens", output_);
  put("total_tokens", input_ + output_);
  writer.key("prompt_tokens_details").open_object();
  put("cached_tokens", cached_);
  put("audio_tokens", audio_in_);
  if (cached_audio_ != 0) put("cached_audio_tokens", cached_audio_);
  if (image_in_ != 0) put("image_tokens", image_in_);
  writer.close_object().key("completion_tokens_details").open_object();
  put("audio_tokens", audio_out_);
  writer.close_object();
  if (milliseconds_ != 0) put("seconds", (milliseconds_ + 999) / 1000);
  writer.close_object();
  out.usage(text);
}

}  // namespace openai
