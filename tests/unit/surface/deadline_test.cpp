#include "core/surface/deadline.hpp"

#include <catch2/catch.hpp>
#include <string>

#include "core/net/http1.hpp"

namespace switchyard::surface {
namespace {

Result<ClientDeadline> read(std::string_view name, std::string_view value) {
  net::RequestHead head;
  head.headers.push_back({name, value});
  return read_client_deadline(head);
}

}  // namespace

TEST_CASE("surface: a client's own deadline is for the whole answer", "[unit][surface]") {
  CHECK(read("x-other", "1")->after_ms == 0);
  CHECK(read("x-switchyard-timeout", "1500")->after_ms == 1500);
  CHECK_FALSE(read("x-switchyard-timeout", "1500")->until_content);
  CHECK(read("x-switchyard-timeout", "86400000")->after_ms == 86'400'000);  // a day
  for (const char* wrong : {"0", "-1", "1.5", "soon", " 5", "86400001", "99999999999999999999"}) {
    CAPTURE(wrong);
    REQUIRE_FALSE(read("x-switchyard-timeout", wrong));
  }
}

TEST_CASE("surface: what SDKs send of their own accord is for what they wait for",
          "[unit][surface]") {
  CHECK(read("x-stainless-timeout", "600")->after_ms == 600'000);
  CHECK(read("x-stainless-timeout", "600")->until_content);
  for (const char* wrong : {"0", "soon", "1e3", "86401"}) {
    CAPTURE(wrong);
    CHECK(read("x-stainless-timeout", wrong)->after_ms == 0);
  }
  net::RequestHead both;
  both.headers = {{"x-stainless-timeout", "600"}, {"x-switchyard-timeout", "10"}};
  CHECK(read_client_deadline(both)->after_ms == 10);
}

}  // namespace switchyard::surface
