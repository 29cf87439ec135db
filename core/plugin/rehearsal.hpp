// The part of a trial that uses a plugin as the configuration would. Runs in the trial's process.
#pragma once

#include <functional>
#include <string>

#include "core/base/result.hpp"
#include "core/plugin/table.hpp"
#include "core/plugin/use.hpp"

namespace switchyard::plugin {

// For each use whose kind the offer has: opens an instance, lets a provider begin one request, and
// closes it. `step` is told what comes next, such as "open(provider openai)". The error is the
// refusal text.
Result<void> rehearse(const Offer& offer, const Uses& uses,
                      const std::function<void(const std::string&)>& step);

}  // namespace switchyard::plugin
