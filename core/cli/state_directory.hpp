// Where the state of the gateway is that a command is about.
#pragma once

#include <filesystem>
#include <ostream>
#include <string>

#include "core/base/result.hpp"
#include "core/cli/arguments.hpp"
#include "core/config/config.hpp"

namespace switchyard::cli {

// "FILE: POINTER: what is wrong", a line for each.
std::string faults_of(const std::string& file, const config::Faults& faults);

// --state DIR, that of --config FILE, or the user's own.
Result<std::filesystem::path> state_directory(const Arguments& args);

// Returns when the gateway that runs with this state, if there is one, has taken what was changed.
void await_gateway(const std::filesystem::path& state, std::ostream& err);

}  // namespace switchyard::cli
