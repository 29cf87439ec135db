#include "core/exchange/choice.hpp"

#include <random>

#include "core/base/clock.hpp"
#include "core/exchange/quantities.hpp"
#include "core/exchange/usage.hpp"
#include "core/routing/decision.hpp"
#include "core/routing/pipeline.hpp"

namespace switchyard::exchange {
namespace {

// How long an answer is guessed to be where the request does not allow less: costs of candidates
// are compared for it.
constexpr std::uint64_t kAnswerTokens = 500;

// FNV-1a of what says which prompts belong together, the same in every process; never 0.
std::uint64_t affinity_of(const Request& request) {
  std::string_view text = text_member(request, "prompt_cache_key");
  if (text.empty()) text = text_member(request, "user");
  if (text.empty()) return 0;
  std::uint64_t hash = 0xcbf29ce484222325u;
  for (const char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3u;
  return hash != 0 ? hash : 1;
}

std::uint32_t to_us(std::uint64_t ns) {
  return static_cast<std::uint32_t>(std::min<std::uint64_t>(ns / 1000, UINT32_MAX));
}

}  // namespace

swy_rreq route_facts(const Request& request, std::uint64_t seed, std::uint64_t now_ns) {
  swy_rreq facts{};
  facts.size = sizeof facts;
  facts.flags = request.stream ? SWY_RREQ_STREAM : 0;
  facts.task = to_swy(request.task);
  facts.model = to_swy(request.route->name);
  facts.feature = to_swy(request.record->feature);
  facts.account = to_swy(request.record->account);
  facts.key_id = to_swy(request.record->key_id);
  facts.tok_in_est = estimate_tokens(request.body.size());
  facts.tok_out_max = tokens_max(request);
  if (makes_text(request.task)) {
    facts.tok_out_est =
        facts.tok_out_max > 0 ? std::min(facts.tok_out_max, kAnswerTokens) : kAnswerTokens;
  }
  facts.deadline_ns = request.deadline_ns;
  facts.now_ns = now_ns;
  facts.seed = seed;
  facts.affinity = affinity_of(request);
  return facts;
}

bool choose(const Request& request) {
  routing::Route& route = *request.route;
  if (route.pipeline == nullptr || route.targets.size() < 2) return false;
  thread_local std::mt19937_64 seeds{(std::uint64_t{std::random_device{}()} << 32) |
                                     std::random_device{}()};
  route.pipeline->plan(route_facts(request, seeds(), mono_ns()), route);
  return true;
}

namespace {

constexpr std::size_t kPlanBytesMax = 32 * 1024;

bool plan_is_kept(const config::Records& records, observe::FinalStatus end) {
  using observe::FinalStatus;
  if (!records.enabled) return false;
  if (end != FinalStatus::kOk && end != FinalStatus::kClientLeft) return true;
  if (records.plans_one_in == 0) return false;
  thread_local std::minstd_rand random{std::random_device{}()};
  return random() % records.plans_one_in == 0;
}

// Of a route that no strategy chose: its targets, in their order.
std::string plain_plan(const Snapshot& snapshot, const Request& request) {
  std::vector<swy_cand> candidates;
  routing::Plan plan;
  for (const routing::Target& target : request.route->targets) {
    swy_cand candidate{};
    candidate.size = sizeof candidate;
    candidate.est_cost_nano = INT64_MIN;
    candidate.provider = to_swy(snapshot.providers[target.provider].config->id);
    candidate.model = to_swy(target.model);
    plan.order.push_back(static_cast<std::uint32_t>(candidates.size()));
    candidates.push_back(candidate);
  }
  return routing::decision_json(request.route->name, {}, route_facts(request, 0, mono_ns()),
                                candidates, plan);
}

}  // namespace

void note_plan(const Snapshot& snapshot, const Request& request) {
  observe::Record& record = *request.record;
  if (!plan_is_kept(snapshot.config->records, record.final_status)) return;
  const routing::Route& route = *request.route;
  std::string plan =
      route.decided ? routing::decision_json(route.pipeline->alias(), route.pipeline->strategies(),
                                             route.decided->request, route.decided->candidates,
                                             route.decided->plan)
                    : plain_plan(snapshot, request);
  // Records wait in queues that count records, not bytes.
  if (plan.size() > kPlanBytesMax) return;
  record.plan = std::make_shared<const std::string>(std::move(plan));
}

routing::Outcome Observation::end(const Attempt& attempt, bool ok, bool left,
                                  std::uint64_t now_ns) const {
  const std::uint64_t first_ns = request_.record->first_ns;
  const observe::Usage usage = attempt.usage();
  routing::Outcome outcome;
  outcome.cls = ok ? -1 : attempt.fault().cls;
  outcome.http = ok ? 200 : attempt.fault().http;
  // A session lasts as long as its two sides like.
  if (request_.session == nullptr) outcome.latency_us = std::max(to_us(now_ns - begun_ns_), 1u);
  // A whole answer comes at once: its first token says no more than its last.
  if (request_.stream && first_ns > begun_ns_) outcome.ttft_us = to_us(first_ns - begun_ns_);
  outcome.tok_in = usage.tok_in;
  outcome.tok_out = usage.tok_out;
  outcome.retry_after_ms = ok ? 0 : attempt.fault().retry_after_ms;
  // Nor does it where nobody paid for more of the answer.
  outcome.left = left || (!ok && attempt.fault().unpaid);
  if (!chosen_ || outcome.left) return outcome;
  swy_outcome told{};
  told.size = sizeof told;
  told.cls = outcome.cls;
  told.http = outcome.http;
  told.latency_us = outcome.latency_us;
  told.ttft_us = outcome.ttft_us;
  told.tok_in = outcome.tok_in;
  told.tok_out = outcome.tok_out;
  request_.route->pipeline->observe(target_, told);
  return outcome;
}

}  // namespace switchyard::exchange
