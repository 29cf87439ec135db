// Usage objects as CANONICAL.md has them.
#pragma once

#include <string>
#include <string_view>

#include "core/catalog/price.hpp"
#include "core/observe/record.hpp"

namespace switchyard::exchange {

// Takes a report over into `usage`; members that are absent are left as they were. What can't be
// (no count, more cached than read ...) is clamped and marked. False where nothing could be read.
bool read_usage(std::string_view json, observe::Usage& usage);

// Counts that are out of all proportion to what was sent and what came back become estimates by
// that, marked as clamped.
void clamp_usage(observe::Usage& usage, std::uint64_t bytes_in, std::uint64_t bytes_out);

// What several calls used together; estimated where one of them is.
void add_usage(observe::Usage& sum, const observe::Usage& part);

// By meter, without overlap. Of tokens that are in several parts, those of the cache are taken
// first, then sound, then pictures. A call counts as one.
catalog::Quantities quantities_of(observe::Usage usage);

// The object that a client sees.
std::string usage_json(const observe::Usage& usage);

// False for tasks whose answers' size says nothing of tokens: images, sound, films.
bool is_text(std::string_view task);

// Tokens of a text of this many bytes, where nobody counted: about four bytes each.
std::uint64_t estimate_tokens(std::uint64_t bytes);

}  // namespace switchyard::exchange
