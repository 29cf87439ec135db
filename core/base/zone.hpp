// Time zones by their IANA names, read from the system's tzdata (TZif, RFC 9636).
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/result.hpp"

namespace switchyard {

// What a clock on the wall and a calendar beside it show.
struct WallTime {
  int year = 1970;
  unsigned month = 1, day = 1;  // from 1
  unsigned weekday = 3;         // 0 is Monday
  std::int32_t second = 0;      // of the day

  // Days since 1970-01-01.
  std::int64_t days() const;
};

// Days since 1970-01-01 of a date of the Gregorian calendar.
std::int64_t days_of(int year, unsigned month, unsigned day);

// One zone, immutable. [any thread]
class Zone {
 public:
  // "Europe/Berlin", "UTC". Read once and kept. The error says what to install.
  static Result<std::shared_ptr<const Zone>> find(std::string_view name);
  // From a directory of TZif files, not kept.
  static Result<std::shared_ptr<const Zone>> load(std::string_view name,
                                                  const std::filesystem::path& directory);
  // From the bytes of a TZif file.
  static Result<Zone> parse(std::string_view name, std::string_view tzif);

  const std::string& name() const { return name_; }
  // East of Greenwich.
  std::int32_t offset_s(std::int64_t unix_s) const;
  WallTime wall(std::int64_t unix_s) const;
  // When a wall shows this. A time that occurs twice is meant the first time; one that is skipped
  // is as far behind the change as it is into what was skipped.
  std::int64_t unix_s(int year, unsigned month, unsigned day, std::int32_t second = 0) const;

  // What a POSIX TZ text says: "CET-1CEST,M3.5.0,M10.5.0/3".
  struct Change {
    enum class Form { kMonthWeekDay, kJulian, kDay } form = Form::kMonthWeekDay;
    unsigned month = 1, week = 1, weekday = 0;  // weekday 0 is Sunday here
    unsigned day = 0;
    std::int32_t second = 7200;  // of the day, may lie outside it
  };
  struct Rule {
    std::int32_t standard_s = 0, summer_s = 0;
    bool has_summer = false;
    Change to_summer, to_standard;
  };

 private:
  std::string name_;
  std::vector<std::int64_t> starts_;   // ascending
  std::vector<std::int32_t> offsets_;  // from the start with the same number
  std::int32_t first_s_ = 0;           // before the first start
  Rule rule_;                          // after the last one
  bool has_rule_ = false;
};

}  // namespace switchyard
