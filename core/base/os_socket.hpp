// Listening sockets by plain OS calls: whoever owns them may have no event loop.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "core/base/os_fd.hpp"
#include "core/base/result.hpp"

namespace switchyard::os {

struct BoundSocket {
  UniqueFd fd;             // nonblocking, closed on exec
  std::uint16_t port = 0;  // the real one, where 0 was asked for
};

// Binds a TCP socket to an IP address and listens. "::" takes IPv4 too.
// An error reads "0.0.0.0:80: Permission denied".
Result<BoundSocket> listen_on(const std::string& address, std::uint16_t port);

// Reserves a port for processes of ours that bind it with SO_REUSEPORT: bound, but not listening,
// so that it takes no connection itself. Refused where somebody else has the port.
Result<BoundSocket> reserve_port(const std::string& address, std::uint16_t port);

bool is_ip_address(const std::string& address);
// True for 127.0.0.0/8, ::1 and their mapped forms.
bool is_loopback(const std::string& address);

// "127.0.0.1:8080", "[::1]:8080".
std::string host_port(std::string_view address, std::uint16_t port);

}  // namespace switchyard::os
