#include "core/store/records.hpp"

#include <openssl/rand.h>
#include <spdlog/spdlog.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <ctime>

#include "core/store/record_block.hpp"
#include "core/store/rollups.hpp"

namespace switchyard::store {
namespace fs = std::filesystem;
namespace {

constexpr std::uint64_t kSecondNs = 1'000'000'000;
constexpr std::uint64_t kDayNs = 86'400 * kSecondNs;
constexpr std::chrono::hours kMinutesKeep{48};
constexpr std::string_view kSuffix = ".db";
constexpr std::string_view kDamaged = ".db.damaged";

constexpr std::array kDayMigrations{
    // 1: `seq` counts in the order of writing; `self` names the file, for the roll-ups' sake.
    R"sql(
      CREATE TABLE records (
        seq INTEGER PRIMARY KEY,
        start_ns INTEGER NOT NULL,
        stream INTEGER NOT NULL,
        status INTEGER NOT NULL,
        attempts INTEGER NOT NULL,
        duration_us INTEGER NOT NULL,
        ttft_us INTEGER NOT NULL,
        upstream_us INTEGER NOT NULL,
        tok_in INTEGER NOT NULL,
        tok_out INTEGER NOT NULL,
        tok_cached INTEGER NOT NULL,
        tok_reasoning INTEGER NOT NULL,
        reported INTEGER NOT NULL,
        charge_nano INTEGER,
        cost_nano INTEGER,
        id TEXT NOT NULL,
        key_id TEXT NOT NULL,
        account TEXT NOT NULL,
        feature TEXT NOT NULL,
        task TEXT NOT NULL,
        surface TEXT NOT NULL,
        model_asked TEXT NOT NULL,
        model_used TEXT NOT NULL,
        provider TEXT NOT NULL,
        final_status TEXT NOT NULL,
        quantities TEXT NOT NULL,
        charge_currency TEXT NOT NULL,
        cost_currency TEXT NOT NULL,
        price_version TEXT NOT NULL,
        error_code TEXT NOT NULL,
        error_text TEXT NOT NULL,
        finish_reason TEXT NOT NULL,
        fallback_path TEXT NOT NULL,
        route_reason TEXT NOT NULL,
        dropped TEXT NOT NULL,
        trace TEXT NOT NULL,
        parent_span TEXT NOT NULL,
        facts TEXT NOT NULL,
        plan TEXT NOT NULL
      ) STRICT;
      CREATE INDEX records_by_time ON records (start_ns);
      CREATE INDEX records_by_id ON records (id);
      CREATE INDEX records_by_account ON records (account, start_ns);
      CREATE INDEX records_by_key ON records (key_id, start_ns);
      CREATE INDEX records_by_feature ON records (feature, start_ns);
      CREATE INDEX records_by_model ON records (model_used, start_ns);
      CREATE INDEX records_by_provider ON records (provider, start_ns);
      CREATE INDEX records_failed ON records (start_ns) WHERE final_status <> 'ok';
      CREATE TABLE self (id TEXT NOT NULL) STRICT;
      INSERT INTO self VALUES (lower(hex(randomblob(16))));
    )sql",
    // 2: records in blocks (store/record_block.hpp), whose parts are apart by who reads them. A
    // block's seq is that of its first record. `records` has those of versions before.
    R"sql(
      CREATE TABLE blocks (
        seq INTEGER PRIMARY KEY,
        records INTEGER NOT NULL,
        start_min INTEGER NOT NULL,
        start_max INTEGER NOT NULL,
        failed INTEGER NOT NULL,
        names BLOB NOT NULL
      ) STRICT;
      CREATE INDEX blocks_by_time ON blocks (start_max);
      CREATE TABLE block_columns (
        seq INTEGER PRIMARY KEY,
        columns BLOB NOT NULL,
        texts BLOB NOT NULL
      ) STRICT;
      CREATE TABLE block_rare (
        seq INTEGER PRIMARY KEY,
        errors BLOB NOT NULL,
        rare BLOB NOT NULL
      ) STRICT;
      CREATE TABLE block_hashes (seq INTEGER PRIMARY KEY, hashes BLOB NOT NULL) STRICT;
    )sql",
};

