// Keeps records in the store's day files.
#pragma once

#include <memory>
#include <mutex>

#include "core/observe/log.hpp"
#include "core/observe/record.hpp"
#include "core/store/records.hpp"

namespace switchyard::observe {

store::RecordRow to_row(const Record& record);

// What may change while records are kept. [any thread]
class RecordSettings {
 public:
  explicit RecordSettings(const store::RecordLimits& limits) : limits_(limits) {}
  void set(const store::RecordLimits& limits);
  store::RecordLimits get() const;

 private:
  mutable std::mutex mutex_;
  store::RecordLimits limits_;
};

class RecordKeeper : public RecordSink {
 public:
  using Clock = std::uint64_t (*)();  // nanoseconds since 1970

  RecordKeeper(std::unique_ptr<store::Records> records,
               std::shared_ptr<const RecordSettings> settings, Clock clock);

  // A disk that is full or gone is told as an overload: records wait, as many as the line holds.
  Result<std::uint32_t, plugin::LoggerFault> write(
      std::span<const std::shared_ptr<const Record>> records, std::uint64_t deadline_ns) override;
  // Sums up what was written, and looks what is too old to be kept.
  Result<void, plugin::LoggerFault> flush(std::uint64_t deadline_ns) override;
  // What is kept grows old without new records too.
  void idle() override { tidy(); }

 private:
  void sum_up();
  void tidy();

  std::unique_ptr<store::Records> records_;
  std::shared_ptr<const RecordSettings> settings_;
  const Clock clock_;
  std::uint64_t summed_ns_ = 0, tidied_ns_ = 0;
  LogGate sum_gate_{std::chrono::minutes(1)}, tidy_gate_{std::chrono::minutes(10)};
};

}  // namespace switchyard::observe
