// What is left of the operator's money at providers that tell it: asked for now and then, on a
// thread of its own.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "core/account/alerts.hpp"
#include "core/base/nano.hpp"
#include "core/config/config.hpp"
#include "core/plugin/destinations.hpp"

namespace switchyard {

struct ToldBalance {
  std::string currency;  // empty: nobody said
  Nano amount = 0;
};
// What a provider's answer tells, by the places that its dialect names. The error says what is
// missing.
Result<std::vector<ToldBalance>> read_balances(const config::BalanceSource& source,
                                               std::string_view json);

// One credential of a provider that is watched.
struct UpstreamBalance {
  std::string provider, credential;
  std::optional<Nano> floor;
  std::vector<ToldBalance> balances;  // the last that were told
  std::uint64_t told_unix_s = 0;      // 0: never
  std::string error;                  // why the last time brought none

  // Nothing of what was told reaches the floor.
  bool is_low() const;
};

class BalanceWatch {
 public:
  BalanceWatch();
  // Waits for an answer that is under way.
  ~BalanceWatch();
  BalanceWatch(const BalanceWatch&) = delete;
  BalanceWatch& operator=(const BalanceWatch&) = delete;

  // In place of what was watched before. The error: it can't be asked for, and nothing is watched.
  // [control thread]
  Result<void> configure(const config::Config& config);

  std::vector<UpstreamBalance> balances() const;           // [any thread]
  std::vector<account::LowUpstream> low_balances() const;  // [any thread]

 private:
  struct Watched {
    config::BalanceSource source;
    std::chrono::milliseconds every{};
    std::chrono::steady_clock::time_point due;
    UpstreamBalance state;
  };
  struct Question {
    std::shared_ptr<plugin::Destinations> destinations;
    std::uint64_t generation = 0;
    std::size_t index = 0;
    std::string name;
    config::BalanceSource source;
  };

  void run();
  Question next(std::unique_lock<std::mutex>& lock);
  void take(const Question& question, Result<std::vector<ToldBalance>> told);

  mutable std::mutex mutex_;
  std::condition_variable wake_;
  bool ending_ = false;
  std::uint64_t generation_ = 0;  // of configurations
  std::vector<Watched> watched_;
  std::shared_ptr<plugin::Destinations> destinations_;
  std::thread thread_;
};

}  // namespace switchyard
