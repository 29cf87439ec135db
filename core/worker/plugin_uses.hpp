// What a configuration asks of plugins.
#pragma once

#include <string>
#include <vector>

#include "core/config/config.hpp"
#include "core/plugin/use.hpp"

namespace switchyard {

// Where its plugins are: as it says, else beside the binary in a build tree, else where they are
// installed.
std::filesystem::path plugin_directory(const config::Config& config);

// Each instance that the configuration makes, as a trial opens it.
plugin::Uses plugin_uses(const config::Config& config);

// The names of the configured loggers: the plugin's, and for a further one of it NAME-2 and so on.
std::vector<std::string> logger_names(const config::Config& config);

}  // namespace switchyard
