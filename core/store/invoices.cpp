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
  return {row.text(0), row.text(1), row.text(2), row.number(3), row.number(4) / kNsPerS, false,
          "",          "",          {}};
}

InvoiceEntry charge_of(const Statement& row) {
  InvoiceEntry entry;
  entry.amount = -row.number(0);
  entry.at_unix_s = row.number(1) / kNsPerS;
  entry.has_receipt = true;
  entry.model = row.text(2);
  entry.price_version = row.text(3);
  read_quantities(row.text(4), entry.quantities);
  return entry;
}

template <class Of>
Result<void> each_entry(Statement& select, Of of,
                        const std::function<void(const InvoiceEntry&)>& visit) {
  while (true) {
    const auto row = select.step();
    if (!row) return row.error();
    if (!*row) return {};
    visit(of(select));
  }
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
  const auto others = database_.prepare(
      "SELECT transactions.id, transactions.kind, transactions.note, entries.amount, "
      "transactions.at_unix_ns "
      "FROM entries JOIN transactions ON transactions.seq = entries.transaction_seq "
      "WHERE entries.account = ? AND entries.currency = ? AND transactions.at_unix_ns >= ? AND "
      "transactions.at_unix_ns < ? AND transactions.receipts_from IS NULL ORDER BY entries.seq");
  others->bind(account_name(account)).bind(currency);
  others->bind(start_unix_s * kNsPerS).bind(end_unix_s * kNsPerS);
  if (auto told = each_entry(*others, entry_of, visit); !told) return told;
  // A transaction moves charges of many receipts, all of them of this month or none.
  const auto charges = database_.prepare(
      "SELECT charge, settled_unix_ns, model_used, price_version, quantities FROM receipts "
      "WHERE account = ? AND currency = ? AND settled_unix_ns >= ? AND settled_unix_ns < ? AND "
      "charge <> 0 AND transaction_seq IS NOT NULL ORDER BY seq");
  charges->bind(account).bind(currency);
  charges->bind(start_unix_s * kNsPerS).bind(end_unix_s * kNsPerS);
  return each_entry(*charges, charge_of, visit);
}

}  // namespace switchyard::store
