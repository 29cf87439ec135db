#include "core/store/books.hpp"

#include <map>

#include "../scratch.hpp"
#include "booking.hpp"
#include "core/account/verify.hpp"
#include "core/store/books_verify.hpp"
#include "core/store/migrations.hpp"
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
    for (const char* table : {"transactions", "entries", "receipt_rows", "costs", "interrupted"}) {
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

store::Receipt receipt_of(Nano charge, Nano shortfall) {
  store::Receipt receipt;
  receipt.account = "a";
  receipt.currency = "USD";
  receipt.charge = charge;
  receipt.shortfall = shortfall;
  receipt.quantities[1] = 3;
  receipt.settled_unix_ns = 5;
  return receipt;
}

// A request with a receipt, a charge, a cost.
void settle(Books& books, const std::string& id, Nano charge, Nano shortfall) {
  store::Receipt receipt = receipt_of(charge, shortfall);
  receipt.writer = id;
  receipt.sequence = 1;
  receipt.request_id = "req_" + id;
  store::Batch batch;
  batch.receipts.push_back(view_of(receipt));
  batch.costs.push_back(
      {id + "c", receipt.request_id, "a", "p", "m", "USD", "v", "lost", 2, false, 5});
  REQUIRE(*books.book(batch));
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
  for (const char* table : {"transactions", "entries", "receipt_rows", "costs", "interrupted"}) {
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
  store::Receipt receipt = receipt_of(5, 0);
  store::Batch batch;
  batch.receipts.push_back(view_of(receipt));
  batch.writer = batch.receipts[0].writer = "w";
  const auto book = [&](std::optional<store::JournalPlace> from, store::JournalPlace to) {
    ++batch.receipts[0].sequence;
    batch.from = from;
    batch.to = to;
    return books.book(batch);
  };
  CHECK(*book(std::nullopt, {2, 100}));
  CHECK_FALSE(*book(std::nullopt, {2, 200}));  // it was booked before
  CHECK(*book(store::JournalPlace{2, 100}, {2, 200}));
  CHECK_FALSE(*book(store::JournalPlace{2, 100}, {2, 300}));
  CHECK(*book(store::JournalPlace{2, 200}, {3, 64}));
  CHECK_FALSE(book(store::JournalPlace{3, 64}, {3, 63}));
  CHECK_FALSE(book(store::JournalPlace{3, 64}, {2, 500}));
  CHECK(*books.balance("account:a", "USD") == -15);
  CHECK(books.receipts({})->size() == 3);
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
      {"UPDATE receipt_rows SET charge = charge + 1",
       "receipts are not what their transaction moved: s1-1 a USD: 0.000000006, expected "
       "0.000000005"},
      {"UPDATE receipt_rows SET account = 'b'",
       "receipts are not what their transaction moved: s1-1 b USD: 0.000000005, expected 0"},
      {"UPDATE receipt_rows SET shortfall = 0",
       "shortfalls of receipts are not what their transaction moved: s1-1 USD: 0, expected "
       "0.000000001"},
      {"UPDATE receipt_rows SET transaction_seq = NULL",
       "receipt was never booked: s1-1 req_s1: 0.000000006, expected 0"},
      {"UPDATE transactions SET receipts_to = receipts_to - 1 WHERE kind = 'charge'",
       "receipt is not among those that its transaction names: s1-1 s1-1"},
      {"DROP TRIGGER receipt_names_remain; DELETE FROM receipt_names",
       "receipt has no names: req_s1 a"},
      {"INSERT INTO receipt_rows (names, sequence, account, request_id, quantities, estimated, "
       "shortfall, held, cost_alone, started_unix_ns, settled_unix_ns) SELECT names, sequence, "
       "account, request_id, quantities, 0, 0, 0, 0, 1, 1 FROM receipt_rows",
       "settlement is booked twice: s1-1 req_s1: 0.000000002, expected 0.000000001"},
      {"DELETE FROM receipt_rows", "charge has no receipt: s1-1 receipts 1 to 1"},
      {"UPDATE costs SET amount = NULL",
       "costs are not what their transaction moved: s1c p USD: 0, expected 0.000000002"},
      {"DELETE FROM costs",
       "costs are not what their transaction moved: s1c p USD: 0, expected 0.000000002"},
      {"UPDATE costs SET transaction_seq = NULL",
       "cost was never booked: s1c req_s1: 0.000000002, expected 0"},
      {"INSERT INTO interrupted (id, request_id, account, key_id, held, at_unix_ns) VALUES "
       "('s1-1', 'req_s1', 'a', 'k', 5, 1)",
       "request was both settled and interrupted: s1-1 req_s1"},
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

TEST_CASE("books: what is alike of many requests is moved by one transaction, which names them",
          "[unit][books]") {
  const Scratch scratch;
  Opened opened(scratch);
  Books& books = *opened.books;
  std::vector<store::Receipt> made;
  const auto add = [&](const std::string& account, Nano charge, std::uint64_t at) {
    store::Receipt& receipt = made.emplace_back(receipt_of(charge, 0));
    receipt.writer = "w";
    receipt.sequence = made.size();
    receipt.account = account;
    receipt.provider = "p";
    receipt.cost = 2;
    receipt.cost_currency = "EUR";
    receipt.cost_alone = true;
    receipt.settled_unix_ns = at;
    return &receipt;
  };
  constexpr std::uint64_t kQuarter = 900'000'000'000;
  add("a", 5, 10);
  add("b", 7, 20);
  add("a", 0, 30)->cost = std::nullopt;  // moves nothing
  add("a", 6, kQuarter - 1);
  add("a", 8, kQuarter);  // another month, for all that is known
  store::Receipt* const exchanged = add("a", 9, 40);
  exchanged->original = 90;
  exchanged->original_currency = "CNY";
  exchanged->rate_version = "fx-1";
  store::Batch batch;
  for (const store::Receipt& receipt : made) batch.receipts.push_back(view_of(receipt));
  REQUIRE(*books.book(batch));

  CHECK(*books.balance("account:a", "USD") == -(5 + 6 + 8 + 9));
  CHECK(*books.balance("house:fx", "CNY") == -90);
  CHECK(*books.balance("provider:p", "EUR") == 10);
  std::map<std::string, std::string> transactions;
  const auto rows = *books.receipts({});
  for (const store::ReceiptRow& row : rows) {
    transactions[row.transaction] += std::to_string(row.receipt.sequence) + " ";
  }
  CHECK(transactions == std::map<std::string, std::string>{
                            {"", "3 "}, {"w-1", "1 2 4 "}, {"w-5", "5 "}, {"w-6", "6 "}});
  store::ReceiptFilter filter;
  filter.transaction = "w-1";
  CHECK(books.receipts(filter)->size() == 3);
  filter.account = "b";
  CHECK(books.receipts(filter)->size() == 1);
  std::string moved;
  const auto entries = *books.entries({});
  for (const store::EntryRow& row : entries) {
    if (row.transaction == "w-1") moved += row.account + " " + std::to_string(row.amount) + " ";
  }
  CHECK(moved == "house:revenue 18 account:a -11 account:b -7 ");
  CHECK(account::verify_ledger(scratch.path())->empty());
}

TEST_CASE("books: a batch that fails is not there at all, and the next one is whole",
          "[unit][books]") {
  const Scratch scratch;
  Opened opened(scratch);
  settle(*opened.books, "s1", 5, 1);
  opened.sql("CREATE TRIGGER full BEFORE INSERT ON costs BEGIN SELECT RAISE(ABORT, 'full'); END");
  store::Receipt receipt = receipt_of(3, 0);
  receipt.key = "another";
  store::Batch batch;
  batch.receipts.push_back(view_of(receipt));
  batch.receipts[0].writer = "s2";
  batch.costs.push_back({"s2c", "r", "a", "p", "m", "USD", "v", "lost", 2, false, 5});
  CHECK_FALSE(opened.books->book(batch));
  CHECK(opened.books->receipts({})->size() == 1);
  opened.sql("DROP TRIGGER full");
  REQUIRE(*opened.books->book(batch));
  CHECK(opened.books->receipts({})->at(1).receipt.key == "another");
  CHECK(account::verify_ledger(scratch.path())->empty());
}

TEST_CASE("books: what an earlier version booked is there as it was", "[unit][books]") {
  const Scratch scratch;
  const auto file = scratch.path() / "switchyard.db";
  std::size_t before = 0;  // the steps before receipts were summed up
  while (std::string_view(store::kMigrations[before]).find("receipt_rows") ==
         std::string_view::npos) {
    ++before;
  }
  {
    const auto old =
        store::Database::open_sqlite(file, std::span(store::kMigrations).first(before));
    REQUIRE(old);
    const auto ran = (*old)->run(R"sql(
      INSERT INTO transactions (id, kind, note, rate_version, at_unix_ns) VALUES
        ('0123456789abcdef-7', 'charge', 'req_1', '', 5),
        ('0123456789abcdef-6', 'cost', 'req_1', '', 5),
        ('0123456789abcdef-9', 'charge', 'req_2', 'fx-1', 6);
      INSERT INTO entries (transaction_seq, account, currency, amount) VALUES
        (1, 'account:a', 'USD', -40), (1, 'house:shortfall', 'USD', -2),
        (1, 'house:revenue', 'USD', 42), (2, 'house:cost', 'EUR', -3), (2, 'provider:p', 'EUR', 3),
        (3, 'account:a', 'USD', -10), (3, 'house:fx', 'USD', 10), (3, 'house:fx', 'CNY', -70),
        (3, 'house:revenue', 'CNY', 70);
      INSERT INTO balances SELECT account, currency, SUM(amount) FROM entries GROUP BY 1, 2;
      INSERT INTO receipts (id, request_id, account, key_id, feature, task, model_asked, model_used,
        provider, ended, quantities, currency, charge, shortfall, held, price_version, cost,
        cost_currency, estimated, started_unix_ns, settled_unix_ns) VALUES
        ('0123456789abcdef-7', 'req_1', 'a', 'k', 'f', 'chat', 'fast', 'm', 'p', 'completed',
         '[1,2]', 'USD', 40, 2, 50, 'v1', 3, 'EUR', 1, 4, 5),
        ('0123456789abcdef-9', 'req_2', 'a', 'k', 'f', 'chat', 'fast', 'm', 'p', 'completed',
         '[]', 'USD', 10, 0, 50, 'v1', NULL, '', 0, 4, 6),
        ('0123456789abcdef-11', 'req_3', 'a', 'k', 'f', 'chat', 'fast', 'm', 'p', 'completed',
         '[]', 'USD', NULL, 0, 0, '', NULL, '', 0, 4, 7);
      INSERT INTO costs (id, request_id, account, provider, model, currency, amount, price_version,
        outcome, estimated, at_unix_ns) VALUES
        ('0123456789abcdef-6', 'req_1', 'a', 'p', 'm', 'EUR', 3, 'c1', 'completed', 0, 5);
    )sql");
    if (!ran) FAIL(ran.error().message);
  }
  Opened opened(scratch);
  const auto rows = *opened.books->receipts({});
  REQUIRE(rows.size() == 3);
  const store::Receipt& first = rows[0].receipt;
  CHECK(rows[0].transaction == "0123456789abcdef-7");
  CHECK(first.writer == "0123456789abcdef");
  CHECK(first.sequence == 7);
  CHECK(first.request_id == "req_1");
  CHECK(first.model_asked == "fast");
  CHECK(first.quantities[1] == 2);
  CHECK(first.charge == 40);
  CHECK(first.shortfall == 2);
  CHECK(first.cost == 3);
  CHECK(first.cost_currency == "EUR");
  CHECK_FALSE(first.cost_alone);
  CHECK(first.estimated);
  CHECK(rows[1].receipt.original == 70);
  CHECK(rows[1].receipt.original_currency == "CNY");
  CHECK(rows[1].receipt.rate_version == "fx-1");
  CHECK_FALSE(rows[2].receipt.charge);
  CHECK(rows[2].transaction.empty());
  store::ReceiptFilter filter;
  filter.transaction = "0123456789abcdef-9";
  CHECK(opened.books->receipts(filter)->size() == 1);
  CHECK(opened.books->costs("req_1")->size() == 1);
  CHECK(*opened.database->number("SELECT SUM(requests) FROM usage_days") == 3);
  settle(*opened.books, "next", 5, 0);
  CHECK(opened.books->receipts({})->back().seq == 4);
  CHECK(*opened.books->balance("account:a", "USD") == -55);
  CHECK(account::verify_ledger(scratch.path())->empty());
}
