// What the admin API reads of a worker, and what it has done there.
#pragma once

#include <functional>
#include <mutex>
#include <string>
#include <vector>

#include "core/account/alerts.hpp"
#include "core/account/directory.hpp"
#include "core/account/ledger.hpp"
#include "core/admin/api.hpp"
#include "core/catalog/price_list.hpp"
#include "core/exchange/exchange.hpp"
#include "core/net/server.hpp"
#include "core/observe/metrics.hpp"
#include "core/worker/balance_watch.hpp"
#include "core/worker/plugin_report.hpp"

namespace switchyard {

class AdminState : public admin::AdminBackend {
 public:
  // Run on the admin's thread; return when the control thread has done it.
  struct Commands {
    std::function<Result<std::uint64_t, config::Faults>()> reload;
    using Plugin = std::function<admin::PluginResult(const std::string&)>;
    Plugin swap, rollback, release;
    std::function<admin::PluginResult(const std::string&, const admin::ShadowTerms&)> shadow;
    std::function<Result<std::uint64_t, admin::ConfigRefusal>(const std::string&)> apply;
  };

  // `load` is how the worker loads its configuration.
  AdminState(const observe::Metrics& metrics, const account::Ledger& ledger, Commands commands,
             const config::LoadOptions& load, const std::filesystem::path& state_directory);

  // Before the API serves.
  void add_loop(net::Loop* loop, const net::HttpServer* server, const net::UpstreamPool* pool) {
    loops_.push_back({loop, server, pool});
  }
  void watch(const BalanceWatch* balances) { balances_ = balances; }
  // [control thread]
  void publish(std::shared_ptr<const exchange::Snapshot> snapshot,
               std::shared_ptr<observe::LoggerFanout> loggers,
               std::shared_ptr<const account::Directory> directory, catalog::PricesInForce prices);
  // Libraries themselves stay on the control thread, where their last reference has to go.
  void publish_plugins(PluginReport report);

  // Those of the configuration in force. [any thread]
  std::vector<account::RefusedCredential> refused_credentials();

  std::string metrics_text() override;
  std::string status_json() override;
  std::string plugins_json() override;
  std::string providers_json() override;
  std::string routes_json() override;
  std::string breakers_json(bool all) override;
  std::optional<std::string> set_breaker(const std::string& id, State state) override;
  admin::Answer explain_route(const std::string& body) override;
  std::string config_text() override;
  config::Faults check_config(const std::string& text) override;
  Result<std::uint64_t, admin::ConfigRefusal> apply_config(const std::string& text) override {
    return commands_.apply(text);
  }
  Result<std::string> config_file_text() override;
  const config::History& config_history() override { return history_; }
  Result<std::uint64_t, config::Faults> reload() override { return commands_.reload(); }
  admin::PluginResult swap_plugin(const std::string& file) override { return commands_.swap(file); }
  admin::PluginResult shadow_plugin(const std::string& file,
                                    const admin::ShadowTerms& terms) override {
    return commands_.shadow(file, terms);
  }
  admin::PluginResult rollback_plugin(const std::string& file) override {
    return commands_.rollback(file);
  }
  admin::PluginResult release_plugin(const std::string& sha256) override {
    return commands_.release(sha256);
  }

 private:
  struct View {
    std::shared_ptr<const exchange::Snapshot> snapshot;
    std::shared_ptr<observe::LoggerFanout> loggers;
    std::shared_ptr<const account::Directory> directory;
    catalog::PricesInForce prices;
  };
  struct LoopView {
    net::Loop* loop;
    const net::HttpServer* server;
    const net::UpstreamPool* pool;
  };
  View view();
  std::vector<UpstreamBalance> upstream_balances() const;

  const observe::Metrics& metrics_;
  const account::Ledger& ledger_;
  const Commands commands_;
  const config::LoadOptions& load_;
  const config::History history_;
  const BalanceWatch* balances_ = nullptr;
  const std::uint64_t started_ns_;
  std::vector<LoopView> loops_;
  std::mutex mutex_;
  View view_;
  PluginReport plugins_;
};

}  // namespace switchyard
