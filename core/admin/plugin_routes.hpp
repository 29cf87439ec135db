// /admin/v1/plugins: what is loaded, and which of the plugin directory's files serve. No route
// brings code: a file is named, never sent, and never by a path.
//
//   GET  /admin/v1/plugins           plugin files, their kinds and generations
//   POST /admin/v1/plugins/swap      {"file":"openai.so"}: what the file holds now serves; with
//                                    "shadow": after a shadow run, whose begin is the answer
//   POST /admin/v1/plugins/rollback  {"file":"openai.so"}: the generation before serves again; a
//                                    shadow run ends, and what serves stays
//   POST /admin/v1/plugins/release   {"sha256":"..."}: a quarantined content is tried again
#pragma once

#include <chrono>
#include <cstdint>
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

// How long new strategies choose beside those that serve, and what they have to show to follow
// them.
struct ShadowTerms {
  static constexpr std::int64_t kDecisionsMax = 100'000, kSecondsMax = 3600, kSeconds = 600;
  std::uint64_t decisions = kDecisionsMax;  // after so many it is over
  std::chrono::seconds time{kSeconds};      // or after so long, whatever comes first
  unsigned agree_percent = 0;  // at least so many chose the same; 0: whatever they choose
};

// [server threads, several at a time; may block]
class PluginBackend {
 public:
  virtual ~PluginBackend() = default;
  virtual std::string plugins_json() = 0;
  // `file` is the name of a file in the plugin directory; where nothing changed the error says why.
  virtual PluginResult swap_plugin(const std::string& file) = 0;
  // Begins it; plugins_json() tells of it and of its end.
  virtual PluginResult shadow_plugin(const std::string& file, const ShadowTerms& terms) = 0;
  virtual PluginResult rollback_plugin(const std::string& file) = 0;
  virtual PluginResult release_plugin(const std::string& sha256) = 0;
};

std::vector<Route> plugin_routes(PluginBackend& backend);

}  // namespace switchyard::admin
