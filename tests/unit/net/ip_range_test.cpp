#include "core/net/ip_range.hpp"

using namespace switchyard;
using namespace switchyard::net;

namespace {

bool holds(const char* range, const char* address) {
  const auto parsed = parse_ip_range(range);
  REQUIRE(parsed);
  const auto bytes = parse_ip(address);
  REQUIRE(bytes);
  return parsed->contains(*bytes);
}

}  // namespace

TEST_CASE("net: what is no range of addresses is refused", "[unit][net]") {
  for (const char* text : {"", "/", "10.0.0.0/", "10.0.0.0/33", "10.0.0.0/-1", "10.0.0.0/8x",
                           "10.0.0/8", "10.0.0.1/8", "::/129", "2001:db8::1/32", "fe80::1%eth0",
                           "localhost", "10.0.0.0/8/8", " 10.0.0.0/8", "1' OR '1'='1"}) {
    CAPTURE(text);
    CHECK_FALSE(parse_ip_range(text));
  }
}

TEST_CASE("net: ranges hold addresses to the bit", "[unit][net]") {
  CHECK(holds("10.0.0.0/8", "10.255.255.255"));
  CHECK_FALSE(holds("10.0.0.0/8", "11.0.0.0"));
  CHECK(holds("192.0.2.128/25", "192.0.2.128"));
  CHECK_FALSE(holds("192.0.2.128/25", "192.0.2.127"));
  CHECK(holds("192.0.2.7", "192.0.2.7"));
  CHECK_FALSE(holds("192.0.2.7", "192.0.2.6"));
  CHECK(holds("2001:db8::/33", "2001:db8:7fff::1"));
  CHECK_FALSE(holds("2001:db8::/33", "2001:db8:8000::1"));
  CHECK(holds("::1", "::1"));
  CHECK(holds("0.0.0.0/0", "8.8.8.8"));
  CHECK_FALSE(holds("0.0.0.0/0", "2001:db8::1"));
  CHECK(holds("::/0", "8.8.8.8"));
}

TEST_CASE("net: an IPv4 address is the same in its mapped form", "[unit][net]") {
  CHECK(holds("10.0.0.0/8", "::ffff:10.1.2.3"));
  CHECK(holds("::ffff:10.1.2.3", "10.1.2.3"));
  CHECK_FALSE(holds("::1", "127.0.0.1"));
}
