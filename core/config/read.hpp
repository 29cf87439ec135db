// From the document to the Config: defaults, paths, secrets, and what only several members together
// can break.
#pragma once

#include <filesystem>

#include "core/config/config.hpp"
#include "core/config/dialects.hpp"
#include "core/config/json_text.hpp"
#include "core/config/references.hpp"

namespace switchyard::config {

struct Sources {
  const References& references;
  const Written& written;
  const Dialects& dialects;
  std::filesystem::path directory;      // where relative paths start
  std::filesystem::path default_state;  // empty: unknown
};

// Takes a document with faults against the schema too, so that all faults are told at once: what
// has the wrong type is passed over, for the schema has named it.
Config read_config(const Json& document, const Sources& sources, Faults& faults);

// How a message may show the string at a pointer: as it was written, quoted.
std::string shown(const Written& written, const std::string& pointer, std::string_view text);

}  // namespace switchyard::config
