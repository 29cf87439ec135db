// The few texts with a grammar of their own in a configuration.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "core/base/result.hpp"

namespace switchyard::config {

struct IpPort {
  std::string address;
  std::uint16_t port = 0;
};

// "127.0.0.1:8080", "[::1]:8080". The error says what would do.
Result<IpPort> parse_ip_port(std::string_view text);

// True for 127.0.0.0/8, ::1 and the name localhost.
bool is_loopback(std::string_view address);

struct BaseUrl {
  bool tls = false;
  std::string host;  // a name or an address, IPv6 without brackets
  std::uint16_t port = 0;
  std::string text;  // as it is used: without a slash at the end
};

// An http or https URL of a host, a port and a path: no user, query or fragment. Messages do not
// repeat the text.
Result<BaseUrl> parse_base_url(std::string_view text);

// "500ms", "10s", "5m", "1h"; nothing for another form and beyond 30 days.
std::optional<std::chrono::milliseconds> parse_duration(std::string_view text);

// RFC 9110, 5.6.2.
bool is_token(std::string_view text);

}  // namespace switchyard::config
