// Alerts: budgets that reach a threshold, balances below their floor here and at providers,
// provider keys that expire or that their upstream refuses. Each is logged and posted once.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "core/account/budgets.hpp"
#include "core/base/secret.hpp"

namespace switchyard::account {

// A credential of a provider that somebody has to replace before a date.
struct ExpiringCredential {
  std::string provider, name;
  std::int64_t expires_unix_s = 0;
};

// One that its upstream refuses right now.
struct RefusedCredential {
  std::string provider, name, reason;  // "auth", "quota"
};

// One at which nothing that its upstream told of is left above the floor.
struct LowUpstream {
  std::string provider, name, currency;
  std::int64_t amount = 0, floor = 0;
};

struct AccountBalance {
  std::string account, currency;
  std::int64_t amount = 0;
};

// Blocking; one thread at a time.
class Alerts {
 public:
  // Posts a body with a value for the header switchyard-signature; the error says why it did not
  // arrive.
  using Post = std::function<Result<void>(const std::string& body, const std::string& signature)>;

  explicit Alerts(Budgets& budgets) : budgets_(budgets) {}

  // Each threshold once a period.
  Result<void> look_at_budgets(std::int64_t now_unix_s);
  // Each account once a day of UTC.
  Result<void> look_at_balances(const std::vector<AccountBalance>& balances, std::int64_t floor,
                                std::int64_t now_unix_s);
  // 14 days before, 7, 1, and when it has expired.
  Result<void> look_at_credentials(const std::vector<ExpiringCredential>& credentials,
                                   std::int64_t now_unix_s);

  // Each once a day of UTC.
  Result<void> look_at_refusals(const std::vector<RefusedCredential>& credentials,
                                std::int64_t now_unix_s);
  // Each once a day of UTC.
  Result<void> look_at_upstreams(const std::vector<LowUpstream>& low, std::int64_t now_unix_s);

  // Posts what is due, each again and again over a day where it does not arrive. Without `post`
  // what there is stays due.
  Result<void> deliver(const Post& post, const Secret& secret, std::int64_t now_unix_s);

 private:
  Result<void> raise(const std::string& id, const std::string& kind, const std::string& facts,
                     std::int64_t now_unix_s);

  Budgets& budgets_;
};

}  // namespace switchyard::account
