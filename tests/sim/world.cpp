#include "world.hpp"

#include <algorithm>
#include <cmath>
#include <stdexcept>

#include "core/base/json_scan.hpp"
#include "strategies/capability/choose.hpp"
#include "strategies/cost/choose.hpp"
#include "strategies/latency/choose.hpp"
#include "strategies/priority/choose.hpp"
#include "strategies/split/choose.hpp"
#include "strategies/sticky/choose.hpp"
#include "strategies/weighted/choose.hpp"

namespace switchyard::sim {
namespace {

constexpr char kAlias[] = "alias";
constexpr std::uint64_t kPromptTokens = 400;
constexpr double kSlower = 6;
constexpr std::uint64_t kLimitPerSecond = 5;
constexpr std::uint64_t kSessions = 3'000;
// One in so many calls takes so many times as long until its first token.
constexpr double kHiccups = 0.04, kHiccup = 10;

const swy_strategy* table_of(const std::string& name) {
  static const swy_kind kinds[] = {swy::strategy<priority::Strategy>("priority"),
                                   swy::strategy<weighted::Strategy>("weighted"),
                                   swy::strategy<latency::Strategy>("latency"),
                                   swy::strategy<cost::Strategy>("cost"),
                                   swy::strategy<capability::Strategy>("capability"),
                                   swy::strategy<sticky::Strategy>("sticky"),
                                   swy::strategy<split::Strategy>("split")};
  for (const swy_kind& kind : kinds) {
    if (name == kind.name) return static_cast<const swy_strategy*>(kind.vt);
  }
  throw std::runtime_error("no strategy is called " + name);
}

std::uint32_t us(double ms) { return static_cast<std::uint32_t>(ms * 1000); }

}  // namespace

std::uint64_t Random::bits() {
  std::uint64_t z = state_ += 0x9e3779b97f4a7c15u;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
  return z ^ (z >> 31);
}

double Random::unit() { return (static_cast<double>(bits() >> 11) + 0.5) * 0x1p-53; }

const char* to_string(Illness illness) {
  constexpr const char* kNames[] = {"none", "down", "slow", "flaky", "limited", "hiccups"};
  return kNames[static_cast<std::size_t>(illness)];
}

config::Strategy strategy(const std::string& name, const std::string& config_json) {
  return {name, config_json, ""};
}

// ---- what was seen ----

namespace {

template <class Count>
std::uint64_t sum(const std::vector<Seen::Second>& seconds, std::uint64_t from, std::uint64_t to,
                  Count count) {
  std::uint64_t all = 0;
  for (std::uint64_t i = from; i < std::min<std::uint64_t>(to, seconds.size()); ++i) {
    all += count(seconds[i]);
  }
  return all;
}

}  // namespace

std::uint64_t Seen::requests(std::uint64_t from, std::uint64_t to) const {
  return sum(seconds, from, to, [](const Second& each) { return each.requests; });
}

std::uint64_t Seen::failed(std::uint64_t from, std::uint64_t to) const {
  return sum(seconds, from, to, [](const Second& each) { return each.failed; });
}

std::uint64_t Seen::calls(std::size_t provider, std::uint64_t from, std::uint64_t to) const {
  return sum(seconds, from, to, [provider](const Second& each) { return each.calls[provider]; });
}

std::uint64_t Seen::calls(std::uint64_t from, std::uint64_t to) const {
  std::uint64_t all = 0;
  for (std::size_t i = 0; i < seconds[0].calls.size(); ++i) all += calls(i, from, to);
  return all;
}

std::uint64_t Seen::served(std::size_t provider) const {
  return sum(seconds, 0, seconds.size(),
             [provider](const Second& each) { return each.served[provider]; });
}

// ---- the world ----

// One client's request, from its arrival to its end.
struct World::Asked {
  std::uint64_t called_ns = 0, ends_ns = 0;
  std::string key;
  swy_rreq facts{};
  routing::Route route;
  std::unique_ptr<routing::Attempts> attempts;  // of `route`
  routing::Attempts::Step step;
  routing::Outcome outcome;
  // An attempt beside it.
  struct Beside {
    routing::Attempts::Step step;
    std::uint64_t called_ns = 0;
    routing::Outcome outcome;
  };
  std::optional<Beside> beside;
  std::optional<std::uint64_t> first_called_ns;
  std::optional<routing::Fault> last;
  std::uint64_t tokens = 0;  // that the answer will have
  std::size_t record = 0;    // its place, where plans are kept
};

bool World::Event::operator<(const Event& other) const {
  return at_ns != other.at_ns ? at_ns > other.at_ns : number > other.number;
}

World::World(Scenario scenario)
    : scenario_(std::move(scenario)),
      random_(scenario_.seed),
      now_ns_(kSecond),  // a monotonic clock is hardly ever at 0
      begun_(scenario_.providers.size()) {
  config::Model model;
  model.name = kAlias;
  model.strategies = scenario_.strategies;
  std::vector<catalog::ListedPrice> listed;
  for (const Provider& provider : scenario_.providers) {
    add_provider(provider);
    config::Candidate candidate{provider.id, "m"};
    candidate.weight = provider.weight;
    candidate.priority = provider.priority;
    candidate.tags = provider.tags;
    model.candidates.push_back(candidate);

    auto tariff = std::make_shared<catalog::Tariff>();
    catalog::Tariff::Period period;
    period.tiers.base.set(catalog::Meter::kInput, provider.input);
    period.tiers.base.set(catalog::Meter::kOutput, provider.output);
    tariff->periods.push_back(period);
    listed.push_back({provider.id, "m", tariff});
  }
  while (model.candidates[sick_candidate_].provider != scenario_.providers[scenario_.sick].id) {
    ++sick_candidate_;
  }
  config_.models.push_back(model);
  prices_.book =
      std::make_shared<catalog::PriceBook>(catalog_, listed, std::vector<catalog::ListedPrice>());
  prices_.fx = std::make_shared<catalog::FxTable>();

  routing::Strategies strategies;
  for (const config::Strategy& each : scenario_.strategies) {
    auto opened =
        plugin::StrategyInstance::from_table(table_of(each.plugin), each.plugin, each.config_json);
    if (!opened) throw std::runtime_error(opened.error().message);
    strategies.push_back(std::move(*opened));
  }
  routing::Pipelines pipelines;
  pipelines.emplace(kAlias, std::make_unique<routing::Pipeline>(
                                config_, model, catalog_, statistics_, std::move(strategies)));
  table_ = std::make_unique<routing::Table>(config_, catalog_, std::move(pipelines), &statistics_);
  Seen::Second empty;
  empty.calls.resize(scenario_.providers.size());
  empty.served.resize(scenario_.providers.size());
  seen_.seconds.assign(scenario_.end_ns / kSecond, empty);
}

World::~World() = default;

void World::add_provider(const Provider& provider) {
  config::Provider made;
  made.id = made.family = provider.id;
  made.base_url = "https://" + provider.id + ".example";
  made.models = {"m"};
  made.breaker.slow = std::chrono::milliseconds(800);
  config_.providers.push_back(made);
}

const routing::Pipeline& World::pipeline() const { return *table_->pipelines().at(kAlias); }

void World::put(std::uint64_t at_ns, Event::Kind kind, std::shared_ptr<Asked> asked) {
  events_.push({at_ns, events_made_++, kind, std::move(asked)});
}

Seen::Second& World::second() {
  const std::uint64_t at = (now_ns_ - kSecond) / kSecond;
  return seen_.seconds[std::min<std::uint64_t>(at, seen_.seconds.size() - 1)];
}

Seen World::run() {
  put(now_ns_, Event::Kind::kArrive, nullptr);
  while (!events_.empty()) {
    const Event event = events_.top();
    events_.pop();
    now_ns_ = event.at_ns;
    watch_breaker();
    if (event.kind == Event::Kind::kArrive) {
      arrive();
    } else if (event.kind == Event::Kind::kCall) {
      call(event.asked);
    } else if (event.kind == Event::Kind::kHedge) {
      hedge(event.asked);
    } else if (event.kind == Event::Kind::kFirstToken) {
      first_token(event.asked);
    } else if (now_ns_ == event.asked->ends_ns) {
      end(event.asked);
    }
  }
  return std::move(seen_);
}

// A request comes, and the next one is on its way: exponential gaps.
void World::arrive() {
  const double gap_s = -std::log(random_.unit()) / scenario_.requests_per_s;
  const std::uint64_t next_ns = now_ns_ + static_cast<std::uint64_t>(gap_s * double(kSecond));
  if (next_ns < kSecond + scenario_.end_ns) put(next_ns, Event::Kind::kArrive, nullptr);

  auto asked = std::make_shared<Asked>();
  const std::uint64_t session = random_.bits() % kSessions + 1;
  asked->key = "key_" + std::to_string(session);
  asked->tokens = 20 + random_.bits() % 40;
  swy_rreq& facts = asked->facts;
  facts.size = sizeof facts;
  facts.flags = SWY_RREQ_STREAM;
  facts.task = to_swy("chat");
  facts.model = to_swy(kAlias);
  facts.key_id = to_swy(asked->key);
  facts.tok_in_est = kPromptTokens;
  facts.tok_out_est = 40;
  facts.now_ns = now_ns_;
  facts.seed = random_.bits();
  facts.affinity = session * 0x9e3779b97f4a7c15u;
  asked->route = table_->resolve(kAlias);
  asked->route.pipeline->plan(facts, asked->route, pricing());
  if (scenario_.keeps_plans) {
    asked->record = seen_.records.size();
    seen_.records.push_back({.begun_ns = now_ns_});
    const routing::Decided& decided = *asked->route.decided;
    seen_.plans.push_back(routing::decision_json(kAlias, asked->route.pipeline->strategies(),
                                                 decided.request, decided.candidates,
                                                 decided.plan));
  }
  ++second().requests;
  routing::Attempts::Policy policy;
  policy.tokens = kPromptTokens;
  asked->attempts = std::make_unique<routing::Attempts>(asked->route, policy, random_.bits());
  step(asked);
}

void World::step(const std::shared_ptr<Asked>& asked) {
  const auto step = asked->attempts->next(asked->last ? &*asked->last : nullptr, now_ns_);
  if (!step) {
    ++second().failed;
    return;
  }
  asked->step = *step;
  put(now_ns_ + step->delay_ns, Event::Kind::kCall, asked);
}

bool World::is_sick(std::size_t provider) const {
  const std::uint64_t at = now_ns_ - kSecond;
  return provider == scenario_.sick && at >= scenario_.sick_from_ns && at < scenario_.well_from_ns;
}

bool World::over_limit(std::size_t provider) {
  auto& begun = begun_[provider];
  while (!begun.empty() && begun.front() + kSecond <= now_ns_) begun.pop();
  if (begun.size() >= kLimitPerSecond) return true;
  begun.push(now_ns_);
  return false;
}

routing::Outcome World::outcome_of(std::size_t at, const Asked& asked) {
  const Provider& provider = scenario_.providers[at];
  const Illness illness = is_sick(at) ? scenario_.illness : Illness::kNone;
  routing::Outcome outcome;
  outcome.http = 200;
  outcome.tok_in = kPromptTokens;
  const bool fails =
      illness == Illness::kDown || (illness == Illness::kFlaky && random_.unit() < scenario_.flaky);
  if (fails) {
    outcome.cls = SWY_CLS_SERVER;
    outcome.http = 500;
    outcome.latency_us = us(30 + 40 * random_.unit());
    return outcome;
  }
  if (illness == Illness::kLimited && over_limit(at)) {
    outcome.cls = SWY_CLS_RATE_LIMIT;
    outcome.http = 429;
    outcome.retry_after_ms = 1'000;
    outcome.latency_us = us(10);
    return outcome;
  }
  const double slower = illness == Illness::kSlow ? kSlower : 1;
  double ttft_ms = provider.ttft_ms * (0.7 + 0.6 * random_.unit()) * slower;
  if (illness == Illness::kHiccups && random_.unit() < kHiccups) ttft_ms *= kHiccup;
  outcome.ttft_us = us(ttft_ms);
  outcome.latency_us = us(ttft_ms + provider.token_ms * static_cast<double>(asked.tokens) * slower);
  outcome.tok_out = asked.tokens;
  return outcome;
}

void World::call(const std::shared_ptr<Asked>& asked) {
  const std::size_t provider = asked->route.targets[asked->step.target].provider;
  ++second().calls[provider];
  if (provider == scenario_.sick) ++episode_calls_;
  asked->called_ns = now_ns_;
  asked->outcome = outcome_of(provider, *asked);
  asked->ends_ns = now_ns_ + std::uint64_t{asked->outcome.latency_us} * 1000;
  put(asked->ends_ns, Event::Kind::kEnd, asked);
  if (!asked->first_called_ns) asked->first_called_ns = now_ns_;
  if (scenario_.hedge_percent == 0 || asked->outcome.cls >= 0) return;
  const auto slow_ns = asked->attempts->slow_after_ns(now_ns_);
  if (slow_ns && *slow_ns < std::uint64_t{asked->outcome.ttft_us} * 1000) {
    put(now_ns_ + *slow_ns, Event::Kind::kHedge, asked);
  }
}

// A second attempt at the next candidate; what fails there leaves it to the first one.
void World::hedge(const std::shared_ptr<Asked>& asked) {
  const auto& targets = asked->route.targets;
  const auto price = [&](std::uint32_t target) {
    return scenario_.providers[targets[target].provider].input;
  };
  const auto cost = [&](std::uint32_t target) {
    return static_cast<std::uint32_t>(
        std::max<Nano>(100 * price(target) / price(asked->step.target), 100));
  };
  const auto step = asked->attempts->hedge(scenario_.hedge_percent, cost, now_ns_);
  if (!step) return;
  const std::size_t provider = targets[step->target].provider;
  ++second().calls[provider];
  const routing::Outcome outcome = outcome_of(provider, *asked);
  if (outcome.cls >= 0) return asked->attempts->hedge_done(outcome, now_ns_);
  asked->beside = Asked::Beside{*step, now_ns_, outcome};
  const std::uint64_t first_ns = asked->called_ns + std::uint64_t{asked->outcome.ttft_us} * 1000;
  const std::uint64_t beside_ns = now_ns_ + std::uint64_t{outcome.ttft_us} * 1000;
  put(std::min(first_ns, beside_ns), Event::Kind::kFirstToken, asked);
}

// Of one of two attempts; the other is given up.
void World::first_token(const std::shared_ptr<Asked>& asked) {
  const Asked::Beside beside = *asked->beside;
  const std::uint64_t first_ns = asked->called_ns + std::uint64_t{asked->outcome.ttft_us} * 1000;
  routing::Outcome given_up;
  given_up.left = true;
  std::size_t loser = asked->route.targets[beside.step.target].provider;
  if (now_ns_ == first_ns) {
    asked->attempts->hedge_done(given_up, now_ns_);
  } else {
    loser = asked->route.targets[asked->step.target].provider;
    given_up.outrun = true;
    given_up.ttft_us = static_cast<std::uint32_t>((now_ns_ - asked->called_ns) / 1000);
    asked->attempts->hedge_stands(given_up, now_ns_);
    asked->step = beside.step;
    asked->called_ns = beside.called_ns;
    asked->outcome = beside.outcome;
    asked->ends_ns = beside.called_ns + std::uint64_t{beside.outcome.latency_us} * 1000;
    put(asked->ends_ns, Event::Kind::kEnd, asked);
  }
  seen_.outrun_nano +=
      scenario_.providers[loser].input * static_cast<Nano>(kPromptTokens) / 1'000'000;
}

void World::end(const std::shared_ptr<Asked>& asked) {
  const routing::Outcome& outcome = asked->outcome;
  const routing::Target& target = asked->route.targets[asked->step.target];
  asked->attempts->done(outcome, now_ns_);
  swy_outcome told{};
  told.size = sizeof told;
  told.cls = outcome.cls;
  told.http = outcome.http;
  told.ttft_us = outcome.ttft_us;
  told.latency_us = outcome.latency_us;
  told.tok_in = outcome.tok_in;
  told.tok_out = outcome.tok_out;
  pipeline().observe(target, told, pricing());
  if (outcome.cls >= 0) {
    asked->last = routing::Fault{outcome.cls, outcome.retry_after_ms, false};
    step(asked);
    return;
  }
  const Provider& provider = scenario_.providers[target.provider];
  ++second().served[target.provider];
  if (scenario_.keeps_plans) {
    routing::Recorded& record = seen_.records[asked->record];
    record.duration_us = (now_ns_ - record.begun_ns) / 1000;
    record.served_by = routing::candidate_id(provider.id, "m");
  }
  seen_.ttft_us += outcome.ttft_us;
  seen_.first_us.push_back(
      static_cast<std::uint32_t>((asked->called_ns - *asked->first_called_ns) / 1000) +
      outcome.ttft_us);
  seen_.latency_us += outcome.latency_us;
  seen_.cost_nano += (provider.input * static_cast<Nano>(outcome.tok_in) +
                      provider.output * static_cast<Nano>(outcome.tok_out)) /
                     1'000'000;
}

// What is half open for longer than its probes lets a share of the calls through: if it opens from
// there, or from closed once it had been open, that is a flap.
void World::watch_breaker() {
  const routing::Live& live = *pipeline().live(sick_candidate_);
  const auto state = static_cast<std::uint32_t>(live.lane(0).breaker.state(now_ns_));
  if (state == state_) return;
  const auto is = [](std::uint32_t what, routing::Breaker::State state) {
    return what == static_cast<std::uint32_t>(state);
  };
  using State = routing::Breaker::State;
  if (is(state, State::kHalfOpen)) episode_calls_ = 0;
  if (is(state, State::kOpen)) {
    const bool was_closed = is(state_, State::kClosed) && ever_opened_;
    const bool had_a_share = is(state_, State::kHalfOpen) &&
                             episode_calls_ > config_.providers[scenario_.sick].breaker.probes;
    if (was_closed || had_a_share) ++seen_.flaps;
    ever_opened_ = true;
  }
  state_ = state;
}

}  // namespace switchyard::sim
