#pragma once

#include <ostream>
#include <span>
#include <string>

namespace switchyard::cli {

// plugin new provider|strategy|logger NAME [DIRECTORY]: writes a project from the SDK's template,
// into ./NAME where no directory is given. Nothing that is there already is touched.
int run_plugin_new(std::span<const std::string> words, std::ostream& out, std::ostream& err);

}  // namespace switchyard::cli
