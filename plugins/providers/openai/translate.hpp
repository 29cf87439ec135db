// OpenAI's API, as it is and with the accents of its likes: requests out, answers and streams back.
// No sockets, no clock, no globals: an operation sees events and writes through swy::Out.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <switchyard/json.hpp>
#include <switchyard/pictures.hpp>
#include <switchyard/provider.hpp>

#include "providers/openai/answer.hpp"
#include "providers/openai/dialect.hpp"
#include "providers/openai/request.hpp"

namespace openai {

// What one instance was configured with.
struct Settings {
  Dialect dialect;
  Pairs headers, query;  // sent with each request
};

// config_json: {"dialect": {...}, "settings": {"headers": {...}, "query": {...}}}; what is left out
// is OpenAI's own.
swy::Result<Settings> parse_settings(std::string_view config_json);

class Operation {
 public:
  Operation(const Settings& settings, const swy::Request& request);

  swy::Next step(const swy::Event& event, swy::Out& out);

 private:
  swy::Next start(swy::Out& out);
  swy::Next send(swy::Out& out);
  swy::Next on_head(const swy::Event& event, swy::Out& out);
  swy::Next on_data(const swy::Event& event, swy::Out& out);
  swy::Next on_end(swy::Out& out);
  swy::Next on_chunk(std::string_view chunk, swy::Out& out);
  swy::Next on_whole(std::string_view body, swy::Out& out);
  swy::Next on_document(std::string_view body, swy::Out& out);
  swy::Next end_stream(swy::Out& out);
  void put_finish(swy::Out& out);
  swy::Next refuse(std::string_view body, swy::Out& out);
  swy::Next bad_answer(std::string what) const;
  // Why the answer is not what the schema wants that the model was only told of in words.
  std::optional<swy::Next> check_schema() const;

  bool note_finish(std::string_view reason, swy::Out& out);
  swy::Next ended_with_error() const;
  void note_usage(std::string_view text, const Answer& answer, swy::Out& out);
  void keep_identity(std::string_view chunk);

  const Settings* settings_;
  swy::Request request_;
  bool streaming_, want_usage_;
  std::uint32_t emit_flags_;
  unsigned status_ = 0;
  std::uint32_t retry_after_ms_ = 0;

  swy::Pictures pictures_;  // that this API does not fetch by itself
  AnswerScanner scanner_;
  std::string usage_;        // the last usage, where the client wants to see it
  std::string usage_said_;   // the same where a finish reason has to be found
  std::string identity_;     // id, created and model of the stream, as members
  std::string_view schema_;  // of an answer that is to be checked
  std::string content_, finish_;
  bool document_ = false;  // came instead of a stream
  bool any_chunk_ = false, finished_ = false, usage_shown_ = false;
};

}  // namespace openai
