// Invoices as they were issued, and what of the books they are made from.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "core/store/books.hpp"
#include "core/store/database.hpp"

namespace switchyard::store {

struct InvoiceRow {
  std::int64_t number = 0;  // from 1, without gaps
  std::string account, currency;
  std::int64_t start_unix_s = 0, end_unix_s = 0, issued_unix_s = 0;
  std::string document;  // JSON
};

// An entry of an account, or one receipt of an entry that is the charge of many.
struct InvoiceEntry {
  std::string id, kind, note;
  std::int64_t amount = 0;  // added to the balance
  std::int64_t at_unix_s = 0;
  bool has_receipt = false;
  std::string model, price_version;
  std::array<std::uint64_t, Receipt::kQuantities> quantities{};
};

class Invoices {
 public:
  explicit Invoices(Database& database) : database_(database) {}

  // Adds one with the next number, which `write` puts into its document; nothing where the account
  // has one of this currency and start.
  Result<std::optional<InvoiceRow>> add(InvoiceRow invoice,
                                        const std::function<std::string(const InvoiceRow&)>& write);
  Result<std::optional<InvoiceRow>> find(std::int64_t number);
  Result<std::optional<InvoiceRow>> find(const std::string& account, const std::string& currency,
                                         std::int64_t start_unix_s);
  // By number, behind `after`; of one account where it is not empty.
  Result<std::vector<InvoiceRow>> list(const std::string& account, std::int64_t after,
                                       std::int64_t max);

  // What an account had before a time.
  Result<std::int64_t> balance_before(const std::string& account, const std::string& currency,
                                      std::int64_t unix_s);
  // `account` is its id; the receipts come last.
  Result<void> entries(const std::string& account, const std::string& currency,
                       std::int64_t start_unix_s, std::int64_t end_unix_s,
                       const std::function<void(const InvoiceEntry&)>& visit);

 private:
  Database& database_;
};

}  // namespace switchyard::store
