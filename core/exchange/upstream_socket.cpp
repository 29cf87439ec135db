#include "core/exchange/upstream_socket.hpp"

#include <deque>
#include <vector>

#include "core/exchange/outgoing.hpp"

namespace switchyard::exchange {
namespace {

using net::WebSocket;

// An upstream that was told to close need not be waited for long: nothing depends on its answer.
net::WebSocketLimits upstream_limits(const config::Limits& limits) {
  net::WebSocketLimits result;
  result.write_timeout = limits.write_timeout;
  result.close_within = std::chrono::milliseconds(1000);
  return result;
}

swy_rc send_close(WebSocket& socket, std::string_view payload) {
  if (payload.empty()) {
    socket.close(net::kWsNoCode);
    return SWY_OK;
  }
  if (payload.size() == 1) return SWY_E_ARG;
  const unsigned code =
      static_cast<unsigned char>(payload[0]) * 256u + static_cast<unsigned char>(payload[1]);
  net::Utf8Check utf8;
  if (!net::ws_valid_close_code(code) || !utf8.feed(payload.substr(2)) || !utf8.complete()) {
    return SWY_E_ARG;
  }
  socket.close(static_cast<std::uint16_t>(code), payload.substr(2));
  return SWY_OK;
}

}  // namespace

UpstreamSocket::UpstreamSocket(LoopContext& context, const config::Limits& limits,
                               std::unique_ptr<net::Stream> upgraded, std::string ahead)
    : stream(std::move(upgraded)),
      socket(context.loop, *stream, WebSocket::Role::kClient, upstream_limits(limits),
             std::move(ahead)) {}

swy_rc send_message(WebSocket& socket, std::uint32_t opcode, std::span<const swy_seg> pieces) {
  std::deque<std::string> encoded;
  std::vector<net::asio::const_buffer> buffers;
  buffers.reserve(pieces.size());
  for (const swy_seg& piece : pieces) {
    if (piece.kind != SWY_SEG_BYTES) return SWY_E_UNSUP;
    std::string_view bytes = view(piece.b);
    if (piece.enc != SWY_ENC_RAW) {
      if (!append_encoded(encoded.emplace_back(), piece.enc, bytes)) return SWY_E_UNSUP;
      bytes = encoded.back();
    }
    buffers.emplace_back(bytes.data(), bytes.size());
  }
  if (opcode == static_cast<std::uint32_t>(net::WsOpcode::kClose)) {
    std::string payload;
    for (const auto& buffer : buffers) {
      payload.append(static_cast<const char*>(buffer.data()), buffer.size());
    }
    return send_close(socket, payload);
  }
  const bool text = opcode == static_cast<std::uint32_t>(net::WsOpcode::kText);
  if (!text && opcode != static_cast<std::uint32_t>(net::WsOpcode::kBinary)) return SWY_E_ARG;
  switch (socket.send(text, buffers)) {
    case WebSocket::Sent::kDone:
      return SWY_OK;
    case WebSocket::Sent::kSlow:
      return SWY_SLOW;
    case WebSocket::Sent::kGone:
      return SWY_E_GONE;
    default:
      return SWY_E_LIMIT;
  }
}

}  // namespace switchyard::exchange
