// Makes what requests read out of a configuration.
#pragma once

#include <map>
#include <memory>
#include <string>

#include "core/exchange/exchange.hpp"
#include "core/net/tls.hpp"
#include "core/plugin/library.hpp"

namespace switchyard {

// Keeps from one configuration to the next what need not change: TLS contexts, and upstreams with
// their pooled connections. Used on the control thread.
class SnapshotBuilder {
 public:
  explicit SnapshotBuilder(const plugin::Libraries& libraries) : libraries_(libraries) {}

  // Opens every provider's plugin. Every fault is reported, named by its JSON pointer.
  Result<std::shared_ptr<const exchange::Snapshot>, config::Faults> build(
      std::shared_ptr<const config::Config> config, std::shared_ptr<const catalog::Catalog> catalog,
      std::function<void(const exchange::Snapshot*)> destroy);

 private:
  Result<exchange::ProviderSlot> make_slot(const config::Provider& provider);
  Result<std::shared_ptr<const net::Upstream>> make_upstream(const config::Provider& provider,
                                                             const net::Url& url);
  Result<void> add_origins(const config::Provider& provider, exchange::ProviderSlot& slot);
  Result<std::shared_ptr<net::TlsClient>> tls_client(const std::string& ca_file);

  const plugin::Libraries& libraries_;
  std::uint64_t generation_ = 0;
  std::map<std::string, std::shared_ptr<net::TlsClient>> tls_clients_;     // by CA file
  std::map<std::string, std::shared_ptr<const net::Upstream>> upstreams_;  // by all that makes them
};

}  // namespace switchyard
