#include "core/worker/plugin_uses.hpp"

#include <algorithm>
#include <map>

#include "core/base/os_process.hpp"
#include "switchyard_version.hpp"

namespace switchyard {

std::filesystem::path plugin_directory(const config::Config& config) {
  if (!config.plugins.directory.empty()) return config.plugins.directory;
  const std::filesystem::path prefix = os::own_binary().parent_path().parent_path();
  const std::filesystem::path built = prefix / "plugins";
  std::error_code ignored;
  return std::filesystem::is_directory(built, ignored) ? built : prefix / kPluginDirectory;
}

std::vector<std::string> logger_names(const config::Config& config) {
  std::vector<std::string> names;
  std::map<std::string, unsigned> seen;
  for (const config::Logger& logger : config.loggers) {
    const unsigned nth = ++seen[logger.plugin];
    names.push_back(nth == 1 ? logger.plugin : logger.plugin + "-" + std::to_string(nth));
  }
  return names;
}

plugin::Uses plugin_uses(const config::Config& config) {
  plugin::Uses uses;
  for (const config::Provider& provider : config.providers) {
    const auto model =
        std::find_if(provider.models.begin(), provider.models.end(),
                     [](const std::string& name) { return name.find('*') == std::string::npos; });
    uses.push_back({"provider", provider.plugin, provider.id, provider.plugin_json,
                    model == provider.models.end() ? std::string() : *model, ""});
  }
  const auto names = logger_names(config);
  for (std::size_t i = 0; i < names.size(); ++i) {
    const config::Logger& logger = config.loggers[i];
    std::string destinations;
    for (const std::string& name : logger.destinations) {
      destinations += (destinations.empty() ? "" : ",") + name;
    }
    uses.push_back({"logger", logger.plugin, names[i], logger.config_json, "", destinations});
  }
  for (const auto* models : {&config.models, &config.features}) {
    for (const config::Model& model : *models) {
      for (const config::Strategy& strategy : model.strategies) {
        uses.push_back(
            {"strategy", strategy.plugin, "alias " + model.name, strategy.config_json, "", ""});
      }
    }
  }
  return uses;
}

}  // namespace switchyard
