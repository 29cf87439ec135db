#include "core/worker/snapshot_builder.hpp"

#include <cstdlib>

#include "core/net/proxy.hpp"
#include "switchyard_version.hpp"

namespace switchyard {
namespace {

std::string variable(const char* name, const char* other) {
  const char* value = std::getenv(name);
  if (value == nullptr && other != nullptr) value = std::getenv(other);
  return value != nullptr ? value : "";
}

net::ProxyEnvironment proxy_environment() {
  return {variable("https_proxy", "HTTPS_PROXY"), variable("http_proxy", nullptr),
          variable("no_proxy", "NO_PROXY")};
}

std::string host_header(const net::Url& url) {
  std::string host = url.host.find(':') != std::string::npos ? "[" + url.host + "]" : url.host;
  const std::uint16_t usual = url.tls ? 443 : 80;
  if (url.port != usual) host += ":" + std::to_string(url.port);
  return host;
}

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
  auto upstream = std::make_shared<net::Upstream>();
  upstream->tls = url.tls;
  upstream->host = url.host;
  upstream->port = url.port;
  upstream->host_header = host_header(url);
  upstream->allow_private = provider.allow_private;
  upstream->connect_timeout = provider.timeouts.connect;
  auto proxy = net::choose_proxy(url, provider.proxy, proxy_environment());
  if (!proxy) return std::move(proxy).error();
  upstream->proxy_host = std::move(proxy->host);
  upstream->proxy_port = proxy->port;
  upstream->proxy_authorization = std::move(proxy->authorization);

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

Result<exchange::ProviderSlot> SnapshotBuilder::make_slot(const config::Provider& provider) {
  exchange::ProviderSlot slot;
  slot.config = &provider;
  auto instance = plugin::ProviderInstance::open(libraries_, provider.plugin, provider.plugin_json,
                                                 provider.id);
  if (!instance) return std::move(instance).error();
  slot.instance = std::move(*instance);
  if (provider.base_url.empty()) return slot;

  const auto url = net::parse_url(provider.base_url);
  if (!url) return url.error();
  auto upstream = make_upstream(provider, *url);
  if (!upstream) return std::move(upstream).error();
  slot.upstream = std::move(*upstream);
  slot.base_path = url->path;
  slot.fixed_headers = "host: " + slot.upstream->host_header + "\r\nuser-agent: switchyard/" +
                       kVersion + "\r\naccept-encoding: identity\r\n";
  for (const auto& [name, value] : provider.headers) {
    slot.fixed_headers += name + ": " + value + "\r\n";
  }
  return slot;
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
  snapshot->routes = std::make_unique<routing::Table>(*config, *catalog, std::move(*pipelines));
  // What no snapshot uses any more.
  std::erase_if(upstreams_, [](const auto& entry) { return entry.second.use_count() <= 1; });
  std::erase_if(tls_clients_, [](const auto& entry) { return entry.second.use_count() <= 1; });
  statistics_.drop_unused();
  std::shared_ptr<const exchange::Snapshot> built(snapshot.release(), std::move(destroy));
  built_.push_back(built);
  return built;
}

}  // namespace switchyard
