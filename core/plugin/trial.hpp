// The trial of a plugin file in a child process: whatever its code does, the host lives and can say
// what happened.
#pragma once

#include <chrono>
#include <filesystem>

#include "core/base/result.hpp"
#include "core/plugin/use.hpp"

namespace switchyard::plugin {

struct TrialRefusal {
  std::string message;         // the refusal text
  bool configuration = false;  // an open() said no: another configuration may do
  bool held = true;  // false: the host could not hold the trial, the plugin is not to blame
};

// Starts `program plugin-trial file --uses`, gives it the uses on its standard input, and waits at
// most `max`. The error is what the child found, or in which step it crashed, ended or hung. An
// empty `program` is this binary.
Result<void, TrialRefusal> try_in_child(const std::filesystem::path& program,
                                        const std::filesystem::path& file, const Uses& uses,
                                        std::chrono::milliseconds max);

}  // namespace switchyard::plugin
