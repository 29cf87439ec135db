#include "core/config/address.hpp"

#include <arpa/inet.h>

#include <algorithm>
#include <charconv>

namespace switchyard::config {
namespace {

template <class Number>
std::optional<Number> parse_number(std::string_view text) {
  Number number{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return number;
}

bool is_ipv4(const std::string& text) {
  in_addr address{};
  return inet_pton(AF_INET, text.c_str(), &address) == 1;
}

bool is_ipv6(const std::string& text) {
  in6_addr address{};
  return inet_pton(AF_INET6, text.c_str(), &address) == 1;
}

bool is_alnum(char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

bool is_host_name(std::string_view host) {
  if (host.empty() || host.size() > 253 || host.front() == '.' || host.front() == '-') return false;
  return host.find("..") == std::string_view::npos &&
         std::all_of(host.begin(), host.end(),
                     [](char c) { return is_alnum(c) || c == '.' || c == '-' || c == '_'; });
}

// Splits "host:port" or "[v6]:port"; `port` is empty where there is none.
bool split_host_port(std::string_view text, std::string& host, std::string_view& port) {
  port = {};
  if (text.starts_with('[')) {
    const std::size_t end = text.find(']');
    if (end == std::string_view::npos) return false;
    host = std::string(text.substr(1, end - 1));
    const std::string_view rest = text.substr(end + 1);
    if (!is_ipv6(host) || (!rest.empty() && rest[0] != ':')) return false;
    if (!rest.empty()) port = rest.substr(1);
    return rest.empty() || !port.empty();
  }
  const std::size_t colon = text.find(':');
  host = std::string(text.substr(0, colon));
  if (colon == std::string_view::npos) return is_host_name(host);
  port = text.substr(colon + 1);
  return is_host_name(host) && !port.empty();
}

}  // namespace

Result<IpPort> parse_ip_port(std::string_view text) {
  std::string host;
  std::string_view port_text;
  if (!split_host_port(text, host, port_text) || port_text.empty()) {
    return Error{
        "not an IP address and a port; such as 127.0.0.1:8080, [::1]:8080 or 0.0.0.0:8080"};
  }
  if (!is_ipv4(host) && !is_ipv6(host)) {
    return Error{host == "localhost" ? "not an IP address; write 127.0.0.1 or [::1] for localhost"
                                     : "not an IP address; such as 127.0.0.1, [::1] or 0.0.0.0"};
  }
  const auto port = parse_number<std::uint16_t>(port_text);
  if (!port) return Error{"the port is no number from 0 to 65535"};
  return IpPort{host, *port};
}

bool is_loopback(std::string_view address) {
  if (address == "localhost" || address == "::1") return true;
  return address.starts_with("127.") && is_ipv4(std::string(address));
}

Result<BaseUrl> parse_base_url(std::string_view text) {
  BaseUrl url;
  std::string_view rest;
  if (text.starts_with("https://")) {
    url.tls = true;
    rest = text.substr(8);
  } else if (text.starts_with("http://")) {
    rest = text.substr(7);
  } else {
    return Error{"not a URL that starts with https:// or http://"};
  }
  for (const char c : text) {
    if (static_cast<unsigned char>(c) <= 0x20 || static_cast<unsigned char>(c) >= 0x7f) {
      return Error{"a URL can't hold blanks, control characters or what is not ASCII"};
    }
  }
  if (text.find_first_of("?#") != std::string_view::npos) {
    return Error{"a base URL has no query and no fragment"};
  }
  const std::string_view authority = rest.substr(0, rest.find('/'));
  if (authority.find('@') != std::string_view::npos) {
    return Error{"a URL with a user or password; put the secret into credentials"};
  }
  std::string_view port;
  if (!split_host_port(authority, url.host, port)) {
    return Error{"a URL whose host and port are not understood"};
  }
  const auto number = port.empty() ? std::optional<std::uint16_t>(url.tls ? 443 : 80)
                                   : parse_number<std::uint16_t>(port);
  if (!number || *number == 0) return Error{"a URL whose port is no number from 1 to 65535"};
  url.port = *number;
  while (text.ends_with('/')) text.remove_suffix(1);
  url.text = std::string(text);
  return url;
}

std::optional<std::chrono::milliseconds> parse_duration(std::string_view text) {
  std::int64_t unit_ms = 0;
  if (text.ends_with("ms")) {
    unit_ms = 1;
    text.remove_suffix(1);
  } else if (text.ends_with('s')) {
    unit_ms = 1000;
  } else if (text.ends_with('m')) {
    unit_ms = 60'000;
  } else if (text.ends_with('h')) {
    unit_ms = 3'600'000;
  } else {
    return std::nullopt;
  }
  text.remove_suffix(1);
  constexpr std::int64_t kMostMs = 30LL * 24 * 3'600'000;
  const auto count = parse_number<std::uint32_t>(text);
  if (!count || *count > kMostMs / unit_ms) return std::nullopt;
  return std::chrono::milliseconds(*count * unit_ms);
}

bool is_token(std::string_view text) {
  static constexpr std::string_view kMarks = "!#$%&'*+-.^_`|~";
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
    return is_alnum(c) || kMarks.find(c) != std::string_view::npos;
  });
}

}  // namespace switchyard::config
