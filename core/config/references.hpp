// What a configuration text borrows from elsewhere: ${NAME}, ${NAME:-default} and file:PATH.
#pragma once

#include <rapidjson/document.h>

#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/result.hpp"
#include "core/base/secret.hpp"
#include "core/config/config.hpp"
#include "core/config/json_text.hpp"

namespace switchyard::config {

// Variables by name, from "NAME=value" entries; empty entries: the process's own.
class Environment {
 public:
  explicit Environment(const std::vector<std::string>& entries);
  std::optional<std::string_view> find(std::string_view name) const;

 private:
  std::map<std::string, std::string, std::less<>> values_;
};

class References {
 public:
  // `directory`: where the paths of file: references start.
  References(const Environment& environment, std::filesystem::path directory)
      : environment_(environment), directory_(std::move(directory)) {}

  // The path of "file:" may hold variables. "$${" stands for a literal "${". An unset variable
  // without a default is an error.
  Result<std::string> expand(std::string_view text) const;
  // A secret must be one whole reference, ${NAME} or file:PATH, so that none is written into a
  // configuration.
  Result<Secret> secret(std::string_view text) const;

 private:
  Result<std::string> expand_variables(std::string_view text) const;
  Result<std::string> expand_variable(std::string_view inside) const;
  Result<std::string> read(std::string_view path) const;

  const Environment& environment_;
  std::filesystem::path directory_;
};

// What was written where a reference stood, by pointer: messages show this, never what it became.
using Written = std::map<std::string, std::string>;

// Expands every string below `value` in place, except where secrets are
// (/providers/*/credentials/*/key, /keys/*/key, /destinations/*/credential/value,
// /payments/stripe/signing_secret, /alerts/signing_secret): those stay as written until they are
// read into a Secret.
void expand_all(Json& value, rapidjson::Document::AllocatorType& allocator,
                const References& references, Written& written, Faults& faults);

}  // namespace switchyard::config
