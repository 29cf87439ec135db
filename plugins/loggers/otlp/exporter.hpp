// The logger: batches of records to an OpenTelemetry collector, over a named destination.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <switchyard/logger.hpp>

#include "loggers/otlp/metrics.hpp"

namespace otlp {

class Exporter {
 public:
  static swy::Result<Exporter> open(std::string_view config_json, swy::Host host);

  // Spans and log records go out here, the batch as it came. Either all is taken or, where the
  // collector is down or asks for patience, nothing.
  swy::Result<std::uint32_t> write(const swy::Records& records, std::uint64_t deadline_ns);
  // Metrics go out here: the host flushes about once a second.
  swy::Result<> flush(std::uint64_t deadline_ns);

 private:
  enum Signal : unsigned { kTraces = 1, kLogs = 2, kMetrics = 4 };

  // By what a batch that comes again is known.
  struct Mark {
    std::uint32_t records = 0;
    std::uint64_t first = 0, last = 0;
    bool operator==(const Mark&) const = default;
  };

  Exporter(swy::Host host, swy::Destination destination)
      : host_(host), destination_(std::move(destination)), from_unix_ns_(host.unix_ns()) {}
  static Mark mark_of(const swy::Records& records);
  bool wants(Signal signal) const { return (signals_ & signal) != 0; }
  // Sent, or refused for good, which is told; an Error means that it is to be tried again.
  swy::Result<> send(Signal signal, const std::string& json, std::uint64_t items,
                     std::uint64_t deadline_ns);
  void tell_partial(Signal signal, std::string_view answer);
  void tell_rejected(Signal signal, std::uint64_t items, const std::string& why);

  swy::Host host_;
  swy::Destination destination_;
  unsigned signals_ = kTraces | kLogs | kMetrics;
  std::string resource_;

  Mark pending_;                     // the batch that could not be sent whole
  unsigned sent_ = 0;                // signals of it that went out
  std::uint64_t not_before_ns_ = 0;  // the collector asked for patience until then
  Metrics metrics_;
  std::uint64_t from_unix_ns_;  // start of the interval that they are of

  std::uint64_t rejected_ = 0;  // since it was last told
  std::uint64_t told_ns_ = 0;
};

}  // namespace otlp
