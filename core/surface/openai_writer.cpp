#include "core/surface/openai_writer.hpp"

#include "core/base/clock.hpp"
#include "core/base/json_scan.hpp"
#include "core/exchange/usage.hpp"
#include "core/surface/openai_error.hpp"

namespace switchyard::surface {
namespace {

constexpr std::chrono::seconds kKeepAlive{10};
// A stream that says this much before its content is let through: the memory is not ours to fill.
constexpr std::size_t kHeldMax = 64 * 1024;

}  // namespace

OpenAiWriter::OpenAiWriter(net::Loop& loop, net::HttpExchange& http, std::string_view headers,
                           bool stream, bool want_usage)
    : http_(http),
      headers_(headers),
      stream_(stream),
      want_usage_(want_usage),
      keep_alive_(loop, [this] { send_keep_alive(); }) {
  if (stream_) keep_alive_.expires_after(kKeepAlive);
}

void OpenAiWriter::begin_stream() {
  if (http_.started()) return;
  std::string lines =
      "content-type: text/event-stream\r\ncache-control: no-cache\r\nx-accel-buffering: no\r\n";
  lines += headers_;
  http_.start_stream(200, lines);
}

void OpenAiWriter::append_event(std::string_view json) {
  events_ += "data: ";
  // JSON text holds no line break inside strings; a pretty-printed one takes a data line for each
  // of its lines.
  for (std::size_t at = 0;;) {
    const std::size_t end = json.find_first_of("\r\n", at);
    events_ += json.substr(at, end == std::string_view::npos ? end : end - at);
    if (end == std::string_view::npos) break;
    events_ += "\ndata: ";
    at = end + 1;
  }
  events_ += "\n\n";
}

void OpenAiWriter::note_head(std::string_view json) {
  JsonIndex chunk;
  if (!chunk.scan(json)) return;
  const swy_member* const usage = chunk.find("usage");
  if (usage != nullptr && usage->type == 'o') usage_seen_ = true;
  if (!chunk_head_.empty()) return;
  for (const std::string_view name : {"id", "object", "created", "model"}) {
    const swy_member* const member = chunk.find(name);
    if (member == nullptr) continue;
    append_json_string(chunk_head_, name);
    chunk_head_ += ':';
    chunk_head_ += chunk.value(*member);
    chunk_head_ += ',';
  }
}

void OpenAiWriter::delta(std::string_view json, bool content) {
  if (want_usage_) note_head(json);
  append_event(json);
  if (content || events_.size() > kHeldMax) committed_ = true;
}

void OpenAiWriter::whole(std::string_view json) {
  std::string lines = "content-type: application/json\r\n";
  lines += headers_;
  http_.start(200, lines, json.size());
  http_.write_last(json);
  committed_ = true;
}

void OpenAiWriter::raw_head(std::string_view content_type, std::uint64_t length) {
  raw_ = std::make_unique<Raw>();
  raw_->lines.append("content-type: ").append(content_type).append("\r\n").append(headers_);
  raw_->length = raw_->left = length;
}

void OpenAiWriter::raw(std::string_view bytes) {
  if (bytes.empty() || !raw_) return;
  if (!http_.started()) {
    if (raw_->length > 0) {
      http_.start(200, raw_->lines, raw_->length);
    } else {
      http_.start_stream(200, raw_->lines);
    }
  }
  committed_ = true;
  if (raw_->length > 0) {
    // More than was announced would be read as the next answer.
    bytes = bytes.substr(0, raw_->left);
    raw_->left -= bytes.size();
  }
  http_.write(bytes);
}

void OpenAiWriter::raw_end() {
  committed_ = true;
  if (!raw_) return;
  if (!http_.started()) {
    http_.start(200, raw_->lines, 0);
  } else if (raw_->length == 0) {
    http_.finish_stream();
  }
}

std::string OpenAiWriter::usage_chunk(const observe::Usage& usage) const {
  std::string chunk = "{";
  if (chunk_head_.empty()) {
    chunk += R"("id":"chatcmpl-switchyard","object":"chat.completion.chunk","created":)" +
             std::to_string(unix_ns() / 1'000'000'000u) + R"(,"model":"",)";
  } else {
    chunk += chunk_head_;
  }
  chunk += R"("choices":[],"usage":)" + exchange::usage_json(usage) + "}";
  return chunk;
}

void OpenAiWriter::end_stream(const observe::Usage& usage) {
  committed_ = true;
  if (want_usage_ && !usage_seen_) append_event(usage_chunk(usage));
  events_ += "data: [DONE]\n\n";
  begin_stream();
  http_.write(events_);
  events_.clear();
  http_.finish_stream();
  keep_alive_.disarm();
}

void OpenAiWriter::fail(const exchange::Failure& failure) {
  keep_alive_.disarm();
  const std::string error = openai_error(failure);
  if (!http_.started()) {
    std::string lines = openai_error_headers(failure);
    lines += headers_;
    http_.start(failure.status, lines, error.size());
    http_.write(error);
    return;
  }
  if (!stream_) return http_.close_after();
  // In a stream that has begun: the error as an event, no [DONE] behind it, and the body ends in
  // order so that the event itself arrives. SDKs raise at the event.
  append_event(error);
  http_.write(events_);
  events_.clear();
  http_.finish_stream();
  committed_ = true;
}

void OpenAiWriter::discard() {
  events_.clear();
  chunk_head_.clear();
  raw_.reset();
  usage_seen_ = false;
}

bool OpenAiWriter::try_flush() {
  if (stream_ && committed_ && !events_.empty()) {
    begin_stream();
    http_.write(events_);
    if (events_.capacity() > kHeldMax) {
      events_ = std::string();
    } else {
      events_.clear();
    }
    // What is held back is nothing that a client hears.
    if (keep_alive_.armed()) keep_alive_.expires_after(kKeepAlive);
  }
  return http_.try_flush();
}

net::Task<bool> OpenAiWriter::flush() {
  if (try_flush()) co_return !gone();
  const bool listening = co_await http_.flush();
  if (keep_alive_.armed()) keep_alive_.expires_after(kKeepAlive);
  co_return listening;
}

void OpenAiWriter::send_keep_alive() {
  keep_alive_.expires_after(kKeepAlive);
  if (http_.flushing() || http_.client_gone()) return;
  begin_stream();
  http_.write(": keep-alive\n\n");
  http_.try_flush();
}

}  // namespace switchyard::surface
