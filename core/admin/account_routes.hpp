// Accounts and gateway keys over the admin API.
//
//   GET, POST          /admin/v1/accounts                ?after=&limit=&below=
//   GET, PATCH         /admin/v1/accounts/{id}
//   POST               /admin/v1/accounts/{id}/disable, /enable
//   GET, POST          /admin/v1/keys                    ?after=&limit=&account=
//   GET, PATCH, DELETE /admin/v1/keys/{id}               DELETE: disabled for ever
//   POST               /admin/v1/keys/{id}/rotate        {"grace":"24h"}
//   POST               /admin/v1/keys/{id}/disable, /enable
//
// A key's secret is in the answer to POST /keys and to /rotate, and nowhere else. The members are
// those of account/registry.hpp.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "core/account/registry.hpp"
#include "core/admin/server.hpp"

namespace switchyard::admin {

// The registry outlives the routes.
std::vector<Route> account_routes(account::Registry& registry,
                                  std::function<std::uint64_t()> now_unix_s);

}  // namespace switchyard::admin
