// Counters and histograms of one event loop, written by its thread alone and read by the admin
// thread.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "core/observe/record.hpp"

namespace switchyard::observe {

// Buckets of powers of two in microseconds, 1 us .. 2^26 us, and one for what is longer. One
// writer.
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
  std::atomic<std::uint64_t> sum_ns_{0};
};

// One per loop.
class LoopMetrics {
 public:
  // Series of one loop. A model's name may come from a client, so what is beyond counts as
  // provider, model and task "other" of its status.
  static constexpr std::size_t kSeriesMax = 1000;

  // Counts a finished request. [loop thread]
  void add(const Record& record);

  std::atomic<std::int64_t> open_connections{0}, open_streams{0}, open_requests{0};
  std::atomic<std::uint64_t> connections{0}, refused_connections{0}, bad_requests{0};
  std::atomic<std::uint64_t> usage_impossible{0};  // reports that could not be true
  std::atomic<std::uint64_t> upstream_opened{0}, upstream_reused{0}, upstream_failed{0};
  std::atomic<std::int64_t> upstream_idle{0}, upstream_active{0};
  // Requests turned away: for open requests, memory, descriptors, loop lag.
  std::array<std::atomic<std::uint64_t>, 4> shed{};
  // Streams that were cut and that another model was to go on with: it said it all, it was cut as
  // well, the client left, nobody brought any of it.
  std::array<std::atomic<std::uint64_t>, 4> continued{};

 private:
  friend class Metrics;
  struct KeyView {
    unsigned status = 0;
    std::string_view provider, model, task;
  };
  struct Key {
    unsigned status = 0;
    std::string provider, model, task;
    operator KeyView() const { return {status, provider, model, task}; }
  };
  struct KeyHash {
    using is_transparent = void;
    std::size_t operator()(const KeyView& key) const;
  };
  struct KeyEqual {
    using is_transparent = void;
    bool operator()(const KeyView& a, const KeyView& b) const;
  };
  struct Series {
    std::atomic<std::uint64_t> requests{0}, tok_in{0}, tok_out{0};
    Histogram ttft, duration;
  };
  Series& series_of(const Record& record);
  Series& new_series(const KeyView& key);

  mutable std::mutex mutex_;  // guards the map's shape, taken by the loop only for a new series
  std::unordered_map<Key, std::unique_ptr<Series>, KeyHash, KeyEqual> series_;
  Histogram admit_, plan_, connect_, upstream_, relay_;
};

class MetricsPage;

// All loops together, as Prometheus text.
class Metrics {
 public:
  LoopMetrics& add_loop();
  struct Extra {
    std::string name, help, type, labels;  // labels: {a="b"} or empty
    double value = 0;
  };
  // Extras of one name are written as one family, in the order of their first.
  std::string prometheus(const std::vector<Extra>& extra) const;

 private:
  // With mutex_ held.
  void write_counters(MetricsPage& page) const;
  void write_requests(MetricsPage& page) const;
  void write_phases(MetricsPage& page) const;

  mutable std::mutex mutex_;
  std::vector<std::unique_ptr<LoopMetrics>> loops_;
};

// {a="b",c="d"} with the values escaped and cleaned of what is not UTF-8.
std::string prometheus_labels(
    std::initializer_list<std::pair<std::string_view, std::string_view>> labels);

// What the admin port tells beside the loops' own counters.
void add_logger_stats(std::vector<Metrics::Extra>& extra,
                      const std::vector<LoggerFanout::Stats>& loggers);
void add_loop_lag(std::vector<Metrics::Extra>& extra, unsigned loop, std::uint64_t lag_ns);

}  // namespace switchyard::observe
