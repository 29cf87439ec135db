// What the admin API tells of requests.
//
//   GET /admin/v1/records        the newest first; ?from=&to=&account=&key=&feature=&model=...
//   GET /admin/v1/records/{id}   one, with its plan where that was kept
//   GET /admin/v1/usage          sums: ?from=&to=&step=hour&by=model,account&latency=true
#pragma once

#include <filesystem>
#include <vector>

#include "core/admin/server.hpp"

namespace switchyard::admin {

// `directory`: where store/records.hpp keeps them.
std::vector<Route> records_routes(std::filesystem::path directory);

}  // namespace switchyard::admin
