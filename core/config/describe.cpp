#include <algorithm>

#include "core/config/address.hpp"
#include "core/config/config.hpp"
#include "core/config/read_features.hpp"
#include "core/config/upstream_reader.hpp"

namespace switchyard::config {
namespace {

std::string place(const Listen& listen) {
  const bool v6 = listen.address.find(':') != std::string::npos;
  const std::string host = v6 ? '[' + listen.address + ']' : listen.address;
  const std::string port = listen.port == 0 ? "(any free port)" : std::to_string(listen.port);
  return (listen.tls ? "https://" : "http://") + host + ':' + port;
}

std::string joined(const std::vector<std::string>& names, std::size_t most) {
  std::string text;
  for (std::size_t i = 0; i < names.size() && i < most; ++i)
    text += (i == 0 ? "" : ", ") + names[i];
  if (names.size() > most) text += " and " + std::to_string(names.size() - most) + " more";
  return text;
}

std::string models_of(const Provider& provider) {
  if (provider.models.empty()) return "those in the catalog for " + provider.family;
  if (std::find(provider.models.begin(), provider.models.end(), "*") != provider.models.end()) {
    return "any";
  }
  return joined(provider.models, 8);
}

// The host and port that a credential is bound to.
std::string binding(const Provider& provider) {
  const auto url = parse_base_url(provider.base_url);
  return url ? url->host + ':' + std::to_string(url->port) : "the plugin's own address";
}

std::string credentials_of(const Provider& provider) {
  if (provider.credentials.empty()) return "none sent";
  std::vector<std::string> names;
  for (const Credential& each : provider.credentials) names.push_back(each.name);
  return std::to_string(names.size()) + " (" + joined(names, 8) + "), sent to " +
         binding(provider) + " only";
}

std::string limits_of(const Provider& provider) {
  std::vector<std::string> all;
  const auto add = [&all](const std::string& of, const UpstreamLimits& limits) {
    const std::string text = describe(limits);
    if (!text.empty()) all.push_back(of + ": " + text);
  };
  add("all calls", provider.limits);
  for (const Credential& each : provider.credentials) add("credential " + each.name, each.limits);
  for (const auto& [model, limits] : provider.model_limits) {
    add(model == "*" ? "each other model" : "model " + model, limits);
  }
  std::string text;
  for (const std::string& each : all) text += (text.empty() ? "" : "; ") + each;
  return text;
}

void add_line(std::string& text, std::string_view name, std::string_view value) {
  constexpr std::size_t kWidth = 12;
  const std::size_t indent = name.starts_with("  ") ? 2 : 0;
  const std::size_t written = name.size() - indent;
  text += "  ";
  text += name;
  text.append(written < kWidth ? kWidth - written : 1, ' ');
  text += value;
  text += '\n';
}

// Where a destination is, and what goes along.
std::string place(const Destination& destination) {
  std::string text = destination.url;
  if (!destination.credential_header.empty()) {
    text += ", credential in " + destination.credential_header;
  }
  if (!destination.proxy.empty()) text += ", proxy " + destination.proxy;
  return text;
}

std::string kind(const Provider& provider) {
  if (provider.plugin == provider.family) return "plugin " + provider.plugin;
  return "plugin " + provider.plugin + ", dialect " + provider.family;
}

std::string counted(std::size_t count, const char* one) {
  return std::to_string(count) + ' ' + one + (count == 1 ? "" : "s");
}

std::string target(const Candidate& candidate) {
  std::string facts;
  const auto add = [&facts](const std::string& fact) {
    facts += (facts.empty() ? "" : ", ") + fact;
  };
  if (candidate.weight != 1) add("weight " + std::to_string(candidate.weight));
  if (candidate.priority != 0) add("priority " + std::to_string(candidate.priority));
  if (!candidate.region.empty()) add("region " + candidate.region);
  for (const auto& [name, value] : candidate.tags) add(name + " " + value);
  const std::string text = candidate.provider + '/' + candidate.model;
  return facts.empty() ? text : text + " (" + facts + ")";
}

std::string chosen_by(const Model& model) {
  std::string text;
  for (const Strategy& strategy : model.strategies) {
    text += (text.empty() ? ", by " : ", then ") + strategy.plugin;
    if (strategy.config_json != "{}") text += ' ' + strategy.config_json;
  }
  return text;
}

std::string after(const AttemptPolicy& attempts) {
  const AttemptPolicy usual;
  std::string text = std::to_string(attempts.attempts_max) + " at most";
  const auto add = [&text](const char* what, std::chrono::milliseconds limit) {
    if (limit.count() > 0) text += std::string(", ") + what + std::to_string(limit.count()) + " ms";
  };
  add("first byte in ", attempts.first_byte);
  add("first token in ", attempts.first_token);
  add("whole in ", attempts.total);
  if (attempts.hedge.percent > 0) {
    text += ", hedged for " + std::to_string(attempts.hedge.percent) + " % of the cost";
  }
  if (attempts.continues) text += ", cut streams continued";
  const bool same =
      attempts.attempts_max == usual.attempts_max && text.find(',') == std::string::npos;
  return same ? std::string() : text;
}

void add_feature(std::string& text, const Feature& feature) {
  std::vector<std::string> targets;
  for (const Candidate& candidate : feature.candidates) targets.push_back(target(candidate));
  add_line(text, feature.name, "-> " + joined(targets, kCandidatesMax) + chosen_by(feature));
  for (const Fallback& fallback : feature.fallback) {
    targets.clear();
    for (const Candidate& candidate : fallback.to) targets.push_back(target(candidate));
    add_line(text, "  on", fault_names(fallback.on) + " -> " + joined(targets, kCandidatesMax));
  }
  if (!feature.require.empty()) add_line(text, "  require", joined(feature.require, 8));
  if (!feature.regions.empty()) add_line(text, "  regions", joined(feature.regions, 8));
  if (feature.limits.any()) {
    add_line(text, "  limits", to_words(feature.limits));
  }
  if (const std::string attempts = after(feature.attempts); !attempts.empty()) {
    add_line(text, "  attempts", attempts);
  }
  if (feature.priority != Priority::kNormal) {
    add_line(text, "  priority", std::string(to_text(feature.priority)));
  }
}

// What the key is bound to.
std::string bounds_of(const Key& key) {
  std::string text = key.models.empty() ? "any model" : joined(key.models, 8);
  if (!key.features.empty()) text += ", features " + joined(key.features, 8);
  if (!key.default_feature.empty()) text += ", else feature " + key.default_feature;
  if (!key.reach.providers.empty()) text += ", at " + joined(key.reach.providers, 8);
  if (!key.reach.providers_denied.empty()) {
    text += ", not at " + joined(key.reach.providers_denied, 8);
  }
  if (!key.reach.regions.empty()) text += ", in " + joined(key.reach.regions, 8);
  if (key.limits.any()) text += "; " + to_words(key.limits);
  if (key.priority != Priority::kNormal) text.append("; priority ") += to_text(key.priority);
  return text;
}

bool is_wide(const Listen& listen) { return !is_loopback(listen.address); }

std::string kept(const Records& records) {
  if (!records.enabled) return "not kept";
  return "kept for " + std::to_string(records.keep.count() / 24) + " days and up to " +
         std::to_string(records.size_max / 1'000'000) + " MB, their sums for " +
         std::to_string(records.usage_keep.count() / 24) + " days";
}

void warn_of_listeners(const Config& config, std::vector<std::string>& found) {
  for (const Listen& listen : config.listen) {
    if (!is_wide(listen)) continue;
    if (config.keys.empty()) {
      found.push_back(
          place(listen) +
          " is beyond loopback and no gateway key is configured; it is served only once "
          "`switchyard key create` has made one");
    }
    if (!listen.tls) {
      found.push_back(place(listen) +
                      " is beyond loopback without TLS: gateway keys cross the network in clear");
    }
  }
  if (is_wide(config.admin)) {
    found.push_back(place(config.admin) + " opens the admin API beyond loopback, without TLS");
  }
}

void warn_of_providers(const Config& config, std::vector<std::string>& found) {
  if (config.providers.empty()) found.push_back("there is no provider: every request is refused");
  for (const Provider& provider : config.providers) {
    const auto url = parse_base_url(provider.base_url);
    if (!url) continue;
    const bool local = is_loopback(url->host);
    if (!provider.credentials.empty() && !url->tls && !local) {
      found.push_back("provider " + provider.id + ": its credentials go to " + binding(provider) +
                      " in clear; https:// would protect them");
    }
    if (provider.credentials.empty() && url->tls && !local) {
      found.push_back("provider " + provider.id + ": nothing is sent to authenticate at " +
                      binding(provider));
    }
  }
}

void warn_of_destinations(const Config& config, std::vector<std::string>& found) {
  for (const Destination& destination : config.destinations) {
    const auto url = parse_base_url(destination.url);
    if (url && !url->tls && !is_loopback(url->host)) {
      found.push_back("destination " + destination.name + ": records " +
                      (destination.credential_header.empty() ? "" : "and its credential ") +
                      "go to " + url->host + ':' + std::to_string(url->port) +
                      " in clear; https:// would protect them");
    }
    const bool used =
        std::any_of(config.loggers.begin(), config.loggers.end(), [&](const Logger& logger) {
          const auto& names = logger.destinations;
          return std::find(names.begin(), names.end(), destination.name) != names.end();
        });
    const bool told = config.alerts.destination == destination.name;
    if (!used && !told) found.push_back("destination " + destination.name + ": no logger lists it");
  }
}

void warn_of_models(const Config& config, std::vector<std::string>& found) {
  for (const auto* models : {&config.models, &config.features}) {
    for (const Model& model : *models) {
      if (model.strategies.empty() || model.candidates.size() > 1) continue;
      found.push_back("alias " + model.name + ": its strategy has nothing to choose from");
    }
  }
}

}  // namespace

std::vector<std::string> warnings(const Config& config) {
  std::vector<std::string> found;
  warn_of_listeners(config, found);
  warn_of_providers(config, found);
  warn_of_destinations(config, found);
  warn_of_models(config, found);
  return found;
}

std::string describe(const Config& config) {
  std::string text = config.source.empty() ? "embedded default\n" : config.source.string() + '\n';
  for (const Listen& listen : config.listen) add_line(text, "listen", place(listen));
  add_line(text, "admin", place(config.admin));
  add_line(text, "state", config.state.string());
  add_line(text, "workers", config.workers == 0 ? "one per core" : std::to_string(config.workers));

  text += counted(config.providers.size(), "provider") + '\n';
  for (const Provider& provider : config.providers) {
    text += "  " + provider.id + " (" + kind(provider) + ")\n";
    if (!provider.base_url.empty()) add_line(text, "  at", provider.base_url);
    add_line(text, "  credentials", credentials_of(provider));
    add_line(text, "  models", models_of(provider));
    if (const std::string limits = limits_of(provider); !limits.empty()) {
      add_line(text, "  limits", limits);
    }
    if (provider.breaker != BreakerPolicy()) {
      add_line(text, "  breaker", describe(provider.breaker));
    }
    if (provider.probe.interval.count() > 0) {
      add_line(text, "  probes", describe(provider.probe));
    }
    if (!provider.headers.empty()) {
      add_line(text, "  headers", counted(provider.headers.size(), "field") + " added");
    }
    if (!provider.proxy.empty()) add_line(text, "  proxy", provider.proxy);
    if (provider.drain_on_disconnect) add_line(text, "  on leaving", "drain");
  }
  if (!config.models.empty()) {
    text += "aliases\n";
    for (const Model& model : config.models) add_feature(text, model);
  }
  if (!config.features.empty()) {
    text += "features\n";
    for (const Feature& feature : config.features) add_feature(text, feature);
  }
  text += counted(config.keys.size(), "gateway key") + " configured\n";
  for (const Key& key : config.keys) {
    add_line(text, key.name, bounds_of(key));
  }
  if (config.limits.default_key.any()) {
    add_line(text, "each key", to_words(config.limits.default_key) + " unless it says otherwise");
  }
  text += "records " + kept(config.records) + '\n';
  text += counted(config.loggers.size(), "logger") + '\n';
  for (const Logger& logger : config.loggers) {
    add_line(text, logger.plugin, logger.config_json);
    if (!logger.destinations.empty()) add_line(text, "  posts to", joined(logger.destinations, 8));
  }
  if (!config.destinations.empty()) text += "destinations\n";
  for (const Destination& each : config.destinations) add_line(text, each.name, place(each));
  return text;
}

}  // namespace switchyard::config
