// Plans and subscriptions over the admin API.
//
//   GET, POST   /admin/v1/plans                       ?after=&limit=
//   GET, PATCH  /admin/v1/plans/{id}                  PATCH: a new version
//   GET, POST   /admin/v1/subscriptions               ?account=&after=&limit=
//   GET         /admin/v1/subscriptions/{id}
//   POST        /admin/v1/subscriptions/{id}/change   {"plan":ID,"when":"now"|"next_period"}
//   POST        /admin/v1/subscriptions/{id}/cancel   {"when":"now"|"next_period"}
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "core/account/plans.hpp"
#include "core/admin/server.hpp"

namespace switchyard::admin {

using UnixNow = std::function<std::int64_t()>;

// `plans` outlives the routes.
std::vector<Route> plan_routes(account::Plans& plans, UnixNow now);

}  // namespace switchyard::admin
