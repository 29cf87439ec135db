#pragma once

#include <array>
#include <cstdint>
#include <string_view>

namespace switchyard {

// For hot paths: OpenSSL 3's own one-shot SHA256() looks the algorithm up under locks each time,
// which costs several times the hash of a short text.
std::array<std::uint8_t, 32> sha256(std::string_view text);

}  // namespace switchyard
