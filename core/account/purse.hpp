// What plans and orders need of the ledger and of accounts: interfaces, so that they can be tried
// without either.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "core/account/periods.hpp"
#include "core/base/result.hpp"

namespace switchyard::account {

// Accounts are named as the books name them: "account:ID", "house:cash".
struct Transfer {
  struct Entry {
    std::string account;
    std::int64_t amount = 0;  // added to its balance; they sum up to 0
  };
  std::string id;  // its idempotency: moved twice, it is moved once
  std::string kind, note, currency;
  std::vector<Entry> entries;
  std::int64_t floor = 0;  // no debited account goes below it
};

enum class Moved {
  kNow,
  kBefore,     // a transfer of this id is in the books; nothing changed
  kUncovered,  // a debited account can't pay it; nothing changed
};

// Blocking. [any thread]
class Purse {
 public:
  virtual ~Purse() = default;
  virtual Result<Moved> move(const Transfer& transfer) = 0;
  // What can be taken of an account before it is at its floor, 0 at least.
  virtual Result<std::int64_t> available(const std::string& account, const std::string& currency,
                                         std::int64_t floor) = 0;
  // What an account was charged for requests, in the books behind the transaction `id`.
  virtual Result<std::int64_t> spent_since(const std::string& account, const std::string& currency,
                                           const std::string& id) = 0;
};

inline constexpr std::int64_t kNoFloor = INT64_MIN;

struct Holder {
  std::string payer;  // the id of the account whose balance pays
  std::string currency;
  std::string zone;        // IANA
  UtcOffset offset;        // the zone's
  std::int64_t floor = 0;  // of the payer's balance; kNoFloor: it is never refused
};
// Nothing: there is no such account.
using FindHolder = std::function<Result<std::optional<Holder>>(const std::string& account)>;

// PREFIX and 24 hexadecimal digits, their beginning the time, so that later ids sort behind.
std::string new_id(std::string_view prefix);

}  // namespace switchyard::account
