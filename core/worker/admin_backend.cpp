#include "core/worker/admin_backend.hpp"

#include <unistd.h>

#include "core/base/clock.hpp"
#include "core/base/json_object.hpp"
#include "core/config/change.hpp"
#include "core/config/json_text.hpp"
#include "core/observe/log.hpp"
#include "core/routing/pipeline.hpp"
#include "core/worker/breaker_report.hpp"
#include "core/worker/route_explain.hpp"
#include "core/worker/route_report.hpp"
#include "switchyard_version.hpp"

namespace switchyard {
namespace {

using Extra = observe::Metrics::Extra;

void add_ledger_stats(std::vector<Extra>& extra, const account::LedgerStats& stats) {
  const auto add = [&extra](const char* name, const char* help, const char* type, auto value) {
    extra.push_back({name, help, type, "", static_cast<double>(value)});
  };
  constexpr double kSecond = 1e9;
  add("switchyard_ledger_holds_open", "Amounts held for requests that run", "gauge",
      stats.holds_open);
  add("switchyard_ledger_holds_overdue", "Of these, those beyond their deadline", "gauge",
      stats.holds_overdue);
  add("switchyard_ledger_settlements_total", "Requests settled", "counter", stats.settlements);
  add("switchyard_ledger_refusals_total", "Holds and extensions refused", "counter",
      stats.refusals);
  add("switchyard_ledger_shortfalls_total", "Settlements worth more than could be charged",
      "counter", stats.shortfalls);
  add("switchyard_ledger_costs_lost_total", "Cost lines that found no room in the journal",
      "counter", stats.costs_lost);
  add("switchyard_ledger_interrupted_total", "Holds of killed processes that were released",
      "counter", stats.interrupted);
  add("switchyard_ledger_lag_entries", "Journal entries that are not in the books yet", "gauge",
      stats.lag_entries);
  add("switchyard_ledger_lag_seconds", "Age of the oldest of these", "gauge",
      static_cast<double>(stats.lag_ns) / kSecond);
  add("switchyard_ledger_books_faults_total", "Batches that the database refused for the time",
      "counter", stats.books_faults);
  add("switchyard_ledger_journal_faults_total", "Journal segments that could not be prepared",
      "counter", stats.journal_faults);
  add("switchyard_ledger_memory_segments", "Journal segments in memory for want of a disk", "gauge",
      stats.memory_segments);
  add("switchyard_ledger_sync_faults_total", "Syncs of the journal that failed", "counter",
      stats.sync_faults);
  add("switchyard_ledger_syncs_total", "Syncs of the journal", "counter", stats.syncs);
  add("switchyard_ledger_sync_seconds_total", "Time that they took", "counter",
      static_cast<double>(stats.sync_ns) / kSecond);
  add("switchyard_ledger_sync_seconds_max", "The longest of them", "gauge",
      static_cast<double>(stats.sync_ns_max) / kSecond);
}

}  // namespace

AdminState::AdminState(const observe::Metrics& metrics, const account::Ledger& ledger,
                       Commands commands, const config::LoadOptions& load,
                       const std::filesystem::path& state_directory)
    : metrics_(metrics),
      ledger_(ledger),
      commands_(std::move(commands)),
      load_(load),
      history_(state_directory / "config"),
      started_ns_(mono_ns()) {}

void AdminState::publish(std::shared_ptr<const exchange::Snapshot> snapshot,
                         std::shared_ptr<observe::LoggerFanout> loggers,
                         std::shared_ptr<const account::Directory> directory,
                         catalog::PricesInForce prices) {
  View next{std::move(snapshot), std::move(loggers), std::move(directory), std::move(prices)};
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
  add_ledger_stats(extra, ledger_.stats());
  for (const auto& [alias, pipeline] : now.snapshot->routes->pipelines()) {
    extra.push_back({"switchyard_strategy_faults_total",
                     "Choices left to the configuration's order because a strategy failed",
                     "counter", observe::prometheus_labels({{"alias", alias}}),
                     static_cast<double>(pipeline->faults())});
  }
  add_breaker_stats(extra, *now.snapshot->routes);
  for (const UpstreamBalance& each : upstream_balances()) {
    for (const ToldBalance& told : each.balances) {
      extra.push_back({"switchyard_upstream_balance",
                       "What is left of the money at a provider, as it told last", "gauge",
                       observe::prometheus_labels({{"provider", each.provider},
                                                   {"credential", each.credential},
                                                   {"currency", told.currency}}),
                       static_cast<double>(told.amount) / 1e9});
    }
  }
  extra.push_back({"switchyard_gateway_keys", "Gateway keys in force", "gauge", "",
                   static_cast<double>(now.directory->enabled())});
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

std::vector<UpstreamBalance> AdminState::upstream_balances() const {
  return balances_ == nullptr ? std::vector<UpstreamBalance>() : balances_->balances();
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
      .number("keys", now.directory->enabled())
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
      .raw("data", json_array(now.snapshot->providers,
                              [balances = upstream_balances()](const auto& slot) {
                                return report_provider(slot, balances);
                              }))
      .raw("next", "null")
      .raw("connections", connections)
      .take();
}

admin::Answer AdminState::explain_route(const std::string& body) {
  const View now = view();
  return switchyard::explain_route(*now.snapshot, *now.directory, now.prices, body);
}

std::string AdminState::routes_json() { return report_routes(*view().snapshot); }

std::string AdminState::breakers_json(bool all) {
  return report_breakers(*view().snapshot->routes, all);
}

std::optional<std::string> AdminState::set_breaker(const std::string& id, State state) {
  using Force = routing::Breaker::Force;
  const Force force = state == State::kOpen     ? Force::kOpen
                      : state == State::kClosed ? Force::kClosed
                                                : Force::kNone;
  return force_breaker(*view().snapshot->routes, id, force);
}

std::vector<account::RefusedCredential> AdminState::refused_credentials() {
  return switchyard::refused_credentials(*view().snapshot->routes);
}

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
