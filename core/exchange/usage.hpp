// Usage objects as CANONICAL.md has them.
#pragma once

#include <string>
#include <string_view>

#include "core/observe/record.hpp"

namespace switchyard::exchange {

// Takes a report over into `usage`; members that are absent or impossible (negative, not a number,
// above 2^53) are left as they were. False where nothing could be read.
bool read_usage(std::string_view json, observe::Usage& usage);

// The object that a client sees.
std::string usage_json(const observe::Usage& usage);

// False for tasks whose answers' size says nothing of tokens: images, sound, films.
bool is_text(std::string_view task);

// Tokens of a text of this many bytes, where nobody counted: about four bytes each.
std::uint64_t estimate_tokens(std::uint64_t bytes);

}  // namespace switchyard::exchange
