// The ledger on disks that fail: nothing that was settled is lost, and nothing is charged twice.
#include <condition_variable>
#include <fstream>
#include <mutex>

#include "../scratch.hpp"
#include "../store/faulty_vfs.hpp"
#include "core/account/ledger.hpp"
#include "core/account/verify.hpp"
#include "core/store/store.hpp"

using namespace switchyard;
using account::CellRef;
using account::Hold;
using account::JournalOs;
using account::Ledger;
using account::LedgerOptions;
using account::LoopLedger;
using account::Refused;
using account::Settlement;
namespace fs = std::filesystem;

namespace {

class FailingOs : public JournalOs {
 public:
  long calls = 0, fail_at = 0;
  bool full = false, syncs_fail = false;

  Result<UniqueFd> open(const fs::path& file, int flags) override {
    if (fails()) return failed();
    return JournalOs::open(file, flags);
  }
  Result<void> allocate(int fd, std::uint64_t bytes, const fs::path& file) override {
    if (full) return Error{file.string() + ": allocate: No space left on device"};
    if (fails()) return failed();
    return JournalOs::allocate(fd, bytes, file);
  }
  Result<std::byte*> map(int fd, std::uint64_t bytes, const fs::path& file) override {
    if (fails()) return failed();
    return JournalOs::map(fd, bytes, file);
  }
  Result<void> sync(std::byte* from, std::uint64_t bytes, const fs::path& file) override {
    if (syncs_fail || fails()) return failed();
    return JournalOs::sync(from, bytes, file);
  }
  Result<void> sync_directory(const fs::path& directory) override {
    if (fails()) return failed();
    return JournalOs::sync_directory(directory);
  }
  Result<void> rename(const fs::path& from, const fs::path& to) override {
    if (fails()) return failed();
    return JournalOs::rename(from, to);
  }
  Result<void> remove(const fs::path& file) override {
    if (fails()) return failed();
    return JournalOs::remove(file);
  }

 private:
  bool fails() { return ++calls == fail_at; }
  static Error failed() { return Error{"injected: Input/output error"}; }
};

struct Fixture {
  Scratch scratch;
  FailingOs os;
  LedgerOptions options;
  std::unique_ptr<Ledger> ledger;
  LoopLedger* loop = nullptr;
  CellRef account;
  Nano charged = 0;
  std::int64_t settled = 0;

  Fixture() {
    options.state = scratch.path();
    options.segment_bytes = 32 * 1024;
    options.background = false;
    options.os = &os;
  }
  bool start() {
    auto opened = Ledger::open(options);
    if (!opened) return false;
    ledger = std::move(*opened);
    loop = &ledger->add_loop([](std::function<void()> run) { run(); });
    const auto cell = ledger->account_cell("a", "USD", CellRef::kNoLimit);
    if (!cell) return false;
    account = *cell;
    return true;
  }
  Result<Hold, Refused> hold() {
    return loop->hold(std::span(&account, 1), 10, {"req", "a", "key", 0});
  }
  void settle(Hold&& hold) {
    Settlement settlement;
    settlement.charge = 7;
    settlement.currency = "USD";
    charged += loop->settle(std::move(hold), settlement);
    ++settled;
  }
  // Settles until it is refused, or often; how often.
  int settle_many(int most) {
    for (int i = 0; i < most; ++i) {
      auto held = hold();
      if (!held) {
        CHECK(held.error().why == Refused::Why::kJournal);
        return i;
      }
      settle(std::move(*held));
    }
    return most;
  }
  void check_books() {
    auto database = store::open_database(scratch.path());
    REQUIRE(database);
    store::Books books(**database);
    CHECK(*books.balance("account:a", "USD") == -charged);
    CHECK(*(*database)->number("SELECT COUNT(*) FROM receipts") == settled);
    const auto violations = *account::verify_ledger(scratch.path());
    CHECK(violations == std::vector<std::string>());
  }
};

}  // namespace

