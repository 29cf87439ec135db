// /admin/v1/breakers: how each credential fares at each model, and an operator's word on it.
//
//   GET  /admin/v1/breakers           those that are in use; ?all=true: every one
//   POST /admin/v1/breakers/{id}      {"state":"open"|"closed"|"auto"}: no calls, calls whatever
//                                     becomes of them, or as what is measured says
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "core/admin/server.hpp"

namespace switchyard::admin {

// [server threads, several at a time]
class BreakerBackend {
 public:
  enum class State { kOpen, kClosed, kAuto };

  virtual ~BreakerBackend() = default;
  // {"data":[...],"next":null}
  virtual std::string breakers_json(bool all) = 0;
  // The breaker as it is then; nothing where none has this id.
  virtual std::optional<std::string> set_breaker(const std::string& id, State state) = 0;
};

std::vector<Route> breaker_routes(BreakerBackend& backend);

}  // namespace switchyard::admin
