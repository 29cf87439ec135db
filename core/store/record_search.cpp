#include "core/store/record_search.hpp"

#include <algorithm>
#include <charconv>
#include <functional>
#include <set>
#include <variant>

#include "core/store/record_block.hpp"

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

// What an earlier version wrote.
Result<DayPart> search_rows(Database& day, const RecordFilter& filter,
                            const std::optional<RecordPlace>& after, std::size_t rows_max,
                            Clock::time_point deadline) {
  const auto any = day.number("SELECT EXISTS (SELECT 1 FROM records)");
  if (!any) return any.error();
  if (*any == 0) return DayPart();
  Conditions conditions = conditions_of(filter);
  if (after) conditions.add_before(to_number(after->start_ns), after->seq);
  const std::string sql = "SELECT seq, " + RecordColumns::names(false) + " FROM records WHERE " +
                          conditions.sql() + " ORDER BY start_ns DESC, seq DESC LIMIT ?";
  day.set_deadline(deadline);
  const auto statement = day.prepare(sql.c_str());
  conditions.bind(*statement);
  statement->bind(rows_max);
  DayPart part;
  while (true) {
    const auto row = statement->step();
    part.in_time = row || Clock::now() < deadline;
    if (!row && part.in_time) return row.error();
    if (!row || !*row) break;
    RecordRow& record = part.rows.emplace_back();
    record.seq = statement->number(0);
    RecordColumns::read(*statement, 1, false, record);
  }
  day.set_deadline(std::nullopt);
  return part;
}

bool contains(std::string_view text, std::string_view part) {
  const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; };
  return std::search(text.begin(), text.end(), part.begin(), part.end(),
                     [lower](char a, char b) { return lower(a) == lower(b); }) != text.end();
}

bool is_before(const RecordPlace& one, const RecordPlace& other) {
  return one.start_ns != other.start_ns ? one.start_ns < other.start_ns : one.seq < other.seq;
}

// What a filter asks, looked for in blocks.
class Matcher {
 public:
  Matcher(const RecordFilter& filter, const std::optional<RecordPlace>& after)
      : filter_(filter),
        after_(after),
        accounts_(RecordBlock::name_at(&RecordRow::account)),
        asked_(filter.accounts.begin(), filter.accounts.end()) {
    const std::pair<std::string RecordRow::*, const std::string*> equal[] = {
        {&RecordRow::key_id, &filter.key_id},
        {&RecordRow::feature, &filter.feature},
        {&RecordRow::model_used, &filter.model_used},
        {&RecordRow::model_asked, &filter.model_asked},
        {&RecordRow::provider, &filter.provider},
        {&RecordRow::task, &filter.task},
        {&RecordRow::final_status, &filter.final_status},
        {&RecordRow::error_code, &filter.error_code},
        {&RecordRow::cost_currency, &filter.currency}};
    for (const auto& [member, text] : equal) {
      if (!text->empty()) equal_.emplace_back(RecordBlock::name_at(member), *text);
    }
    failed_ = filter.failed || !filter.error.empty();
  }

  // Whether one of these texts may be what is looked for.
  bool open_errors(const RecordBlock& block) const {
    return std::any_of(block.errors().begin(), block.errors().end(),
                       [this](std::string_view text) { return contains(text, filter_.error); });
  }

  // Whether records with these names may fit; where a name can't be read the block says so when
  // it is read.
  bool open(RecordBlock& block) {
    wanted_.clear();
    const auto want = [&](std::size_t column, const auto& fits) {
      if (!block.open_name(column)) return true;
      const auto& names = block.names(column);
      auto& [at, good] = wanted_.emplace_back(column, std::vector<char>(names.size()));
      bool any = false;
      for (std::size_t i = 0; i < names.size(); ++i) any |= good[i] = fits(names[i]) ? 1 : 0;
      return any;
    };
    for (const auto& [column, text] : equal_) {
      if (!want(column, [&](std::string_view name) { return name == text; })) return false;
    }
    const auto is_asked = [&](std::string_view name) { return asked_.contains(name); };
    if (!asked_.empty() && !want(accounts_, is_asked)) return false;
    return !failed_ || want(RecordBlock::name_at(&RecordRow::final_status),
                            [](std::string_view name) { return name != "ok"; });
  }

