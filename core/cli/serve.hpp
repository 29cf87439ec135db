#pragma once

#include <span>
#include <string>

namespace switchyard::cli {

// `switchyard serve`: the supervisor.
int run_serve(std::span<const std::string> arguments);

// `switchyard worker`: what the supervisor starts; not for people.
int run_worker_command(std::span<const std::string> arguments);

}  // namespace switchyard::cli
