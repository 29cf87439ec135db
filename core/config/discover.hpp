// The providers of a configuration that names none: what this machine and its environment offer.
#pragma once

#include <rapidjson/document.h>

#include "core/config/config.hpp"
#include "core/config/dialects.hpp"
#include "core/config/references.hpp"

namespace switchyard::config {

// Adds "providers": the demo, each plugin or dialect whose key variable is set, and the local
// servers that answer.
void add_discovered(rapidjson::Document& document, const Environment& environment,
                    const Dialects& dialects, decltype(LoadOptions::probe) probe);

}  // namespace switchyard::config
