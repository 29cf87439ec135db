// Answers in OpenAI's dialect: one JSON document, or server-sent events that end with [DONE].
#pragma once

#include <string>

#include "core/surface/http_writer.hpp"

namespace switchyard::surface {

class OpenAiWriter : public HttpWriter {
 public:
  OpenAiWriter(net::Loop& loop, net::HttpExchange& http, std::string_view headers, bool stream,
               bool want_usage);

  void delta(std::string_view json, bool content) override;
  void whole(std::string_view json) override;
  void end_stream(const observe::Usage& usage) override;
  void discard() override;

 private:
  std::string error_body(const exchange::Failure& failure) const override;
  void append_failure(const exchange::Failure& failure) override;
  void append_event(std::string_view json);
  void note_head(std::string_view json);
  std::string usage_chunk(const observe::Usage& usage) const;

  bool want_usage_;
  bool usage_seen_ = false;
  std::string chunk_head_;  // id, created and model of the stream, for a chunk of our own
};

}  // namespace switchyard::surface
