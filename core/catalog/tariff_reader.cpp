#include "core/catalog/tariff_reader.hpp"

#include <algorithm>
#include <array>
#include <chrono>

#include "core/base/near.hpp"

namespace switchyard::catalog {
namespace {

using config::child;
using config::Json;
using config::member;
using config::text_of;

constexpr std::uint64_t kMillion = 1'000'000;
constexpr std::array<std::string_view, 7> kDays{"mon", "tue", "wed", "thu", "fri", "sat", "sun"};

std::vector<std::string> with_meters(std::vector<std::string> names) {
  for (std::size_t i = 0; i < kMeters; ++i) names.emplace_back(to_string(static_cast<Meter>(i)));
  names.emplace_back("cache_write");
  return names;
}

// Two to four digits.
std::optional<int> digits(std::string_view text) {
  int number = 0;
  for (const char c : text) {
    if (c < '0' || c > '9') return std::nullopt;
    number = number * 10 + (c - '0');
  }
  return number;
}

std::optional<std::int64_t> parse_day(std::string_view text) {
  if (text.size() != 10 || text[4] != '-' || text[7] != '-') return std::nullopt;
  const auto year = digits(text.substr(0, 4)), month = digits(text.substr(5, 2)),
             day = digits(text.substr(8, 2));
  if (!year || !month || !day) return std::nullopt;
  const std::chrono::year_month_day date = std::chrono::year(*year) / *month / *day;
  if (!date.ok()) return std::nullopt;
  return std::chrono::sys_days(date).time_since_epoch().count();
}

// "09:00" to "24:00", in seconds.
std::optional<std::int32_t> parse_hour(std::string_view text) {
  if (text.size() != 5 || text[2] != ':') return std::nullopt;
  const auto hour = digits(text.substr(0, 2)), minute = digits(text.substr(3, 2));
  if (!hour || !minute || *minute > 59 || *hour * 60 + *minute > 24 * 60) return std::nullopt;
  return *hour * 3600 + *minute * 60;
}

}  // namespace

std::optional<std::int64_t> parse_utc(std::string_view text) {
  const auto day = parse_day(text.substr(0, 10));
  if (!day || text.size() == 10) return day ? std::optional(*day * 86'400) : std::nullopt;
  if (text.size() != 20 || text[10] != 'T' || text[16] != ':' || text[19] != 'Z') {
    return std::nullopt;
  }
  const auto minutes = parse_hour(text.substr(11, 5));
  const auto second = digits(text.substr(17, 2));
  if (!minutes || *minutes >= 86'400 || !second || *second > 59) return std::nullopt;
  return *day * 86'400 + *minutes + *second;
}

// ---- what every reader does ----

void JsonReader::only_known(const Json& object, const std::string& pointer,
                            const std::vector<std::string>& known) {
  for (const auto& entry : object.GetObject()) {
    const std::string name(text_of(entry.name));
    if (std::find(known.begin(), known.end(), name) != known.end()) continue;
    fault(child(pointer, name), "unknown key" + did_you_mean(name, known));
  }
}

std::string JsonReader::text(const Json& object, const std::string& pointer, const char* name,
                             const std::string& fallback) {
  const Json* found = member(object, name);
  if (found == nullptr) return fallback;
  if (found->IsString() && found->GetStringLength() > 0) return std::string(text_of(*found));
  fault(child(pointer, name), "expected a text");
  return fallback;
}

std::string JsonReader::currency(const Json& object, const std::string& pointer,
                                 const std::string& fallback) {
  const std::string code = text(object, pointer, "currency", fallback);
  const bool right = code.size() == 3 && std::all_of(code.begin(), code.end(),
                                                     [](char c) { return c >= 'A' && c <= 'Z'; });
  if (right) return code;
  // What was inherited has been told of where it stands.
  if (member(object, "currency") != nullptr) {
    fault(child(pointer, "currency"), "expected three capitals such as USD (ISO 4217)");
  }
  return fallback;
}

// ---- prices ----

void TariffReader::read_holidays(const Json& value, const std::string& pointer) {
  if (!value.IsObject()) return fault(pointer, "not an object");
  for (const auto& list : value.GetObject()) {
    const std::string name(text_of(list.name)), at = child(pointer, name);
    std::vector<std::int64_t>& days = holidays_[name];
    if (!list.value.IsArray()) {
      fault(at, "expected an array of dates such as \"2026-10-01\"");
      continue;
    }
    for (rapidjson::SizeType i = 0; i < list.value.Size(); ++i) {
      const Json& each = list.value[i];
      const auto day = each.IsString() ? parse_day(text_of(each)) : std::nullopt;
      if (day) {
        days.push_back(*day);
      } else {
        fault(child(at, i), "expected a date such as \"2026-10-01\"");
      }
    }
    std::sort(days.begin(), days.end());
  }
}

TariffReader::Factors TariffReader::read_factors(const Json& value, const std::string& pointer) {
  Factors factors;
  if (!value.IsObject()) {
    fault(pointer, "not an object");
    return factors;
  }
  for (const auto& entry : value.GetObject()) {
    const std::string name(text_of(entry.name));
    const auto nano = entry.value.IsString() ? parse_nano(text_of(entry.value)) : std::nullopt;
    constexpr Nano kPerMillionth = 1000, kMost = 1000 * Nano{1'000'000'000};
    if (nano && *nano % kPerMillionth == 0 && *nano <= kMost) {
      factors.emplace_back(name, static_cast<std::uint64_t>(*nano / kPerMillionth));
    } else {
      fault(child(pointer, name),
            "expected a decimal in quotes such as \"0.5\", with at most 6 decimals, up to 1000");
    }
  }
  return factors;
}

std::optional<Tariff> TariffReader::read(const Json& price, const std::string& pointer,
                                         const std::string& currency_of_file,
                                         const std::string& version, Factors factors) {
  const std::size_t faults_before = faults_.size();
  Tariff tariff;
  tariff.currency = currency_of_file;
  tariff.version = version;
  tariff.factors = std::move(factors);
  if (price.IsObject()) {
    read_period(price, pointer, tariff);
  } else if (price.IsArray() && !price.Empty()) {
    for (rapidjson::SizeType i = 0; i < price.Size(); ++i) {
      read_period(price[i], child(pointer, i), tariff);
    }
  } else {
    fault(pointer, "not an object, nor an array of some");
  }
  check_periods(tariff, pointer);
  if (faults_.size() != faults_before) return std::nullopt;
  return tariff;
}

void TariffReader::read_period(const Json& value, const std::string& pointer, Tariff& tariff) {
  if (!value.IsObject()) return fault(pointer, "not an object");
  only_known(value, pointer, with_meters({"currency", "from", "to", "tiers", "windows"}));
  const std::string code = currency(value, pointer, tariff.currency);
  if (!tariff.periods.empty() && code != tariff.currency) {
    fault(child(pointer, "currency"), "the periods of one price have one currency");
  }
  tariff.currency = code;
  Tariff::Period period;
  const auto read_time = [&](const char* name, std::int64_t& to) {
    const Json* const found = member(value, name);
    if (found == nullptr) return;
    const auto time = found->IsString() ? parse_utc(text_of(*found)) : std::nullopt;
    if (time) {
      to = *time;
    } else {
      fault(child(pointer, name),
            "expected a day or a time in UTC: \"2026-12-01\" or \"2026-12-01T08:00:00Z\"");
    }
  };
  read_time("from", period.from_unix_s);
  read_time("to", period.to_unix_s);
  if (period.from_unix_s >= period.to_unix_s) fault(child(pointer, "to"), "not after \"from\"");
  read_tiers(value, pointer, period.tiers);
  if (const Json* windows = member(value, "windows"); windows != nullptr) {
    const std::string at = child(pointer, "windows");
    if (!windows->IsArray()) return fault(at, "not an array");
    for (rapidjson::SizeType i = 0; i < windows->Size(); ++i) {
      read_window((*windows)[i], child(at, i), period.windows.emplace_back());
      check_complete(period.tiers.base, period.windows.back().tiers.base, child(at, i));
    }
  }
  tariff.periods.push_back(std::move(period));
}

void TariffReader::read_tiers(const Json& value, const std::string& pointer, Tiers& tiers) {
  tiers.base = read_rates(value, pointer);
  const Json* const list = member(value, "tiers");
  if (list == nullptr) return;
  const std::string all = child(pointer, "tiers");
  if (!list->IsArray()) return fault(all, "not an array");
  for (rapidjson::SizeType i = 0; i < list->Size(); ++i) {
    const Json& each = (*list)[i];
    const std::string at = child(all, i);
    if (!each.IsObject()) {
      fault(at, "not an object");
      continue;
    }
    only_known(each, at, with_meters({"above"}));
    const Json* const above = member(each, "above");
    const bool rising = above != nullptr && above->IsUint64() &&
                        (tiers.above.empty() || above->GetUint64() > tiers.above.back().tokens);
    if (!rising) {
      fault(child(at, "above"),
            "expected a whole number of tokens, more than that of the tier before");
      continue;
    }
    tiers.above.push_back({above->GetUint64(), read_rates(each, at)});
    check_complete(tiers.base, tiers.above.back().rates, at);
  }
}

Rates TariffReader::read_rates(const Json& value, const std::string& pointer) {
  Rates rates;
  const auto read_one = [&](std::string_view name, Meter meter) {
    const Json* const found = member(value, name);
    if (found == nullptr) return;
    const std::string at = child(pointer, name);
    // A JSON number would have been rounded to binary before we saw it.
    const auto nano = found->IsString() ? parse_nano(text_of(*found)) : std::nullopt;
    if (!nano) {
      return fault(at, "expected a decimal in quotes such as \"2.5\", with at most 9 decimals");
    }
    const auto by_million = is_by_million(meter) ? nano : scale_nano(*nano, kMillion, 1);
    if (!by_million) return fault(at, "too large");
    rates.set(meter, *by_million);
  };
  read_one("cache_write", Meter::kCacheWrite5m);
  read_one("cache_write", Meter::kCacheWrite1h);
  for (std::size_t i = 0; i < kMeters; ++i) {
    read_one(to_string(static_cast<Meter>(i)), static_cast<Meter>(i));
  }
  return rates;
}

void TariffReader::read_window(const Json& value, const std::string& pointer, Window& window) {
  if (!value.IsObject()) return fault(pointer, "not an object");
  only_known(value, pointer, with_meters({"zone", "weekdays", "hours", "except", "tiers"}));
  const auto zone = Zone::find(text(value, pointer, "zone", "UTC"));
  if (zone) {
    window.zone = *zone;
  } else {
    fault(child(pointer, "zone"), zone.error().message);
  }
  read_hours(value, pointer, window);
  read_days(value, pointer, window);
  read_tiers(value, pointer, window.tiers);
}

void TariffReader::read_hours(const Json& value, const std::string& pointer, Window& window) {
  const std::string hours = text(value, pointer, "hours", "00:00-24:00");
  const std::string_view all = hours;
  const auto from = parse_hour(all.substr(0, std::min<std::size_t>(5, all.size())));
  const auto to = all.size() == 11 && all[5] == '-' ? parse_hour(all.substr(6)) : std::nullopt;
  if (from && to && *from != *to && *from < 86'400) {
    window.from_s = *from;
    window.to_s = *to;
  } else {
    fault(child(pointer, "hours"), "expected hours such as \"09:00-12:00\" or \"22:00-06:00\"");
  }
}

void TariffReader::read_days(const Json& value, const std::string& pointer, Window& window) {
  if (const Json* days = member(value, "weekdays"); days != nullptr) {
    window.weekdays = 0;
    const auto read_one = [&](const Json& each) {
      const auto found = std::find(kDays.begin(), kDays.end(),
                                   each.IsString() ? text_of(each) : std::string_view());
      if (found == kDays.end()) return false;
      window.weekdays |= 1u << (found - kDays.begin());
      return true;
    };
    const bool right =
        days->IsArray() && !days->Empty() && std::all_of(days->Begin(), days->End(), read_one);
    if (!right) {
      fault(child(pointer, "weekdays"), "expected an array of mon, tue, wed, thu, fri, sat, sun");
    }
  }
  const std::string list = text(value, pointer, "except", "");
  if (list.empty()) return;
  const auto found = holidays_.find(list);
  if (found == holidays_.end()) {
    fault(child(pointer, "except"), "\"holidays\" of this file has no list of this name");
  } else {
    window.except = found->second;
  }
}

// A meter that only the base has would have no price there, or a cheaper one.
void TariffReader::check_complete(const Rates& whole, const Rates& part,
                                  const std::string& pointer) {
  for (std::size_t i = 0; i < kMeters; ++i) {
    const auto meter = static_cast<Meter>(i);
    if (!whole.find(meter) || part.find(meter)) continue;
    fault(child(pointer, to_string(meter)), "missing; tell each price again that the base has");
  }
}

void TariffReader::check_periods(const Tariff& tariff, const std::string& pointer) {
  for (std::size_t i = 1; i < tariff.periods.size(); ++i) {
    if (tariff.periods[i].from_unix_s >= tariff.periods[i - 1].to_unix_s) continue;
    fault(child(child(pointer, i), "from"), "before the end of the period before it");
  }
}

}  // namespace switchyard::catalog
