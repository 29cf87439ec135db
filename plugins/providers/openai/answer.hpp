// What the upstream's answers hold, and what of them has to be changed for the client.
#pragma once

#include <cstdint>
#include <forward_list>
#include <string>
#include <string_view>
#include <switchyard/json.hpp>
#include <vector>

#include "providers/openai/dialect.hpp"
#include "providers/openai/edits.hpp"

namespace openai {

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
  bool delta = false;       // and there is a delta in it
  bool listed = false;      // there is a "choices", "data" or "results"
  bool content = false;     // text, reasoning, a refusal or a tool call
};

// What answers are completed with where the upstream leaves it out. The views live as long as the
// operation's request.
struct Identity {
  std::string_view request, object, model;
  std::string id;               // the upstream's own, once it is known
  std::int64_t created = 0;     // seconds since 1970
  std::int64_t tokens_max = 0;  // the answer's limit; 0: none was asked for
};

// Reads answers, one after the other of one operation, and notes what has to be changed in them for
// the client: usage that it did not ask for, the dialect's finish reasons, tool calls without an
// index or an id, thinking under another name.
class AnswerScanner {
 public:
  AnswerScanner(const Dialect& dialect, bool hide_usage)
      : dialect_(&dialect), hide_usage_(hide_usage) {}

  Identity& identity() { return identity_; }

  // The text must outlive the call to edited().
  Answer scan(std::string_view text);
  // The text of the last scan with its changes: itself where there are none, else a text that the
  // next call reuses.
  std::string_view edited();

  // How a stream ended that does not say so.
  std::string_view likely_finish(std::string_view usage) const;
  // Of an answer that has their sum only: what was read is all there is.
  void add_prompt_tokens(std::string_view usage);

 private:
  // A tool call of a stream: who it is by the upstream's count.
  struct Call {
    std::int64_t choice, index;
    std::string id;
  };
  // What one element of tool_calls holds.
  struct Fragment {
    std::string_view index, id;
    bool empty = true, type = false, function = false;
    std::size_t inside = 0;  // where its first member would stand
  };
  // A choice of a whole answer that does not say how it ended.
  struct Unfinished {
    std::string_view value;  // the null that stands there
    std::size_t end = 0;     // where a member would stand
    bool first = false;
  };

  // Both are called from one place each, per event: they belong into it.
  inline void scan_choice(swy::json::Cursor& cursor, Answer& answer);
  inline bool scan_message(swy::json::Cursor& cursor, bool delta);
  bool scan_calls(swy::json::Cursor& cursor, bool delta);
  bool scan_call(swy::json::Cursor& cursor, bool delta);
  void scan_function(swy::json::Cursor& cursor);
  void name_call(const Fragment& fragment, bool delta);
  std::pair<std::size_t, bool> number_of(const Fragment& fragment, bool delta);
  std::string_view forced_finish(std::string_view name, std::string_view value) const;
  void note_finish(std::string_view value, std::string_view forced, Answer& answer);
  void finish_choices(Answer& answer);
  void join_chunks(std::string_view chunks);
  void complete(std::string_view text, std::size_t inside);

  void insert(std::size_t at, std::string text);
  void replace(std::string_view part, std::string text);

  const Dialect* dialect_;
  bool hide_usage_;
  Identity identity_;
  std::string_view text_;
  std::vector<Edit> edits_;
  std::string scratch_;
  std::forward_list<std::string> own_;  // backs edits of the last scan
  std::vector<Call> calls_;             // so far
  std::int64_t choice_ = 0;             // the one that is read
  std::vector<Unfinished> unfinished_;
};

// Usage in OpenAI's terms, as the record wants it: the object itself where it is so already.
std::string canonical_usage(const Dialect& dialect, std::string_view usage);

// A rerank answer in the canonical form, whatever its list and its documents are called.
std::string canonical_rerank(std::string_view body, std::string_view model);

}  // namespace openai
