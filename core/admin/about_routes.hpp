// What the admin API says of itself.
#pragma once

#include <filesystem>
#include <vector>

#include "core/admin/server.hpp"

namespace switchyard::admin {

// GET /admin/v1/whoami: the caller, and which of `others` it may ask.
// GET /admin/v1/openapi.json: `document`, as the file is.
std::vector<Route> about_routes(const std::vector<Route>& others,
                                const std::filesystem::path& document);

}  // namespace switchyard::admin
