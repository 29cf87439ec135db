// How one of several targets is chosen: filter, score, pick, by the strategies of the
// configuration.
#pragma once

#include <atomic>
#include <map>
#include <memory>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "core/catalog/catalog.hpp"
#include "core/config/config.hpp"
#include "core/plugin/strategy.hpp"
#include "core/routing/live.hpp"
#include "core/routing/table.hpp"

namespace switchyard::catalog {
struct PricesInForce;
}

namespace switchyard::routing {

// What candidates' costs are reckoned by; without prices they are unknown.
struct Pricing {
  const catalog::PricesInForce* prices = nullptr;
  std::uint64_t unix_ns = 0;  // when the request came: prices have hours
};

// What strategies made of a request's candidates. Kept by its owner from one request to the next,
// so that it allocates nothing once it has grown.
struct Plan {
  std::vector<std::uint32_t> order;  // indexes of the candidates to try, best first
  std::vector<std::uint32_t>
      excluded_by;                // per candidate: a strategy's number, or one of those below
  std::vector<swy_score> scores;  // of strategy s for candidate i at [s * candidates + i]
  std::string fault;              // why the order is the configuration's; empty: it isn't
  std::uint32_t fault_by = 0;     // the number of the strategy whose fault it is

  static constexpr std::uint32_t kNobody = UINT32_MAX;
  static constexpr std::uint32_t kHost = UINT32_MAX - 1;  // host_refusal() says why

  // Room for what decide() hands to strategies.
  std::vector<swy_cand> left;
  std::vector<std::uint32_t> left_index;
  std::vector<swy_score> answer;
};

// One choice as it was made, for the record of its request. Its texts are views of the request and
// of the pipeline.
struct Decided {
  swy_rreq request;
  std::vector<swy_cand> candidates;
  Plan plan;
};

class Decision;

// What a recorded choice goes by when it is made again, beside what was recorded of it. Candidates
// are by swy_cand.id.
struct Hindsight {
  // Those that some choice shows: one that lacks such a candidate was not allowed it.
  std::set<std::uint64_t> seen;
  // What is in flight at each by the choices that were made again before.
  std::map<std::uint64_t, std::uint32_t> inflight;
  std::uint64_t seed = 0;  // of swy_rreq
};

// A recorded choice as another pipeline makes it. Its texts are views of both.
struct Again {
  swy_rreq request;
  std::vector<swy_cand> candidates;
  Plan plan;
};

// Of provider and model: swy_cand.id, the same in every process and configuration.
std::uint64_t candidate_id(std::string_view provider, std::string_view model);

using Strategies = std::vector<std::shared_ptr<plugin::StrategyInstance>>;

// Why the host keeps a candidate from the strategies of this request: its breaker is open, or a
// limit of it is reached. Empty where it doesn't.
std::string_view host_refusal(const swy_rreq& request, const swy_cand& candidate);

// The one rule of composition. What the host refuses is shown to no strategy, unless that is
// everything. Each strategy is shown what those before it left and may exclude.
// The order is that of the first one's scores, where they are equal of the second's, and so on, at
// last the candidates' own. A fault, or nobody left: the candidates' own order. What was excluded
// before a fault stays excluded, unless it is everything.
void decide(std::span<const plugin::StrategyInstance* const> strategies, const swy_rreq& request,
            std::span<const swy_cand> candidates, Plan& plan);

// The strategies of one alias, and all that they are shown which does not change.
class Pipeline {
 public:
  Pipeline(const config::Config& config, const config::Model& model,
           const catalog::Catalog& catalog, Statistics& statistics, Strategies strategies);

  // Puts route.targets in order, drops those that are excluded, and says why in route.reason and
  // what it went by in route.decided.
  // `request` lacks only the currency. The prices outlive route.decided. [loop]
  void plan(swy_rreq request, Route& route, const Pricing& pricing = {}) const;
  // Tells what came of an attempt to the strategies that chose it. [loop]
  void observe(const Target& target, swy_outcome outcome, const Pricing& pricing = {}) const;

  // Makes a recorded choice again, with this pipeline's candidates and strategies and what was
  // measured and asked then.
  Again make_again(const Decision& decision, const Hindsight& hindsight,
                   const Pricing& pricing) const;

  // What the request costs at a candidate, by its id; INT64_MIN where that is not known. `currency`
  // as of the first candidate that has a price, empty where none had yet.
  std::int64_t estimate(std::uint64_t id, const swy_rreq& request, const Pricing& pricing,
                        std::string_view& currency) const;

  // Why a plan of so many candidates came out as it did, in a few words.
  std::string reason(const Plan& plan, std::size_t considered) const;

  const std::string& alias() const { return alias_; }
  std::span<const plugin::StrategyInstance* const> strategies() const { return strategy_views_; }
  Live* live(std::uint32_t candidate) const { return candidates_[candidate].live.get(); }
  // Plans that a strategy's fault made the configuration's.
  std::uint64_t faults() const { return faults_.load(std::memory_order_relaxed); }

  // Takes over what the same strategies of a predecessor have learned. [control thread]
  void take_over(const Pipeline& predecessor);

 private:
  struct Candidate {
    std::string provider, family, model, region;
    std::vector<std::pair<std::string, std::string>> tags;
    std::vector<swy_kv> tag_views;
    std::uint64_t id = 0, context_tokens = 0;
    std::uint32_t weight = 1, priority = 0;
    std::shared_ptr<Live> live;  // null where the provider is not configured

    // In `currency`; an empty one becomes that of the price.
    std::int64_t cost_nano(const Pricing& pricing, std::uint64_t tok_in, std::uint64_t tok_out,
                           std::string_view& currency) const;
    void fill(swy_cand& out, const swy_rreq& request) const;
  };
  Candidate make_candidate(const config::Config& config, const config::Candidate& from,
                           const catalog::Catalog& catalog, Statistics& statistics);
  void report(const swy_rreq& request, std::span<const swy_cand> candidates,
              const Plan& plan) const;

  std::string alias_;
  std::vector<Candidate> candidates_;
  Strategies strategies_;
  std::vector<const plugin::StrategyInstance*> strategy_views_;
  mutable std::atomic<std::uint64_t> faults_{0};
};

// Strategies are asked where they have several to choose from, fallbacks not counted.
inline bool has_choice(const Route& route) {
  return route.pipeline != nullptr && route.targets.size() > 1 && route.targets[1].on == kOnAny;
}

// Opens the strategies of every alias that has several candidates; faults are named by their JSON
// pointers. [control thread]
Result<Pipelines, config::Faults> open_pipelines(plugin::Libraries& libraries,
                                                 const config::Config& config,
                                                 const catalog::Catalog& catalog,
                                                 Statistics& statistics);

// The same of those aliases alone that ask a strategy of this library, which is proposed, with
// instances of their own: what they do, and where they crash, is a shadow run's. [control thread]
Result<Pipelines, config::Faults> open_shadow_pipelines(plugin::Libraries& libraries,
                                                        const config::Config& config,
                                                        const catalog::Catalog& catalog,
                                                        Statistics& statistics,
                                                        const plugin::Library& candidate);

// What the strategies of `from` have learned goes over to those of the same alias. [control thread]
void hand_over(const Pipelines& from, const Pipelines& to);

}  // namespace switchyard::routing
