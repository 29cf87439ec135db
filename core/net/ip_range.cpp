#include "core/net/ip_range.hpp"

#include <algorithm>
#include <boost/asio/ip/address.hpp>
#include <charconv>
#include <string>

namespace switchyard::net {
namespace {

constexpr unsigned kMappedBits = 96;  // before the IPv4 address of a mapped form

}  // namespace

std::optional<IpBytes> parse_ip(std::string_view text) {
  // Where a zone is named ("fe80::1%eth0") the address says too little.
  if (text.find('%') != std::string_view::npos) return std::nullopt;
  boost::system::error_code bad;
  const auto address = boost::asio::ip::make_address(std::string(text), bad);
  if (bad) return std::nullopt;
  if (address.is_v6()) return address.to_v6().to_bytes();
  return boost::asio::ip::make_address_v6(boost::asio::ip::v4_mapped, address.to_v4()).to_bytes();
}

bool IpRange::contains(const IpBytes& address) const {
  const unsigned whole = bits / 8, rest = bits % 8;
  if (!std::equal(network.begin(), network.begin() + whole, address.begin())) return false;
  if (rest == 0) return true;
  const auto mask = static_cast<std::uint8_t>(0xff << (8 - rest));
  return ((network[whole] ^ address[whole]) & mask) == 0;
}

Result<IpRange> parse_ip_range(std::string_view text) {
  const auto wrong = [&](const std::string& what) {
    return Error{'"' + std::string(text) + "\": " + what +
                 "; expected an address or a range such as 10.0.0.0/8 or 2001:db8::/32"};
  };
  const std::size_t slash = text.find('/');
  const std::string_view host = text.substr(0, slash);
  const auto address = parse_ip(host);
  if (!address) return wrong("no IP address");
  IpRange range{*address, 128};
  const bool v4 = host.find(':') == std::string_view::npos;
  if (slash != std::string_view::npos) {
    const std::string_view length = text.substr(slash + 1);
    const unsigned most = v4 ? 32 : 128;
    const auto read = std::from_chars(length.data(), length.data() + length.size(), range.bits);
    if (read.ec != std::errc() || read.ptr != length.data() + length.size() || range.bits > most) {
      return wrong("no prefix length of 0 to " + std::to_string(most));
    }
    if (v4) range.bits += kMappedBits;
  }
  // Bits behind the prefix are a slip of the pen that could mean another range.
  for (unsigned bit = range.bits; bit < 128; ++bit) {
    if ((range.network[bit / 8] >> (7 - bit % 8) & 1) != 0) {
      return wrong("bits are set behind the prefix");
    }
  }
  return range;
}

bool contains(const std::vector<IpRange>& ranges, const IpBytes& address) {
  return std::any_of(ranges.begin(), ranges.end(),
                     [&](const IpRange& range) { return range.contains(address); });
}

}  // namespace switchyard::net
