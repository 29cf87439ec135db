// Counters and histograms of one event loop, written by its thread alone and read by the admin thread.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>
#include <vector>

#include "core/observe/record.hpp"

namespace switchyard::observe {

// Buckets of powers of two in microseconds, 1 us .. 2^26 us.
class Histogram {
 public:
  static constexpr std::size_t kBuckets = 28;
  void add_ns(std::uint64_t ns);
  struct Snapshot {
    std::array<std::uint64_t, kBuckets> counts{};
    std::uint64_t count = 0, sum_ns = 0;
  };
  void add_to(Snapshot& total) const;

 private:
  std::array<std::atomic<std::uint64_t>, kBuckets> counts_{};
  std::atomic<std::uint64_t> count_{0}, sum_ns_{0};
};

// One per loop.
class LoopMetrics {
 public:
  // Counts a finished request. [loop thread]
  void add(const Record& record);

  std::atomic<std::int64_t> open_connections{0}, open_streams{0}, open_requests{0};
  std::atomic<std::uint64_t> connections{0}, refused_connections{0}, bad_requests{0};
  std::atomic<std::uint64_t> upstream_opened{0}, upstream_reused{0}, upstream_failed{0};
  std::atomic<std::int64_t> upstream_idle{0}, upstream_active{0};

 private:
  friend class Metrics;
  struct Series {
    std::atomic<std::uint64_t> requests{0}, tok_in{0}, tok_out{0};
    Histogram ttft, duration;
  };
  mutable std::mutex mutex_;  // guards the map's shape, taken by the loop only for a new series
  std::unordered_map<std::string, std::unique_ptr<Series>> series_;  // "status|provider|model|task"
  Histogram admit_, plan_, upstream_, relay_;
};

// All loops together, as Prometheus text.
class Metrics {
 public:
  LoopMetrics& add_loop();
  struct Extra {
    std::string name, help, type, labels;  // labels: {a="b"} or empty
    double value = 0;
  };
  std::string prometheus(const std::vector<Extra>& extra) const;

 private:
  mutable std::mutex mutex_;
  std::vector<std::unique_ptr<LoopMetrics>> loops_;
};

}  // namespace switchyard::observe
