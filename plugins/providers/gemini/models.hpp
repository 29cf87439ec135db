// What a model of Google's takes, told by its name: generations differ.
#pragma once

#include <string_view>

namespace gemini {

enum class Thinking { kNone, kBudget, kLevel };

struct Rules {
  Thinking thinking = Thinking::kLevel;
  bool minimal_level = false;      // knows the level MINIMAL
  bool can_stop_thinking = false;  // takes a budget of 0
  bool sampling = true;            // temperature, topP and topK have an effect
  bool penalties = false;
  bool json_with_tools = true;  // takes a response format beside functions, and search beside them
  bool signed_calls = true;     // refuses a call in the history without its signature
  bool part_resolution = true;  // takes mediaResolution of a part
};

// A name that is not known is taken for one of the third generation.
Rules rules_of(std::string_view model);

}  // namespace gemini
