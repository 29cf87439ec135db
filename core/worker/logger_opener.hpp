// Opens the loggers of a configuration.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>

#include "core/config/config.hpp"
#include "core/observe/record_keeper.hpp"
#include "core/plugin/library.hpp"

namespace switchyard {

// [control thread]
class LoggerOpener {
 public:
  using Fanout = observe::LoggerFanout;

  // `records`: the directory that the host's own records go to. `destroy` brings the end of a
  // fan-out, on whatever thread it comes, to the control thread.
  LoggerOpener(plugin::Libraries& libraries, std::filesystem::path records,
               std::function<void(const Fanout*)> destroy);

  // Those that are open already as they are configured are shared.
  Result<std::shared_ptr<Fanout>, config::Faults> open(const config::Config& config);
  // The host's own records go by these from now on.
  void set_limits(const config::Records& records);

 private:
  Result<std::shared_ptr<Fanout::Line>> open_line(const config::Config& config,
                                                  const config::Logger& logger,
                                                  const std::string& name);
  std::shared_ptr<Fanout::Line> record_line(const config::Records& records);

  plugin::Libraries& libraries_;
  const std::filesystem::path records_;
  const std::function<void(const Fanout*)> destroy_;
  std::shared_ptr<observe::RecordSettings> record_settings_;
  std::weak_ptr<Fanout::Line> record_line_;  // of the fan-outs that have it
};

}  // namespace switchyard
