// Finds records in the files of their days. Blocking; each call has connections of its own.
// [any thread]
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/result.hpp"
#include "core/store/records.hpp"

namespace switchyard::store {

// Where a page ended: the record's begin and its number within the day.
struct RecordPlace {
  std::uint64_t start_ns = 0;
  std::int64_t seq = 0;
};
std::string to_text(const RecordPlace& place);  // "1795132800000000000-17"
std::optional<RecordPlace> parse_record_place(std::string_view text);

// All that is given has to fit. Texts are equal, `error` is part of the error's text, in any case.
struct RecordFilter {
  static constexpr std::size_t kErrorMax = 200;

  std::uint64_t from_ns = 0, to_ns = UINT64_MAX;  // from <= begin < to
  std::vector<std::string> accounts;              // one of these
  std::string key_id, feature, model_used, model_asked, provider, task, final_status, error_code;
  std::string error;  // at most kErrorMax bytes
  std::optional<unsigned> status;
  std::string currency;  // of the cost
  std::optional<std::int64_t> cost_nano_min, cost_nano_max;
  std::optional<std::uint64_t> duration_us_min, duration_us_max;
  bool failed = false;  // those whose final status is not "ok"
};

struct RecordPage {
  std::vector<RecordRow> rows;  // the newest first, without their plans
  // Where there is more: also after a page cut short by time.
  std::optional<RecordPlace> next;
  std::vector<std::string> unreadable;  // days whose files are damaged
};

struct SearchLimits {
  std::size_t rows_max = 100;
  std::chrono::milliseconds time_max{2000};
};

// Those behind `after`. Where the time is over the page ends with what was found, or before the day
// that took too long; the error says that not even one day could be looked through.
Result<RecordPage> find_records(const std::filesystem::path& directory, const RecordFilter& filter,
                                const std::optional<RecordPlace>& after,
                                const SearchLimits& limits);

// The newest record of this id, whole.
Result<std::optional<RecordRow>> find_record(const std::filesystem::path& directory,
                                             std::string_view id);

// What a replay needs of each record of a day's file, in the order of writing. `visit` is given
// rows with the time and duration, the name that was asked for, the feature, who served, the final
// status, and the plan, which is empty where it was not kept.
Result<void> each_plan(const std::filesystem::path& file,
                       const std::function<void(const RecordRow&)>& visit);

}  // namespace switchyard::store
