// Providers and aliases as they are now, for the admin API.
#pragma once

#include <string>

#include "core/exchange/exchange.hpp"
#include "core/worker/balance_watch.hpp"

namespace switchyard {

// One JSON object, without secrets; with those of the balances that are the provider's.
std::string report_provider(const exchange::ProviderSlot& slot,
                            const std::vector<UpstreamBalance>& balances);
// {"data":[...aliases],"next":null}
std::string report_routes(const exchange::Snapshot& snapshot);

}  // namespace switchyard
