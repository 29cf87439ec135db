// The books as the admin API shows them.
//
//   GET /admin/v1/ledger/balances   by account and currency; ?account=ID, ?name=house:revenue
//   GET /admin/v1/ledger/entries    ?account=, ?name=, ?from=, ?to= (RFC 3339, UTC)
//   GET /admin/v1/ledger/receipts   ?account=, ?key=, ?feature=, ?model=, ?from=, ?to=;
//                                   ?transaction=: whose charge it moved
//   GET /admin/v1/reconciliation    ?from=, ?to= (days), ?provider=, ?model=
//   GET /admin/v1/ledger/verify     {"proven":true,"violations":[]}
#pragma once

#include <filesystem>
#include <vector>

#include "core/admin/server.hpp"
#include "core/store/books.hpp"

namespace switchyard::admin {

// `books` outlives the routes.
std::vector<Route> ledger_routes(store::Books& books, std::filesystem::path state,
                                 FindFamily find_family);

}  // namespace switchyard::admin
