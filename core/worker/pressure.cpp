#include "core/worker/pressure.hpp"

#include <algorithm>

#include "core/base/clock.hpp"
#include "core/base/os_memory.hpp"

namespace switchyard {
namespace {

constexpr std::chrono::milliseconds kTurn{250};
// Beside connections: files, sockets of listeners, of the resolver, of loggers.
constexpr std::uint64_t kOwnDescriptors = 64;
// What the allocator kept of a peak must not turn requests away for ever.
constexpr unsigned kReleaseFrom = 750;
constexpr std::uint64_t kReleaseEveryNs = 10'000'000'000;

}  // namespace

PressureGauge::~PressureGauge() {
  {
    const std::lock_guard held(mutex_);
    ending_ = true;
  }
  wake_.notify_all();
  if (thread_.joinable()) thread_.join();
}

void PressureGauge::add_loop(net::Loop& loop, const observe::LoopMetrics& metrics) {
  loops_.push_back({&loop, &metrics});
  overload_.add_loop(metrics.open_requests);
}

void PressureGauge::configure(const config::Overload& bounds) {
  overload_.configure(bounds);
  const std::uint64_t usual = os::memory_limit() / 100 * 85;
  memory_max_.store(bounds.memory_max > 0 ? bounds.memory_max : usual, std::memory_order_relaxed);
  const auto lag = std::chrono::nanoseconds(bounds.loop_lag_max).count();
  lag_max_ns_.store(static_cast<std::uint64_t>(lag), std::memory_order_relaxed);
}

void PressureGauge::start() {
  thread_ = std::thread([this] { run(); });
}

void PressureGauge::run() {
  std::unique_lock held(mutex_);
  while (!wake_.wait_for(held, kTurn, [this] { return ending_; })) measure();
}

void PressureGauge::measure() {
  using Reason = surface::Overload::Reason;
  surface::Overload::Sample sample;
  sample.memory = os::resident_bytes();
  sample.memory_max = memory_max_.load(std::memory_order_relaxed);
  sample.lag_max_ns = lag_max_ns_.load(std::memory_order_relaxed);
  std::int64_t connections = 0;
  for (const Watched& each : loops_) {
    sample.lag_ns = std::max(sample.lag_ns, each.loop->take_recent_lag_ns());
    const auto& metrics = *each.metrics;
    for (const auto* count :
         {&metrics.open_connections, &metrics.upstream_idle, &metrics.upstream_active}) {
      connections += count->load(std::memory_order_relaxed);
    }
  }
  sample.descriptors = static_cast<std::uint64_t>(connections) + kOwnDescriptors;
  sample.descriptors_max = descriptors_max_;
  overload_.take(sample);
  const std::uint64_t now = mono_ns();
  if (overload_.pressure(Reason::kMemory) < kReleaseFrom) return;
  if (now - released_ns_ < kReleaseEveryNs) return;
  released_ns_ = now;
  os::release_unused_memory();
}

}  // namespace switchyard
