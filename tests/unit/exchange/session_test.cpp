#include "core/exchange/session.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>

#include "core/net/dns.hpp"
#include "tests/unit/net/net_test.hpp"

namespace switchyard::exchange {
namespace {

using net::Stream;
using net::Task;
using net::WebSocket;
using Next = Session::Next;
using Kind = WebSocket::Received::Kind;

Next act(std::uint32_t what) {
  Next next;
  next.act = what;
  return next;
}

swy_seg seg(std::string_view text, std::uint32_t encoding = SWY_ENC_RAW) {
  return {SWY_SEG_BYTES, encoding, 0, 0, to_swy(text)};
}

// A session between two ends that the test holds, driven by what the test says in the place of a
// plugin.
struct Stage : SessionClient {
  Stage() {
    auto [near_client, far_client] = pair();
    auto [near_upstream, far_upstream] = pair();
    client_stream = std::move(near_client);
    client_end_stream = std::move(far_client);
    upstream_end_stream = std::move(far_upstream);
    client_end.emplace(loop, *client_end_stream, WebSocket::Role::kClient, net::WebSocketLimits(),
                       "");
    upstream_end.emplace(loop, *upstream_end_stream, WebSocket::Role::kServer,
                         net::WebSocketLimits(), "");
    auto step = [this](std::uint32_t kind, std::string_view data, std::string_view name,
                       unsigned status) {
      events.push_back(std::to_string(kind) + " " + std::string(name) + " " +
                       std::to_string(status) + " " + std::string(data));
      return plugin(kind, data);
    };
    session = std::make_unique<Session>(context, limits, std::move(near_upstream), "", step);
  }

  std::pair<std::unique_ptr<Stream>, std::unique_ptr<Stream>> pair() {
    net::asio::basic_socket_acceptor<net::tcp, net::Executor> acceptor(
        loop.executor(), net::tcp::endpoint(net::asio::ip::address_v4::loopback(), 0));
    net::Socket socket(loop.executor());
    socket.connect(acceptor.local_endpoint());
    auto near = std::make_unique<Stream>(std::move(socket));
    return {std::move(near), std::make_unique<Stream>(acceptor.accept())};
  }

  Task<WebSocket*> accept() override {
    if (client_left) co_return nullptr;
    client.emplace(loop, *client_stream, WebSocket::Role::kServer, net::WebSocketLimits(), "");
    co_return &*client;
  }

  // What the two ends do meanwhile.
  using Talk = std::function<Task<>()>;

  Next run(Talk talk) {
    Next result;
    const auto all = [&]() -> Task<> {
      net::Signal changed(loop);
      unsigned left = 2;
      const auto one = [&](Talk work) -> Task<> {
        co_await work();
        --left;
        changed.notify();
      };
      const auto relay = [&]() -> Task<> {
        result = co_await session->run(act(SWY_ACT_FEED), *this);
        // As the surface does: tells nothing, and ends the client.
        if (client) co_await client->finish();
      };
      net::asio::co_spawn(loop.executor(), one(relay), net::asio::detached);
      net::asio::co_spawn(loop.executor(), one(talk), net::asio::detached);
      while (left > 0) co_await changed.wait();
      co_await client_end->finish();
      co_await upstream_end->finish();
    };
    net::test::await(loop, all());
    return result;
  }

  static void say(WebSocket& end, std::string_view text) {
    const net::asio::const_buffer piece(text.data(), text.size());
    end.send(true, {&piece, 1});
  }

  swy_rc send(bool to_client, std::uint32_t opcode, std::string_view text) {
    const swy_seg piece = seg(text);
    return session->send(to_client, opcode, {&piece, 1});
  }

