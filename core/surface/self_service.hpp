// What the holder of a key asks of its own account, and how that is said:
//
//   GET /v1/balance                                this gateway's own form
//   GET /v1/usage?start_date=&end_date=            the key's own usage, by day and model
//   GET /v1/dashboard/billing/subscription         as OpenAI's dashboard said it, and the gateways
//   GET /v1/dashboard/billing/usage?start_date=     that came after it: clients take
//   GET /v1/dashboard/billing/credit_grants        hard_limit_usd - total_usage / 100 for what is
//                                                  left, so total_usage is of all time, whatever
//                                                  dates are asked for. What is named _usd is in
//                                                  the account's currency.
// The dashboard's paths are there without /v1 too.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/account/self_service.hpp"
#include "core/exchange/exchange.hpp"

namespace switchyard::surface {

enum class SelfServiceKind { kBalance, kUsage, kSubscription, kDashboardUsage, kCreditGrants };

// Nothing for any other path.
std::optional<SelfServiceKind> self_service_kind(std::string_view path);

// Days since 1970, both included.
struct Days {
  std::uint64_t first = 0, last = 0;
};
// ?start_date=2026-11-01&end_date=2026-11-21; left out, the month up to `today`.
Result<Days, exchange::Failure> read_days(std::string_view query, std::uint64_t today);

// What an answer is made of: which of the two is asked for is the kind's business.
struct SelfServiceFacts {
  std::string key_id;
  std::uint64_t access_until_unix_s = 0;  // of the key; 0: for ever
  Days days;
  account::Means means;
  std::vector<store::UsageDay> usage;
};
bool wants_usage(SelfServiceKind kind);
// Of the whole account, not of the key alone.
bool wants_whole_account(SelfServiceKind kind);

std::string self_service_json(SelfServiceKind kind, const SelfServiceFacts& facts);

}  // namespace switchyard::surface
