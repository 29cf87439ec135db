#include "core/account/ledger_purse.hpp"

#include <algorithm>

#include "core/base/clock.hpp"

namespace switchyard::account {

Result<Moved> LedgerPurse::move(const Transfer& transfer) {
  store::Transaction transaction;
  transaction.id = transfer.id;
  transaction.kind = transfer.kind;
  transaction.note = transfer.note;
  transaction.at_unix_ns = unix_ns();
  for (const Transfer::Entry& entry : transfer.entries) {
    transaction.entries.push_back({entry.account, transfer.currency, entry.amount});
  }
  const auto moved = ledger_.move_money(transaction, transfer.floor);
  if (moved) return *moved ? Moved::kNow : Moved::kBefore;
  if (moved.error().why == Ledger::MoveFault::Why::kUncovered) return Moved::kUncovered;
  return Error{moved.error().message};
}

// What is held by requests is not there to be taken: the cell says so, the books do not.
Result<std::int64_t> LedgerPurse::available(const std::string& account, const std::string& currency,
                                            std::int64_t floor) {
  const auto balance = books_.balance(account, currency);
  if (!balance) return balance.error();
  std::int64_t available = *balance;
  const auto cell = ledger_.find_account_cell(account.substr(account.find(':') + 1), currency, 0);
  if (cell) available = std::min(available, cell->available());
  std::int64_t above = 0;
  if (__builtin_sub_overflow(available, floor, &above)) return INT64_MAX;
  return std::max<std::int64_t>(above, 0);
}

// By the order of the books: each charge is behind exactly one of an account's grants.
Result<std::int64_t> LedgerPurse::spent_since(const std::string& account,
                                              const std::string& currency, const std::string& id) {
  store::Database& database = books_.database();
  const auto held = database.lock();
  const auto select = database.prepare(
      "SELECT COALESCE(SUM(-entries.amount), 0) FROM entries "
      "JOIN transactions ON transactions.seq = entries.transaction_seq "
      "WHERE entries.account = ? AND entries.currency = ? AND transactions.kind = 'charge' "
      "AND transactions.seq > (SELECT seq FROM transactions WHERE id = ?)");
  select->bind(account).bind(currency).bind(id);
  const auto row = select->step();
  if (!row) return row.error();
  return select->number(0);
}

}  // namespace switchyard::account
