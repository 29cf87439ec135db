// Orders, redemption codes and invoices over the admin API.
//
//   GET, POST  /admin/v1/orders                  ?account=&state=&after=&limit=
//   GET        /admin/v1/orders/{id}             with what its provider said
//   POST       /admin/v1/orders/{id}/pay         {"payment":TEXT}: the operator's word for it
//   POST       /admin/v1/orders/{id}/cancel
//   POST       /admin/v1/orders/{id}/refund      {"amount":"12.5","reference":TEXT}
//   GET, POST  /admin/v1/codes                   POST: the codes are in this answer alone
//   POST       /admin/v1/codes/{id}/disable
//   POST       /admin/v1/redemptions             {"account":ID,"code":TEXT}
//   GET, POST  /admin/v1/invoices                ?account=&after=&limit=;
//   {"account":ID,"month":"2026-10"} GET        /admin/v1/invoices/preview        ?account=&month=
//   GET        /admin/v1/invoices/{number}       ?format=csv
#pragma once

#include <vector>

#include "core/account/invoices.hpp"
#include "core/account/orders.hpp"
#include "core/admin/plan_routes.hpp"

namespace switchyard::admin {

// Both outlive the routes.
std::vector<Route> order_routes(account::Orders& orders, account::Invoices& invoices, UnixNow now);

}  // namespace switchyard::admin
