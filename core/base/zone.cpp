#include "core/base/zone.hpp"

#include <algorithm>
#include <array>
#include <chrono>
#include <fstream>
#include <iterator>
#include <map>
#include <mutex>
#include <optional>
#include <utility>

namespace switchyard {
namespace fs = std::filesystem;
namespace {

constexpr std::int32_t kDay = 86'400;
// A real file is a few KiB.
constexpr std::size_t kFileMax = 1024 * 1024;

// Without any change since 1991: the price lists that come with the gateway name these, and have to
// load on a machine without tzdata.
constexpr std::array<std::pair<std::string_view, std::int32_t>, 2> kFixed{
    {{"UTC", 0}, {"Asia/Shanghai", 8 * 3600}}};

std::int64_t floor_div(std::int64_t a, std::int64_t b) { return a / b - (a % b < 0 ? 1 : 0); }

// ---- the rule of a POSIX TZ text (RFC 9636, section 3.3.1) ----

class RuleReader {
 public:
  explicit RuleReader(std::string_view text) : text_(text) {}

  std::optional<Zone::Rule> read() {
    Zone::Rule rule;
    if (!name() || !offset(rule.standard_s)) return std::nullopt;
    // POSIX counts west of Greenwich.
    rule.standard_s = -rule.standard_s;
    if (text_.empty()) return rule;
    rule.has_summer = true;
    if (!name()) return std::nullopt;
    rule.summer_s = rule.standard_s + 3600;
    if (!text_.empty() && text_[0] != ',') {
      if (!offset(rule.summer_s)) return std::nullopt;
      rule.summer_s = -rule.summer_s;
    }
    const bool right = take(',') && change(rule.to_summer) && take(',') && change(rule.to_standard);
    if (!right || !text_.empty()) return std::nullopt;
    return rule;
  }

 private:
  bool take(char c) {
    if (text_.empty() || text_[0] != c) return false;
    text_.remove_prefix(1);
    return true;
  }

  bool name() {
    const auto letter = [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); };
    std::size_t size = 0;
    if (!text_.empty() && text_[0] == '<') {
      const std::size_t end = text_.find('>');
      if (end == std::string_view::npos) return false;
      size = end + 1;
    } else {
      while (size < text_.size() && letter(text_[size])) ++size;
    }
    text_.remove_prefix(size);
    return size >= 3;
  }

  bool number(unsigned max, unsigned& to) {
    std::size_t digits = 0;
    to = 0;
    while (digits < text_.size() && digits < 3 && text_[digits] >= '0' && text_[digits] <= '9') {
      to = to * 10 + static_cast<unsigned>(text_[digits++] - '0');
    }
    text_.remove_prefix(digits);
    return digits > 0 && to <= max;
  }

  // [+-]hh[:mm[:ss]]
  bool offset(std::int32_t& seconds) {
    const bool minus = take('-');
    if (!minus) (void)take('+');
    unsigned hours = 0, minutes = 0, rest = 0;
    if (!number(167, hours)) return false;
    if (take(':') && !number(59, minutes)) return false;
    if (take(':') && !number(59, rest)) return false;
    seconds = static_cast<std::int32_t>(hours * 3600 + minutes * 60 + rest);
    if (minus) seconds = -seconds;
    return true;
  }

  bool change(Zone::Change& to) {
    using Form = Zone::Change::Form;
    bool right = false;
    if (take('M')) {
      to.form = Form::kMonthWeekDay;
      right = number(12, to.month) && to.month > 0 && take('.') && number(5, to.week) &&
              to.week > 0 && take('.') && number(6, to.weekday);
    } else if (take('J')) {
      to.form = Form::kJulian;
      right = number(365, to.day) && to.day > 0;
    } else {
      to.form = Form::kDay;
      right = number(365, to.day);
    }
    return right && (!take('/') || offset(to.second));
  }

