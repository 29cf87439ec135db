// What was charged by day, key and model: sums of the books' receipts, kept as these come in.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/base/nano.hpp"
#include "core/store/database.hpp"

namespace switchyard::store {

struct UsageDay {
  std::uint64_t day = 0;  // since 1970-01-01, UTC
  std::string model, currency;
  std::uint64_t requests = 0;
  Nano charge = 0;
};

// [any thread; may block]
class UsageDays {
 public:
  explicit UsageDays(Database& database) : database_(database) {}

  // From the first to the last of these days, by day and model. An empty key: the whole account.
  Result<std::vector<UsageDay>> list(const std::string& account, const std::string& key,
                                     std::uint64_t first_day, std::uint64_t last_day);
  // Since the account began.
  Result<Nano> charged(const std::string& account, const std::string& currency);

 private:
  Database& database_;
};

}  // namespace switchyard::store
