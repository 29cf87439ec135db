// OpenAI's API, as it is and with the accents of its likes: requests out, answers and streams back.
// No sockets, no clock, no globals: an operation sees events and writes through swy::Out.
#pragma once

#include <cstdint>
#include <deque>
#include <string>
#include <string_view>
#include <switchyard/provider.hpp>
#include <vector>

#include "providers/openai/dialect.hpp"

namespace openai {

// What one instance was configured with.
struct Settings {
  Dialect dialect;
  Pairs headers;  // sent with each request
};

// config_json: {"dialect": {...}, "settings": {"headers": {...}}}; what is left out is OpenAI's
// own.
swy::Result<Settings> parse_settings(std::string_view config_json);

// Bytes [from, to) of a text are replaced.
struct Edit {
  std::size_t from, to;
  std::string_view with;
};

// The body for the upstream as a gather list: what need not change is a view into the request's
// body.
class UpstreamBody {
 public:
  UpstreamBody(const Dialect& dialect, const swy::Request& request);
  UpstreamBody(const UpstreamBody&) = delete;
  UpstreamBody& operator=(const UpstreamBody&) = delete;

  const swy::Gather& pieces() const { return pieces_; }

 private:
  void put_member(const swy_member& member);
  void put_value(const swy_member& member);
  bool put_mapped(std::string_view name, std::string_view value);
  void put_stream_options(std::string_view value);
  void put_messages(std::string_view messages);
  void put_missing();
  void put_own_member(std::string_view name, std::string_view json);
  void put_own(std::string text);
  bool leaves_out(std::string_view name) const;
  bool asks_for_usage() const;

  const Dialect& dialect_;
  swy::Request request_;
  swy::Gather pieces_;
  std::deque<std::string> own_;  // backs the pieces that are ours
  bool any_ = false;             // a member has been put
};

// What a chunk of a stream, or a whole answer, holds. The views point into its text.
struct Answer {
  bool valid = false;         // one JSON object
  std::string_view error;     // top-level and not null
  std::string_view usage;     // top-level and not null
  std::string_view object;    // its "object"
  std::string_view finish;    // the last finish_reason that is not null, without quotes
  bool choices = false;       // "choices" holds something
  bool listed = false;        // there is a "choices", "data" or "results"
  bool content = false;       // text, reasoning, a refusal or a tool call
  bool usage_member = false;  // there is a top-level "usage", null or not
};

// Appends to `edits` what a client that did not ask for usage must not see (hide_usage), and the
// dialect's finish reasons in OpenAI's words, in the order of the text.
Answer scan_answer(const Dialect& dialect, std::string_view text, bool hide_usage,
                   std::vector<Edit>& edits);

class Operation {
 public:
  Operation(const Settings& settings, const swy::Request& request);

  swy::Next step(const swy::Event& event, swy::Out& out);

 private:
  swy::Next start(swy::Out& out);
  swy::Next on_head(const swy::Event& event, swy::Out& out);
  swy::Next on_data(const swy::Event& event, swy::Out& out);
  swy::Next on_end(swy::Out& out);
  swy::Next on_chunk(std::string_view chunk, swy::Out& out);
  swy::Next on_whole(std::string_view body, swy::Out& out);
  swy::Next end_stream(swy::Out& out);
  swy::Next refuse(std::string_view body, swy::Out& out);
  swy::Next bad_answer(std::string what) const;

  void note_finish(std::string_view raw, swy::Out& out);
  void note_usage(std::string_view text, const Answer& answer, swy::Out& out);
  void keep_identity(std::string_view chunk);
  std::string_view apply_edits(std::string_view text);

  const Settings* settings_;
  swy::Request request_;
  bool streaming_, want_usage_;
  std::uint32_t emit_flags_;
  unsigned status_ = 0;
  std::uint32_t retry_after_ms_ = 0;

  std::vector<Edit> edits_;
  std::string scratch_;   // a chunk with its edits
  std::string usage_;     // the last usage, where the client wants to see it
  std::string identity_;  // id, created and model of the stream, as members
  bool any_chunk_ = false, finished_ = false, failed_ = false, usage_shown_ = false;
};

}  // namespace openai
