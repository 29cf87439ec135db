// A world of providers that fall ill and recover, asked by clients through the gateway's own
// routing: pipeline, strategies, breakers and attempts. Its clock is made, so that hours pass in
// seconds and every run is the same.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <queue>
#include <string>
#include <vector>

#include "core/catalog/price_list.hpp"
#include "core/routing/attempts.hpp"
#include "core/routing/forecast.hpp"
#include "core/routing/pipeline.hpp"

namespace switchyard::sim {

inline constexpr std::uint64_t kSecond = 1'000'000'000;

// The same numbers on every machine (splitmix64; Steele, Lea, Flood 2014).
class Random {
 public:
  explicit Random(std::uint64_t seed) : state_(seed) {}
  std::uint64_t bits();
  double unit();  // above 0, below 1

 private:
  std::uint64_t state_;
};

enum class Illness { kNone, kDown, kSlow, kFlaky, kLimited, kHiccups };
const char* to_string(Illness illness);

struct Provider {
  std::string id;
  double ttft_ms = 0, token_ms = 0;  // well: to the first token, and for each after it
  Nano input = 0, output = 0;        // per million tokens
  std::uint32_t weight = 1, priority = 0;
  std::map<std::string, std::string> tags;
};

struct Scenario {
  std::vector<Provider> providers;  // by priority, as a configuration has them once it is read
  std::vector<config::Strategy> strategies;
  std::size_t sick = 0;  // which provider
  Illness illness = Illness::kNone;
  double flaky = 0.5;  // of the calls to a flaky one fail
  std::uint64_t sick_from_ns = 0, well_from_ns = 0, end_ns = 0;
  double requests_per_s = 40;
  std::uint64_t seed = 1;
  std::uint32_t hedge_percent = 0;  // 0: no attempt has another one beside it
  bool keeps_plans = false;
};

// What was seen, per second and provider.
struct Seen {
  struct Second {
    std::uint64_t requests = 0, failed = 0;
    std::vector<std::uint64_t> calls, served;
  };
  std::vector<Second> seconds;
  unsigned flaps = 0;  // the sick one's breaker let its calls through again and had to open again
  double latency_us = 0, ttft_us = 0;   // sums over all requests that were served
  std::vector<std::uint32_t> first_us;  // of each, from its first call to its first token
  std::int64_t outrun_nano = 0;         // what attempts cost that another one was quicker than
  std::int64_t cost_nano = 0;
  std::vector<std::string> plans;
  std::vector<routing::Recorded> records;  // of each plan's request

  // Over [from, to) seconds.
  std::uint64_t requests(std::uint64_t from, std::uint64_t to) const;
  std::uint64_t failed(std::uint64_t from, std::uint64_t to) const;
  std::uint64_t calls(std::uint64_t from, std::uint64_t to) const;
  std::uint64_t calls(std::size_t provider, std::uint64_t from, std::uint64_t to) const;
  std::uint64_t served(std::size_t provider) const;
};

class World {
 public:
  explicit World(Scenario scenario);
  ~World();

  Seen run();
  // The same candidates under these strategies, for a replay.
  const routing::Pipeline& pipeline() const;
  routing::Pricing pricing() const { return {&prices_, 1}; }

 private:
  struct Asked;
  struct Event {
    std::uint64_t at_ns, number;
    enum class Kind { kArrive, kCall, kHedge, kFirstToken, kEnd } kind;
    std::shared_ptr<Asked> asked;
    bool operator<(const Event& other) const;  // the last first, as a heap wants it
  };

  void add_provider(const Provider& provider);
  void put(std::uint64_t at_ns, Event::Kind kind, std::shared_ptr<Asked> asked);
  void arrive();
  void step(const std::shared_ptr<Asked>& asked);
  void call(const std::shared_ptr<Asked>& asked);
  void hedge(const std::shared_ptr<Asked>& asked);
  void first_token(const std::shared_ptr<Asked>& asked);
  void end(const std::shared_ptr<Asked>& asked);
  routing::Outcome outcome_of(std::size_t provider, const Asked& asked);
  bool is_sick(std::size_t provider) const;
  bool over_limit(std::size_t provider);
  void watch_breaker();
  Seen::Second& second();

  const Scenario scenario_;
  Random random_;
  std::uint64_t now_ns_ = 0, events_made_ = 0;
  std::priority_queue<Event> events_;
  config::Config config_;
  catalog::Catalog catalog_;
  catalog::PricesInForce prices_;
  routing::Statistics statistics_;
  std::unique_ptr<routing::Table> table_;
  std::vector<std::queue<std::uint64_t>> begun_;  // of each provider in the last second
  std::uint32_t sick_candidate_ = 0;
  std::uint64_t episode_calls_ = 0;  // of the sick one since its breaker half opened
  bool ever_opened_ = false;
  std::uint32_t state_ = 0;
  Seen seen_;
};

// A strategy of this tree, linked in: {"plugin": name, "config": config_json}.
config::Strategy strategy(const std::string& name, const std::string& config_json = "{}");

}  // namespace switchyard::sim
