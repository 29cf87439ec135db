#include "core/routing/table.hpp"

#include <algorithm>

#include "core/base/near.hpp"
#include "core/routing/live.hpp"
#include "core/routing/pipeline.hpp"

namespace switchyard::routing {
namespace {

std::vector<std::string> names_of(const config::Provider& provider,
                                  const catalog::Catalog& catalog) {
  if (!provider.models.empty()) return provider.models;
  std::vector<std::string> names;
  for (const catalog::Model& model : catalog.models()) {
    if (model.provider == provider.family) names.push_back(model.name);
  }
  return names;
}

}  // namespace

Table::Table(const config::Config& config, const catalog::Catalog& catalog)
    : Table(config, catalog, {}) {}

Table::Table(const config::Config& config, const catalog::Catalog& catalog, Pipelines pipelines,
             Statistics* statistics)
    : pipelines_(std::move(pipelines)) {
  for (std::size_t i = 0; i < config.providers.size(); ++i) {
    const config::Provider& provider = config.providers[i];
    providers_.push_back(
        {provider.id, provider.region, false, provider.models.empty(), nullptr, {}});
    provider_ids_.emplace(provider.id, i);
    add_models(i, provider, catalog);
  }
  add_all(config.models, config, catalog);
  add_all(config.features, config, catalog);
  if (statistics != nullptr) keep_live(config, *statistics);
  make_list();
}

Table::~Table() = default;

void Table::add_models(std::size_t index, const config::Provider& provider,
                       const catalog::Catalog& catalog) {
  for (const std::string& name : names_of(provider, catalog)) {
    if (name == "*") {
      providers_[index].any = true;
      any_.push_back(index);
    } else if (listed_target(name, index) == nullptr) {
      const catalog::Model* const known = catalog.find(provider.family, name);
      by_model_[name].push_back({index, name, 0, nullptr, kOnAny, known, provider.region});
    }
  }
}

Target Table::make_target(const config::Candidate& candidate, const config::Config& config,
                          const catalog::Catalog& catalog) const {
  const std::size_t provider = provider_ids_.find(candidate.provider)->second;
  Target target;
  target.provider = provider;
  target.model = candidate.model;
  target.known = catalog.find(config.providers[provider].family, candidate.model);
  target.region = candidate.region;
  return target;
}

void Table::add_all(const std::vector<config::Feature>& features, const config::Config& config,
                    const catalog::Catalog& catalog) {
  for (const config::Feature& feature : features) {
    Route route;
    route.name = feature.name;
    route.policy = &feature;
    route.reason = "alias " + feature.name;
    if (feature.name.starts_with(config::kFeaturePrefix) && &features == &config.features) {
      route.feature = feature.name.substr(config::kFeaturePrefix.size());
      route.reason = "feature " + route.feature;
    }
    for (const std::string& name : feature.require) {
      if (const auto capability = catalog::capability(name)) route.require.add(*capability);
    }
    const auto pipeline = pipelines_.find(feature.name);
    if (pipeline != pipelines_.end()) route.pipeline = pipeline->second.get();
    for (std::uint32_t i = 0; i < feature.candidates.size(); ++i) {
      if (!provider_ids_.contains(feature.candidates[i].provider)) continue;
      Target target = make_target(feature.candidates[i], config, catalog);
      target.candidate = i;
      route.targets.push_back(std::move(target));
    }
    for (const config::Fallback& fallback : feature.fallback) {
      for (const config::Candidate& candidate : fallback.to) {
        Target target = make_target(candidate, config, catalog);
        target.on = fallback.on;
        route.targets.push_back(std::move(target));
      }
    }
    aliases_.insert_or_assign(feature.name, std::move(route));
  }
}

// By whatever name a target is asked for, it is one.
void Table::keep_live(const config::Config& config, Statistics& statistics) {
  const auto keep = [&](Target& target) {
    lives_.push_back(statistics.live(config.providers[target.provider], target.model));
    target.live = lives_.back().get();
    providers_[target.provider].lives.emplace(target.model, target.live);
  };
  for (auto& [name, alias] : aliases_) {
    for (Target& target : alias.targets) keep(target);
  }
  for (auto& [name, targets] : by_model_) {
    for (Target& target : targets) keep(target);
  }
  std::sort(lives_.begin(), lives_.end());
  lives_.erase(std::unique(lives_.begin(), lives_.end()), lives_.end());
  for (std::size_t i = 0; i < providers_.size(); ++i) {
    if (!providers_[i].any && !providers_[i].open) continue;
    providers_[i].unlisted = statistics.unlisted(config.providers[i]);
  }
}

Target Table::unlisted_target(std::size_t provider, std::string_view model) const {
  const Provider& at = providers_[provider];
  const auto known = at.lives.find(model);
  Live* live = known == at.lives.end() ? nullptr : known->second;
  if (live == nullptr && at.unlisted) live = at.unlisted->find(model);
  return {provider, std::string(model), 0, live, kOnAny, nullptr, at.region};
}

void Table::each_live(const std::function<void(const Live&)>& call) const {
  for (const auto& live : lives_) call(*live);
  for (const Provider& provider : providers_) {
    if (provider.unlisted) provider.unlisted->each(call);
  }
}

void Table::make_list() {
  for (const auto& [name, route] : aliases_) {
    const bool one = route.targets.size() == 1;
    listed_.push_back({name, one ? providers_[route.targets[0].provider].id : "switchyard"});
  }
  for (const auto& [name, targets] : by_model_) {
    if (!aliases_.contains(name)) listed_.push_back({name, providers_[targets[0].provider].id});
  }
  std::sort(listed_.begin(), listed_.end(),
            [](const Listed& a, const Listed& b) { return a.name < b.name; });
}

const Target* Table::listed_target(std::string_view model, std::size_t provider) const {
  const auto targets = by_model_.find(model);
  if (targets == by_model_.end()) return nullptr;
  const auto found =
      std::find_if(targets->second.begin(), targets->second.end(),
                   [&](const Target& target) { return target.provider == provider; });
  return found == targets->second.end() ? nullptr : &*found;
}

Route Table::resolve(std::string_view name) const {
  if (const auto alias = aliases_.find(name); alias != aliases_.end()) return alias->second;

  Route route{std::string(name), {}, {}, nullptr};
  if (name.empty()) return route;
  const std::size_t slash = name.find('/');
  const auto named = slash == std::string_view::npos ? provider_ids_.end()
                                                     : provider_ids_.find(name.substr(0, slash));
  const std::string_view rest =
      named == provider_ids_.end() ? std::string_view() : name.substr(slash + 1);

  const Target* const own = rest.empty() ? nullptr : listed_target(rest, named->second);
  if (own != nullptr) {
    route.targets.push_back(*own);
    route.reason = "model " + std::string(rest) + " asked for at " + named->first;
  } else if (const auto listed = by_model_.find(name); listed != by_model_.end()) {
    route.targets = listed->second;
    route.reason = "model " + route.name + " at";
    for (std::size_t i = 0; i < route.targets.size(); ++i) {
      route.reason += (i == 0 ? " " : ", ") + providers_[route.targets[i].provider].id;
    }
  } else if (!rest.empty() && (providers_[named->second].any || providers_[named->second].open)) {
    route.targets.push_back(unlisted_target(named->second, rest));
    route.reason = "unlisted model " + std::string(rest) + " asked for at " + named->first;
  } else if (!any_.empty()) {
    for (const std::size_t provider : any_)
      route.targets.push_back(unlisted_target(provider, route.name));
    route.reason =
        "unlisted model " + route.name + " at " + providers_[any_[0]].id + ", which takes any name";
  }
  return route;
}

std::vector<std::string> Table::near(std::string_view name, std::size_t max) const {
  std::vector<std::string> known;
  known.reserve(listed_.size());
  for (const Listed& each : listed_) known.push_back(each.name);
  const std::size_t slash = name.find('/');
  const bool prefixed =
      slash != std::string_view::npos && provider_ids_.contains(name.substr(0, slash));
  if (!prefixed) return near_names(name, known, max);
  // The provider is right, so the slip is in the model's name.
  return near_names(name.substr(slash + 1), known, max);
}

}  // namespace switchyard::routing
