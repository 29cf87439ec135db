// What subscriptions let accounts do, as requests read it.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "core/account/periods.hpp"
#include "core/base/result.hpp"
#include "core/config/rate_limits.hpp"
#include "core/store/plans.hpp"

namespace switchyard::account {

// What a plan says of requests.
struct PlanTerms {
  struct Quota {
    std::string model;  // a name, or a pattern with '*'
    std::uint64_t tokens = 0;
  };
  config::RateLimits limits;
  std::vector<std::string> models;  // patterns; empty: all
  std::vector<Quota> quotas;        // the first that fits a model holds
};
// The error names the member and says what was expected.
Result<PlanTerms> read_plan_terms(const store::PlanRow& plan);

// What an account may do by its subscriptions that have not ended.
class PlanRights {
 public:
  // Tokens of one subscription's period, for the models that `pattern` names.
  struct Quota {
    std::string name;  // that they are counted under
    std::string plan;
    std::uint64_t tokens = 0;
    Period period;
    bool paid = true;
  };

  void add(const store::SubscriptionRow& subscription, PlanTerms terms);
  // Of several plans the one that allows most.
  const config::RateLimits& limits() const { return limits_; }
  // False: no plan of the account has this model.
  bool may_use(std::string_view model) const;
  // Of which one must have room; none: the model is not bounded.
  std::vector<const Quota*> quotas_of(std::string_view model) const;

 private:
  struct Grant {
    PlanTerms terms;
    std::vector<Quota> quotas;  // as in `terms`
    bool has(std::string_view model) const;
  };
  config::RateLimits limits_;
  std::vector<Grant> grants_;
};

// Immutable. [any thread]
class PlanTable {
 public:
  // Reads the subscriptions that have not ended. A plan that can't be read lets its account do
  // nothing, and is logged. Blocking.
  static Result<std::shared_ptr<const PlanTable>> read(store::Plans& rows);
  // Null: the account has no plan, and none bounds it.
  const PlanRights* find(const std::string& account) const;

 private:
  std::unordered_map<std::string, PlanRights> by_account_;
};

}  // namespace switchyard::account