  std::string_view text_;
};

bool is_leap(int year) { return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0; }

std::int64_t day_of(const Zone::Change& change, int year) {
  const std::int64_t new_year = days_of(year, 1, 1);
  if (change.form == Zone::Change::Form::kDay) return new_year + change.day;
  if (change.form == Zone::Change::Form::kJulian) {
    return new_year + change.day - 1 + (is_leap(year) && change.day > 59 ? 1 : 0);
  }
  namespace chrono = std::chrono;
  const chrono::weekday weekday(change.weekday);
  const auto month = chrono::year(year) / static_cast<int>(change.month);
  const chrono::sys_days day = change.week == 5 ? chrono::sys_days(month / weekday[chrono::last])
                                                : chrono::sys_days(month / weekday[change.week]);
  return day.time_since_epoch().count();
}

std::int32_t offset_of(const Zone::Rule& rule, std::int64_t unix_s) {
  if (!rule.has_summer) return rule.standard_s;
  const std::int64_t day = floor_div(unix_s + rule.standard_s, kDay);
  const std::chrono::year_month_day date{
      std::chrono::sys_days(std::chrono::days(static_cast<int>(day)))};
  const int year = static_cast<int>(date.year());
  const std::int64_t summer =
      day_of(rule.to_summer, year) * kDay + rule.to_summer.second - rule.standard_s;
  const std::int64_t standard =
      day_of(rule.to_standard, year) * kDay + rule.to_standard.second - rule.summer_s;
  const bool in_summer = summer < standard ? unix_s >= summer && unix_s < standard
                                           : unix_s >= summer || unix_s < standard;
  return in_summer ? rule.summer_s : rule.standard_s;
}

// ---- TZif ----

// Big-endian numbers; beyond the end everything is 0 and `ok` is false.
class Bytes {
 public:
  explicit Bytes(std::string_view bytes) : bytes_(bytes) {}

  bool ok = true;

  std::string_view take(std::size_t size) {
    if (size > bytes_.size()) {
      ok = false;
      return {};
    }
    const std::string_view taken = bytes_.substr(0, size);
    bytes_.remove_prefix(size);
    return taken;
  }
  std::int64_t number(std::size_t size) {
    std::uint64_t value = 0;
    const std::string_view taken = take(size);
    for (const char c : taken) value = value << 8 | static_cast<unsigned char>(c);
    if (size == 4) return static_cast<std::int32_t>(value);
    return static_cast<std::int64_t>(value);
  }
  std::string_view rest() const { return bytes_; }

 private:
  std::string_view bytes_;
};

struct Counts {
  std::size_t utc = 0, standard = 0, leap = 0, times = 0, types = 0, letters = 0;
  char version = 0;
};

Counts read_header(Bytes& bytes) {
  Counts counts;
  bytes.ok = bytes.take(4) == "TZif" && bytes.ok;
  const std::string_view version = bytes.take(1);
  counts.version = version.empty() ? '\0' : version[0];
  bytes.take(15);
  for (std::size_t* count : {&counts.utc, &counts.standard, &counts.leap, &counts.times,
                             &counts.types, &counts.letters}) {
    const std::int64_t number = bytes.number(4);
    if (number < 0 || static_cast<std::size_t>(number) > kFileMax) bytes.ok = false;
    *count = bytes.ok ? static_cast<std::size_t>(number) : 0;
  }
  return counts;
}

std::optional<std::string> read_zone_file(const fs::path& path) {
  std::error_code error;
  if (!fs::is_regular_file(path, error)) return std::nullopt;
  std::ifstream file(path, std::ios::binary);
  std::string bytes{std::istreambuf_iterator<char>(file), {}};
  if (!file || bytes.size() > kFileMax) return std::nullopt;
  return bytes;
}

bool is_zone_name(std::string_view name) {
  const auto may_stand = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '-' || c == '+' || c == '/';
  };
  return !name.empty() && name.size() <= 64 && name.front() != '/' && name.back() != '/' &&
         std::all_of(name.begin(), name.end(), may_stand);
}

}  // namespace

std::int64_t days_of(int year, unsigned month, unsigned day) {
  namespace chrono = std::chrono;
  const chrono::sys_days first(chrono::year(year) / static_cast<int>(month) / 1);
  return first.time_since_epoch().count() + static_cast<std::int64_t>(day) - 1;
}

std::int64_t WallTime::days() const { return days_of(year, month, day); }

