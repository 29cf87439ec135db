// Wakes coroutines that wait for something to change.
#pragma once

#include "core/net/await.hpp"
#include "core/net/loop.hpp"

namespace switchyard::net {

// Used on its loop only. Nobody may wait any more when it goes.
class Signal {
 public:
  explicit Signal(Loop& loop) : timer_(loop.executor()) {
    timer_.expires_at(std::chrono::steady_clock::time_point::max());
  }

  // Until the next notify().
  Task<> wait() { co_await timer_.async_wait(kAwait); }
  // Wakes all who wait; they run later, never from within this call.
  void notify() { timer_.cancel(); }

 private:
  Timer timer_;
};

}  // namespace switchyard::net
