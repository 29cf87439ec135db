#include "core/routing/pipeline.hpp"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "core/base/clock.hpp"
#include "core/base/json_scan.hpp"
#include "core/catalog/price_list.hpp"
#include "core/observe/log.hpp"
#include "core/routing/decision.hpp"

namespace switchyard::routing {
namespace {

constexpr std::int64_t kUnknownCost = std::numeric_limits<std::int64_t>::min();

// Shows the next strategy what is left, and puts its answer where the candidates stand.
Result<void> ask(const plugin::StrategyInstance& strategy, std::uint32_t number,
                 const swy_rreq& request, std::span<const swy_cand> candidates, Plan& plan) {
  plan.left.clear();
  plan.left_index.clear();
  for (std::uint32_t i = 0; i < candidates.size(); ++i) {
    if (plan.excluded_by[i] != Plan::kNobody) continue;
    plan.left.push_back(candidates[i]);
    plan.left_index.push_back(i);
  }
  if (plan.left.empty()) return {};
  plan.answer.resize(plan.left.size());
  const auto scored = strategy.score(request, plan.left, plan.answer);
  if (!scored) return scored;
  for (std::size_t i = 0; i < plan.left.size(); ++i) {
    const std::uint32_t candidate = plan.left_index[i];
    plan.scores[number * candidates.size() + candidate] = plan.answer[i];
    if (plan.answer[i].score == SWY_SCORE_EXCLUDE) plan.excluded_by[candidate] = number;
  }
  return {};
}

// Marks what the host refuses; where that is everything, nobody is marked.
void refuse_by_host(const swy_rreq& request, std::span<const swy_cand> candidates, Plan& plan) {
  std::size_t refused = 0;
  for (std::size_t i = 0; i < candidates.size(); ++i) {
    if (host_refusal(request, candidates[i]).empty()) continue;
    plan.excluded_by[i] = Plan::kHost;
    ++refused;
  }
  if (refused == candidates.size()) plan.excluded_by.assign(refused, Plan::kNobody);
}

}  // namespace

// FNV-1a, the same everywhere: sessions stick across processes and restarts.
std::uint64_t candidate_id(std::string_view provider, std::string_view model) {
  std::uint64_t hash = 0xcbf29ce484222325u;
  const auto add = [&hash](std::string_view text) {
    for (const char c : text) {
      hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3u;
    }
  };
  add(provider);
  add("/");
  add(model);
  return hash;
}

std::string_view host_refusal(const swy_rreq& request, const swy_cand& candidate) {
  if (candidate.state == SWY_STATE_OPEN) return "its breaker is open";
  if (candidate.inflight >= candidate.inflight_max) return "as many in flight as it may have";
  if (candidate.rpm_left == 0) return "no request left in this minute";
  if (candidate.tpm_left < request.tok_in_est) return "too few tokens left in this minute";
  return {};
}

void decide(std::span<const plugin::StrategyInstance* const> strategies, const swy_rreq& request,
            std::span<const swy_cand> candidates, Plan& plan) {
  const std::size_t n = candidates.size();
  plan.fault.clear();
  plan.excluded_by.assign(n, Plan::kNobody);
  plan.scores.assign(strategies.size() * n, swy_score{});
  refuse_by_host(request, candidates, plan);
  std::size_t asked = 0;
  for (; asked < strategies.size() && plan.fault.empty(); ++asked) {
    const auto number = static_cast<std::uint32_t>(asked);
    const auto scored = ask(*strategies[asked], number, request, candidates, plan);
    if (scored) continue;
    plan.fault = scored.error().message;
    plan.fault_by = number;
  }

  plan.order.clear();
  for (std::uint32_t i = 0; i < n; ++i) {
    if (plan.excluded_by[i] == Plan::kNobody) plan.order.push_back(i);
  }
  if (plan.order.empty()) {
    for (std::uint32_t i = 0; i < n; ++i) plan.order.push_back(i);
    return;
  }
  if (!plan.fault.empty()) return;
  std::sort(plan.order.begin(), plan.order.end(), [&](std::uint32_t a, std::uint32_t b) {
    for (std::size_t s = 0; s < strategies.size(); ++s) {
      const std::int64_t score_a = plan.scores[s * n + a].score;
      const std::int64_t score_b = plan.scores[s * n + b].score;
      if (score_a != score_b) return score_a > score_b;
    }
    return a < b;
  });
}

// ---- candidates ----

std::int64_t Pipeline::Candidate::cost_nano(const Pricing& pricing, std::uint64_t tok_in,
                                            std::uint64_t tok_out,
                                            std::string_view& currency) const {
  if (pricing.prices == nullptr) return kUnknownCost;
  catalog::Quantities used{};
  catalog::at(used, catalog::Meter::kInput) = tok_in;
  catalog::at(used, catalog::Meter::kOutput) = tok_out;
  catalog::at(used, catalog::Meter::kCall) = 1;
  catalog::PriceContext context;
  context.unix_ns = pricing.unix_ns;
  context.prompt_tokens = tok_in;
  const auto rated = pricing.prices->book->rate({provider, family, model}, used, context);
  if (!rated) return kUnknownCost;
  if (currency.empty()) currency = rated->currency;
  if (currency == rated->currency) return rated->total;
  const auto exchanged = pricing.prices->fx->exchange(rated->total, rated->currency, currency);
  return exchanged ? exchanged->amount : kUnknownCost;
}

void Pipeline::Candidate::fill(swy_cand& out, const swy_rreq& request) const {
  out = {};
  out.size = sizeof out;
  out.state = SWY_STATE_CLOSED;
  out.id = id;
  out.provider = to_swy(provider);
  out.model = to_swy(model);
  out.region = to_swy(region);
  out.est_cost_nano = kUnknownCost;
  out.weight = weight;
  out.priority = priority;
  out.inflight_max = out.rpm_left = UINT32_MAX;
  out.tpm_left = UINT64_MAX;
  out.ctx_tokens = context_tokens;
  out.tag = tag_views.data();
  out.ntag = tag_views.size();
  if (live) live->read(out, request.now_ns);
}

Pipeline::Candidate Pipeline::make_candidate(const config::Config& config,
                                             const config::Candidate& from,
                                             const catalog::Catalog& catalog,
                                             Statistics& statistics) {
  Candidate candidate;
  candidate.provider = from.provider;
  candidate.model = from.model;
  candidate.region = from.region;
  candidate.tags.assign(from.tags.begin(), from.tags.end());
  candidate.id = candidate_id(from.provider, from.model);
  candidate.weight = from.weight;
  candidate.priority = from.priority;

  const auto provider = std::find_if(config.providers.begin(), config.providers.end(),
                                     [&](const auto& each) { return each.id == from.provider; });
  const catalog::Model* known = nullptr;
  if (provider != config.providers.end()) {
    candidate.family = provider->family;
    known = catalog.find(provider->family, from.model);
    candidate.live = statistics.live(*provider, from.model);
  }
  if (known != nullptr) candidate.context_tokens = known->context_tokens;
  return candidate;
}

// ---- the pipeline ----

Pipeline::Pipeline(const config::Config& config, const config::Model& model,
                   const catalog::Catalog& catalog, Statistics& statistics, Strategies strategies)
    : alias_(model.name), strategies_(std::move(strategies)) {
  candidates_.reserve(model.candidates.size());
  for (const config::Candidate& each : model.candidates) {
    candidates_.push_back(make_candidate(config, each, catalog, statistics));
  }
  // Views only now: a short text moves with its string.
  for (Candidate& candidate : candidates_) {
    for (const auto& [name, value] : candidate.tags) {
      candidate.tag_views.push_back({to_swy(name), to_swy(value)});
    }
  }
  for (const auto& strategy : strategies_) strategy_views_.push_back(strategy.get());
}

void Pipeline::plan(swy_rreq request, Route& route, const Pricing& pricing) const {
  thread_local std::vector<swy_cand> candidates;
  thread_local Plan plan;
  std::vector<Target>& targets = route.targets;
  // Behind these are those for certain faults, which stay where they are.
  const auto conditional = std::find_if(targets.begin(), targets.end(),
                                        [](const Target& each) { return each.on != kOnAny; });
  const auto considered = static_cast<std::size_t>(conditional - targets.begin());
  candidates.resize(considered);
  std::string_view currency;  // the first price decides it
  for (std::size_t i = 0; i < considered; ++i) {
    const Candidate& candidate = candidates_[targets[i].candidate];
    candidate.fill(candidates[i], request);
    candidates[i].est_cost_nano =
        candidate.cost_nano(pricing, request.tok_in_est, request.tok_out_est, currency);
  }
  request.currency = to_swy(currency);
  decide(strategy_views_, request, candidates, plan);
  if (!plan.fault.empty()) faults_.fetch_add(1, std::memory_order_relaxed);
  report(request, candidates, plan);

  auto decided = std::make_shared<Decided>(Decided{request, candidates, {}});
  decided->plan.order = plan.order;
  decided->plan.excluded_by = plan.excluded_by;
  decided->plan.scores = plan.scores;
  decided->plan.fault = plan.fault;
  route.decided = std::move(decided);
  route.reason = reason(plan, considered);
  // Who was refused by the host alone is a last resort, behind all others.
  for (std::uint32_t i = 0; i < considered; ++i) {
    const bool last = plan.excluded_by[i] == Plan::kHost;
    const bool there = std::find(plan.order.begin(), plan.order.end(), i) != plan.order.end();
    if (last && !there) plan.order.push_back(i);
  }
  // In place: what stands where the next one belongs goes where that one stood.
  for (std::uint32_t i = 0; i < plan.order.size(); ++i) {
    std::uint32_t from = plan.order[i];
    while (from < i) from = plan.order[from];
    if (from != i) std::swap(targets[i], targets[from]);
  }
  targets.erase(targets.begin() + static_cast<std::ptrdiff_t>(plan.order.size()),
                targets.begin() + static_cast<std::ptrdiff_t>(considered));
}

namespace {

// What was known of a candidate when the choice was made.
void take_measured(const swy_cand& from, swy_cand& to) {
  swy_cand taken = from;
  taken.provider = to.provider;
  taken.model = to.model;
  taken.region = to.region;
  taken.weight = to.weight;
  taken.priority = to.priority;
  taken.ctx_tokens = to.ctx_tokens != 0 ? to.ctx_tokens : from.ctx_tokens;
  taken.tag = to.tag;
  taken.ntag = to.ntag;
  to = taken;
}

}  // namespace

std::int64_t Pipeline::estimate(std::uint64_t id, const swy_rreq& request, const Pricing& pricing,
                                std::string_view& currency) const {
  const auto found = std::find_if(candidates_.begin(), candidates_.end(),
                                  [id](const Candidate& each) { return each.id == id; });
  if (found == candidates_.end()) return kUnknownCost;
  return found->cost_nano(pricing, request.tok_in_est, request.tok_out_est, currency);
}

Again Pipeline::make_again(const Decision& decision, const Hindsight& hindsight,
                           const Pricing& pricing) const {
  Again again{decision.request(), {}, {}};
  again.request.seed = hindsight.seed;
  const auto& recorded = decision.candidates();
  std::string_view currency = view(again.request.currency);
  for (const Candidate& candidate : candidates_) {
    const auto before = std::find_if(recorded.begin(), recorded.end(),
                                     [&](const swy_cand& each) { return each.id == candidate.id; });
    if (before == recorded.end() && hindsight.seen.contains(candidate.id)) continue;
    swy_cand& shown = again.candidates.emplace_back();
    candidate.fill(shown, again.request);
    if (before != recorded.end()) take_measured(*before, shown);
    const auto inflight = hindsight.inflight.find(candidate.id);
    if (inflight != hindsight.inflight.end()) shown.inflight = inflight->second;
    if (shown.est_cost_nano != kUnknownCost) continue;
    shown.est_cost_nano =
        candidate.cost_nano(pricing, again.request.tok_in_est, again.request.tok_out_est, currency);
  }
  again.request.currency = to_swy(currency);
  decide(strategy_views_, again.request, again.candidates, again.plan);
  return again;
}

// "alias fast: priority 0, cost 0.0012 USD (of 3)".
std::string Pipeline::reason(const Plan& plan, std::size_t considered) const {
  std::string text = "alias " + alias_ + ": ";
  const auto excluded =
      static_cast<std::size_t>(std::count_if(plan.excluded_by.begin(), plan.excluded_by.end(),
                                             [](std::uint32_t by) { return by != Plan::kNobody; }));
  if (!plan.fault.empty()) {
    text += "configuration order, for a strategy failed";
  } else if (excluded == considered) {
    text += "configuration order, for every candidate is excluded";
  } else {
    for (std::size_t s = 0; s < strategy_views_.size(); ++s) {
      const swy_score& score = plan.scores[s * considered + plan.order.front()];
      const std::string_view said(score.reason);
      if (s > 0) text += ", ";
      text += strategy_views_[s]->name() + ' ';
      text += said.empty() ? std::to_string(score.score) : std::string(said);
    }
  }
  text += " (of " + std::to_string(considered);
  if (excluded > 0 && excluded < considered) text += ", " + std::to_string(excluded) + " excluded";
  return text + ')';
}

void Pipeline::report(const swy_rreq& request, std::span<const swy_cand> candidates,
                      const Plan& plan) const {
  if (!plan.fault.empty()) {
    static observe::LogGate gate{std::chrono::seconds(1)};
    if (const auto held = gate.pass(mono_ns())) {
      spdlog::error("strategy_fault alias={} reason={} held_back={}", observe::quote(alias_),
                    observe::quote(plan.fault), *held);
    }
  }
  if (spdlog::should_log(spdlog::level::trace)) {
    spdlog::trace("route_decided {}",
                  decision_json(alias_, strategy_views_, request, candidates, plan));
  }
}

void Pipeline::observe(const Target& target, swy_outcome outcome, const Pricing& pricing) const {
  const Candidate& candidate = candidates_[target.candidate];
  outcome.cand = candidate.id;
  std::string_view currency;
  outcome.cost_nano = candidate.cost_nano(pricing, outcome.tok_in, outcome.tok_out, currency);
  for (const plugin::StrategyInstance* strategy : strategy_views_) strategy->observe(outcome);
}

void Pipeline::take_over(const Pipeline& predecessor) {
  faults_ += predecessor.faults();
  auto left = predecessor.strategy_views_;
  for (auto& strategy : strategies_) {
    // Where library and configuration are the same it is the same instance, and knows it all.
    const auto same = std::find(left.begin(), left.end(), strategy.get());
    if (same != left.end()) {
      left.erase(same);
      continue;
    }
    const auto before = std::find_if(left.begin(), left.end(), [&](const auto* each) {
      return each->name() == strategy->name();
    });
    if (before == left.end()) continue;
    const auto state = (*before)->save();
    left.erase(before);
    if (state && state->empty()) continue;
    const auto loaded = state ? strategy->load(*state) : Result<bool>(state.error());
    if (!loaded) {
      spdlog::warn("strategy_state_lost alias={} reason={}", observe::quote(alias_),
                   observe::quote(loaded.error().message));
    }
  }
}

namespace {

using plugin::StrategyInstance;
using Opened = Result<std::shared_ptr<StrategyInstance>, config::Faults>;
using OpenStrategy = std::function<Opened(const config::Strategy&, const std::string& owner)>;

// One that is open already where nothing that makes it has changed.
Opened open_strategy(plugin::Libraries& libraries, const config::Strategy& strategy,
                     const std::string& owner) {
  config::Faults faults;
  const auto open = [&](StrategyInstance*) -> Result<std::shared_ptr<StrategyInstance>> {
    auto opened = StrategyInstance::open(libraries, strategy.plugin, strategy.config_json, owner);
    if (opened) return std::shared_ptr<StrategyInstance>(std::move(*opened));
    faults = std::move(opened).error();
    return Error{faults.front().message};
  };
  auto shared = libraries.share<StrategyInstance>(
      {"strategy", strategy.plugin, owner + strategy.pointer, strategy.config_json},
      plugin::Keep::kWarm, open);
  if (!shared) return faults;
  return std::move(*shared);
}

std::vector<const config::Feature*> named_routes(const config::Config& config) {
  std::vector<const config::Feature*> named;
  for (const config::Model& each : config.models) named.push_back(&each);
  for (const config::Feature& each : config.features) named.push_back(&each);
  return named;
}

// Those that open; the rest adds to the faults, but for what is in quarantine.
Strategies open_strategies(const plugin::Libraries& libraries, const config::Feature& model,
                           const OpenStrategy& open, config::Faults& faults) {
  Strategies strategies;
  for (const config::Strategy& strategy : model.strategies) {
    auto opened = open(strategy, "alias " + model.name);
    if (opened) {
      strategies.push_back(std::move(*opened));
      continue;
    }
    if (!libraries.find("strategy", strategy.plugin).kind && libraries.has_quarantined()) {
      spdlog::error("strategy_unavailable alias={} reason=\"plugin {} is in quarantine\"",
                    observe::quote(model.name), strategy.plugin);
      continue;
    }
    for (const config::Fault& fault : opened.error()) {
      faults.push_back({strategy.pointer + fault.pointer, fault.message});
    }
  }
  return strategies;
}

}  // namespace

Result<Pipelines, config::Faults> open_pipelines(plugin::Libraries& libraries,
                                                 const config::Config& config,
                                                 const catalog::Catalog& catalog,
                                                 Statistics& statistics) {
  const OpenStrategy open = [&](const config::Strategy& strategy, const std::string& owner) {
    return open_strategy(libraries, strategy, owner);
  };
  Pipelines pipelines;
  config::Faults faults;
  for (const config::Feature* const model : named_routes(config)) {
    Strategies strategies = open_strategies(libraries, *model, open, faults);
    if (strategies.empty() || model->candidates.size() < 2) continue;
    pipelines.emplace(model->name, std::make_unique<Pipeline>(config, *model, catalog, statistics,
                                                              std::move(strategies)));
  }
  if (!faults.empty()) return faults;
  return pipelines;
}

Result<Pipelines, config::Faults> open_shadow_pipelines(plugin::Libraries& libraries,
                                                        const config::Config& config,
                                                        const catalog::Catalog& catalog,
                                                        Statistics& statistics,
                                                        const plugin::Library& candidate) {
  const auto is_candidates = [&](const config::Strategy& strategy) {
    return libraries.find("strategy", strategy.plugin).library.get() == &candidate;
  };
  // What serves beside the candidate is opened once more too: asked twice for one request, an
  // instance that serves could tell the next one otherwise than it would have.
  const OpenStrategy open = [&](const config::Strategy& strategy,
                                const std::string& owner) -> Opened {
    using Role = StrategyInstance::Role;
    auto opened =
        StrategyInstance::open(libraries, strategy.plugin, strategy.config_json, owner + ", shadow",
                               is_candidates(strategy) ? Role::kShadow : Role::kServing);
    if (!opened) return std::move(opened).error();
    return std::shared_ptr<StrategyInstance>(std::move(*opened));
  };
  Pipelines pipelines;
  config::Faults faults;
  for (const config::Feature* const model : named_routes(config)) {
    const auto& asked = model->strategies;
    if (model->candidates.size() < 2 || std::none_of(asked.begin(), asked.end(), is_candidates)) {
      continue;
    }
    Strategies strategies = open_strategies(libraries, *model, open, faults);
    pipelines.emplace(model->name, std::make_unique<Pipeline>(config, *model, catalog, statistics,
                                                              std::move(strategies)));
  }
  if (!faults.empty()) return faults;
  return pipelines;
}

void hand_over(const Pipelines& from, const Pipelines& to) {
  for (const auto& [alias, pipeline] : to) {
    const auto before = from.find(alias);
    if (before != from.end()) pipeline->take_over(*before->second);
  }
}

}  // namespace switchyard::routing
