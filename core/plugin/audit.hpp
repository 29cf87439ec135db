// What a plugin file must look like before any of its code may run. Reads the file only.
#pragma once

#include <filesystem>

#include "core/base/result.hpp"

namespace switchyard::plugin {

// Checks that `file` is a whole shared library for this machine with swy_plugin_v1 as its only
// export, and without the things that can't be loaded late or never leave: text relocations, static
// TLS, unique symbols. The error is the refusal text. Runs in the trial process: a parser of files
// does not belong into the one that serves.
Result<void> audit(const std::filesystem::path& file);

}  // namespace switchyard::plugin
