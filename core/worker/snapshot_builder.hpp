// Makes what requests read out of a configuration.
#pragma once

#include <map>
#include <memory>
#include <string>

#include "core/exchange/exchange.hpp"
#include "core/net/tls.hpp"
#include "core/plugin/library.hpp"
#include "core/routing/pipeline.hpp"

namespace switchyard {

// Keeps from one configuration to the next what need not change: open instances, TLS contexts, and
// upstreams with their pooled connections. Used on the control thread.
class SnapshotBuilder {
 public:
  explicit SnapshotBuilder(plugin::Libraries& libraries) : libraries_(libraries) {}

  // Opens each provider's and strategy's plugin that is not open yet as it is configured.
  // Strategies take over what those before them have learned. Every fault is reported, named by its
  // JSON pointer.
  Result<std::shared_ptr<const exchange::Snapshot>, config::Faults> build(
      std::shared_ptr<const config::Config> config, std::shared_ptr<const catalog::Catalog> catalog,
      std::function<void(const exchange::Snapshot*)> destroy);

  // Those aliases that ask a strategy of this library, which is proposed, as they would be with it;
  // with what was learned by the strategies of the snapshot that is in force.
  Result<routing::Pipelines, config::Faults> build_shadow(const exchange::Snapshot& in_force,
                                                          const plugin::Library& candidate);

 private:
  Result<exchange::ProviderSlot> make_slot(const config::Provider& provider);
  Result<std::shared_ptr<plugin::ProviderInstance>> instance_for(const config::Provider& provider);
  Result<std::shared_ptr<const net::Upstream>> make_upstream(const config::Provider& provider,
                                                             const net::Url& url);
  Result<void> add_origins(const config::Provider& provider, exchange::ProviderSlot& slot);
  Result<std::shared_ptr<net::TlsClient>> tls_client(const std::string& ca_file);

  plugin::Libraries& libraries_;
  std::uint64_t generation_ = 0;
  routing::Statistics statistics_;
  std::vector<std::weak_ptr<const exchange::Snapshot>> built_;             // the newest last
  std::map<std::string, std::shared_ptr<net::TlsClient>> tls_clients_;     // by CA file
  std::map<std::string, std::shared_ptr<const net::Upstream>> upstreams_;  // by all that makes them
};

}  // namespace switchyard
