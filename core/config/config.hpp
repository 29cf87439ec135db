// The configuration as the host uses it: loaded, checked against the schema, references resolved,
// immutable.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/result.hpp"
#include "core/base/secret.hpp"
#include "core/config/feature.hpp"
#include "core/config/rate_limits.hpp"
#include "core/config/reach.hpp"
#include "core/config/upstream_policy.hpp"
#include "core/net/ip_range.hpp"

namespace switchyard::config {

struct TlsFiles {
  std::filesystem::path certificate, key;
};

struct Listen {
  std::string address = "127.0.0.1";  // an IP address; "::" and "0.0.0.0" are wide
  std::uint16_t port = 8080;          // 0: any free one (printed at start)
  std::optional<TlsFiles> tls;
};

struct Credential {
  std::string name;  // for logs and records: "default", "eu-1" ...
  Secret key;
  std::map<std::string, std::string> parts;  // public parts: project, location ...
  std::int64_t expires_unix_s = 0;           // 0: nobody said
  std::uint32_t weight = 1;                  // of the calls, among a provider's credentials
  UpstreamLimits limits;                     // over all models
};

struct Timeouts {
  std::chrono::milliseconds connect{5000}, first_byte{120'000}, between_bytes{120'000},
      total{600'000};
  // Of streams: until the first content came, and between two pieces of it. Comments don't count.
  std::chrono::milliseconds first_token{600'000}, between_tokens{300'000};
};

// Where a provider tells what is left of the money at it, as its dialect file says.
struct BalanceSource {
  std::string path;    // behind base_url; empty: it tells nowhere
  std::string list;    // the place of a list of balances in the answer; empty: the answer is one
  std::string amount;  // the place of what there is, as "data.available_balance"
  std::string minus;   // the place of what is to be taken off it, or empty
  std::string currency_at, currency;  // the place of the currency, or the currency
};

// That it is watched.
struct BalancePolicy {
  BalanceSource source;
  std::optional<std::int64_t> floor;  // in billionths
  std::chrono::milliseconds every{600'000};
};

// One configured upstream: a provider plugin, where it goes and with which credentials.
struct Provider {
  std::string id;
  std::string plugin;       // kind name: "openai", "demo" ...
  std::string family;       // where the catalog knows it: the dialect's name, or the plugin's
  std::string plugin_json;  // what open() gets: {"dialect":{...},"base_url":"...","settings":{...}}
  std::string
      base_url;  // "https://api.openai.com/v1"; empty where the plugin sends nothing ("demo")
  std::vector<std::string> origins;     // others that credentials may go to: "https://host:port"
  std::vector<Credential> credentials;  // empty: none is sent
  // Upstream names that it serves; "*" takes any name. Empty: those that the catalog has for the
  // family.
  std::vector<std::string> models;
  std::map<std::string, std::string> headers;  // added to each request
  std::string proxy;  // "http://host:port", "none", or empty: HTTPS_PROXY / NO_PROXY decide
  std::filesystem::path ca_file;
  Timeouts timeouts;
  UpstreamLimits limits;  // of all calls to it
  // Of one credential at one model, by the model's upstream name; "*": any other.
  std::map<std::string, UpstreamLimits> model_limits;
  BreakerPolicy breaker;
  ProbePolicy probe;
  std::string region;                    // of its candidates that name none
  bool drain_on_disconnect = false;      // on_disconnect: cancel | drain
  std::optional<BalancePolicy> balance;  // what is left of the money at it is watched
  bool allow_private = true;
};

// A key given in the configuration, in clear (from a reference) or as its MAC.
struct Key {
  std::string name;
  Secret key;
  std::string mac;                    // hex; where key is empty
  std::vector<std::string> models;    // names or patterns with '*'; empty: all
  std::vector<std::string> features;  // the same
  std::string default_feature;
  Reach reach;
  std::uint64_t body_bytes_max = 0;  // 0: limits.body_bytes_max
  RateLimits limits;
  Priority priority = Priority::kNormal;
};

struct Limits {
  std::size_t head_bytes_max = 32 * 1024, target_bytes_max = 8 * 1024, headers_max = 100;
  std::uint64_t body_bytes_max = 32u * 1024 * 1024;
  unsigned json_depth_max = 64;
  std::chrono::milliseconds head_timeout{10'000}, tls_timeout{5'000}, body_timeout{30'000},
      keep_alive_timeout{60'000}, write_timeout{60'000}, stream_max{3'600'000},
      session_idle{900'000}, drain_timeout{60'000};
  std::uint64_t body_bytes_per_s_min = 1024;
  std::size_t connections_max = 0;         // 0: 45 % of the descriptor limit less 64
  std::size_t connections_per_ip_max = 0;  // 0: no cap
  RateLimits default_key;                  // of what a key itself says nothing about
  // How long a request may wait for one of its key, account or feature to end.
  std::chrono::milliseconds queue_timeout{2000};
};

// From when on new requests are turned away, those of low priority first.
struct Overload {
  std::uint64_t open_requests_max = 0;           // 0: no bound but that of connections
  std::uint64_t memory_max = 0;                  // bytes; 0: what the machine lets it have
  std::chrono::milliseconds loop_lag_max{1000};  // 0: not looked at
};

// Where loggers may post to. No plugin ever sees its credential.
struct Destination {
  std::string name;
  std::string url;
  std::map<std::string, std::string> headers;  // added to each post
  std::string credential_header;               // empty: none is sent
  std::string credential_prefix;               // "Bearer ", or empty
  Secret credential;
  std::string proxy;  // as of a provider
  std::filesystem::path ca_file;
  std::chrono::milliseconds timeout{10'000};  // of one post, connecting included
  bool allow_private = true;                  // false: refused where it resolves to such an address
};

struct Logger {
  std::string plugin;                     // "jsonl"
  std::string config_json;                // what open() gets
  std::vector<std::string> destinations;  // names of those it may post to
};

// What is kept of finished requests, beside what loggers make of them.
struct Records {
  bool enabled = true;
  std::chrono::hours keep{30 * 24}, usage_keep{400 * 24};  // details, and their sums
  std::uint64_t size_max = 10'000'000'000;                 // bytes of the details
  // A request's plan is kept of one in so many, and of each that failed; 0: of those alone.
  std::uint32_t plans_one_in = 100;
  // Of keys that have what they send and get kept: how long, how much of one body, how much of all.
  std::chrono::hours bodies_keep{7 * 24};
  std::uint64_t body_size_max = 1'000'000, bodies_size_max = 1'000'000'000;
};

struct Plugins {
  std::filesystem::path directory;  // empty: beside the binary, then the installed one
  std::map<std::string, std::string>
      pins;                   // file name -> SHA-256 in hex; where not empty only these load
  bool require_pins = false;  // only pinned files load, also where there is no pin
  bool watch = false;         // a file that is written there is swapped in
};

struct Alerts {
  std::string destination;  // empty: alerts are logged alone
  Secret signing_secret;
  std::optional<std::int64_t> balance_floor_nano;
};

struct Ledger {
  bool durable = false;             // durability: process | disk
  bool serve_without_disk = false;  // on_journal_fault: refuse | serve
};

struct Config {
  std::vector<Listen> listen{Listen{}};
  Listen admin{"127.0.0.1", 8081, std::nullopt};
  std::filesystem::path
      state;  // directory, 0700; default: $XDG_STATE_HOME/switchyard or ~/.local/state/switchyard
  unsigned workers = 0;  // event loops; 0: one per core
  std::vector<Provider> providers;
  std::vector<Model> models;      // aliases
  std::vector<Feature> features;  // asked for by "feature/NAME"
  std::vector<Key> keys;
  Limits limits;
  Overload overload;
  std::vector<std::string> cors_origins;
  std::vector<net::IpRange> trusted_proxies;  // whose X-Forwarded-For is believed
  Plugins plugins;
  Ledger ledger;
  std::vector<Destination> destinations;
  std::vector<Logger> loggers;
  Records records;
  Secret stripe_signing_secret;  // empty: no webhook is taken
  Alerts alerts;
  std::string log_level = "info";
  // Whether a request may be served whose price is not known. Prepaid accounts may never.
  bool unpriced_allowed = true;
  std::filesystem::path source;  // empty: the embedded default
};

// One fault, named by its place: {"/providers/openai/base_url", "not a URL: ..."}.
struct Fault {
  std::string pointer;
  std::string message;
};
using Faults = std::vector<Fault>;

struct LoadOptions {
  std::filesystem::path file;  // empty: the embedded default
  std::filesystem::path
      data_directory;  // holds dialects/, models/, the schema; where the product is installed
  std::vector<std::string> environment;  // "NAME=value"; empty: the process's own
  std::filesystem::path state;           // takes the place of the document's; for --state
  // The models that a local server lists under BASE_URL/models, nothing where none answers. Empty:
  // asked by HTTP, 300 ms.
  std::function<std::optional<std::vector<std::string>>(const std::string& base_url)> probe;
};

// Reads, strips comments, resolves ${ENV}, ${ENV:-default} and "file:PATH" references, checks
// against the schema and then across members. Every fault is reported, not only the first. What is
// left out has its default; left out "providers" are the demo, each plugin or dialect whose key
// variable is set, and local servers that answer. Thread-safe, does file I/O.
Result<std::shared_ptr<const Config>, Faults> load(const LoadOptions& options);

// The same from a text; options.file only says where it came from (relative paths start in its
// directory).
Result<std::shared_ptr<const Config>, Faults> load_text(std::string_view text,
                                                        const LoadOptions& options);

// What a configuration means, for `switchyard check`: listeners, providers, models and where they
// go; no secret.
std::string describe(const Config& config);

// A hash over all that these destinations are made of, their credentials too: equal where nothing
// has changed. A file counts by its time.
std::string fingerprint(const Config& config, const std::vector<std::string>& destinations);

// What is legal but hardly meant, a sentence each.
std::vector<std::string> warnings(const Config& config);

// $XDG_STATE_HOME/switchyard or ~/.local/state/switchyard; empty where neither variable helps.
std::filesystem::path default_state_directory(const std::vector<std::string>& environment);

// The directory with schema, dialects and catalog: $SWITCHYARD_DATA, beside the binary's source
// tree, or installed.
std::filesystem::path find_data_directory();

}  // namespace switchyard::config
