// What a chat model can do beyond text.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>

namespace switchyard::catalog {

enum class Capability : std::uint8_t { kTools, kVision, kAudio, kFiles, kJsonSchema, kReasoning };

// As files of the catalog and configurations name them, in the order of the enumeration.
inline constexpr std::array<std::string_view, 6> kCapabilityNames = {
    "tools", "vision", "audio_in", "files", "json_schema", "reasoning"};

class Capabilities {
 public:
  constexpr Capabilities() = default;

  constexpr void add(Capability one) { bits_ |= 1u << static_cast<unsigned>(one); }
  constexpr bool has(Capability one) const {
    return (bits_ >> static_cast<unsigned>(one) & 1u) != 0;
  }
  constexpr bool empty() const { return bits_ == 0; }
  constexpr Capabilities operator&(Capabilities other) const { return of(bits_ & other.bits_); }
  constexpr Capabilities operator|(Capabilities other) const { return of(bits_ | other.bits_); }
  constexpr Capabilities operator-(Capabilities other) const { return of(bits_ & ~other.bits_); }
  bool operator==(const Capabilities&) const = default;

 private:
  static constexpr Capabilities of(std::uint32_t bits) {
    Capabilities made;
    made.bits_ = bits;
    return made;
  }

  std::uint32_t bits_ = 0;
};

inline std::optional<Capability> capability(std::string_view name) {
  for (std::size_t i = 0; i < kCapabilityNames.size(); ++i) {
    if (kCapabilityNames[i] == name) return static_cast<Capability>(i);
  }
  return std::nullopt;
}

constexpr std::string_view name_of(Capability one) {
  return kCapabilityNames[static_cast<std::size_t>(one)];
}

}  // namespace switchyard::catalog
