// A choice among targets as it was made, written down so that it can be made again.
#pragma once

#include <deque>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/routing/pipeline.hpp"

namespace switchyard::routing {

// All that strategies were shown, what they said, and what came of it: one JSON object.
std::string decision_json(std::string_view alias,
                          std::span<const plugin::StrategyInstance* const> strategies,
                          const swy_rreq& request, std::span<const swy_cand> candidates,
                          const Plan& plan);

// The same for people, in one line: `reason`, then each candidate in its order, with what was said
// of it; those that were not to be tried come last.
std::string decision_line(const Decided& decided, std::string_view reason);

// What strategies were shown, read back.
class Decision {
 public:
  // What decision_json() wrote. Members that are left out have the contract's "unknown".
  static Result<Decision> parse(std::string_view json);
  // A copy's views would be of the original.
  Decision(Decision&&) = default;
  Decision& operator=(Decision&&) = default;

  const std::string& alias() const { return alias_; }
  const std::vector<std::string>& strategies() const { return strategies_; }
  const swy_rreq& request() const { return request_; }
  std::span<const swy_cand> candidates() const { return candidates_; }
  // The candidates in the order in which they were to be tried, by their place in candidates().
  const std::vector<std::uint32_t>& order() const { return order_; }

 private:
  friend class DecisionReader;
  Decision() = default;
  std::string alias_;
  std::vector<std::string> strategies_;
  swy_rreq request_{};
  std::vector<swy_cand> candidates_;
  std::vector<std::uint32_t> order_;
  // What the others point to; elements of a deque stay where they are when it grows or moves.
  std::deque<std::string> texts_;
  std::deque<std::vector<swy_kv>> tags_;
};

// The same choice made by these strategies. A strategy that learns has to be given the state that
// it had.
Plan replay(const Decision& decision, std::span<const plugin::StrategyInstance* const> strategies);

}  // namespace switchyard::routing
