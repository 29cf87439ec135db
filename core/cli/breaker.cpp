#include <iostream>

#include "core/cli/admin_verbs.hpp"
#include "core/cli/command.hpp"

namespace switchyard::cli {
namespace {

const ApiNoun kBreaker{
    "breaker",
    "usage: switchyard breaker list [--all]\n"
    "       switchyard breaker set ID --to open|closed|auto\n"
    "           no calls; calls whatever becomes of them; as what is measured says\n"
    "each with [--state DIR | --config FILE] [--ca-file FILE] [--json]\n",
    {
        {"list",
         "GET",
         "/admin/v1/breakers",
         {{"--all", "all", ApiOption::Kind::kFlag}},
         {"id", "provider", "model", "credential", "state", "forced", "standing", "rests_ms",
          "opened", "inflight", "samples", "failed_ppm"}},
        {"set", "POST", "/admin/v1/breakers/{}", {{"--to", "state"}}, {}},
    }};

}  // namespace

int run_breaker(std::span<const std::string> args) {
  return run_noun(kBreaker, args, std::cout, std::cerr);
}

}  // namespace switchyard::cli
