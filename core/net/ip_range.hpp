// Ranges of IP addresses: "10.0.0.0/8", "2001:db8::/32", "192.0.2.7".
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "core/base/result.hpp"

namespace switchyard::net {

// An address of either family, an IPv4 one as its mapped form (::ffff:a.b.c.d).
using IpBytes = std::array<std::uint8_t, 16>;
std::optional<IpBytes> parse_ip(std::string_view text);

struct IpRange {
  IpBytes network{};
  unsigned bits = 128;  // that count
  bool contains(const IpBytes& address) const;
};

// The error says what would do.
Result<IpRange> parse_ip_range(std::string_view text);

bool contains(const std::vector<IpRange>& ranges, const IpBytes& address);

}  // namespace switchyard::net
