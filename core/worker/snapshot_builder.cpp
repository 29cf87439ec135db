#include "core/worker/snapshot_builder.hpp"

#include <spdlog/spdlog.h>

#include "core/net/proxy.hpp"
#include "switchyard_version.hpp"

namespace switchyard {
namespace {

// When a file was last written, as text; empty where there is none.
std::string changed_at(const std::filesystem::path& file) {
  std::error_code none;
  const auto time = std::filesystem::last_write_time(file, none);
  return none ? std::string() : "@" + std::to_string(time.time_since_epoch().count());
}

// All that tells one upstream from another: where these are equal, connections may be shared.
std::string upstream_key(const config::Provider& provider, const net::Upstream& upstream) {
  std::string key = provider.id;
  for (const std::string& part :
       {upstream.host, std::to_string(upstream.port), std::string(upstream.tls ? "tls" : "plain"),
        upstream.proxy_host, std::to_string(upstream.proxy_port), upstream.proxy_authorization,
        provider.ca_file.string() + changed_at(provider.ca_file),
        std::to_string(provider.allow_private), std::to_string(upstream.connect_timeout.count())}) {
    key += '\n';
    key += part;
  }
  return key;
}

// What every request has, wherever it goes.
std::string host_lines(const net::Upstream& upstream) {
  return "host: " + upstream.host_header + "\r\nuser-agent: switchyard/" + kVersion +
         "\r\naccept-encoding: identity\r\n";
}

// An upstream but for its TLS context.
Result<std::shared_ptr<net::Upstream>> bare_upstream(const config::Provider& provider,
                                                     const net::Url& url,
                                                     const net::ProxyEnvironment& environment) {
  auto upstream = std::make_shared<net::Upstream>();
  upstream->tls = url.tls;
  upstream->host = url.host;
  upstream->port = url.port;
  upstream->host_header = net::host_header(url);
  upstream->allow_private = provider.allow_private;
  upstream->connect_timeout = provider.timeouts.connect;
  auto proxy = net::choose_proxy(url, provider.proxy, environment);
  if (!proxy) return std::move(proxy).error();
  upstream->proxy_host = std::move(proxy->host);
  upstream->proxy_port = proxy->port;
  upstream->proxy_authorization = std::move(proxy->authorization);
  return upstream;
}

// Origins beside the base URL's: those that the configuration names, and any other one without
// credentials, at public addresses, over connections that serve once.
class OtherOrigins {
 public:
  OtherOrigins(const config::Provider& provider, std::shared_ptr<net::TlsClient> tls)
      : provider_(&provider), tls_(std::move(tls)), environment_(net::proxy_environment()) {}

  void add(std::shared_ptr<const net::Upstream> upstream) { named_.push_back(std::move(upstream)); }

  Result<exchange::Origin> operator()(const net::Url& url) const {
    for (const auto& upstream : named_) {
      if (upstream->tls == url.tls && upstream->host == url.host && upstream->port == url.port) {
        return exchange::Origin{upstream, true, host_lines(*upstream)};
      }
    }
    if (url.tls && !tls_)
      return Error{"the provider is reached without TLS, so there is none here"};
    auto upstream = bare_upstream(*provider_, url, environment_);
    if (!upstream) return std::move(upstream).error();
    (*upstream)->allow_private = false;
    (*upstream)->idle_max = 0;
    if (url.tls) (*upstream)->tls_client = tls_;
    std::string lines = host_lines(**upstream);
    return exchange::Origin{std::move(*upstream), false, std::move(lines)};
  }

