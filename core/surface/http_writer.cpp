#include "core/surface/http_writer.hpp"

#include "core/surface/openai_error.hpp"

namespace switchyard::surface {
namespace {

constexpr std::chrono::seconds kKeepAlive{10};
// A stream that says this much before its content is let through: the memory is not ours to fill.
constexpr std::size_t kHeldMax = 64 * 1024;
// The content's type, the model's name.
constexpr std::size_t kOwnLinesUsual = 160;

}  // namespace

HttpWriter::HttpWriter(net::Loop& loop, net::HttpExchange& http, std::string_view headers,
                       bool stream)
    : http_(http),
      headers_(headers),
      stream_(stream),
      keep_alive_(loop, [this] { send_keep_alive(); }) {
  if (stream_) keep_alive_.expires_after(kKeepAlive);
}

void HttpWriter::begin_stream() {
  if (http_.started()) return;
  std::string lines = "content-type: ";
  lines.append(stream_type()).append("\r\ncache-control: no-cache\r\nx-accel-buffering: no\r\n");
  lines.append(headers_).append(dropped_).append(explained_);
  // Before there is content another one may take over.
  if (committed_) append_model(lines);
  http_.start_stream(200, lines);
}

// A client may have made the name up, so only what is safe in a header field goes into it.
void HttpWriter::append_model(std::string& lines) const {
  if (model_.empty()) return;
  lines.append("x-switchyard-model: ").append(provider_) += '/';
  for (const char c : model_) lines += c > 0x20 && c < 0x7f ? c : '?';
  lines += "\r\n";
}

void HttpWriter::appended(bool content) {
  if (content || events_.size() > kHeldMax) committed_ = true;
}

void HttpWriter::finish_stream() {
  committed_ = true;
  begin_stream();
  http_.write(events_);
  events_.clear();
  http_.finish_stream();
  keep_alive_.disarm();
}

void HttpWriter::dropped(std::string_view pointers) {
  dropped_ = "x-switchyard-dropped: ";
  dropped_.append(pointers).append("\r\n");
}

void HttpWriter::explained(std::string_view text) {
  explained_ = "x-switchyard-route: ";
  explained_.append(text).append("\r\n");
}

void HttpWriter::send_whole(std::string_view json) {
  std::string lines;
  lines.reserve(headers_.size() + dropped_.size() + explained_.size() + kOwnLinesUsual);
  lines.append("content-type: application/json\r\n");
  lines.append(headers_).append(dropped_).append(explained_);
  append_model(lines);
  http_.start(200, lines, json.size());
  http_.write_last(json);
  committed_ = true;
}

void HttpWriter::raw_head(std::string_view content_type, std::uint64_t length) {
  raw_ = std::make_unique<Raw>();
  raw_->lines.append("content-type: ").append(content_type).append("\r\n").append(headers_);
  append_model(raw_->lines);
  raw_->lines += explained_;
  raw_->length = raw_->left = length;
}

void HttpWriter::raw(std::string_view bytes) {
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

void HttpWriter::raw_end() {
  committed_ = true;
  if (!raw_) return;
  if (!http_.started()) {
    http_.start(200, raw_->lines, 0);
  } else if (raw_->length == 0) {
    http_.finish_stream();
  }
}

void HttpWriter::fail(const exchange::Failure& failure) {
  keep_alive_.disarm();
  if (!http_.started()) {
    const std::string error = error_body(failure);
    std::string lines = openai_error_headers(failure);
    lines.append(headers_).append(explained_);
    http_.start(failure.status, lines, error.size());
    http_.write(error);
    return;
  }
  if (!stream_) return http_.close_after();
  // In a stream that has begun: the error as an event, no ordinary end behind it, and the body ends
  // in order so that the event itself arrives. SDKs raise at the event.
  append_failure(failure);
  http_.write(events_);
  events_.clear();
  http_.finish_stream();
  committed_ = true;
}

void HttpWriter::discard() {
  events_.clear();
  dropped_.clear();
  raw_.reset();
}

bool HttpWriter::try_flush() {
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

net::Task<bool> HttpWriter::flush() {
  if (try_flush()) co_return !gone();
  const bool listening = co_await http_.flush();
  if (keep_alive_.armed()) keep_alive_.expires_after(kKeepAlive);
  co_return listening;
}

void HttpWriter::send_keep_alive() {
  keep_alive_.expires_after(kKeepAlive);
  if (http_.flushing() || http_.client_gone()) return;
  begin_stream();
  http_.write(keep_alive());
  http_.try_flush();
}

}  // namespace switchyard::surface