  bool fits(const RecordBlock& block, std::size_t row, std::int64_t seq) const {
    const std::uint64_t start_ns = block.start_ns(row);
    if (start_ns < filter_.from_ns || start_ns >= filter_.to_ns) return false;
    if (after_ && !is_before({start_ns, seq}, *after_)) return false;
    for (const auto& [column, good] : wanted_) {
      if (good[block.name(column, row)] == 0) return false;
    }
    const auto number = [&](std::uint64_t RecordRow::* member) {
      return block.number(RecordBlock::number_at(member), row);
    };
    if (filter_.status && number(&RecordRow::status) != *filter_.status) return false;
    if (filter_.duration_us_min && number(&RecordRow::duration_us) < *filter_.duration_us_min) {
      return false;
    }
    if (filter_.duration_us_max && number(&RecordRow::duration_us) > *filter_.duration_us_max) {
      return false;
    }
    if (filter_.cost_nano_min || filter_.cost_nano_max) {
      const auto cost = block.cost_nano(row);
      if (!cost || *cost < filter_.cost_nano_min.value_or(INT64_MIN) ||
          *cost > filter_.cost_nano_max.value_or(INT64_MAX)) {
        return false;
      }
    }
    return filter_.error.empty() || contains(block.error_text(row), filter_.error);
  }

 private:
  const RecordFilter& filter_;
  const std::optional<RecordPlace>& after_;
  const std::size_t accounts_;
  const std::set<std::string_view> asked_;                       // accounts
  std::vector<std::pair<std::size_t, std::string_view>> equal_;  // name columns
  bool failed_ = false;
  std::vector<std::pair<std::size_t, std::vector<char>>> wanted_;  // which names of a block fit
};

RecordPlace place_of(const RecordRow& row) { return {row.start_ns, row.seq}; }
bool is_newer(const RecordRow& one, const RecordRow& other) {
  return is_before(place_of(other), place_of(one));
}

// The part of a block that is looked at only where its names fit.
struct BlockReader {
  explicit BlockReader(Database& database)
      : day(database),
        columns(day.prepare("SELECT columns, texts FROM block_columns WHERE seq = ?")),
        errors(day.prepare("SELECT errors FROM block_rare WHERE seq = ?")),
        rare(day.prepare("SELECT rare FROM block_rare WHERE seq = ?")) {}

  Result<void> read_errors(std::int64_t seq, std::size_t records, RecordBlock& block) {
    const auto row = errors->bind(seq).step();
    errors_text = row && *row ? errors->blob(0) : "";
    errors->reset();
    if (!row) return row.error();
    if (!block.open_errors(errors_text, records)) return damaged(day, seq);
    return {};
  }

  Result<void> read(std::int64_t seq, std::size_t records, RecordBlock& block) {
    const auto row = columns->bind(seq).step();
    if (row && *row) columns_text = columns->blob(0), texts_text = columns->blob(1);
    columns->reset();
    if (!row) return row.error();
    const auto more = rare->bind(seq).step();
    rare_text = more && *more ? rare->blob(0) : "";
    rare->reset();
    if (!more) return more.error();
    const bool good = *row && block.open_columns(columns_text, records) &&
                      block.open_texts(texts_text) && block.open_rare(rare_text);
    if (!good) return damaged(day, seq);
    return read_errors(seq, records, block);
  }

  Database& day;
  std::unique_ptr<Statement> columns, errors, rare;
  std::string columns_text, texts_text, errors_text, rare_text;
};

