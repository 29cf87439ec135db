#include "core/store/books.hpp"

#include "../scratch.hpp"
#include "core/account/verify.hpp"
#include "core/store/books_verify.hpp"
#include "core/store/store.hpp"

using namespace switchyard;
using store::Books;
using store::Transaction;

namespace {

struct Opened {
  explicit Opened(const Scratch& scratch) {
    auto opened = store::open_database(scratch.path());
    if (!opened) FAIL(opened.error().message);
    database = std::move(*opened);
    books = std::make_unique<Books>(*database);
  }
  void sql(const std::string& text) {
    const auto run = database->run(text);
    if (!run) FAIL(run.error().message);
  }
  // What keeps it from being changed goes, as with a hand in the file.
  void unlock() {
    for (const char* table : {"transactions", "entries", "receipts", "costs", "interrupted"}) {
      sql("DROP TRIGGER " + std::string(table) + "_stay");
      sql("DROP TRIGGER " + std::string(table) + "_remain");
    }
  }
  std::unique_ptr<store::Database> database;
  std::unique_ptr<Books> books;
};

Transaction move(const std::string& id, const std::string& from, const std::string& to, Nano amount,
                 const std::string& currency = "USD") {
  return {id, "topup", "n", "", 5, {{from, currency, -amount}, {to, currency, amount}}};
}

// A request with a receipt, a charge, a cost.
void settle(Books& books, const std::string& id, Nano charge, Nano shortfall) {
  store::Receipt receipt;
  receipt.id = id;
  receipt.request_id = "req_" + id;
  receipt.account = "a";
  receipt.currency = "USD";
  receipt.charge = charge;
  receipt.shortfall = shortfall;
  receipt.quantities[1] = 3;
  REQUIRE(*books.add_receipt(receipt));
  CHECK(*books.post({id,
                     "charge",
                     receipt.request_id,
                     "",
                     5,
                     {{"account:a", "USD", -charge},
                      {"house:shortfall", "USD", -shortfall},
                      {"house:revenue", "USD", charge + shortfall}}}));
  CHECK(*books.add_cost(
      {id + "c", receipt.request_id, "a", "p", "m", "USD", "v", "completed", 2, false, 5}));
  CHECK(*books.post({id + "c",
                     "cost",
                     receipt.request_id,
                     "",
                     5,
                     {{"house:cost", "USD", -2}, {"provider:p", "USD", 2}}}));
}

}  // namespace

TEST_CASE("books: a transaction is there once, whoever posts it how often", "[unit][books]") {
  const Scratch scratch;
  Opened opened(scratch);
  Books& books = *opened.books;
  CHECK(*books.post(move("t1", "house:cash", "account:a", 7)));
  CHECK_FALSE(*books.post(move("t1", "house:cash", "account:a", 7)));
  CHECK_FALSE(*books.post(move("t1", "house:cash", "account:a", 9)));
  Opened other(scratch);
  CHECK_FALSE(*other.books->post(move("t1", "house:cash", "account:a", 7)));
  CHECK(*books.balance("account:a", "USD") == 7);
  CHECK(*books.balance("house:cash", "USD") == -7);
  CHECK(*books.balance("account:a", "EUR") == 0);
}

TEST_CASE("books: what does not balance in each currency is refused, and leaves nothing",
          "[unit][books]") {
  const Scratch scratch;
  Opened opened(scratch);
  Books& books = *opened.books;
  auto wrong = move("t1", "house:cash", "account:a", 7);
  wrong.entries[1].currency = "EUR";
  const auto refused = books.post(wrong);
  REQUIRE_FALSE(refused);
  CHECK(refused.error().message.find("transaction \"t1\" does not balance: -7 nano-units of USD "
                                     "come from nowhere") != std::string::npos);
  CHECK_FALSE(books.post({"t2", "topup", "", "", 1, {}}));
  CHECK_FALSE(books.post(move("", "house:cash", "account:a", 1)));
  CHECK_FALSE(books.post(
      {"t3", "x", "", "", 1, {{"a", "USD", INT64_MAX}, {"b", "USD", INT64_MAX}, {"c", "USD", 2}}}));
  // A balance that leaves the numbers undoes the transaction.
  CHECK(*books.post(move("t4", "house:cash", "account:a", INT64_MAX)));
  CHECK_FALSE(books.post(move("t5", "house:cash", "account:a", 1)));
  CHECK(*books.balance("account:a", "USD") == INT64_MAX);
  CHECK(store::verify_books(*opened.database)->empty());
}

TEST_CASE("books: nothing in them is changed or taken out again", "[unit][books]") {
  const Scratch scratch;
  Opened opened(scratch);
  settle(*opened.books, "s1", 5, 1);
  REQUIRE(*opened.books->add_interrupted({"i1", "req", "a", "k", 4, 1}));
  for (const char* table : {"transactions", "entries", "receipts", "costs", "interrupted"}) {
    CAPTURE(table);
    CHECK_FALSE(opened.database->run("DELETE FROM " + std::string(table)));
    CHECK_FALSE(opened.database->run("UPDATE " + std::string(table) + " SET seq = seq + 1"));
  }
}

TEST_CASE("books: a place in the journal goes forward only", "[unit][books]") {
  const Scratch scratch;
  Opened opened(scratch);
  Books& books = *opened.books;
  CHECK_FALSE(*books.place("w"));
  REQUIRE(books.set_place("w", {2, 100}));
  REQUIRE(books.set_place("w", {2, 200}));
  REQUIRE(books.set_place("w", {3, 64}));
  CHECK_FALSE(books.set_place("w", {3, 63}));
  CHECK_FALSE(books.set_place("w", {2, 500}));
  CHECK((*books.place("w"))->segment == 3);
  CHECK((*books.place("w"))->offset == 64);
  REQUIRE(books.forget_place("w"));
  CHECK_FALSE(*books.place("w"));
}

