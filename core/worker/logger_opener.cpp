#include "core/worker/logger_opener.hpp"

#include <spdlog/spdlog.h>

#include "core/base/clock.hpp"
#include "core/observe/log.hpp"
#include "core/plugin/destinations.hpp"
#include "core/plugin/logger.hpp"
#include "core/worker/plugin_uses.hpp"

namespace switchyard {
namespace {

store::RecordLimits record_limits(const config::Records& records) {
  return {records.keep, records.usage_keep, records.size_max};
}

}  // namespace

LoggerOpener::LoggerOpener(plugin::Libraries& libraries, std::filesystem::path records,
                           std::function<void(const Fanout*)> destroy)
    : libraries_(libraries), records_(std::move(records)), destroy_(std::move(destroy)) {}

Result<std::shared_ptr<LoggerOpener::Fanout>, config::Faults> LoggerOpener::open(
    const config::Config& config) {
  const std::vector<std::string> names = logger_names(config);
  Fanout::Lines lines;
  config::Faults faults;
  for (std::size_t i = 0; i < config.loggers.size(); ++i) {
    const config::Logger& logger = config.loggers[i];
    auto line = open_line(config, logger, names[i]);
    const bool set_aside =
        !libraries_.find("logger", logger.plugin).kind && libraries_.has_quarantined();
    if (line) {
      lines.push_back(std::move(*line));
    } else if (set_aside) {
      spdlog::error("logger_unavailable logger={} reason=\"its plugin is in quarantine\"",
                    names[i]);
    } else {
      faults.push_back({"/loggers/" + std::to_string(i), line.error().message});
    }
  }
  if (config.records.enabled) lines.push_back(record_line(config.records));
  if (!faults.empty()) return faults;
  // An admin thread may be the last that has it.
  return std::shared_ptr<Fanout>(new Fanout(std::move(lines)), destroy_);
}

Result<std::shared_ptr<LoggerOpener::Fanout::Line>> LoggerOpener::open_line(
    const config::Config& config, const config::Logger& logger, const std::string& name) {
  using Line = Fanout::Line;
  const auto open = [&](Line*) -> Result<std::shared_ptr<Line>> {
    auto destinations = plugin::Destinations::make(config, logger.destinations);
    if (!destinations) return std::move(destinations).error();
    auto opened = plugin::LoggerInstance::open(libraries_, logger.plugin, logger.config_json,
                                               std::move(*destinations));
    if (!opened) return std::move(opened).error();
    return std::make_shared<Line>(std::move(*opened), name);
  };
  const std::string made_of = logger.config_json + config::fingerprint(config, logger.destinations);
  // Not kept warm: what it holds open is its successor's to write.
  return libraries_.share<Line>({"logger", logger.plugin, name, made_of}, plugin::Keep::kNot, open);
}

// One for all configurations: what changes are its settings.
std::shared_ptr<LoggerOpener::Fanout::Line> LoggerOpener::record_line(
    const config::Records& records) {
  if (auto line = record_line_.lock()) return line;
  const store::RecordLimits limits = record_limits(records);
  auto kept = std::make_unique<store::Records>(records_, limits);
  record_settings_ = std::make_shared<observe::RecordSettings>(limits);
  auto keeper = std::make_unique<observe::RecordKeeper>(std::move(kept), record_settings_, unix_ns);
  auto line = std::make_shared<Fanout::Line>(std::move(keeper), "records");
  record_line_ = line;
  return line;
}

void LoggerOpener::set_limits(const config::Records& records) {
  if (record_settings_) record_settings_->set(record_limits(records));
}

}  // namespace switchyard
