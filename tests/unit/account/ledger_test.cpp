#include "core/account/ledger.hpp"

#include <map>
#include <random>
#include <set>

#include "../scratch.hpp"
#include "core/account/journal.hpp"
#include "core/store/store.hpp"

using namespace switchyard;
using account::CellRef;
using account::CostLine;
using account::Hold;
using account::HoldNote;
using account::Ledger;
using account::LedgerOptions;
using account::LoopLedger;
using account::Refused;
using account::Released;
using account::Settlement;

namespace {

constexpr std::uint64_t kSmallSegment = 64 * 1024;

LedgerOptions options(const Scratch& scratch) {
  LedgerOptions made;
  made.state = scratch.path();
  made.segment_bytes = kSmallSegment;
  made.background = false;
  return made;
}

std::unique_ptr<Ledger> open(LedgerOptions given) {
  auto opened = Ledger::open(std::move(given));
  if (!opened) FAIL(opened.error().message);
  return std::move(*opened);
}

CellRef account_cell(Ledger& ledger, const std::string& id, Nano limit = 0) {
  const auto cell = ledger.account_cell(id, "USD", limit);
  if (!cell) FAIL(cell.error().message);
  return *cell;
}

store::Transaction top_up(const std::string& id, const std::string& account, Nano amount) {
  return {id, "topup",
          "", "",
          1,  {{store::kHouseCash, "USD", -amount}, {store::account_name(account), "USD", amount}}};
}

void pay(Ledger& ledger, const std::string& account, Nano amount) {
  static int n = 0;
  const auto moved = ledger.move_money(top_up("pay " + std::to_string(++n), account, amount));
  if (!moved) FAIL(moved.error().message);
}

Settlement worth(Nano charge) {
  Settlement made;
  made.charge = charge;
  made.currency = "USD";
  made.price_version = "v1";
  made.ended = "completed";
  return made;
}

LoopLedger& add_loop(Ledger& ledger) {
  return ledger.add_loop([](std::function<void()> run) { run(); });
}

Hold hold(LoopLedger& loop, const CellRef& cell, Nano amount, std::string_view request = "req",
          std::string_view account = "a") {
  auto held = loop.hold(std::span(&cell, 1), amount, {request, account, "key", 0});
  if (!held) FAIL("refused: " << static_cast<int>(held.error().why));
  return std::move(*held);
}

// The books beside the ledger that writes them.
struct Reader {
  explicit Reader(const Scratch& scratch) {
    auto opened = store::open_database(scratch.path());
    if (!opened) FAIL(opened.error().message);
    database = std::move(*opened);
    books = std::make_unique<store::Books>(*database);
  }
  Nano balance(const std::string& name) { return *books->balance(name, "USD"); }
  std::int64_t count(const std::string& table) {
    return *database->number(("SELECT COUNT(*) FROM " + table).c_str());
  }
  std::unique_ptr<store::Database> database;
  std::unique_ptr<store::Books> books;
};

}  // namespace

TEST_CASE("ledger: a hold is settled into the books, and the rest goes back", "[unit][ledger]") {
  const Scratch scratch;
  const auto ledger = open(options(scratch));
  LoopLedger& loop = add_loop(*ledger);
  const CellRef cell = account_cell(*ledger, "a");
  pay(*ledger, "a", 1000);
  CHECK(cell.available() == 1000);

  Hold held = hold(loop, cell, 600, "req_1");
  CHECK(held.amount() == 600);
  CHECK(cell.available() == 400);
  REQUIRE(loop.extend(held, 100));
  CHECK(cell.available() == 300);
  const CostLine costs[] = {{"up", "m", "USD", 40, "c1", "lost", false},
                            {"up", "m", "USD", 50, "c1", "completed", true}};
  const std::uint64_t quantities[] = {7, 0, 9};
  Settlement settlement = worth(250);
  settlement.costs = costs;
  settlement.quantities = quantities;
  settlement.feature = "f";
  settlement.task = "chat";
  settlement.model_asked = "alias";
  settlement.model_used = "m";
  settlement.provider = "up";
  settlement.started_unix_ns = 5;
  CHECK(loop.settle(std::move(held), settlement) == 250);
  CHECK(cell.available() == 750);
  REQUIRE(ledger->flush());

  Reader reader(scratch);
  CHECK(reader.balance("account:a") == 750);
  CHECK(reader.balance("house:revenue") == 250);
  CHECK(reader.balance("house:cost") == -90);
  CHECK(reader.balance("provider:up") == 90);
  const auto rows = reader.books->receipts({});
  REQUIRE(rows);
  REQUIRE(rows->size() == 1);
  const store::Receipt& receipt = rows->front().receipt;
  CHECK(receipt.request_id == "req_1");
  CHECK(receipt.account == "a");
  CHECK(receipt.key == "key");
  CHECK(receipt.feature == "f");
  CHECK(receipt.task == "chat");
  CHECK(receipt.model_asked == "alias");
  CHECK(receipt.model_used == "m");
  CHECK(receipt.provider == "up");
  CHECK(receipt.ended == "completed");
  CHECK(receipt.quantities[0] == 7);
  CHECK(receipt.quantities[2] == 9);
  CHECK(receipt.charge == 250);
  CHECK(receipt.shortfall == 0);
  CHECK(receipt.held == 700);
  CHECK(receipt.price_version == "v1");
  CHECK(receipt.cost == 90);
  CHECK(receipt.cost_currency == "USD");
  CHECK(receipt.started_unix_ns == 5);
  const auto lines = reader.books->costs("req_1");
  REQUIRE(lines);
  REQUIRE(lines->size() == 2);
  CHECK(lines->at(0).outcome == "lost");
  CHECK(lines->at(1).estimated);
}

