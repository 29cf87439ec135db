#include "core/net/address.hpp"

#include <array>
#include <cstdint>

namespace switchyard::net {
namespace {

struct Net4 {
  std::uint32_t base;
  unsigned bits;
};

constexpr std::uint32_t ip4(unsigned a, unsigned b, unsigned c, unsigned d) {
  return a << 24 | b << 16 | c << 8 | d;
}

constexpr Net4 kNotGlobal4[] = {
    {ip4(0, 0, 0, 0), 8},      {ip4(10, 0, 0, 0), 8},     {ip4(100, 64, 0, 0), 10},
    {ip4(127, 0, 0, 0), 8},    {ip4(169, 254, 0, 0), 16}, {ip4(172, 16, 0, 0), 12},
    {ip4(192, 0, 0, 0), 24},   {ip4(192, 0, 2, 0), 24},   {ip4(192, 88, 99, 0), 24},
    {ip4(192, 168, 0, 0), 16}, {ip4(198, 18, 0, 0), 15},  {ip4(198, 51, 100, 0), 24},
    {ip4(203, 0, 113, 0), 24}, {ip4(224, 0, 0, 0), 4},    {ip4(240, 0, 0, 0), 4},
};

bool is_global4(std::uint32_t address) {
  for (const Net4& net : kNotGlobal4) {
    if (((address ^ net.base) >> (32 - net.bits)) == 0) return false;
  }
  return true;
}

using Bytes6 = asio::ip::address_v6::bytes_type;

std::uint32_t embedded4(const Bytes6& bytes, std::size_t at) {
  return ip4(bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]);
}

bool begins(const Bytes6& bytes, std::initializer_list<unsigned> prefix) {
  std::size_t i = 0;
  for (const unsigned byte : prefix) {
    if (bytes[i++] != byte) return false;
  }
  return true;
}

bool is_global6(const Bytes6& b) {
  // NAT64's well-known prefix (RFC 6052) leads to whatever IPv4 address stands at its end.
  if (begins(b, {0x00, 0x64, 0xff, 0x9b, 0, 0, 0, 0, 0, 0, 0, 0}))
    return is_global4(embedded4(b, 12));
  // 2000::/3 is all that is assigned as global unicast; mapped, compatible, loopback, unspecified,
  // unique local, link-local and multicast lie outside.
  if ((b[0] & 0xe0) != 0x20) return false;
  if (begins(b, {0x20, 0x02})) return is_global4(embedded4(b, 2));  // 6to4
  if (begins(b, {0x20, 0x01}) && (b[2] & 0xfe) == 0)
    return false;  // 2001::/23: Teredo, ORCHID, benchmark ...
  if (begins(b, {0x20, 0x01, 0x0d, 0xb8})) return false;            // documentation
  if (begins(b, {0x3f, 0xff}) && (b[2] & 0xf0) == 0) return false;  // documentation, RFC 9637
  return true;
}

}  // namespace

bool is_global(const asio::ip::address& address) {
  if (address.is_v4()) return is_global4(address.to_v4().to_uint());
  const asio::ip::address_v6 v6 = address.to_v6();
  if (v6.is_v4_mapped()) {
    return is_global4(embedded4(v6.to_bytes(), 12));
  }
  return is_global6(v6.to_bytes());
}

}  // namespace switchyard::net
