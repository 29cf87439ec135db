#include "core/base/os_socket.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstring>
#include <optional>

namespace switchyard::os {
namespace {

// The kernel cuts this to net.core.somaxconn. Long, so that connects wait while a worker is
// replaced.
constexpr int kBacklog = 4096;

struct Address {
  sockaddr_storage storage{};
  socklen_t size = 0;
  int family = AF_UNSPEC;
};

std::optional<Address> parse(const std::string& text, std::uint16_t port) {
  Address address;
  auto* v4 = reinterpret_cast<sockaddr_in*>(&address.storage);
  if (inet_pton(AF_INET, text.c_str(), &v4->sin_addr) == 1) {
    v4->sin_family = AF_INET;
    v4->sin_port = htons(port);
    address.family = AF_INET;
    address.size = sizeof *v4;
    return address;
  }
  auto* v6 = reinterpret_cast<sockaddr_in6*>(&address.storage);
  if (inet_pton(AF_INET6, text.c_str(), &v6->sin6_addr) == 1) {
    v6->sin6_family = AF_INET6;
    v6->sin6_port = htons(port);
    address.family = AF_INET6;
    address.size = sizeof *v6;
    return address;
  }
  return std::nullopt;
}

Error fault(const std::string& address, std::uint16_t port, std::string_view what) {
  return Error{host_port(address, port) + ": " + std::string(what)};
}

std::uint16_t bound_port(int fd) {
  sockaddr_storage storage{};
  socklen_t size = sizeof storage;
  if (getsockname(fd, reinterpret_cast<sockaddr*>(&storage), &size) != 0) return 0;
  // The port is at the same place for both families.
  return ntohs(reinterpret_cast<const sockaddr_in*>(&storage)->sin_port);
}

enum class Reuse { kAddress, kPort };

Result<BoundSocket> bind_to(const std::string& text, std::uint16_t port, Reuse reuse) {
  const auto address = parse(text, port);
  if (!address) return fault(text, port, "not an IP address");
  UniqueFd fd(socket(address->family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!fd) return fault(text, port, std::strerror(errno));

  const int on = 1;
  const int option = reuse == Reuse::kPort ? SO_REUSEPORT : SO_REUSEADDR;
  setsockopt(fd.get(), SOL_SOCKET, option, &on, sizeof on);
  if (address->family == AF_INET6) {
    const int v6_only = text == "::" ? 0 : 1;
    setsockopt(fd.get(), IPPROTO_IPV6, IPV6_V6ONLY, &v6_only, sizeof v6_only);
  }
  const auto* raw = reinterpret_cast<const sockaddr*>(&address->storage);
  if (bind(fd.get(), raw, address->size) != 0) return fault(text, port, std::strerror(errno));
  const std::uint16_t actual = bound_port(fd.get());
  return BoundSocket{std::move(fd), actual};
}

}  // namespace

Result<BoundSocket> listen_on(const std::string& address, std::uint16_t port) {
  auto bound = bind_to(address, port, Reuse::kAddress);
  if (!bound) return bound;
  if (listen(bound->fd.get(), kBacklog) != 0) return fault(address, port, std::strerror(errno));
  return bound;
}

Result<BoundSocket> reserve_port(const std::string& address, std::uint16_t port) {
  // SO_REUSEPORT alone would share the port with another gateway of the same user; a plain listener
  // is refused then.
  auto probe = listen_on(address, port);
  if (!probe) return probe;
  const std::uint16_t actual = probe->port;
  probe->fd.reset();
  return bind_to(address, actual, Reuse::kPort);
}

bool is_ip_address(const std::string& address) { return parse(address, 0).has_value(); }

bool is_loopback(const std::string& text) {
  const auto address = parse(text, 0);
  if (!address) return false;
  if (address->family == AF_INET) {
    const auto* v4 = reinterpret_cast<const sockaddr_in*>(&address->storage);
    return (ntohl(v4->sin_addr.s_addr) >> 24) == 127;
  }
  const auto& v6 = reinterpret_cast<const sockaddr_in6*>(&address->storage)->sin6_addr;
  if (IN6_IS_ADDR_V4MAPPED(&v6)) return v6.s6_addr[12] == 127;
  return IN6_IS_ADDR_LOOPBACK(&v6) != 0;
}

std::string host_port(std::string_view address, std::uint16_t port) {
  const bool v6 = address.find(':') != std::string_view::npos;
  std::string text;
  if (v6) text += '[';
  text += address;
  if (v6) text += ']';
  return text + ':' + std::to_string(port);
}

}  // namespace switchyard::os
