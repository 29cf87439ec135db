// How much memory this process uses, and may use.
#pragma once

#include <cstdint>

namespace switchyard::os {

// Of the process, in bytes; 0 where the system does not tell.
std::uint64_t resident_bytes();

// The least of what the machine has and what the control groups of this process let it have; 0
// where the system does not tell.
std::uint64_t memory_limit();

// Gives back to the system what the allocator keeps and nobody uses. May take milliseconds.
void release_unused_memory();

}  // namespace switchyard::os
