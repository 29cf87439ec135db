#include "core/surface/traceparent.hpp"

#include <algorithm>
#include <charconv>

namespace switchyard::surface {
namespace {

// Lower case only: the specification allows no other.
bool is_hex(std::string_view text) {
  return text.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

bool is_zero(std::string_view text) { return text.find_first_not_of('0') == text.npos; }

}  // namespace

std::optional<TraceParent> parse_traceparent(std::string_view value) {
  constexpr std::size_t kSize = 55;  // "00-", 32, "-", 16, "-01"
  if (value.size() < kSize) return std::nullopt;
  const std::string_view version = value.substr(0, 2), flags = value.substr(53, 2);
  TraceParent found{value.substr(3, 32), value.substr(36, 16)};
  if (value[2] != '-' || value[35] != '-' || value[52] != '-') return std::nullopt;
  if (!is_hex(version) || !is_hex(found.trace) || !is_hex(found.parent) || !is_hex(flags)) {
    return std::nullopt;
  }
  // Later versions may have more behind a further dash.
  if (version == "ff" || (version == "00" && value.size() != kSize)) return std::nullopt;
  if (value.size() > kSize && value[kSize] != '-') return std::nullopt;
  if (is_zero(found.trace) || is_zero(found.parent)) return std::nullopt;
  std::from_chars(flags.data(), flags.data() + flags.size(), found.flags, 16);
  return found;
}

}  // namespace switchyard::surface
