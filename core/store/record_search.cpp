#include "core/store/record_search.hpp"

#include <algorithm>
#include <charconv>
#include <variant>

namespace switchyard::store {
namespace fs = std::filesystem;
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::uint64_t kDayNs = 86'400'000'000'000;

// Conditions and what is bound to them.
class Conditions {
 public:
  void add(std::string_view sql, std::string_view text) {
    add(sql);
    bound_.emplace_back(std::string(text));
  }
  void add(std::string_view sql, std::int64_t number) {
    add(sql);
    bound_.emplace_back(number);
  }
  void add(std::string_view sql) {
    if (!sql_.empty()) sql_ += " AND ";
    sql_ += sql;
  }
  void add_equal(std::string_view column, const std::string& text) {
    if (!text.empty()) add(std::string(column) + " = ?", std::string_view(text));
  }
  void add_any(std::string_view column, const std::vector<std::string>& texts) {
    if (texts.empty()) return;
    std::string marks = "?";
    for (std::size_t i = 1; i < texts.size(); ++i) marks += ",?";
    add(std::string(column) + " IN (" + marks + ")");
    for (const std::string& text : texts) bound_.emplace_back(text);
  }
  void add_before(std::int64_t start_ns, std::int64_t seq) {
    add("(start_ns, seq) < (?, ?)", start_ns);
    bound_.emplace_back(seq);
  }

  const std::string& sql() const { return sql_; }
  void bind(Statement& statement) const {
    for (const auto& value : bound_) {
      if (const auto* text = std::get_if<std::string>(&value)) {
        statement.bind(std::string_view(*text));
      } else {
        statement.bind(std::get<std::int64_t>(value));
      }
    }
  }

 private:
  std::string sql_;
  std::vector<std::variant<std::string, std::int64_t>> bound_;
};

// A text within another one, for LIKE.
std::string pattern_of(std::string_view text) {
  std::string pattern = "%";
  for (const char c : text) {
    if (c == '%' || c == '_' || c == '\\') pattern += '\\';
    pattern += c;
  }
  return pattern + '%';
}

// SQLite's numbers have a sign.
std::int64_t to_number(std::uint64_t count) {
  return static_cast<std::int64_t>(std::min<std::uint64_t>(count, INT64_MAX));
}

Conditions conditions_of(const RecordFilter& filter) {
  Conditions all;
  all.add("start_ns >= ?", to_number(filter.from_ns));
  all.add("start_ns < ?", to_number(filter.to_ns));
  all.add_any("account", filter.accounts);
  all.add_equal("key_id", filter.key_id);
  // What is rarer than the rest has the index to itself: a column behind + is not looked up.
  const std::string rest = filter.accounts.empty() && filter.key_id.empty() ? "" : "+";
  all.add_equal(rest + "feature", filter.feature);
  all.add_equal(rest + "model_used", filter.model_used);
  all.add_equal("model_asked", filter.model_asked);
  all.add_equal(rest + "provider", filter.provider);
  all.add_equal("task", filter.task);
  all.add_equal("final_status", filter.final_status);
  all.add_equal("error_code", filter.error_code);
  all.add_equal("cost_currency", filter.currency);
  if (filter.status) all.add("status = ?", std::int64_t{*filter.status});
  if (filter.cost_nano_min) all.add("cost_nano >= ?", *filter.cost_nano_min);
  if (filter.cost_nano_max) all.add("cost_nano <= ?", *filter.cost_nano_max);
  if (filter.duration_us_min) all.add("duration_us >= ?", to_number(*filter.duration_us_min));
  if (filter.duration_us_max) all.add("duration_us <= ?", to_number(*filter.duration_us_max));
  // In these words the index of failures is found.
  const bool failed = filter.failed || !filter.error.empty() ||
                      (!filter.final_status.empty() && filter.final_status != "ok");
  if (failed) all.add(rest + "final_status <> 'ok'");
  if (!filter.error.empty())
    all.add("error_text LIKE ? ESCAPE '\\'", std::string_view(pattern_of(filter.error)));
  return all;
}

// One day's part of a page.
struct DayPart {
  std::vector<RecordRow> rows;
  bool in_time = true;
};

Result<DayPart> search_day(Database& day, const RecordFilter& filter,
                           const std::optional<RecordPlace>& after, std::size_t rows_max,
                           Clock::time_point deadline) {
  Conditions conditions = conditions_of(filter);
  if (after) conditions.add_before(to_number(after->start_ns), after->seq);
  const std::string sql = "SELECT seq, " + RecordColumns::names(false) + " FROM records WHERE " +
                          conditions.sql() + " ORDER BY start_ns DESC, seq DESC LIMIT ?";
  const auto held = day.lock();
  day.set_deadline(deadline);
  const auto statement = day.prepare(sql.c_str());
  conditions.bind(*statement);
  statement->bind(rows_max);
  DayPart part;
  while (true) {
    const auto row = statement->step();
    if (!row && Clock::now() >= deadline) {
      part.in_time = false;
      return part;
    }
    if (!row) return row.error();
    if (!*row) return part;
    RecordRow& record = part.rows.emplace_back();
    record.seq = statement->number(0);
    RecordColumns::read(*statement, 1, false, record);
  }
}

std::string took_too_long(const std::string& day, const SearchLimits& limits) {
  return "the records of " + day + " took more than " + std::to_string(limits.time_max.count()) +
         " ms to look through; narrow from and to, or name an account or a key";
}

// The days that a search goes through, the newest first.
std::vector<std::string> days_of(const fs::path& directory, const RecordFilter& filter,
                                 const std::optional<RecordPlace>& after) {
  std::vector<std::string> days = record_days(directory);
  std::erase_if(days, [&](const std::string& day) {
    const std::uint64_t begin = *day_begin_ns(day);
    return begin >= filter.to_ns || begin + kDayNs <= filter.from_ns ||
           (after && begin > after->start_ns);
  });
  std::reverse(days.begin(), days.end());
  return days;
}

}  // namespace

