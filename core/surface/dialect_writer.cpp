#include "core/surface/dialect_writer.hpp"

namespace switchyard::surface {

DialectWriter::DialectWriter(net::Loop& loop, net::HttpExchange& http, std::string_view headers,
                             bool stream, const Surface& surface, std::unique_ptr<Answer> answer,
                             std::string_view request_id)
    : HttpWriter(loop, http, headers, stream),
      surface_(surface),
      answer_(std::move(answer)),
      request_id_(request_id) {}

void DialectWriter::delta(std::string_view json, bool content) {
  if (native_) {
    answer_->native(json, events_);
  } else {
    answer_->delta(json, events_);
  }
  appended(content);
}

void DialectWriter::whole(std::string_view json) {
  if (native_) return send_whole(json);
  body_.clear();
  if (answer_->whole(json, body_)) return send_whole(body_);
  exchange::Failure failure;
  failure.status = 502;
  failure.type = "upstream_error";
  failure.code = "upstream_bad_answer";
  failure.message = "the upstream's answer is not an answer to this request";
  failure.upstream = true;
  fail(failure);
}

void DialectWriter::end_stream(const observe::Usage& usage) {
  answer_->end(usage, events_);
  finish_stream();
}

void DialectWriter::discard() {
  HttpWriter::discard();
  answer_->reset();
}

std::string DialectWriter::error_body(const exchange::Failure& failure) const {
  return surface_.error(failure, request_id_);
}

void DialectWriter::append_failure(const exchange::Failure& failure) {
  answer_->fail(failure, events_);
}

}  // namespace switchyard::surface
