// What is known of each target while it is used: how it fares, whether it may be asked, and with
// which credential. Shared by all loops; atomics, no locks.
#pragma once

#include <array>
#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/config/config.hpp"
#include "core/routing/breaker.hpp"
#include "core/routing/gate.hpp"
#include "core/routing/statistics.hpp"

namespace switchyard::routing {

// What came of one attempt.
struct Outcome {
  std::int32_t cls = -1;  // where it went well, else SWY_CLS_*
  unsigned http = 0;
  std::uint32_t ttft_us = 0, latency_us = 0;  // ttft_us: 0 where no token came or no stream ran
  std::uint64_t tok_in = 0, tok_out = 0;
  std::uint32_t retry_after_ms = 0;
  // The client left, or its own deadline was over: it says nothing of the target.
  bool left = false;
  // Another attempt beside it was first: it would have taken longer than ttft_us. `left` as well.
  bool outrun = false;
};

// One credential of a provider at all its models. [any thread]
class Access {
 public:
  Access(std::string provider, std::string name, std::uint32_t weight,
         const config::UpstreamLimits& limits)
      : gate(limits), provider_(std::move(provider)), name_(std::move(name)), weight_(weight) {}

  const std::string& provider() const { return provider_; }
  const std::string& name() const { return name_; }
  std::uint32_t weight() const { return weight_; }

  // The upstream refuses it: it is left alone for a time. True: it wasn't so far.
  bool refuse(std::int32_t cls, std::uint64_t until_ns, std::uint64_t now_ns);
  // The upstream took it. True: it had been refused.
  bool accept();
  // 0: the upstream takes it, as far as is known.
  std::uint64_t refused_until_ns() const { return until_ns_.load(std::memory_order_relaxed); }
  std::int32_t refused_for() const { return cls_.load(std::memory_order_relaxed); }
  bool rests(std::uint64_t now_ns) const { return now_ns < refused_until_ns(); }

  Gate gate;

 private:
  const std::string provider_, name_;
  const std::uint32_t weight_;
  std::atomic<std::uint64_t> until_ns_{0};
  std::atomic<std::int32_t> cls_{0};
};

// All calls to one provider.
struct Shared {
  explicit Shared(const config::UpstreamLimits& limits) : gate(limits) {}
  Gate gate;
};

class Live;

// One credential at one model. [any thread]
class Lane {
 public:
  // Why a call can't go there now.
  enum class Barred : std::uint8_t {
    kNot,
    kOpen,     // its breaker is open
    kForced,   // by an operator
    kLimit,    // a configured limit is reached
    kTight,    // the upstream said, or showed, that it takes no more
    kResting,  // it asked for a pause
    kRefused,  // the upstream refuses the credential
  };
  struct Ask {
    std::uint64_t tokens = 0;  // that the call may use, for limits of tokens
    std::uint64_t now_ns = 0;
    std::uint32_t chance = 0;  // below a million
    bool anyway = false;       // also where only the operator's word keeps it from going
  };
  // A call that goes there, until Lane::end().
  struct Call {
    Lane* lane = nullptr;
    Breaker::Pass pass;
    std::uint64_t tokens = 0;
  };

  Lane(const Live& live, std::shared_ptr<Access> access, const config::UpstreamLimits& limits,
       const config::BreakerPolicy& policy);

  // Takes the call, or says why not.
  Barred begin(const Ask& ask, Call& call);
  void end(const Call& call, const Outcome& outcome, std::uint64_t now_ns);
  // The call was never made.
  void undo(const Call& call, std::uint64_t now_ns);

  // Whether begin() would take a call; a share of a ramp, or a probe, it may refuse nevertheless.
  Barred barred(std::uint64_t tokens, std::uint64_t now_ns) const;
  std::uint64_t rests_until_ns() const { return rest_until_ns_.load(std::memory_order_relaxed); }
  // How long until it may take a call again where barred() says kLimit, kTight or kResting.
  std::uint64_t eases_ns(std::uint64_t now_ns) const;

  void learn(const LearnedLimits& said, std::uint64_t now_ns) { gate.learn(said, now_ns); }

