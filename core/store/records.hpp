// Records of finished requests: one SQLite file per UTC day under state/records, so that letting go
// of a day is removing its file, and the roll-ups of all days (store/rollups.hpp) beside them.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/result.hpp"
#include "core/store/database.hpp"

namespace switchyard::store {

// One request, as it is kept. An amount that is not known is nothing, not zero.
struct RecordRow {
  std::int64_t seq = 0;        // within its day, in the order of writing
  std::uint64_t start_ns = 0;  // since 1970
  std::string id, key_id, account, feature, task, surface, model_asked, model_used, provider;
  std::uint64_t stream = 0, status = 0, attempts = 0;
  std::string final_status;  // "ok", "client_error", "upstream_error", "client_left" ...
  std::uint64_t duration_us = 0, ttft_us = 0, upstream_us = 0;  // ttft_us: 0 without content
  std::uint64_t tok_in = 0, tok_out = 0, tok_cached = 0, tok_reasoning = 0, reported = 0;
  std::string quantities;  // JSON object of what else was used, or empty
  std::optional<std::int64_t> charge_nano, cost_nano;
  std::string charge_currency, cost_currency, price_version;
  std::string error_code, error_text, finish_reason, fallback_path, route_reason, dropped;
  std::string trace, parent_span;
  std::string facts;  // JSON object, or empty
  std::string plan;   // what strategies were shown and said, as JSON; kept of some
};

// The columns of a record but seq, and where RecordRow has them.
struct RecordColumns {
  template <class Member>
  struct Column {
    const char* name;
    Member RecordRow::* member;
  };
  static std::span<const Column<std::uint64_t>> numbers();
  static std::span<const Column<std::optional<std::int64_t>>> amounts();
  static std::span<const Column<std::string>> texts();
  // "start_ns, stream, ..., id, ...": numbers, amounts, texts; without the plan where it isn't
  // wanted.
  static std::string names(bool with_plan);
  // Reads them, from column `first` on.
  static void read(const Statement& from, int first, bool with_plan, RecordRow& row);
};

// "2026-11-21", the UTC day that a time is in; and when a day begins, nothing for another text.
std::string day_of(std::uint64_t unix_ns);
std::optional<std::uint64_t> day_begin_ns(std::string_view day);

// The days that have a file there, oldest first.
std::vector<std::string> record_days(const std::filesystem::path& directory);
std::filesystem::path record_file(const std::filesystem::path& directory, std::string_view day);
std::filesystem::path usage_file(const std::filesystem::path& directory);  // the roll-ups

// A connection to a day's file, which is made where there is none. Its content goes with the
// process when that is killed, and a power loss may cost its last seconds, but no more.
Result<std::unique_ptr<Database>> open_record_day(const std::filesystem::path& file);

struct RecordLimits {
  std::chrono::hours keep{30 * 24}, usage_keep{400 * 24};
  std::uint64_t size_max = 10'000'000'000;
};

class Rollups;

// The writing side. Blocking. [one thread]
class Records {
 public:
  // Makes the directory (0700); files are opened when there is something to write.
  static Result<std::unique_ptr<Records>> open(const std::filesystem::path& directory,
                                               const RecordLimits& limits);
  ~Records();
  Records(const Records&) = delete;
  Records& operator=(const Records&) = delete;

  // How many were written, a prefix: the error is about the next one. None where what is kept has
  // reached its size and nothing of it is old enough to go.
  struct Written {
    std::size_t records = 0;
    Result<void> result;
  };
  Written write(std::span<const RecordRow> rows);

  // Removes what is too old at `now_ns`, and the oldest days while all is larger than it may be. To
  // be called at the start and then every minute or so.
  Result<void> tidy(std::uint64_t now_ns);
  void set_limits(const RecordLimits& limits) { limits_ = limits; }

  // Adds to the roll-ups what was written and is not in them yet. To be called soon after a write;
  // what fails is made good by the next call, of a later process as well.
  Result<void> sum_up();

 private:
  struct Day;
  Records(std::filesystem::path directory, const RecordLimits& limits);
  Result<Day*> day(const std::string& name);
  Result<void> write_run(std::span<const RecordRow> rows);
  Result<void> insert(Day& day, std::span<const RecordRow> rows);
  Result<void> sum_up(const std::string& day);
  std::uint64_t size_of(const std::string& day) const;
  void remove(const std::string& day);

  std::filesystem::path directory_;
  RecordLimits limits_;
  std::unique_ptr<Rollups> rollups_;
  bool full_ = false;
  std::set<std::string> unsummed_;                    // days
  std::map<std::string, std::unique_ptr<Day>> days_;  // open: today, and yesterday's late ones
};

}  // namespace switchyard::store
