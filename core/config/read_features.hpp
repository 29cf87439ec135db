// Aliases and features, from the document to the Config.
#pragma once

#include "core/config/read.hpp"

namespace switchyard::config {

// Fills config.models and config.features; config.providers are there already.
void read_features(const Json& document, const Sources& sources, Config& config, Faults& faults);

// "too_long, filtered", or "any": the classes of a fallback's mask, as they are configured.
std::string fault_names(std::uint32_t on);

}  // namespace switchyard::config
