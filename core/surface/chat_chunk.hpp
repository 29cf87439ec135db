// Canonical answers to a chat as views: what every dialect's answers are made from.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "core/observe/record.hpp"

namespace switchyard::surface {

struct ChatChoice {
  std::uint64_t index = 0;
  // Values of the delta or the message, as JSON; empty where there is none, or null.
  std::string_view content, reasoning, details, refusal, calls, images, annotations;
  std::string_view logprobs;                             // the array of its content's tokens
  std::string_view finish_reason, native_finish_reason;  // the text, without quotes
};

// A chunk or a whole answer. Reused, so that it allocates no more once it has grown.
struct ChatChunk {
  std::string_view id, model;  // between their quotes
  std::string_view created, usage;
  std::vector<ChatChoice> choices;

  // False: it is none.
  bool read(std::string_view json);
  const ChatChoice* first() const;
};

// One entry of `calls`.
struct ChatCall {
  std::uint64_t index = 0;
  std::string_view id, name;   // between their quotes
  std::string_view arguments;  // between its quotes; the input of a custom tool too
  std::string_view extra;      // extra_content
  bool custom = false;

  void read(std::string_view json);
};

// Tokens as an answer told them.
struct ChatCounts {
  std::uint64_t prompt = 0, completion = 0, cached = 0, cache_write = 0, reasoning = 0;
  bool known = false;

  void read(std::string_view usage);
  // What the host counted, where the answer told nothing.
  void otherwise(const observe::Usage& usage);
};

}  // namespace switchyard::surface