TEST_CASE("ledger: what is refused changes nothing, and says why", "[unit][ledger]") {
  const Scratch scratch;
  const auto ledger = open(options(scratch));
  LoopLedger& loop = add_loop(*ledger);
  const CellRef account = account_cell(*ledger, "a");
  const CellRef wide = *ledger->budget_cell("wide:1", 1000, 0);
  const CellRef tight = *ledger->budget_cell("tight:1", 50, 0);
  pay(*ledger, "a", 100);
  const HoldNote note{"req", "a", "key", 0};

  const CellRef both[] = {account, wide, tight};
  auto refused = loop.hold(both, 101, note);
  REQUIRE_FALSE(refused);
  CHECK(refused.error().why == Refused::Why::kBalance);
  refused = loop.hold(both, 51, note);
  REQUIRE_FALSE(refused);
  CHECK(refused.error().why == Refused::Why::kBudget);
  CHECK(refused.error().cell == 2);
  refused = loop.hold(both, -1, note);
  REQUIRE_FALSE(refused);
  CHECK(refused.error().why == Refused::Why::kInvalid);
  CHECK_FALSE(loop.hold({}, 1, note));
  const std::string long_name(129, 'x');
  CHECK_FALSE(loop.hold(both, 1, {long_name, "a", "key", 0}));
  CHECK(account.available() == 100);
  CHECK(wide.available() == 1000);
  CHECK(tight.available() == 50);

  auto held = loop.hold(both, 50, note);
  REQUIRE(held);
  const auto more = loop.extend(*held, 1);
  REQUIRE_FALSE(more);
  CHECK(more.error().why == Refused::Why::kBudget);
  CHECK(held->amount() == 50);
  CHECK(account.available() == 50);
  CHECK(ledger->stats().refusals == 6);
}

TEST_CASE("ledger: usage beyond the hold is charged as far as money goes; the rest is a shortfall",
          "[unit][ledger]") {
  const Scratch scratch;
  const auto ledger = open(options(scratch));
  LoopLedger& loop = add_loop(*ledger);
  const CellRef account = account_cell(*ledger, "a");
  pay(*ledger, "a", 100);
  CHECK(loop.settle(hold(loop, account, 10), worth(30)) == 30);
  CHECK(account.available() == 70);
  CHECK(loop.settle(hold(loop, account, 10), worth(1000)) == 70);
  CHECK(account.available() == 0);
  CHECK(ledger->stats().shortfalls == 1);

  // A budget is a limit too.
  pay(*ledger, "a", 100);
  const CellRef cells[] = {account, *ledger->budget_cell("b:1", 20, 0)};
  auto held = loop.hold(cells, 5, {"req", "a", "key", 0});
  REQUIRE(held);
  CHECK(loop.settle(std::move(*held), worth(50)) == 20);
  CHECK(account.available() == 80);
  CHECK(cells[1].available() == 0);
  REQUIRE(ledger->flush());
  Reader reader(scratch);
  CHECK(reader.balance("account:a") == 80);
  CHECK(reader.balance("house:shortfall") == -930 - 30);
  CHECK(reader.balance("house:revenue") == 30 + 1000 + 50);
}

