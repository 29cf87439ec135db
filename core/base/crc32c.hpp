// CRC-32C (Castagnoli; RFC 3720, appendix B.4), by the processor's own instruction where it has
// one.
#pragma once

#include <cstddef>
#include <cstdint>

namespace switchyard {

std::uint32_t crc32c(const void* bytes, std::size_t size);

// Without the instruction: what it must agree with.
std::uint32_t crc32c_portable(const void* bytes, std::size_t size);

}  // namespace switchyard
