#include "core/exchange/choice.hpp"

#include <random>

#include "core/base/clock.hpp"
#include "core/exchange/affinity.hpp"
#include "core/exchange/quantities.hpp"
#include "core/exchange/usage.hpp"
#include "core/routing/decision.hpp"
#include "core/routing/pipeline.hpp"
#include "core/routing/shadow.hpp"

namespace switchyard::exchange {
namespace {

// How long an answer is guessed to be where the request does not allow less: costs of candidates
// are compared for it.
constexpr std::uint64_t kAnswerTokens = 500;

// Unknown where nobody is charged, for no prices are at hand then.
routing::Pricing pricing_of(const Request& request) {
  return {request.prices, request.record->start_unix_ns};
}

// What plugins and configurations wrote must not end the line, nor the head.
std::string printable(std::string_view text) {
  constexpr std::size_t kBytesMax = 4096;
  std::string line(text.substr(0, kBytesMax));
  for (char& c : line) {
    if (c < 0x20 || c > 0x7e) c = '?';
  }
  return line;
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
  facts.language = to_swy(request.route->language);
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
  const Affinity affinity = affinity_of(request);
  facts.affinity = affinity.hash;
  if (affinity.prefix) facts.flags |= SWY_RREQ_PREFIX;
  return facts;
}

bool choose(const Request& request) {
  routing::Route& route = *request.route;
  if (!routing::has_choice(route)) return false;
  thread_local std::mt19937_64 seeds{(std::uint64_t{std::random_device{}()} << 32) |
                                     std::random_device{}()};
  route.pipeline->plan(route_facts(request, seeds(), mono_ns()), route, pricing_of(request));
  if (request.shadow != nullptr) request.shadow->compare(route, request.record->id);
  return true;
}

std::string explanation(const Request& request, const Snapshot& snapshot,
                        const routing::Target& target) {
  const routing::Route& route = *request.route;
  std::string text = "took " + snapshot.providers[target.provider].config->id + '/' + target.model;
  if (!request.record->fallback_path.empty()) text += " after " + request.record->fallback_path;
  text +=
      "; " + (route.decided ? routing::decision_line(*route.decided, route.reason) : route.reason);
  return printable(text);
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

// Of a route that no strategy chose: its targets in their order, without what is only tried after
// some faults.
std::string plain_plan(const Snapshot& snapshot, const Request& request) {
  std::vector<swy_cand> candidates;
  routing::Plan plan;
  for (const routing::Target& target : request.route->targets) {
    if (target.on != routing::kOnAny) continue;
    const std::string& provider = snapshot.providers[target.provider].config->id;
    swy_cand candidate{};
    candidate.size = sizeof candidate;
    candidate.id = routing::candidate_id(provider, target.model);
    candidate.est_cost_nano = INT64_MIN;
    candidate.provider = to_swy(provider);
    candidate.model = to_swy(target.model);
    candidate.weight = 1;
    candidate.inflight_max = candidate.rpm_left = UINT32_MAX;
    candidate.tpm_left = UINT64_MAX;
    if (target.live != nullptr) target.live->read(candidate, mono_ns());
    plan.order.push_back(static_cast<std::uint32_t>(candidates.size()));
    candidates.push_back(candidate);
  }
  return routing::decision_json(request.route->name, {}, route_facts(request, 0, mono_ns()),
                                candidates, plan);
}

// What the host let no strategy see goes behind the decision's members.
void append_left_out(const Snapshot& snapshot, const routing::Route& route, std::string& plan) {
  if (route.left_out.empty()) return;
  plan.pop_back();
  plan += R"(,"left_out":[)";
  for (std::size_t i = 0; i < route.left_out.size(); ++i) {
    const routing::LeftOut& each = route.left_out[i];
    plan += i == 0 ? R"({"provider":)" : R"(,{"provider":)";
    append_json_string(plan, snapshot.providers[each.provider].config->id);
    plan += R"(,"model":)";
    append_json_string(plan, each.model);
    plan += R"(,"reason":)";
    append_json_string(plan, each.reason);
    plan += '}';
  }
  plan += "]}";
}

}  // namespace

std::string plan_json(const Snapshot& snapshot, const Request& request) {
  const routing::Route& route = *request.route;
  std::string plan =
      route.decided ? routing::decision_json(route.pipeline->alias(), route.pipeline->strategies(),
                                             route.decided->request, route.decided->candidates,
                                             route.decided->plan)
                    : plain_plan(snapshot, request);
  append_left_out(snapshot, route, plan);
  return plan;
}

void note_plan(const Snapshot& snapshot, const Request& request) {
  observe::Record& record = *request.record;
  const bool kept = request.explain && snapshot.config->records.enabled;
  if (!kept && !plan_is_kept(snapshot.config->records, record.final_status)) return;
  std::string plan = plan_json(snapshot, request);
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
  // Nor does it where nobody paid for more of the answer, or a session came to its bounds.
  outcome.left = left || (!ok && (attempt.fault().unpaid || attempt.fault().bounded));
  if (!chosen_ || outcome.left) return outcome;
  swy_outcome told{};
  told.size = sizeof told;
  told.cls = outcome.cls;
  told.http = outcome.http;
  told.latency_us = outcome.latency_us;
  told.ttft_us = outcome.ttft_us;
  told.tok_in = outcome.tok_in;
  told.tok_out = outcome.tok_out;
  const routing::Pipeline& pipeline = *request_.route->pipeline;
  pipeline.observe(target_, told, pricing_of(request_));
  if (request_.shadow != nullptr) {
    request_.shadow->observe(pipeline.alias(), target_, told, pricing_of(request_));
  }
  return outcome;
}

}  // namespace switchyard::exchange
