// Which addresses the public internet routes to.
#pragma once

#include <boost/asio/ip/address.hpp>

#include "core/net/loop.hpp"

namespace switchyard::net {

// True for global unicast only: not loopback, private, link-local, shared (CGNAT), multicast,
// documentation, benchmark, reserved or unspecified, nor any of those inside an IPv6 form (mapped,
// compatible, NAT64, 6to4, Teredo). By IANA's special-purpose address registries (RFC 6890).
bool is_global(const asio::ip::address& address);

}  // namespace switchyard::net
