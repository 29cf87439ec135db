// OpenAI's API, as it is and with the accents of its likes: requests out, answers and streams back.
// No sockets, no clock, no globals: an operation sees events and writes through swy::Out.
#pragma once

#include <cstdint>
#include <forward_list>
#include <string>
#include <string_view>
#include <switchyard/json.hpp>
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
  std::forward_list<std::string> own_;  // backs the pieces that are ours
  bool any_ = false;                    // a member has been put
};

// What a chunk of a stream, or a whole answer, holds. The views point into its text.
struct Answer {
  bool valid = false;       // one JSON object
  std::string_view error;   // top-level and not null
  std::string_view usage;   // top-level and not null
  std::string_view tier;    // top-level "service_tier", with its quotes
  std::string_view object;  // its "object"
  std::string_view finish;  // the last finish_reason that is not null, in OpenAI's words where the
                            // dialect has them
  bool choices = false;     // "choices" holds something
  bool listed = false;      // there is a "choices", "data" or "results"
  bool content = false;     // text, reasoning, a refusal or a tool call
};

// Reads answers, one after the other of one operation, and notes what has to be changed in them for
// the client: usage that it did not ask for, the dialect's finish reasons, tool calls without an
// index.
class AnswerScanner {
 public:
  AnswerScanner(const Dialect& dialect, bool hide_usage)
      : dialect_(&dialect), hide_usage_(hide_usage) {}

  // The text must outlive the call to edited().
  Answer scan(std::string_view text);
  // The text of the last scan with its changes: itself where there are none, else a text that the
  // next call reuses.
  std::string_view edited();

 private:
  // Both are called from one place each, per event: they belong into it.
  inline void scan_choice(swy::json::Cursor& cursor, Answer& answer);
  inline bool scan_message(swy::json::Cursor& cursor, bool delta);
  bool scan_calls(swy::json::Cursor& cursor, bool delta);
  void note_finish(std::string_view value, Answer& answer);

  const Dialect* dialect_;
  bool hide_usage_;
  std::string_view text_;
  std::vector<Edit> edits_;
  std::string scratch_;
  std::forward_list<std::string> own_;  // backs edits of the last scan
  unsigned calls_ = 0;                  // tool calls so far
};

// Usage in OpenAI's terms, as the record wants it: the object itself where it is so already.
std::string canonical_usage(const Dialect& dialect, std::string_view usage);

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

  AnswerScanner scanner_;
  std::string usage_;     // the last usage, where the client wants to see it
  std::string identity_;  // id, created and model of the stream, as members
  bool any_chunk_ = false, finished_ = false, usage_shown_ = false;
};

}  // namespace openai