// What is less grows by the records that come next: blocks are worth their while when they are
// large.
constexpr std::size_t kSmall = 192;

using Numbers = RecordColumns::Column<std::uint64_t>;
using Amounts = RecordColumns::Column<std::optional<std::int64_t>>;
using Texts = RecordColumns::Column<std::string>;

constexpr Numbers kNumbers[] = {{"start_ns", &RecordRow::start_ns},
                                {"stream", &RecordRow::stream},
                                {"status", &RecordRow::status},
                                {"attempts", &RecordRow::attempts},
                                {"duration_us", &RecordRow::duration_us},
                                {"ttft_us", &RecordRow::ttft_us},
                                {"upstream_us", &RecordRow::upstream_us},
                                {"tok_in", &RecordRow::tok_in},
                                {"tok_out", &RecordRow::tok_out},
                                {"tok_cached", &RecordRow::tok_cached},
                                {"tok_reasoning", &RecordRow::tok_reasoning},
                                {"reported", &RecordRow::reported}};
constexpr Amounts kAmounts[] = {{"charge_nano", &RecordRow::charge_nano},
                                {"cost_nano", &RecordRow::cost_nano}};
// The plan, which is long, is the last.
constexpr Texts kTexts[] = {{"id", &RecordRow::id},
                            {"key_id", &RecordRow::key_id},
                            {"account", &RecordRow::account},
                            {"feature", &RecordRow::feature},
                            {"task", &RecordRow::task},
                            {"surface", &RecordRow::surface},
                            {"model_asked", &RecordRow::model_asked},
                            {"model_used", &RecordRow::model_used},
                            {"provider", &RecordRow::provider},
                            {"final_status", &RecordRow::final_status},
                            {"quantities", &RecordRow::quantities},
                            {"charge_currency", &RecordRow::charge_currency},
                            {"cost_currency", &RecordRow::cost_currency},
                            {"price_version", &RecordRow::price_version},
                            {"error_code", &RecordRow::error_code},
                            {"error_text", &RecordRow::error_text},
                            {"finish_reason", &RecordRow::finish_reason},
                            {"fallback_path", &RecordRow::fallback_path},
                            {"route_reason", &RecordRow::route_reason},
                            {"dropped", &RecordRow::dropped},
                            {"trace", &RecordRow::trace},
                            {"parent_span", &RecordRow::parent_span},
                            {"facts", &RecordRow::facts},
                            {"plan", &RecordRow::plan}};

Result<void> make_directory(const fs::path& directory) {
  if (mkdir(directory.c_str(), 0700) == 0 || errno == EEXIST) return {};
  return Error{directory.string() + ": " + std::strerror(errno)};
}

// "2026-11-21" of a day's file, of what SQLite keeps beside it, and of a damaged one.
std::string_view day_in(std::string_view file_name) {
  const std::string_view day = file_name.substr(0, 10);
  const bool ours = file_name.substr(day.size()).starts_with(kSuffix) && day_begin_ns(day);
  return ours ? day : std::string_view();
}

std::vector<fs::path> files_in(const fs::path& directory) {
  std::vector<fs::path> files;
  std::error_code ignored;
  for (fs::directory_iterator each(directory, ignored), end; each != end; each.increment(ignored)) {
    files.push_back(each->path());
  }
  return files;
}

}  // namespace

// ---- columns, days ----

std::span<const Numbers> RecordColumns::numbers() { return kNumbers; }
std::span<const Amounts> RecordColumns::amounts() { return kAmounts; }
std::span<const Texts> RecordColumns::texts() { return kTexts; }

std::string RecordColumns::names(bool with_plan) {
  std::string list;
  const auto add = [&list](const auto& columns) {
    for (const auto& column : columns) (list += list.empty() ? "" : ", ") += column.name;
  };
  add(kNumbers);
  add(kAmounts);
  add(std::span(kTexts).first(std::size(kTexts) - (with_plan ? 0 : 1)));
  return list;
}