TEST_CASE("ledger faults: a full disk refuses new holds, and what is held is settled",
          "[unit][ledger]") {
  Fixture f;
  REQUIRE(f.start());
  auto first = f.hold();
  REQUIRE(first);
  f.os.full = true;
  std::vector<Hold> open;
  while (auto held = f.hold()) open.push_back(std::move(*held));
  CHECK(open.size() > 5);
  Nano extended = 0;  // smaller, so some fit yet
  while (f.loop->extend(*first, 1)) ++extended;
  CHECK(f.account.available() == -10 - extended - 10 * static_cast<Nano>(open.size()));
  for (Hold& each : open) f.settle(std::move(each));
  CHECK(f.ledger->stats().costs_lost == 0);
  REQUIRE(f.ledger->work());
  CHECK(f.ledger->stats().journal_faults > 0);
  f.check_books();

  f.os.full = false;
  REQUIRE(f.ledger->work());
  REQUIRE(f.loop->extend(*first, 1));
  CHECK(f.settle_many(5) == 5);
  f.settle(std::move(*first));
  REQUIRE(f.ledger->end());
  f.check_books();
}

TEST_CASE("ledger faults: `serve` goes on in memory until the books have it", "[unit][ledger]") {
  Fixture f;
  f.options.serve_without_disk = true;
  REQUIRE(f.start());
  f.os.full = true;
  for (int i = 0; i < 100; ++i) {
    f.settle_many(20);
    REQUIRE(f.ledger->work());
  }
  CHECK(f.settled == 2000);
  CHECK(f.ledger->stats().memory_segments > 0);
  f.check_books();
  f.os.full = false;
  f.settle_many(100);
  REQUIRE(f.ledger->work());
  REQUIRE(f.ledger->end());
  f.check_books();
}

TEST_CASE("ledger faults: after a failed sync nobody is told that it is on the disk",
          "[unit][ledger]") {
  Fixture f;
  f.options.durable = true;
  REQUIRE(f.start());
  std::string told;
  const auto wait = [&] {
    f.loop->when_durable([&told](bool durable) { told += durable ? "yes " : "no "; });
  };
  f.settle_many(1);
  wait();
  CHECK(told.empty());
  REQUIRE(f.ledger->work());
  CHECK(told == "yes ");

  f.settle_many(1);
  wait();
  f.os.syncs_fail = true;
  REQUIRE(f.ledger->work());
  CHECK(told == "yes no ");
  // No segment can be trusted any more: at last there is none.
  for (int i = 0; i < 10 && f.settle_many(1) == 1; ++i) REQUIRE(f.ledger->work());
  const auto refused = f.hold();
  REQUIRE_FALSE(refused);
  CHECK(refused.error().why == Refused::Why::kJournal);

  f.os.syncs_fail = false;
  REQUIRE(f.ledger->work());
  CHECK(f.settle_many(1) == 1);
  told.clear();
  wait();
  REQUIRE(f.ledger->work());
  CHECK(told == "yes ");
  f.check_books();
}

TEST_CASE("ledger faults: books that refuse for now get it all later", "[unit][ledger]") {
  Fixture f;
  REQUIRE(f.start());
  auto database = store::open_database(f.scratch.path());
  REQUIRE(database);
  REQUIRE((*database)->run("ALTER TABLE receipt_rows RENAME TO away"));
  f.settle_many(10);
  CHECK_FALSE(f.ledger->work());
  CHECK_FALSE(f.ledger->flush());
  CHECK(f.ledger->stats().books_faults == 2);
  CHECK(f.ledger->stats().lag_entries == 20);
  CHECK(f.ledger->stats().lag_ns > 0);
  CHECK(f.settle_many(5) == 5);
  REQUIRE((*database)->run("ALTER TABLE away RENAME TO receipt_rows"));
  REQUIRE(f.ledger->flush());
  CHECK(f.ledger->stats().lag_entries == 0);
  f.check_books();
}

