// What a model of Anthropic's takes, told by its name: generations differ in what they refuse.
#pragma once

#include <cstdint>
#include <string_view>

namespace anthropic {

enum class Thinking { kNone, kBudget, kAdaptive };

struct Rules {
  Thinking thinking = Thinking::kAdaptive;
  bool always_thinks = false;  // "disabled" is refused, and so is a forced tool
  bool thinks_unasked = true;  // where nothing is said
  bool between_tools = false;  // thinking can be limited to that, and not switched off
  bool hides_thinking = true;  // shows it only where "display" asks for it
  bool sampling = false;       // takes temperature, top_p, top_k
  bool one_sampling = false;   // but not temperature and top_p together
  bool structured = true;      // has output_config.format and strict tools
  bool system_turns = true;    // takes system messages within the conversation
  bool prefill = false;        // goes on with a last turn that is the assistant's
  std::int64_t tokens_max = 128'000;
};

// A name that is not known is taken for one of the newest generation.
Rules rules_of(std::string_view model);

}  // namespace anthropic
