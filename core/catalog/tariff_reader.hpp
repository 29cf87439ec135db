// Prices as they are written in config/models/*.json and in an operator's price lists.
//
//   "price": {"input": "2", "cached_input": "0.2", "output": "10"}
//
// or an array of such objects with "from" and "to". config/models/README.md tells the members.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/catalog/price.hpp"
#include "core/config/json_text.hpp"

namespace switchyard::catalog {

// What every reader of these files does; faults are gathered.
class JsonReader {
 public:
  explicit JsonReader(config::Faults& faults) : faults_(faults) {}

 protected:
  void fault(std::string pointer, std::string message) {
    faults_.push_back({std::move(pointer), std::move(message)});
  }
  void only_known(const config::Json& object, const std::string& pointer,
                  const std::vector<std::string>& known);
  // Not empty; `fallback` where there is none.
  std::string text(const config::Json& object, const std::string& pointer, const char* name,
                   const std::string& fallback);
  std::string currency(const config::Json& object, const std::string& pointer,
                       const std::string& fallback);

  config::Faults& faults_;
};

class TariffReader : JsonReader {
 public:
  using Factors = std::vector<std::pair<std::string, std::uint64_t>>;

  explicit TariffReader(config::Faults& faults) : JsonReader(faults) {}

  // {"CN": ["2026-10-01"]}: the days that windows are told to leave out.
  void read_holidays(const config::Json& value, const std::string& pointer);
  // {"batch": "0.5", "priority": "2"}
  Factors read_factors(const config::Json& value, const std::string& pointer);
  // Nothing after a fault.
  std::optional<Tariff> read(const config::Json& price, const std::string& pointer,
                             const std::string& currency_of_file, const std::string& version,
                             Factors factors);

 private:
  void read_period(const config::Json& value, const std::string& pointer, Tariff& tariff);
  void read_tiers(const config::Json& value, const std::string& pointer, Tiers& tiers);
  Rates read_rates(const config::Json& value, const std::string& pointer);
  void read_window(const config::Json& value, const std::string& pointer, Window& window);
  void read_hours(const config::Json& value, const std::string& pointer, Window& window);
  void read_days(const config::Json& value, const std::string& pointer, Window& window);
  void check_complete(const Rates& whole, const Rates& part, const std::string& pointer);
  void check_periods(const Tariff& tariff, const std::string& pointer);

  std::map<std::string, std::vector<std::int64_t>, std::less<>> holidays_;
};

// "2026-12-01" or "2026-12-01T08:00:00Z" as seconds since 1970.
std::optional<std::int64_t> parse_utc(std::string_view text);

}  // namespace switchyard::catalog
