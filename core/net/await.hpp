// How this room waits for an asynchronous operation.
#pragma once

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/deferred.hpp>

#include "core/net/loop.hpp"

namespace switchyard::net {

// co_await f(..., kAwait) gives a tuple of the completion's values, error code first; it never
// throws, and unlike use_awaitable it costs no coroutine frame of its own.
inline constexpr auto kAwait = asio::as_tuple(asio::deferred);

}  // namespace switchyard::net
