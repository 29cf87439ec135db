// What an operator puts right by their own word, where no order or refund fits: a charge that was
// wrong, what a customer is given for an outage.
#pragma once

#include <cstdint>
#include <string>

#include "core/account/purse.hpp"
#include "core/account/refusal.hpp"

namespace switchyard::account {

struct Correction {
  std::string id;           // of its transaction
  std::string account;      // the one that pays, where it is another's that is named
  std::int64_t amount = 0;  // added to its balance; below 0: taken from it
  std::string currency;     // the account's own
  std::string reason;       // on the account's invoice
};

// As it was booked, against house:corrections; refused where the account has less than it takes.
// `id` and an empty `currency` are filled in. Blocking. [any thread]
Asked<Correction> correct(Purse& purse, const FindHolder& find, Correction wanted);

}  // namespace switchyard::account
