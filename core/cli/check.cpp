#include <rapidjson/prettywriter.h>
#include <rapidjson/stringbuffer.h>

#include <algorithm>
#include <iostream>

#include "core/base/near.hpp"
#include "core/catalog/catalog.hpp"
#include "core/cli/arguments.hpp"
#include "core/cli/command.hpp"
#include "core/config/config.hpp"

namespace switchyard::cli {
namespace {

using Json = rapidjson::PrettyWriter<rapidjson::StringBuffer>;

constexpr char kUsage[] = "usage: switchyard check [--config FILE] [--json]\n";

void put_texts(Json& json, const char* name, const std::vector<std::string>& texts) {
  json.Key(name);
  json.StartArray();
  for (const std::string& text : texts) json.String(text);
  json.EndArray();
}

void put(Json& json, const char* name, const std::string& text) {
  json.Key(name);
  json.String(text);
}

void put_listen(Json& json, const config::Listen& listen) {
  json.StartObject();
  put(json, "address", listen.address);
  json.Key("port");
  json.Uint(listen.port);
  json.Key("tls");
  json.Bool(listen.tls.has_value());
  json.EndObject();
}

void put_provider(Json& json, const config::Provider& provider) {
  json.StartObject();
  put(json, "id", provider.id);
  put(json, "plugin", provider.plugin);
  put(json, "family", provider.family);
  put(json, "base_url", provider.base_url);
  std::vector<std::string> credentials;
  for (const config::Credential& each : provider.credentials) credentials.push_back(each.name);
  put_texts(json, "credentials", credentials);
  put_texts(json, "models", provider.models);
  json.EndObject();
}

void put_model(Json& json, const config::Model& model) {
  std::vector<std::string> targets;
  for (const config::Candidate& each : model.candidates) {
    targets.push_back(each.provider + '/' + each.model);
  }
  put_texts(json, model.name.c_str(), targets);
}

void put_config(Json& json, const config::Config& config) {
  put(json, "source", config.source.string());
  put(json, "state", config.state.string());
  json.Key("listen");
  json.StartArray();
  for (const config::Listen& listen : config.listen) put_listen(json, listen);
  json.EndArray();
  json.Key("admin");
  put_listen(json, config.admin);
  json.Key("providers");
  json.StartArray();
  for (const config::Provider& provider : config.providers) put_provider(json, provider);
  json.EndArray();
  json.Key("models");
  json.StartObject();
  for (const config::Model& model : config.models) put_model(json, model);
  json.EndObject();
  json.Key("features");
  json.StartObject();
  for (const config::Feature& feature : config.features) put_model(json, feature);
  json.EndObject();
  std::vector<std::string> keys, loggers;
  for (const config::Key& key : config.keys) keys.push_back(key.name);
  for (const config::Logger& logger : config.loggers) loggers.push_back(logger.plugin);
  put_texts(json, "keys", keys);
  put_texts(json, "loggers", loggers);
}

std::vector<std::string> models_of(const config::Provider& provider,
                                   const catalog::Catalog& catalog) {
  if (!provider.models.empty()) return provider.models;
  std::vector<std::string> names;
  for (const catalog::Model& model : catalog.models()) {
    if (model.provider == provider.family) names.push_back(model.name);
  }
  return names;
}

// An alias to a model that nobody has heard of is legal, for the catalog may be older than the
// model.
void warn_of_aliases(const config::Config& config, const catalog::Catalog& catalog,
                     std::vector<std::string>& warnings) {
  std::vector<const config::Feature*> named;
  for (const config::Model& each : config.models) named.push_back(&each);
  for (const config::Feature& each : config.features) named.push_back(&each);
  for (const config::Feature* const model : named) {
    std::vector<config::Candidate> candidates = model->candidates;
    for (const config::Fallback& each : model->fallback) {
      candidates.insert(candidates.end(), each.to.begin(), each.to.end());
    }
    for (const config::Candidate& candidate : candidates) {
      const auto provider =
          std::find_if(config.providers.begin(), config.providers.end(),
                       [&](const config::Provider& each) { return each.id == candidate.provider; });
      const std::vector<std::string> known = models_of(*provider, catalog);
      const auto lists = [&](const char* name) {
        return std::find(known.begin(), known.end(), name) != known.end();
      };
      if (lists("*") || lists(candidate.model.c_str())) continue;
      warnings.push_back("alias " + model->name + ": " + candidate.provider +
                         " is not known to serve \"" + candidate.model + '"' +
                         did_you_mean(candidate.model, known));
    }
  }
}

int tell_faults(const std::string& source, const config::Faults& faults, bool as_json,
                std::ostream& out, std::ostream& err) {
  if (!as_json) {
    for (const config::Fault& fault : faults) {
      err << source << ": " << fault.pointer << (fault.pointer.empty() ? "" : ": ") << fault.message
          << '\n';
    }
    return 1;
  }
  rapidjson::StringBuffer buffer;
  Json json(buffer);
  json.StartObject();
  json.Key("ok");
  json.Bool(false);
  json.Key("faults");
  json.StartArray();
  for (const config::Fault& fault : faults) {
    json.StartObject();
    put(json, "file", source);
    put(json, "pointer", fault.pointer);
    put(json, "message", fault.message);
    json.EndObject();
  }
  json.EndArray();
  json.EndObject();
  out << buffer.GetString() << '\n';
  return 1;
}

void tell_meaning(const config::Config& config, const std::vector<std::string>& warnings,
                  bool as_json, std::ostream& out) {
  if (!as_json) {
    out << config::describe(config);
    for (const std::string& warning : warnings) out << "warning: " << warning << '\n';
    return;
  }
  rapidjson::StringBuffer buffer;
  Json json(buffer);
  json.StartObject();
  json.Key("ok");
  json.Bool(true);
  put_config(json, config);
  put_texts(json, "warnings", warnings);
  json.EndObject();
  out << buffer.GetString() << '\n';
}

}  // namespace

int run_check(std::span<const std::string> args, std::ostream& out, std::ostream& err) {
  const auto parsed = parse_arguments(args, {"--config"}, {"--json", "--help"});
  if (!parsed || !parsed->words.empty()) {
    err << (parsed ? "check takes no further words" : parsed.error().message) << '\n' << kUsage;
    return 2;
  }
  if (parsed->has("--help")) {
    out << kUsage;
    return 0;
  }
  const bool as_json = parsed->has("--json");
  config::LoadOptions options;
  options.file = parsed->value("--config");
  options.data_directory = config::find_data_directory();
  const std::string source = options.file.empty() ? "the embedded default" : options.file.string();
  const auto loaded = config::load(options);
  if (!loaded) return tell_faults(source, loaded.error(), as_json, out, err);
  const auto catalog = catalog::Catalog::load(options.data_directory / "models");
  if (!catalog) return tell_faults(source, {{"", catalog.error().message}}, as_json, out, err);

  std::vector<std::string> warnings = config::warnings(**loaded);
  warn_of_aliases(**loaded, *catalog, warnings);
  tell_meaning(**loaded, warnings, as_json, out);
  return 0;
}

int run_check(std::span<const std::string> args) { return run_check(args, std::cout, std::cerr); }

}  // namespace switchyard::cli
