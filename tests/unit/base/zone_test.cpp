#include "core/base/zone.hpp"

#include "../scratch.hpp"

using namespace switchyard;

namespace {

std::shared_ptr<const Zone> zone_of(const char* name) {
  auto found = Zone::find(name);
  if (!found) FAIL(found.error().message);
  return *found;
}

std::int64_t utc(int year, unsigned month, unsigned day, int hour, int minute = 0) {
  return days_of(year, month, day) * 86'400 + hour * 3600 + minute * 60;
}

std::string shown(const Zone& zone, std::int64_t unix_s) {
  const WallTime wall = zone.wall(unix_s);
  char text[64];
  std::snprintf(text, sizeof text, "%04d-%02u-%02u %02d:%02d day %u", wall.year, wall.month,
                wall.day, wall.second / 3600, wall.second / 60 % 60, wall.weekday);
  return text;
}

}  // namespace

TEST_CASE("base: a zone shows the time of its walls around the changes of the clock",
          "[unit][base][zone]") {
  const auto berlin = zone_of("Europe/Berlin");
  // 2026-03-29, 02:00 to 03:00 is skipped; 2026-10-25, 02:00 to 03:00 is there twice.
  CHECK(shown(*berlin, utc(2026, 3, 29, 1) - 1) == "2026-03-29 01:59 day 6");
  CHECK(shown(*berlin, utc(2026, 3, 29, 1)) == "2026-03-29 03:00 day 6");
  CHECK(shown(*berlin, utc(2026, 10, 25, 1) - 1) == "2026-10-25 02:59 day 6");
  CHECK(shown(*berlin, utc(2026, 10, 25, 1)) == "2026-10-25 02:00 day 6");
  CHECK(berlin->offset_s(utc(2026, 7, 1, 0)) == 7200);
  CHECK(berlin->offset_s(utc(2026, 12, 1, 0)) == 3600);

  const auto shanghai = zone_of("Asia/Shanghai");
  CHECK(shown(*shanghai, utc(2026, 11, 20, 16, 30)) == "2026-11-21 00:30 day 5");
  // Half an hour of summer, in the south.
  const auto howe = zone_of("Australia/Lord_Howe");
  CHECK(howe->offset_s(utc(2026, 1, 1, 0)) == 39'600);
  CHECK(howe->offset_s(utc(2026, 7, 1, 0)) == 37'800);
}

TEST_CASE("base: beyond a zone's table its rule goes on", "[unit][base][zone]") {
  const auto berlin = zone_of("Europe/Berlin"), york = zone_of("America/New_York"),
             howe = zone_of("Australia/Lord_Howe");
  // The last Sunday of March 2051 is the 26th; the second one of March 2051 in New York the 12th.
  CHECK(berlin->offset_s(utc(2051, 3, 26, 1) - 1) == 3600);
  CHECK(berlin->offset_s(utc(2051, 3, 26, 1)) == 7200);
  CHECK(berlin->offset_s(utc(2051, 10, 29, 1) - 1) == 7200);
  CHECK(berlin->offset_s(utc(2051, 10, 29, 1)) == 3600);
  CHECK(york->offset_s(utc(2051, 3, 12, 7) - 1) == -18'000);
  CHECK(york->offset_s(utc(2051, 3, 12, 7)) == -14'400);
  CHECK(howe->offset_s(utc(2051, 1, 1, 0)) == 39'600);
  CHECK(howe->offset_s(utc(2051, 7, 1, 0)) == 37'800);
}

TEST_CASE("base: the instant of a wall's time, also where that is skipped or there twice",
          "[unit][base][zone]") {
  const auto berlin = zone_of("Europe/Berlin");
  CHECK(berlin->unix_s(2026, 7, 1) == utc(2026, 6, 30, 22));
  CHECK(berlin->unix_s(2026, 3, 29, 2 * 3600 + 1800) == utc(2026, 3, 29, 1, 30));
  CHECK(berlin->unix_s(2026, 10, 25, 2 * 3600 + 1800) == utc(2026, 10, 25, 0, 30));
  CHECK(berlin->unix_s(2026, 10, 25, 3 * 3600) == utc(2026, 10, 25, 2));
  // Midnight itself is skipped in Beirut: the day begins at one.
  const auto beirut = zone_of("Asia/Beirut");
  const std::int64_t begin = beirut->unix_s(2026, 3, 29);
  CHECK(shown(*beirut, begin) == "2026-03-29 01:00 day 6");
  CHECK(shown(*beirut, begin - 1) == "2026-03-28 23:59 day 5");
  for (const char* name : {"Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "UTC"}) {
    const auto zone = zone_of(name);
    for (std::int64_t at = utc(2025, 1, 1, 0); at < utc(2027, 1, 1, 0); at += 5 * 1800) {
      const WallTime wall = zone->wall(at);
      const std::int64_t back = zone->unix_s(wall.year, wall.month, wall.day, wall.second);
      CAPTURE(name, at, back);
      // The first of two.
      CHECK((back == at || (back < at && shown(*zone, back) == shown(*zone, at))));
    }
  }
}

TEST_CASE("base: what is no zone is refused, and says what to do", "[unit][base][zone]") {
  for (const char* name : {"", "/etc/passwd", "../../etc/passwd", "Europe/", "a b"}) {
    CAPTURE(name);
    const auto refused = Zone::find(name);
    REQUIRE_FALSE(refused);
    CHECK(refused.error().message.find("expected a name such as Europe/Berlin") !=
          std::string::npos);
  }
  const auto unknown = Zone::find("Europe/Atlantis");
  REQUIRE_FALSE(unknown);
  CHECK(unknown.error().message.find("there is no such zone") != std::string::npos);
  const auto bare = Zone::load("Europe/Berlin", "/nowhere");
  REQUIRE_FALSE(bare);
  CHECK(bare.error().message == "time zone Europe/Berlin: /nowhere is not there; install tzdata");
}

TEST_CASE("base: a broken zone file is refused at every length", "[unit][base][zone]") {
  // Version 2: an empty first block, then one change and one rule.
  const auto number = [](std::int64_t value, int size) {
    std::string bytes;
    for (int i = size - 1; i >= 0; --i) bytes += static_cast<char>(value >> (8 * i) & 0xff);
    return bytes;
  };
  const auto header = [&](int times, int types, int letters) {
    std::string bytes = "TZif2" + std::string(15, '\0');
    for (const int count : {0, 0, 0, times, types, letters}) bytes += number(count, 4);
    return bytes;
  };
  const std::string type = std::string("\0\0", 2);
  const std::string file = header(0, 1, 4) + number(0, 4) + type + std::string(4, 'A') +
                           header(1, 2, 4) + number(1'000'000, 8) + std::string(1, '\1') +
                           number(3600, 4) + type + number(7200, 4) + type + std::string(4, 'A') +
                           "\n<+02>-2\n";
  const auto whole = Zone::parse("x", file);
  REQUIRE(whole);
  CHECK(whole->offset_s(999'999) == 3600);
  CHECK(whole->offset_s(1'000'000) == 7200);
  const std::size_t footer = file.find("\n<+02>");
  for (std::size_t size = 0; size < footer; ++size) {
    CAPTURE(size);
    CHECK_FALSE(Zone::parse("x", file.substr(0, size)));
  }
  std::string wrong = file;
  wrong[wrong.find('\1', 44)] = '\2';
  CHECK_FALSE(Zone::parse("x", wrong));
  CHECK_FALSE(Zone::parse("x", file.substr(0, footer) + "\nCET-1CEST,M13.1.0,M10.5.0\n"));
}
