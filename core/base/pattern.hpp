// Names against patterns, as operators write them: "text-*".
#pragma once

#include <string_view>

namespace switchyard {

// Any text against a pattern where '*' stands for any characters; linear in practice, never
// exponential.
bool matches_pattern(std::string_view pattern, std::string_view text);

}  // namespace switchyard
