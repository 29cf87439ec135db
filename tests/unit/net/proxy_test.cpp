#include "core/net/proxy.hpp"

#include <catch2/catch.hpp>

namespace switchyard::net {
namespace {

ProxyChoice choose(const std::string& url, const std::string& configured,
                   const ProxyEnvironment& environment) {
  return choose_proxy(parse_url(url).value(), configured, environment).value();
}

bool fails(const std::string& proxy) {
  return !choose_proxy(Url{.host = "up.example"}, proxy, ProxyEnvironment());
}

}  // namespace

TEST_CASE("proxy: what is no HTTP proxy's address is refused", "[unit][net]") {
  for (const char* text : {"socks5://p:1080", "https://p:443", "http://", "http://p:0",
                           "http://p:x", "http://p:70000", "http://p/path", "http://a%zz@p:1",
                           "http://p q:1", "http://p:80?x", "http://p\r\nX: y:80"}) {
    CAPTURE(text);
    CHECK(fails(text));
  }
}

TEST_CASE("proxy: a refusal does not show the password", "[unit][net]") {
  const auto refused =
      choose_proxy(Url{.host = "up.example"}, "http://u:hunter2@p:0", ProxyEnvironment());
  REQUIRE_FALSE(refused);
  CHECK(refused.error().message.find("hunter2") == std::string::npos);
}

TEST_CASE("proxy: what is configured goes before the environment", "[unit][net]") {
  const ProxyEnvironment environment{
      .https_proxy = "http://env:1", .http_proxy = "plain:2", .no_proxy = "*.x,up.example"};
  CHECK(choose("https://up.example", "http://mine:3", environment).host == "mine");
  CHECK(choose("https://api.example", "none", environment).host.empty());
  CHECK(choose("https://api.example", "", environment).host == "env");
  CHECK(choose("https://api.example", "", environment).port == 1);
  CHECK(choose("http://api.example", "", environment).host == "plain");
  CHECK(choose("https://up.example", "", environment).host.empty());
  CHECK(choose("https://api.example", "", ProxyEnvironment()).host.empty());
}

TEST_CASE("proxy: user and password become basic authorization", "[unit][net]") {
  // RFC 7617 section 2
  CHECK(choose("https://a.b", "http://Aladdin:open%20sesame@p:1", {}).authorization ==
        "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==");
  CHECK(choose("https://a.b", "http://u:p@ss@p:1", {}).authorization == "Basic dTpwQHNz");
  CHECK(choose("https://a.b", "http://me@[::1]:1", {}).authorization == "Basic bWU6");
  CHECK(choose("https://a.b", "http://me@[::1]:1", {}).host == "::1");
  CHECK(choose("https://a.b", "http://p:1", {}).authorization.empty());
}

TEST_CASE("proxy: NO_PROXY is read as curl reads it", "[unit][net]") {
  struct Case {
    const char* list;
    const char* host;
    bool direct;
  };
  const Case cases[] = {
      {"", "a.example", false},
      {"*", "a.example", true},
      {"a.example", "a.example", true},
      {"A.Example", "a.EXAMPLE", true},
      {"example", "a.example", true},
      {".example", "a.example", true},
      {".a.example", "a.example", true},
      {"b.example, a.example", "a.example", true},
      {"b.example a.example", "a.example", true},
      {"a.example.", "a.example", true},
      {"a.example", "ba.example", false},
      {"a.example", "example", false},
      {"*.example", "a.example", false},
      {"a.example:443", "a.example", true},
      {"a.example:8443", "a.example", false},
      {"10.1.2.3", "10.1.2.3", true},
      {"1.2.3", "10.1.2.3", false},
      {"2.3", "10.1.2.3", false},
      {"10.0.0.0/8", "10.1.2.3", true},
      {"10.1.2.0/23", "10.1.3.3", true},
      {"10.1.2.0/24", "10.1.3.3", false},
      {"10.0.0.0/33", "10.0.0.0", false},
      {"10.0.0.0/", "10.0.0.0", false},
      {"0.0.0.0/0", "10.1.2.3", true},
      {"fd00::/8", "fd12::1", true},
      {"::1", "::1", true},
      {"[::1]", "::1", true},
      {"[::1]:443", "::1", true},
      {"[::1]:444", "::1", false},
      {"10.0.0.0/8", "10.example", false},
      {",, ,", "a.example", false},
  };
  for (const Case& one : cases) {
    CAPTURE(one.list, one.host);
    CHECK(bypasses_proxy(one.list, one.host, 443) == one.direct);
  }
}

TEST_CASE("url: parts are split, and what does not belong there is refused", "[unit][net]") {
  const Url url = parse_url("HTTPS://API.Example:8443/v1/").value();
  CHECK(url.tls);
  CHECK(url.host == "api.example");
  CHECK(url.port == 8443);
  CHECK(url.path == "/v1");
  CHECK(parse_url("http://h").value().port == 80);
  CHECK(parse_url("http://h").value().path.empty());
  CHECK(parse_url("https://[2001:DB8::1]/x").value().host == "2001:db8::1");
  for (const char* text : {"",
                           "h",
                           "ftp://h",
                           "https://",
                           "https://:443",
                           "https://h:",
                           "https://h:0",
                           "https://h:65536",
                           "https://h:+1",
                           "https://h:1x",
                           "https://u@h",
                           "https://u:p@h",
                           "https://h?q",
                           "https://h#f",
                           "https://h/a?b",
                           "https://h/a b",
                           "https://h\\x",
                           "https://[::1",
                           "https://[x]",
                           "https://[::1]x",
                           "https://h/\r\nX:y",
                           "https://h ost/"}) {
    CAPTURE(text);
    CHECK_FALSE(parse_url(text));
  }
}

}  // namespace switchyard::net