// Adds to `found`, which is in order, what fits of a block and is among the `max` newest of all.
void take_rows(const RecordBlock& block, std::int64_t seq, const Matcher& matcher, std::size_t max,
               std::vector<RecordRow>& found) {
  std::vector<std::pair<std::uint64_t, std::size_t>> rows;
  for (std::size_t row = 0; row < block.records(); ++row) {
    if (matcher.fits(block, row, seq + static_cast<std::int64_t>(row))) {
      rows.emplace_back(block.start_ns(row), row);
    }
  }
  std::sort(rows.begin(), rows.end(), std::greater());
  const bool full = found.size() == max;
  const std::uint64_t oldest = full ? found.back().start_ns : 0;
  for (const auto& [start_ns, row] : rows) {
    if (start_ns < oldest) break;
    RecordRow& taken = found.emplace_back(block.row(row, false));
    taken.seq = seq + static_cast<std::int64_t>(row);
  }
  std::sort(found.begin(), found.end(), is_newer);
  if (found.size() > max) found.resize(max);
}

// The newest first, until no later one can be among the newest any more.
Result<void> search_blocks(Database& day, const RecordFilter& filter,
                           const std::optional<RecordPlace>& after, std::size_t rows_max,
                           Clock::time_point deadline, DayPart& part) {
  const bool failed = filter.failed || !filter.error.empty();
  const std::string sql = std::string(
                              "SELECT seq, records, start_max, names FROM blocks WHERE "
                              "start_max >= ? AND start_min < ? AND start_min <= ?") +
                          (failed ? " AND failed > 0" : "") + " ORDER BY start_max DESC, seq DESC";
  const auto walk = day.prepare(sql.c_str());
  walk->bind(to_number(filter.from_ns)).bind(to_number(filter.to_ns));
  walk->bind(after ? to_number(after->start_ns) : INT64_MAX);
  Matcher matcher(filter, after);
  BlockReader reader(day);
  for (bool first = true;; first = false) {
    const auto row = walk->step();
    if (!row) return row.error();
    if (!*row) return {};
    const std::int64_t seq = walk->number(0), size = walk->number(1);
    // No record that was not looked at is newer.
    const RecordPlace newest{static_cast<std::uint64_t>(walk->number(2)), seq + size - 1};
    const bool full = part.rows.size() == rows_max;
    if (full && is_before(newest, place_of(part.rows.back()))) return {};
    if (!first && Clock::now() >= deadline) {
      std::erase_if(part.rows,
                    [&](const RecordRow& each) { return is_before(place_of(each), newest); });
      part.in_time = false;
      return {};
    }
    RecordBlock block;
    if (!filter.error.empty()) {
      const auto read = reader.read_errors(seq, static_cast<std::size_t>(size), block);
      if (!read) return read;
      if (!matcher.open_errors(block)) continue;
    }
    const std::string names = walk->blob(3);
    if (!block.open_names(names)) return damaged(day, seq);
    if (!matcher.open(block)) continue;
    const auto read = reader.read(seq, static_cast<std::size_t>(size), block);
    if (!read) return read;
    take_rows(block, seq, matcher, rows_max, part.rows);
  }
}

