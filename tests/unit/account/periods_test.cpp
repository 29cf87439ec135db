#include "core/account/periods.hpp"

using namespace switchyard::account;
namespace chrono = std::chrono;

namespace {

Day date(int year, unsigned month, unsigned day) {
  return Day(chrono::year(year) / chrono::month(month) / chrono::day(day));
}

std::int64_t utc(int year, unsigned month, unsigned day, int hour = 0, int minute = 0) {
  const auto days = date(year, month, day).time_since_epoch().count();
  return days * 86'400 + hour * 3600 + minute * 60;
}

const UtcOffset kUtc = [](std::int64_t) -> std::int64_t { return 0; };

// Europe/Berlin in 2026: summer time from 29 March to 25 October, 01:00 UTC.
const UtcOffset kBerlin = [](std::int64_t unix_s) -> std::int64_t {
  return unix_s >= utc(2026, 3, 29, 1) && unix_s < utc(2026, 10, 25, 1) ? 7200 : 3600;
};

// Beirut's way: clocks go from 0:00 to 1:00, so that 29 March 2026 has no midnight.
const UtcOffset kNoMidnight = [](std::int64_t unix_s) -> std::int64_t {
  return unix_s >= utc(2026, 3, 28, 22) ? 10'800 : 7200;
};

// Newfoundland's former way: at 0:01 of 1 November clocks go back to 23:01.
const UtcOffset kTwoMidnights = [](std::int64_t unix_s) -> std::int64_t {
  return unix_s >= utc(2026, 11, 1, 2, 31) ? -12'600 : -9000;
};

}  // namespace

TEST_CASE("account: a month from the 31st begins on each month's last day", "[unit][plans]") {
  const Day anchor = date(2026, 1, 31);
  const auto at = [&](std::int64_t now) { return period_from(anchor, Cycle::kMonth, now, kUtc); };
  CHECK(at(utc(2026, 1, 31)) == Period{utc(2026, 1, 31), utc(2026, 2, 28)});
  CHECK(at(utc(2026, 2, 27, 23, 59)) == Period{utc(2026, 1, 31), utc(2026, 2, 28)});
  CHECK(at(utc(2026, 2, 28)) == Period{utc(2026, 2, 28), utc(2026, 3, 31)});
  CHECK(at(utc(2026, 3, 30)) == Period{utc(2026, 2, 28), utc(2026, 3, 31)});
  CHECK(at(utc(2026, 4, 30)) == Period{utc(2026, 4, 30), utc(2026, 5, 31)});
  CHECK(at(utc(2028, 2, 29)) == Period{utc(2028, 2, 29), utc(2028, 3, 31)});
  CHECK(at(utc(2027, 1, 5)) == Period{utc(2026, 12, 31), utc(2027, 1, 31)});
  // Before the anchor the first one counts.
  CHECK(at(utc(2020, 1, 1)) == Period{utc(2026, 1, 31), utc(2026, 2, 28)});
}

TEST_CASE("account: a year from 29 February is on the 28th between leap years", "[unit][plans]") {
  const Day anchor = date(2024, 2, 29);
  CHECK(period_from(anchor, Cycle::kYear, utc(2026, 2, 28), kUtc) ==
        Period{utc(2026, 2, 28), utc(2027, 2, 28)});
  CHECK(period_from(anchor, Cycle::kYear, utc(2028, 2, 28), kUtc) ==
        Period{utc(2027, 2, 28), utc(2028, 2, 29)});
}

TEST_CASE("account: weeks from the anchor and the calendar's from Monday", "[unit][plans]") {
  // 21 November 2026 is a Saturday.
  CHECK(period_from(date(2026, 11, 21), Cycle::kWeek, utc(2026, 11, 28), kUtc) ==
        Period{utc(2026, 11, 28), utc(2026, 12, 5)});
  CHECK(period_of(utc(2026, 11, 21), Cycle::kWeek, kUtc) ==
        Period{utc(2026, 11, 16), utc(2026, 11, 23)});
  CHECK(period_of(utc(2026, 11, 22, 23, 59), Cycle::kWeek, kUtc).end_unix_s == utc(2026, 11, 23));
  CHECK(period_of(utc(2026, 11, 23), Cycle::kWeek, kUtc).start_unix_s == utc(2026, 11, 23));
}

