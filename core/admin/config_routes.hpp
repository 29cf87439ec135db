// /admin/v1/config: what is in force, and another one in its place.
//
//   GET  /admin/v1/config                what the configuration in force means, as text, no secrets
//   POST /admin/v1/config/validate       body: a configuration's text; its faults by JSON pointer
//   POST /admin/v1/config/apply          body: a configuration's text; it is written to the file
//                                        and serves, or nothing changes and a 422 says why
//   GET  /admin/v1/config/history        texts that were in force
//   GET  /admin/v1/config/history/{id}   one of them
//   POST /admin/v1/config/rollback       {"id":"12"}: that one serves again; {}: the one before
#pragma once

#include <string>
#include <vector>

#include "core/admin/server.hpp"
#include "core/base/result.hpp"
#include "core/config/config.hpp"
#include "core/config/history.hpp"

namespace switchyard::admin {

// Why a configuration was not put in force.
struct ConfigRefusal {
  int status = 422;
  std::string code = "invalid_configuration";
  std::string message = "The configuration is refused; the one before stays in force.";
  config::Faults faults;
};

// [server threads, several at a time; may block]
class ConfigBackend {
 public:
  virtual ~ConfigBackend() = default;
  virtual std::string config_text() = 0;
  // What stands against it, as far as that can be told without opening plugins.
  virtual config::Faults check_config(const std::string& text) = 0;
  // Writes it to the file and puts it in force, or changes nothing. Returns the new generation.
  virtual Result<std::uint64_t, ConfigRefusal> apply_config(const std::string& text) = 0;
  virtual Result<std::string> config_file_text() = 0;  // as it is now
  virtual const config::History& config_history() = 0;
};

Answer refused_config(const ConfigRefusal& refusal);

std::vector<Route> config_routes(ConfigBackend& backend);

}  // namespace switchyard::admin
