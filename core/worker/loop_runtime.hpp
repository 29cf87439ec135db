// One event loop with everything that lives on it.
#pragma once

#include <boost/asio/post.hpp>
#include <boost/asio/thread_pool.hpp>
#include <functional>
#include <thread>

#include "core/account/ledger.hpp"
#include "core/net/dns.hpp"
#include "core/net/loop.hpp"
#include "core/net/server.hpp"
#include "core/observe/metrics.hpp"
#include "core/store/store.hpp"
#include "core/surface/gateway.hpp"
#include "core/surface/prober.hpp"

namespace switchyard {

struct LoopRuntime {
  LoopRuntime(unsigned index, net::Resolver& resolver, observe::LoopMetrics& loop_metrics,
              boost::asio::thread_pool& compute, store::Store& store, account::Ledger& ledger);

  // Runs work on the loop, soon. [any thread]
  template <class Work>
  void post(Work work) {
    boost::asio::post(loop.context(), std::move(work));
  }
  // The loop runs on a thread of its own.
  void start();
  // Takes no new connections; those that are open end when nothing runs on them. [loop]
  void drain();
  // Cuts what is left, then ends the loop. [any thread]
  void cut();
  // After cut().
  void join();
  // What only the loop can read goes into its metrics. [loop]
  void measure();

  net::Loop loop;
  observe::LoopMetrics& metrics;
  net::UpstreamPool pool;
  surface::Gateway gateway;
  surface::Prober prober;
  net::HttpServer server;

 private:
  std::function<void(std::function<void()>)> poster();
  void stop_when_empty(std::shared_ptr<net::Timer> timer, unsigned tries);

  std::thread thread_;
};

}  // namespace switchyard
