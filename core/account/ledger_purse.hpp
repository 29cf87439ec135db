// The purse that plans and orders move money with, over the ledger and its books.
#pragma once

#include "core/account/ledger.hpp"
#include "core/account/purse.hpp"
#include "core/store/books.hpp"

namespace switchyard::account {

// Both outlive it.
class LedgerPurse : public Purse {
 public:
  LedgerPurse(Ledger& ledger, store::Books& books) : ledger_(ledger), books_(books) {}

  Result<Moved> move(const Transfer& transfer) override;
  Result<std::int64_t> available(const std::string& account, const std::string& currency,
                                 std::int64_t floor) override;
  Result<std::int64_t> spent_since(const std::string& account, const std::string& currency,
                                   const std::string& id) override;

 private:
  Ledger& ledger_;
  store::Books& books_;
};

}  // namespace switchyard::account
