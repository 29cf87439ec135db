// A shadow run: strategies that do not serve make each choice beside those that do, and what they
// say is compared and goes nowhere.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "core/routing/pipeline.hpp"

namespace switchyard::routing {

// What a shadow run has found so far.
struct ShadowFindings {
  // A choice that came out otherwise. "provider/model", and the route's reason for it.
  struct Difference {
    std::string request_id, alias;
    std::string serving, serving_reason;
    std::string candidate, candidate_reason;
  };
  static constexpr std::size_t kDifferencesMax = 5;

  std::uint64_t compared = 0;
  std::uint64_t agreed = 0;             // the same first choice
  std::uint64_t same_order = 0;         // of these, those with the same order of all
  std::uint64_t ns = 0, ns_max = 0;     // what the candidate's choices took
  std::string fault;                    // the candidate's; it ends the run
  std::vector<Difference> differences;  // the first few
};

// [any thread], but for its beginning and its end.
class Shadow {
 public:
  // A choice that takes longer than this is a fault.
  static constexpr std::uint64_t kDecisionNsMax = 100'000'000;
  // The candidate has at most one part in so many of the time, whatever a choice takes: choices
  // that come sooner are not compared. It bounds what a run costs the loops.
  static constexpr std::uint64_t kShare = 20;

  // `pipelines`: as they would be with the candidate, of the configuration that serves and not used
  // elsewhere. `enough` is called once, on the thread that made the last of `decisions_max` or
  // found a fault. `clock` is monotonic.
  Shadow(Pipelines pipelines, const plugin::Library* candidate, std::uint64_t decisions_max,
         std::function<void()> enough, std::uint64_t (*clock)());

  // Makes the choice again that this route's pipeline has just made. [loop]
  void compare(const Route& route, std::string_view request_id);
  // What came of an attempt: strategies that learn are told all that those in force are told.
  // [loop]
  void observe(const std::string& alias, const Target& target, const swy_outcome& outcome,
               const Pricing& pricing);
  // From here on nothing is compared; a comparison that runs is still counted.
  void end() { ended_.store(true, std::memory_order_relaxed); }

  ShadowFindings findings() const;

 private:
  bool begin_turn();
  void choose(const Pipeline& pipeline, const Route& route, std::string_view request_id);
  std::string fault_of(const Pipeline& pipeline, std::uint64_t took_ns) const;
  void count(const Pipeline& pipeline, const Route& route, std::string_view request_id,
             std::uint64_t took_ns);

  const Pipelines pipelines_;
  const plugin::Library* const candidate_;
  const std::uint64_t decisions_max_;
  const std::function<void()> enough_;
  std::uint64_t (*const clock_)();

  std::atomic<bool> ended_{false};
  std::atomic_flag busy_;      // one loop at a time compares; the others pass by
  std::uint64_t next_ns_ = 0;  // whoever is busy has these
  Plan plan_;

  mutable std::mutex mutex_;  // never held in a plugin
  ShadowFindings findings_;
};

}  // namespace switchyard::routing
