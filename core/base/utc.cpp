#include "core/base/utc.hpp"

#include <charconv>
#include <chrono>
#include <cstdio>

namespace switchyard {
namespace {

constexpr std::uint64_t kLast = 253'402'300'799;  // 9999-12-31T23:59:59Z

std::optional<unsigned> digits(std::string_view text, std::size_t at, std::size_t count) {
  unsigned number = 0;
  const char* const begin = text.data() + at;
  const auto read = std::from_chars(begin, begin + count, number);
  if (read.ec != std::errc() || read.ptr != begin + count) return std::nullopt;
  return number;
}

}  // namespace

std::string utc_text(std::uint64_t unix_s) {
  using namespace std::chrono;
  const sys_seconds time{seconds(std::min(unix_s, kLast))};
  const auto day = floor<days>(time);
  const year_month_day date(day);
  const hh_mm_ss clock(time - day);
  char text[32];
  const int size = std::snprintf(
      text, sizeof text, "%04d-%02u-%02uT%02d:%02d:%02dZ", static_cast<int>(date.year()),
      static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()),
      static_cast<int>(clock.hours().count()), static_cast<int>(clock.minutes().count()),
      static_cast<int>(clock.seconds().count()));
  return {text, static_cast<std::size_t>(size)};
}

std::optional<std::uint64_t> parse_utc(std::string_view text) {
  using namespace std::chrono;
  constexpr std::string_view kForm = "0000-00-00T00:00:00Z";
  if (text.size() != kForm.size()) return std::nullopt;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (kForm[i] != '0' && kForm[i] != text[i]) return std::nullopt;
    if (kForm[i] == '0' && (text[i] < '0' || text[i] > '9')) return std::nullopt;
  }
  const auto hour = digits(text, 11, 2), minute = digits(text, 14, 2), second = digits(text, 17, 2);
  const year_month_day date(year(static_cast<int>(*digits(text, 0, 4))), month(*digits(text, 5, 2)),
                            day(*digits(text, 8, 2)));
  if (!date.ok() || *hour > 23 || *minute > 59 || *second > 59) return std::nullopt;
  const auto time = sys_days(date) + hours(*hour) + minutes(*minute) + seconds(*second);
  const auto unix_s = duration_cast<seconds>(time.time_since_epoch()).count();
  if (unix_s < 0) return std::nullopt;
  return static_cast<std::uint64_t>(unix_s);
}

std::optional<std::uint64_t> parse_utc_ns(std::string_view text) {
  constexpr std::size_t kWhole = sizeof "0000-00-00T00:00:00" - 1, kDigits = 9;
  const auto unix_s = parse_utc(std::string(text.substr(0, kWhole)) + 'Z');
  if (!unix_s || text.size() <= kWhole || text.back() != 'Z') return std::nullopt;
  std::string fraction(text.substr(kWhole, text.size() - kWhole - 1));
  if (fraction.empty()) return *unix_s * 1'000'000'000;
  if (fraction.front() != '.' || fraction.size() < 2 || fraction.size() > kDigits + 1) {
    return std::nullopt;
  }
  fraction.append(kDigits + 1 - fraction.size(), '0');
  const auto ns = digits(fraction, 1, kDigits);
  if (!ns) return std::nullopt;
  return *unix_s * 1'000'000'000 + *ns;
}

}  // namespace switchyard
