// Price lists over the admin API.
//
//   GET  /admin/v1/prices                  lists in force
//   POST /admin/v1/prices                  imports a list: 201, or 200 where it is in force
//   already;
//                                          422 with every fault
//   GET  /admin/v1/prices/{name}           a list as it was imported; ?version=3 for an older one
//   GET  /admin/v1/prices/{name}/history   its versions, the newest first; ?after=VERSION&limit=
#pragma once

#include <vector>

#include "core/admin/server.hpp"
#include "core/store/database.hpp"

namespace switchyard::admin {

// `database` outlives the routes.
std::vector<Route> price_routes(store::Database& database);

}  // namespace switchyard::admin
