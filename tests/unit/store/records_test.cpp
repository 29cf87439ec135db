#include "core/store/records.hpp"

#include <fcntl.h>
#include <spdlog/spdlog.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>

#include "../scratch.hpp"
#include "core/store/record_block.hpp"
#include "core/store/record_search.hpp"
#include "core/store/rollups.hpp"
#include "faulty_vfs.hpp"

using namespace switchyard;
using namespace switchyard::store;
namespace fs = std::filesystem;

namespace {

constexpr std::uint64_t kSecond = 1'000'000'000;
constexpr std::uint64_t kHour = 3600 * kSecond;
constexpr std::uint64_t kDay = 24 * kHour;

// 2026-11-21T00:00:00Z
const std::uint64_t kMidnight = *day_begin_ns("2026-11-21");

RecordRow row(const std::string& id, std::uint64_t start_ns) {
  RecordRow made;
  made.id = id;
  made.start_ns = start_ns;
  made.account = "default";
  made.key_id = "key_1";
  made.model_used = "gpt-x";
  made.model_asked = "fast";
  made.provider = "openai";
  made.status = 200;
  made.attempts = 1;
  made.final_status = "ok";
  made.duration_us = 30'000;
  made.tok_in = 10;
  made.reported = 1;
  return made;
}

RecordRow failure(const std::string& id, std::uint64_t start_ns, const std::string& error) {
  RecordRow made = row(id, start_ns);
  made.status = 502;
  made.final_status = "upstream_error";
  made.error_text = error;
  return made;
}

std::unique_ptr<Records> open(const Scratch& scratch, const RecordLimits& limits = {}) {
  return std::make_unique<Records>(scratch.path(), limits);
}

void write(Records& records, const std::vector<RecordRow>& rows) {
  const auto written = records.write(rows);
  if (!written.result) FAIL(written.result.error().message);
  REQUIRE(written.records == rows.size());
  REQUIRE(records.sum_up());
}

std::vector<std::string> ids(const std::vector<RecordRow>& rows) {
  std::vector<std::string> all;
  for (const RecordRow& each : rows) all.push_back(each.id);
  return all;
}

RecordPage find(const Scratch& scratch, const RecordFilter& filter = {},
                std::optional<RecordPlace> after = {}, std::size_t rows_max = 100) {
  SearchLimits limits;
  limits.rows_max = rows_max;
  limits.time_max = std::chrono::seconds(60);
  auto page = find_records(scratch.path(), filter, after, limits);
  if (!page) FAIL(page.error().message);
  return std::move(*page);
}

std::vector<UsageRow> usage(const Scratch& scratch, UsageQuery query = {}) {
  auto rollups = Rollups::open(usage_file(scratch.path()));
  if (!rollups) FAIL(rollups.error().message);
  if (query.to_s == 0) query.to_s = static_cast<std::int64_t>((kMidnight + 30 * kDay) / kSecond);
  query.time_max = std::chrono::seconds(60);
  auto rows = (*rollups)->usage(query);
  if (!rows) FAIL(rows.error().message);
  return std::move(*rows);
}

std::uint64_t requests(const Scratch& scratch) {
  std::uint64_t sum = 0;
  for (const UsageRow& each : usage(scratch)) sum += each.sums.requests;
  return sum;
}

void overwrite(const fs::path& file, std::string_view bytes) {
  for (const char* beside : {"-wal", "-shm"}) fs::remove(file.string() + beside);
  std::ofstream(file, std::ios::binary | std::ios::trunc) << bytes;
}

}  // namespace