Result<Zone> Zone::parse(std::string_view name, std::string_view tzif) {
  Zone zone;
  zone.name_ = name;
  const Error broken{"time zone " + zone.name_ + ": its file in tzdata can't be read"};
  Bytes bytes(tzif);
  Counts counts = read_header(bytes);
  std::size_t time_size = 4;
  if (bytes.ok && counts.version >= '2') {
    // The first block is for readers of 32 bits.
    bytes.take(counts.times * 5 + counts.types * 6 + counts.letters + counts.leap * 8 +
               counts.standard + counts.utc);
    counts = read_header(bytes);
    time_size = 8;
  }
  for (std::size_t i = 0; bytes.ok && i < counts.times; ++i) {
    zone.starts_.push_back(bytes.number(time_size));
  }
  const std::string_view type_of = bytes.take(counts.times);
  std::vector<std::int32_t> types;
  for (std::size_t i = 0; bytes.ok && i < counts.types; ++i) {
    types.push_back(static_cast<std::int32_t>(bytes.number(4)));
    bytes.take(2);
  }
  bytes.take(counts.letters + counts.leap * (time_size + 4) + counts.standard + counts.utc);
  if (!bytes.ok || types.empty()) return broken;
  if (!std::is_sorted(zone.starts_.begin(), zone.starts_.end())) return broken;
  for (const std::int32_t offset : types) {
    if (offset <= -2 * kDay || offset >= 2 * kDay) return broken;
  }
  zone.first_s_ = types.front();
  for (const char type : type_of) {
    const auto at = static_cast<unsigned char>(type);
    if (at >= types.size()) return broken;
    zone.offsets_.push_back(types[at]);
  }
  // Between two newlines; empty where the table says all there is.
  std::string_view footer = bytes.rest();
  if (time_size == 8 && footer.size() > 2 && footer.front() == '\n' && footer.back() == '\n') {
    const auto rule = RuleReader(footer.substr(1, footer.size() - 2)).read();
    if (!rule) return broken;
    zone.rule_ = *rule;
    zone.has_rule_ = true;
  }
  return zone;
}

Result<std::shared_ptr<const Zone>> Zone::load(std::string_view name, const fs::path& directory) {
  if (!is_zone_name(name)) {
    return Error{"time zone \"" + std::string(name) + "\": expected a name such as Europe/Berlin"};
  }
  const auto bytes = read_zone_file(directory / name);
  if (!bytes) {
    std::error_code error;
    const std::string what = fs::is_directory(directory, error)
                                 ? ": there is no such zone in " + directory.string()
                                 : ": " + directory.string() + " is not there; install tzdata";
    return Error{"time zone " + std::string(name) + what};
  }
  auto zone = parse(name, *bytes);
  if (!zone) return std::move(zone).error();
  return std::shared_ptr<const Zone>(std::make_shared<Zone>(std::move(*zone)));
}

Result<std::shared_ptr<const Zone>> Zone::find(std::string_view name) {
  static std::mutex mutex;
  static std::map<std::string, std::shared_ptr<const Zone>, std::less<>> known;
  const std::lock_guard<std::mutex> held(mutex);
  const auto found = known.find(name);
  if (found != known.end()) return found->second;
  auto zone = load(name, "/usr/share/zoneinfo");
  const auto fixed = std::find_if(kFixed.begin(), kFixed.end(),
                                  [&](const auto& each) { return each.first == name; });
  if (!zone && fixed != kFixed.end()) {
    auto made = std::make_shared<Zone>();
    made->name_ = name;
    made->first_s_ = fixed->second;
    zone = std::shared_ptr<const Zone>(std::move(made));
  }
  if (zone) known.emplace(std::string(name), *zone);
  return zone;
}

std::int32_t Zone::offset_s(std::int64_t unix_s) const {
  const auto next = std::upper_bound(starts_.begin(), starts_.end(), unix_s);
  if (next == starts_.end() && has_rule_) return offset_of(rule_, unix_s);
  if (next == starts_.begin()) return first_s_;
  return offsets_[static_cast<std::size_t>(next - starts_.begin()) - 1];
}

WallTime Zone::wall(std::int64_t unix_s) const {
  namespace chrono = std::chrono;
  const std::int64_t shown = unix_s + offset_s(unix_s);
  const std::int64_t day = floor_div(shown, kDay);
  const chrono::sys_days days{chrono::days(static_cast<int>(day))};
  const chrono::year_month_day date(days);
  WallTime wall;
  wall.year = static_cast<int>(date.year());
  wall.month = static_cast<unsigned>(date.month());
  wall.day = static_cast<unsigned>(date.day());
  wall.weekday = chrono::weekday(days).iso_encoding() - 1;
  wall.second = static_cast<std::int32_t>(shown - day * kDay);
  return wall;
}

std::int64_t Zone::unix_s(int year, unsigned month, unsigned day, std::int32_t second) const {
  const std::int64_t shown = days_of(year, month, day) * kDay + second;
  // Offsets a day before and after: whichever shows this time is right, the larger one first.
  const std::int32_t before = offset_s(shown - kDay), after = offset_s(shown + kDay);
  for (const std::int32_t offset : {std::max(before, after), std::min(before, after)}) {
    if (offset_s(shown - offset) == offset) return shown - offset;
  }
  return shown - before;
}

}  // namespace switchyard
