#include "core/net/loop.hpp"

#include "core/base/clock.hpp"

// Asio is compiled once, here (BOOST_ASIO_SEPARATE_COMPILATION).
#include <boost/asio/impl/src.hpp>

namespace switchyard::net {

Deadline::Deadline(Loop& loop, std::function<void()> on_expiry)
    : loop_(loop), on_expiry_(std::move(on_expiry)) {}

void Deadline::expires_after(std::chrono::milliseconds delay) {
  at_ns_ = mono_ns() + static_cast<std::uint64_t>(delay.count()) * 1'000'000u;
  if (is_linked()) return;
  loop_.deadlines_.push_back(*this);
  loop_.arm_tick();
}

// One thread runs a loop, so the reactor needs no lock around its descriptors; posts from other
// threads stay safe.
Loop::Loop(unsigned index)
    : index_(index), context_(1), work_(context_.get_executor()), timer_(context_.get_executor()) {}

Loop::~Loop() = default;

void Loop::run() { context_.run(); }

void Loop::stop() { context_.stop(); }

std::uint64_t Loop::take_lag_ns() { return lag_ns_.exchange(0, std::memory_order_relaxed); }

std::uint64_t Loop::take_recent_lag_ns() {
  return recent_lag_ns_.exchange(0, std::memory_order_relaxed);
}

void Loop::arm_tick() {
  if (ticking_) return;
  ticking_ = true;
  due_ns_ = mono_ns() + std::chrono::nanoseconds(kTick).count();
  timer_.expires_after(kTick);
  timer_.async_wait([this](error_code ec) {
    if (!ec) tick();
  });
}

void Loop::tick() {
  ticking_ = false;
  const std::uint64_t now = mono_ns();
  const std::uint64_t lag = now > due_ns_ ? now - due_ns_ : 0;
  for (auto* const worst : {&lag_ns_, &recent_lag_ns_}) {
    if (lag > worst->load(std::memory_order_relaxed)) worst->store(lag, std::memory_order_relaxed);
  }

  // Those that are over move to a list of their own first: a callback may arm or destroy any
  // deadline, and whatever it destroys unlinks itself from either list.
  Deadlines over;
  for (auto it = deadlines_.begin(); it != deadlines_.end();) {
    Deadline& deadline = *it++;
    if (deadline.at_ns_ == 0 || deadline.at_ns_ <= now) {
      deadline.unlink();
      if (deadline.at_ns_ != 0) over.push_back(deadline);
    }
  }
  while (!over.empty()) {
    Deadline& deadline = over.front();
    deadline.unlink();
    // Disarmed or set anew by a callback before it.
    if (deadline.at_ns_ == 0) continue;
    if (deadline.at_ns_ > now) {
      deadlines_.push_back(deadline);
      continue;
    }
    deadline.at_ns_ = 0;
    deadline.on_expiry_();
  }
  if (!deadlines_.empty()) arm_tick();
}

}  // namespace switchyard::net
