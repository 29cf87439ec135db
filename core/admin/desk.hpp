// What stands between the admin API's server and its routes: who calls, what is written down, what
// is done once. All of it is in the database.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <vector>

#include "core/account/keys.hpp"
#include "core/admin/server.hpp"
#include "core/admin/token_routes.hpp"
#include "core/store/audit.hpp"
#include "core/store/replays.hpp"
#include "core/store/tokens.hpp"

namespace switchyard::admin {

class Desk {
 public:
  Desk(std::unique_ptr<store::Database> database, const Secret& pepper)
      : database_(std::move(database)), pepper_(pepper), replays_(*database_, pepper) {}
  Desk(const Desk&) = delete;
  Desk& operator=(const Desk&) = delete;

  // `routes`, and those of the desk itself; every change among them is audited, and done once where
  // its route says so. The desk outlives them. `document`: what describes them all. `in_force`
  // returns when requests find what was changed: before that no change is answered.
  std::vector<Route> complete(std::vector<Route> routes, IsWithin is_within,
                              const std::filesystem::path& document,
                              std::function<void()> in_force);
  // For the server; the desk outlives it.
  FindCaller find_caller();

 private:
  std::unique_ptr<store::Database> database_;
  account::Pepper pepper_;
  store::Tokens tokens_{*database_};
  store::AuditLog audit_{*database_};
  store::Replays replays_;
};

}  // namespace switchyard::admin
