#include <iostream>

#include "core/cli/admin_verbs.hpp"
#include "core/cli/command.hpp"

namespace switchyard::cli {
namespace {

using Kind = ApiOption::Kind;

const ApiOption kName{"--name", "name"};
const ApiOption kAmount{"--amount", "amount"};
const ApiOption kThresholds{"--thresholds", "thresholds", Kind::kJson};
const ApiOption kHard{"--hard", "hard", Kind::kJson};
const ApiOption kAfter{"--after", "after"};
const ApiOption kLimit{"--limit", "limit"};

const ApiNoun kBudget{
    "budget",
    "usage: switchyard budget create --name NAME --amount 100 --currency USD\n"
    "           [--period day|week|month] [--zone Europe/Berlin] [--hard true|false]\n"
    "           [--account ID] [--key ID] [--feature NAME] [--model 'gpt-*']\n"
    "           [--thresholds '[50,80,100]']\n"
    "       switchyard budget list [--after ID] [--limit N]\n"
    "       switchyard budget show ID\n"
    "       switchyard budget set ID [--name NAME] [--amount 100] [--hard true|false]\n"
    "           [--thresholds '[50,80,100]'] [--disabled true|false]\n"
    "       switchyard budget alerts [--after CURSOR] [--limit N]\n"
    "each with [--state DIR | --config FILE] [--ca-file FILE] [--json]\n",
    {
        {"create",
         "POST",
         "/admin/v1/budgets",
         {kName,
          kAmount,
          kThresholds,
          kHard,
          {"--currency", "currency"},
          {"--period", "period"},
          {"--zone", "zone"},
          {"--account", "account"},
          {"--key", "key"},
          {"--feature", "feature"},
          {"--model", "model"}},
         {}},
        {"list",
         "GET",
         "/admin/v1/budgets",
         {kAfter, kLimit},
         {"id", "name", "account", "key", "feature", "model", "period", "amount", "spent",
          "currency", "hard", "disabled"}},
        {"show", "GET", "/admin/v1/budgets/{}", {}, {}},
        {"set",
         "PATCH",
         "/admin/v1/budgets/{}",
         {kName, kAmount, kThresholds, kHard, {"--disabled", "disabled", Kind::kJson}},
         {}},
        {"alerts",
         "GET",
         "/admin/v1/alerts",
         {kAfter, kLimit},
         {"id", "created", "tries", "delivered", "given_up"}},
    }};

}  // namespace

int run_budget(std::span<const std::string> args, std::ostream& out, std::ostream& err) {
  return run_noun(kBudget, args, out, err);
}

int run_budget(std::span<const std::string> args) { return run_budget(args, std::cout, std::cerr); }

}  // namespace switchyard::cli
