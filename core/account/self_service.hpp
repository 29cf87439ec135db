// What the holder of a gateway key may know of the money behind it, out of the books and the
// ledger's cells.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/account/directory.hpp"
#include "core/account/ledger.hpp"
#include "core/base/nano.hpp"
#include "core/base/result.hpp"
#include "core/store/books.hpp"
#include "core/store/usage_days.hpp"

namespace switchyard::account {

// Of the account that pays.
struct Means {
  std::string account, currency;
  bool limited = false;  // false: it is charged and never refused
  Nano balance = 0;      // as the books have it; what is held for requests that run is part of it
  Nano held = 0;         // for requests that run; and charged, where the books don't have it yet
  Nano available = 0;    // what may be spent now, with what may be owed
  Nano used = 0;         // charged since the account began
};

// Over a connection, which outlives it. [any thread; may block: never on a loop]
class SelfService {
 public:
  // The ledger outlives it.
  SelfService(store::Database& database, const Ledger& ledger)
      : ledger_(ledger), books_(database), days_(database) {}

  Result<Means> means(const Account& payer);
  // From the first to the last of these days, by day and model. An empty key: all of the account's.
  Result<std::vector<store::UsageDay>> usage(const std::string& account, const std::string& key,
                                             std::uint64_t first_day, std::uint64_t last_day) {
    return days_.list(account, key, first_day, last_day);
  }

 private:
  const Ledger& ledger_;
  store::Books books_;
  store::UsageDays days_;
};

}  // namespace switchyard::account
