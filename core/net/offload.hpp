// Work that would hold a loop up, done on a pool of threads.
#pragma once

#include <boost/asio/post.hpp>
#include <boost/asio/thread_pool.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <utility>

#include "core/net/loop.hpp"

namespace switchyard::net {

// Runs `work` on the pool and resumes on the caller's loop. What `work` refers to must live until
// then; it must not throw.
template <class Work>
Task<> offload(asio::thread_pool& pool, Work work) {
  auto initiate = [&pool, &work](auto handler) {
    asio::post(pool, [&work, handler = std::move(handler)]() mutable {
      work();
      const auto executor = asio::get_associated_executor(handler);
      asio::post(executor, std::move(handler));
    });
  };
  const asio::use_awaitable_t<Executor> token;
  co_await asio::async_initiate<const asio::use_awaitable_t<Executor>&, void()>(initiate, token);
}

}  // namespace switchyard::net
