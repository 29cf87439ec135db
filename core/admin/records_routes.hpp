// What the admin API tells of requests.
//
//   GET /admin/v1/records        the newest first; ?from=&to=&account=&key=&feature=&model=...
//   GET /admin/v1/records/{id}   one, with its plan where that was kept
//   GET /admin/v1/records/{id}/bodies   what it said and what was answered, where that was kept
//   GET /admin/v1/usage          sums: ?from=&to=&step=hour&by=model,account&latency=true
#pragma once

#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "core/admin/server.hpp"
#include "core/store/bodies.hpp"

namespace switchyard::admin {

// Nothing: nothing is kept of this record. [server threads]
using FindBodies = std::function<Result<std::optional<store::BodyRow>>(const std::string& record_id,
                                                                       const std::string& key_id)>;

// `directory`: where store/records.hpp keeps them. Who is scoped to an account sees it and those
// below it.
std::vector<Route> records_routes(std::filesystem::path directory, FindBodies find_bodies,
                                  FindFamily find_family);

}  // namespace switchyard::admin
