// Answers in the dialect of a surface.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "core/surface/http_writer.hpp"
#include "core/surface/surface.hpp"

namespace switchyard::surface {

// What an upstream said can't be told as an answer.
exchange::Failure not_an_answer();

class DialectWriter : public HttpWriter {
 public:
  // `headers` and `request_id` must outlive the writer.
  DialectWriter(net::Loop& loop, net::HttpExchange& http, std::string_view headers, bool stream,
                const Surface& surface, std::unique_ptr<Answer> answer,
                std::string_view request_id);

  // Has the whole answer stored before its end goes to the client, who may go on with it at once.
  using Store = std::function<net::Task<>(std::string response)>;
  void store_with(Store store) { store_ = std::move(store); }

  void native(bool on) override { native_ = on; }
  void delta(std::string_view json, bool content) override;
  void whole(std::string_view json) override;
  void end_stream(const observe::Usage& usage) override;
  void discard() override;
  bool try_flush() override { return to_store_.empty() && HttpWriter::try_flush(); }
  net::Task<bool> flush() override;

 private:
  std::string_view stream_type() const override { return answer_->stream_type(); }
  std::string_view keep_alive() const override { return answer_->keep_alive(); }
  std::string error_body(const exchange::Failure& failure) const override;
  void append_failure(const exchange::Failure& failure) override;
  void put_whole(std::string_view json);

  const Surface& surface_;
  std::unique_ptr<Answer> answer_;
  std::string_view request_id_;
  std::string body_;  // of a whole answer
  Store store_;
  std::string to_store_;
  bool native_ = false;
};

}  // namespace switchyard::surface
