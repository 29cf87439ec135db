// Budgets and alerts over the admin API.
//
//   GET, POST   /admin/v1/budgets        ?after=&limit=
//   GET, PATCH  /admin/v1/budgets/{id}   with what was spent in the period that runs
//   GET         /admin/v1/alerts         ?after=&limit=: the newest first
#pragma once

#include <vector>

#include "core/account/budgets.hpp"
#include "core/admin/plan_routes.hpp"

namespace switchyard::admin {

// `budgets` outlives the routes.
std::vector<Route> budget_routes(account::Budgets& budgets, UnixNow now);

}  // namespace switchyard::admin