void RecordColumns::read(const Statement& from, int first, bool with_plan, RecordRow& row) {
  for (const Numbers& column : kNumbers) {
    row.*column.member = static_cast<std::uint64_t>(from.number(first++));
  }
  for (const Amounts& column : kAmounts) row.*column.member = from.maybe_number(first++);
  for (const Texts& column : std::span(kTexts).first(std::size(kTexts) - (with_plan ? 0 : 1))) {
    row.*column.member = from.text(first++);
  }
}

std::string day_of(std::uint64_t unix_ns) {
  const auto seconds = static_cast<std::time_t>(unix_ns / kSecondNs);
  std::tm utc{};
  gmtime_r(&seconds, &utc);
  char text[16];
  return {text, std::strftime(text, sizeof text, "%Y-%m-%d", &utc)};
}

std::optional<std::uint64_t> day_begin_ns(std::string_view day) {
  const std::string text(day);
  std::tm utc{};
  const char* const end = strptime(text.c_str(), "%Y-%m-%d", &utc);
  if (text.size() != 10 || end != text.c_str() + text.size()) return std::nullopt;
  const std::time_t seconds = timegm(&utc);
  if (seconds < 0) return std::nullopt;
  const std::uint64_t begin = static_cast<std::uint64_t>(seconds) * kSecondNs;
  return day_of(begin) == day ? std::optional(begin) : std::nullopt;
}

std::vector<std::string> record_days(const fs::path& directory) {
  std::vector<std::string> days;
  for (const fs::path& file : files_in(directory)) {
    const std::string name = file.filename().string();
    if (!day_in(name).empty() && name.size() == 10 + kSuffix.size())
      days.push_back(name.substr(0, 10));
  }
  std::sort(days.begin(), days.end());
  return days;
}

fs::path record_file(const fs::path& directory, std::string_view day) {
  return directory / (std::string(day) + std::string(kSuffix));
}
fs::path usage_file(const fs::path& directory) { return directory / "usage.db"; }

Result<std::unique_ptr<Database>> open_record_day(const fs::path& file) {
  auto opened = Database::open_sqlite(file, kDayMigrations);
  if (!opened) return opened;
  // With a write-ahead log the file is whole after a power loss as well.
  const auto relaxed = (*opened)->run("PRAGMA synchronous = NORMAL");
  if (!relaxed) return relaxed.error();
  return opened;
}

// ---- writing ----

struct Records::Day {
  explicit Day(std::unique_ptr<Database> opened)
      : database(std::move(opened)),
        last(database->prepare("SELECT seq + records - 1 FROM blocks ORDER BY seq DESC LIMIT 1")),
        last_row(database->prepare("SELECT COALESCE(MAX(seq), 0) FROM records")),
        block(database->prepare("INSERT INTO blocks (seq, records, start_min, start_max, failed, "
                                "names) VALUES (?, ?, ?, ?, ?, ?)")),
        columns(database->prepare("INSERT INTO block_columns VALUES (?, ?, ?)")),
        rare(database->prepare("INSERT INTO block_rare VALUES (?, ?, ?)")),
        hashes(database->prepare("INSERT INTO block_hashes VALUES (?, ?)")) {}

  std::unique_ptr<Database> database;
  std::unique_ptr<Statement> last, last_row, block, columns, rare, hashes;
  // The last block, where it is small and ours.
  std::vector<RecordRow> tail;
  std::int64_t tail_seq = 0;

  Result<std::int64_t> next_seq();
  Result<void> insert(std::int64_t seq, std::span<const RecordRow> rows);
  Result<void> remove(std::int64_t seq);
};

Records::Records(fs::path directory, const RecordLimits& limits)
    : directory_(std::move(directory)), limits_(limits) {
  // A process before this one may have had no time for its last ones.
  for (std::string& day : record_days(directory_)) unsummed_.insert(std::move(day));
}

Records::~Records() = default;

