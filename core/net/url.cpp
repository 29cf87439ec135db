#include <boost/asio/ip/address_v6.hpp>
#include <charconv>

#include "core/net/http_client.hpp"
#include "core/net/text.hpp"

namespace switchyard::net {
namespace {

bool host_char(char c) {
  return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.' || c == '_';
}

bool valid_host(std::string_view host) {
  return !host.empty() && host.size() <= 253 && std::all_of(host.begin(), host.end(), host_char);
}

// RFC 3986 3.3, without '?' and '#', which end a path.
bool path_char(char c) {
  return c > ' ' && c < 0x7f && std::string_view("\"<>\\^`{|}?#").find(c) == std::string_view::npos;
}

bool take_prefix(std::string_view& text, std::string_view prefix) {
  if (!equals_nocase(text.substr(0, prefix.size()), prefix)) return false;
  text.remove_prefix(prefix.size());
  return true;
}

// The host without brackets; `authority` keeps what follows it.
Result<std::string> take_host(std::string_view& authority) {
  if (!authority.starts_with('[')) {
    const std::string_view name = authority.substr(0, authority.find(':'));
    authority.remove_prefix(name.size());
    std::string host = to_lower(name);
    if (!valid_host(host)) return Error{"URL: the host is missing or has characters it can't have"};
    return host;
  }
  const std::size_t end = authority.find(']');
  if (end == std::string_view::npos) return Error{"URL: '[' without ']'"};
  const std::string host(authority.substr(1, end - 1));
  authority.remove_prefix(end + 1);
  error_code ec;
  asio::ip::make_address_v6(host, ec);
  if (ec) return Error{"URL: between '[' and ']' stands no IPv6 address"};
  return to_lower(host);
}

}  // namespace

Result<Url> parse_url(std::string_view url) {
  Url out;
  if (take_prefix(url, "https://")) {
    out.tls = true;
  } else if (take_prefix(url, "http://")) {
    out.tls = false;
    out.port = 80;
  } else {
    return Error{"URL: expected http:// or https:// at its start"};
  }
  const std::size_t slash = std::min(url.find_first_of("/?#"), url.size());
  std::string_view authority = url.substr(0, slash);
  std::string_view path = url.substr(slash);
  // Not shown: what stands before the '@' is a secret.
  if (authority.find('@') != std::string_view::npos) {
    return Error{"URL: a user or password has no place in it"};
  }
  auto host = take_host(authority);
  if (!host) return std::move(host).error();
  out.host = std::move(*host);
  if (!authority.empty()) {
    const std::string_view digits = authority.substr(1);
    const auto [end, fault] =
        std::from_chars(digits.data(), digits.data() + digits.size(), out.port);
    const bool whole = fault == std::errc() && end == digits.data() + digits.size();
    if (authority[0] != ':' || !whole || out.port == 0) {
      return Error{"URL: expected a port of 1 to 65535 behind the host"};
    }
  }
  if (!std::all_of(path.begin(), path.end(), path_char)) {
    return Error{"URL: expected nothing but a path behind the host (no query, no fragment)"};
  }
  while (path.ends_with('/')) path.remove_suffix(1);
  out.path = path;
  return out;
}

std::string host_header(const Url& url) {
  std::string host = url.host.find(':') != std::string::npos ? "[" + url.host + "]" : url.host;
  const std::uint16_t usual = url.tls ? 443 : 80;
  if (url.port != usual) host += ":" + std::to_string(url.port);
  return host;
}

}  // namespace switchyard::net
