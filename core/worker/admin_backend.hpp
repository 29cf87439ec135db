// What the admin API reads of a worker, and the one thing that it does.
#pragma once

#include <functional>
#include <mutex>
#include <string>
#include <vector>

#include "core/admin/api.hpp"
#include "core/exchange/exchange.hpp"
#include "core/net/server.hpp"
#include "core/observe/metrics.hpp"
#include "core/plugin/library.hpp"

namespace switchyard {

class AdminState : public admin::AdminBackend {
 public:
  using Reload = std::function<Result<std::uint64_t, config::Faults>()>;

  // reload: runs on the admin's thread and returns when the control thread has done it.
  AdminState(const observe::Metrics& metrics, Reload reload);

  // Before the API serves.
  void add_loop(net::Loop* loop, const net::HttpServer* server) {
    loops_.push_back({loop, server});
  }
  // [control thread]
  void publish(std::shared_ptr<const exchange::Snapshot> snapshot,
               std::shared_ptr<observe::LoggerFanout> loggers,
               std::vector<std::shared_ptr<const plugin::Library>> libraries, std::size_t keys);

  std::string metrics_text() override;
  std::string status_json() override;
  std::string plugins_json() override;
  std::string providers_json() override;
  std::string config_text() override;
  Result<std::uint64_t, config::Faults> reload() override { return reload_(); }

 private:
  struct View {
    std::shared_ptr<const exchange::Snapshot> snapshot;
    std::shared_ptr<observe::LoggerFanout> loggers;
    std::vector<std::shared_ptr<const plugin::Library>> libraries;
    std::size_t keys = 0;
  };
  struct LoopView {
    net::Loop* loop;
    const net::HttpServer* server;
  };
  View view();

  const observe::Metrics& metrics_;
  const Reload reload_;
  const std::uint64_t started_ns_;
  std::vector<LoopView> loops_;
  std::mutex mutex_;
  View view_;
};

}  // namespace switchyard
