#include "core/account/periods.hpp"

#include <algorithm>

namespace switchyard::account {
namespace chrono = std::chrono;
namespace {

constexpr std::int64_t kDayS = 86'400;
// No clock is further from UTC.
constexpr std::int64_t kOffsetMaxS = 26 * 3600;

constexpr std::string_view kCycles[] = {"day", "week", "month", "year"};

std::int64_t civil_seconds(Day day) { return day.time_since_epoch().count() * kDayS; }

Day last_day_or(chrono::year_month month, chrono::day day) {
  const chrono::year_month_day wanted = month / day;
  return wanted.ok() ? Day(wanted) : Day(month / chrono::last);
}

// The n-th beginning, counted from the anchor.
Day nth(Day anchor, Cycle cycle, int n) {
  const chrono::year_month_day date(anchor);
  const chrono::year_month month = date.year() / date.month();
  switch (cycle) {
    case Cycle::kDay:
      return anchor + chrono::days(n);
    case Cycle::kWeek:
      return anchor + chrono::weeks(n);
    case Cycle::kMonth:
      return last_day_or(month + chrono::months(n), date.day());
    default:
      return last_day_or(month + chrono::years(n), date.day());
  }
}

// At most the wanted number, and at least one less.
int count_until(Day anchor, Cycle cycle, Day day) {
  const int days = static_cast<int>((day - anchor).count());
  const chrono::year_month_day from(anchor), to(day);
  const int years = static_cast<int>(to.year()) - static_cast<int>(from.year());
  switch (cycle) {
    case Cycle::kDay:
      return days;
    case Cycle::kWeek:
      return days / 7;
    case Cycle::kMonth:
      return years * 12 + static_cast<int>(static_cast<unsigned>(to.month())) -
             static_cast<int>(static_cast<unsigned>(from.month()));
    default:
      return years;
  }
}

Day first_day(Day day, Cycle cycle) {
  const chrono::year_month_day date(day);
  switch (cycle) {
    case Cycle::kDay:
      return day;
    case Cycle::kWeek:
      return day - (chrono::weekday(day) - chrono::Monday);
    case Cycle::kMonth:
      return Day(date.year() / date.month() / 1);
    default:
      return Day(date.year() / chrono::January / 1);
  }
}

}  // namespace

std::optional<Cycle> parse_cycle(std::string_view text) {
  const auto found = std::find(std::begin(kCycles), std::end(kCycles), text);
  if (found == std::end(kCycles)) return std::nullopt;
  return static_cast<Cycle>(found - std::begin(kCycles));
}

std::string_view to_text(Cycle cycle) { return kCycles[static_cast<std::size_t>(cycle)]; }

// Beginnings of dates cut time into periods; what clocks show again after they were put back
// belongs to the date that began last.
Day day_of(std::int64_t unix_s, const UtcOffset& offset) {
  const auto shown = chrono::sys_seconds(chrono::seconds(unix_s + offset(unix_s)));
  Day day = chrono::floor<chrono::days>(shown);
  while (unix_s < start_of(day, offset)) day -= chrono::days(1);
  while (unix_s >= start_of(day + chrono::days(1), offset)) day += chrono::days(1);
  return day;
}

std::int64_t start_of(Day day, const UtcOffset& offset) {
  const std::int64_t wanted = civil_seconds(day);
  std::int64_t before = wanted - kOffsetMaxS, reached = wanted + kOffsetMaxS;
  while (reached - before > 1) {
    const std::int64_t middle = before + (reached - before) / 2;
    (middle + offset(middle) >= wanted ? reached : before) = middle;
  }
  return reached;
}

int days_in(const Period& period, const UtcOffset& offset) {
  return static_cast<int>(
      (day_of(period.end_unix_s, offset) - day_of(period.start_unix_s, offset)).count());
}

Period period_of(std::int64_t unix_s, Cycle cycle, const UtcOffset& offset) {
  const Day first = first_day(day_of(unix_s, offset), cycle);
  return {start_of(first, offset), start_of(nth(first, cycle, 1), offset)};
}

Period period_from(Day anchor, Cycle cycle, std::int64_t unix_s, const UtcOffset& offset) {
  const Day day = std::max(anchor, day_of(unix_s, offset));
  int n = count_until(anchor, cycle, day);
  if (nth(anchor, cycle, n) > day) --n;
  return {start_of(nth(anchor, cycle, n), offset), start_of(nth(anchor, cycle, n + 1), offset)};
}

std::int64_t unused_of(std::int64_t price, int days, int used) {
  if (used >= days) return 0;
  return price - price / days * used;
}

}  // namespace switchyard::account
