#include "core/surface/dialect_writer.hpp"

namespace switchyard::surface {

exchange::Failure not_an_answer() {
  exchange::Failure failure;
  failure.status = 502;
  failure.type = "upstream_error";
  failure.code = "upstream_bad_answer";
  failure.message = "the upstream's answer is not an answer to this request";
  failure.upstream = true;
  return failure;
}

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
  if (native_) return put_whole(json);
  body_.clear();
  if (answer_->whole(json, body_)) return put_whole(body_);
  fail(not_an_answer());
}

void DialectWriter::put_whole(std::string_view json) {
  if (store_) to_store_ = json;
  send_whole(json);
}

void DialectWriter::end_stream(const observe::Usage& usage) {
  answer_->end(usage, events_);
  if (store_) to_store_ = answer_->stored();
  finish_stream();
}

net::Task<bool> DialectWriter::flush() {
  if (!to_store_.empty()) {
    std::string response = std::move(to_store_);
    to_store_.clear();
    co_await store_(std::move(response));
  }
  const bool listening = co_await HttpWriter::flush();
  co_return listening;
}

void DialectWriter::discard() {
  HttpWriter::discard();
  answer_->reset();
  native_ = false;
}

std::string DialectWriter::error_body(const exchange::Failure& failure) const {
  return surface_.error(failure, request_id_);
}

void DialectWriter::append_failure(const exchange::Failure& failure) {
  answer_->fail(failure, events_);
}

}  // namespace switchyard::surface