TEST_CASE("ledger faults: whichever system call fails, no settlement is lost or doubled",
          "[unit][ledger]") {
  long n = 0;
  bool reached = true;
  for (n = 1; reached; ++n) {
    CAPTURE(n);
    Fixture f;
    f.options.segment_bytes = 12 * 1024;
    f.os.fail_at = n;
    if (f.start()) {
      for (int i = 0; i < 6; ++i) {
        f.settle_many(12);
        (void)f.ledger->work().has_value();
      }
      const auto left = f.hold();
      if (n % 2 == 0) (void)f.ledger->end().has_value();
      f.ledger.reset();
    }
    reached = f.os.calls >= n;
    f.os.fail_at = 0;
    REQUIRE(f.start());
    REQUIRE(f.ledger->flush());
    REQUIRE(f.account.available() == -f.charged);
    f.ledger.reset();
    REQUIRE(f.start());
    f.check_books();
  }
  CHECK(n > 40);
}

TEST_CASE("ledger faults: a page that never reached the disk costs no other one's entries",
          "[unit][ledger]") {
  Fixture f;
  f.options.segment_bytes = 256 * 1024;
  REQUIRE(f.start());
  CHECK(f.settle_many(200) == 200);
  f.ledger.reset();
  fs::path first;
  for (const auto& each : fs::directory_iterator(f.scratch.path() / "journal")) {
    if (each.path().string().ends_with("-1.journal")) first = each.path();
  }
  REQUIRE_FALSE(first.empty());
  {
    std::fstream file(first, std::ios::binary | std::ios::in | std::ios::out);
    file.seekp(8192);
    file << std::string(4096, '\0');
  }
  REQUIRE(f.start());
  auto database = store::open_database(f.scratch.path());
  REQUIRE(database);
  const auto receipts = *(*database)->number("SELECT COUNT(*) FROM receipts");
  const auto lost = 200 - receipts;
  CHECK(lost > 0);
  CHECK(lost <= 4096 / 200 + 2);
  CHECK(account::verify_ledger(f.scratch.path())->empty());
}

TEST_CASE("ledger faults: verify names a hold that nobody owns", "[unit][ledger]") {
  Fixture f;
  REQUIRE(f.start());
  auto held = f.hold();
  REQUIRE(held);
  CHECK(account::verify_ledger(f.scratch.path())->empty());  // its owner lives
  f.ledger.reset();
  const auto violations = *account::verify_ledger(f.scratch.path());
  REQUIRE(violations.size() == 1);
  CHECK(violations[0].starts_with("open hold has no owner: "));
  CHECK(violations[0].find(" of request req, account a;") != std::string::npos);
  REQUIRE(f.start());
  CHECK(account::verify_ledger(f.scratch.path())->empty());
}

TEST_CASE("ledger faults: verify names books that are ahead of the journal", "[unit][ledger]") {
  Fixture f;
  REQUIRE(f.start());
  f.settle_many(3);
  REQUIRE(f.ledger->flush());
  CHECK(account::verify_ledger(f.scratch.path())->empty());
  auto database = store::open_database(f.scratch.path());
  REQUIRE(database);
  REQUIRE((*database)->run("UPDATE journal_places SET place = place + 8"));
  const auto violations = *account::verify_ledger(f.scratch.path());
  REQUIRE(violations.size() == 1);
  CHECK(violations[0].starts_with("books are ahead of the journal: "));
}

TEST_CASE("ledger faults: books on a full or read-only disk say so, and lose nothing",
          "[unit][ledger]") {
  for (const int fault : {SQLITE_FULL, SQLITE_READONLY, SQLITE_IOERR_WRITE}) {
    CAPTURE(fault);
    FaultyVfs disk;
    Fixture f;
    REQUIRE(f.start());
    f.settle_many(20);
    REQUIRE(f.ledger->work());
    disk.always = fault;
    f.settle_many(20);
    const auto refused = f.ledger->work();
    REQUIRE_FALSE(refused);
    CHECK(refused.error().message.find("switchyard.db: " + std::string(sqlite3_errstr(fault))) !=
          std::string::npos);
    CHECK(f.ledger->stats().books_faults == 1);
    // Requests go on: the journal has them.
    CHECK(f.settle_many(20) == 20);
    CHECK_FALSE(f.ledger->work());
    const auto paid = f.ledger->move_money(
        {"t",
         "topup",
         "",
         "",
         1,
         {{store::kHouseCash, "USD", -5}, {store::account_name("a"), "USD", 5}}});
    REQUIRE_FALSE(paid);
    CHECK(f.account.available() == -f.charged);
    disk.always = 0;
    REQUIRE(f.ledger->work());
    CHECK(f.ledger->stats().lag_entries == 0);
    f.check_books();
    REQUIRE(f.ledger->end());
    f.check_books();
  }
}

