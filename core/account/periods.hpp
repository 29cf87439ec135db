// Periods as people count them, days, weeks, months and years of a time zone, and what the days of
// one cost.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <string_view>

namespace switchyard::account {

enum class Cycle : std::uint8_t { kDay, kWeek, kMonth, kYear };

std::optional<Cycle> parse_cycle(std::string_view text);  // "day", "week", "month", "year"
std::string_view to_text(Cycle cycle);

// From its start on, its end no longer in it.
struct Period {
  std::int64_t start_unix_s = 0, end_unix_s = 0;
  bool contains(std::int64_t unix_s) const { return start_unix_s <= unix_s && unix_s < end_unix_s; }
  bool operator==(const Period&) const = default;
};

// By how many seconds a zone's clocks are ahead of UTC at a time.
using UtcOffset = std::function<std::int64_t(std::int64_t unix_s)>;

using Day = std::chrono::sys_days;  // a date of a zone's calendar, not an instant

Day day_of(std::int64_t unix_s, const UtcOffset& offset);
// When a date begins: the first instant that clocks show it, also where midnight is skipped.
std::int64_t start_of(Day day, const UtcOffset& offset);
// Dates that a period has, whatever hours its clocks changed by.
int days_in(const Period& period, const UtcOffset& offset);

// The calendar's own, in which a time is: weeks from Monday.
Period period_of(std::int64_t unix_s, Cycle cycle, const UtcOffset& offset);
// Those that are counted from the date `anchor`: a month that lacks its day begins on its last day,
// and the next one on the anchor's day again. Before the anchor the first one counts.
Period period_from(Day anchor, Cycle cycle, std::int64_t unix_s, const UtcOffset& offset);

// Each of the `days` costs price / days, rounded down; the last one what remains. This is what is
// left when `used` days are paid: all of it for none, nothing for all.
std::int64_t unused_of(std::int64_t price, int days, int used);

}  // namespace switchyard::account
