// Canonical answers as Google's Gemini API gives them.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/surface/chat_chunk.hpp"
#include "core/surface/surface.hpp"

namespace switchyard::surface {

// {"error":{"code","message","status","details"}}
std::string gemini_error(const exchange::Failure& failure);

// Answers of generateContent. Calls wait until they are whole; the last piece of a stream has the
// finish reason and the usage.
class GeminiAnswer : public Answer {
 public:
  enum class Stream { kEvents, kArray };

  GeminiAnswer(Stream stream, bool shows_thoughts)
      : array_(stream == Stream::kArray), shows_thoughts_(shows_thoughts) {}

  void delta(std::string_view chunk, std::string& out) override;
  void native(std::string_view piece, std::string& out) override;
  void end(const observe::Usage& usage, std::string& out) override;
  void fail(const exchange::Failure& failure, std::string& out) override;
  bool whole(std::string_view answer, std::string& out) override;
  void reset() override;
  std::string_view stream_type() const override {
    return array_ ? "application/json" : "text/event-stream";
  }
  std::string_view keep_alive() const override { return array_ ? " " : ": keep-alive\n\n"; }

 private:
  struct Call {
    std::uint64_t index = 0;
    std::string id, name, arguments, extra;  // the first three as between quotes
  };
  struct Detail {
    std::int64_t index = 0;
    std::string head, text, signature;
    bool has_text = false;
  };
  struct Choice {
    std::uint64_t index = 0;
    std::string finish;
    std::vector<Call> calls;
    std::vector<Detail> details;
  };

  Choice& choice_of(std::uint64_t index);
  void take(const ChatChoice& from, Choice& to, bool whole, std::string& parts);
  static void add_detail(std::string_view entry, Choice& choice);
  static std::string call_parts(const Choice& choice);
  static std::string details_of(const Choice& choice);
  void begin_piece(std::string& out);
  void end_piece(std::string& out);
  // tokens: what the canonical answer tells of each; empty: nothing.
  void put_candidate(std::string& out, std::uint64_t index, std::string_view parts,
                     std::string_view finish, std::string_view tokens) const;
  void put_tail(std::string& out, bool usage) const;

  const bool array_, shows_thoughts_;
  ChatChunk chunk_;
  ChatCounts counts_;
  std::string id_, model_;
  std::string parts_;  // of the chunk at hand; kept, so that no further one allocates
  std::vector<Choice> choices_;
  std::uint64_t pieces_ = 0;
  bool native_ = false;
};

// Answers of embedContent and, with `batch`, batchEmbedContents.
class GeminiEmbeddings : public Answer {
 public:
  explicit GeminiEmbeddings(bool batch) : batch_(batch) {}

  bool whole(std::string_view answer, std::string& out) override;
  void delta(std::string_view, std::string&) override {}
  void native(std::string_view, std::string&) override {}
  void end(const observe::Usage&, std::string&) override {}
  void fail(const exchange::Failure&, std::string&) override {}
  void reset() override {}

 private:
  const bool batch_;
};

}  // namespace switchyard::surface
