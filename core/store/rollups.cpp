#include "core/store/rollups.hpp"

#include <spdlog/spdlog.h>
#include <sys/stat.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <cstring>
#include <unordered_map>

#include "core/store/record_block.hpp"
#include "core/store/records.hpp"

namespace switchyard::store {
namespace {

// How many records one transaction adds.
constexpr std::int64_t kAtOnce = 20'000;

// A record is summed up three times: by all names, and by those of traffic and of owners alone. A
// question is answered from the smallest of them that tells what it asks.
enum class Kind : std::int64_t { kAll, kTraffic, kOwners };
constexpr std::array kKinds{Kind::kOwners, Kind::kTraffic, Kind::kAll};
constexpr std::array kSteps{UsageStep::kMinute, UsageStep::kHour, UsageStep::kDay};

constexpr std::array<const char*, kUsageBy> kNames{"account", "key_id", "feature", "model",
                                                   "provider"};

// Within a minute few requests have all their names in common with others: sums of fewer names
// would only be more rows.
bool has(UsageStep step, Kind kind) { return step != UsageStep::kMinute || kind == Kind::kAll; }

bool tells(Kind kind, UsageBy by) {
  const bool owner = by == UsageBy::kAccount || by == UsageBy::kKey;
  return kind == Kind::kAll || owner == (kind == Kind::kOwners);
}

struct Counter {
  const char* name;
  std::uint64_t UsageSums::* member;
};
constexpr Counter kCounters[] = {{"requests", &UsageSums::requests},
                                 {"errors", &UsageSums::errors},
                                 {"clients_left", &UsageSums::clients_left},
                                 {"tok_in", &UsageSums::tok_in},
                                 {"tok_out", &UsageSums::tok_out},
                                 {"tok_cached", &UsageSums::tok_cached},
                                 {"tok_reasoning", &UsageSums::tok_reasoning},
                                 {"estimated", &UsageSums::estimated},
                                 {"unpriced", &UsageSums::unpriced},
                                 {"duration_us", &UsageSums::duration_us},
                                 {"ttft_us", &UsageSums::ttft_us},
                                 {"with_ttft", &UsageSums::with_ttft}};
struct Book {
  const char* name;
  std::map<std::string, std::int64_t> UsageSums::* member;
};
constexpr Book kBooks[] = {{"charge", &UsageSums::charge_nano}, {"cost", &UsageSums::cost_nano}};
struct Times {
  const char* prefix;
  Histogram UsageSums::* member;
};
constexpr Times kTimes[] = {{"d", &UsageSums::duration}, {"t", &UsageSums::ttft}};

constexpr std::array kMigrations{
    // 1: one row of `sums` for each step, kind, time and series that saw a request. d0.. and t0..
    // are histograms of duration and time to first content.
    R"sql(
      CREATE TABLE files (id TEXT PRIMARY KEY, seq INTEGER NOT NULL) STRICT;
      CREATE TABLE series (
        id INTEGER PRIMARY KEY,
        account TEXT NOT NULL,
        key_id TEXT NOT NULL,
        feature TEXT NOT NULL,
        model TEXT NOT NULL,
        provider TEXT NOT NULL,
        UNIQUE (account, key_id, feature, model, provider)
      ) STRICT;
      CREATE TABLE sums (
        step INTEGER NOT NULL,
        kind INTEGER NOT NULL,
        start_s INTEGER NOT NULL,
        series INTEGER NOT NULL,
        requests INTEGER NOT NULL,
        errors INTEGER NOT NULL,
        clients_left INTEGER NOT NULL,
        tok_in INTEGER NOT NULL,
        tok_out INTEGER NOT NULL,
        tok_cached INTEGER NOT NULL,
        tok_reasoning INTEGER NOT NULL,
        estimated INTEGER NOT NULL,
        unpriced INTEGER NOT NULL,
        duration_us INTEGER NOT NULL,
        ttft_us INTEGER NOT NULL,
        with_ttft INTEGER NOT NULL,
        d0 INTEGER NOT NULL, d1 INTEGER NOT NULL, d2 INTEGER NOT NULL, d3 INTEGER NOT NULL,
        d4 INTEGER NOT NULL, d5 INTEGER NOT NULL, d6 INTEGER NOT NULL, d7 INTEGER NOT NULL,
        d8 INTEGER NOT NULL, d9 INTEGER NOT NULL, d10 INTEGER NOT NULL, d11 INTEGER NOT NULL,
        d12 INTEGER NOT NULL, d13 INTEGER NOT NULL,
        t0 INTEGER NOT NULL, t1 INTEGER NOT NULL, t2 INTEGER NOT NULL, t3 INTEGER NOT NULL,
        t4 INTEGER NOT NULL, t5 INTEGER NOT NULL, t6 INTEGER NOT NULL, t7 INTEGER NOT NULL,
        t8 INTEGER NOT NULL, t9 INTEGER NOT NULL, t10 INTEGER NOT NULL, t11 INTEGER NOT NULL,
        t12 INTEGER NOT NULL, t13 INTEGER NOT NULL,
        PRIMARY KEY (step, kind, start_s, series)
      ) STRICT, WITHOUT ROWID;
      CREATE TABLE money (
        step INTEGER NOT NULL,
        kind INTEGER NOT NULL,
        start_s INTEGER NOT NULL,
        series INTEGER NOT NULL,
        book TEXT NOT NULL,
        currency TEXT NOT NULL,
        nano INTEGER NOT NULL,
        PRIMARY KEY (step, kind, start_s, series, book, currency)
      ) STRICT, WITHOUT ROWID;
    )sql",
};

// ---- adding ----

struct Place {
  UsageStep step;
  Kind kind;
  std::int64_t start_s;
  UsageNames names;
  auto operator<=>(const Place&) const = default;
};
using Sums = std::map<Place, UsageSums>;

std::int64_t floor_to(std::int64_t second, UsageStep step) {
  return second - second % static_cast<std::int64_t>(step);
}

// Where a block has what is summed up.
struct Columns {
  std::size_t account = RecordBlock::name_at(&RecordRow::account);
  std::size_t key = RecordBlock::name_at(&RecordRow::key_id);
  std::size_t feature = RecordBlock::name_at(&RecordRow::feature);
  std::size_t model = RecordBlock::name_at(&RecordRow::model_used);
  std::size_t provider = RecordBlock::name_at(&RecordRow::provider);
  std::size_t final_status = RecordBlock::name_at(&RecordRow::final_status);
  std::size_t charge_currency = RecordBlock::name_at(&RecordRow::charge_currency);
  std::size_t cost_currency = RecordBlock::name_at(&RecordRow::cost_currency);
  std::size_t attempts = RecordBlock::number_at(&RecordRow::attempts);
  std::size_t reported = RecordBlock::number_at(&RecordRow::reported);
  std::size_t tok_in = RecordBlock::number_at(&RecordRow::tok_in);
  std::size_t tok_out = RecordBlock::number_at(&RecordRow::tok_out);
  std::size_t tok_cached = RecordBlock::number_at(&RecordRow::tok_cached);
  std::size_t tok_reasoning = RecordBlock::number_at(&RecordRow::tok_reasoning);
  std::size_t duration_us = RecordBlock::number_at(&RecordRow::duration_us);
  std::size_t ttft_us = RecordBlock::number_at(&RecordRow::ttft_us);
};
const Columns kColumns;

void add(UsageSums& sums, const RecordBlock& block, std::size_t row) {
  const Columns& at = kColumns;
  const auto number = [&](std::size_t column) { return block.number(column, row); };
  sums.requests += 1;
  const std::string_view status = block.text_of_name(at.final_status, row);
  const bool left = status == "client_left";
  sums.clients_left += left;
  sums.errors += !left && status != "ok";
  sums.tok_in += number(at.tok_in);
  sums.tok_out += number(at.tok_out);
  sums.tok_cached += number(at.tok_cached);
  sums.tok_reasoning += number(at.tok_reasoning);
  const auto charge = block.charge_nano(row), cost = block.cost_nano(row);
  const bool called = number(at.attempts) > 0;
  sums.estimated += called && number(at.reported) == 0;
  sums.unpriced += called && !cost;
  sums.duration_us += number(at.duration_us);
  sums.duration.add(number(at.duration_us));
  if (const std::uint64_t ttft_us = number(at.ttft_us); ttft_us > 0) {
    sums.ttft_us += ttft_us;
    sums.with_ttft += 1;
    sums.ttft.add(ttft_us);
  }
  if (charge) {
    sums.charge_nano[std::string(block.text_of_name(at.charge_currency, row))] += *charge;
  }
  if (cost) sums.cost_nano[std::string(block.text_of_name(at.cost_currency, row))] += *cost;
}

void add(UsageSums& sums, const UsageSums& more) {
  for (const Counter& counter : kCounters) sums.*counter.member += more.*counter.member;
  for (const Book& book : kBooks) {
    for (const auto& [currency, nano] : more.*book.member) (sums.*book.member)[currency] += nano;
  }
  for (const Times& times : kTimes) {
    for (std::size_t i = 0; i < Histogram::kBuckets; ++i) {
      (sums.*times.member).counts[i] += (more.*times.member).counts[i];
    }
  }
}

void add(Sums& sums, std::int64_t second, const UsageNames& names, const UsageSums& more) {
  for (const Kind kind : kKinds) {
    UsageNames told;
    for (std::size_t i = 0; i < kUsageBy; ++i) {
      if (tells(kind, static_cast<UsageBy>(i))) told[i] = names[i];
    }
    for (const UsageStep step : kSteps) {
      if (!has(step, kind)) continue;
      add(sums[Place{step, kind, floor_to(second, step), told}], more);
    }
  }
}

// The records from `first` on: those of one minute and the same names are added up before their
// names are looked for among the sums.
void add(Sums& sums, const RecordBlock& block, std::size_t first) {
  constexpr std::int64_t kMinute = static_cast<std::int64_t>(UsageStep::kMinute);
  constexpr unsigned kBits = 10;  // of a place among a block's names
  static_assert(kBlockRecordsMax <= 1u << kBits && 5 * kBits + 11 <= 64);
  const Columns& at = kColumns;
  const std::array columns{at.account, at.key, at.feature, at.model, at.provider};
  std::unordered_map<std::uint64_t, std::pair<std::size_t, UsageSums>> alike;
  std::uint64_t last_key = 0;
  UsageSums* last = nullptr;
  for (std::size_t row = first; row < block.records(); ++row) {
    std::uint64_t key = block.start_ns(row) / (kMinute * 1'000'000'000) % 1440;
    for (const std::size_t column : columns) key = key << kBits | block.name(column, row);
    if (last == nullptr || key != last_key) {
      last = &alike.try_emplace(key, row, UsageSums{}).first->second.second;
      last_key = key;
    }
    add(*last, block, row);
  }
  for (const auto& [key, sum] : alike) {
    const std::size_t row = sum.first;
    UsageNames names;
    for (std::size_t i = 0; i < kUsageBy; ++i) names[i] = block.text_of_name(columns[i], row);
    add(sums, static_cast<std::int64_t>(block.start_ns(row) / 1'000'000'000), names, sum.second);
  }
}

// Calls `use` with the name and the number of each summed column.
template <class Use>
void each_sum(const UsageSums& sums, Use use) {
  for (const Counter& counter : kCounters) use(counter.name, sums.*counter.member);
  for (const Times& times : kTimes) {
    for (std::size_t i = 0; i < Histogram::kBuckets; ++i) {
      use(times.prefix + std::to_string(i), (sums.*times.member).counts[i]);
    }
  }
}

std::string upsert_sql() {
  std::string names, marks, changes;
  each_sum({}, [&](const std::string& name, std::uint64_t) {
    names += ", " + name;
    marks += ",?";
    changes += (changes.empty() ? "" : ", ") + name + " = sums." + name + " + excluded." + name;
  });
  return "INSERT INTO sums (step, kind, start_s, series" + names + ") VALUES (?,?,?,?" + marks +
         ") ON CONFLICT (step, kind, start_s, series) DO UPDATE SET " + changes;
}

constexpr char kUpsertMoney[] =
    "INSERT INTO money (step, kind, start_s, series, book, currency, nano) VALUES (?,?,?,?,?,?,?) "
    "ON CONFLICT (step, kind, start_s, series, book, currency) "
    "DO UPDATE SET nano = money.nano + excluded.nano";

// Writes sums; series get their numbers as they are met.
class Adder {
 public:
  explicit Adder(Database& database)
      : find_(database.prepare("SELECT id FROM series WHERE account = ? AND key_id = ? AND "
                               "feature = ? AND model = ? AND provider = ?")),
        make_(database.prepare("INSERT INTO series (account, key_id, feature, model, provider) "
                               "VALUES (?,?,?,?,?)")),
        sums_(database.prepare(upsert_sql().c_str())),
        money_(database.prepare(kUpsertMoney)) {}

  Result<void> add(const Place& place, const UsageSums& sums) {
    const auto series = number_of(place.names);
    if (!series) return series.error();
    begin(*sums_, place, *series);
    each_sum(sums, [&](const std::string&, std::uint64_t number) { sums_->bind(number); });
    if (auto ran = finish(*sums_); !ran) return ran;
    for (const Book& book : kBooks) {
      for (const auto& [currency, nano] : sums.*book.member) {
        begin(*money_, place, *series);
        money_->bind(std::string_view(book.name)).bind(std::string_view(currency)).bind(nano);
        if (auto ran = finish(*money_); !ran) return ran;
      }
    }
    return {};
  }

 private:
  static void begin(Statement& statement, const Place& place, std::int64_t series) {
    statement.bind(static_cast<std::int64_t>(place.step));
    statement.bind(static_cast<std::int64_t>(place.kind)).bind(place.start_s).bind(series);
  }
  static Result<void> finish(Statement& statement) {
    auto ran = statement.run();
    statement.reset();
    return ran;
  }

  Result<std::int64_t> number_of(const UsageNames& names) {
    if (const auto known = known_.find(names); known != known_.end()) return known->second;
    auto number = look_up(names);
    if (number && *number == 0) {
      for (const std::string& name : names) make_->bind(std::string_view(name));
      const auto made = finish(*make_);
      if (!made) return made.error();
      number = look_up(names);
    }
    if (number) known_[names] = *number;
    return number;
  }

  Result<std::int64_t> look_up(const UsageNames& names) {
    for (const std::string& name : names) find_->bind(std::string_view(name));
    const auto row = find_->step();
    const std::int64_t number = row && *row ? find_->number(0) : 0;
    find_->reset();
    if (!row) return row.error();
    return number;
  }

  std::unique_ptr<Statement> find_, make_, sums_, money_;
  std::map<UsageNames, std::int64_t> known_;
};

// ---- asking ----

Kind kind_for(const UsageQuery& query) {
  const auto suits = [&query](Kind kind) {
    return has(query.step, kind) &&
           std::all_of(query.by.begin(), query.by.end(),
                       [kind](UsageBy by) { return tells(kind, by); }) &&
           std::all_of(query.only.begin(), query.only.end(),
                       [kind](const auto& only) { return tells(kind, only.first); });
  };
  return *std::find_if(kKinds.begin(), kKinds.end(), suits);
}

const char* name_of(UsageBy by) { return kNames[static_cast<std::size_t>(by)]; }

// " FROM ... WHERE ... GROUP BY ...", for the sums and for the money alike.
std::string source_sql(const char* table, const UsageQuery& query, const char* more_groups) {
  std::string sql = std::string(" FROM ") + table +
                    " r JOIN series s ON s.id = r.series WHERE r.step = ? AND r.kind = ? AND "
                    "r.start_s >= ? AND r.start_s < ?";
  for (const auto& [by, values] : query.only) {
    sql += std::string(" AND s.") + name_of(by) + " IN (";
    for (std::size_t i = 0; i < values.size(); ++i) sql += i == 0 ? "?" : ",?";
    sql += ')';
  }
  sql += " GROUP BY r.start_s";
  for (const UsageBy by : query.by) sql += std::string(", s.") + name_of(by);
  return sql + more_groups;
}

std::string group_columns(const UsageQuery& query) {
  std::string columns = "r.start_s";
  for (const UsageBy by : query.by) columns += std::string(", s.") + name_of(by);
  return columns;
}

void bind_query(Statement& statement, const UsageQuery& query) {
  const auto width = static_cast<std::int64_t>(query.step);
  statement.bind(width).bind(static_cast<std::int64_t>(kind_for(query)));
  statement.bind(floor_to(query.from_s, query.step));
  statement.bind(floor_to(query.to_s + width - 1, query.step));
  for (const auto& [by, values] : query.only) {
    for (const std::string& value : values) statement.bind(std::string_view(value));
  }
}

using Group = std::pair<std::int64_t, UsageNames>;

Group read_group(const Statement& statement, const UsageQuery& query, int& column) {
  Group group;
  group.first = statement.number(column++);
  for (const UsageBy by : query.by) {
    group.second[static_cast<std::size_t>(by)] = statement.text(column++);
  }
  return group;
}

std::string sums_sql(const UsageQuery& query) {
  std::string sql = "SELECT " + group_columns(query);
  for (const Counter& counter : kCounters) sql += std::string(", SUM(r.") + counter.name + ")";
  for (const Times& times : kTimes) {
    if (!query.histograms) break;
    for (std::size_t i = 0; i < Histogram::kBuckets; ++i) {
      sql += std::string(", SUM(r.") + times.prefix + std::to_string(i) + ")";
    }
  }
  return sql + source_sql("sums", query, "");
}

UsageSums read_sums(const Statement& statement, const UsageQuery& query, int column) {
  UsageSums sums;
  const auto next = [&] { return static_cast<std::uint64_t>(statement.number(column++)); };
  for (const Counter& counter : kCounters) sums.*counter.member = next();
  for (const Times& times : kTimes) {
    if (!query.histograms) break;
    for (std::uint64_t& count : (sums.*times.member).counts) count = next();
  }
  return sums;
}

// Clears the deadline of a connection at its end.
class Deadline {
 public:
  Deadline(Database& database, std::chrono::milliseconds time) : database_(database) {
    database_.set_deadline(std::chrono::steady_clock::now() + time);
  }
  ~Deadline() { database_.set_deadline(std::nullopt); }
  Deadline(const Deadline&) = delete;
  Deadline& operator=(const Deadline&) = delete;

 private:
  Database& database_;
};

}  // namespace

// ---- histograms ----

namespace {
constexpr std::uint64_t kFirstBucketUs = 25'000;
}

void Histogram::add(std::uint64_t us) {
  const std::uint64_t widths = (std::max<std::uint64_t>(us, 1) - 1) / kFirstBucketUs;
  counts[std::min<std::size_t>(std::bit_width(widths), kBuckets - 1)] += 1;
}

std::uint64_t Histogram::quantile_us(unsigned per_mille) const {
  std::uint64_t all = 0;
  for (const std::uint64_t count : counts) all += count;
  if (all == 0) return 0;
  const std::uint64_t rank = std::max<std::uint64_t>((all * per_mille + 999) / 1000, 1);
  std::uint64_t below = 0;
  for (std::size_t i = 0; i < kBuckets; ++i) {
    if (below + counts[i] < rank) {
      below += counts[i];
      continue;
    }
    const std::uint64_t from = i == 0 ? 0 : kFirstBucketUs << (i - 1);
    const std::uint64_t to = kFirstBucketUs << i;
    return from + (to - from) * (rank - below) / counts[i];
  }
  return 0;
}

// ---- the file ----

Rollups::Rollups(std::unique_ptr<Database> database) : database_(std::move(database)) {}

Result<std::unique_ptr<Rollups>> Rollups::open(const std::filesystem::path& file) {
  // Whoever asks before the first record finds nothing, which is no fault.
  const std::string directory = file.parent_path();
  if (mkdir(directory.c_str(), 0700) != 0 && errno != EEXIST) {
    return Error{directory + ": " + std::strerror(errno)};
  }
  auto opened = Database::open_sqlite(file, kMigrations);
  if (!opened && says_damaged(opened.error())) {
    // What there are details of is added again.
    const std::filesystem::path aside = file.string() + ".damaged";
    spdlog::error("usage_damaged file={} moved_to={}", file.string(), aside.string());
    std::error_code ignored;
    std::filesystem::rename(file, aside, ignored);
    for (const char* beside : {"-wal", "-shm"}) {
      std::filesystem::remove(file.string() + beside, ignored);
    }
    opened = Database::open_sqlite(file, kMigrations);
  }
  if (!opened) return opened.error();
  const auto relaxed = (*opened)->run("PRAGMA synchronous = NORMAL");
  if (!relaxed) return relaxed.error();
  return std::unique_ptr<Rollups>(new Rollups(std::move(*opened)));
}

Result<void> Rollups::add_from(Database& day) {
  std::string file;
  {
    const auto held = day.lock();
    const auto self = day.prepare("SELECT id FROM self");
    const auto row = self->step();
    if (!row) return row.error();
    file = self->text(0);
  }
  while (true) {
    const auto added = database_->transact([&] { return add_some(day, file); });
    if (!added) return added.error();
    if (*added < kAtOnce) return {};
  }
}

namespace {

// What an earlier version wrote: none, or all of it is before the first block. `seq` goes along.
Result<std::size_t> sum_rows(Database& day, std::int64_t& seq, Sums& sums) {
  const auto held = day.lock();
  const std::string sql = "SELECT seq, " + RecordColumns::names(false) +
                          " FROM records WHERE seq > ? ORDER BY seq LIMIT ?";
  const auto read = day.prepare(sql.c_str());
  read->bind(seq).bind(kAtOnce);
  std::vector<RecordRow> rows;
  std::size_t records = 0;
  const auto add_rows = [&] {
    if (rows.empty()) return true;
    const EncodedBlock encoded = encode_block(rows);
    RecordBlock block;
    if (!block.open_names(encoded.names)) return false;
    if (!block.open_columns(encoded.columns, rows.size())) return false;
    add(sums, block, 0);
    records += rows.size();
    rows.clear();
    return true;
  };
  while (true) {
    const auto row = read->step();
    if (!row) return row.error();
    if (!*row || rows.size() == kBlockRecordsMax) {
      if (!add_rows()) return damaged(day, seq);
    }
    if (!*row) return records;
    seq = read->number(0);
    RecordColumns::read(*read, 1, false, rows.emplace_back());
  }
}

Result<std::size_t> sum_blocks(Database& day, std::int64_t& seq, Sums& sums) {
  const auto held = day.lock();
  // The first may have been added in part: it grew.
  const auto read = day.prepare(
      "SELECT b.seq, b.records, b.names, c.columns FROM blocks b JOIN block_columns c ON "
      "c.seq = b.seq WHERE b.seq > ? AND b.seq + b.records > ? ORDER BY b.seq");
  read->bind(seq - static_cast<std::int64_t>(kBlockRecordsMax)).bind(seq + 1);
  std::size_t records = 0;
  while (records < kAtOnce) {
    const auto row = read->step();
    if (!row) return row.error();
    if (!*row) break;
    const std::int64_t begin = read->number(0), size = read->number(1);
    const std::string names = read->blob(2), columns = read->blob(3);
    RecordBlock block;
    if (!block.open_names(names) || !block.open_columns(columns, static_cast<std::size_t>(size))) {
      return damaged(day, begin);
    }
    const std::int64_t first = std::max<std::int64_t>(seq + 1 - begin, 0);
    add(sums, block, static_cast<std::size_t>(first));
    records += static_cast<std::size_t>(size - first);
    seq = begin + size - 1;
  }
  return records;
}

}  // namespace

// Within a transaction that is the only writer, so that the place read is the one written over.
Result<std::size_t> Rollups::add_some(Database& day, const std::string& file) {
  const auto place = database_->prepare("SELECT seq FROM files WHERE id = ?");
  const auto known = place->bind(std::string_view(file)).step();
  if (!known) return known.error();
  std::int64_t seq = *known ? place->number(0) : 0;
  place->reset();

  Sums sums;
  const auto records = sum_rows(day, seq, sums);
  if (!records) return records.error();
  Result<std::size_t> more = std::size_t{0};
  if (*records < kAtOnce) more = sum_blocks(day, seq, sums);
  if (!more) return more.error();
  if (*records + *more == 0) return std::size_t{0};
  Adder adder(*database_);
  for (const auto& [at, sum] : sums) {
    const auto added = adder.add(at, sum);
    if (!added) return added.error();
  }
  const auto moved = database_->prepare(
      "INSERT INTO files VALUES (?,?) ON CONFLICT (id) DO UPDATE SET seq = excluded.seq");
  const auto ran = moved->bind(std::string_view(file)).bind(seq).run();
  if (!ran) return ran.error();
  return *records + *more;
}

Result<void> Rollups::remove_before(std::int64_t start_s, std::int64_t minutes_start_s) {
  return database_->transact([&]() -> Result<void> {
    for (const char* table : {"sums", "money"}) {
      for (const UsageStep step : kSteps) {
        const std::string sql =
            std::string("DELETE FROM ") + table + " WHERE step = ? AND kind = ? AND start_s < ?";
        const auto remove = database_->prepare(sql.c_str());
        for (const Kind kind : kKinds) {
          remove->bind(static_cast<std::int64_t>(step)).bind(static_cast<std::int64_t>(kind));
          remove->bind(step == UsageStep::kMinute ? std::max(start_s, minutes_start_s) : start_s);
          if (auto ran = remove->run(); !ran) return ran;
          remove->reset();
        }
      }
    }
    return {};
  });
}

Result<std::vector<UsageRow>> Rollups::usage(const UsageQuery& query) {
  const auto held = database_->lock();
  const Deadline deadline(*database_, query.time_max);
  std::map<Group, UsageSums> groups;
  const auto sums = database_->prepare(sums_sql(query).c_str());
  bind_query(*sums, query);
  while (true) {
    const auto row = sums->step();
    if (!row) return row.error();
    if (!*row) break;
    if (groups.size() == query.rows_max) {
      return Error{"more than " + std::to_string(query.rows_max) +
                   " rows; a larger step, a shorter time or fewer names in by give less"};
    }
    int column = 0;
    Group group = read_group(*sums, query, column);
    groups[std::move(group)] = read_sums(*sums, query, column);
  }
  const std::string money_sql = "SELECT " + group_columns(query) +
                                ", r.book, r.currency, SUM(r.nano)" +
                                source_sql("money", query, ", r.book, r.currency");
  const auto money = database_->prepare(money_sql.c_str());
  bind_query(*money, query);
  while (true) {
    const auto row = money->step();
    if (!row) return row.error();
    if (!*row) break;
    int column = 0;
    const auto group = groups.find(read_group(*money, query, column));
    if (group == groups.end()) continue;
    const std::string name = money->text(column);
    for (const Book& book : kBooks) {
      if (name != book.name) continue;
      (group->second.*book.member)[money->text(column + 1)] = money->number(column + 2);
    }
  }
  std::vector<UsageRow> rows;
  for (auto& [group, total] : groups) {
    rows.push_back({group.first, group.second, std::move(total)});
  }
  return rows;
}

}  // namespace switchyard::store
