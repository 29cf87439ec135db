// The trial of a plugin file in a child process: whatever its code does, the host lives and can say
// what happened.
#pragma once

#include <chrono>
#include <filesystem>

#include "core/base/result.hpp"

namespace switchyard::plugin {

// Starts `program plugin-trial file` and waits at most `max`. The error is the refusal text: what
// the child found, or in which step it crashed, ended or hung. An empty `program` is this binary.
Result<void> try_in_child(const std::filesystem::path& program, const std::filesystem::path& file,
                          std::chrono::milliseconds max);

}  // namespace switchyard::plugin