std::string to_text(const RecordPlace& place) {
  return std::to_string(place.start_ns) + '-' + std::to_string(place.seq);
}

std::optional<RecordPlace> parse_record_place(std::string_view text) {
  RecordPlace place;
  const char* const end = text.data() + text.size();
  const auto start = std::from_chars(text.data(), end, place.start_ns);
  if (start.ec != std::errc() || start.ptr == end || *start.ptr != '-') return std::nullopt;
  const auto seq = std::from_chars(start.ptr + 1, end, place.seq);
  if (seq.ec != std::errc() || seq.ptr != end || place.seq < 0) return std::nullopt;
  return place;
}

Result<RecordPage> find_records(const fs::path& directory, const RecordFilter& filter,
                                const std::optional<RecordPlace>& after,
                                const SearchLimits& limits) {
  const auto deadline = Clock::now() + limits.time_max;
  RecordPage page;
  std::optional<RecordPlace> place = after;
  bool day_done = false;
  for (const std::string& day : days_of(directory, filter, after)) {
    // One more than asked for tells whether there is more.
    const std::size_t wanted = limits.rows_max + 1 - page.rows.size();
    const auto database = open_record_day(record_file(directory, day));
    const auto part = database ? search_day(**database, filter, place, wanted, deadline)
                               : Result<DayPart>(database.error());
    if (!part && says_damaged(part.error())) {
      page.unreadable.push_back(day);
      continue;
    }
    if (!part) return part.error();
    for (const RecordRow& row : part->rows) page.rows.push_back(row);
    if (page.rows.size() > limits.rows_max) {
      page.rows.resize(limits.rows_max);
      page.next = RecordPlace{page.rows.back().start_ns, page.rows.back().seq};
      return page;
    }
    if (!part->in_time) {
      if (!part->rows.empty()) {
        page.next = RecordPlace{part->rows.back().start_ns, part->rows.back().seq};
      } else if (day_done) {
        page.next = place;
      } else {
        return Error{took_too_long(day, limits)};
      }
      return page;
    }
    day_done = true;
    place = RecordPlace{*day_begin_ns(day), 0};  // before every record of this day
  }
  return page;
}

Result<void> each_plan(const fs::path& file, const std::function<void(const RecordRow&)>& visit) {
  const auto database = open_record_day(file);
  if (!database) return database.error();
  const auto held = (*database)->lock();
  const auto statement =
      (*database)->prepare("SELECT model_asked, final_status, plan FROM records ORDER BY seq");
  RecordRow row;
  while (true) {
    const auto more = statement->step();
    if (!more) return more.error();
    if (!*more) return {};
    row.model_asked = statement->text(0);
    row.final_status = statement->text(1);
    row.plan = statement->text(2);
    visit(row);
  }
}

Result<std::optional<RecordRow>> find_record(const fs::path& directory, std::string_view id) {
  std::vector<std::string> days = record_days(directory);
  std::reverse(days.begin(), days.end());
  const std::string sql = "SELECT seq, " + RecordColumns::names(true) +
                          " FROM records WHERE id = ? ORDER BY seq DESC LIMIT 1";
  for (const std::string& day : days) {
    const auto database = open_record_day(record_file(directory, day));
    if (!database && says_damaged(database.error())) continue;
    if (!database) return database.error();
    const auto held = (*database)->lock();
    const auto statement = (*database)->prepare(sql.c_str());
    const auto row = statement->bind(id).step();
    if (!row && says_damaged(row.error())) continue;
    if (!row) return row.error();
    if (!*row) continue;
    std::optional<RecordRow> record(std::in_place);
    record->seq = statement->number(0);
    RecordColumns::read(*statement, 1, true, *record);
    return record;
  }
  return std::optional<RecordRow>();
}

}  // namespace switchyard::store
