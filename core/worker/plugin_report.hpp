// The plugin room's state, for the admin API.
#pragma once

#include <cstddef>
#include <string>

#include "core/plugin/library.hpp"
#include "core/worker/shadow_run.hpp"

namespace switchyard {

struct PluginReport {
  std::string json;  // {"directory":...,"plugins":[...]}
  std::size_t mapped = 0, retained = 0;
};

// `shadow`: the last shadow run; null: there was none. [control thread]
PluginReport report_plugins(const plugin::Libraries& libraries, const ShadowRun* shadow);
// One file of it, or "null".
std::string report_plugin(const plugin::Libraries& libraries, const ShadowRun* shadow,
                          const std::string& file);

}  // namespace switchyard
