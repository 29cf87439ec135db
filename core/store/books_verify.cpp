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
    {"receipts are not what their transaction moved",
     "SELECT t.id, x.account || ' ' || x.currency, COALESCE(SUM(x.told), 0), SUM(x.moved) FROM "
     "(SELECT transaction_seq, account, currency, SUM(charge) AS told, 0 AS moved FROM receipts "
     "WHERE transaction_seq IS NOT NULL GROUP BY 1, 2, 3 UNION ALL "
     "SELECT e.transaction_seq, substr(e.account, 9), e.currency, 0, -SUM(e.amount) FROM entries e "
     "JOIN transactions t ON t.seq = e.transaction_seq WHERE t.kind = 'charge' AND "
     "e.account LIKE 'account:%' GROUP BY 1, 2, 3) x LEFT JOIN transactions t ON "
     "t.seq = x.transaction_seq GROUP BY x.transaction_seq, x.account, x.currency "
     "HAVING COALESCE(SUM(x.told), 0) <> SUM(x.moved) ORDER BY t.id, 2"},
    {"shortfalls of receipts are not what their transaction moved",
     "SELECT t.id, x.currency, COALESCE(SUM(x.told), 0), SUM(x.moved) FROM "
     "(SELECT transaction_seq, currency, SUM(shortfall) AS told, 0 AS moved FROM receipts "
     "WHERE transaction_seq IS NOT NULL GROUP BY 1, 2 UNION ALL "
     "SELECT e.transaction_seq, e.currency, 0, -SUM(e.amount) FROM entries e "
     "JOIN transactions t ON t.seq = e.transaction_seq WHERE t.kind = 'charge' AND "
     "e.account = 'house:shortfall' GROUP BY 1, 2) x LEFT JOIN transactions t ON "
     "t.seq = x.transaction_seq GROUP BY x.transaction_seq, x.currency "
     "HAVING COALESCE(SUM(x.told), 0) <> SUM(x.moved) ORDER BY t.id, 2"},
    {"receipt was never booked",
     "SELECT id, request_id, COALESCE(charge, 0) + shortfall, 0 FROM receipts WHERE "
     "transaction_seq IS NULL AND COALESCE(charge, 0) + shortfall <> 0 ORDER BY seq"},
    {"receipt is not among those that its transaction names",
     "SELECT r.id, t.id, 0, 0 FROM receipts r JOIN transactions t ON t.seq = r.transaction_seq OR "
     "t.seq = r.cost_transaction_seq WHERE COALESCE(r.seq NOT BETWEEN t.receipts_from AND "
     "t.receipts_to, 1) ORDER BY r.seq"},
    {"receipt has no names",
     "SELECT r.request_id, r.account, 0, 0 FROM receipt_rows r WHERE NOT EXISTS (SELECT 1 FROM "
     "receipt_names n WHERE n.number = r.names) ORDER BY r.seq"},
    {"settlement is booked twice",
     "SELECT id, MIN(request_id), COUNT(*), 1 FROM receipts GROUP BY id HAVING COUNT(*) > 1 "
     "ORDER BY id"},
    {"charge has no receipt",
     "SELECT t.id, t.note, 0, 0 FROM transactions t WHERE t.kind = 'charge' AND t.seq NOT IN "
     "(SELECT transaction_seq FROM receipts WHERE transaction_seq IS NOT NULL) ORDER BY t.seq"},
    {"costs are not what their transaction moved",
     "SELECT t.id, x.provider || ' ' || x.currency, COALESCE(SUM(x.told), 0), SUM(x.moved) FROM "
     "(SELECT transaction_seq, provider, currency, SUM(amount) AS told, 0 AS moved FROM costs "
     "WHERE transaction_seq IS NOT NULL GROUP BY 1, 2, 3 UNION ALL "
     "SELECT cost_transaction_seq, provider, cost_currency, SUM(cost), 0 FROM receipts "
     "WHERE cost_transaction_seq IS NOT NULL GROUP BY 1, 2, 3 UNION ALL "
     "SELECT e.transaction_seq, substr(e.account, 10), e.currency, 0, SUM(e.amount) FROM entries e "
     "JOIN transactions t ON t.seq = e.transaction_seq WHERE t.kind = 'cost' AND "
     "e.account LIKE 'provider:%' GROUP BY 1, 2, 3) x LEFT JOIN transactions t ON "
     "t.seq = x.transaction_seq GROUP BY x.transaction_seq, x.provider, x.currency "
     "HAVING COALESCE(SUM(x.told), 0) <> SUM(x.moved) ORDER BY t.id, 2"},
    {"cost was never booked",
     "SELECT id, request_id, amount, 0 FROM costs WHERE transaction_seq IS NULL AND "
     "amount <> 0 UNION ALL SELECT id, request_id, cost, 0 FROM receipts WHERE cost_alone = 1 AND "
     "cost_transaction_seq IS NULL AND cost <> 0"},
    {"request was both settled and interrupted",
     "SELECT i.id, i.request_id, 0, 0 FROM interrupted i WHERE i.id IN (SELECT id FROM receipts) "
     "ORDER BY i.seq"},
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
