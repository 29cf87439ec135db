// The plugin room's state, for the admin API.
#pragma once

#include <cstddef>
#include <string>

#include "core/plugin/library.hpp"

namespace switchyard {

struct PluginReport {
  std::string json;  // {"directory":...,"plugins":[...]}
  std::size_t mapped = 0, retained = 0;
};

// [control thread]
PluginReport report_plugins(const plugin::Libraries& libraries);
// One file of it, or "null".
std::string report_plugin(const plugin::Libraries& libraries, const std::string& file);

}  // namespace switchyard
