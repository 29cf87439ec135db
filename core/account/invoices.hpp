// Invoices: what an account was charged and credited in a month of its zone, by model and price, so
// that opening balance, lines and closing balance are the books to the nano-unit.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "core/account/purse.hpp"
#include "core/account/refusal.hpp"
#include "core/store/invoices.hpp"

namespace switchyard::account {

// Blocking. [any thread]
class Invoices {
 public:
  // `flush` returns when all that was charged so far is in the books.
  Invoices(store::Invoices& rows, FindHolder find, std::function<Result<void>()> flush)
      : rows_(rows), find_(std::move(find)), flush_(std::move(flush)) {}

  // The month that a time is in, once it is over; the one that was issued for it, if one was. An
  // account that another pays for has none.
  Asked<store::InvoiceRow> issue(const std::string& account, std::int64_t in_month_unix_s,
                                 std::int64_t now_unix_s);
  // The same of a month that may still run, without a number and not kept: its document.
  Asked<std::string> preview(const std::string& account, std::int64_t in_month_unix_s);

  store::Invoices& rows() { return rows_; }

 private:
  struct Draft;
  Asked<Draft> draft(const std::string& account, std::int64_t in_month_unix_s);
  Result<void> add_lines(Draft& draft);

  store::Invoices& rows_;
  FindHolder find_;
  std::function<Result<void>()> flush_;
};

// A line of text for each line of an invoice's document, under a line of names.
Result<std::string> invoice_csv(const std::string& document);

}  // namespace switchyard::account
