// How a request would be routed now, for the admin API: everything but the call.
#pragma once

#include <string>

#include "core/account/directory.hpp"
#include "core/admin/server.hpp"
#include "core/catalog/price_list.hpp"
#include "core/exchange/exchange.hpp"

namespace switchyard {

// The body is {"model":"fast", "request":{...}?, "task":"chat"?, "stream":false?, "session":"s"?,
// "account":"acme"?, "key":"key_1"?, "seed":7?}. Answers {"model", "reason", "targets", "plan"},
// the plan as records have it. What the key may use, and its account, hold as for its requests.
admin::Answer explain_route(const exchange::Snapshot& snapshot, const account::Directory& directory,
                            const catalog::PricesInForce& prices, const std::string& body);

}  // namespace switchyard