Result<Records::Day*> Records::day(const std::string& name) {
  auto& kept = days_[name];
  if (kept) return kept.get();
  const fs::path file = record_file(directory_, name);
  const auto made = make_directory(directory_);
  auto opened = made ? open_record_day(file) : made.error();
  if (!opened && says_damaged(opened.error())) {
    // What it holds is lost to us, but not to whoever repairs it; the day goes on in a new one.
    const fs::path aside = directory_ / (name + std::string(kDamaged));
    spdlog::error("records_damaged file={} moved_to={}", file.string(), aside.string());
    std::error_code ignored;
    fs::rename(file, aside, ignored);
    for (const char* beside : {"-wal", "-shm"}) fs::remove(file.string() + beside, ignored);
    opened = open_record_day(file);
  }
  if (!opened) {
    days_.erase(name);
    return opened.error();
  }
  kept = std::make_unique<Day>(std::move(*opened));
  while (days_.size() > 2)
    days_.erase(days_.begin()->first == name ? std::next(days_.begin()) : days_.begin());
  return kept.get();
}

namespace {

Result<void> finish(Statement& statement) {
  auto ran = statement.run();
  statement.reset();  // it holds the transaction open where it failed
  return ran;
}

Result<std::int64_t> number_of(Statement& select) {
  const auto row = select.step();
  const std::int64_t number = row && *row ? select.number(0) : 0;
  select.reset();
  if (!row) return row.error();
  return number;
}

}  // namespace

// Another process may write to the day as well.
Result<std::int64_t> Records::Day::next_seq() {
  const auto block_end = number_of(*last);
  if (!block_end) return block_end;
  const auto row = number_of(*last_row);
  if (!row) return row;
  return std::max(*block_end, *row) + 1;
}

Result<void> Records::Day::insert(std::int64_t seq, std::span<const RecordRow> rows) {
  const EncodedBlock encoded = encode_block(rows);
  block->bind(seq).bind(rows.size()).bind(encoded.start_min).bind(encoded.start_max);
  if (auto ran = finish(block->bind(encoded.failed).bind_blob(encoded.names)); !ran) return ran;
  columns->bind(seq).bind_blob(encoded.columns).bind_blob(encoded.texts);
  if (auto ran = finish(*columns); !ran) return ran;
  if (!encoded.errors.empty() || !encoded.rare.empty()) {
    rare->bind(seq).bind_blob(encoded.errors).bind_blob(encoded.rare);
    if (auto ran = finish(*rare); !ran) return ran;
  }
  return finish(hashes->bind(seq).bind_blob(encoded.hashes));
}

Result<void> Records::Day::remove(std::int64_t seq) {
  for (const char* table : {"blocks", "block_columns", "block_rare", "block_hashes"}) {
    const auto remove =
        database->prepare((std::string("DELETE FROM ") + table + " WHERE seq = ?").c_str());
    if (auto ran = remove->bind(seq).run(); !ran) return ran;
  }
  return {};
}

Result<void> Records::insert(Day& day, std::span<const RecordRow> rows) {
  std::vector<RecordRow> tail;
  std::int64_t tail_seq = 0;
  const auto done = day.database->transact([&]() -> Result<void> {
    const auto next = day.next_seq();
    if (!next) return next.error();
    std::int64_t seq = *next;
    std::span<const RecordRow> rest = rows;
    const auto tail_records = static_cast<std::int64_t>(day.tail.size());
    if (tail_records > 0 && day.tail_seq + tail_records == seq) {
      const std::size_t more = std::min(rest.size(), kBlockRecordsMax - day.tail.size());
      tail = day.tail;
      tail.insert(tail.end(), rest.begin(), rest.begin() + static_cast<std::ptrdiff_t>(more));
      tail_seq = day.tail_seq;
      if (auto removed = day.remove(tail_seq); !removed) return removed;
      if (auto written = day.insert(tail_seq, tail); !written) return written;
      rest = rest.subspan(more);
      seq += static_cast<std::int64_t>(more);
    }
    while (!rest.empty()) {
      const auto part = rest.first(std::min(rest.size(), kBlockRecordsMax));
      tail.assign(part.begin(), part.end());
      tail_seq = seq;
      if (auto written = day.insert(seq, part); !written) return written;
      rest = rest.subspan(part.size());
      seq += static_cast<std::int64_t>(part.size());
    }
    return {};
  });
  if (!done) return done;
  if (tail.size() >= kSmall) tail.clear();
  day.tail = std::move(tail);
  day.tail_seq = tail_seq;
  return {};
}

