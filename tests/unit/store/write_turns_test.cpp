#include "core/store/write_turns.hpp"

#include <atomic>
#include <catch2/catch.hpp>
#include <future>

#include "core/store/database.hpp"
#include "tests/unit/scratch.hpp"

namespace switchyard::store {
namespace {

constexpr const char* kMigrations[] = {"CREATE TABLE t (n INTEGER)"};
constexpr std::chrono::seconds kLong{60};

std::unique_ptr<Database> connect(const Scratch& scratch) {
  auto opened = Database::open_sqlite(scratch.path() / "t.db", kMigrations);
  REQUIRE(opened);
  return std::move(*opened);
}

Result<void> insert(Database& database) { return database.run("INSERT INTO t VALUES (1)"); }

}  // namespace

TEST_CASE("write turns: who gives one back and wants the next stands behind who waits",
          "[unit][store]") {
  const auto turns = std::make_shared<WriteTurns>();
  REQUIRE(turns->take(kLong));
  std::atomic<bool> had{false};
  auto other = std::async(std::launch::async, [&] {
    CHECK(turns->take(kLong));
    had = true;
    turns->give();
  });
  while (turns->length() < 2) std::this_thread::yield();
  turns->give();
  REQUIRE(turns->take(kLong));
  CHECK(had);
  CHECK_FALSE(turns->take(std::chrono::milliseconds(1)));  // and who gave up holds nobody up
  turns->give();
  REQUIRE(turns->take(kLong));
  turns->give();
  other.get();
}

TEST_CASE("write turns: every change to a file takes one, with and without a transaction",
          "[unit][store]") {
  const Scratch scratch;
  const auto one = connect(scratch), other = connect(scratch);
  const auto turns = WriteTurns::of(scratch.path() / "t.db");
  REQUIRE(one->transact([&] {
    CHECK(turns->length() == 1);
    return insert(*one);
  }));
  CHECK(turns->length() == 0);
  CHECK_FALSE(one->transact([&]() -> Result<void> { return Error{"no"}; }));
  CHECK(turns->length() == 0);

  REQUIRE(turns->take(kLong));
  auto alone = std::async(std::launch::async, [&] {
    return other->prepare("INSERT INTO t VALUES (2)")->run().has_value();
  });
  while (turns->length() < 2) std::this_thread::yield();
  CHECK(one->number("SELECT count(*) FROM t").value() == 1);  // who only looks waits for nobody
  turns->give();
  CHECK(alone.get());
  CHECK(one->number("SELECT count(*) FROM t").value() == 2);
}

TEST_CASE("write turns: a statement that answers with rows keeps its turn until the last one",
          "[unit][store]") {
  const Scratch scratch;
  const auto database = connect(scratch);
  const auto turns = WriteTurns::of(scratch.path() / "t.db");
  const char* const kInsert = "INSERT INTO t VALUES (7) RETURNING n";
  {
    const auto statement = database->prepare(kInsert);
    REQUIRE(statement->step().value());
    CHECK(turns->length() == 1);  // the file is locked until then
    REQUIRE_FALSE(statement->step().value());
    CHECK(turns->length() == 0);
    statement->reset();
    REQUIRE(statement->step().value());
    statement->reset();
    CHECK(turns->length() == 0);
    REQUIRE(statement->step().value());
  }
  CHECK(turns->length() == 0);
}

}  // namespace switchyard::store
