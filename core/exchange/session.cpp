#include "core/exchange/session.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>

namespace switchyard::exchange {

using net::Task;
using net::WebSocket;

Session::Session(LoopContext& context, const config::Limits& limits,
                 std::unique_ptr<net::Stream> upstream, std::string ahead, Step step)
    : context_(context),
      idle_max_(limits.session_idle),
      upgraded_(context, limits, std::move(upstream), std::move(ahead)),
      step_(std::move(step)),
      ended_(context.loop),
      idle_(context.loop,
            [this] { stop("session_idle", "no message came for longer than a session may idle"); }),
      timer_(context.loop, [this] {
        if (running()) take(step_(SWY_EV_TIMER, {}, {}, 0));
      }) {
  upstream_.socket = &upgraded_.socket;
  next_.act = SWY_ACT_FEED;
}

Task<Session::Next> Session::run(Next next, SessionClient& client) {
  take(std::move(next));
  if (running()) {
    client_.socket = co_await client.accept();
    if (client_.socket == nullptr) {
      Next gone;
      gone.fault.message = "the client left";
      end(std::move(gone));
    }
  }
  if (running()) co_await relay();

  const bool done = next_.act == SWY_ACT_DONE;
  const bool hurried = client_.socket != nullptr && client_.socket->hurried();
  if (done && client_.socket != nullptr) {
    client_.socket->close(net::kWsNormal);
    // Who said goodbye waits for the connection's end.
    if (client_.socket->closed()) co_await client_.socket->finish();
  }
  upstream_.socket->close(done ? net::kWsNormal : net::kWsGoingAway);
  if (!done || hurried) upstream_.socket->going_away();
  co_await upstream_.socket->finish();
  co_return std::move(next_);
}

Task<> Session::relay() {
  idle_.expires_after(idle_max_);
  upstream_read_ = false;
  net::asio::co_spawn(context_.loop.context(), read_upstream(), net::asio::detached);
  co_await read(client_);
  while (!upstream_read_) co_await ended_.wait();
  idle_.disarm();
  timer_.disarm();
  if (!running()) co_return;
  Next stuck;
  stuck.fault.message = "the plugin waits for an event that can't come";
  end(std::move(stuck));
}

Task<> Session::read_upstream() {
  co_await read(upstream_);
  upstream_read_ = true;
  ended_.notify();
}

Task<> Session::read(Side& side) {
  while (running() && !side.left) {
    const WebSocket::Received got = co_await side.socket->receive();
    if (!running()) break;
    upstream_.slow = client_.slow = false;
    if (got.kind == WebSocket::Received::Kind::kMessage) {
      idle_.expires_after(idle_max_);
      take(step_(side.message_event, got.data, got.text ? "text" : "binary", 0));
    } else if (got.kind == WebSocket::Received::Kind::kClosed) {
      side.left = true;
      take(step_(SWY_EV_CLOSED, got.data, side.name, got.code));
    }
    co_await wait_for_room();
  }
}

// Whoever has said more than the other side takes is not listened to until that has caught up.
Task<> Session::wait_for_room() {
  const bool up = upstream_.slow;
  const bool down = client_.slow;
  while (running() && up && upstream_.socket->slow()) co_await upstream_.socket->room();
  while (running() && down && client_.socket->slow()) co_await client_.socket->room();
}

void Session::take(Next next) {
  if (next.act == SWY_ACT_FEED) return;
  if (next.act == SWY_ACT_WAIT) {
    timer_.expires_after(std::chrono::milliseconds(next.delay_ns / 1'000'000u + 1));
    return;
  }
  if (next.act == SWY_ACT_SEND) {
    next = Next();
    next.fault.message = "the plugin sends a request within a session";
  }
  end(std::move(next));
}

void Session::end(Next next) {
  if (!running()) return;
  next_ = std::move(next);
  upstream_.socket->interrupt();
  if (client_.socket != nullptr) client_.socket->interrupt();
}

void Session::stop(const char* code, const char* what, std::int32_t cls) {
  if (!running()) return;
  code_ = code;
  Next next;
  next.fault.cls = cls;
  next.fault.message = what;
  end(std::move(next));
}

swy_rc Session::send(bool to_client, std::uint32_t opcode, std::span<const swy_seg> pieces) {
  Side& side = to_client ? client_ : upstream_;
  if (side.socket == nullptr) return SWY_E_ARG;
  const swy_rc rc = send_message(*side.socket, opcode, pieces);
  if (rc == SWY_SLOW) side.slow = true;
  return rc;
}

}  // namespace switchyard::exchange
