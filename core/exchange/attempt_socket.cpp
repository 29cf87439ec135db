// What an attempt does with a connection that the upstream upgraded to a WebSocket: a session takes
// it, or it brings an answer in messages.
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>

#include "core/exchange/attempt.hpp"
#include "core/net/await.hpp"

namespace switchyard::exchange {

using net::Task;
using net::WebSocket;

namespace {

// Nobody waits for an upstream that is done with, or given up, to say its goodbye.
Task<> hang_up(std::unique_ptr<UpstreamSocket> upstream, bool done) {
  if (done) {
    upstream->socket.close(net::kWsNormal);
  } else {
    upstream->socket.going_away();
  }
  co_await upstream->socket.finish();
}

}  // namespace

std::optional<net::NetError> Attempt::open_socket(const net::ResponseHead& answer) {
  const char* const wrong =
      net::ws_check_answer(answer, outgoing_.websocket_key(), outgoing_.websocket_protocols());
  if (wrong != nullptr) return net::NetError{net::NetFault::kProtocol, wrong, false, false};
  std::string ahead;
  auto stream = connection_->take_stream(ahead);
  if (request_.session == nullptr) {
    rare().socket =
        std::make_unique<UpstreamSocket>(context_, limits_, std::move(stream), std::move(ahead));
    return std::nullopt;
  }
  auto message_step = [this](std::uint32_t kind, std::string_view data, std::string_view name,
                             unsigned status) { return step(kind, data, name, status); };
  session_ = std::make_unique<Session>(context_, limits_, std::move(stream), std::move(ahead),
                                       std::move(message_step));
  return std::nullopt;
}

swy_rc Attempt::ws_send(bool to_client, std::uint32_t opcode, std::span<const swy_seg> pieces) {
  if (session_) return session_->send(to_client, opcode, pieces);
  if (to_client || !rare_ || !rare_->socket) return SWY_E_ARG;
  return send_message(rare_->socket->socket, opcode, pieces);
}

Task<Attempt::Next> Attempt::run_session(Next next) {
  next = co_await session_->run(std::move(next), *request_.session);
  fault_.code = session_->code();
  if (*fault_.code != '\0') {
    fault_.cls = next.fault.cls;
    fault_.message = next.fault.message;
    fault_.bounded = true;
  }
  session_.reset();
  connection_.reset();
  co_return next;
}

Task<Attempt::Next> Attempt::feed_socket(Next next) {
  connection_.reset();
  // The answer begins with its first message, not with the 101.
  std::chrono::milliseconds patience = timeouts_.first_byte;
  while (next.act == SWY_ACT_FEED) {
    const WebSocket::Received got = co_await receive(patience);
    patience = timeouts_.between_bytes;
    next = give_received(got);
    // The last of it goes out when the answer is paid.
    if (next.act == SWY_ACT_FEED && emitted_) {
      co_await net::after_ready(context_.loop.executor());
      if (!flushed()) co_await flush();
    }
    if (exhausted_) break;
    if (given_up()) {
      aborted_ = true;
      next.act = SWY_ACT_FAIL;
    }
  }
  auto goodbye = hang_up(std::move(rare_->socket), next.act == SWY_ACT_DONE);
  net::asio::co_spawn(context_.loop.context(), std::move(goodbye), net::asio::detached);
  co_return next;
}

// Waits for no longer than `within`. An upstream that does not take what it was sent is not heard.
Task<WebSocket::Received> Attempt::receive(std::chrono::milliseconds within) {
  WebSocket& socket = rare_->socket->socket;
  net::Deadline deadline(context_.loop,
                         [this] { time_out("the upstream sent no message in time"); });
  deadline.expires_after(within);
  while (socket.slow() && !aborted_) co_await socket.room();
  const WebSocket::Received got = co_await socket.receive();
  co_return got;
}

// A Close tells the plugin where the answer ends; one that ends without is cut.
Attempt::Next Attempt::give_received(const WebSocket::Received& got) {
  using Kind = WebSocket::Received::Kind;
  if (got.kind == Kind::kMessage) {
    return step(SWY_EV_UP_MSG, got.data, got.text ? "text" : "binary");
  }
  if (got.kind == Kind::kInterrupted || aborted_) {
    return broken({net::NetFault::kAborted, "the attempt was given up", false, false});
  }
  if (!got.fault.empty()) {
    return broken({net::NetFault::kProtocol, "the upstream's WebSocket: " + std::string(got.fault),
                   false, false});
  }
  if (got.code == net::kWsAbnormal) {
    return broken(
        {net::NetFault::kClosed, "the upstream left its WebSocket without a Close", false, false});
  }
  return step(SWY_EV_CLOSED, got.data, "upstream", got.code);
}

}  // namespace switchyard::exchange
