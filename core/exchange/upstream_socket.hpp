// The upstream's end of a WebSocket: one side of a session, or where an answer's messages come
// from.
#pragma once

#include <memory>
#include <span>
#include <string>

#include "core/exchange/exchange.hpp"
#include "core/net/websocket_stream.hpp"

namespace switchyard::exchange {

// Before it goes, the socket's finish() must have returned.
struct UpstreamSocket {
  // `upgraded` has had its 101; `ahead` came behind that.
  UpstreamSocket(LoopContext& context, const config::Limits& limits,
                 std::unique_ptr<net::Stream> upgraded, std::string ahead);

  std::unique_ptr<net::Stream> stream;
  net::WebSocket socket;
};

// The plugin's ws_send to one side.
swy_rc send_message(net::WebSocket& socket, std::uint32_t opcode, std::span<const swy_seg> pieces);

}  // namespace switchyard::exchange
