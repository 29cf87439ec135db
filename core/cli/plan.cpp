#include <iostream>

#include "core/cli/admin_verbs.hpp"
#include "core/cli/command.hpp"

namespace switchyard::cli {
namespace {

using Kind = ApiOption::Kind;

const ApiOption kName{"--name", "name"};
const ApiOption kPrice{"--price", "price"};
const ApiOption kCurrency{"--currency", "currency"};
const ApiOption kPeriod{"--period", "period"};
const ApiOption kQuota{"--quota", "quota"};
const ApiOption kTokens{"--tokens", "quota_tokens", Kind::kJson};
const ApiOption kLimits{"--limits", "limits", Kind::kJson};
const ApiOption kModels{"--models", "models", Kind::kList};
const ApiOption kAfter{"--after", "after"};
const ApiOption kLimit{"--limit", "limit"};
const ApiOption kOffered{"--offered", "offered", Kind::kJson};
const ApiOption kWhen{"--when", "when"};

const ApiNoun kPlan{
    "plan",
    "usage: switchyard plan create --name NAME --price 20 --currency USD --period "
    "day|week|month|year\n"
    "           [--id ID] [--quota 5] [--tokens '[{\"model\":\"gpt-*\",\"tokens\":1000}]']\n"
    "           [--limits '{\"rpm\":60}'] [--models A,B]\n"
    "       switchyard plan list [--after ID] [--limit N]\n"
    "       switchyard plan show ID\n"
    "       switchyard plan set ID [options of create] [--offered true|false]   a new version; "
    "subscriptions keep theirs\n"
    "       switchyard plan subscribe --account ID --plan ID\n"
    "       switchyard plan subscriptions [--account ID] [--after ID] [--limit N]\n"
    "       switchyard plan change SUBSCRIPTION --plan ID [--when now|next_period]\n"
    "       switchyard plan cancel SUBSCRIPTION [--when now|next_period]\n"
    "each with [--state DIR | --config FILE] [--ca-file FILE] [--json]\n",
    {
        {"create",
         "POST",
         "/admin/v1/plans",
         {{"--id", "id"}, kName, kPrice, kCurrency, kPeriod, kQuota, kTokens, kLimits, kModels},
         {}},
        {"list",
         "GET",
         "/admin/v1/plans",
         {kAfter, kLimit},
         {"id", "version", "name", "price", "currency", "period", "quota", "offered"}},
        {"show", "GET", "/admin/v1/plans/{}", {}, {}},
        {"set",
         "PATCH",
         "/admin/v1/plans/{}",
         {kName, kPrice, kCurrency, kPeriod, kQuota, kTokens, kLimits, kModels, kOffered},
         {}},
        {"subscribe",
         "POST",
         "/admin/v1/subscriptions",
         {{"--account", "account"}, {"--plan", "plan"}},
         {}},
        {"subscriptions",
         "GET",
         "/admin/v1/subscriptions",
         {{"--account", "account"}, kAfter, kLimit},
         {"id", "account", "plan", "plan_version", "state", "start", "end"}},
        {"change", "POST", "/admin/v1/subscriptions/{}/change", {{"--plan", "plan"}, kWhen}, {}},
        {"cancel", "POST", "/admin/v1/subscriptions/{}/cancel", {kWhen}, {}},
    }};

}  // namespace

int run_plan(std::span<const std::string> args, std::ostream& out, std::ostream& err) {
  return run_noun(kPlan, args, out, err);
}

int run_plan(std::span<const std::string> args) { return run_plan(args, std::cout, std::cerr); }

}  // namespace switchyard::cli
