// What the admin port answers: metrics, health, and /admin/v1.
//
//   GET  /healthz              open
//   GET  /metrics              Prometheus text; token, or from this machine
//   GET  /admin/v1/status      version, process, uptime, configuration, loops, connections
//   GET  /admin/v1/plugins     plugin files, their kinds and generations
//   POST /admin/v1/plugins/swap      {"file":"openai.so"}: what the file holds now serves
//   POST /admin/v1/plugins/rollback  {"file":"openai.so"}: the generation before serves again
//   POST /admin/v1/plugins/release   {"sha256":"..."}: a quarantined content is tried again
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

// Why a plugin is not as it was asked to be: a 4xx, a stable code, and words.
struct PluginRefusal {
  int status = 422;
  std::string code, message;
};
using PluginResult = Result<std::string, PluginRefusal>;  // one JSON object: the file as it is now

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
  // `file` is the name of a file in the plugin directory; where nothing changed the error says why.
  virtual PluginResult swap_plugin(const std::string& file) = 0;
  virtual PluginResult rollback_plugin(const std::string& file) = 0;
  virtual PluginResult release_plugin(const std::string& sha256) = 0;
};

// `backend` outlives the routes. The log level is the process's own: observe/log.hpp.
std::vector<Route> make_routes(AdminBackend& backend);

}  // namespace switchyard::admin
