// Which proxy a request to an upstream goes through.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "core/base/result.hpp"
#include "core/net/http_client.hpp"

namespace switchyard::net {

struct ProxyChoice {
  std::string host;  // empty: direct
  std::uint16_t port = 0;
  std::string authorization;  // "Basic ...", or empty; never logged
};

// What the environment says; also the lower-case forms of the variables, which are read first (and
// of HTTP_PROXY only the lower-case form, for a CGI caller could set the other one).
struct ProxyEnvironment {
  std::string https_proxy, http_proxy, no_proxy;
};
ProxyEnvironment proxy_environment();

// `configured`: "http://user:password@host:port", "none", or empty for the environment. What is
// configured holds for every host; NO_PROXY tempers the environment's proxies alone.
Result<ProxyChoice> choose_proxy(const Url& url, std::string_view configured,
                                 const ProxyEnvironment& environment);

// curl's reading of NO_PROXY: names apart by commas or blanks; "*" is all; "example.com" and
// ".example.com" cover the name and what lies under it; "host:port" that port alone; an address
// covers itself and "10.0.0.0/8" its network.
bool bypasses_proxy(std::string_view no_proxy, std::string_view host, std::uint16_t port);

}  // namespace switchyard::net