  net::Loop loop{0};
  net::Resolver resolver{net::Resolver::Options{}};
  net::UpstreamPool pool{loop, resolver};
  observe::LoopMetrics metrics;
  LoopContext context{loop, pool, metrics};
  config::Limits limits;
  bool client_left = false;
  std::unique_ptr<Stream> client_stream, client_end_stream, upstream_end_stream;
  std::optional<WebSocket> client, client_end, upstream_end;
  std::vector<std::string> events;
  std::function<Next(std::uint32_t kind, std::string_view data)> plugin =
      [](std::uint32_t, std::string_view) { return act(SWY_ACT_FEED); };
  std::unique_ptr<Session> session;
};

}  // namespace

TEST_CASE("exchange: each message of a session is a step, which may send to either side",
          "[unit][exchange]") {
  Stage stage;
  // Before the client is accepted only the upstream can be spoken to.
  CHECK(stage.send(true, 1, "early") == SWY_E_ARG);
  CHECK(stage.send(false, 1, "first") == SWY_OK);
  stage.plugin = [&](std::uint32_t kind, std::string_view data) {
    if (kind == SWY_EV_CLOSED) return act(SWY_ACT_DONE);
    const bool up = kind == SWY_EV_DOWN_MSG;
    const swy_seg pieces[] = {seg("<"), seg(data), seg("\"q\"", SWY_ENC_JSON),
                              seg("xyz", SWY_ENC_BASE64), seg("")};
    CHECK(stage.session->send(!up, 1, pieces) == SWY_OK);
    CHECK(stage.send(up, 2, "also") == SWY_OK);
    return act(SWY_ACT_FEED);
  };
  const auto talk = [&]() -> Task<> {
    const auto first = co_await stage.upstream_end->receive();
    CHECK(first.data == "first");
    Stage::say(*stage.client_end, "hello");
    const auto up = co_await stage.upstream_end->receive();
    CHECK((up.text && up.data == "<hello\\\"q\\\"eHl6"));
    const auto also = co_await stage.client_end->receive();
    CHECK((!also.text && also.data == "also"));
    stage.client_end->close(4000, "bye");
    const auto closed = co_await stage.upstream_end->receive();
    CHECK((closed.kind == Kind::kClosed && closed.code == 1000));
  };
  CHECK(stage.run(talk).act == SWY_ACT_DONE);
  CHECK(stage.events == std::vector<std::string>{"10 text 0 hello", "11 client 4000 bye"});
  CHECK(stage.send(true, 1, "late") == SWY_E_GONE);
  CHECK(stage.send(false, 1, "late") == SWY_E_GONE);
}

TEST_CASE("exchange: what a plugin may not send within a session", "[unit][exchange]") {
  Stage stage;
  stage.plugin = [&](std::uint32_t, std::string_view) {
    CHECK(stage.send(true, 0, "x") == SWY_E_ARG);
    CHECK(stage.send(true, 9, "x") == SWY_E_ARG);
    CHECK(stage.send(true, 8, "\x03") == SWY_E_ARG);
    CHECK(stage.send(true, 8, "\x03\xed") == SWY_E_ARG);  // 1005
    CHECK(stage.send(true, 8, "\x03\xe8\xff") == SWY_E_ARG);
    const swy_seg blob{SWY_SEG_BLOB, SWY_ENC_RAW, 0, 0, {nullptr, 1}};
    CHECK(stage.session->send(true, 1, {&blob, 1}) == SWY_E_UNSUP);
    const swy_seg odd = seg("x", 9);
    CHECK(stage.session->send(true, 1, {&odd, 1}) == SWY_E_UNSUP);
    const std::string big(20u << 20, 'x');
    CHECK(stage.send(true, 1, big) == SWY_SLOW);
    CHECK(stage.send(true, 1, big) == SWY_E_LIMIT);
    CHECK(stage.send(false, 8,
                     "\x0f\xa0"
                     "enough") == SWY_OK);
    return act(SWY_ACT_DONE);
  };
  const auto talk = [&]() -> Task<> {
    Stage::say(*stage.upstream_end, "go");
    const auto closed = co_await stage.upstream_end->receive();
    CHECK((closed.kind == Kind::kClosed && closed.code == 4000 && closed.data == "enough"));
  };
  CHECK(stage.run(talk).act == SWY_ACT_DONE);
}

TEST_CASE("exchange: a timer of a session comes while its messages go on", "[unit][exchange]") {
  Stage stage;
  stage.plugin = [&](std::uint32_t kind, std::string_view data) {
    if (kind == SWY_EV_TIMER) return act(SWY_ACT_DONE);
    if (data != "wait") return act(SWY_ACT_FEED);
    Next wait = act(SWY_ACT_WAIT);
    wait.delay_ns = 50'000'000;
    return wait;
  };
  const auto talk = [&]() -> Task<> {
    Stage::say(*stage.client_end, "wait");
    Stage::say(*stage.client_end, "more");
    const auto closed = co_await stage.client_end->receive();
    CHECK(closed.code == 1000);
  };
  CHECK(stage.run(talk).act == SWY_ACT_DONE);
  CHECK(stage.events == std::vector<std::string>{"10 text 0 wait", "10 text 0 more", "6  0 "});
}

TEST_CASE("exchange: a session that can't go on fails, and the client can still be told",
          "[unit][exchange]") {
  const auto fails = [](const std::function<Next(std::uint32_t)>& plugin,
                        const std::function<void(Stage&)>& meanwhile) {
    Stage stage;
    stage.plugin = [&](std::uint32_t kind, std::string_view) { return plugin(kind); };
    const auto talk = [&]() -> Task<> {
      meanwhile(stage);
      const auto closed = co_await stage.upstream_end->receive();
      CHECK(closed.kind == Kind::kClosed);
    };
    const Next next = stage.run(talk);
    CHECK(next.act == SWY_ACT_FAIL);
    return std::make_pair(next.fault.message, std::string(stage.session->code()));
  };
  const auto feed = [](std::uint32_t) { return act(SWY_ACT_FEED); };
  CHECK(fails([](std::uint32_t) { return act(SWY_ACT_SEND); },
              [](Stage& stage) { Stage::say(*stage.client_end, "x"); })
            .first == "the plugin sends a request within a session");
  CHECK(fails(feed, [](Stage& stage) {
          stage.client_end->close(1000);
          stage.upstream_end->close(1000);
        }).first == "the plugin waits for an event that can't come");
  CHECK(fails(feed, [](Stage& stage) { stage.session->stop("session_expired", "too long"); }) ==
        std::make_pair(std::string("too long"), std::string("session_expired")));

  Stage gone;
  gone.client_left = true;
  const auto nothing = [&]() -> Task<> { co_return; };
  CHECK(gone.run(nothing).act == SWY_ACT_FAIL);
}

}  // namespace switchyard::exchange
