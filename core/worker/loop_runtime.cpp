#include "core/worker/loop_runtime.hpp"

#include "core/base/os_thread.hpp"

namespace switchyard {
namespace {

constexpr std::chrono::milliseconds kEmptyPoll{20};
constexpr unsigned kEmptyTries = 50;

}  // namespace

LoopRuntime::LoopRuntime(unsigned index, net::Resolver& resolver,
                         observe::LoopMetrics& loop_metrics, boost::asio::thread_pool& compute,
                         store::Store& store, account::Ledger& ledger)
    : loop(index),
      metrics(loop_metrics),
      pool(loop, resolver),
      gateway({loop, pool, metrics, &compute, &ledger, &ledger.add_loop(poster())}, compute, store),
      prober(gateway.context()),
      server(loop, gateway) {}

std::function<void(std::function<void()>)> LoopRuntime::poster() {
  return [this](std::function<void()> work) { post(std::move(work)); };
}

void LoopRuntime::start() {
  thread_ = std::thread([this] {
    name_thread("loop");
    loop.run();
  });
}

void LoopRuntime::drain() {
  gateway.set_draining();
  prober.stop();
  server.drain();
}

void LoopRuntime::cut() {
  post([this] {
    server.close_all();
    pool.clear();
    stop_when_empty(std::make_shared<net::Timer>(loop.executor()), kEmptyTries);
  });
}

// A loop ends when its last connection has, so that no coroutine outlives what it uses.
void LoopRuntime::stop_when_empty(std::shared_ptr<net::Timer> timer, unsigned tries) {
  prober.stop();
  const bool empty = server.connections() == 0 && prober.idle() && gateway.background_runs() == 0;
  if (empty || tries == 0) return loop.stop();
  timer->expires_after(kEmptyPoll);
  timer->async_wait([this, timer, tries](net::error_code) { stop_when_empty(timer, tries - 1); });
}

void LoopRuntime::join() {
  if (thread_.joinable()) thread_.join();
}

void LoopRuntime::measure() {
  const auto stats = pool.stats();
  metrics.open_connections.store(server.connections(), std::memory_order_relaxed);
  metrics.upstream_opened.store(stats.opened, std::memory_order_relaxed);
  metrics.upstream_reused.store(stats.reused, std::memory_order_relaxed);
  metrics.upstream_failed.store(stats.failed, std::memory_order_relaxed);
  metrics.upstream_idle.store(static_cast<std::int64_t>(stats.idle), std::memory_order_relaxed);
  metrics.upstream_active.store(static_cast<std::int64_t>(stats.active), std::memory_order_relaxed);
}

}  // namespace switchyard