TEST_CASE("books: entries, receipts and balances are read page by page", "[unit][books]") {
  const Scratch scratch;
  Opened opened(scratch);
  Books& books = *opened.books;
  for (int i = 0; i < 5; ++i) {
    auto each = move("t" + std::to_string(i), "house:cash", "account:a", 1);
    each.at_unix_ns = static_cast<std::uint64_t>(10 * i);
    REQUIRE(*books.post(each));
  }
  REQUIRE(*books.post(move("e", "house:cash", "account:a", 1, "EUR")));
  REQUIRE(*books.post(move("b", "house:cash", "account:b%", 1)));

  store::EntryFilter filter;
  filter.account = "account:a";
  filter.from_unix_ns = 10;
  filter.to_unix_ns = 40;
  filter.max = 2;
  const auto first = *books.entries(filter);
  REQUIRE(first.size() == 2);
  CHECK(first[0].transaction == "t1");
  CHECK(first[0].at_unix_ns == 10);
  filter.after = first[1].seq;
  const auto second = *books.entries(filter);
  REQUIRE(second.size() == 1);
  CHECK(second[0].transaction == "t3");

  std::string names;
  store::Balance after;
  while (true) {
    const auto page = *books.balances("account:", after, 1);
    if (page.empty()) break;
    after = page[0];
    names += after.account + " " + after.currency + ";";
  }
  CHECK(names == "account:a EUR;account:a USD;account:b% USD;");
  CHECK(books.balances_of("account:a")->size() == 2);

  settle(books, "s1", 5, 1);
  settle(books, "s2", 6, 0);
  store::ReceiptFilter receipts;
  receipts.account = "a";
  receipts.max = 1;
  const auto page = *books.receipts(receipts);
  REQUIRE(page.size() == 1);
  CHECK(page[0].receipt.charge == 5);
  CHECK(page[0].receipt.quantities[1] == 3);
  CHECK(page[0].receipt.quantities[2] == 0);
  receipts.after = page[0].seq;
  CHECK((*books.receipts(receipts))[0].receipt.request_id == "req_s2");
  receipts.after = 0;
  const auto totals = *books.totals(receipts);
  REQUIRE(totals.size() == 1);
  CHECK(totals[0].requests == 2);
  CHECK(totals[0].charge == 11);
  CHECK(totals[0].shortfall == 1);
  receipts.account = "b";
  CHECK(books.receipts(receipts)->empty());
  receipts.account = "";
  receipts.key = "k";
  CHECK(books.totals(receipts)->empty());
}

TEST_CASE("books: verify finds each kind of damage", "[unit][books]") {
  struct Damage {
    const char* sql;
    const char* found;
  };
  const Damage damages[] = {
      {"UPDATE entries SET amount = amount + 1 WHERE account = 'house:cash'",
       "transaction does not balance: top USD: 0.000000001, expected 0"},
      {"DELETE FROM entries WHERE transaction_seq = (SELECT seq FROM transactions WHERE id = "
       "'top')",
       "transaction has no entries: top topup"},
      {"PRAGMA foreign_keys = OFF; DELETE FROM transactions WHERE id = 'top'",
       "entry belongs to no transaction: account:a USD: 0.0000001, expected 0"},
      {"UPDATE balances SET amount = amount + 1 WHERE account = 'account:a'",
       "balance is not the sum of its entries: account:a USD: 0.000000096, expected 0.000000095"},
      {"DELETE FROM balances WHERE account = 'account:a'",
       "entries have no balance: account:a USD: 0.000000095, expected 0"},
      {"UPDATE balances SET amount = amount - 1 WHERE account = 'account:a'",
       "currency does not balance: all accounts USD: -0.000000001, expected 0"},
      {"UPDATE receipts SET charge = charge + 1",
       "receipt is not what its transaction moved: s1 req_s1: 0.000000006, expected 0.000000005"},
      {"UPDATE receipts SET shortfall = 0",
       "shortfall of a receipt is not what its transaction moved: s1 req_s1: 0, expected "
       "0.000000001"},
      {"DELETE FROM receipts", "charge has no receipt: s1 req_s1"},
      {"UPDATE costs SET amount = NULL",
       "cost is not what its transaction moved: s1c req_s1: 0, expected 0.000000002"},
      {"DELETE FROM costs", "cost that was booked has no line: s1c req_s1"},
      {"INSERT INTO interrupted (id, request_id, account, key_id, held, at_unix_ns) VALUES "
       "('s1', 'req_s1', 'a', 'k', 5, 1)",
       "request was both settled and interrupted: s1 req_s1"},
  };
  for (const Damage& damage : damages) {
    CAPTURE(damage.sql);
    const Scratch scratch;
    Opened opened(scratch);
    REQUIRE(*opened.books->post(move("top", "house:cash", "account:a", 100)));
    settle(*opened.books, "s1", 5, 1);
    REQUIRE(account::verify_ledger(scratch.path())->empty());
    opened.unlock();
    opened.sql(damage.sql);
    const auto violations = *account::verify_ledger(scratch.path());
    std::string all;
    for (const std::string& each : violations) all += each + "\n";
    CAPTURE(all);
    CHECK(all.find(std::string(damage.found) + "\n") != std::string::npos);
  }
}
