#include "core/routing/shadow.hpp"

#include <algorithm>

#include "core/base/json_scan.hpp"

namespace switchyard::routing {
namespace {

std::string name_of(const swy_cand& candidate) {
  return std::string(view(candidate.provider)) + "/" + std::string(view(candidate.model));
}

}  // namespace

Shadow::Shadow(Pipelines pipelines, const plugin::Library* candidate, std::uint64_t decisions_max,
               std::function<void()> enough, std::uint64_t (*clock)())
    : pipelines_(std::move(pipelines)),
      candidate_(candidate),
      decisions_max_(decisions_max),
      enough_(std::move(enough)),
      clock_(clock) {}

void Shadow::compare(const Route& route, std::string_view request_id) {
  if (ended_.load(std::memory_order_relaxed)) return;
  const auto pipeline = pipelines_.find(route.pipeline->alias());
  if (pipeline == pipelines_.end() || !begin_turn()) return;
  choose(*pipeline->second, route, request_id);
  busy_.clear(std::memory_order_release);
}

// True: this thread compares now, and nobody else does until it clears busy_.
bool Shadow::begin_turn() {
  if (busy_.test_and_set(std::memory_order_acquire)) return false;
  const bool over = ended_.load(std::memory_order_relaxed);
  if (!over && clock_() >= next_ns_) return true;
  busy_.clear(std::memory_order_release);
  return false;
}

void Shadow::choose(const Pipeline& pipeline, const Route& route, std::string_view request_id) {
  const Decided& decided = *route.decided;
  const std::uint64_t begun_ns = clock_();
  decide(pipeline.strategies(), decided.request, decided.candidates, plan_);
  const std::uint64_t ended_ns = clock_();
  const std::uint64_t took_ns = ended_ns - begun_ns;
  next_ns_ = ended_ns + (kShare - 1) * took_ns;
  count(pipeline, route, request_id, took_ns);
}

// A fault of a strategy beside the candidate is not the candidate's.
std::string Shadow::fault_of(const Pipeline& pipeline, std::uint64_t took_ns) const {
  const bool faulty =
      !plan_.fault.empty() && pipeline.strategies()[plan_.fault_by]->library() == candidate_;
  if (faulty) return plan_.fault;
  if (took_ns <= kDecisionNsMax) return {};
  return "a decision took " + std::to_string(took_ns / 1'000'000) + " ms, at most " +
         std::to_string(kDecisionNsMax / 1'000'000) + " ms are allowed";
}

void Shadow::count(const Pipeline& pipeline, const Route& route, std::string_view request_id,
                   std::uint64_t took_ns) {
  const Decided& decided = *route.decided;
  const std::size_t considered = decided.candidates.size();
  const std::uint32_t serving = decided.plan.order.front(), candidate = plan_.order.front();
  {
    const std::lock_guard lock(mutex_);
    findings_.ns += took_ns;
    findings_.ns_max = std::max(findings_.ns_max, took_ns);
    ++findings_.compared;
    if (serving == candidate) ++findings_.agreed;
    if (plan_.order == decided.plan.order) ++findings_.same_order;
    auto& differences = findings_.differences;
    if (serving != candidate && differences.size() < ShadowFindings::kDifferencesMax) {
      differences.push_back({std::string(request_id), pipeline.alias(),
                             name_of(decided.candidates[serving]), route.reason,
                             name_of(decided.candidates[candidate]),
                             pipeline.reason(plan_, considered)});
    }
    findings_.fault = fault_of(pipeline, took_ns);
    if (findings_.compared < decisions_max_ && findings_.fault.empty()) return;
  }
  // Whoever ends it from outside does not want to hear of it.
  if (!ended_.exchange(true)) enough_();
}

void Shadow::observe(const std::string& alias, const Target& target, const swy_outcome& outcome,
                     const Pricing& pricing) {
  if (ended_.load(std::memory_order_relaxed)) return;
  const auto pipeline = pipelines_.find(alias);
  if (pipeline != pipelines_.end()) pipeline->second->observe(target, outcome, pricing);
}

ShadowFindings Shadow::findings() const {
  const std::lock_guard lock(mutex_);
  return findings_;
}

}  // namespace switchyard::routing
