#include "core/store/invoices.hpp"

#include <charconv>

#include "core/store/rows.hpp"

namespace switchyard::store {
namespace {

#define INVOICE_COLUMNS \
  "number, account, currency, start_unix_s, end_unix_s, issued_unix_s, document"

constexpr std::int64_t kNsPerS = 1'000'000'000;

InvoiceRow invoice_of(const Statement& row) {
  return {row.number(0), row.text(1),   row.text(2), row.number(3),
          row.number(4), row.number(5), row.text(6)};
}

// "[1,0,2]", as the books write them.
void read_quantities(const std::string& text,
                     std::array<std::uint64_t, Receipt::kQuantities>& quantities) {
  const char* at = text.data() + 1;
  const char* const end = text.data() + text.size();
  for (std::size_t i = 0; i < quantities.size() && at < end; ++i) {
    at = std::from_chars(at, end, quantities[i]).ptr + 1;
  }
}

InvoiceEntry entry_of(const Statement& row) {
  InvoiceEntry entry{row.text(0), row.text(1), row.text(2), row.number(3), row.number(4) / kNsPerS};
  entry.has_receipt = !row.is_null(5);
  if (!entry.has_receipt) return entry;
  entry.model = row.text(5);
  entry.price_version = row.text(6);
  read_quantities(row.text(7), entry.quantities);
  return entry;
}

}  // namespace

Result<std::optional<InvoiceRow>> Invoices::add(
    InvoiceRow invoice, const std::function<std::string(const InvoiceRow&)>& write) {
  return database_.transact([&]() -> Result<std::optional<InvoiceRow>> {
    const auto number = database_.number("SELECT COALESCE(MAX(number), 0) + 1 FROM invoices");
    if (!number) return number.error();
    invoice.number = *number;
    invoice.document = write(invoice);
    const auto insert =
        database_.prepare("INSERT INTO invoices (" INVOICE_COLUMNS
                          ") VALUES (?, ?, ?, ?, ?, ?, ?) "
                          "ON CONFLICT (account, currency, start_unix_s) DO NOTHING");
    insert->bind(invoice.number).bind(invoice.account).bind(invoice.currency);
    insert->bind(invoice.start_unix_s).bind(invoice.end_unix_s).bind(invoice.issued_unix_s);
    insert->bind(invoice.document);
    const auto added = changes_row(database_, *insert);
    if (!added) return added.error();
    return *added ? std::optional(invoice) : std::nullopt;
  });
}

Result<std::optional<InvoiceRow>> Invoices::find(std::int64_t number) {
  const auto held = database_.lock();
  const auto select =
      database_.prepare("SELECT " INVOICE_COLUMNS " FROM invoices WHERE number = ?");
  select->bind(number);
  return first_row(*select, invoice_of);
}

Result<std::optional<InvoiceRow>> Invoices::find(const std::string& account,
                                                 const std::string& currency,
                                                 std::int64_t start_unix_s) {
  const auto held = database_.lock();
  const auto select =
      database_.prepare("SELECT " INVOICE_COLUMNS
                        " FROM invoices WHERE account = ? AND currency = ? AND start_unix_s = ?");
  select->bind(account).bind(currency).bind(start_unix_s);
  return first_row(*select, invoice_of);
}

Result<std::vector<InvoiceRow>> Invoices::list(const std::string& account, std::int64_t after,
                                               std::int64_t max) {
  const auto held = database_.lock();
  const auto select = database_.prepare("SELECT " INVOICE_COLUMNS
                                        " FROM invoices WHERE number > ? AND (? = '' OR "
                                        "account = ?) ORDER BY number LIMIT ?");
  select->bind(after).bind(account).bind(account).bind(max);
  return all_rows(*select, invoice_of);
}

Result<std::int64_t> Invoices::balance_before(const std::string& account,
                                              const std::string& currency, std::int64_t unix_s) {
  const auto held = database_.lock();
  const auto select = database_.prepare(
      "SELECT COALESCE(SUM(entries.amount), 0) FROM entries "
      "JOIN transactions ON transactions.seq = entries.transaction_seq "
      "WHERE entries.account = ? AND entries.currency = ? AND transactions.at_unix_ns < ?");
  select->bind(account).bind(currency).bind(unix_s * kNsPerS);
  const auto row = select->step();
  if (!row) return row.error();
  return select->number(0);
}

Result<void> Invoices::entries(const std::string& account, const std::string& currency,
                               std::int64_t start_unix_s, std::int64_t end_unix_s,
                               const std::function<void(const InvoiceEntry&)>& visit) {
  const auto held = database_.lock();
  const auto select = database_.prepare(
      "SELECT transactions.id, transactions.kind, transactions.note, entries.amount, "
      "transactions.at_unix_ns, receipts.model_used, receipts.price_version, receipts.quantities "
      "FROM entries JOIN transactions ON transactions.seq = entries.transaction_seq "
      "LEFT JOIN receipts ON receipts.id = transactions.id "
      "WHERE entries.account = ? AND entries.currency = ? AND transactions.at_unix_ns >= ? AND "
      "transactions.at_unix_ns < ? ORDER BY entries.seq");
  select->bind(account).bind(currency).bind(start_unix_s * kNsPerS).bind(end_unix_s * kNsPerS);
  while (true) {
    const auto row = select->step();
    if (!row) return row.error();
    if (!*row) return {};
    visit(entry_of(*select));
  }
}

}  // namespace switchyard::store
