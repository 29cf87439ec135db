#include "core/worker/admin_backend.hpp"

#include <unistd.h>

#include "core/base/clock.hpp"
#include "core/base/json_object.hpp"
#include "core/config/change.hpp"
#include "core/config/json_text.hpp"
#include "core/observe/log.hpp"
#include "core/routing/pipeline.hpp"
#include "core/worker/route_report.hpp"
#include "switchyard_version.hpp"

namespace switchyard {
namespace {

using Extra = observe::Metrics::Extra;

}  // namespace

AdminState::AdminState(const observe::Metrics& metrics, Commands commands,
                       const config::LoadOptions& load,
                       const std::filesystem::path& state_directory)
    : metrics_(metrics),
      commands_(std::move(commands)),
      load_(load),
      history_(state_directory / "config"),
      started_ns_(mono_ns()) {}

void AdminState::publish(std::shared_ptr<const exchange::Snapshot> snapshot,
                         std::shared_ptr<observe::LoggerFanout> loggers, std::size_t keys) {
  View next{std::move(snapshot), std::move(loggers), keys};
  const std::lock_guard lock(mutex_);
  std::swap(view_, next);
}

AdminState::View AdminState::view() {
  const std::lock_guard lock(mutex_);
  return view_;
}

std::string AdminState::metrics_text() {
  const View now = view();
  std::vector<Extra> extra;
  for (std::size_t i = 0; i < loops_.size(); ++i) {
    observe::add_loop_lag(extra, static_cast<unsigned>(i), loops_[i].loop->take_lag_ns());
  }
  if (now.loggers) observe::add_logger_stats(extra, now.loggers->stats());
  for (const auto& [alias, pipeline] : now.snapshot->routes->pipelines()) {
    extra.push_back({"switchyard_strategy_faults_total",
                     "Choices left to the configuration's order because a strategy failed",
                     "counter", observe::prometheus_labels({{"alias", alias}}),
                     static_cast<double>(pipeline->faults())});
  }
  extra.push_back({"switchyard_gateway_keys", "Gateway keys in force", "gauge", "",
                   static_cast<double>(now.keys)});
  extra.push_back({"switchyard_config_generation", "Counts configurations put in force", "gauge",
                   "", static_cast<double>(now.snapshot->generation)});
  {
    const std::lock_guard lock(mutex_);
    extra.push_back({"switchyard_plugin_libraries_mapped", "Plugin contents mapped", "gauge", "",
                     static_cast<double>(plugins_.mapped)});
    extra.push_back({"switchyard_plugin_generations_retained",
                     "Plugin contents mapped that serve nothing", "gauge", "",
                     static_cast<double>(plugins_.retained)});
  }
  extra.push_back({"switchyard_build_info", "The running build", "gauge",
                   std::string("{version=\"") + kVersion + "\"}", 1});
  return metrics_.prometheus(extra);
}

std::string AdminState::status_json() {
  const View now = view();
  const std::string loops = json_array(loops_, [](const LoopView& loop) {
    return JsonObject()
        .number("connections", static_cast<std::uint64_t>(loop.server->connections()))
        .take();
  });
  return JsonObject()
      .text("version", kVersion)
      .number("pid", static_cast<std::uint64_t>(::getpid()))
      .number("uptime_s", (mono_ns() - started_ns_) / 1'000'000'000u)
      .number("generation", now.snapshot->generation)
      .text("config", now.snapshot->config->source.empty() ? "embedded default"
                                                           : now.snapshot->config->source.string())
      .text("log_level", observe::log_level())
      .number("keys", now.keys)
      .number("providers", now.snapshot->providers.size())
      .raw("loops", loops)
      .take();
}

std::string AdminState::plugins_json() {
  const std::lock_guard lock(mutex_);
  return plugins_.json;
}

void AdminState::publish_plugins(PluginReport report) {
  const std::lock_guard lock(mutex_);
  plugins_ = std::move(report);
}

std::string AdminState::providers_json() {
  const View now = view();
  net::UpstreamPool::Stats sum;
  for (const LoopView& loop : loops_) {
    const auto stats = loop.pool->stats();
    sum.opened += stats.opened;
    sum.reused += stats.reused;
    sum.failed += stats.failed;
    sum.idle += stats.idle;
    sum.active += stats.active;
  }
  const std::string connections = JsonObject()
                                      .number("opened", sum.opened)
                                      .number("reused", sum.reused)
                                      .number("failed", sum.failed)
                                      .number("idle", sum.idle)
                                      .number("active", sum.active)
                                      .take();
  return JsonObject()
      .raw("data", json_array(now.snapshot->providers, report_provider))
      .raw("next", "null")
      .raw("connections", connections)
      .take();
}

std::string AdminState::routes_json() { return report_routes(*view().snapshot); }

std::string AdminState::config_text() { return config::describe(*view().snapshot->config); }

config::Faults AdminState::check_config(const std::string& text) {
  const auto loaded = config::load_text(text, load_);
  if (!loaded) return loaded.error();
  const auto now_text = config_file_text();
  return config::unchangeable(*view().snapshot->config, now_text ? *now_text : "", **loaded, text);
}

Result<std::string> AdminState::config_file_text() {
  if (load_.file.empty()) return Error{"the gateway runs on the embedded default, without a file"};
  return config::read_file(load_.file);
}

}  // namespace switchyard
