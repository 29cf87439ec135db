#pragma once

#include <algorithm>
#include <chrono>

namespace switchyard::supervisor {

// How long to wait before a worker that died is started again: not at all, unless it keeps dying
// young.
class Backoff {
 public:
  static constexpr std::chrono::milliseconds kYoung{1000}, kFirst{100}, kMost{1000};

  std::chrono::milliseconds next(std::chrono::milliseconds lived) {
    const std::chrono::milliseconds delay = lived < kYoung ? delay_ : std::chrono::milliseconds{0};
    delay_ = delay.count() == 0 ? kFirst : std::min(delay * 2, kMost);
    return delay;
  }

 private:
  std::chrono::milliseconds delay_{0};
};

}  // namespace switchyard::supervisor
