#include "core/supervisor/handover.hpp"

using namespace switchyard::supervisor;

namespace {

Handover example() {
  Handover handover;
  handover.open.push_back({{"127.0.0.1", 8080, false}, 8080, 7});
  handover.open.push_back({{"::", 0, true}, 40123, 8});
  handover.admin = HandedListener{{"::1", 8081, false}, 8081, 9};
  handover.workers = {{100, 11, 0}, {99, 12, 123'456'789'012}, {98, -1, 5}};
  return handover;
}

}  // namespace

TEST_CASE("supervisor: a handover that can't be read is refused", "[unit][supervisor]") {
  for (const char* text : {"", "2", "x", "1 listen=7,8080", "1 listen=7,8080,8080,0,",
                           "1 listen=1,8080,8080,0,::1", "1 listen=7,99999,8080,0,::1",
                           "1 worker=0,7,0", "1 worker=1x,7,0", "1 worker=", "1 admin"}) {
    CAPTURE(text);
    REQUIRE_FALSE(decode_handover(text));
  }
}

TEST_CASE("supervisor: a handover comes out as it went in", "[unit][supervisor]") {
  const Handover sent = example();
  const auto got = decode_handover(encode(sent));
  REQUIRE(got);
  REQUIRE(got->open == sent.open);
  REQUIRE(got->admin == sent.admin);
  REQUIRE(got->workers == sent.workers);
}

TEST_CASE("supervisor: what a later binary adds to a handover is passed over",
          "[unit][supervisor]") {
  const auto got = decode_handover(encode(example()) + " later=1,2,3 flag");
  REQUIRE(got);
  REQUIRE(got->open.size() == 2);
}