  // The gateway's own requests that were made to see how it fares.
  class Probed {
   public:
    // Whether one is due, `interval_ns` after the last one began; it begins then.
    bool begin(std::uint64_t now_ns, std::uint64_t interval_ns);
    void end(bool ok, std::uint64_t now_unix_s);
    // 0: there was none yet.
    std::uint64_t at_unix_s() const { return at_unix_s_.load(std::memory_order_relaxed); }
    bool ok() const { return ok_.load(std::memory_order_relaxed); }

   private:
    std::atomic<std::uint64_t> begun_ns_{0}, at_unix_s_{0};
    std::atomic<bool> ok_{false};
  };
  Probed probed;

  const Access& access() const { return *access_; }
  // Of provider, credential and model: the same in every process.
  std::uint64_t id() const { return id_; }

  TargetStats stats;
  Breaker breaker;
  Gate gate;

 private:
  bool enter(std::uint64_t tokens, std::uint64_t now_ns);
  void judge(const Call& call, const Outcome& outcome, std::uint64_t now_ns);
  void judge_outrun(const Call& call, const Outcome& outcome, std::uint64_t now_ns);
  void note_access(const Outcome& outcome, std::uint64_t now_ns);
  void log_change(std::uint64_t now_ns) const;

  const Live& live_;
  const std::shared_ptr<Access> access_;
  const std::uint64_t id_;
  std::atomic<std::uint64_t> rest_until_ns_{0};
};

// One model of a provider: a lane for each of its credentials, or one where it has none.
class Live {
 public:
  struct Parts {
    std::string provider, model;
    std::vector<std::shared_ptr<Access>> access;
    std::shared_ptr<Shared> shared;
    config::UpstreamLimits limits;
    config::BreakerPolicy breaker;
    // Stands for many models that no list names: what is missing there says nothing.
    bool many = false;
  };
  explicit Live(Parts parts);

  const std::string& provider() const { return parts_.provider; }
  const std::string& model() const { return parts_.model; }
  bool many() const { return parts_.many; }
  Shared& shared() const { return *parts_.shared; }
  std::size_t size() const { return lanes_.size(); }
  Lane& lane(std::size_t i) const { return *lanes_[i]; }

  // What strategies are shown: what is measured, limits, the best state of a lane. [any thread]
  void read(swy_cand& candidate, std::uint64_t now_ns) const;

 private:
  const Parts parts_;
  std::vector<std::unique_ptr<Lane>> lanes_;
};

// Models of a provider that takes names which no list has, made as they are asked for. [any thread]
class Unlisted {
 public:
  // Beyond so many names the others share one; of a provider with many credentials it is fewer.
  static constexpr std::size_t kNamesMax = 256, kLanesMax = 2048;

  explicit Unlisted(Live::Parts parts);
  ~Unlisted();
  Unlisted(const Unlisted&) = delete;
  Unlisted& operator=(const Unlisted&) = delete;

  Live* find(std::string_view model);
  void each(const std::function<void(const Live&)>& call) const;

 private:
  static constexpr std::size_t kSlots = 512;
  const Live::Parts parts_;
  const std::size_t names_max_;
  std::unique_ptr<Live> others_;
  std::atomic<std::size_t> names_{0};
  std::array<std::atomic<Live*>, kSlots> slots_{};
};

// All of a process. They outlive configurations: what was measured stays known as long as the
// target's address, credentials, limits and breaker are the same. [control thread]
class Statistics {
 public:
  std::shared_ptr<Live> live(const config::Provider& provider, const std::string& model);
  std::shared_ptr<Unlisted> unlisted(const config::Provider& provider);
  // Forgets what nobody holds.
  void drop_unused();

 private:
  Live::Parts parts(const config::Provider& provider);

  std::map<std::string, std::shared_ptr<Live>> lives_;
  std::map<std::string, std::shared_ptr<Unlisted>> unlisted_;
  std::map<std::string, std::shared_ptr<Access>> access_;
  std::map<std::string, std::shared_ptr<Shared>> shared_;
};

// "open", "half_open", "closed".
const char* state_name(Breaker::State state);
// For records and people: "breaker open", "at its limit" ...
const char* barred_name(Lane::Barred barred);

}  // namespace switchyard::routing
