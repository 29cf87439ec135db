// A plugin's configuration against the schema that its kind brings.
#pragma once

#include <string>
#include <string_view>

#include "core/config/config.hpp"
#include "core/plugin/library.hpp"

namespace switchyard::plugin {

// Every fault of `config_json`, pointers starting at it; none where the kind has no schema.
config::Faults check_configuration(const Kind& kind, std::string_view config_json);

// The same in one line, each fault behind "config" and its pointer; empty where there is none.
std::string configuration_fault(const Kind& kind, std::string_view config_json);

}  // namespace switchyard::plugin
