// What records add up to between two exports: delta histograms and a delta counter.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <switchyard/logger.hpp>
#include <vector>

namespace otlp {

class Metrics {
 public:
  // Names of models are the clients' to choose: beyond this many series of one metric the rest goes
  // into one, marked otel.metric.overflow.
  static constexpr std::size_t kSeriesMax = 2000;

  void add(const swy_rec& record);
  bool empty() const { return requests_.empty(); }
  std::uint64_t points() const { return requests_.size() + tokens_.size() + durations_.size(); }
  void clear();

  // The body for /v1/metrics; the interval reaches from `from` to `to`.
  std::string json(std::string_view resource, std::uint64_t from_unix_ns,
                   std::uint64_t to_unix_ns) const;

 private:
  struct Histogram {
    std::vector<std::uint64_t> buckets;
    std::uint64_t count = 0;
    double sum = 0, min = 0, max = 0;
    void add(std::span<const double> bounds, double value);
  };
  // By their attributes, as the document has them.
  template <class Point>
  using Series = std::map<std::string, Point>;

  Series<Histogram> tokens_, durations_;
  Series<std::uint64_t> requests_;
};

}  // namespace otlp
