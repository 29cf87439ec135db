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

// Keeps from one configuration to the next what need not change: TLS contexts, and upstreams with
// their pooled connections. Used on the control thread.
class SnapshotBuilder {
 public:
  explicit SnapshotBuilder(const plugin::Libraries& libraries) : libraries_(libraries) {}

  // Opens every provider's plugin and every strategy. Strategies take over what those of the last
  // snapshot have learned. Every fault is reported, named by its JSON pointer.
  Result<std::shared_ptr<const exchange::Snapshot>, config::Faults> build(
      std::shared_ptr<const config::Config> config, std::shared_ptr<const catalog::Catalog> catalog,
      std::function<void(const exchange::Snapshot*)> destroy);

 private:
  Result<exchange::ProviderSlot> make_slot(const config::Provider& provider);
  Result<std::shared_ptr<const net::Upstream>> make_upstream(const config::Provider& provider,
                                                             const net::Url& url);
  Result<std::shared_ptr<net::TlsClient>> tls_client(const std::string& ca_file);

  const plugin::Libraries& libraries_;
  std::uint64_t generation_ = 0;
  routing::Statistics statistics_;
  std::vector<std::weak_ptr<const exchange::Snapshot>> built_;             // the newest last
  std::map<std::string, std::shared_ptr<net::TlsClient>> tls_clients_;     // by CA file
  std::map<std::string, std::shared_ptr<const net::Upstream>> upstreams_;  // by all that makes them
};

}  // namespace switchyard