TEST_CASE("ledger: a charge in another currency goes through house:fx", "[unit][ledger]") {
  const Scratch scratch;
  const auto ledger = open(options(scratch));
  LoopLedger& loop = add_loop(*ledger);
  const CellRef account = account_cell(*ledger, "a");
  pay(*ledger, "a", 100);
  Settlement settlement = worth(70);
  settlement.exchanged = account::Exchanged{"CNY", 500, "fx-3"};
  CHECK(loop.settle(hold(loop, account, 60), settlement) == 70);
  REQUIRE(ledger->flush());
  Reader reader(scratch);
  CHECK(reader.balance("account:a") == 30);
  CHECK(reader.balance("house:fx") == 70);
  CHECK(*reader.books->balance("house:fx", "CNY") == -500);
  CHECK(*reader.books->balance("house:revenue", "CNY") == 500);
}

TEST_CASE("ledger: an unpriced request has a receipt without a charge", "[unit][ledger]") {
  const Scratch scratch;
  const auto ledger = open(options(scratch));
  LoopLedger& loop = add_loop(*ledger);
  const CellRef account = account_cell(*ledger, "a", CellRef::kNoLimit);
  Settlement settlement = worth(0);
  settlement.charge.reset();
  const CostLine unknown[] = {{"up", "m", "USD", std::nullopt, "", "completed", false}};
  settlement.costs = unknown;
  CHECK(loop.settle(hold(loop, account, 0), settlement) == 0);
  REQUIRE(ledger->flush());
  Reader reader(scratch);
  const auto rows = *reader.books->receipts({});
  REQUIRE(rows.size() == 1);
  CHECK_FALSE(rows[0].receipt.charge);
  CHECK_FALSE(rows[0].receipt.cost);
  CHECK(reader.count("transactions") == 0);
  CHECK(reader.count("costs") == 1);
}

TEST_CASE("ledger: a hold that is let go of, or moved over, is released once", "[unit][ledger]") {
  const Scratch scratch;
  const auto ledger = open(options(scratch));
  LoopLedger& loop = add_loop(*ledger);
  const CellRef account = account_cell(*ledger, "a");
  pay(*ledger, "a", 100);
  {
    Hold first = hold(loop, account, 40);
    Hold second = std::move(first);
    CHECK_FALSE(first);
    CHECK(second.amount() == 40);
    second = hold(loop, account, 10);
    CHECK(account.available() == 90);
    loop.release(std::move(second), Released::kUnused);
    CHECK_FALSE(second);
    CHECK(loop.settle(std::move(second), worth(5)) == 0);
  }
  CHECK(account.available() == 100);
  CHECK(ledger->stats().holds_open == 0);
}

TEST_CASE("ledger: after a crash open holds are released, noted, and settlements are booked once",
          "[unit][ledger]") {
  const Scratch scratch;
  Hold left;
  {
    const auto ledger = open(options(scratch));
    LoopLedger& loop = add_loop(*ledger);
    const CellRef account = account_cell(*ledger, "a");
    pay(*ledger, "a", 100);
    loop.settle(hold(loop, account, 30), worth(30));
    REQUIRE(ledger->flush());
    loop.settle(hold(loop, account, 20), worth(20));
    left = hold(loop, account, 10, "req_open");
  }
  CHECK_FALSE(left);
  for (int start = 0; start < 2; ++start) {
    const auto ledger = open(options(scratch));
    CHECK(account_cell(*ledger, "a").available() == 50);
    Reader reader(scratch);
    CHECK(reader.balance("account:a") == 50);
    CHECK(reader.count("receipts") == 2);
    CHECK(reader.count("interrupted") == 1);
    CHECK(reader.count("interrupted WHERE request_id = 'req_open' AND held = 10") == 1);
    CHECK(reader.count("journal_places") == 0);
    CHECK(ledger->stats().interrupted == (start == 0 ? 1 : 0));
  }
}

TEST_CASE("ledger: where another process lives, the dead one's holds go back to the shared cells",
          "[unit][ledger]") {
  const Scratch scratch;
  const auto living = open(options(scratch));
  LoopLedger& loop = add_loop(*living);
  const CellRef account = account_cell(*living, "a");
  pay(*living, "a", 100);
  Hold own = hold(loop, account, 10);
  Hold left, settled;
  {
    const auto dead = open(options(scratch));
    LoopLedger& other = add_loop(*dead);
    left = hold(other, account_cell(*dead, "a"), 40);
    other.settle(hold(other, account_cell(*dead, "a"), 20), worth(5));
    CHECK(account.available() == 45);
  }
  REQUIRE(living->work());
  CHECK(account.available() == 85);
  CHECK(living->stats().interrupted == 1);
  CHECK(Reader(scratch).balance("account:a") == 95);
  REQUIRE(living->work());
  CHECK(account.available() == 85);
}