// Rows of one day: all of them, or none.
Result<void> Records::write_run(std::span<const RecordRow> rows) {
  const std::string name = day_of(rows.front().start_ns);
  auto into = day(name);
  if (!into) return into.error();
  auto written = insert(**into, rows);
  if (!written && says_damaged(written.error())) {
    days_.erase(name);  // set aside where it can't be opened either
    into = day(name);
    if (!into) return into.error();
    written = insert(**into, rows);
  }
  if (written) unsummed_.insert(name);
  return written;
}

Records::Written Records::write(std::span<const RecordRow> rows) {
  Written written;
  if (full_) {
    written.result = Error{directory_.string() +
                           ": larger than records.size_max, and nothing but today is left"};
    return written;
  }
  while (written.records < rows.size()) {
    const auto rest = rows.subspan(written.records);
    const std::uint64_t day = rest.front().start_ns / kDayNs;
    const auto end = std::find_if(rest.begin(), rest.end(), [&](const RecordRow& row) {
      return row.start_ns / kDayNs != day;
    });
    const auto run = rest.first(static_cast<std::size_t>(end - rest.begin()));
    written.result = write_run(run);
    if (!written.result) return written;
    written.records += run.size();
  }
  return written;
}

Result<void> Records::sum_up() {
  if (unsummed_.empty()) return {};
  if (!rollups_) {
    auto opened = Rollups::open(usage_file(directory_));
    if (!opened) return opened.error();
    rollups_ = std::move(*opened);
  }
  while (!unsummed_.empty()) {
    const std::string name = *unsummed_.begin();
    const auto summed = sum_up(name);
    if (!summed && !says_damaged(summed.error())) return summed;
    unsummed_.erase(name);  // a damaged day is told of when it is read or written
  }
  return {};
}

Result<void> Records::sum_up(const std::string& name) {
  if (const auto open = days_.find(name); open != days_.end()) {
    return rollups_->add_from(*open->second->database);
  }
  const auto opened = open_record_day(record_file(directory_, name));
  if (!opened) return opened.error();
  return rollups_->add_from(**opened);
}

// ---- letting go ----

std::uint64_t Records::size_of(const std::string& day) const {
  std::uint64_t bytes = 0;
  for (const fs::path& file : files_in(directory_)) {
    std::error_code ignored;
    if (day_in(file.filename().string()) != day) continue;
    const auto size = fs::file_size(file, ignored);
    if (!ignored) bytes += size;
  }
  return bytes;
}

void Records::remove(const std::string& day) {
  days_.erase(day);
  unsummed_.erase(day);
  for (const fs::path& file : files_in(directory_)) {
    std::error_code ignored;
    if (day_in(file.filename().string()) == day) fs::remove(file, ignored);
  }
}

Result<void> Records::tidy(std::uint64_t now_ns) {
  const std::string today = day_of(now_ns);
  const auto before = [now_ns](std::chrono::hours keep) {
    const auto span = static_cast<std::uint64_t>(std::chrono::nanoseconds(keep).count());
    return now_ns > span ? now_ns - span : 0;
  };
  std::map<std::string, std::uint64_t> sizes;
  for (const fs::path& file : files_in(directory_)) {
    const std::string name = file.filename().string();
    const std::string_view day = day_in(name);
    if (!day.empty()) sizes.emplace(day, 0);
  }
  std::uint64_t total = 0;
  for (auto each = sizes.begin(); each != sizes.end();) {
    if (*day_begin_ns(each->first) + kDayNs <= before(limits_.keep)) {
      remove(each->first);
      each = sizes.erase(each);
    } else {
      total += each->second = size_of(each->first);
      ++each;
    }
  }
  while (total > limits_.size_max && !sizes.empty() && sizes.begin()->first < today) {
    spdlog::warn("records_removed day={} reason=\"larger than records.size_max\"",
                 sizes.begin()->first);
    remove(sizes.begin()->first);
    total -= sizes.begin()->second;
    sizes.erase(sizes.begin());
  }
  full_ = total > limits_.size_max;
  if (!rollups_) return {};
  return rollups_->remove_before(static_cast<std::int64_t>(before(limits_.usage_keep) / kSecondNs),
                                 static_cast<std::int64_t>(before(kMinutesKeep) / kSecondNs));
}

}  // namespace switchyard::store
