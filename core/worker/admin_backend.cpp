#include "core/worker/admin_backend.hpp"

#include <unistd.h>

#include "core/base/clock.hpp"
#include "core/base/json_scan.hpp"
#include "core/observe/log.hpp"
#include "core/routing/pipeline.hpp"
#include "switchyard_version.hpp"

namespace switchyard {
namespace {

using Extra = observe::Metrics::Extra;

// {"name":text, ... as they are given.
class Object {
 public:
  Object& text(std::string_view name, std::string_view value) {
    begin(name);
    append_json_string(out_, value);
    return *this;
  }
  Object& raw(std::string_view name, std::string_view json) {
    begin(name);
    out_ += json;
    return *this;
  }
  Object& number(std::string_view name, std::uint64_t value) {
    return raw(name, std::to_string(value));
  }
  std::string take() { return std::move(out_) + "}"; }

 private:
  void begin(std::string_view name) {
    if (out_.size() > 1) out_ += ',';
    append_json_string(out_, name);
    out_ += ':';
  }
  std::string out_ = "{";
};

template <class Items, class Write>
std::string array(const Items& items, Write write) {
  std::string out = "[";
  for (const auto& item : items) {
    if (out.size() > 1) out += ',';
    out += write(item);
  }
  return out + "]";
}

std::string json_text(std::string_view text) {
  std::string out;
  append_json_string(out, text);
  return out;
}

}  // namespace

AdminState::AdminState(const observe::Metrics& metrics, Reload reload)
    : metrics_(metrics), reload_(std::move(reload)), started_ns_(mono_ns()) {}

void AdminState::publish(std::shared_ptr<const exchange::Snapshot> snapshot,
                         std::shared_ptr<observe::LoggerFanout> loggers,
                         std::vector<std::shared_ptr<const plugin::Library>> libraries,
                         std::size_t keys) {
  View next{std::move(snapshot), std::move(loggers), std::move(libraries), keys};
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
  extra.push_back({"switchyard_build_info", "The running build", "gauge",
                   std::string("{version=\"") + kVersion + "\"}", 1});
  return metrics_.prometheus(extra);
}

std::string AdminState::status_json() {
  const View now = view();
  const std::string loops = array(loops_, [](const LoopView& loop) {
    return Object()
        .number("connections", static_cast<std::uint64_t>(loop.server->connections()))
        .take();
  });
  return Object()
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
  return array(view().libraries, [](const auto& library) {
    const std::string kinds = array(library->kinds(), [](const plugin::Kind& kind) {
      return Object()
          .text("interface", kind.iface)
          .text("name", kind.name)
          .raw("caps", kind.caps)
          .take();
    });
    return Object()
        .text("id", library->id())
        .text("version", library->version())
        .text("build", library->build())
        .text("file", library->source().filename().string())
        .text("sha256", library->sha256())
        .raw("kinds", kinds)
        .take();
  });
}

std::string AdminState::providers_json() {
  const View now = view();
  return array(now.snapshot->providers, [](const exchange::ProviderSlot& slot) {
    return Object()
        .text("id", slot.config->id)
        .text("plugin", slot.config->plugin)
        .text("base_url", slot.config->base_url)
        .number("credentials", slot.config->credentials.size())
        .raw("models",
             array(slot.config->models, [](const std::string& name) { return json_text(name); }))
        .raw("tasks", array(slot.instance->caps().tasks,
                            [](const std::string& task) { return json_text(task); }))
        .take();
  });
}

std::string AdminState::config_text() { return config::describe(*view().snapshot->config); }

}  // namespace switchyard
