#include "core/store/books_verify.hpp"

#include "core/base/nano.hpp"

namespace switchyard::store {
namespace {

// A question whose every row is a violation: columns 0 and 1 name what it is about, 2 and 3 are two
// amounts that should be one.
struct Proof {
  const char* what;
  const char* sql;
};

constexpr Proof kProofs[] = {
    {"transaction does not balance",
     "SELECT t.id, e.currency, SUM(e.amount), 0 FROM entries e JOIN transactions t ON "
     "t.seq = e.transaction_seq GROUP BY t.id, e.currency HAVING SUM(e.amount) <> 0 "
     "ORDER BY t.id, e.currency"},
    {"transaction has no entries",
     "SELECT t.id, t.kind, 0, 0 FROM transactions t WHERE NOT EXISTS (SELECT 1 FROM entries e "
     "WHERE e.transaction_seq = t.seq) ORDER BY t.id"},
    {"entry belongs to no transaction",
     "SELECT e.account, e.currency, e.amount, 0 FROM entries e WHERE NOT EXISTS (SELECT 1 FROM "
     "transactions t WHERE t.seq = e.transaction_seq) ORDER BY e.seq"},
    {"balance is not the sum of its entries",
     "SELECT b.account, b.currency, b.amount, COALESCE(s.amount, 0) FROM balances b LEFT JOIN "
     "(SELECT account, currency, SUM(amount) AS amount FROM entries GROUP BY account, currency) s "
     "ON s.account = b.account AND s.currency = b.currency WHERE b.amount <> COALESCE(s.amount, 0) "
     "ORDER BY b.account, b.currency"},
    {"entries have no balance",
     "SELECT e.account, e.currency, SUM(e.amount), 0 FROM entries e WHERE NOT EXISTS (SELECT 1 "
     "FROM balances b WHERE b.account = e.account AND b.currency = e.currency) "
     "GROUP BY e.account, e.currency ORDER BY e.account, e.currency"},
    {"currency does not balance",
     "SELECT 'all accounts', currency, SUM(amount), 0 FROM balances GROUP BY currency "
     "HAVING SUM(amount) <> 0 ORDER BY currency"},
    {"receipt is not what its transaction moved",
     "SELECT r.id, r.request_id, COALESCE(r.charge, 0), COALESCE(s.amount, 0) FROM receipts r LEFT "
     "JOIN (SELECT t.id, -SUM(e.amount) AS amount FROM transactions t JOIN entries e ON "
     "e.transaction_seq = t.seq WHERE t.kind = 'charge' AND e.account LIKE 'account:%' GROUP BY "
     "t.id) s ON s.id = r.id WHERE COALESCE(r.charge, 0) <> COALESCE(s.amount, 0) ORDER BY r.seq"},
    {"shortfall of a receipt is not what its transaction moved",
     "SELECT r.id, r.request_id, r.shortfall, COALESCE(s.amount, 0) FROM receipts r LEFT JOIN "
     "(SELECT t.id, -SUM(e.amount) AS amount FROM transactions t JOIN entries e ON "
     "e.transaction_seq = t.seq WHERE t.kind = 'charge' AND e.account = 'house:shortfall' GROUP BY "
     "t.id) s ON s.id = r.id WHERE r.shortfall <> COALESCE(s.amount, 0) ORDER BY r.seq"},
    {"charge has no receipt",
     "SELECT t.id, t.note, 0, 0 FROM transactions t WHERE t.kind = 'charge' AND NOT EXISTS "
     "(SELECT 1 FROM receipts r WHERE r.id = t.id) ORDER BY t.seq"},
    {"cost is not what its transaction moved",
     "SELECT c.id, c.request_id, COALESCE(c.amount, 0), COALESCE(s.amount, 0) FROM costs c LEFT "
     "JOIN (SELECT t.id, -SUM(e.amount) AS amount FROM transactions t JOIN entries e ON "
     "e.transaction_seq = t.seq WHERE t.kind = 'cost' AND e.account = 'house:cost' GROUP BY t.id) "
     "s ON s.id = c.id WHERE COALESCE(c.amount, 0) <> COALESCE(s.amount, 0) ORDER BY c.seq"},
    {"cost that was booked has no line",
     "SELECT t.id, t.note, 0, 0 FROM transactions t WHERE t.kind = 'cost' AND NOT EXISTS "
     "(SELECT 1 FROM costs c WHERE c.id = t.id) ORDER BY t.seq"},
    {"request was both settled and interrupted",
     "SELECT i.id, i.request_id, 0, 0 FROM interrupted i WHERE EXISTS (SELECT 1 FROM receipts r "
     "WHERE r.id = i.id) ORDER BY i.seq"},
};

Result<void> ask(Database& database, const Proof& proof, std::vector<std::string>& violations) {
  const auto select = database.prepare(proof.sql);
  while (true) {
    const auto row = select->step();
    if (!row) return row.error();
    if (!*row) return {};
    std::string text = std::string(proof.what) + ": " + select->text(0) + " " + select->text(1);
    if (select->number(2) != select->number(3)) {
      text +=
          ": " + format_nano(select->number(2)) + ", expected " + format_nano(select->number(3));
    }
    violations.push_back(std::move(text));
  }
}

}  // namespace

Result<std::vector<std::string>> verify_books(Database& database) {
  const auto held = database.lock();
  // One that only reads: writers go on beside it.
  if (auto begun = database.run("BEGIN"); !begun) return begun.error();
  std::vector<std::string> violations;
  Result<void> asked;
  for (const Proof& proof : kProofs) {
    if (asked) asked = ask(database, proof, violations);
  }
  const auto ended = database.run("ROLLBACK");
  if (!asked) return asked.error();
  if (!ended) return ended.error();
  return violations;
}

}  // namespace switchyard::store