TEST_CASE("ledger: a hold that outlives its deadline is counted, and stays its owner's",
          "[unit][ledger]") {
  const Scratch scratch;
  const auto ledger = open(options(scratch));
  LoopLedger& loop = add_loop(*ledger);
  const CellRef account = account_cell(*ledger, "a", CellRef::kNoLimit);
  auto late = loop.hold(std::span(&account, 1), 5, {"req", "a", "key", 1});
  auto early = loop.hold(std::span(&account, 1), 5, {"req", "a", "key", INT64_MAX});
  REQUIRE(ledger->work());
  CHECK(ledger->stats().holds_overdue == 1);
  CHECK(account.available() == -10);
  loop.release(std::move(*late));
  REQUIRE(ledger->work());
  CHECK(ledger->stats().holds_overdue == 0);
}

TEST_CASE("ledger: an end leaves no journal", "[unit][ledger]") {
  const Scratch scratch;
  const auto ledger = open(options(scratch));
  LoopLedger& loop = add_loop(*ledger);
  const CellRef account = account_cell(*ledger, "a", CellRef::kNoLimit);
  for (int i = 0; i < 2000; ++i) {
    auto held = loop.hold(std::span(&account, 1), 10, {"req", "a", "key", 0});
    if (!held) {
      REQUIRE(ledger->work());
      continue;
    }
    loop.settle(std::move(*held), worth(1));
  }
  REQUIRE(ledger->end());
  CHECK(std::filesystem::is_empty(scratch.path() / "journal"));
  Reader reader(scratch);
  const auto settled = static_cast<Nano>(ledger->stats().settlements);
  CHECK(settled > 1900);
  CHECK(reader.balance("account:a") == -settled);
  CHECK(reader.count("receipts") == settled);
}

TEST_CASE("ledger: segments go once they are booked, but for those of open holds",
          "[unit][ledger]") {
  const Scratch scratch;
  const auto ledger = open(options(scratch));
  LoopLedger& loop = add_loop(*ledger);
  const CellRef account = account_cell(*ledger, "a", CellRef::kNoLimit);
  Hold old = hold(loop, account, 1, "req_old");
  const auto segments = [&] {
    std::set<std::string> names;
    for (const auto& each : std::filesystem::directory_iterator(scratch.path() / "journal")) {
      names.insert(each.path().filename().string().substr(16));
    }
    return names;
  };
  for (int i = 0; i < 1000; ++i) {
    loop.settle(hold(loop, account, 10), worth(1));
    if (i % 20 == 0) REQUIRE(ledger->work());
  }
  CHECK(segments().contains("-1.journal"));
  loop.release(std::move(old));
  REQUIRE(ledger->work());
  CHECK_FALSE(segments().contains("-1.journal"));
  CHECK(segments().size() <= 3);
}

TEST_CASE("ledger: money that operators move is there once, and debits are covered",
          "[unit][ledger]") {
  const Scratch scratch;
  const auto ledger = open(options(scratch));
  LoopLedger& loop = add_loop(*ledger);
  const CellRef account = account_cell(*ledger, "a");
  const auto credit = top_up("order 1", "a", 100);
  const auto moved = [&](const store::Transaction& transaction) {
    const auto done = ledger->move_money(transaction);
    REQUIRE(done);
    return *done;
  };
  CHECK(moved(credit));
  CHECK_FALSE(moved(credit));
  CHECK(account.available() == 100);
  Hold held = hold(loop, account, 60);
  auto debit = top_up("refund 1", "a", -41);
  auto refused = ledger->move_money(debit);
  REQUIRE_FALSE(refused);
  CHECK(refused.error().why == Ledger::MoveFault::Why::kUncovered);
  debit.entries[0].amount = 40;
  debit.entries[1].amount = -40;
  CHECK(moved(debit));
  CHECK_FALSE(moved(debit));  // though what is left does not cover it again
  CHECK(account.available() == 0);
  loop.release(std::move(held));
  CHECK(Reader(scratch).balance("account:a") == 60);
  debit.id = "refund 2";
  debit.entries[0].amount = 41;
  CHECK_FALSE(ledger->move_money(debit));  // does not balance
  CHECK(account.available() == 60);
}

// ---- against a model ----

namespace {

// What the ledger must be like, in the plainest way.
struct Model {
  struct Account {
    Nano balance = 0, held = 0;
  };
  std::map<std::string, Account> accounts;
  Nano revenue = 0, shortfall = 0;
  std::size_t receipts = 0, interrupted = 0;

