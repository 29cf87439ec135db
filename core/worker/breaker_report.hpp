// How each credential fares at each model, for the admin API and metrics.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "core/account/alerts.hpp"
#include "core/observe/metrics.hpp"
#include "core/routing/breaker.hpp"
#include "core/routing/table.hpp"

namespace switchyard {

// {"data":[...],"next":null}; without `all` those alone that were used or spoken of.
std::string report_breakers(const routing::Table& routes, bool all);
// Sets the breaker of this id and reports it; nothing where there is none.
std::optional<std::string> force_breaker(const routing::Table& routes, const std::string& id,
                                         routing::Breaker::Force force);
// Each once.
std::vector<account::RefusedCredential> refused_credentials(const routing::Table& routes);
// Of those that were used or spoken of.
void add_breaker_stats(std::vector<observe::Metrics::Extra>& extra, const routing::Table& routes);

}  // namespace switchyard
