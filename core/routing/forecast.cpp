#include "core/routing/forecast.hpp"

#include <algorithm>
#include <queue>

#include "core/base/json_scan.hpp"

namespace switchyard::routing {
namespace {

// Calls that a request makes at most.
constexpr std::size_t kCallsMax = 3;

// What was measured of a candidate, over all choices that show it: sums and how many they are of.
struct Usual {
  double ttft_us = 0, ttft_n = 0, latency_us = 0, latency_n = 0;

  double latency() const { return latency_n > 0 ? latency_us / latency_n : 0; }
};
using Usuals = std::map<std::uint64_t, Usual>;  // by swy_cand.id

void add_up(Usual& usual, const swy_cand& candidate) {
  usual.ttft_us += candidate.ttft_us;
  usual.ttft_n += candidate.ttft_us > 0 ? 1 : 0;
  usual.latency_us += candidate.latency_us;
  usual.latency_n += candidate.latency_us > 0 ? 1 : 0;
}

// The finaliser of splitmix64 (Steele, Lea, Flood 2014), over both words.
std::uint64_t mix(std::uint64_t a, std::uint64_t b) {
  std::uint64_t z = a + 0x9e3779b97f4a7c15u * (b + 1);
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
  return z ^ (z >> 31);
}

// A number from 0 to 1 that the seed and `salt` alone decide.
double chance(std::uint64_t seed, std::uint64_t salt) {
  return static_cast<double>(mix(seed, salt) >> 11) * 0x1p-53;
}

// What is on its way at each candidate while the requests come once more.
class Flights {
 public:
  void begin(std::uint64_t candidate, std::uint64_t ends_ns) { ends_[candidate].push(ends_ns); }
  // Those that have not ended by then. Time only goes forward.
  std::size_t at(std::uint64_t candidate, std::uint64_t now_ns) {
    auto& ends = ends_[candidate];
    while (!ends.empty() && ends.top() <= now_ns) ends.pop();
    return ends.size();
  }

 private:
  using Soonest = std::priority_queue<std::uint64_t, std::vector<std::uint64_t>, std::greater<>>;
  std::map<std::uint64_t, Soonest> ends_;
};

// What one side expects, while it is added up.
class Sums {
 public:
  explicit Sums(const Usuals& usuals) : usuals_(usuals) {}

  void add(const swy_rreq& request, std::span<const swy_cand> candidates,
           const std::vector<std::uint32_t>& order);
  // 0: not known.
  double latency_us(const swy_cand& candidate) const;
  Outlook take() &&;

 private:
  double ttft_us(const swy_cand& candidate) const;
  void add_served(const swy_rreq& request, const swy_cand& candidate, double weight);

