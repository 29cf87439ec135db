// Which generation of a plugin file serves: swaps, shadow runs, rollbacks, releases, and the
// watched directory.
#pragma once

#include <boost/asio/io_context.hpp>
#include <memory>
#include <string>

#include "core/admin/plugin_routes.hpp"
#include "core/exchange/exchange.hpp"
#include "core/plugin/library.hpp"
#include "core/worker/plugin_report.hpp"
#include "core/worker/plugin_watch.hpp"
#include "core/worker/shadow_run.hpp"
#include "core/worker/snapshot_builder.hpp"

namespace switchyard {

// A configuration's faults as one text, a line each.
std::string join(const config::Faults& faults);

// What changes of plugins ask of the worker. [control thread]
class PluginHost {
 public:
  virtual ~PluginHost() = default;
  virtual const config::Config& config() const = 0;
  virtual const exchange::Snapshot& snapshot() const = 0;
  // What is proposed serves, with the configuration that is in force; on a fault nothing changes.
  virtual Result<void, config::Faults> serve_proposed() = 0;
  // Loops get what is in force anew, and with it the shadow run.
  virtual void publish() = 0;
  // The admin API shows this.
  virtual void tell(PluginReport report) = 0;
};

// [control thread]
class PluginChanges {
 public:
  PluginChanges(boost::asio::io_context& control, plugin::Libraries& libraries,
                SnapshotBuilder& builder, PluginHost& host)
      : control_(control), libraries_(libraries), builder_(builder), host_(host) {}

  admin::PluginResult swap(const std::string& file) { return swap(file, Intent::kSwap); }
  admin::PluginResult shadow(const std::string& file, const admin::ShadowTerms& terms);
  admin::PluginResult rollback(const std::string& file);
  admin::PluginResult release(const std::string& sha256);

  // A plugin that rests and has a predecessor which is warm still gives way to it.
  void leave_resting();
  // As the configuration in force says.
  void watch();
  // Another configuration or plugin is about to be in force: a shadow run has nothing to compare
  // with.
  void supersede() { cancel_shadow("another configuration or plugin took over"); }
  // Nothing changes any more.
  void end();

  // What loops are to compare with; null: nothing.
  std::shared_ptr<routing::Shadow> shadow() const { return run_ ? run_->shadow() : nullptr; }
  void tell() { host_.tell(report_plugins(libraries_, run_.get())); }

 private:
  using Intent = plugin::Libraries::Intent;
  using Proposal = Result<plugin::Libraries::Proposed, admin::PluginRefusal>;

  admin::PluginResult swap(const std::string& file, Intent intent);
  admin::PluginResult go_back(const std::string& file);
  admin::PluginResult serve(const std::string& file);
  Proposal propose(const std::string& file, Intent intent);
  admin::PluginRefusal refuse(const std::string& file, const std::string& reason);
  admin::PluginResult begin_shadow(const std::string& file, const plugin::Library& candidate,
                                   const admin::ShadowTerms& terms);
  void end_shadow();
  bool cancel_shadow(const std::string& reason);
  std::string report(const std::string& file) const {
    return report_plugin(libraries_, run_.get(), file);
  }

  boost::asio::io_context& control_;
  plugin::Libraries& libraries_;
  SnapshotBuilder& builder_;
  PluginHost& host_;
  std::unique_ptr<PluginWatch> watch_;
  std::unique_ptr<ShadowRun> run_;  // the last one; null: there was none
  bool ended_ = false;
};

}  // namespace switchyard
