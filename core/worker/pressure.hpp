// Measures how near the process is to what it can do, four times a second, on a thread of its own:
// a loop that is late can't say so.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <thread>
#include <vector>

#include "core/config/config.hpp"
#include "core/net/loop.hpp"
#include "core/observe/metrics.hpp"
#include "core/surface/overload.hpp"

namespace switchyard {

class PressureGauge {
 public:
  explicit PressureGauge(std::size_t descriptors_max) : descriptors_max_(descriptors_max) {}
  ~PressureGauge();
  PressureGauge(const PressureGauge&) = delete;
  PressureGauge& operator=(const PressureGauge&) = delete;

  const surface::Overload& overload() const { return overload_; }
  // Both outlive it. Before start().
  void add_loop(net::Loop& loop, const observe::LoopMetrics& metrics);
  // [any thread]
  void configure(const config::Overload& bounds);
  void start();

 private:
  struct Watched {
    net::Loop* loop;
    const observe::LoopMetrics* metrics;
  };
  void run();
  void measure();

  const std::size_t descriptors_max_;
  surface::Overload overload_;
  std::vector<Watched> loops_;
  std::atomic<std::uint64_t> memory_max_{0}, lag_max_ns_{0};
  std::uint64_t released_ns_ = 0;
  std::mutex mutex_;  // of what is below
  std::condition_variable wake_;
  bool ending_ = false;
  std::thread thread_;
};

}  // namespace switchyard
