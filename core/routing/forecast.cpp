#include "core/routing/forecast.hpp"

#include <algorithm>
#include <set>

#include "core/base/json_scan.hpp"

namespace switchyard::routing {
namespace {

// Calls that a request makes at most.
constexpr std::size_t kCallsMax = 3;

// The mean of what was measured of a candidate over all choices that show it.
struct Usual {
  double ttft_us = 0, ttft_n = 0, latency_us = 0, latency_n = 0;
};
using Usuals = std::map<std::uint64_t, Usual>;  // by swy_cand.id

// What one side expects, while it is added up.
class Sums {
 public:
  explicit Sums(const Usuals& usuals) : usuals_(usuals) {}

  void add(const swy_rreq& request, std::span<const swy_cand> candidates,
           const std::vector<std::uint32_t>& order, double weight);
  Outlook take() &&;

 private:
  struct Measured {
    double ttft_us, latency_us;  // 0: not known
  };
  Measured measured(const swy_cand& candidate) const;
  void add_served(const swy_rreq& request, const swy_cand& candidate, double weight);

  const Usuals& usuals_;
  Outlook outlook_;
  double ttft_n_ = 0;
  std::map<std::string, double> cost_;
};

Sums::Measured Sums::measured(const swy_cand& candidate) const {
  Measured found{double(candidate.ttft_us), double(candidate.latency_us)};
  const auto usual = usuals_.find(candidate.id);
  if (usual == usuals_.end()) return found;
  if (found.ttft_us == 0 && usual->second.ttft_n > 0) {
    found.ttft_us = usual->second.ttft_us / usual->second.ttft_n;
  }
  if (found.latency_us == 0 && usual->second.latency_n > 0) {
    found.latency_us = usual->second.latency_us / usual->second.latency_n;
  }
  return found;
}

void Sums::add_served(const swy_rreq& request, const swy_cand& candidate, double weight) {
  outlook_
      .served[std::string(view(candidate.provider)) + '/' + std::string(view(candidate.model))] +=
      weight;
  const Measured times = measured(candidate);
  if (times.ttft_us > 0) {
    outlook_.ttft_us += weight * times.ttft_us;
    ttft_n_ += weight;
  }
  if (times.latency_us > 0) {
    outlook_.latency_us += weight * times.latency_us;
    outlook_.timed += weight;
  }
  if (candidate.est_cost_nano == INT64_MIN || request.currency.n == 0) {
    outlook_.unpriced += weight;
  } else {
    cost_[std::string(view(request.currency))] +=
        weight * static_cast<double>(candidate.est_cost_nano);
  }
}

void Sums::add(const swy_rreq& request, std::span<const swy_cand> candidates,
               const std::vector<std::uint32_t>& order, double weight) {
  outlook_.requests += weight;
  double reaches = weight;
  for (std::size_t i = 0; i < std::min(order.size(), kCallsMax); ++i) {
    const swy_cand& candidate = candidates[order[i]];
    const double fails = candidate.err_ppm / 1e6;
    outlook_.calls += reaches;
    if (fails < 1) add_served(request, candidate, reaches * (1 - fails));
    reaches *= fails;
  }
  outlook_.failed += reaches;
}

Outlook Sums::take() && {
  if (ttft_n_ > 0) outlook_.ttft_us /= ttft_n_;
  if (outlook_.timed > 0) outlook_.latency_us /= outlook_.timed;
  // An expectation, not a bill.
  for (const auto& [currency, nano] : cost_) outlook_.cost[currency] = static_cast<Nano>(nano);
  return std::move(outlook_);
}

}  // namespace

double Outlook::share(const std::string& target) const {
  const auto found = served.find(target);
  return found == served.end() || requests == 0 ? 0 : found->second / requests;
}

void Replay::add(const std::string& kind, Decision decision) {
  Kind& of = kinds_[kind];
  ++of.plans;
  plans_.push_back({&of, std::move(decision)});
}

Forecast Replay::run(const Pipeline& pipeline, const Pricing& pricing) const {
  Usuals usuals;
  for (const Kept& kept : plans_) {
    for (const swy_cand& candidate : kept.decision.candidates()) {
      Usual& usual = usuals[candidate.id];
      const double weight = double(kept.kind->requests) / double(kept.kind->plans);
      usual.ttft_us += weight * candidate.ttft_us;
      usual.ttft_n += candidate.ttft_us > 0 ? weight : 0;
      usual.latency_us += weight * candidate.latency_us;
      usual.latency_n += candidate.latency_us > 0 ? weight : 0;
    }
  }
  std::set<std::uint64_t> seen;
  for (const auto& [id, usual] : usuals) seen.insert(id);

  Sums before(usuals), after(usuals);
  for (const Kept& kept : plans_) {
    const Decision& decision = kept.decision;
    const double weight = double(kept.kind->requests) / double(kept.kind->plans);
    before.add(decision.request(), decision.candidates(), decision.order(), weight);
    const Again again = pipeline.make_again(decision, seen, pricing);
    after.add(again.request, again.candidates, again.plan.order, weight);
  }
  return {std::move(before).take(), std::move(after).take()};
}

}  // namespace switchyard::routing
