#include "core/routing/live.hpp"

#include <spdlog/spdlog.h>
#include <switchyard/strategy.h>

#include <algorithm>

#include "core/observe/log.hpp"

namespace switchyard::routing {
namespace {

constexpr auto kRelaxed = std::memory_order_relaxed;
constexpr std::uint64_t kMsNs = 1'000'000, kSecondNs = 1000 * kMsNs;
// How long a pause is that an upstream did not name, and the longest that is kept.
constexpr std::uint64_t kRestNs = kSecondNs, kRestMaxNs = 600 * kSecondNs;
// How long a credential is left alone that the upstream refuses, or whose quota is spent.
constexpr std::uint64_t kRefusedNs = 600 * kSecondNs, kQuotaNs = 1800 * kSecondNs;

// FNV-1a, the same everywhere.
std::uint64_t id_of(std::string_view provider, std::string_view credential,
                    std::string_view model) {
  std::uint64_t hash = 0xcbf29ce484222325u;
  for (const std::string_view text : {provider, credential, model}) {
    for (const char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3u;
    hash = (hash ^ '\n') * 0x100000001b3u;
  }
  return hash;
}

std::uint64_t rest_ns(std::uint32_t retry_after_ms) {
  return retry_after_ms == 0 ? kRestNs : std::min(retry_after_ms * kMsNs, kRestMaxNs);
}

template <class Number>
Number add_up(Number sum, Number more) {
  constexpr Number kMost = std::numeric_limits<Number>::max();
  return more > kMost - sum ? kMost : sum + more;
}

std::uint32_t room(const Gate& gate) {
  const std::uint32_t most = gate.inflight_max(), running = gate.inflight();
  if (most == UINT32_MAX) return most;
  return running < most ? most - running : 0;
}

}  // namespace

const char* state_name(Breaker::State state) {
  switch (state) {
    case Breaker::State::kOpen:
      return "open";
    case Breaker::State::kHalfOpen:
      return "half_open";
    default:
      return "closed";
  }
}

const char* barred_name(Lane::Barred barred) {
  switch (barred) {
    case Lane::Barred::kOpen:
      return "breaker_open";
    case Lane::Barred::kForced:
      return "forced_open";
    case Lane::Barred::kLimit:
    case Lane::Barred::kTight:
      return "at_limit";
    case Lane::Barred::kResting:
      return "resting";
    case Lane::Barred::kRefused:
      return "credential_refused";
    default:
      return "ready";
  }
}

// ---- access ----

bool Access::refuse(std::int32_t cls, std::uint64_t until_ns, std::uint64_t now_ns) {
  cls_.store(cls, kRelaxed);
  const std::uint64_t before = until_ns_.exchange(until_ns, kRelaxed);
  return before <= now_ns;
}

bool Access::accept() {
  if (until_ns_.load(kRelaxed) == 0) return false;
  return until_ns_.exchange(0, kRelaxed) != 0;
}

// ---- lanes ----

bool Lane::Probed::begin(std::uint64_t now_ns, std::uint64_t interval_ns) {
  std::uint64_t begun = begun_ns_.load(kRelaxed);
  if (begun != 0 && now_ns < begun + interval_ns) return false;
  return begun_ns_.compare_exchange_strong(begun, now_ns, kRelaxed);
}

void Lane::Probed::end(bool ok, std::uint64_t now_unix_s) {
  ok_.store(ok, kRelaxed);
  at_unix_s_.store(now_unix_s, kRelaxed);
}

Lane::Lane(const Live& live, std::shared_ptr<Access> access, const config::UpstreamLimits& limits,
           const config::BreakerPolicy& policy)
    : breaker(policy),
      gate(limits),
      live_(live),
      access_(std::move(access)),
      id_(id_of(live.provider(), access_->name(), live.model())) {}

Lane::Barred Lane::barred(std::uint64_t tokens, std::uint64_t now_ns) const {
  if (breaker.forced() == Breaker::Force::kOpen) return Barred::kForced;
  if (access_->rests(now_ns)) return Barred::kRefused;
  if (now_ns < rests_until_ns()) return Barred::kResting;
  if (gate.tight(tokens, now_ns)) return Barred::kTight;
  return breaker.state(now_ns) == Breaker::State::kOpen ? Barred::kOpen : Barred::kNot;
}

Lane::Barred Lane::begin(const Ask& ask, Call& call) {
  Breaker::Pass pass;
  if (ask.anyway) {
    pass = breaker.ask_anyway(ask.now_ns, ask.chance);
    if (!pass) return Barred::kForced;
  } else {
    const Barred why = barred(ask.tokens, ask.now_ns);
    if (why != Barred::kNot) return why;
    pass = breaker.ask(ask.now_ns, ask.chance);
    if (!pass) return Barred::kOpen;
  }
  if (pass.changed) log_change(ask.now_ns);
  if (!enter(ask.tokens, ask.now_ns)) {
    breaker.cancel(pass);
    return Barred::kLimit;
  }
  call = {this, pass, ask.tokens};
  return Barred::kNot;
}

bool Lane::enter(std::uint64_t tokens, std::uint64_t now_ns) {
  if (!gate.enter(tokens, now_ns)) return false;
  Gate& own = access_->gate;
  if (own.limited() && !own.enter(tokens, now_ns)) {
    gate.undo(tokens, now_ns);
    return false;
  }
  Gate& all = live_.shared().gate;
  if (all.limited() && !all.enter(tokens, now_ns)) {
    if (own.limited()) own.undo(tokens, now_ns);
    gate.undo(tokens, now_ns);
    return false;
  }
  return true;
}

void Lane::end(const Call& call, const Outcome& outcome, std::uint64_t now_ns) {
  // What failed used what it was thought to, or nobody knows.
  const std::uint64_t used = outcome.tok_in + outcome.tok_out;
  const std::int64_t more =
      used == 0 ? 0 : static_cast<std::int64_t>(used) - static_cast<std::int64_t>(call.tokens);
  for (Gate* each : {&gate, &access_->gate, &live_.shared().gate}) {
    if (each != &gate && !each->limited()) continue;
    each->leave();
    if (more != 0) each->correct(more, now_ns);
  }
  judge(call, outcome, now_ns);
}

void Lane::undo(const Call& call, std::uint64_t now_ns) {
  for (Gate* each : {&gate, &access_->gate, &live_.shared().gate}) {
    if (each == &gate || each->limited()) each->undo(call.tokens, now_ns);
  }
  breaker.cancel(call.pass);
}

void Lane::judge(const Call& call, const Outcome& outcome, std::uint64_t now_ns) {
  const bool ok = outcome.cls < 0;
  const bool missing = outcome.cls == SWY_CLS_NO_MODEL && live_.many();
  if (outcome.outrun) return judge_outrun(call, outcome, now_ns);
  if (outcome.left || missing || (!ok && !is_target_fault(outcome.cls))) {
    return breaker.cancel(call.pass);
  }
  swy_outcome told{};
  told.size = sizeof told;
  told.cls = outcome.cls;
  told.latency_us = outcome.latency_us;
  told.ttft_us = outcome.ttft_us;
  told.tok_out = outcome.tok_out;
  stats.add(told, now_ns);
  note_access(outcome, now_ns);
  if (outcome.cls == SWY_CLS_RATE_LIMIT || outcome.cls == SWY_CLS_AUTH ||
      outcome.cls == SWY_CLS_QUOTA) {
    return breaker.cancel(call.pass);  // the target is well, but takes nothing from us
  }
  Breaker::Result result;
  result.failed = !ok;
  result.took_us = outcome.ttft_us > 0 ? outcome.ttft_us : outcome.latency_us;
  result.retry_after_ms = outcome.retry_after_ms;
  if (breaker.end(call.pass, result, now_ns)) log_change(now_ns);
}

// Neither a success nor a failure, but at least as slow as it was when it was given up.
void Lane::judge_outrun(const Call& call, const Outcome& outcome, std::uint64_t now_ns) {
  stats.add_wait(outcome.ttft_us, now_ns);
  Breaker::Result result;
  result.took_us = outcome.ttft_us;
  if (!breaker.is_slow(result)) return breaker.cancel(call.pass);
  if (breaker.end(call.pass, result, now_ns)) log_change(now_ns);
}

// What the outcome says of how much the upstream takes, and of the credential.
void Lane::note_access(const Outcome& outcome, std::uint64_t now_ns) {
  bool refused = false;
  switch (outcome.cls) {
    case SWY_CLS_AUTH:
      // A 403 may be of the model alone.
      if (outcome.http == 403) {
        rest_until_ns_.store(now_ns + kRefusedNs, kRelaxed);
      } else {
        refused = access_->refuse(outcome.cls, now_ns + kRefusedNs, now_ns);
      }
      break;
    case SWY_CLS_QUOTA:
      refused = access_->refuse(outcome.cls, now_ns + kQuotaNs, now_ns);
      break;
    case SWY_CLS_RATE_LIMIT:
      gate.pressed(now_ns);
      rest_until_ns_.store(now_ns + rest_ns(outcome.retry_after_ms), kRelaxed);
      break;
    case SWY_CLS_OVERLOADED:
      gate.pressed(now_ns);
      if (outcome.retry_after_ms > 0) {
        rest_until_ns_.store(now_ns + rest_ns(outcome.retry_after_ms), kRelaxed);
      }
      break;
    case SWY_CLS_TIMEOUT:
      gate.pressed(now_ns);
      break;
    default:
      if (outcome.cls >= 0) break;
      gate.eased();
      if (rests_until_ns() > now_ns) rest_until_ns_.store(0, kRelaxed);
      if (access_->accept()) {
        spdlog::info("credential_accepted provider={} credential={}", access_->provider(),
                     observe::quote(access_->name()));
      }
  }
  if (!refused) return;
  spdlog::error(
      "credential_refused provider={} credential={} reason={} rests_s={} do=\"renew it, then "
      "reload\"",
      access_->provider(), observe::quote(access_->name()),
      outcome.cls == SWY_CLS_QUOTA ? "quota" : "auth",
      (access_->refused_until_ns() - now_ns) / kSecondNs);
}

void Lane::log_change(std::uint64_t now_ns) const {
  const Breaker::State state = breaker.state(now_ns);
  const auto level = state == Breaker::State::kOpen ? spdlog::level::warn : spdlog::level::info;
  spdlog::log(level, "breaker_{} provider={} model={} credential={} rests_ms={}", state_name(state),
              live_.provider(), observe::quote(live_.model()), observe::quote(access_->name()),
              breaker.rests_ns(now_ns) / kMsNs);
}

std::uint64_t Lane::eases_ns(std::uint64_t now_ns) const {
  std::uint64_t wait = 0;
  for (const Gate& each :
       {std::cref(gate), std::cref(access_->gate), std::cref(live_.shared().gate)}) {
    wait = std::max(wait, each.eases_ns(now_ns));
  }
  const std::uint64_t until = rests_until_ns();
  return std::max(wait, until > now_ns ? until - now_ns : 0);
}

// ---- targets ----

Live::Live(Parts parts) : parts_(std::move(parts)) {
  for (const auto& access : parts_.access) {
    lanes_.push_back(std::make_unique<Lane>(*this, access, parts_.limits, parts_.breaker));
  }
}

void Live::read(swy_cand& candidate, std::uint64_t now_ns) const {
  TargetStats::Sum sum;
  std::uint32_t inflight = 0, places = 0, requests = 0;
  std::uint64_t tokens = 0;
  auto best = Breaker::State::kOpen;
  for (const auto& lane : lanes_) {
    sum.add(lane->stats, now_ns);
    inflight += lane->gate.inflight();
    const Breaker::State state = lane->breaker.state(now_ns);
    if (state == Breaker::State::kOpen || lane->access().rests(now_ns)) continue;
    best = std::min(best, state);
    const Gate& own = lane->access().gate;
    places = add_up(places, std::min(room(lane->gate), room(own)));
    if (lane->rests_until_ns() > now_ns) continue;
    requests =
        add_up(requests, std::min(lane->gate.requests_left(now_ns), own.requests_left(now_ns)));
    tokens = add_up(tokens, std::min(lane->gate.tokens_left(now_ns), own.tokens_left(now_ns)));
  }
  sum.fill(candidate);
  const Gate& all = parts_.shared->gate;
  candidate.state = best == Breaker::State::kOpen       ? SWY_STATE_OPEN
                    : best == Breaker::State::kHalfOpen ? SWY_STATE_HALF_OPEN
                                                        : SWY_STATE_CLOSED;
  candidate.inflight = inflight;
  candidate.inflight_max = add_up(std::min(places, room(all)), inflight);
  candidate.rpm_left = std::min(requests, all.requests_left(now_ns));
  candidate.tpm_left = std::min(tokens, all.tokens_left(now_ns));
}

Unlisted::Unlisted(Live::Parts parts)
    : parts_(std::move(parts)), names_max_(std::min(kNamesMax, kLanesMax / parts_.access.size())) {
  Live::Parts others = parts_;
  others.model = "*";
  others.many = true;
  others_ = std::make_unique<Live>(std::move(others));
}

Unlisted::~Unlisted() {
  for (auto& slot : slots_) delete slot.load(kRelaxed);
}

Live* Unlisted::find(std::string_view model) {
  const std::size_t first = std::hash<std::string_view>{}(model);
  std::unique_ptr<Live> made;
  for (std::size_t step = 0; step < kSlots; ++step) {
    std::atomic<Live*>& slot = slots_[(first + step) % kSlots];
    Live* found = slot.load(std::memory_order_acquire);
    if (found == nullptr) {
      if (names_.load(kRelaxed) >= names_max_) return others_.get();
      if (!made) {
        Live::Parts parts = parts_;
        parts.model = model;
        made = std::make_unique<Live>(std::move(parts));
      }
      if (slot.compare_exchange_strong(found, made.get(), std::memory_order_acq_rel)) {
        names_.fetch_add(1, kRelaxed);
        return made.release();
      }
    }
    if (found->model() == model) return found;
  }
  return others_.get();
}

void Unlisted::each(const std::function<void(const Live&)>& call) const {
  for (const auto& slot : slots_) {
    if (const Live* live = slot.load(std::memory_order_acquire)) call(*live);
  }
  call(*others_);
}

// ---- the process's own ----

namespace {

std::string written(const config::UpstreamLimits& limits) {
  return std::to_string(limits.rpm) + ' ' + std::to_string(limits.tpm) + ' ' +
         std::to_string(limits.concurrency) + (limits.adaptive ? " adaptive" : "");
}

std::string written(const config::BreakerPolicy& policy) {
  std::string text = policy.enabled ? "on" : "off";
  for (const auto number : {policy.window.count(), policy.slow.count(), policy.cool_down.count(),
                            policy.cool_down_max.count(), policy.ramp.count(),
                            static_cast<std::chrono::milliseconds::rep>(policy.errors_percent),
                            static_cast<std::chrono::milliseconds::rep>(policy.calls_min),
                            static_cast<std::chrono::milliseconds::rep>(policy.slow_percent),
                            static_cast<std::chrono::milliseconds::rep>(policy.probes)}) {
    text += ' ' + std::to_string(number);
  }
  return text;
}

const config::UpstreamLimits& limits_of(const config::Provider& provider,
                                        const std::string& model) {
  static const config::UpstreamLimits kNone;
  auto found = provider.model_limits.find(model);
  if (found == provider.model_limits.end()) found = provider.model_limits.find("*");
  return found == provider.model_limits.end() ? kNone : found->second;
}

template <class Cell, class... Arguments>
std::shared_ptr<Cell> find_or_make(std::map<std::string, std::shared_ptr<Cell>>& cells,
                                   const std::string& key, Arguments&&... arguments) {
  auto& kept = cells[key];
  if (!kept) kept = std::make_shared<Cell>(std::forward<Arguments>(arguments)...);
  return kept;
}

// What was measured of another server, or with other keys, is nothing to go by.
std::string key_of(const Live::Parts& parts, const config::Provider& provider) {
  std::string key = provider.id + '\n' + provider.base_url + '\n' + written(parts.limits) + '\n' +
                    written(parts.breaker);
  for (const auto& access : parts.access) {
    key += '\n' + std::to_string(reinterpret_cast<std::uintptr_t>(access.get()));
  }
  return key + '\n' + std::to_string(reinterpret_cast<std::uintptr_t>(parts.shared.get()));
}

}  // namespace

Live::Parts Statistics::parts(const config::Provider& provider) {
  Live::Parts parts;
  parts.provider = provider.id;
  parts.breaker = provider.breaker;
  const std::string where = provider.id + '\n' + provider.base_url + '\n';
  parts.shared = find_or_make(shared_, where + written(provider.limits), provider.limits);
  for (const config::Credential& each : provider.credentials) {
    const std::size_t secret = std::hash<std::string_view>{}(each.key.reveal());
    const std::string key = where + each.name + '\n' + std::to_string(secret) + '\n' +
                            std::to_string(each.weight) + '\n' + written(each.limits);
    parts.access.push_back(
        find_or_make(access_, key, provider.id, each.name, each.weight, each.limits));
  }
  if (parts.access.empty()) {
    parts.access.push_back(
        find_or_make(access_, where, provider.id, std::string(), 1u, config::UpstreamLimits()));
  }
  return parts;
}

std::shared_ptr<Live> Statistics::live(const config::Provider& provider, const std::string& model) {
  Live::Parts made = parts(provider);
  made.model = model;
  made.limits = limits_of(provider, model);
  const std::string key = model + '\n' + key_of(made, provider);
  return find_or_make(lives_, key, std::move(made));
}

std::shared_ptr<Unlisted> Statistics::unlisted(const config::Provider& provider) {
  Live::Parts made = parts(provider);
  made.limits = limits_of(provider, "*");
  const std::string key = key_of(made, provider);
  return find_or_make(unlisted_, key, std::move(made));
}

void Statistics::drop_unused() {
  const auto unused = [](const auto& entry) { return entry.second.use_count() <= 1; };
  std::erase_if(lives_, unused);
  std::erase_if(unlisted_, unused);
  std::erase_if(access_, unused);
  std::erase_if(shared_, unused);
}

}  // namespace switchyard::routing
