// The accents of OpenAI: data files of the openai plugin, found by name.
#pragma once

#include <rapidjson/document.h>

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "core/base/result.hpp"
#include "core/config/config.hpp"

namespace switchyard::config {

struct Dialect {
  std::string name;
  std::string json;        // the whole file, without comments
  std::string base_url;    // the provider's own; empty: each instance says it
  std::string key_env;     // where its key usually is
  bool needs_key = false;  // the provider answers nobody without one
  BalanceSource balance = {};
  bool responses = false;  // at base_url OpenAI's Responses API is spoken too
};

// Dialect files by name. Looked for in DIR/dialects of the configuration, then of the data
// directory, then where the source tree has them; the first of a name wins. Files are read when
// they are asked for.
class Dialects {
 public:
  Dialects(const std::filesystem::path& config_directory,
           const std::filesystem::path& data_directory);

  std::vector<std::string> names() const;
  bool has(const std::string& name) const { return files_.contains(name); }
  // Checked against DATA/dialect.schema.json where that exists. An error names the file and every
  // fault in it.
  Result<Dialect> read(const std::string& name) const;

  // Plugins that speak a vendor's own API say the same of it in providers/NAME.json of the data
  // directory, in the source tree in their folder's provider.json: base_url and key_env.
  std::vector<std::string> plugin_names() const;
  bool has_plugin(const std::string& name) const { return plugins_.contains(name); }
  Result<Dialect> read_plugin(const std::string& name) const;

 private:
  std::filesystem::path schema_;
  std::map<std::string, std::filesystem::path> files_, plugins_;
};

}  // namespace switchyard::config
