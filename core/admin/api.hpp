// What the admin port answers: metrics, health, and /admin/v1.
//
//   GET  /healthz              open
//   GET  /metrics              Prometheus text; token, or from this machine
//   GET  /admin/v1/status      version, process, uptime, configuration, loops, connections
//   GET  /admin/v1/plugins     libraries and their kinds
//   GET  /admin/v1/providers   configured upstreams, without secrets
//   GET  /admin/v1/config      what the configuration in force means, as text, without secrets
//   GET  /admin/v1/log-level   {"level":"info"}
//   PUT  /admin/v1/log-level   the same
//   POST /admin/v1/reload      reads the configuration anew; 422 with every fault where it is
//   refused
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/admin/server.hpp"
#include "core/base/result.hpp"
#include "core/base/secret.hpp"
#include "core/config/config.hpp"

namespace switchyard::admin {

// What the API asks of the process it is part of. Each `_json` is one JSON value.
// Called on the server's threads, several at a time; may block.
class AdminBackend {
 public:
  virtual ~AdminBackend() = default;
  virtual std::string metrics_text() = 0;
  virtual std::string status_json() = 0;
  virtual std::string plugins_json() = 0;
  virtual std::string providers_json() = 0;
  virtual std::string config_text() = 0;
  // Puts a new configuration in force, or leaves the old one and says why. Returns the new
  // generation.
  virtual Result<std::uint64_t, config::Faults> reload() = 0;
};

// `backend` outlives the routes. The log level is the process's own: observe/log.hpp.
std::vector<Route> make_routes(AdminBackend& backend);

}  // namespace switchyard::admin