TEST_CASE("account: periods are a zone's own, over both changes of its clocks", "[unit][plans]") {
  CHECK(period_of(utc(2026, 3, 1), Cycle::kMonth, kBerlin) ==
        Period{utc(2026, 2, 28, 23), utc(2026, 3, 31, 22)});
  CHECK(period_of(utc(2026, 2, 28, 23), Cycle::kMonth, kBerlin).start_unix_s ==
        utc(2026, 2, 28, 23));
  const Period spring = period_of(utc(2026, 3, 29, 12), Cycle::kDay, kBerlin);
  CHECK(spring.end_unix_s - spring.start_unix_s == 23 * 3600);
  const Period autumn = period_of(utc(2026, 10, 25, 12), Cycle::kDay, kBerlin);
  CHECK(autumn.end_unix_s - autumn.start_unix_s == 25 * 3600);
  CHECK(days_in(period_of(utc(2026, 3, 10), Cycle::kMonth, kBerlin), kBerlin) == 31);
  CHECK(days_in(period_of(utc(2026, 10, 10), Cycle::kMonth, kBerlin), kBerlin) == 31);
}

TEST_CASE("account: a date without midnight begins when clocks first show it", "[unit][plans]") {
  CHECK(start_of(date(2026, 3, 29), kNoMidnight) == utc(2026, 3, 28, 22));
  CHECK(day_of(utc(2026, 3, 28, 21, 59), kNoMidnight) == date(2026, 3, 28));
  CHECK(day_of(utc(2026, 3, 28, 22), kNoMidnight) == date(2026, 3, 29));
}

TEST_CASE("account: every instant is in exactly one day, whatever clocks do", "[unit][plans]") {
  for (const UtcOffset* const zone : {&kBerlin, &kNoMidnight, &kTwoMidnights}) {
    for (const std::int64_t from : {utc(2026, 3, 27), utc(2026, 10, 24), utc(2026, 10, 30)}) {
      Period day = period_of(from, Cycle::kDay, *zone);
      for (std::int64_t now = from; now < from + 4 * 86'400; now += 30) {
        CAPTURE(now);
        const Period found = period_of(now, Cycle::kDay, *zone);
        REQUIRE(found.contains(now));
        if (found == day) continue;
        REQUIRE(found.start_unix_s == day.end_unix_s);
        day = found;
      }
    }
  }
}

TEST_CASE("account: a price's days, the last one with what remains", "[unit][plans]") {
  // 100 over 30 days: 3 a day, and 13 on the last.
  CHECK(unused_of(100, 30, 0) == 100);
  CHECK(unused_of(100, 30, 1) == 97);
  CHECK(unused_of(100, 30, 10) == 70);
  CHECK(unused_of(100, 30, 29) == 13);
  CHECK(unused_of(100, 30, 30) == 0);
  CHECK(unused_of(100, 30, 31) == 0);
  CHECK(unused_of(2, 30, 29) == 2);
  CHECK(unused_of(0, 30, 3) == 0);
  // $20 for February 2026: 714,285,714 nano a day, and 8 more on the 28th.
  CHECK(unused_of(20'000'000'000, 28, 27) == 714'285'722);
  CHECK(unused_of(INT64_MAX, 366, 365) == INT64_MAX - INT64_MAX / 366 * 365);
}

TEST_CASE("account: the names of cycles", "[unit][plans]") {
  for (const Cycle cycle : {Cycle::kDay, Cycle::kWeek, Cycle::kMonth, Cycle::kYear}) {
    CHECK(parse_cycle(to_text(cycle)) == cycle);
  }
  CHECK_FALSE(parse_cycle("months"));
  CHECK_FALSE(parse_cycle(""));
}