  const Usuals& usuals_;
  Outlook outlook_;
  double ttft_n_ = 0;
  std::map<std::string, double> cost_;
};

double Sums::ttft_us(const swy_cand& candidate) const {
  if (candidate.ttft_us > 0) return candidate.ttft_us;
  const auto usual = usuals_.find(candidate.id);
  const bool known = usual != usuals_.end() && usual->second.ttft_n > 0;
  return known ? usual->second.ttft_us / usual->second.ttft_n : 0;
}

double Sums::latency_us(const swy_cand& candidate) const {
  if (candidate.latency_us > 0) return candidate.latency_us;
  const auto usual = usuals_.find(candidate.id);
  return usual != usuals_.end() ? usual->second.latency() : 0;
}

void Sums::add_served(const swy_rreq& request, const swy_cand& candidate, double weight) {
  outlook_
      .served[std::string(view(candidate.provider)) + '/' + std::string(view(candidate.model))] +=
      weight;
  if (const double us = ttft_us(candidate); us > 0) {
    outlook_.ttft_us += weight * us;
    ttft_n_ += weight;
  }
  if (const double us = latency_us(candidate); us > 0) {
    outlook_.latency_us += weight * us;
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
               const std::vector<std::uint32_t>& order) {
  outlook_.requests += 1;
  double reaches = 1;
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

void Replay::count(const std::string& kind, const Recorded& request) {
  requests_.push_back(request);
  requests_.back().kind = &*kinds_.insert(kind).first;
}

void Replay::add(const std::string& kind, Decision decision, std::uint64_t begun_ns) {
  plans_.push_back({begun_ns, &*kinds_.insert(kind).first, std::move(decision)});
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

// A kept plan.
struct Choice {
  std::uint64_t begun_ns;
  const Decision* decision;
  const std::string* kind;
  // In flight at each of its candidates by others than the recorded requests: by other aliases, by
  // requests for the target itself. Whatever these choose, it is there.
  std::vector<std::uint32_t> foreign;
};

// A recorded request, which goes by a plan that was made about then.
struct Asked {
  std::uint64_t begun_ns;
  const Choice* choice;
  std::uint64_t seed;  // each of those that share a plan has chances of its own
};

// What others had in flight when each choice was made. Both in the order of their times.
void note_foreign(std::span<const Recorded> requests, std::vector<Choice>& choices) {
  Flights flights;
  for (Choice& choice : choices) {
    while (!requests.empty() && requests.front().begun_ns < choice.begun_ns) {
      const Recorded& request = requests.front();
      flights.begin(request.served_by, request.begun_ns + request.duration_us * 1000);
      requests = requests.subspan(1);
    }
    for (const swy_cand& candidate : choice.decision->candidates()) {
      const std::size_t own = flights.at(candidate.id, choice.begun_ns);
      const std::size_t foreign =
          candidate.inflight - std::min<std::size_t>(candidate.inflight, own);
      choice.foreign.push_back(static_cast<std::uint32_t>(foreign));
    }
  }
}

// The requests and the plans of one kind are walked at one pace: each plan stands for equally many,
// of about its own time.
struct Pace {
  std::size_t requests = 0, walked = 0;
  std::vector<const Choice*> choices;
  std::size_t at = 0, share = 0;

  Asked next(std::uint64_t begun_ns) {
    const std::size_t now = walked++ * choices.size() / requests;
    share = now == at ? share + 1 : 1;
    at = now;
    const std::uint64_t seed = choices[at]->decision->request().seed;
    return {begun_ns, choices[at], share == 1 ? seed : mix(seed, share)};
  }
};

// A chance's salt; no strategy uses it.
constexpr std::uint64_t kFails = 1u << 20;

// Whoever of this order serves the request has it in flight for its usual time.
void take_off(const Sums& sums, const Asked& asked, std::span<const swy_cand> candidates,
              const std::vector<std::uint32_t>& order, Flights& flights) {
  if (asked.begun_ns == 0) return;
  double fails = chance(asked.seed, kFails);
  for (std::size_t i = 0; i < std::min(order.size(), kCallsMax); ++i) {
    const swy_cand& candidate = candidates[order[i]];
    const double part = candidate.err_ppm / 1e6;
    if (fails >= part) {
      const auto us = static_cast<std::uint64_t>(sums.latency_us(candidate));
      return flights.begin(candidate.id, asked.begun_ns + us * 1000);
    }
    fails /= part;  // again from 0 to 1
  }
}

Outlook as_recorded(const std::vector<Asked>& all, const Pipeline& pipeline, const Pricing& pricing,
                    const Usuals& usuals) {
  Sums sums(usuals);
  for (const Asked& asked : all) {
    const Decision& decision = *asked.choice->decision;
    const Priced priced = with_prices(decision, pipeline, pricing);
    sums.add(priced.request, priced.candidates, decision.order());
  }
  return std::move(sums).take();
}

Outlook made_again(const std::vector<Asked>& all, const Pipeline& pipeline, const Pricing& pricing,
                   const Usuals& usuals) {
  Sums sums(usuals);
  Flights flights;
  Hindsight hindsight;
  for (const auto& [id, usual] : usuals) hindsight.seen.insert(id);
  for (const Asked& asked : all) {
    const auto candidates = asked.choice->decision->candidates();
    for (std::size_t i = 0; i < candidates.size(); ++i) {
      const std::size_t own = flights.at(candidates[i].id, asked.begun_ns);
      hindsight.inflight[candidates[i].id] =
          asked.choice->foreign[i] + static_cast<std::uint32_t>(own);
    }
    hindsight.seed = asked.seed;
    const Again made = pipeline.make_again(*asked.choice->decision, hindsight, pricing);
    sums.add(made.request, made.candidates, made.plan.order);
    take_off(sums, asked, made.candidates, made.plan.order, flights);
  }
  return std::move(sums).take();
}

}  // namespace

Forecast Replay::run(const Pipeline& pipeline, const Pricing& pricing) const {
  constexpr auto by_time = [](const auto& one, const auto& other) {
    return one.begun_ns < other.begun_ns;
  };
  std::vector<Recorded> requests = requests_;
  std::sort(requests.begin(), requests.end(), by_time);
  std::vector<Choice> choices;
  for (const Kept& kept : plans_) choices.push_back({kept.begun_ns, &kept.decision, kept.kind, {}});
  std::sort(choices.begin(), choices.end(), by_time);
  note_foreign(requests, choices);

  std::map<const std::string*, Pace> kinds;
  for (const Recorded& request : requests) ++kinds[request.kind].requests;
  for (const Choice& choice : choices) kinds[choice.kind].choices.push_back(&choice);
  Usuals usuals;
  std::vector<Asked> all;
  for (const Recorded& request : requests) {
    Pace& pace = kinds[request.kind];
    if (pace.choices.empty()) continue;
    all.push_back(pace.next(request.begun_ns));
    for (const swy_cand& candidate : all.back().choice->decision->candidates()) {
      add_up(usuals[candidate.id], candidate);
    }
  }
  return {as_recorded(all, pipeline, pricing, usuals), made_again(all, pipeline, pricing, usuals)};
}

}  // namespace switchyard::routing