TEST_CASE("records: a record comes back with every field, and unknown is not zero",
          "[unit][store][records]") {
  const Scratch scratch;
  RecordRow whole = row("req_1", kMidnight + 123'456'789);
  std::uint64_t number = 7;
  for (const auto& column : RecordColumns::numbers()) {
    if (column.member != &RecordRow::start_ns) whole.*column.member = number++;
  }
  for (const auto& column : RecordColumns::texts()) {
    whole.*column.member = std::string(column.name) + " '\"\n\xc3\xa9";
  }
  whole.charge_nano = -1;
  whole.cost_nano = std::nullopt;
  const auto records = open(scratch);
  write(*records, {whole});
  CHECK((fs::status(record_file(scratch.path(), "2026-11-21")).permissions() & fs::perms::all) ==
        (fs::perms::owner_read | fs::perms::owner_write));

  const auto found = find_record(scratch.path(), whole.id);
  REQUIRE(found);
  REQUIRE(*found);
  for (const auto& column : RecordColumns::numbers()) {
    CAPTURE(column.name);
    CHECK((**found).*column.member == whole.*column.member);
  }
  for (const auto& column : RecordColumns::texts()) {
    CAPTURE(column.name);
    CHECK((**found).*column.member == whole.*column.member);
  }
  CHECK((**found).charge_nano == -1);
  CHECK_FALSE((**found).cost_nano);
  const auto none = find_record(scratch.path(), "req_2");
  REQUIRE(none);
  CHECK_FALSE(*none);
}

TEST_CASE("records: pages go on over midnight and leave nothing out", "[unit][store][records]") {
  const Scratch scratch;
  const auto records = open(scratch);
  // Written in the order in which requests end, of which two began in the same nanosecond.
  write(*records, {row("a", kMidnight - 3 * kSecond), row("d", kMidnight + kSecond),
                   row("b", kMidnight - kSecond), row("c", kMidnight), row("c2", kMidnight)});
  write(*records, {row("e", kMidnight + kDay), row("late", kMidnight - 2 * kSecond)});
  const std::vector<std::string> newest{"e", "d", "c2", "c", "b", "late", "a"};
  CHECK(ids(find(scratch).rows) == newest);
  for (std::size_t size = 1; size <= newest.size(); ++size) {
    CAPTURE(size);
    std::vector<std::string> all;
    std::optional<RecordPlace> after;
    do {
      const RecordPage page = find(scratch, {}, after, size);
      REQUIRE(page.rows.size() <= size);
      for (const RecordRow& each : page.rows) all.push_back(each.id);
      after = page.next;
      if (after) after = parse_record_place(to_text(*after));
    } while (after);
    CHECK(all == newest);
  }
  RecordFilter filter;
  filter.from_ns = kMidnight - kSecond;
  filter.to_ns = kMidnight + kSecond;
  CHECK(ids(find(scratch, filter).rows) == std::vector<std::string>{"c2", "c", "b"});
}

TEST_CASE("records: a page's end that was not ours is no place", "[unit][store][records]") {
  for (const char* text : {"", "-", "1", "1-", "-1", "a-1", "1-a", "1--1", "1-1 ",
                           "99999999999999999999-1", "1-99999999999999999999"}) {
    CAPTURE(text);
    CHECK_FALSE(parse_record_place(text));
  }
  for (const char* text :
       {"", "2026-11-2", "2026-13-01", "2026-02-30", "2026-11-211", "1969-01-01"}) {
    CAPTURE(text);
    CHECK_FALSE(day_begin_ns(text));
  }
}

TEST_CASE("records: what is searched for is text, not a pattern", "[unit][store][records]") {
  const Scratch scratch;
  const auto records = open(scratch);
  write(*records, {failure("percent", kMidnight, "100% of the quota"),
                   failure("letters", kMidnight + 1, "100 of the quota"),
                   failure("under", kMidnight + 2, "max_tokens\\n"),
                   failure("dash", kMidnight + 3, "max-tokens"), row("ok", kMidnight + 4)});
  const auto with = [&](const char* error) {
    RecordFilter filter;
    filter.error = error;
    return ids(find(scratch, filter).rows);
  };
  CHECK(with("100%") == std::vector<std::string>{"percent"});
  CHECK(with("max_t") == std::vector<std::string>{"under"});
  CHECK(with("\\") == std::vector<std::string>{"under"});
  CHECK(with("QUOTA") == std::vector<std::string>{"letters", "percent"});
  CHECK(with("' OR 1=1 --").empty());
}

