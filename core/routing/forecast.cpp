#include "core/routing/forecast.hpp"

#include <algorithm>

#include "core/base/json_scan.hpp"

namespace switchyard::routing {
namespace {

// Calls that a request makes at most.
constexpr std::size_t kCallsMax = 3;

// What was measured of a candidate, over all choices that show it: sums and their weights.
struct Usual {
  double ttft_us = 0, ttft_n = 0, latency_us = 0, latency_n = 0, inflight = 0, shown = 0;
  std::string name;  // "provider/model"

  double latency() const { return latency_n > 0 ? latency_us / latency_n : 0; }
};
using Usuals = std::map<std::uint64_t, Usual>;  // by swy_cand.id

std::string name_of(const swy_cand& candidate) {
  return std::string(view(candidate.provider)) + '/' + std::string(view(candidate.model));
}

void add_up(Usual& usual, const swy_cand& candidate, double weight) {
  usual.name = name_of(candidate);
  usual.ttft_us += weight * candidate.ttft_us;
  usual.ttft_n += candidate.ttft_us > 0 ? weight : 0;
  usual.latency_us += weight * candidate.latency_us;
  usual.latency_n += candidate.latency_us > 0 ? weight : 0;
  usual.inflight += weight * candidate.inflight;
  usual.shown += weight;
}

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
  if (found.latency_us == 0) found.latency_us = usual->second.latency();
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
  for (std::size_t i = 0; i < std::min(order.size(), kCallsMax) && reaches > 0; ++i) {
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

namespace {

// A recorded choice whose costs are known as far as the other side's are: where no strategy chose,
// nobody had asked for them.
struct Priced {
  swy_rreq request;
  std::vector<swy_cand> candidates;
};

Priced with_prices(const Decision& decision, const Pipeline& pipeline, const Pricing& pricing) {
  const auto& recorded = decision.candidates();
  Priced priced{decision.request(), {recorded.begin(), recorded.end()}};
  std::string_view currency = view(priced.request.currency);
  for (swy_cand& candidate : priced.candidates) {
    if (candidate.est_cost_nano != INT64_MIN) continue;
    candidate.est_cost_nano = pipeline.estimate(candidate.id, priced.request, pricing, currency);
  }
  priced.request.currency = to_swy(currency);
  return priced;
}

// How many more of each would be in flight (Little's law: rate times share times latency). What is
// in flight now says what the rate is.
std::map<std::uint64_t, double> more_inflight(const Usuals& usuals, const Outlook& before,
                                              const Outlook& after) {
  double inflight = 0, per_rate = 0;
  for (const auto& [id, usual] : usuals) {
    inflight += usual.shown > 0 ? usual.inflight / usual.shown : 0;
    per_rate += before.share(usual.name) * usual.latency();
  }
  std::map<std::uint64_t, double> more;
  if (per_rate <= 0) return more;
  for (const auto& [id, usual] : usuals) {
    const double shift = after.share(usual.name) - before.share(usual.name);
    more[id] = inflight / per_rate * usual.latency() * shift;
  }
  return more;
}

}  // namespace

Forecast Replay::run(const Pipeline& pipeline, const Pricing& pricing) const {
  // Load follows choices, and choices follow load: half of each step, until they agree.
  constexpr int kRounds = 6;
  Usuals usuals;
  Hindsight hindsight;
  for (const Kept& kept : plans_) {
    for (const swy_cand& candidate : kept.decision.candidates()) {
      add_up(usuals[candidate.id], candidate, kept.kind->weight());
      hindsight.seen.insert(candidate.id);
    }
  }
  const auto again = [&] {
    Sums sums(usuals);
    for (const Kept& kept : plans_) {
      const Again made = pipeline.make_again(kept.decision, hindsight, pricing);
      sums.add(made.request, made.candidates, made.plan.order, kept.kind->weight());
    }
    return std::move(sums).take();
  };
  Sums recorded(usuals);
  for (const Kept& kept : plans_) {
    const Priced priced = with_prices(kept.decision, pipeline, pricing);
    recorded.add(priced.request, priced.candidates, kept.decision.order(), kept.kind->weight());
  }
  Forecast forecast{std::move(recorded).take(), again()};
  for (int round = 0; round < kRounds; ++round) {
    for (const auto& [id, more] : more_inflight(usuals, forecast.before, forecast.after)) {
      double& now = hindsight.more_inflight[id];
      now += (more - now) / 2;
    }
    forecast.after = again();
  }
  return forecast;
}

}  // namespace switchyard::routing
