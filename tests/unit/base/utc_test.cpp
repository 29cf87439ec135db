#include "core/base/utc.hpp"

using namespace switchyard;

TEST_CASE("base: UTC texts are read strictly", "[unit][base]") {
  for (const char* text : {"", "2026-11-21", "2026-11-21T19:30:00", "2026-11-21T19:30:00+00:00",
                           "2026-11-21 19:30:00Z", "2026-02-29T00:00:00Z", "2026-13-01T00:00:00Z",
                           "2026-01-01T24:00:00Z", "2026-01-01T00:60:00Z", "2026-01-01T00:00:60Z",
                           "1969-12-31T23:59:59Z", "2026-01-01t00:00:00z", "+026-01-01T00:00:00Z",
                           "2026-01-01T00:00:00Z "}) {
    CAPTURE(text);
    CHECK_FALSE(parse_utc(text));
  }
}

TEST_CASE("base: UTC texts and seconds are each other's", "[unit][base]") {
  CHECK(utc_text(0) == "1970-01-01T00:00:00Z");
  CHECK(utc_text(951'782'400) == "2000-02-29T00:00:00Z");
  CHECK(parse_utc("2000-02-29T00:00:00Z") == 951'782'400);
  CHECK(utc_text(4'294'967'296) == "2106-02-07T06:28:16Z");
  CHECK(parse_utc("2106-02-07T06:28:16Z") == 4'294'967'296);
  CHECK(utc_text(UINT64_MAX) == "9999-12-31T23:59:59Z");
}

TEST_CASE("base: UTC texts with parts of a second are read to the nanosecond", "[unit][base]") {
  CHECK(parse_utc_ns("2000-02-29T00:00:00Z") == 951'782'400'000'000'000);
  CHECK(parse_utc_ns("2000-02-29T00:00:00.25Z") == 951'782'400'250'000'000);
  CHECK(parse_utc_ns("2000-02-29T00:00:00.000000001Z") == 951'782'400'000'000'001);
  for (const char* text :
       {"", "2000-02-29T00:00:00", "2000-02-29T00:00:00.Z", "2000-02-29T00:00:00.-1Z",
        "2000-02-29T00:00:00.0000000001Z", "2000-02-29T00:00:00.1", "2000-02-29T00:00:00,1Z"}) {
    CAPTURE(text);
    CHECK_FALSE(parse_utc_ns(text));
  }
}
