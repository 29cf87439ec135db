// Providers and aliases as they are now, for the admin API.
#pragma once

#include <string>

#include "core/exchange/exchange.hpp"

namespace switchyard {

// One JSON object, without secrets.
std::string report_provider(const exchange::ProviderSlot& slot);
// {"data":[...aliases],"next":null}
std::string report_routes(const exchange::Snapshot& snapshot);

}  // namespace switchyard
