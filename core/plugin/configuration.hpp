// A plugin's configuration against the schema that its kind brings.
#pragma once

#include <string_view>

#include "core/config/config.hpp"
#include "core/plugin/library.hpp"

namespace switchyard::plugin {

// Every fault of `config_json`, pointers starting at it; none where the kind has no schema.
config::Faults check_configuration(const Kind& kind, std::string_view config_json);

}  // namespace switchyard::plugin
