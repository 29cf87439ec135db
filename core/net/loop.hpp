// One thread's event loop, and the coarse clock of its connections.
#pragma once

#include <atomic>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/intrusive/list.hpp>
#include <chrono>
#include <cstdint>
#include <functional>

namespace switchyard::net {

namespace asio = boost::asio;
using tcp = asio::ip::tcp;
using boost::system::error_code;

// The concrete executor: no type erasure on the hot path.
using Executor = asio::io_context::executor_type;
template <class T = void>
using Task = asio::awaitable<T, Executor>;
using Socket = asio::basic_stream_socket<tcp, Executor>;
using Timer = asio::basic_waitable_timer<std::chrono::steady_clock,
                                         asio::wait_traits<std::chrono::steady_clock>, Executor>;

class Loop;

// A coarse deadline (up to one tick late, never early). Setting it is a store; there is no timer
// behind each. Lives on one loop and is used only there.
class Deadline : public boost::intrusive::list_base_hook<
                     boost::intrusive::link_mode<boost::intrusive::auto_unlink>> {
 public:
  // on_expiry runs on the loop, once per arming; it may destroy this object.
  Deadline(Loop& loop, std::function<void()> on_expiry);
  Deadline(const Deadline&) = delete;
  Deadline& operator=(const Deadline&) = delete;

  void expires_after(std::chrono::milliseconds delay);
  void disarm() { at_ns_ = 0; }
  bool armed() const { return at_ns_ != 0; }

 private:
  friend class Loop;
  Loop& loop_;
  std::function<void()> on_expiry_;
  std::uint64_t at_ns_ = 0;  // 0: not armed
};

class Loop {
 public:
  static constexpr std::chrono::milliseconds kTick{25};

  explicit Loop(unsigned index);
  ~Loop();
  Loop(const Loop&) = delete;
  Loop& operator=(const Loop&) = delete;

  // Runs until stop(). Called on the loop's own thread.
  void run();
  // [any thread]
  void stop();

  unsigned index() const { return index_; }
  Executor executor() { return context_.get_executor(); }
  asio::io_context& context() { return context_; }

  // The worst delay of a tick since it was last asked, which is how long a callback kept the loop
  // busy. [any thread]
  std::uint64_t take_lag_ns();
  // The same, for another who asks. [any thread]
  std::uint64_t take_recent_lag_ns();

 private:
  friend class Deadline;
  void arm_tick();
  void tick();

  unsigned index_;
  asio::io_context context_;
  asio::executor_work_guard<Executor> work_;
  Timer timer_;
  bool ticking_ = false;
  std::uint64_t due_ns_ = 0;
  std::atomic<std::uint64_t> lag_ns_{0}, recent_lag_ns_{0};
  using Deadlines = boost::intrusive::list<Deadline, boost::intrusive::constant_time_size<false>>;
  Deadlines deadlines_;
};

}  // namespace switchyard::net
