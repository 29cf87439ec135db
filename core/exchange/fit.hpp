// Which targets of a route may and can serve a request: one rule for requests and for dry runs.
#pragma once

#include <span>
#include <string_view>

#include "core/exchange/exchange.hpp"
#include "core/routing/needs.hpp"

namespace switchyard::exchange {

struct FitFor {
  std::string_view task, body;  // the body is canonical, and empty where there is none
  std::span<const swy_member> members;
  const routing::Needs* needs = nullptr;  // of the body, where they have been read
  const config::Reach* reach = nullptr;   // of the key; null: anywhere
};

// Takes the others out. Where nobody's provider does the task at all, nothing is left and
// route.left_out is empty.
void keep_fit(const Snapshot& snapshot, const FitFor& request, routing::Route& route);

}  // namespace switchyard::exchange
