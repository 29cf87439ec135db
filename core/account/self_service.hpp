// What the holder of a gateway key may know of the money behind it.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/base/nano.hpp"
#include "core/base/result.hpp"

namespace switchyard::account {

// Of the account that pays.
struct Means {
  std::string account, currency;
  bool limited = false;  // false: it is charged and never refused
  Nano balance = 0;
  Nano available = 0;  // the balance and what may be owed
  Nano used = 0;       // charged since the account began
};

// What was charged on one day (UTC) for one model.
struct UsageLine {
  std::uint64_t day = 0;  // since 1970-01-01
  std::string model, currency;
  std::uint64_t requests = 0;
  Nano charge = 0;
};

// [any thread; may block: never on a loop]
class SelfService {
 public:
  virtual ~SelfService() = default;
  virtual Result<Means> means(const std::string& account) = 0;
  // From the first to the last of these days, by day and model. An empty key: all of the account's.
  virtual Result<std::vector<UsageLine>> usage(const std::string& account, const std::string& key,
                                               std::uint64_t first_day, std::uint64_t last_day) = 0;
};

}  // namespace switchyard::account
