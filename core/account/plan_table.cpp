#include "core/account/plan_table.hpp"

#include <rapidjson/document.h>

#include <algorithm>
#include <map>

#include "core/base/pattern.hpp"
#include "core/observe/log.hpp"

namespace switchyard::account {
namespace {

using Json = rapidjson::Value;

constexpr std::size_t kListMax = 256, kPatternMax = 256;
constexpr std::uint64_t kTokensMax = 1'000'000'000'000;

bool is_pattern(const Json& value) {
  return value.IsString() && value.GetStringLength() > 0 && value.GetStringLength() <= kPatternMax;
}

std::string text_of(const Json& value) { return {value.GetString(), value.GetStringLength()}; }

Result<std::vector<std::string>> read_models(const std::string& json) {
  rapidjson::Document document;
  document.Parse<rapidjson::kParseIterativeFlag>(json.data(), json.size());
  const bool list = !document.HasParseError() && document.IsArray() && document.Size() <= kListMax;
  if (!list || !std::all_of(document.Begin(), document.End(), is_pattern)) {
    return Error{"models: expected an array of up to 256 names or patterns"};
  }
  std::vector<std::string> models;
  for (const Json& each : document.GetArray()) models.push_back(text_of(each));
  return models;
}

Result<std::vector<PlanTerms::Quota>> read_quotas(const std::string& json) {
  const Error bad{
      R"(quota_tokens: expected an array of up to 256 of {"model":PATTERN,"tokens":N})"};
  rapidjson::Document document;
  document.Parse<rapidjson::kParseIterativeFlag>(json.data(), json.size());
  if (document.HasParseError() || !document.IsArray() || document.Size() > kListMax) return bad;
  std::vector<PlanTerms::Quota> quotas;
  for (const Json& each : document.GetArray()) {
    const bool whole = each.IsObject() && each.MemberCount() == 2 && each.HasMember("model") &&
                       each.HasMember("tokens") && is_pattern(each["model"]) &&
                       each["tokens"].IsUint64() && each["tokens"].GetUint64() > 0 &&
                       each["tokens"].GetUint64() <= kTokensMax;
    if (!whole) return bad;
    quotas.push_back({text_of(each["model"]), each["tokens"].GetUint64()});
  }
  return quotas;
}

// What nobody can read allows nothing: no model is named so.
PlanTerms nothing() {
  PlanTerms terms;
  terms.models.emplace_back("");
  return terms;
}

}  // namespace

Result<PlanTerms> read_plan_terms(const store::PlanRow& plan) {
  PlanTerms terms;
  rapidjson::Document limits;
  limits.Parse<rapidjson::kParseIterativeFlag>(plan.limits.data(), plan.limits.size());
  if (limits.HasParseError()) return Error{"limits: expected a JSON object"};
  if (const auto wrong = config::read_rate_limits(limits, terms.limits)) {
    return Error{"limits: " + *wrong};
  }
  auto models = read_models(plan.models);
  if (!models) return models.error();
  terms.models = std::move(*models);
  auto quotas = read_quotas(plan.quota_tokens);
  if (!quotas) return quotas.error();
  terms.quotas = std::move(*quotas);
  return terms;
}

bool PlanRights::Grant::has(std::string_view model) const {
  return terms.models.empty() ||
         std::any_of(terms.models.begin(), terms.models.end(),
                     [&](const std::string& pattern) { return matches_pattern(pattern, model); });
}

void PlanRights::add(const store::SubscriptionRow& subscription, PlanTerms terms) {
  limits_ = grants_.empty() ? terms.limits : limits_.most(terms.limits);
  Grant grant;
  for (std::size_t i = 0; i < terms.quotas.size(); ++i) {
    Quota quota;
    // Each period counts under a name of its own.
    quota.name = "plan:" + subscription.id + ":" + std::to_string(subscription.start_unix_s) + ":" +
                 std::to_string(i);
    quota.plan = subscription.plan;
    quota.tokens = terms.quotas[i].tokens;
    quota.period = {subscription.start_unix_s, subscription.end_unix_s};
    quota.paid = subscription.state != "past_due" && subscription.state != "starting";
    grant.quotas.push_back(std::move(quota));
  }
  grant.terms = std::move(terms);
  grants_.push_back(std::move(grant));
}

bool PlanRights::may_use(std::string_view model) const {
  return std::any_of(grants_.begin(), grants_.end(),
                     [&](const Grant& grant) { return grant.has(model); });
}

std::vector<const PlanRights::Quota*> PlanRights::quotas_of(std::string_view model) const {
  std::vector<const Quota*> found;
  for (const Grant& grant : grants_) {
    if (!grant.has(model)) continue;
    const auto& quotas = grant.terms.quotas;
    const auto fits = std::find_if(quotas.begin(), quotas.end(), [&](const PlanTerms::Quota& each) {
      return matches_pattern(each.model, model);
    });
    if (fits == quotas.end()) return {};
    found.push_back(&grant.quotas[static_cast<std::size_t>(fits - quotas.begin())]);
  }
  return found;
}

Result<std::shared_ptr<const PlanTable>> PlanTable::read(store::Plans& rows) {
  const auto subscriptions = rows.in_force();
  if (!subscriptions) return subscriptions.error();
  auto table = std::make_shared<PlanTable>();
  std::map<std::pair<std::string, std::int64_t>, PlanTerms> known;
  for (const store::SubscriptionRow& subscription : *subscriptions) {
    const auto [terms, added] =
        known.try_emplace({subscription.plan, subscription.plan_version}, nothing());
    if (added) {
      const auto plan = rows.plan(subscription.plan, subscription.plan_version);
      if (!plan) return plan.error();
      auto read = *plan ? read_plan_terms(**plan) : Result<PlanTerms>(Error{"it is not there"});
      if (read) {
        terms->second = std::move(*read);
      } else {
        spdlog::error("plan_unusable plan={} version={} reason={}", subscription.plan,
                      subscription.plan_version, observe::quote(read.error().message));
      }
    }
    table->by_account_[subscription.account].add(subscription, terms->second);
  }
  return std::shared_ptr<const PlanTable>(std::move(table));
}

const PlanRights* PlanTable::find(const std::string& account) const {
  if (by_account_.empty()) return nullptr;
  const auto found = by_account_.find(account);
  return found == by_account_.end() ? nullptr : &found->second;
}

}  // namespace switchyard::account
