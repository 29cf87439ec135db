// Sums of records per minute, hour and day, in a file of their own that outlives the details.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/result.hpp"
#include "core/store/database.hpp"

namespace switchyard::store {

struct RecordRow;

// What sums can be told apart by; `model` is the one that served, empty where none was reached:
// what clients may ask for has no bound.
enum class UsageBy { kAccount, kKey, kFeature, kModel, kProvider };
inline constexpr std::size_t kUsageBy = 5;
using UsageNames = std::array<std::string, kUsageBy>;  // by UsageBy

enum class UsageStep : std::int64_t { kMinute = 60, kHour = 3600, kDay = 86'400 };

// Requests by how long they took: bucket i has those of at most 25 ms * 2^i, the last the rest.
struct Histogram {
  static constexpr std::size_t kBuckets = 14;
  std::array<std::uint64_t, kBuckets> counts{};

  void add(std::uint64_t us);
  // The time that so many per thousand did not exceed, within the width of its bucket; 0 where
  // nothing was counted.
  std::uint64_t quantile_us(unsigned per_mille) const;
};

struct UsageSums {
  std::uint64_t requests = 0, errors = 0, clients_left = 0;
  std::uint64_t tok_in = 0, tok_out = 0, tok_cached = 0, tok_reasoning = 0;
  std::uint64_t estimated = 0;  // requests whose tokens nobody reported
  std::uint64_t unpriced = 0;   // requests that an upstream was called for at a cost not known
  std::uint64_t duration_us = 0, ttft_us = 0, with_ttft = 0;
  std::map<std::string, std::int64_t> charge_nano, cost_nano;  // by currency
  Histogram duration, ttft;                                    // where asked for
};

struct UsageRow {
  std::int64_t start_s = 0;  // of its step
  UsageNames names;          // of what was asked for by
  UsageSums sums;
};

struct UsageQuery {
  std::int64_t from_s = 0, to_s = 0;  // made wider to whole steps
  UsageStep step = UsageStep::kDay;
  std::vector<UsageBy> by;
  std::map<UsageBy, std::vector<std::string>> only;  // one of these each
  bool histograms = false;
  std::size_t rows_max = 10'000;
  std::chrono::milliseconds time_max{2000};
};

class Rollups {
 public:
  static Result<std::unique_ptr<Rollups>> open(const std::filesystem::path& file);

  // Adds what a day's file has beyond what was added of it, each record once: how far that is is
  // written down in the same transaction. Writers of several processes may do so at a time.
  Result<void> add_from(Database& day);
  // Removes what began before: days and hours, and minutes, which are many and soon of no use.
  Result<void> remove_before(std::int64_t start_s, std::int64_t minutes_start_s);

  // By time, then by name. More rows than the query takes, and more time, are errors.
  Result<std::vector<UsageRow>> usage(const UsageQuery& query);

 private:
  explicit Rollups(std::unique_ptr<Database> database);
  Result<std::size_t> add_some(Database& day, const std::string& file);
  std::unique_ptr<Database> database_;
};

}  // namespace switchyard::store
