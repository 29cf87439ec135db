#include <algorithm>
#include <array>
#include <charconv>

#include "core/store/books_statements.hpp"

namespace switchyard::store {
namespace {

std::array<std::uint64_t, Receipt::kQuantities> quantities_of(const std::string& text) {
  std::array<std::uint64_t, Receipt::kQuantities> quantities{};
  const char* at = text.data() + 1;
  const char* const end = text.data() + text.size();
  for (std::size_t i = 0; i < quantities.size() && at < end; ++i) {
    at = std::from_chars(at, end, quantities[i]).ptr + 1;
  }
  return quantities;
}

constexpr char kReceiptColumns[] =
    "r.seq, (SELECT t.id FROM transactions t WHERE t.seq = r.transaction_seq), r.writer, "
    "r.request_id, r.account, r.key_id, r.feature, r.task, r.model_asked, r.model_used, "
    "r.provider, r.ended, r.currency, r.price_version, r.original_currency, r.rate_version, "
    "r.cost_currency, r.cost_version, r.sequence, r.quantities, r.charge, r.shortfall, r.held, "
    "r.original, r.cost, r.cost_alone, r.estimated, r.started_unix_ns, r.settled_unix_ns";

ReceiptRow receipt_of(const Statement& row) {
  ReceiptRow found;
  found.seq = row.number(0);
  found.transaction = row.text(1);
  Receipt& receipt = found.receipt;
  std::string* const texts[] = {&receipt.writer,
                                &receipt.request_id,
                                &receipt.account,
                                &receipt.key,
                                &receipt.feature,
                                &receipt.task,
                                &receipt.model_asked,
                                &receipt.model_used,
                                &receipt.provider,
                                &receipt.ended,
                                &receipt.currency,
                                &receipt.price_version,
                                &receipt.original_currency,
                                &receipt.rate_version,
                                &receipt.cost_currency,
                                &receipt.cost_version};
  int column = 2;
  for (std::string* const text : texts) *text = row.text(column++);
  receipt.sequence = static_cast<std::uint64_t>(row.number(column++));
  receipt.quantities = quantities_of(row.text(column++));
  receipt.charge = row.maybe_number(column++);
  receipt.shortfall = row.number(column++);
  receipt.held = row.number(column++);
  receipt.original = row.maybe_number(column++);
  receipt.cost = row.maybe_number(column++);
  receipt.cost_alone = row.number(column++) != 0;
  receipt.estimated = row.number(column++) != 0;
  receipt.started_unix_ns = static_cast<std::uint64_t>(row.number(column++));
  receipt.settled_unix_ns = static_cast<std::uint64_t>(row.number(column));
  return found;
}

// " FROM ... WHERE ...", and what is bound to it. What is not asked for is not in it, so that an
// index is found.
std::string source_of(const ReceiptFilter& filter) {
  std::string sql =
      " FROM receipts r WHERE r.settled_unix_ns >= ? AND r.settled_unix_ns < ? AND r.seq > ?";
  if (!filter.account.empty()) sql += " AND r.account = ?";
  if (!filter.key.empty()) sql += " AND r.key_id = ?";
  if (!filter.feature.empty()) sql += " AND r.feature = ?";
  if (!filter.model.empty()) sql += " AND r.model_used = ?";
  if (filter.transaction.empty()) return sql;
  return sql +
         " AND r.transaction_seq = (SELECT seq FROM transactions WHERE id = ?)"
         " AND r.seq >= (SELECT receipts_from FROM transactions WHERE id = ?)"
         " AND r.seq <= (SELECT receipts_to FROM transactions WHERE id = ?)";
}

void bind(Statement& select, const ReceiptFilter& filter) {
  select.bind(filter.from_unix_ns).bind(filter.to_unix_ns).bind(filter.after);
  for (const std::string* const text :
       {&filter.account, &filter.key, &filter.feature, &filter.model}) {
    if (!text->empty()) select.bind(*text);
  }
  for (int i = 0; i < 3 && !filter.transaction.empty(); ++i) select.bind(filter.transaction);
}

// Calls `take` for each row.
template <class Take>
Result<void> each(Statement& select, Take take) {
  while (true) {
    const auto row = select.step();
    if (!row) return row.error();
    if (!*row) return {};
    take(select);
  }
}

Result<std::vector<Balance>> balances_in(Statement& select) {
  std::vector<Balance> found;
  const auto read = each(select, [&](const Statement& row) {
    found.push_back({row.text(0), row.text(1), row.number(2)});
  });
  if (!read) return read.error();
  return found;
}

// What is wrong with a transaction; empty: nothing.
std::string fault_of(const Transaction& transaction) {
  if (transaction.id.empty()) return "has no id";
  if (transaction.entries.empty()) return "moves nothing";
  for (const Entry& entry : transaction.entries) {
    if (entry.account.empty() || entry.currency.empty()) return "has an entry without a name";
    Nano sum = 0;
    for (const Entry& other : transaction.entries) {
      if (other.currency == entry.currency && __builtin_add_overflow(sum, other.amount, &sum)) {
        return "moves more " + entry.currency + " than can be counted";
      }
    }
    if (sum != 0) {
      return "does not balance: " + std::to_string(sum) + " nano-units of " + entry.currency +
             " come from nowhere";
    }
  }
  return "";
}

}  // namespace

Statement& Books::prepared(std::unique_ptr<Statement>& kept, const char* sql) {
  if (!kept) kept = database_.prepare(sql);
  kept->reset();
  return *kept;
}

// True: the row is new.
Result<bool> Books::run_new(Statement& insert) {
  const auto run = insert.run();
  const bool fresh = run && database_.changed() > 0;
  insert.reset();  // one that stands keeps its transaction from ending
  if (!run) return run.error();
  return fresh;
}

Result<bool> Books::post(const Transaction& transaction) {
  const std::string fault = fault_of(transaction);
  if (!fault.empty()) {
    return database_.error("transaction \"" + transaction.id + "\" " + fault);
  }
  return database_.transact([&]() -> Result<bool> {
    const auto seq = post_new(transaction);
    if (!seq) return seq.error();
    return *seq != 0;
  });
}

Result<bool> Books::has(const std::string& transaction_id) {
  const auto held = database_.lock();
  const auto select = database_.prepare("SELECT 1 FROM transactions WHERE id = ?");
  return select->bind(transaction_id).step();
}

// 0: it was there.
Result<std::int64_t> Books::post_new(const Transaction& transaction) {
  const auto maybe = [](std::int64_t seq) { return seq == 0 ? std::nullopt : std::optional(seq); };
  Statement& insert =
      prepared(statements_->post,
               "INSERT INTO transactions (id, kind, note, rate_version, at_unix_ns, "
               "receipts_from, receipts_to) VALUES (?, ?, ?, ?, ?, ?, ?) "
               "ON CONFLICT (id) DO NOTHING RETURNING seq");
  insert.bind(transaction.id).bind(transaction.kind).bind(transaction.note);
  insert.bind(transaction.rate_version).bind(transaction.at_unix_ns);
  insert.bind(maybe(transaction.receipts_from)).bind(maybe(transaction.receipts_to));
  const auto row = insert.step();
  if (!row) return row.error();
  const std::int64_t seq = *row ? insert.number(0) : 0;
  insert.reset();
  if (seq == 0) return seq;
  for (const Entry& entry : transaction.entries) {
    const auto added = add_entry(seq, entry);
    if (!added) return added.error();
  }
  return seq;
}

Result<void> Books::add_entry(std::int64_t transaction, const Entry& entry) {
  Statement& insert = prepared(
      statements_->entry,
      "INSERT INTO entries (transaction_seq, account, currency, amount) VALUES (?, ?, ?, ?)");
  insert.bind(transaction).bind(entry.account).bind(entry.currency).bind(entry.amount);
  const auto added = run_new(insert);
  if (!added) return added.error();
  Statement& change = prepared(
      statements_->balance,
      "INSERT INTO balances (account, currency, amount) VALUES (?, ?, ?) ON CONFLICT (account, "
      "currency) DO UPDATE SET amount = balances.amount + excluded.amount");
  change.bind(entry.account).bind(entry.currency).bind(entry.amount);
  const auto changed = run_new(change);
  if (!changed) return changed.error();
  return {};
}

Result<bool> Books::add_interrupted(const Interrupted& interrupted) {
  const auto held = database_.lock();
  Statement& insert = prepared(statements_->interrupted,
                               "INSERT INTO interrupted (id, request_id, account, key_id, held, "
                               "at_unix_ns) VALUES (?, ?, ?, "
                               "?, ?, ?) ON CONFLICT (id) DO NOTHING");
  insert.bind(interrupted.id).bind(interrupted.request_id).bind(interrupted.account);
  insert.bind(interrupted.key).bind(interrupted.held).bind(interrupted.at_unix_ns);
  return run_new(insert);
}

Result<std::optional<JournalPlace>> Books::place(const std::string& writer) {
  const auto held = database_.lock();
  const auto select =
      database_.prepare("SELECT segment, place FROM journal_places WHERE writer = ?");
  const auto row = select->bind(writer).step();
  if (!row) return row.error();
  if (!*row) return std::optional<JournalPlace>();
  return std::optional(JournalPlace{static_cast<std::uint64_t>(select->number(0)),
                                    static_cast<std::uint64_t>(select->number(1))});
}

Result<void> Books::forget_place(const std::string& writer) {
  const auto held = database_.lock();
  const auto remove = database_.prepare("DELETE FROM journal_places WHERE writer = ?");
  return remove->bind(writer).run();
}

Result<Nano> Books::balance(const std::string& account, const std::string& currency) {
  const auto held = database_.lock();
  const auto select =
      database_.prepare("SELECT amount FROM balances WHERE account = ? AND currency = ?");
  const auto row = select->bind(account).bind(currency).step();
  if (!row) return row.error();
  return *row ? select->number(0) : 0;
}

Result<std::vector<Balance>> Books::balances_of(const std::string& account) {
  const auto held = database_.lock();
  const auto select = database_.prepare(
      "SELECT account, currency, amount FROM balances WHERE account = ? ORDER BY currency");
  select->bind(account);
  return balances_in(*select);
}

Result<std::vector<Balance>> Books::balances(const std::string& prefix, const Balance& after,
                                             std::uint64_t max) {
  const auto held = database_.lock();
  // No character of UTF-8 sorts behind the last one.
  const std::string end = prefix + "\xf4\x8f\xbf\xbf";
  const auto select = database_.prepare(
      "SELECT account, currency, amount FROM balances WHERE account >= ? AND account < ? AND "
      "(account, currency) > (?, ?) ORDER BY account, currency LIMIT ?");
  select->bind(prefix).bind(end).bind(after.account).bind(after.currency).bind(max);
  return balances_in(*select);
}

Result<std::vector<EntryRow>> Books::entries(const EntryFilter& filter) {
  const auto held = database_.lock();
  std::string sql =
      "SELECT e.seq, t.id, t.kind, t.note, e.account, e.currency, e.amount, t.at_unix_ns FROM "
      "entries e JOIN transactions t ON t.seq = e.transaction_seq WHERE e.seq > ? AND "
      "t.at_unix_ns >= ? AND t.at_unix_ns < ?";
  if (!filter.account.empty()) sql += " AND e.account = ?";
  sql += " ORDER BY e.seq LIMIT ?";
  const auto select = database_.prepare(sql.c_str());
  select->bind(filter.after).bind(filter.from_unix_ns).bind(filter.to_unix_ns);
  if (!filter.account.empty()) select->bind(filter.account);
  select->bind(filter.max);
  std::vector<EntryRow> found;
  const auto read = each(*select, [&](const Statement& row) {
    found.push_back({row.number(0), row.text(1), row.text(2), row.text(3), row.text(4), row.text(5),
                     row.number(6), static_cast<std::uint64_t>(row.number(7))});
  });
  if (!read) return read.error();
  return found;
}

Result<std::vector<ReceiptRow>> Books::receipts(const ReceiptFilter& filter) {
  const auto held = database_.lock();
  const std::string sql =
      std::string("SELECT ") + kReceiptColumns + source_of(filter) + " ORDER BY r.seq LIMIT ?";
  const auto select = database_.prepare(sql.c_str());
  bind(*select, filter);
  select->bind(filter.max);
  std::vector<ReceiptRow> found;
  const auto read = each(*select, [&](const Statement& row) { found.push_back(receipt_of(row)); });
  if (!read) return read.error();
  return found;
}

Result<std::vector<ReceiptTotal>> Books::totals(const ReceiptFilter& filter) {
  const auto held = database_.lock();
  const std::string sql =
      "SELECT r.currency, COUNT(*), COALESCE(SUM(r.charge), 0), SUM(r.shortfall)" +
      source_of(filter) + " GROUP BY r.currency ORDER BY r.currency";
  const auto select = database_.prepare(sql.c_str());
  bind(*select, filter);
  std::vector<ReceiptTotal> found;
  const auto read = each(*select, [&](const Statement& row) {
    found.push_back(
        {row.text(0), static_cast<std::uint64_t>(row.number(1)), row.number(2), row.number(3)});
  });
  if (!read) return read.error();
  return found;
}

Result<std::vector<Cost>> Books::costs(const std::string& request_id) {
  const auto held = database_.lock();
  const auto select = database_.prepare(
      "SELECT id, request_id, account, provider, model, currency, price_version, outcome, amount, "
      "estimated, at_unix_ns FROM costs WHERE request_id = ? ORDER BY seq");
  select->bind(request_id);
  std::vector<Cost> found;
  const auto read = each(*select, [&](const Statement& row) {
    found.push_back({row.text(0), row.text(1), row.text(2), row.text(3), row.text(4), row.text(5),
                     row.text(6), row.text(7), row.maybe_number(8), row.number(9) != 0,
                     static_cast<std::uint64_t>(row.number(10))});
  });
  if (!read) return read.error();
  return found;
}

}  // namespace switchyard::store
