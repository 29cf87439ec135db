#include "core/net/websocket_stream.hpp"

#include <boost/asio/detached.hpp>

#include "tests/unit/net/certificates.hpp"
#include "tests/unit/net/net_test.hpp"

namespace switchyard::net {
namespace {

using test::await;
using namespace std::chrono_literals;
using Received = WebSocket::Received;
using Kind = Received::Kind;

// Two streams of one loop. The WebSocket under test is on `near`; what is on `far` is the test's.
struct Pair {
  Loop loop{0};
  std::unique_ptr<Stream> near, far;

  Pair() {
    asio::basic_socket_acceptor<tcp, Executor> acceptor(
        loop.executor(), tcp::endpoint(asio::ip::address_v4::loopback(), 0));
    Socket socket(loop.executor());
    socket.connect(acceptor.local_endpoint());
    near = std::make_unique<Stream>(std::move(socket));
    far = std::make_unique<Stream>(acceptor.accept());
  }
};

std::string server_frame(WsOpcode opcode, std::string_view payload) {
  char header[kWsHeaderMax];
  std::string out(header, ws_write_header(header, opcode, payload.size(), nullptr));
  return out.append(payload);
}

Task<> write(Stream& stream, std::string bytes) {
  const std::array<asio::const_buffer, 1> pieces{asio::buffer(bytes)};
  co_await stream.write_all(pieces);
}

// Reads until `count` events of the peer's decoder came, or the stream ended.
Task<std::vector<std::string>> read_events(Stream& stream, bool masked, std::size_t count) {
  WsDecoder decoder(masked, 64u << 20);
  std::vector<std::string> events;
  std::vector<char> buffer(64 * 1024);
  while (events.size() < count) {
    const IoResult got = co_await stream.read_some(buffer.data(), buffer.size());
    if (got.ec || got.n == 0) {
      events.emplace_back("end");
      break;
    }
    std::span<char> bytes(buffer.data(), got.n);
    for (;;) {
      const WsEvent event = decoder.next(bytes);
      if (event.kind == WsEvent::Kind::kNeedMore) break;
      const int kind = static_cast<int>(event.kind);
      events.push_back(std::to_string(kind) + ":" + std::to_string(event.code) + ":" +
                       std::string(event.data));
    }
  }
  co_return events;
}

std::string event(WsEvent::Kind kind, unsigned code, const std::string& data) {
  return std::to_string(static_cast<int>(kind)) + ":" + std::to_string(code) + ":" + data;
}

WebSocket::Sent send(WebSocket& socket, std::string_view text) {
  const asio::const_buffer piece(text.data(), text.size());
  return socket.send(true, {&piece, 1});
}

}  // namespace

TEST_CASE("net: a WebSocket passes messages and answers pings on the way",
          "[unit][net][websocket]") {
  Pair pair;
  const auto run = [&]() -> Task<> {
    WebSocket socket(pair.loop, *pair.near, WebSocket::Role::kClient, {},
                     server_frame(WsOpcode::kText, "ahead"));
    const Received ahead = co_await socket.receive();
    CHECK(ahead.data == "ahead");
    co_await write(*pair.far, server_frame(WsOpcode::kPing, "p") +
                                  server_frame(WsOpcode::kBinary, "one") +
                                  server_frame(WsOpcode::kText, "two"));
    const Received one = co_await socket.receive();
    CHECK((one.kind == Kind::kMessage && !one.text && one.data == "one"));
    const Received two = co_await socket.receive();
    CHECK((two.kind == Kind::kMessage && two.text && two.data == "two"));
    send(socket, "three");
    const auto events = co_await read_events(*pair.far, true, 2);
    CHECK(events == std::vector<std::string>{event(WsEvent::Kind::kPong, 0, "p"),
                                             event(WsEvent::Kind::kMessage, 0, "three")});
    socket.close(4000, "enough");
    CHECK(send(socket, "late") == WebSocket::Sent::kGone);
    const auto close = co_await read_events(*pair.far, true, 1);
    CHECK(close == std::vector<std::string>{event(WsEvent::Kind::kClose, 4000, "enough")});
    co_await write(*pair.far, server_frame(WsOpcode::kText, "crossing") +
                                  server_frame(WsOpcode::kClose, "\x0f\xa0"));
    co_await socket.finish();
    CHECK_FALSE(socket.lost());
    CHECK_FALSE(pair.near->is_open());
  };
  await(pair.loop, run());
}

TEST_CASE("net: a peer's Close is answered with its code", "[unit][net][websocket]") {
  Pair pair;
  const auto run = [&]() -> Task<> {
    WebSocket socket(pair.loop, *pair.near, WebSocket::Role::kClient, {}, "");
    co_await write(*pair.far, server_frame(WsOpcode::kClose,
                                           "\x03\xe8"
                                           "bye"));
    const Received closed = co_await socket.receive();
    CHECK((closed.kind == Kind::kClosed && closed.code == 1000 && closed.data == "bye"));
    co_await socket.finish();
    const auto events = co_await read_events(*pair.far, true, 2);
    CHECK(events == std::vector<std::string>{event(WsEvent::Kind::kClose, 1000, ""), "end"});
  };
  await(pair.loop, run());
}

TEST_CASE("net: a peer that breaks the rules is told and has left", "[unit][net][websocket]") {
  Pair pair;
  const auto run = [&]() -> Task<> {
    WebSocket socket(pair.loop, *pair.near, WebSocket::Role::kClient, {}, "");
    co_await write(*pair.far, "\x81\x81mask");
    const Received closed = co_await socket.receive();
    CHECK((closed.kind == Kind::kClosed && closed.code == kWsAbnormal && socket.lost()));
    CHECK_FALSE(closed.fault.empty());
    co_await socket.finish();
    const auto events = co_await read_events(*pair.far, true, 2);
    CHECK(events[0].starts_with(event(WsEvent::Kind::kClose, kWsProtocolError, "")));
  };
  await(pair.loop, run());
}

TEST_CASE("net: a peer that answers no ping is dead, one that does is not",
          "[unit][net][websocket]") {
  for (const bool answers : {true, false}) {
    CAPTURE(answers);
    Pair pair;
    const auto run = [&]() -> Task<> {
      WebSocketLimits limits;
      limits.ping_every = 50ms;
      limits.pong_within = 50ms;
      WebSocket socket(pair.loop, *pair.near, WebSocket::Role::kClient, limits, "");
      unsigned pings = 0;
      const auto peer = [&]() -> Task<> {
        for (;;) {
          const auto events = co_await read_events(*pair.far, true, 1);
          if (events[0] == "end") co_return;
          if (events[0] == event(WsEvent::Kind::kPing, 0, "")) ++pings;
          if (answers) co_await write(*pair.far, server_frame(WsOpcode::kPong, ""));
          if (answers && pings == 4) {
            co_await write(*pair.far, server_frame(WsOpcode::kClose, ""));
          }
        }
      };
      asio::co_spawn(pair.loop.executor(), peer(), asio::detached);
      const Received closed = co_await socket.receive();
      CHECK(closed.kind == Kind::kClosed);
      CHECK(closed.code == (answers ? kWsNoCode : kWsAbnormal));
      CHECK(closed.fault.empty());
      CHECK(pings == (answers ? 4 : 1));
      co_await socket.finish();
    };
    await(pair.loop, run());
  }
}

TEST_CASE("net: a Close that is never answered ends in time", "[unit][net][websocket]") {
  Pair pair;
  const auto run = [&]() -> Task<> {
    WebSocketLimits limits;
    limits.close_within = 50ms;
    WebSocket socket(pair.loop, *pair.near, WebSocket::Role::kServer, limits, "");
    socket.close(kWsNormal);
    co_await socket.finish();
    CHECK(socket.lost());
  };
  await(pair.loop, run());
}

TEST_CASE("net: a peer that does not read is slow, then gets everything in order",
          "[unit][net][websocket]") {
  for (const auto role : {WebSocket::Role::kServer, WebSocket::Role::kClient}) {
    Pair pair;
    const auto run = [&]() -> Task<> {
      WebSocketLimits limits;
      limits.unsent_max = 4 << 20;
      WebSocket socket(pair.loop, *pair.near, role, limits, "");
      const std::string part(100'000, 'x');
      std::size_t sent = 0;
      auto state = WebSocket::Sent::kDone;
      while (state != WebSocket::Sent::kSlow) {
        state = send(socket, std::to_string(sent++) + part);
        REQUIRE(sent < 1000);
      }
      while (state != WebSocket::Sent::kTooMuch) {
        state = send(socket, std::to_string(sent) + part);
        if (state != WebSocket::Sent::kTooMuch) ++sent;
        REQUIRE(sent < 1000);
      }
      CHECK(socket.slow());
      std::vector<std::string> events;
      bool through = false;
      const auto peer = [&]() -> Task<> {
        const bool masked = role == WebSocket::Role::kClient;
        events = co_await read_events(*pair.far, masked, sent);
        through = true;
      };
      asio::co_spawn(pair.loop.executor(), peer(), asio::detached);
      while (socket.slow()) co_await socket.room();
      Signal tick(pair.loop);
      Deadline again(pair.loop, [&] { tick.notify(); });
      while (!through) {
        again.expires_after(25ms);
        co_await tick.wait();
      }
      REQUIRE(events.size() == sent);
      for (std::size_t i = 0; i < sent; ++i) {
        CHECK(events[i] == event(WsEvent::Kind::kMessage, 0, std::to_string(i) + part));
      }
      pair.far->close();
      co_await socket.finish();
    };
    await(pair.loop, run());
  }
}

TEST_CASE("net: a peer that never reads is lost after the time of a write",
          "[unit][net][websocket]") {
  Pair pair;
  const auto run = [&]() -> Task<> {
    WebSocketLimits limits;
    limits.write_timeout = 50ms;
    WebSocket socket(pair.loop, *pair.near, WebSocket::Role::kServer, limits, "");
    const std::string part(1 << 20, 'x');
    while (!socket.slow()) send(socket, part);
    while (socket.slow()) co_await socket.room();
    CHECK(socket.lost());
    CHECK(send(socket, "late") == WebSocket::Sent::kGone);
    co_await socket.finish();
  };
  await(pair.loop, run());
}

TEST_CASE("net: a receive can be interrupted and goes on", "[unit][net][websocket]") {
  Pair pair;
  const auto run = [&]() -> Task<> {
    WebSocket socket(pair.loop, *pair.near, WebSocket::Role::kClient, {}, "");
    Deadline later(pair.loop, [&] { socket.interrupt(); });
    later.expires_after(25ms);
    const Received interrupted = co_await socket.receive();
    CHECK(interrupted.kind == Kind::kInterrupted);
    co_await write(*pair.far, server_frame(WsOpcode::kText, "after"));
    const Received after = co_await socket.receive();
    CHECK(after.data == "after");
    pair.far->close();
    co_await socket.finish();
    CHECK(socket.lost());
  };
  await(pair.loop, run());
}

}  // namespace switchyard::net