TEST_CASE("ledger faults: whichever system call of the database fails, books are whole",
          "[unit][ledger]") {
  Fixture origin;
  REQUIRE(origin.start());
  origin.ledger.reset();  // the schema is there
  long n = 0;
  bool reached = true;
  for (n = 1; reached; ++n) {
    CAPTURE(n);
    FaultyVfs disk;
    Fixture f;
    for (const auto& each : fs::directory_iterator(origin.scratch.path())) {
      fs::copy(each.path(), f.scratch.path() / each.path().filename(), fs::copy_options::recursive);
    }
    disk.fail_at = n;
    if (f.start()) {
      for (int i = 0; i < 3; ++i) {
        f.settle_many(12);
        if (const auto worked = f.ledger->work(); !worked) {
          CHECK(worked.error().message.find("switchyard.db: ") != std::string::npos);
        }
      }
      const auto left = f.hold();
      if (n % 2 == 0) (void)f.ledger->end().has_value();
      f.ledger.reset();
    }
    reached = disk.calls >= n;
    disk.fail_at = 0;
    REQUIRE(f.start());
    REQUIRE(f.ledger->flush());
    REQUIRE(f.account.available() == -f.charged);
    f.check_books();
  }
  CHECK(n > 20);
}

namespace {

// Whose syncs take as long as the test likes.
class SlowOs : public JournalOs {
 public:
  Result<void> sync(std::byte* from, std::uint64_t bytes, const fs::path& file) override {
    std::unique_lock held(mutex_);
    ++waiting_;
    changed_.notify_all();
    changed_.wait(held, [this] { return !slow_; });
    --waiting_;
    return JournalOs::sync(from, bytes, file);
  }
  void be_slow(bool slow) {
    const std::lock_guard held(mutex_);
    slow_ = slow;
    changed_.notify_all();
  }
  void wait_for_sync() {
    std::unique_lock held(mutex_);
    changed_.wait(held, [this] { return waiting_ > 0; });
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  bool slow_ = false;
  int waiting_ = 0;
};

}  // namespace

TEST_CASE("ledger faults: a disk that is slow holds up who waits for it, and no other",
          "[unit][ledger]") {
  const Scratch scratch;
  SlowOs os;
  LedgerOptions options;
  options.state = scratch.path();
  options.durable = true;
  options.os = &os;
  auto opened = Ledger::open(options);
  REQUIRE(opened);
  Ledger& ledger = **opened;
  std::mutex mutex;
  std::condition_variable posted;
  std::vector<std::function<void()>> posts;
  LoopLedger& loop = ledger.add_loop([&](std::function<void()> run) {
    const std::lock_guard held(mutex);
    posts.push_back(std::move(run));
    posted.notify_all();
  });
  const CellRef cell = *ledger.account_cell("a", "USD", CellRef::kNoLimit);
  const auto settle = [&] {
    auto held = loop.hold(std::span(&cell, 1), 10, {"req", "a", "key", 0});
    REQUIRE(held);
    Settlement settlement;
    settlement.charge = 7;
    settlement.currency = "USD";
    loop.settle(std::move(*held), settlement);
  };
  os.be_slow(true);
  settle();
  bool durable = false;
  loop.when_durable([&](bool is) { durable = is; });
  os.wait_for_sync();
  // Meanwhile holds are taken and settled, and books made of what the disk does not have yet.
  for (int i = 0; i < 100; ++i) settle();
  REQUIRE(ledger.flush());
  {
    const std::lock_guard held(mutex);
    CHECK(posts.empty());
  }
  CHECK_FALSE(durable);
  os.be_slow(false);
  {
    std::unique_lock held(mutex);
    posted.wait(held, [&] { return !posts.empty(); });
  }
  posts.front()();
  CHECK(durable);
  REQUIRE(ledger.end());
  CHECK(account::verify_ledger(scratch.path())->empty());
}
