// Corrections over the admin API.
//
//   POST  /admin/v1/ledger/corrections   {"account":ID,"amount":"-1.5","reason":TEXT}
#pragma once

#include <vector>

#include "core/account/corrections.hpp"
#include "core/admin/server.hpp"

namespace switchyard::admin {

// `purse` outlives the routes.
std::vector<Route> correction_routes(account::Purse& purse, account::FindHolder find);

}  // namespace switchyard::admin