 private:
  const config::Provider* provider_;  // of the snapshot's configuration
  std::shared_ptr<net::TlsClient> tls_;
  net::ProxyEnvironment environment_;
  std::vector<std::shared_ptr<const net::Upstream>> named_;
};

}  // namespace

Result<std::shared_ptr<net::TlsClient>> SnapshotBuilder::tls_client(const std::string& ca_file) {
  auto& kept = tls_clients_[ca_file + changed_at(ca_file)];
  if (kept) return kept;
  auto created = net::TlsClient::create(ca_file);
  if (created) kept = *created;
  return created;
}

Result<std::shared_ptr<const net::Upstream>> SnapshotBuilder::make_upstream(
    const config::Provider& provider, const net::Url& url) {
  auto made = bare_upstream(provider, url, net::proxy_environment());
  if (!made) return std::move(made).error();
  const auto upstream = std::move(*made);
  auto& kept = upstreams_[upstream_key(provider, *upstream)];
  if (kept) return kept;
  if (url.tls) {
    auto client = tls_client(provider.ca_file.string());
    if (!client) return std::move(client).error();
    upstream->tls_client = std::move(*client);
  }
  kept = upstream;
  return kept;
}

Result<std::shared_ptr<plugin::ProviderInstance>> SnapshotBuilder::instance_for(
    const config::Provider& provider) {
  using plugin::ProviderInstance;
  using Opened = Result<std::shared_ptr<ProviderInstance>>;
  const auto open = [&](ProviderInstance*) -> Opened {
    auto opened =
        ProviderInstance::open(libraries_, provider.plugin, provider.plugin_json, provider.id);
    if (!opened) return std::move(opened).error();
    return std::shared_ptr<ProviderInstance>(std::move(*opened));
  };
  return libraries_.share<ProviderInstance>(
      {"provider", provider.plugin, provider.id, provider.plugin_json}, plugin::Keep::kWarm, open);
}

Result<exchange::ProviderSlot> SnapshotBuilder::make_slot(const config::Provider& provider) {
  exchange::ProviderSlot slot;
  slot.config = &provider;
  auto instance = instance_for(provider);
  if (instance) {
    slot.instance = std::move(*instance);
  } else if (libraries_.find("provider", provider.plugin).kind || !libraries_.has_quarantined()) {
    return std::move(instance).error();
  } else {
    // The others serve on without it.
    spdlog::error("provider_unavailable provider={} reason=\"plugin {} is in quarantine\"",
                  provider.id, provider.plugin);
  }
  if (provider.base_url.empty()) return slot;

  const auto url = net::parse_url(provider.base_url);
  if (!url) return url.error();
  auto upstream = make_upstream(provider, *url);
  if (!upstream) return std::move(upstream).error();
  slot.upstream = std::move(*upstream);
  slot.base_path = url->path;
  slot.fixed_headers = host_lines(*slot.upstream);
  for (const auto& [name, value] : provider.headers) {
    slot.fixed_headers += name + ": " + value + "\r\n";
  }
  const auto added = add_origins(provider, slot);
  if (!added) return added.error();
  return slot;
}

Result<void> SnapshotBuilder::add_origins(const config::Provider& provider,
                                          exchange::ProviderSlot& slot) {
  // Reading the system's authorities takes its time: not where nothing speaks TLS.
  std::shared_ptr<net::TlsClient> tls;
  if (slot.upstream->tls || !provider.origins.empty()) {
    auto client = tls_client(provider.ca_file.string());
    if (!client) return std::move(client).error();
    tls = std::move(*client);
  }
  OtherOrigins others(provider, std::move(tls));
  for (const std::string& origin : provider.origins) {
    const auto url = net::parse_url(origin);
    if (!url) return url.error();
    auto upstream = make_upstream(provider, *url);
    if (!upstream) return std::move(upstream).error();
    others.add(std::move(*upstream));
  }
  slot.other_origin = std::move(others);
  return {};
}

Result<std::shared_ptr<const exchange::Snapshot>, config::Faults> SnapshotBuilder::build(
    std::shared_ptr<const config::Config> config, std::shared_ptr<const catalog::Catalog> catalog,
    std::function<void(const exchange::Snapshot*)> destroy) {
  auto snapshot = std::make_unique<exchange::Snapshot>();
  snapshot->generation = ++generation_;
  snapshot->config = config;
  snapshot->catalog = catalog;
  config::Faults faults;
  auto pipelines = routing::open_pipelines(libraries_, *config, *catalog, statistics_);
  if (!pipelines) faults = pipelines.error();
  for (const config::Provider& provider : config->providers) {
    auto slot = make_slot(provider);
    if (slot) {
      snapshot->providers.push_back(std::move(*slot));
    } else {
      faults.push_back({"/providers/" + provider.id, slot.error().message});
    }
  }
  if (!faults.empty()) return faults;
  // One that was built and never put in force is gone by now.
  std::erase_if(built_, [](const auto& each) { return each.expired(); });
  const auto last = built_.empty() ? nullptr : built_.back().lock();
  if (last) routing::hand_over(last->routes->pipelines(), *pipelines);
  snapshot->routes =
      std::make_unique<routing::Table>(*config, *catalog, std::move(*pipelines), &statistics_);
  // What no snapshot uses any more.
  std::erase_if(upstreams_, [](const auto& entry) { return entry.second.use_count() <= 1; });
  std::erase_if(tls_clients_, [](const auto& entry) { return entry.second.use_count() <= 1; });
  statistics_.drop_unused();
  std::shared_ptr<const exchange::Snapshot> built(snapshot.release(), std::move(destroy));
  built_.push_back(built);
  return built;
}

Result<routing::Pipelines, config::Faults> SnapshotBuilder::build_shadow(
    const exchange::Snapshot& in_force, const plugin::Library& candidate) {
  auto pipelines = routing::open_shadow_pipelines(libraries_, *in_force.config, *in_force.catalog,
                                                  statistics_, candidate);
  if (pipelines) routing::hand_over(in_force.routes->pipelines(), *pipelines);
  return pipelines;
}

}  // namespace switchyard
