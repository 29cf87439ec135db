// How this room waits for an asynchronous operation.
#pragma once

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/deferred.hpp>
#include <boost/asio/post.hpp>

#include "core/net/loop.hpp"

namespace switchyard::net {

// co_await f(..., kAwait) gives a tuple of the completion's values, error code first; it never
// throws, and unlike use_awaitable it costs no coroutine frame of its own.
inline constexpr auto kAwait = asio::as_tuple(asio::deferred);

// co_await after_ready(executor) goes on when all has run that is ready on the loop by now. Before
// a send it makes the sends of a busy loop follow one another closely: a receiver that has been
// woken for the first one is still there for the next, where it would have slept again (waking is a
// third of what a send costs). An idle loop goes on at once.
inline auto after_ready(const Executor& executor) { return asio::post(executor, asio::deferred); }

}  // namespace switchyard::net
