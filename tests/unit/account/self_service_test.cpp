#include "core/account/self_service.hpp"

#include "../scratch.hpp"
#include "../store/booking.hpp"
#include "core/store/store.hpp"

using namespace switchyard;
using account::Account;
using account::SelfService;

namespace {

constexpr std::uint64_t kDayNs = 86'400'000'000'000;

struct Setting {
  Scratch scratch;
  std::unique_ptr<store::Database> database = std::move(*store::open_database(scratch.path()));
  store::Books books{*database};
  std::unique_ptr<account::Ledger> ledger = open_ledger();
  SelfService service{*database, *ledger};

  std::unique_ptr<account::Ledger> open_ledger() {
    account::LedgerOptions options;
    options.state = scratch.path();
    options.background = false;
    return std::move(*account::Ledger::open(options));
  }

  void settle(const std::string& id, const std::string& key, const std::string& model,
              std::uint64_t day, std::optional<Nano> charge, const std::string& currency = "USD") {
    store::Receipt receipt;
    receipt.request_id = "req_" + id;
    receipt.account = "acc_1";
    receipt.key = key;
    receipt.model_used = model;
    receipt.currency = currency;
    receipt.charge = charge;
    receipt.settled_unix_ns = day * kDayNs + 5;
    book(books, receipt, id);
  }
  Account payer() {
    Account account;
    account.id = "acc_1";
    account.currency = "USD";
    account.mode = store::AccountMode::kPostpaid;
    account.credit_limit_nano = 100;
    return account;
  }
};

}  // namespace

TEST_CASE_METHOD(Setting, "account: a day's receipts are summed by key and model",
                 "[unit][account]") {
  settle("1", "key_a", "m", 10, 5);
  settle("2", "key_a", "m", 10, 7);
  settle("3", "key_b", "m", 10, 1);
  settle("4", "key_a", "n", 11, std::nullopt);
  settle("5", "key_a", "m", 12, 100);

  const auto own = service.usage("acc_1", "key_a", 10, 11);
  REQUIRE(own);
  REQUIRE(own->size() == 2);
  CHECK(own->at(0).day == 10);
  CHECK(own->at(0).model == "m");
  CHECK(own->at(0).requests == 2);
  CHECK(own->at(0).charge == 12);
  CHECK(own->at(1).day == 11);
  CHECK(own->at(1).charge == 0);

  const auto all = service.usage("acc_1", "", 10, 10);
  REQUIRE(all);
  REQUIRE(all->size() == 1);
  CHECK(all->at(0).requests == 3);
  CHECK(all->at(0).charge == 13);
  CHECK(service.usage("acc_2", "", 10, 12)->empty());
  CHECK(service.usage("acc_1", "key_c", 10, 12)->empty());
}

TEST_CASE_METHOD(Setting, "account: means are the books' balance and what may be owed",
                 "[unit][account]") {
  settle("1", "key_a", "m", 10, 30);
  settle("2", "key_a", "m", 10, 9, "EUR");
  REQUIRE(books.post(
      {"t", "topup", "", "", 5, {{"house:cash", "USD", -50}, {"account:acc_1", "USD", 50}}}));
  const auto means = service.means(payer());
  REQUIRE(means);
  CHECK(means->balance == 20);
  CHECK(means->available == 120);
  CHECK(means->held == 0);
  CHECK(means->used == 30);
  CHECK(means->limited);

  Account open = payer();
  open.mode = store::AccountMode::kUnmetered;
  CHECK_FALSE(service.means(open)->limited);
  Account other = payer();
  other.id = "acc_2";
  CHECK(service.means(other)->used == 0);
}

TEST_CASE_METHOD(Setting, "account: what is available is what a request would find",
                 "[unit][account]") {
  REQUIRE(ledger->move_money(
      {"t", "topup", "", "", 5, {{"house:cash", "USD", -50}, {"account:acc_1", "USD", 50}}}));
  account::LoopLedger& loop = ledger->add_loop([](std::function<void()> run) { run(); });
  const account::CellRef cell = *ledger->account_cell("acc_1", "USD", -100);
  auto held = loop.hold(std::span(&cell, 1), 30, {"req", "acc_1", "key", 0});
  REQUIRE(held);
  auto means = service.means(payer());
  CHECK(means->balance == 50);
  CHECK(means->held == 30);
  CHECK(means->available == 120);
  account::Settlement settlement;
  settlement.charge = 10;
  settlement.currency = "USD";
  loop.settle(std::move(*held), settlement);
  means = service.means(payer());
  CHECK(means->balance == 50);  // the books come later
  CHECK(means->available == 140);
  REQUIRE(ledger->flush());
  means = service.means(payer());
  CHECK(means->balance == 40);
  CHECK(means->held == 0);
  CHECK(means->available == 140);
}
