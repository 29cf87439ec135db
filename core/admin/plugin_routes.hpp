// /admin/v1/plugins: what is loaded, and which of the plugin directory's files serve. No route
// brings code: a file is named, never sent, and never by a path.
//
//   GET  /admin/v1/plugins           plugin files, their kinds and generations
//   POST /admin/v1/plugins/swap      {"file":"openai.so"}: what the file holds now serves
//   POST /admin/v1/plugins/rollback  {"file":"openai.so"}: the generation before serves again
//   POST /admin/v1/plugins/release   {"sha256":"..."}: a quarantined content is tried again
#pragma once

#include <string>
#include <vector>

#include "core/admin/server.hpp"
#include "core/base/result.hpp"

namespace switchyard::admin {

// Why a plugin is not as it was asked to be: a 4xx, a stable code, and words.
struct PluginRefusal {
  int status = 422;
  std::string code, message;
};
using PluginResult = Result<std::string, PluginRefusal>;  // one JSON object: the file as it is now

// [server threads, several at a time; may block]
class PluginBackend {
 public:
  virtual ~PluginBackend() = default;
  virtual std::string plugins_json() = 0;
  // `file` is the name of a file in the plugin directory; where nothing changed the error says why.
  virtual PluginResult swap_plugin(const std::string& file) = 0;
  virtual PluginResult rollback_plugin(const std::string& file) = 0;
  virtual PluginResult release_plugin(const std::string& sha256) = 0;
};

std::vector<Route> plugin_routes(PluginBackend& backend);

}  // namespace switchyard::admin
