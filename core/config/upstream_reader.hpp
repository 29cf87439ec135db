// Limits and breakers of upstreams, from a configuration and for people.
#pragma once

#include <string>

#include "core/config/config.hpp"
#include "core/config/json_text.hpp"

namespace switchyard::config {

// Members that are left out, or are not what the schema says, have their defaults.
UpstreamLimits read_upstream_limits(const Json& value);
// What the schema can't say is added to `faults`.
BreakerPolicy read_breaker(const Json& value, const std::string& pointer, Faults& faults);
// The same; `models` are those that the provider serves.
ProbePolicy read_probe(const Json& value, const std::string& pointer,
                       const std::vector<std::string>& models, Faults& faults);

// "rpm 500, concurrency 20"; empty where there is no limit.
std::string describe(const UpstreamLimits& limits);
std::string describe(const BreakerPolicy& policy);
std::string describe(const ProbePolicy& policy);

}  // namespace switchyard::config
