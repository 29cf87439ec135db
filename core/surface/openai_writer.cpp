#include "core/surface/openai_writer.hpp"

#include "core/base/clock.hpp"
#include "core/base/json_scan.hpp"
#include "core/exchange/usage.hpp"
#include "core/surface/openai_error.hpp"

namespace switchyard::surface {

OpenAiWriter::OpenAiWriter(net::Loop& loop, net::HttpExchange& http, std::string_view headers,
                           bool stream, bool want_usage)
    : HttpWriter(loop, http, headers, stream), want_usage_(want_usage) {}

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
  appended(content);
}

void OpenAiWriter::whole(std::string_view json) { send_whole(json); }

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
  if (want_usage_ && !usage_seen_) append_event(usage_chunk(usage));
  events_ += "data: [DONE]\n\n";
  finish_stream();
}

std::string OpenAiWriter::error_body(const exchange::Failure& failure) const {
  return openai_error(failure);
}

void OpenAiWriter::append_failure(const exchange::Failure& failure) {
  append_event(openai_error(failure));
}

void OpenAiWriter::discard() {
  HttpWriter::discard();
  chunk_head_.clear();
  usage_seen_ = false;
}

}  // namespace switchyard::surface