TEST_CASE("records: filters fit together", "[unit][store][records]") {
  const Scratch scratch;
  const auto records = open(scratch);
  RecordRow dear = row("dear", kMidnight + 1);
  dear.cost_nano = 5'000'000'000;
  dear.cost_currency = "USD";
  dear.duration_us = 900'000;
  dear.account = "acme";
  RecordRow cheap = dear;
  cheap.id = "cheap";
  cheap.cost_nano = 0;
  cheap.model_used = "mini";
  write(*records,
        {dear, cheap, row("unpriced", kMidnight + 2), failure("bad", kMidnight + 3, "x")});
  const auto with = [&](const auto& set) {
    RecordFilter filter;
    set(filter);
    return ids(find(scratch, filter).rows);
  };
  using Ids = std::vector<std::string>;
  CHECK(with([](auto& f) { f.accounts = {"acme", "other"}; }) == Ids{"cheap", "dear"});
  CHECK(with([](auto& f) { f.accounts = {"acme"}, f.model_used = "mini"; }) == Ids{"cheap"});
  CHECK(with([](auto& f) { f.cost_nano_max = 1; }) == Ids{"cheap"});
  CHECK(with([](auto& f) { f.cost_nano_min = 1; }) == Ids{"dear"});
  CHECK(with([](auto& f) { f.duration_us_min = 30'001; }) == Ids{"cheap", "dear"});
  CHECK(with([](auto& f) { f.status = 502; }) == Ids{"bad"});
  CHECK(with([](auto& f) { f.failed = true; }) == Ids{"bad"});
  CHECK(with([](auto& f) { f.final_status = "ok", f.key_id = "key_1"; }) ==
        Ids{"unpriced", "cheap", "dear"});
  CHECK(with([](auto& f) { f.key_id = "key_2"; }).empty());
}

TEST_CASE("records: a search that takes too long says so, or how far it came",
          "[unit][store][records]") {
  const Scratch scratch;
  const auto records = open(scratch);
  std::vector<RecordRow> many;
  for (int i = 0; i < 5000; ++i) many.push_back(row("r" + std::to_string(i), kMidnight + 1));
  write(*records, many);
  RecordFilter filter;
  filter.task = "none";
  SearchLimits limits;
  limits.time_max = std::chrono::milliseconds(0);
  const auto page = find_records(scratch.path(), filter, {}, limits);
  REQUIRE_FALSE(page);
  CHECK(page.error().message.find("2026-11-21 took more than 0 ms") != std::string::npos);

  // A small day is done before the clock is looked at: the page ends where that one begins.
  write(*records, {row("next day", kMidnight + kDay + 5)});
  const auto part = find_records(scratch.path(), filter, {}, limits);
  REQUIRE(part);
  CHECK(part->rows.empty());
  REQUIRE(part->next);
  CHECK(part->next->start_ns == kMidnight + kDay);
  // What was found goes out before that.
  filter.task = "";
  limits.rows_max = 10'000;
  const auto found = find_records(scratch.path(), filter, {}, limits);
  REQUIRE(found);
  REQUIRE(found->rows.size() > 1);
  REQUIRE(found->next);
  CHECK(found->next->seq == found->rows.back().seq);
}

TEST_CASE("records: old days go, and the oldest where all are too large",
          "[unit][store][records]") {
  const Scratch scratch;
  RecordLimits limits;
  limits.keep = std::chrono::hours(48);
  auto records = open(scratch, limits);
  for (std::uint64_t day = 0; day < 4; ++day) write(*records, {row("r", kMidnight + day * kDay)});
  using Days = std::vector<std::string>;
  REQUIRE(record_days(scratch.path()).size() == 4);
  scratch.write("2026-11-20.db.damaged", "x");
  scratch.write("notes.txt", "not ours");
  REQUIRE(records->tidy(kMidnight + 3 * kDay - 1));
  CHECK(record_days(scratch.path()).size() == 4);
  REQUIRE(records->tidy(kMidnight + 3 * kDay));
  CHECK(record_days(scratch.path()) == Days{"2026-11-22", "2026-11-23", "2026-11-24"});
  CHECK_FALSE(fs::exists(scratch.path() / "2026-11-20.db.damaged"));
  CHECK_FALSE(fs::exists(scratch.path() / "2026-11-21.db-wal"));
  CHECK(fs::exists(scratch.path() / "notes.txt"));
  CHECK(requests(scratch) == 4);  // sums outlive the details

  limits.size_max = 1000;
  for (const char* end : {"", "-wal", "-shm"}) {
    limits.size_max += fs::file_size(record_file(scratch.path(), "2026-11-24").string() + end);
  }
  records->set_limits(limits);
  REQUIRE(records->tidy(kMidnight + 3 * kDay));
  CHECK(record_days(scratch.path()) == Days{"2026-11-24"});
  write(*records, {row("still", kMidnight + 3 * kDay)});

  limits.size_max = 1;
  records->set_limits(limits);
  REQUIRE(records->tidy(kMidnight + 3 * kDay));
  CHECK(record_days(scratch.path()) == Days{"2026-11-24"});  // never the day that it is
  const auto refused = records->write(std::vector{row("more", kMidnight + 3 * kDay)});
  CHECK(refused.records == 0);
  REQUIRE_FALSE(refused.result);
  CHECK(refused.result.error().message.find("records.size_max") != std::string::npos);
  limits.usage_keep = std::chrono::hours(24);
  records->set_limits(limits);
  REQUIRE(records->tidy(kMidnight + 4 * kDay));
  CHECK(requests(scratch) == 2);
}

TEST_CASE("records: a torn file is set aside and the day goes on", "[unit][store][records]") {
  spdlog::set_level(spdlog::level::off);
  const Scratch scratch;
  write(*open(scratch), {row("before", kMidnight), row("other day", kMidnight + kDay)});
  const fs::path file = record_file(scratch.path(), "2026-11-21");
  SECTION("of no database") { overwrite(file, std::string(8192, 'x')); }
  SECTION("cut off within the schema") {
    fs::resize_file(file, 5000);
    for (const char* beside : {"-wal", "-shm"}) fs::remove(file.string() + beside);
  }
  const RecordPage page = find(scratch);
  CHECK(ids(page.rows) == std::vector<std::string>{"other day"});
  CHECK(page.unreadable == std::vector<std::string>{"2026-11-21"});

  const auto records = open(scratch);
  write(*records, {row("after", kMidnight + 1)});
  CHECK(ids(find(scratch).rows) == std::vector<std::string>{"other day", "after"});
  CHECK(fs::exists(scratch.path() / "2026-11-21.db.damaged"));
  CHECK(requests(scratch) == 3);  // what was summed up of the torn one stays
  spdlog::set_level(spdlog::level::info);
}

TEST_CASE("records: a full disk costs no earlier record, and none is summed up twice",
          "[unit][store][records]") {
  const Scratch scratch;
  write(*open(scratch), {row("before", kMidnight)});
  // The limit stands for the disk, and is for good: in a process of its own.
  const pid_t child = fork();
  if (child == 0) {
    std::signal(SIGXFSZ, SIG_IGN);
    Records records(scratch.path(), {});
    const rlimit small{200'000, 200'000};
    if (setrlimit(RLIMIT_FSIZE, &small) != 0) _exit(2);
    std::vector<RecordRow> rows(20, row("many", kMidnight + 1));
    for (RecordRow& each : rows) each.error_text = std::string(1000, 'x');
    for (int i = 0; i < 100; ++i) {
      const auto written = records.write(rows);
      (void)records.sum_up().has_value();
      if (!written.result) _exit(written.records == 0 ? 0 : 3);
    }
    _exit(4);
  }
  int status = 0;
  REQUIRE(waitpid(child, &status, 0) == child);
  REQUIRE(WIFEXITED(status));
  REQUIRE(WEXITSTATUS(status) == 0);

  const auto records = open(scratch);
  write(*records, {row("after", kMidnight + 2)});
  const RecordPage page = find(scratch, {}, {}, 100'000);
  CHECK(page.rows.front().id == "after");
  CHECK(page.rows.back().id == "before");
  CHECK(page.rows.size() % 20 == 2);  // whole batches
  CHECK(requests(scratch) == page.rows.size());
}

TEST_CASE("records: what was written and not summed up is added once", "[unit][store][records]") {
  const Scratch scratch;
  write(*open(scratch), {row("one", kMidnight), row("two", kMidnight + kDay)});
  CHECK(requests(scratch) == 2);
  SECTION("again and again") {
    const auto rollups = std::move(*Rollups::open(usage_file(scratch.path())));
    const auto day = std::move(*open_record_day(record_file(scratch.path(), "2026-11-21")));
    for (int i = 0; i < 3; ++i) REQUIRE(rollups->add_from(*day));
    CHECK(requests(scratch) == 2);
  }
  SECTION("after the sums were lost") {
    for (const char* end : {"", "-wal", "-shm"})
      fs::remove(usage_file(scratch.path()).string() + end);
    REQUIRE(open(scratch)->sum_up());
    CHECK(requests(scratch) == 2);
  }
  SECTION("after they were torn") {
    spdlog::set_level(spdlog::level::off);
    overwrite(usage_file(scratch.path()), std::string(8192, 'x'));
    REQUIRE(open(scratch)->sum_up());
    spdlog::set_level(spdlog::level::info);
    CHECK(requests(scratch) == 2);
  }
  SECTION("by two writers at a time") {
    const auto one = open(scratch);
    const auto other = open(scratch);
    for (std::uint64_t i = 0; i < 10; ++i) {
      write(*one, {row("x", kMidnight + i)});
      write(*other, {row("y", kMidnight + i)});
    }
    CHECK(requests(scratch) == 22);
  }
}

TEST_CASE("records: sums are told apart by what is asked", "[unit][store][records]") {
  const Scratch scratch;
  RecordRow a = row("a", kMidnight);
  a.charge_nano = 2'000'000'000;
  a.charge_currency = "USD";
  a.cost_nano = 7;
  a.cost_currency = "CNY";
  a.duration_us = 100'000;
  a.ttft_us = 50'000;
  RecordRow b = row("b", kMidnight + kHour);
  b.account = "acme";
  b.model_used = "mini";
  b.reported = 0;
  RecordRow refused = failure("refused", kMidnight + kHour, "no such model");
  refused.attempts = 0;
  refused.model_used = refused.provider = "";
  refused.final_status = "client_error";
  RecordRow left = row("left", kMidnight + kDay);
  left.final_status = "client_left";
  write(*open(scratch), {a, b, refused, left});

  UsageQuery days;
  const auto total = usage(scratch, days);
  REQUIRE(total.size() == 2);
  CHECK(total[0].start_s == static_cast<std::int64_t>(kMidnight / kSecond));
  const UsageSums& day = total[0].sums;
  CHECK(day.requests == 3);
  CHECK(day.errors == 1);
  CHECK(day.clients_left == 0);
  CHECK(day.tok_in == 30);
  CHECK(day.estimated == 1);
  CHECK(day.unpriced == 1);
  CHECK(day.duration_us == 160'000);
  CHECK(day.with_ttft == 1);
  CHECK(day.charge_nano.at("USD") == 2'000'000'000);
  CHECK(day.cost_nano.at("CNY") == 7);
  CHECK(total[1].sums.clients_left == 1);
  CHECK(total[1].sums.errors == 0);

  UsageQuery by;
  by.step = UsageStep::kHour;
  by.by = {UsageBy::kModel, UsageBy::kAccount};
  by.to_s = static_cast<std::int64_t>((kMidnight + kDay) / kSecond);
  const auto hours = usage(scratch, by);
  REQUIRE(hours.size() == 3);
  CHECK(hours[0].names == UsageNames{"default", "", "", "gpt-x", ""});
  CHECK(hours[1].start_s == hours[0].start_s + 3600);
  CHECK(hours[1].names == UsageNames{"acme", "", "", "mini", ""});
  CHECK(hours[2].names == UsageNames{"default", "", "", "", ""});

  UsageQuery only;
  only.only[UsageBy::kProvider] = {"openai"};
  only.only[UsageBy::kKey] = {"key_1", "key_2"};
  only.histograms = true;
  const auto some = usage(scratch, only);
  REQUIRE(some.size() == 2);
  CHECK(some[0].sums.requests == 2);
  CHECK(some[0].sums.duration.quantile_us(500) == 50'000);
  CHECK(some[0].sums.duration.quantile_us(950) == 100'000);
  only.only[UsageBy::kKey] = {"key_2"};
  CHECK(usage(scratch, only).empty());

  UsageQuery few;
  few.by = {UsageBy::kModel};
  few.rows_max = 2;
  few.to_s = by.to_s;
  const auto rollups = std::move(*Rollups::open(usage_file(scratch.path())));
  const auto refusal = rollups->usage(few);
  REQUIRE_FALSE(refusal);
  CHECK(refusal.error().message.find("more than 2 rows") != std::string::npos);
}

TEST_CASE("records: a block is read as it was written, and never beyond its end",
          "[unit][store][records]") {
  std::vector<RecordRow> rows;
  for (int i = 0; i < 300; ++i) {
    RecordRow each = i % 7 == 0 ? failure("r" + std::to_string(i), kMidnight + kDay / 2, "broken")
                                : row("r" + std::to_string(i), kMidnight);
    each.start_ns += static_cast<std::uint64_t>(i * i) * 1'000'003;
    each.key_id = "key_" + std::to_string(i);
    each.cost_nano = i % 3 == 0 ? std::nullopt : std::optional<std::int64_t>(-i);
    each.tok_in = i == 5 ? UINT64_MAX : 3;
    if (i == 9) each.plan = "{}";
    rows.push_back(std::move(each));
  }
  const EncodedBlock encoded = encode_block(rows);
  CHECK(encoded.failed == 43);
  CHECK(encoded.start_min == kMidnight + 1'000'003);
  RecordBlock block;
  REQUIRE(block.open_names(encoded.names));
  REQUIRE(block.open_columns(encoded.columns, rows.size()));
  REQUIRE(block.open_texts(encoded.texts));
  REQUIRE(block.open_errors(encoded.errors, rows.size()));
  REQUIRE(block.open_rare(encoded.rare));
  for (std::size_t i = 0; i < rows.size(); ++i) {
    CAPTURE(i);
    const RecordRow read = block.row(i, true);
    CHECK(read.id == rows[i].id);
    CHECK(read.key_id == rows[i].key_id);
    CHECK(read.start_ns == rows[i].start_ns);
    CHECK(read.cost_nano == rows[i].cost_nano);
    CHECK(read.tok_in == rows[i].tok_in);
    CHECK(read.error_text == rows[i].error_text);
    CHECK(read.plan == rows[i].plan);
    CHECK(rows_of_hash(encoded.hashes, id_hash(rows[i].id)) == std::vector<std::size_t>{i});
  }
  CHECK(block.row(9, false).plan.empty());

  // Cut anywhere it is refused, or read as less than it was; never beyond its end.
  for (std::size_t end = 0; end < encoded.names.size(); end += 97) {
    CHECK_FALSE(RecordBlock().open_names(std::string(encoded.names, 0, end)));
  }
  for (std::size_t end = 0; end < encoded.columns.size(); end += 97) {
    const std::string cut(encoded.columns, 0, end);
    RecordBlock torn = block;
    CHECK_FALSE(torn.open_columns(cut, rows.size()));
  }
  for (std::size_t end = 0; end < encoded.texts.size(); end += 97) {
    const std::string cut(encoded.texts, 0, end);
    RecordBlock torn = block;
    CHECK_FALSE(torn.open_texts(cut));
  }
  for (std::size_t end = 1; end < encoded.errors.size(); ++end) {
    const std::string cut(encoded.errors, 0, end);
    RecordBlock torn = block;
    CHECK_FALSE(torn.open_errors(cut, rows.size()));
  }
  RecordBlock other = block;
  CHECK_FALSE(other.open_columns(encoded.columns, kBlockRecordsMax + 1));
}

TEST_CASE("records: small writes grow into one block, and sums count each record once",
          "[unit][store][records]") {
  const Scratch scratch;
  const auto records = open(scratch);
  const auto other = open(scratch);
  std::size_t written = 0;
  for (int i = 0; i < 300; ++i) {
    // Now and then another process writes as well.
    Records& writer = i % 100 == 99 ? *other : *records;
    write(writer, {row("r" + std::to_string(i), kMidnight + static_cast<std::uint64_t>(i))});
    ++written;
  }
  const auto day = std::move(*open_record_day(record_file(scratch.path(), "2026-11-21")));
  CHECK(*day->number("SELECT COUNT(*) FROM blocks") <= 8);
  CHECK(*day->number("SELECT COUNT(*) FROM block_columns") ==
        *day->number("SELECT COUNT(*) FROM blocks"));
  CHECK(find(scratch, {}, {}, 1000).rows.size() == written);
  CHECK(requests(scratch) == written);
  for (const char* id : {"r0", "r99", "r150", "r299"}) {
    CAPTURE(id);
    CHECK((*find_record(scratch.path(), id))->id == id);
  }
}

TEST_CASE("records: what an earlier version wrote is found and summed up beside what is new",
          "[unit][store][records]") {
  const Scratch scratch;
  write(*open(scratch), {row("made", kMidnight)});
  {
    const auto day = std::move(*open_record_day(record_file(scratch.path(), "2026-11-21")));
    std::string names, values;
    for (const auto& column : RecordColumns::numbers()) {
      names += std::string(column.name) + ", ";
      values +=
          column.member == &RecordRow::start_ns ? std::to_string(kMidnight) + " + 10, " : "1, ";
    }
    for (const auto& column : RecordColumns::texts()) {
      names += std::string(column.name) + ", ";
      values += column.member == &RecordRow::id ? "'old', " : "'x', ";
    }
    for (const char* table : {"blocks", "block_columns", "block_hashes"}) {
      REQUIRE(day->run(std::string("DELETE FROM ") + table));
    }
    REQUIRE(day->run("INSERT INTO records (" + names + "seq) VALUES (" + values + "1)"));
  }
  for (const char* end : {"", "-wal", "-shm"}) {
    fs::remove(usage_file(scratch.path()).string() + end);
  }
  const auto records = open(scratch);
  write(*records, {row("before", kMidnight + 5), row("after", kMidnight + 15)});
  CHECK(ids(find(scratch).rows) == std::vector<std::string>{"after", "old", "before"});
  RecordFilter filter;
  filter.model_used = "x";
  CHECK(ids(find(scratch, filter).rows) == std::vector<std::string>{"old"});
  const RecordPage page = find(scratch, {}, {}, 2);
  CHECK(ids(find(scratch, {}, page.next).rows) == std::vector<std::string>{"before"});
  CHECK((*find_record(scratch.path(), "old"))->account == "x");
  CHECK(requests(scratch) == 3);
}

TEST_CASE("records: whichever system call fails, what was told as written is there once",
          "[unit][store][records]") {
  spdlog::set_level(spdlog::level::off);
  const Scratch origin;  // the schemas are there
  write(*open(origin), {row("first", kMidnight)});
  long n = 0;
  bool reached = true;
  for (n = 1; reached; ++n) {
    CAPTURE(n);
    FaultyVfs disk;
    const Scratch scratch;
    for (const auto& each : fs::directory_iterator(origin.path())) {
      fs::copy(each.path(), scratch.path() / each.path().filename());
    }
    std::set<std::string> written;
    const auto add = [&](Records& records, int from) {
      for (int i = from; i < from + 4; ++i) {
        const std::string id = "r" + std::to_string(i);
        const auto done = records.write(std::vector(10, row(id, kMidnight + 1)));
        if (done.result) written.insert(id);
        if (!done.result) CHECK(done.result.error().message.find(".db: ") != std::string::npos);
        CHECK(done.records == (done.result ? 10 : 0));
        (void)records.sum_up().has_value();
      }
    };
    {
      const auto records = open(scratch);
      disk.fail_at = n;
      add(*records, 0);
      reached = disk.calls >= n;
      disk.fail_at = 0;
      add(*records, 4);
    }
    CHECK(written.size() >= 7);
    const auto records = open(scratch);
    write(*records, {row("last", kMidnight + 2)});
    std::map<std::string, int> found;
    const RecordPage page = find(scratch, {}, {}, 1000);
    for (const RecordRow& each : page.rows) ++found[each.id];
    CHECK(found.size() == written.size() + 2);
    for (const std::string& id : written) CHECK(found[id] == 10);
    CHECK(requests(scratch) == 10 * written.size() + 2);
  }
  CHECK(n > 20);
  spdlog::set_level(spdlog::level::info);
}
