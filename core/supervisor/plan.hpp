// What one configuration asks of the supervisor: where to listen, and whether it may be served at
// all.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/base/result.hpp"
#include "core/config/config.hpp"
#include "core/store/store.hpp"
#include "core/supervisor/listeners.hpp"

namespace switchyard::supervisor {

struct ServeOptions {
  config::LoadOptions load;
  std::string log_level;  // empty: Config::log_level
  std::optional<std::uint16_t> port,
      admin_port;  // take the place of the first listener's and the admin's
};

struct Plan {
  std::shared_ptr<const config::Config> config;
  std::vector<Endpoint> listen;
  Endpoint admin;
  std::string log_level;
  bool open_access = false;           // no key at all, loopback only
  std::optional<Secret> first_key;    // made now, to be shown once
  std::optional<Secret> admin_token;  // likewise
};

// Loads the configuration, opens the state directory and counts the keys. The embedded default gets
// a first gateway key where the store never had one. Each error is one line for the log, naming its
// place.
Result<Plan, std::vector<std::string>> make_plan(const ServeOptions& options);

// Whether `next` can be taken over by a worker that runs `now`, or needs a new one.
bool same_process(const Plan& now, const Plan& next);

// What the first start prints, with a request to try; empty where there is nothing to show.
std::string first_start_text(const Plan& plan, const ListenerSet& sockets);

}  // namespace switchyard::supervisor