  bool hold(const std::string& id, Nano amount) {
    Account& account = accounts[id];
    if (account.balance - account.held - amount < 0) return false;
    account.held += amount;
    return true;
  }
  Nano settle(const std::string& id, Nano held, Nano worth) {
    Account& account = accounts[id];
    const Nano charge = std::min(worth, held + account.balance - account.held);
    account.held -= held;
    account.balance -= charge;
    revenue += worth;
    shortfall += worth - charge;
    ++receipts;
    return charge;
  }
  void release(const std::string& id, Nano held) { accounts[id].held -= held; }
  bool refund(const std::string& id, Nano amount) {
    Account& account = accounts[id];
    if (account.balance - account.held - amount < 0) return false;
    account.balance -= amount;
    return true;
  }
  void crash(std::size_t open) {
    for (auto& [id, account] : accounts) account.held = 0;
    interrupted += open;
  }
};

struct OpenHold {
  Hold hold;
  std::string account;
  Nano amount;
  std::size_t loop;
};

void run_against_model(unsigned seed) {
  CAPTURE(seed);
  std::mt19937 random(seed);
  const auto below = [&](unsigned n) { return static_cast<Nano>(random() % n); };
  const Scratch scratch;
  Model model;
  std::unique_ptr<Ledger> ledger;
  std::vector<LoopLedger*> loops;
  std::vector<OpenHold> open_holds;
  int moved = 0;
  const auto start = [&] {
    ledger = open(options(scratch));
    loops = {&add_loop(*ledger), &add_loop(*ledger)};
  };
  const auto check = [&] {
    REQUIRE(ledger->flush());
    Reader reader(scratch);
    for (const auto& [id, account] : model.accounts) {
      REQUIRE(account_cell(*ledger, id).available() == account.balance - account.held);
      REQUIRE(account_cell(*ledger, id).available() >= 0);
      REQUIRE(reader.balance("account:" + id) == account.balance);
    }
    REQUIRE(reader.balance("house:revenue") == model.revenue);
    REQUIRE(reader.balance("house:shortfall") == -model.shortfall);
    REQUIRE(reader.count("receipts") == static_cast<std::int64_t>(model.receipts));
    REQUIRE(reader.count("interrupted") == static_cast<std::int64_t>(model.interrupted));
  };
  start();
  for (int step = 0; step < 1500; ++step) {
    const std::string id = std::string(1, static_cast<char>('a' + below(3)));
    const Nano what = below(100);
    if (what < 15) {
      const Nano amount = below(500);
      if (amount > 0) pay(*ledger, id, amount);
      model.accounts[id].balance += amount;
    } else if (what < 20) {
      const Nano amount = 1 + below(200);
      const auto done = ledger->move_money(
          top_up("refund " + std::to_string(seed) + "-" + std::to_string(++moved), id, -amount));
      REQUIRE(done.has_value() == model.refund(id, amount));
    } else if (what < 55) {
      const Nano amount = below(120);
      const auto loop = static_cast<std::size_t>(below(2));
      const CellRef cell = account_cell(*ledger, id);
      auto held = loops[loop]->hold(std::span(&cell, 1), amount, {"req", id, "key", 0});
      REQUIRE(held.has_value() == model.hold(id, amount));
      if (held) open_holds.push_back({std::move(*held), id, amount, loop});
    } else if (what < 98 && !open_holds.empty()) {
      const auto at = static_cast<std::size_t>(below(static_cast<unsigned>(open_holds.size())));
      OpenHold& chosen = open_holds[at];
      LoopLedger& loop = *loops[chosen.loop];
      if (what < 65) {
        const Nano more = below(60);
        const bool extended = loop.extend(chosen.hold, more).has_value();
        REQUIRE(extended == model.hold(chosen.account, more));
        if (extended) chosen.amount += more;
        continue;
      }
      if (what < 88) {
        const Nano charge = below(250);
        REQUIRE(loop.settle(std::move(chosen.hold), worth(charge)) ==
                model.settle(chosen.account, chosen.amount, charge));
      } else {
        loop.release(std::move(chosen.hold));
        model.release(chosen.account, chosen.amount);
      }
      open_holds.erase(open_holds.begin() + static_cast<std::ptrdiff_t>(at));
    } else if (what == 98) {
      check();
    } else if (what == 99 && below(3) == 0) {
      model.crash(open_holds.size());
      ledger.reset();
      open_holds.clear();
      start();
      check();
    }
    if (step % 50 == 0) REQUIRE(ledger->work());
  }
  open_holds.clear();
  for (auto& [id, account] : model.accounts) account.held = 0;
  check();
}

}  // namespace

TEST_CASE("ledger: random lives agree with the model", "[unit][ledger]") {
  for (unsigned seed = 1; seed <= 6; ++seed) run_against_model(seed);
}