Result<DayPart> search_day(Database& day, const RecordFilter& filter,
                           const std::optional<RecordPlace>& after, std::size_t rows_max,
                           Clock::time_point deadline) {
  const auto held = day.lock();
  auto part = search_rows(day, filter, after, rows_max, deadline);
  if (!part || !part->in_time) return part;
  // One view of the file: blocks that grow are taken out and put in again.
  if (auto begun = day.run("BEGIN"); !begun) return begun.error();
  const auto searched = search_blocks(day, filter, after, rows_max, deadline, *part);
  const auto ended = day.run("ROLLBACK");
  if (!searched) return searched.error();
  if (!ended) return ended.error();
  return part;
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

namespace {

// The newest of a day.
Result<std::optional<RecordRow>> find_in_blocks(Database& day, std::string_view id) {
  const auto walk = day.prepare(
      "SELECT h.seq, h.hashes, b.records, b.names FROM block_hashes h JOIN blocks b ON "
      "b.seq = h.seq ORDER BY h.seq DESC");
  const std::uint32_t hash = id_hash(id);
  BlockReader reader(day);
  while (true) {
    const auto row = walk->step();
    if (!row) return row.error();
    if (!*row) return std::optional<RecordRow>();
    const std::vector<std::size_t> rows = rows_of_hash(walk->blob(1), hash);
    if (rows.empty()) continue;
    const std::int64_t seq = walk->number(0);
    const std::string names = walk->blob(3);
    RecordBlock block;
    if (!block.open_names(names)) return damaged(day, seq);
    const auto read = reader.read(seq, static_cast<std::size_t>(walk->number(2)), block);
    if (!read) return read.error();
    for (std::size_t i = rows.size(); i-- > 0;) {
      if (rows[i] >= block.records() || block.id(rows[i]) != id) continue;
      std::optional<RecordRow> record(block.row(rows[i], true));
      record->seq = seq + static_cast<std::int64_t>(rows[i]);
      return record;
    }
  }
}

Result<std::optional<RecordRow>> find_in_rows(Database& day, std::string_view id) {
  const std::string sql = "SELECT seq, " + RecordColumns::names(true) +
                          " FROM records WHERE id = ? ORDER BY seq DESC LIMIT 1";
  const auto statement = day.prepare(sql.c_str());
  const auto row = statement->bind(id).step();
  if (!row) return row.error();
  if (!*row) return std::optional<RecordRow>();
  std::optional<RecordRow> record(std::in_place);
  record->seq = statement->number(0);
  RecordColumns::read(*statement, 1, true, *record);
  return record;
}

Result<std::optional<RecordRow>> find_in_day(Database& day, std::string_view id) {
  const auto held = day.lock();
  if (auto begun = day.run("BEGIN"); !begun) return begun.error();
  auto found = find_in_blocks(day, id);
  if (found && !*found) found = find_in_rows(day, id);
  const auto ended = day.run("ROLLBACK");
  if (!found) return found;
  if (!ended) return ended.error();
  return found;
}

}  // namespace

namespace {

Result<void> each_plan_in_blocks(Database& day,
                                 const std::function<void(const RecordRow&)>& visit) {
  const auto walk = day.prepare("SELECT seq, records, names FROM blocks ORDER BY seq");
  BlockReader reader(day);
  while (true) {
    const auto more = walk->step();
    if (!more) return more.error();
    if (!*more) return {};
    const std::string names = walk->blob(2);
    RecordBlock block;
    if (!block.open_names(names)) return damaged(day, walk->number(0));
    const auto read =
        reader.read(walk->number(0), static_cast<std::size_t>(walk->number(1)), block);
    if (!read) return read;
    for (std::size_t i = 0; i < block.records(); ++i) visit(block.row(i, true));
  }
}

Result<void> each_plan_in_rows(Database& day, const std::function<void(const RecordRow&)>& visit) {
  const auto statement = day.prepare(
      "SELECT model_asked, feature, final_status, plan, provider, model_used, start_ns, "
      "duration_us "
      "FROM records ORDER BY seq");
  RecordRow row;
  while (true) {
    const auto more = statement->step();
    if (!more) return more.error();
    if (!*more) return {};
    row.model_asked = statement->text(0);
    row.feature = statement->text(1);
    row.final_status = statement->text(2);
    row.plan = statement->text(3);
    row.provider = statement->text(4);
    row.model_used = statement->text(5);
    row.start_ns = static_cast<std::uint64_t>(statement->number(6));
    row.duration_us = static_cast<std::uint64_t>(statement->number(7));
    visit(row);
  }
}

}  // namespace

// What lies row by row is of before there were blocks.
Result<void> each_plan(const fs::path& file, const std::function<void(const RecordRow&)>& visit) {
  const auto database = open_record_day(file);
  if (!database) return database.error();
  const auto held = (*database)->lock();
  if (const auto rows = each_plan_in_rows(**database, visit); !rows) return rows;
  return each_plan_in_blocks(**database, visit);
}

Result<std::optional<RecordRow>> find_record(const fs::path& directory, std::string_view id) {
  std::vector<std::string> days = record_days(directory);
  std::reverse(days.begin(), days.end());
  for (const std::string& day : days) {
    const auto database = open_record_day(record_file(directory, day));
    if (!database && says_damaged(database.error())) continue;
    if (!database) return database.error();
    auto found = find_in_day(**database, id);
    if (!found && says_damaged(found.error())) continue;
    if (!found || *found) return found;
  }
  return std::optional<RecordRow>();
}

}  // namespace switchyard::store
