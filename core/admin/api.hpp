// What the admin API asks of the process that it is part of, and the routes that do nothing else:
//
//   GET  /healthz              open
//   GET  /metrics              Prometheus text; token, or from this machine
//   GET  /admin/v1/status      version, process, uptime, configuration, loops, connections
//   GET  /admin/v1/providers   configured upstreams as they are now, without secrets
//   GET  /admin/v1/routes      aliases: candidates with what is measured of them, strategies
//   POST /admin/v1/routes/explain  body: {"model", "request"?, "task"?, "stream"?, "session"?,
//                              "seed"?}; how that request would be routed now, without a call
//   GET  /admin/v1/log-level   {"level":"info"}
//   PUT  /admin/v1/log-level   the same
//   POST /admin/v1/reload      reads the configuration anew; 422 with every fault where it is
//                              refused
//   and those of plugin_routes.hpp, config_routes.hpp, breaker_routes.hpp
//
// config/admin-openapi.json describes every route under /admin/v1.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/admin/breaker_routes.hpp"
#include "core/admin/config_routes.hpp"
#include "core/admin/plugin_routes.hpp"
#include "core/admin/server.hpp"
#include "core/base/result.hpp"
#include "core/base/secret.hpp"
#include "core/config/config.hpp"

namespace switchyard::admin {

// Each `_json` is one JSON value. Called on the server's threads, several at a time; may block.
class AdminBackend : public PluginBackend, public ConfigBackend, public BreakerBackend {
 public:
  virtual std::string metrics_text() = 0;
  virtual std::string status_json() = 0;
  virtual std::string providers_json() = 0;
  virtual std::string routes_json() = 0;
  virtual Answer explain_route(const std::string& body) = 0;
  // Puts a new configuration in force, or leaves the old one and says why. Returns the new
  // generation.
  virtual Result<std::uint64_t, config::Faults> reload() = 0;
};

// `backend` outlives the routes. The log level is the process's own: observe/log.hpp.
std::vector<Route> make_routes(AdminBackend& backend);

}  // namespace switchyard::admin
