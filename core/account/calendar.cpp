#include "core/account/calendar.hpp"

#include "core/base/zone.hpp"

namespace switchyard::account {

const Calendar::Dates& Calendar::at(const std::string& zone, std::int64_t unix_s) {
  Dates& dates = zones_[zone];
  if (dates.day.contains(unix_s)) return dates;
  const auto found = Zone::find(zone);
  const UtcOffset offset = [&](std::int64_t at) -> std::int64_t {
    return found ? (*found)->offset_s(at) : 0;
  };
  dates.day = period_of(unix_s, Cycle::kDay, offset);
  dates.month = period_of(unix_s, Cycle::kMonth, offset);
  return dates;
}

}  // namespace switchyard::account
