#include "core/store/store.hpp"

#include <sqlite3.h>
#include <sys/stat.h>

#include "../scratch.hpp"

using namespace switchyard;
using store::JobRow;
using store::Store;

namespace {

std::unique_ptr<Store> open(const std::filesystem::path& directory) {
  auto opened = Store::open(directory);
  if (!opened) FAIL(opened.error().message);
  return std::move(opened).value();
}

// With SQLite alone, as another program would.
void run_sql(const std::filesystem::path& file, const char* sql) {
  sqlite3* database = nullptr;
  REQUIRE(sqlite3_open(file.c_str(), &database) == SQLITE_OK);
  const int code = sqlite3_exec(database, sql, nullptr, nullptr, nullptr);
  CAPTURE(sqlite3_errmsg(database));
  CHECK(code == SQLITE_OK);
  sqlite3_close(database);
}

JobRow job_of(const std::string& id) {
  JobRow job;
  job.id = id;
  job.key_id = "key_a";
  job.state = "{}";
  job.expires_unix_s = 100;
  return job;
}

unsigned mode_of(const std::filesystem::path& path) {
  struct stat facts{};
  REQUIRE(stat(path.c_str(), &facts) == 0);
  return facts.st_mode & 0777;
}

}  // namespace

TEST_CASE("store: an empty file is migrated from version 0", "[unit][store]") {
  const Scratch scratch;
  run_sql(scratch.path() / "switchyard.db", "PRAGMA user_version = 0");
  const auto store = open(scratch.path());
  CHECK(store->jobs("key_a", "", false, 9, 1)->empty());
  CHECK(store->schema_version() >= 1);
  // Done once, not twice.
  CHECK(open(scratch.path())->jobs("key_a", "", false, 9, 1)->empty());
}

TEST_CASE("store: a failed migration leaves nothing behind", "[unit][store]") {
  const Scratch scratch;
  const auto file = scratch.path() / "switchyard.db";
  run_sql(file, "CREATE TABLE keys (other INTEGER)");
  const auto opened = Store::open(scratch.path());
  REQUIRE_FALSE(opened);
  CHECK(opened.error().message == file.string() + ": table keys already exists");
  run_sql(file, "DROP TABLE keys");
  CHECK(open(scratch.path())->jobs("key_a", "", false, 9, 1)->empty());
}

TEST_CASE("store: a newer schema is refused and left alone", "[unit][store]") {
  const Scratch scratch;
  const auto file = scratch.path() / "switchyard.db";
  run_sql(file, "PRAGMA user_version = 999");
  const auto opened = Store::open(scratch.path());
  REQUIRE_FALSE(opened);
  CHECK(opened.error().message.find("has schema version 999, this binary knows up to ") !=
        std::string::npos);
  CHECK_FALSE(std::filesystem::exists(scratch.path() / "switchyard.db-wal"));
}

TEST_CASE("store: what is no database is refused", "[unit][store]") {
  const Scratch scratch;
  scratch.write("switchyard.db", std::string(4096, 'x'));
  const auto opened = Store::open(scratch.path());
  REQUIRE_FALSE(opened);
  CHECK(opened.error().message ==
        (scratch.path() / "switchyard.db").string() + ": file is not a database");
  CHECK_FALSE(Store::open(scratch.path() / "absent"));
}

TEST_CASE("store: only the owner can read the files", "[unit][store]") {
  const Scratch scratch;
  const auto store = open(scratch.path());
  REQUIRE(store->add_job(job_of("video_1"), 1));
  CHECK(mode_of(scratch.path() / "switchyard.db") == 0600);
  CHECK(mode_of(scratch.path() / "switchyard.db-wal") == 0600);
}

TEST_CASE("store: a job is its key's alone, until its end", "[unit][store]") {
  const Scratch scratch;
  const auto store = open(scratch.path());
  for (int i = 1; i <= 3; ++i) {
    JobRow job;
    job.id = "video_" + std::to_string(i);
    job.provider = "p";
    job.credential = "c";
    job.resume = std::string("a\0b", 3);
    job.key_id = i == 3 ? "key_b" : "key_a";
    job.state = "{}";
    job.created_unix_s = 10;
    job.expires_unix_s = 100 + static_cast<unsigned>(i);
    REQUIRE(store->add_job(job, 10));
    CHECK_FALSE(store->add_job(job, 10));
  }
  CHECK_FALSE(*store->job("video_3", "key_a", 10));
  CHECK_FALSE(*store->job("video_9", "key_a", 10));
  CHECK_FALSE(*store->job("video_1", "key_a", 101));
  auto job = **store->job("video_1", "key_a", 100);
  CHECK(job.resume == std::string("a\0b", 3));
  CHECK(job.provider == "p");

  job.state = R"({"status":"completed"})";
  job.resume = "next";
  job.completed_unix_s = 50;
  job.expires_unix_s = 500;
  REQUIRE(store->update_job(job));
  CHECK((*store->job("video_1", "key_a", 400))->resume == "next");
  CHECK((*store->job("video_1", "key_a", 400))->completed_unix_s == 50);

  const auto ids = [&](const std::string& after, bool ascending, std::uint64_t max) {
    std::string text;
    const auto rows = *store->jobs("key_a", after, ascending, max, 10);
    for (const JobRow& row : rows) text += row.id + " ";
    return text;
  };
  CHECK(ids("", false, 9) == "video_2 video_1 ");
  CHECK(ids("", true, 9) == "video_1 video_2 ");
  CHECK(ids("", true, 1) == "video_1 ");
  CHECK(ids("video_1", true, 9) == "video_2 ");
  CHECK(ids("video_1", false, 9).empty());
  CHECK(ids("video_3", true, 9).empty());  // another key's tells nothing

  REQUIRE(store->remove_job("video_1"));
  CHECK(ids("", false, 9) == "video_2 ");
  // What is over goes when another one comes.
  job.id = "video_4";
  REQUIRE(store->add_job(job, 300));
  CHECK(ids("", false, 9) == "video_4 ");
}

TEST_CASE("store: a backup made in use is complete and private", "[unit][store]") {
  const Scratch scratch;
  const auto store = open(scratch.path());
  REQUIRE(store->add_job(job_of("video_1"), 1));
  const auto target = scratch.path() / "copy" / "switchyard.db";
  std::filesystem::create_directory(target.parent_path());
  REQUIRE(store->backup(target));
  REQUIRE(store->add_job(job_of("video_2"), 1));
  CHECK(mode_of(target) == 0600);
  const auto copy = open(target.parent_path());
  CHECK(*copy->job("video_1", "key_a", 1));
  CHECK_FALSE(*copy->job("video_2", "key_a", 1));
  CHECK_FALSE(store->backup(scratch.path() / "absent" / "x.db"));
}
