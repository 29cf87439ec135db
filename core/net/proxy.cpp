#include "core/net/proxy.hpp"

#include <boost/asio/ip/address.hpp>
#include <charconv>
#include <cstdlib>
#include <optional>

#include "core/net/text.hpp"

namespace switchyard::net {
namespace {

std::string base64(std::string_view bytes) {
  static constexpr char kDigits[] =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string out;
  for (std::size_t i = 0; i < bytes.size(); i += 3) {
    std::uint32_t group = 0;
    for (std::size_t j = 0; j < 3; ++j) {
      const unsigned char byte =
          i + j < bytes.size() ? static_cast<unsigned char>(bytes[i + j]) : 0;
      group = group << 8 | byte;
    }
    for (std::size_t j = 0; j < 4; ++j) {
      out += i + j > bytes.size() ? '=' : kDigits[group >> (18 - 6 * j) & 63];
    }
  }
  return out;
}

int hex(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  c = lower(c);
  return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

std::optional<std::string> percent_decode(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      out += text[i];
      continue;
    }
    if (i + 2 >= text.size() || hex(text[i + 1]) < 0 || hex(text[i + 2]) < 0) return std::nullopt;
    out += static_cast<char>(hex(text[i + 1]) * 16 + hex(text[i + 2]));
    i += 2;
  }
  return out;
}

Result<ProxyChoice> parse_proxy(std::string_view text, std::string_view origin) {
  const std::string place = std::string(origin) + ": ";
  std::string rest(text);
  const std::size_t scheme = rest.find("://");
  if (scheme != std::string::npos && !equals_nocase(rest.substr(0, scheme), "http")) {
    return Error{place + "expected http://host:port (other kinds of proxy are not known)"};
  }
  if (scheme != std::string::npos) rest.erase(0, scheme + 3);
  ProxyChoice choice;
  const std::size_t at = rest.rfind('@');
  if (at != std::string::npos) {
    const auto user = percent_decode(std::string_view(rest).substr(0, at));
    if (!user) return Error{place + "the user or password has a '%' without two hex digits"};
    choice.authorization =
        "Basic " + base64(user->find(':') == std::string::npos ? *user + ':' : *user);
    rest.erase(0, at + 1);
  }
  auto url = parse_url("http://" + rest);
  if (!url || !url->path.empty()) return Error{place + "expected http://host:port"};
  choice.host = std::move(url->host);
  choice.port = url->port;
  return choice;
}

std::optional<asio::ip::address> to_address(std::string_view text) {
  if (text.starts_with('[') && text.ends_with(']')) text = text.substr(1, text.size() - 2);
  error_code ec;
  const auto address = asio::ip::make_address(std::string(text), ec);
  if (ec) return std::nullopt;
  return address;
}

template <class Bytes>
bool same_prefix(const Bytes& a, const Bytes& b, unsigned bits) {
  for (std::size_t i = 0; i < a.size() && bits > 0; ++i) {
    const unsigned here = std::min(bits, 8u);
    if (((a[i] ^ b[i]) >> (8 - here)) != 0) return false;
    bits -= here;
  }
  return true;
}

bool in_network(const asio::ip::address& address, std::string_view network) {
  const std::size_t slash = network.find('/');
  const auto base = to_address(network.substr(0, slash));
  if (!base || base->is_v4() != address.is_v4()) return false;
  const unsigned width = address.is_v4() ? 32 : 128;
  unsigned bits = width;
  if (slash != std::string_view::npos) {
    const std::string_view digits = network.substr(slash + 1);
    const char* end = digits.data() + digits.size();
    const auto [stop, fault] = std::from_chars(digits.data(), end, bits);
    if (fault != std::errc() || stop != end || bits > width) return false;
  }
  if (address.is_v4()) {
    return same_prefix(address.to_v4().to_bytes(), base->to_v4().to_bytes(), bits);
  }
  return same_prefix(address.to_v6().to_bytes(), base->to_v6().to_bytes(), bits);
}

// Takes ":port" off an entry that names one; false where it is another port.
bool port_fits(std::string_view& entry, std::uint16_t port) {
  const std::size_t colon = entry.rfind(':');
  if (colon == std::string_view::npos) return true;
  const bool bracketed = entry.starts_with('[') && entry[colon - 1] == ']';
  const bool one_colon = entry.find(':') == colon;
  if (!bracketed && !one_colon) return true;  // a bare IPv6 address
  if (entry.substr(colon + 1) != std::to_string(port)) return false;
  entry = entry.substr(0, colon);
  return true;
}

std::string_view without_dots(std::string_view name) {
  if (name.starts_with('.')) name.remove_prefix(1);
  if (name.ends_with('.')) name.remove_suffix(1);
  return name;
}

bool covers(std::string_view entry, std::string_view host, std::uint16_t port) {
  if (entry == "*") return true;
  const auto address = to_address(host);
  if (!port_fits(entry, port)) return false;
  if (address) return in_network(*address, entry);
  entry = without_dots(entry);
  host = without_dots(host);
  if (entry.empty() || entry.size() > host.size()) return false;
  const std::size_t before = host.size() - entry.size();
  if (!equals_nocase(host.substr(before), entry)) return false;
  return before == 0 || host[before - 1] == '.';
}

std::string variable(const char* name, const char* other) {
  const char* value = std::getenv(name);
  if (value == nullptr && other != nullptr) value = std::getenv(other);
  return value != nullptr ? value : "";
}

}  // namespace

ProxyEnvironment proxy_environment() {
  return {variable("https_proxy", "HTTPS_PROXY"), variable("http_proxy", nullptr),
          variable("no_proxy", "NO_PROXY")};
}

bool bypasses_proxy(std::string_view no_proxy, std::string_view host, std::uint16_t port) {
  while (!no_proxy.empty()) {
    const std::size_t end = std::min(no_proxy.find_first_of(", \t"), no_proxy.size());
    const std::string_view entry = no_proxy.substr(0, end);
    no_proxy.remove_prefix(std::min(end + 1, no_proxy.size()));
    if (!entry.empty() && covers(entry, host, port)) return true;
  }
  return false;
}

Result<ProxyChoice> choose_proxy(const Url& url, std::string_view configured,
                                 const ProxyEnvironment& environment) {
  if (configured == "none") return ProxyChoice();
  if (!configured.empty()) return parse_proxy(configured, "proxy");
  const std::string& proxy = url.tls ? environment.https_proxy : environment.http_proxy;
  if (proxy.empty() || bypasses_proxy(environment.no_proxy, url.host, url.port)) {
    return ProxyChoice();
  }
  return parse_proxy(proxy, url.tls ? "HTTPS_PROXY" : "HTTP_PROXY");
}

}  // namespace switchyard::net
