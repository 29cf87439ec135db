#include "core/surface/overload.hpp"

#include <algorithm>

namespace switchyard::surface {
namespace {

constexpr std::string_view kReasonTexts[] = {"open requests", "memory", "descriptors", "loop lag"};
// From which pressure on a class is turned away, in thousandths: low, normal, high.
constexpr unsigned kFull[] = {800, 900, 1000};

unsigned thousandths(std::uint64_t used, std::uint64_t bound) {
  if (bound == 0) return 0;
  // Beyond twice a bound there is nothing more to know.
  return static_cast<unsigned>(std::min(used, 2 * bound) * 1000 / bound);
}

}  // namespace

void Overload::configure(const config::Overload& bounds) {
  open_requests_max_.store(bounds.open_requests_max, std::memory_order_relaxed);
}

void Overload::take(const Sample& sample) {
  const auto note = [&](Reason reason, unsigned value) {
    pressure_[static_cast<std::size_t>(reason)].store(value, std::memory_order_relaxed);
  };
  note(Reason::kMemory, thousandths(sample.memory, sample.memory_max));
  note(Reason::kDescriptors, thousandths(sample.descriptors, sample.descriptors_max));
  // Being late once may be the machine's doing; twice in a row is being late.
  const unsigned lag = thousandths(sample.lag_ns, sample.lag_max_ns);
  note(Reason::kLag, std::min(lag, lag_before_));
  lag_before_ = lag;
}

unsigned Overload::pressure(Reason reason) const {
  if (reason != Reason::kRequests) {
    return pressure_[static_cast<std::size_t>(reason)].load(std::memory_order_relaxed);
  }
  const std::uint64_t bound = open_requests_max_.load(std::memory_order_relaxed);
  if (bound == 0) return 0;
  std::int64_t open = 0;
  for (const auto* loop : loops_) open += loop->load(std::memory_order_relaxed);
  return thousandths(static_cast<std::uint64_t>(std::max<std::int64_t>(open, 0)), bound);
}

std::optional<Overload::Reason> Overload::refuses(config::Priority priority) const {
  const unsigned full = kFull[static_cast<std::size_t>(priority)];
  // The request that asks is open itself: at a bound of 10 the tenth is still taken.
  if (pressure(Reason::kRequests) > full) return Reason::kRequests;
  for (const Reason reason : {Reason::kMemory, Reason::kDescriptors, Reason::kLag}) {
    if (pressure(reason) >= full) return reason;
  }
  return std::nullopt;
}

std::string_view to_text(Overload::Reason reason) {
  return kReasonTexts[static_cast<std::size_t>(reason)];
}

}  // namespace switchyard::surface
