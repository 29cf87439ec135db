#include "core/net/http_client.hpp"

#include <zlib.h>

#include <future>
#include <mutex>

#include "core/net/cancel.hpp"
#include "core/net/dns.hpp"
#include "core/net/tls.hpp"
#include "tests/unit/net/net_test.hpp"

namespace switchyard::net {
namespace {

using test::await;
using test::let_loop_read;
using test::Peer;
using test::ScriptServer;
using namespace std::chrono_literals;

using Acquired = Result<std::unique_ptr<UpstreamConnection>, NetError>;

// A name service that gives the same addresses for every name.
Resolver::Lookup names(const std::vector<std::string>& addresses) {
  return [addresses](const std::string&, std::string& why) {
    std::vector<asio::ip::address> out;
    for (const std::string& text : addresses) out.push_back(asio::ip::make_address(text));
    why = "no such name";
    return out;
  };
}

struct Host {
  Loop loop{0};
  Resolver resolver;
  UpstreamPool pool{loop, resolver};

  explicit Host(Resolver::Lookup lookup = {})
      : resolver(Resolver::Options{.threads = 1, .lookup = std::move(lookup)}) {}
};

std::shared_ptr<Upstream> to_port(std::uint16_t port) {
  auto upstream = std::make_shared<Upstream>();
  upstream->tls = false;
  upstream->host = "127.0.0.1";
  upstream->port = port;
  return upstream;
}

// One exchange as a caller sees it.
struct Answer {
  unsigned status = 0;
  std::string body;
  std::string coding;
  std::optional<NetError> error;
  bool kept = false;  // the connection went back into the pool
  bool reused = false;
};

struct Request {
  std::string method = "GET";
  std::string body;
  std::chrono::milliseconds timeout = 5s;
};

Task<void> exchange_on(UpstreamConnection& connection, const Request& request, Answer& answer) {
  connection.set_timeout(request.timeout);
  const std::string head = request.method + " /v1/models HTTP/1.1\r\nHost: up.example\r\n\r\n";
  const asio::const_buffer pieces[] = {asio::buffer(head), asio::buffer(request.body)};
  const std::span<const asio::const_buffer> all(pieces);
  auto sent = co_await connection.send(all, request.method);
  if (!sent) {
    answer.error = sent.error();
    co_return;
  }
  auto got = co_await connection.read_head();
  if (!got) {
    answer.error = got.error();
    co_return;
  }
  answer.status = (*got)->status;
  answer.coding = (*got)->find("content-encoding");
  for (;;) {
    auto slice = co_await connection.read_body();
    if (!slice) {
      answer.error = slice.error();
      co_return;
    }
    if (slice->empty()) co_return;
    answer.body += *slice;
  }
}

Task<Answer> exchange(UpstreamPool& pool, std::shared_ptr<Upstream> upstream, Request request) {
  Answer answer;
  const std::uint64_t reused = pool.stats().reused;
  auto acquired = co_await pool.acquire(upstream, false);
  if (!acquired) {
    answer.error = acquired.error();
    co_return answer;
  }
  co_await exchange_on(**acquired, request, answer);
  const std::uint64_t idle = pool.stats().idle;
  pool.release(std::move(*acquired));
  answer.kept = pool.stats().idle > idle;
  answer.reused = pool.stats().reused > reused;
  co_return answer;
}

// One answer of a server that then closes, or that would go on: whether the client kept the
// connection shows in `kept`.
Answer ask(const std::string& wire, Request request = Request(), bool close = true) {
  Host host;
  const auto script = [&](Peer& peer) {
    peer.read_request();
    peer.send(wire);
    if (close) {
      peer.close();
    } else {
      peer.wait_end();
    }
  };
  ScriptServer server({script});
  Answer answer = await(host.loop, exchange(host.pool, to_port(server.port()), request));
  host.pool.clear();
  return answer;
}
Answer ask_open(const std::string& wire, Request request = Request()) {
  return ask(wire, std::move(request), false);
}

std::string deflated(const std::string& text, int window) {
  z_stream stream{};
  deflateInit2(&stream, 9, Z_DEFLATED, window, 8, Z_DEFAULT_STRATEGY);
  std::string out(deflateBound(&stream, text.size()), '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));
  stream.avail_in = static_cast<uInt>(text.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  deflate(&stream, Z_FINISH);
  out.resize(stream.total_out);
  deflateEnd(&stream);
  return out;
}
constexpr int kGzip = 15 + 16, kZlib = 15, kRaw = -15;

std::string with_length(const std::string& headers, const std::string& body) {
  return "HTTP/1.1 200 OK\r\n" + headers + "Content-Length: " + std::to_string(body.size()) +
         "\r\n\r\n" + body;
}

NetFault fault_of(const std::string& wire) {
  const Answer answer = ask_open(wire);
  REQUIRE(answer.error);
  CHECK_FALSE(answer.kept);
  return answer.error->fault;
}

Answer get(Host& host, std::shared_ptr<Upstream> upstream) {
  return await(host.loop, exchange(host.pool, std::move(upstream), Request()));
}

NetError connect_error(Host& host, std::shared_ptr<Upstream> upstream) {
  const Answer answer = get(host, std::move(upstream));
  REQUIRE(answer.error);
  CHECK(answer.error->nothing_received);
  CHECK_FALSE(answer.error->reused);
  return *answer.error;
}

// Answers each of so many requests on a connection.
ScriptServer::Script serve(int requests, const std::string& body = "hello") {
  return [requests, body](Peer& peer) {
    for (int i = 0; i < requests; ++i) {
      peer.read_request();
      peer.send(with_length("", body));
    }
    peer.wait_end();
  };
}

}  // namespace

TEST_CASE("http client: a server that closes before it answers is told apart from one that cuts",
          "[unit][net]") {
  const Answer nothing = ask("");
  REQUIRE(nothing.error);
  CHECK(nothing.error->fault == NetFault::kClosed);
  CHECK(nothing.error->nothing_received);
  CHECK(nothing.error->message == "closed before an answer came");

  const Answer half = ask("HTTP/1.1 200 OK\r\nContent-Le");
  REQUIRE(half.error);
  CHECK(half.error->fault == NetFault::kClosed);
  CHECK_FALSE(half.error->nothing_received);
}

TEST_CASE("http client: a body that ends too early is never a clean end", "[unit][net]") {
  const std::string gzip = deflated(std::string(1000, 'a'), kGzip);
  const std::string wires[] = {
      "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello",
      "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n",
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n",
      "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 999\r\n\r\n" + gzip};
  for (const std::string& wire : wires) {
    CAPTURE(wire);
    const Answer answer = ask(wire);
    REQUIRE(answer.error);
    CHECK(answer.error->fault == NetFault::kClosed);
    CHECK(answer.error->message == "closed in the middle of the body");
    CHECK_FALSE(answer.error->nothing_received);
    CHECK_FALSE(answer.kept);
  }
}

TEST_CASE("http client: what is not HTTP/1.1 is a protocol fault", "[unit][net]") {
  CHECK(fault_of("SSH-2.0-OpenSSH\r\n\r\n") == NetFault::kProtocol);
  CHECK(fault_of("HTTP/1.1 200 OK\r\nContent-Length: 5, 6\r\n\r\nhello") == NetFault::kProtocol);
  CHECK(fault_of("HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n") ==
        NetFault::kProtocol);
  CHECK(fault_of("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n") ==
        NetFault::kProtocol);
  CHECK(fault_of(with_length("Content-Encoding: br\r\n", "x")) == NetFault::kProtocol);
  CHECK(fault_of(with_length("Content-Encoding: gzip, gzip\r\n", "x")) == NetFault::kProtocol);
  CHECK(fault_of("HTTP/1.1 200 OK\r\nX: " + std::string(70'000, 'x') + "\r\n\r\n") ==
        NetFault::kTooLarge);
}

TEST_CASE("http client: at most eight 1xx answers are passed over", "[unit][net]") {
  const std::string early = "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n";
  std::string eight = "HTTP/1.1 100 Continue\r\n\r\n";
  for (int i = 0; i < 7; ++i) eight += early;
  const Answer answer = ask_open(eight + with_length("", "hello"));
  CHECK(answer.status == 200);
  CHECK(answer.body == "hello");
  CHECK(answer.kept);
  CHECK(fault_of(eight + early + with_length("", "hello")) == NetFault::kProtocol);
}

TEST_CASE("http client: answers without a body by their nature end at their head", "[unit][net]") {
  const Answer head =
      ask_open("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n", {.method = "HEAD"});
  CHECK(head.status == 200);
  CHECK(head.body.empty());
  CHECK(head.kept);
  CHECK(ask_open("HTTP/1.1 204 No Content\r\n\r\n").kept);
  CHECK(ask_open("HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n").kept);
  CHECK(ask_open("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").kept);
  CHECK(ask_open("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n").kept);
}

TEST_CASE("http client: a connection that is not clean afterwards is not kept", "[unit][net]") {
  CHECK(ask_open(with_length("", "hello")).kept);
  CHECK(ask_open("HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello").body == "hello");
  CHECK_FALSE(ask_open("HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello").kept);
  CHECK_FALSE(ask_open(with_length("Connection: close\r\n", "hello")).kept);
  // Bytes behind the answer: perhaps meant for somebody else, never given to the next one.
  const Answer more = ask_open(with_length("", "hello") + with_length("", "other"));
  CHECK(more.body == "hello");
  CHECK_FALSE(more.kept);
  const Answer chunked = ask_open(
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\nHTTP/1.1");
  CHECK(chunked.body == "hello");
  CHECK_FALSE(chunked.kept);
  const Answer until_close = ask("HTTP/1.1 200 OK\r\n\r\nhello");
  CHECK(until_close.body == "hello");
  CHECK_FALSE(until_close.error);
  CHECK_FALSE(until_close.kept);
}

TEST_CASE("http client: a body that was not read to its end keeps the connection from the pool",
          "[unit][net]") {
  Host host;
  ScriptServer server({serve(1, std::string(9000, 'x'))});
  const auto upstream = to_port(server.port());
  const auto only_head = [&]() -> Task<unsigned> {
    auto acquired = co_await host.pool.acquire(upstream, false);
    const std::string text = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";
    const asio::const_buffer piece = asio::buffer(text);
    const std::span<const asio::const_buffer> pieces(&piece, 1);
    (void)co_await (*acquired)->send(pieces, "GET");
    const auto head = co_await (*acquired)->read_head();
    const unsigned status = (*head)->status;
    host.pool.release(std::move(*acquired));
    co_return status;
  };
  CHECK(await(host.loop, only_head()) == 200);
  CHECK(host.pool.stats().idle == 0);
  CHECK(host.pool.stats().active == 0);
}

TEST_CASE("http client: two requests share one connection", "[unit][net]") {
  Host host;
  std::vector<std::string> requests;
  const auto script = [&](Peer& peer) {
    for (int i = 0; i < 2; ++i) {
      requests.push_back(peer.read_request() + peer.read_exactly(5));
      peer.send(with_length("", "hello"));
    }
    peer.wait_end();
  };
  {
    ScriptServer server({script});
    const auto upstream = to_port(server.port());
    const Request request{.method = "POST", .body = "12345"};

    const Answer first = await(host.loop, exchange(host.pool, upstream, request));
    CHECK(first.status == 200);
    CHECK(first.body == "hello");
    CHECK(first.kept);
    CHECK_FALSE(first.reused);

    const Answer second = await(host.loop, exchange(host.pool, upstream, request));
    CHECK(second.body == "hello");
    CHECK(second.reused);
    CHECK(host.pool.stats().opened == 1);
    CHECK(host.pool.stats().active == 0);
    host.pool.clear();
    CHECK(host.pool.stats().idle == 0);
  }
  REQUIRE(requests.size() == 2);
  CHECK(requests[1].ends_with("\r\n\r\n12345"));
}

TEST_CASE("http client: a kept connection that is closed, or that speaks unasked, is passed over",
          "[unit][net]") {
  for (const bool speaks : {false, true}) {
    CAPTURE(speaks);
    Host host;
    std::promise<void> answered, over;
    const auto first = [&](Peer& peer) {
      peer.read_request();
      peer.send(with_length("", "hello"));
      // Behind the answer these bytes would be seen at once; they come to an idle connection.
      answered.get_future().wait_for(5s);
      if (speaks) peer.send(with_length("", "stray"));
      if (!speaks) peer.close();
      over.set_value();
      if (speaks) peer.wait_end();
    };
    ScriptServer server({first, serve(1, "again")});
    const auto upstream = to_port(server.port());
    CHECK(get(host, upstream).kept);
    answered.set_value();
    over.get_future().wait_for(5s);
    CHECK(get(host, upstream).body == "again");
    CHECK(host.pool.stats().opened == 2);
    CHECK(host.pool.stats().reused == 0);
    host.pool.clear();
  }
}

TEST_CASE("http client: a kept connection that breaks under a request says that it was kept",
          "[unit][net]") {
  for (const bool reset : {false, true}) {
    CAPTURE(reset);
    Host host;
    const auto script = [&](Peer& peer) {
      peer.read_request();
      peer.send(with_length("", "hello"));
      peer.read_request();
      if (reset) peer.reset();
    };
    ScriptServer server({script});
    const auto upstream = to_port(server.port());
    CHECK(get(host, upstream).kept);
    const Answer answer = get(host, upstream);
    REQUIRE(answer.error);
    CHECK(answer.error->fault == NetFault::kClosed);
    CHECK(answer.error->reused);
    CHECK(answer.error->nothing_received);
  }
}

TEST_CASE("http client: connections serve one Upstream alone, newest first, up to its limit",
          "[unit][net]") {
  Host host;
  auto upstream = to_port(0);
  upstream->idle_max = 2;
  const ScriptServer::Options parallel{.parallel = true};
  ScriptServer server({serve(1), serve(1), serve(1)}, parallel);
  upstream->port = server.port();
  std::vector<UpstreamConnection*> order;
  const auto run = [&]() -> Task<void> {
    std::vector<std::unique_ptr<UpstreamConnection>> held;
    for (int i = 0; i < 3; ++i) {
      auto acquired = co_await host.pool.acquire(upstream, true);
      held.push_back(std::move(*acquired));
    }
    for (auto& connection : held) {
      Answer answer;
      const Request request;
      co_await exchange_on(*connection, request, answer);
      CHECK(answer.body == "hello");
      order.push_back(connection.get());
      host.pool.release(std::move(connection));
    }
  };
  await(host.loop, run());
  CHECK(host.pool.stats().idle == 2);
  const auto twin = std::make_shared<Upstream>(*upstream);
  CHECK_FALSE(host.pool.try_acquire(twin));
  {
    const auto newest = host.pool.try_acquire(upstream);
    const auto next = host.pool.try_acquire(upstream);
    CHECK(newest.get() == order[2]);
    CHECK(next.get() == order[1]);
    CHECK_FALSE(host.pool.try_acquire(upstream));
    CHECK(host.pool.stats().active == 2);
  }
  CHECK(host.pool.stats().active == 0);
}

TEST_CASE("http client: what has been idle too long is closed", "[unit][net]") {
  Host host;
  auto upstream = to_port(0);
  upstream->idle_timeout = std::chrono::seconds(0);
  bool ended = false;
  {
    const auto script = [&](Peer& peer) {
      peer.read_request();
      peer.send(with_length("", "hello"));
      ended = peer.wait_end();
      host.loop.stop();
    };
    ScriptServer server({script});
    upstream->port = server.port();
    CHECK(get(host, upstream).kept);
    host.loop.run();
    host.loop.context().restart();
  }
  CHECK(ended);
  CHECK(host.pool.stats().idle == 0);
}

TEST_CASE("http client: an answer reads the same wherever it is cut", "[unit][net]") {
  const std::string text = "The quick brown fox jumps over the lazy dog";
  const std::string wires[] = {
      "HTTP/1.1 100 Continue\r\n\r\n" + with_length("X-A: b\r\n", text),
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3;x=y\r\nThe\r\n28\r\n" +
          text.substr(3) + "\r\n0\r\nTrailer: x\r\n\r\n",
      with_length("Content-Encoding: gzip\r\n", deflated(text, kGzip)),
      with_length("Content-Encoding: deflate\r\n", deflated(text, kZlib)),
      with_length("Content-Encoding: deflate\r\n", deflated(text, kRaw)),
  };
  for (const std::string& wire : wires) {
    Host host;
    const auto script = [&](Peer& peer) {
      for (std::size_t cut = 0; cut < wire.size(); ++cut) {
        if (peer.read_request().empty()) return;
        peer.send(wire.substr(0, cut));
        let_loop_read(host.loop);
        peer.send(wire.substr(cut));
      }
      peer.wait_end();
    };
    ScriptServer server({script});
    const auto upstream = to_port(server.port());
    for (std::size_t cut = 0; cut < wire.size(); ++cut) {
      CAPTURE(wire, cut);
      const Answer answer = get(host, upstream);
      INFO((answer.error ? answer.error->message : ""));
      REQUIRE_FALSE(answer.error);
      REQUIRE(answer.body == text);
      REQUIRE(answer.kept);
    }
    CHECK(host.pool.stats().opened == 1);
    host.pool.clear();
  }
}

TEST_CASE("http client: a coded body that nobody asked for is inflated", "[unit][net]") {
  std::string noise(200'000, '\0');
  std::uint32_t state = 1;
  for (char& c : noise) c = static_cast<char>((state = state * 1664525 + 1013904223) >> 24);
  for (const std::string& body :
       {std::string(60'000, 'a'), noise, std::string("x"), std::string()}) {
    for (const int window : {kGzip, kZlib, kRaw}) {
      CAPTURE(body.size(), window);
      const std::string name = window == kGzip ? "GZip" : "deflate";
      const Answer answer =
          ask_open(with_length("Content-Encoding: " + name + "\r\n", deflated(body, window)));
      CHECK_FALSE(answer.error);
      CHECK((answer.body == body));
      CHECK(answer.coding.empty());
      CHECK(answer.kept);
    }
  }
  const std::string members = deflated("ab", kGzip) + deflated("cd", kGzip);
  CHECK(ask_open(with_length("Content-Encoding: x-gzip\r\n", members)).body == "abcd");
  CHECK(ask_open(with_length("Content-Encoding: gzip\r\n", "")).kept);
  CHECK(ask_open(with_length("Content-Encoding: identity\r\n", "abc")).body == "abc");
}

TEST_CASE("http client: a coded body that is damaged, cut or a bomb is refused", "[unit][net]") {
  const std::string good = deflated(std::string(1000, 'a'), kGzip);
  std::string damaged = good;
  damaged[good.size() - 6] = static_cast<char>(damaged[good.size() - 6] ^ 1);  // its checksum
  const std::string gzip = "Content-Encoding: gzip\r\n";
  const std::string deflate = "Content-Encoding: deflate\r\n";
  CHECK(fault_of(with_length(gzip, damaged)) == NetFault::kProtocol);
  CHECK(fault_of(with_length(gzip, good.substr(0, good.size() - 1))) == NetFault::kProtocol);
  CHECK(fault_of(with_length(gzip, good + "x")) == NetFault::kProtocol);
  CHECK(fault_of(with_length(gzip, "plain text")) == NetFault::kProtocol);
  CHECK(fault_of(with_length(deflate, "x")) == NetFault::kProtocol);
  CHECK(fault_of(with_length(deflate, deflated("abc", kZlib) + "x")) == NetFault::kProtocol);
  const std::string bomb = deflated(std::string(50'000'000, '\0'), kGzip);
  CHECK(fault_of(with_length(gzip, bomb)) == NetFault::kTooLarge);
}

TEST_CASE("http client: a large body arrives whole", "[unit][net]") {
  std::string body(5'000'000, '\0');
  for (std::size_t i = 0; i < body.size(); ++i) body[i] = static_cast<char>(i * 31 + i / 977);
  const Answer answer = ask_open(with_length("", body));
  CHECK((answer.body == body));
  CHECK(answer.kept);
}

TEST_CASE("http client: what has come is given without waiting", "[unit][net]") {
  Host host;
  std::promise<void> seen;
  const auto script = [&](Peer& peer) {
    peer.read_request();
    peer.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n1\r\nb\r\n1\r\n");
    seen.get_future().wait_for(5s);
    peer.send("c\r\n0\r\n\r\n");
    peer.wait_end();
  };
  ScriptServer server({script});
  const auto upstream = to_port(server.port());
  const auto run = [&]() -> Task<std::string> {
    auto acquired = co_await host.pool.acquire(upstream, false);
    UpstreamConnection& connection = **acquired;
    const std::string text = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";
    const asio::const_buffer piece = asio::buffer(text);
    const std::span<const asio::const_buffer> pieces(&piece, 1);
    (void)co_await connection.send(pieces, "GET");
    (void)co_await connection.read_head();
    std::string all;
    Result<std::string_view, NetError> slice = std::string_view();
    CHECK(connection.body_buffered());
    CHECK(connection.try_read_body(slice));
    all += *slice;
    CHECK(connection.body_buffered());
    CHECK(connection.try_read_body(slice));
    all += *slice;
    // A chunk has been announced, but none of its bytes is here.
    CHECK_FALSE(connection.body_buffered());
    CHECK_FALSE(connection.try_read_body(slice));
    seen.set_value();
    slice = co_await connection.read_body();
    all += *slice;
    // The reader stops here, as after [DONE]; the end has come and counts.
    host.pool.release(std::move(*acquired));
    co_return all;
  };
  CHECK(await(host.loop, run()) == "abc");
  CHECK(host.pool.stats().idle == 1);
  host.pool.clear();
}

TEST_CASE("http client: a server that stalls ends at the timeout", "[unit][net]") {
  const Request soon{.timeout = 30ms};
  const Answer head = ask_open("HTTP/1.1 200 OK\r\n", soon);
  REQUIRE(head.error);
  CHECK(head.error->fault == NetFault::kTimeout);
  CHECK(head.error->message == "no progress within 30 ms in the middle of the answer's head");
  const Answer body = ask_open("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhello", soon);
  REQUIRE(body.error);
  CHECK(body.error->fault == NetFault::kTimeout);
  CHECK(body.body == "hello");
  CHECK_FALSE(body.kept);
}

TEST_CASE("http client: a server that does not take the request ends at the timeout",
          "[unit][net]") {
  Host host;
  std::promise<void> over;
  ScriptServer server({[&](Peer&) { over.get_future().wait_for(5s); }});
  const Request large{.method = "POST", .body = std::string(30'000'000, 'x'), .timeout = 30ms};
  const Answer answer = await(host.loop, exchange(host.pool, to_port(server.port()), large));
  over.set_value();
  REQUIRE(answer.error);
  CHECK(answer.error->fault == NetFault::kTimeout);
  CHECK_THAT(answer.error->message, Catch::Contains("while sending the request"));
}

TEST_CASE("http client: an answer that comes before the request was read counts", "[unit][net]") {
  Host host;
  const auto script = [&](Peer& peer) {
    peer.read_request();
    peer.send("HTTP/1.1 413 Content Too Large\r\nContent-Length: 5\r\n\r\nlarge");
    peer.close();
  };
  ScriptServer server({script});
  const Request large{.method = "POST", .body = std::string(30'000'000, 'x')};
  const Answer answer = await(host.loop, exchange(host.pool, to_port(server.port()), large));
  CHECK(answer.status == 413);
  CHECK(answer.body == "large");
  CHECK_FALSE(answer.kept);
}

TEST_CASE("http client: abort() ends what is pending", "[unit][net]") {
  const Request requests[] = {{}, {}, {.method = "POST", .body = std::string(30'000'000, 'x')}};
  const char* wires[] = {"", "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhello", ""};
  for (int i = 0; i < 3; ++i) {
    CAPTURE(i);
    Host host;
    UpstreamConnection* connection = nullptr;
    std::promise<void> over;
    const auto script = [&](Peer& peer) {
      if (i < 2) peer.read_request();
      peer.send(wires[i]);
      let_loop_read(host.loop);
      asio::post(host.loop.executor(), [&] {
        connection->abort();
        connection->abort();
      });
      over.get_future().wait_for(5s);
    };
    ScriptServer server({script});
    const auto upstream = to_port(server.port());
    const auto run = [&]() -> Task<Answer> {
      Answer answer;
      auto acquired = co_await host.pool.acquire(upstream, false);
      connection = acquired->get();
      co_await exchange_on(*connection, requests[i], answer);
      Result<std::string_view, NetError> slice = std::string_view();
      CHECK((*acquired)->try_read_body(slice));
      CHECK_FALSE(slice);
      host.pool.release(std::move(*acquired));
      co_return answer;
    };
    const Answer answer = await(host.loop, run());
    over.set_value();
    REQUIRE(answer.error);
    CHECK(answer.error->fault == NetFault::kAborted);
    CHECK(host.pool.stats().idle == 0);
    CHECK(host.pool.stats().active == 0);
  }
}

TEST_CASE("http client: acquire can be given up in every step", "[unit][net]") {
  test::Blackhole hole("127.0.0.1");
  const auto hear = [](Peer& peer) {
    while (!peer.read_exactly(1).empty()) {
    }
  };
  ScriptServer server({hear, hear});
  std::mutex held;
  const auto look_up = [&](const std::string&, std::string&) {
    const std::lock_guard wait(held);
    return std::vector<asio::ip::address>();
  };
  Host host(look_up);
  const std::unique_lock hold(held);

  auto name = to_port(1);
  name->host = "slow.example";
  auto tls = to_port(server.port());
  tls->tls = true;
  tls->tls_client = TlsClient::create("").value();
  auto proxied = to_port(80);
  proxied->proxy_host = "127.0.0.1";
  proxied->proxy_port = server.port();
  for (const auto& upstream : {name, to_port(hole.port()), tls, proxied}) {
    CAPTURE(upstream->host, upstream->port);
    Cancel cancel;
    Timer soon(host.loop.executor(), 20ms);
    soon.async_wait([&](error_code) { cancel.cancel(); });
    const Acquired got = await(host.loop, host.pool.acquire(upstream, false, cancel));
    REQUIRE_FALSE(got);
    CHECK(got.error().fault == NetFault::kAborted);
    const Acquired again = await(host.loop, host.pool.acquire(upstream, false, cancel));
    REQUIRE_FALSE(again);
    CHECK(again.error().fault == NetFault::kAborted);
  }
  CHECK(host.pool.stats().failed == 8);
}

TEST_CASE("http client: a connect that fails says why", "[unit][net]") {
  Host host(names({}));
  auto upstream = to_port(80);
  upstream->host = "nowhere.example";
  const NetError unknown = connect_error(host, upstream);
  CHECK(unknown.fault == NetFault::kResolve);
  CHECK(unknown.message == "name does not resolve: nowhere.example: no such name");

  const std::uint16_t port = test::closed_port();
  const NetError refused = connect_error(host, to_port(port));
  CHECK(refused.fault == NetFault::kRefused);
  CHECK(refused.message == "connect to 127.0.0.1:" + std::to_string(port) + ": Connection refused");

  test::Blackhole hole("127.0.0.1");
  auto slow = to_port(hole.port());
  slow->connect_timeout = 30ms;
  const NetError timeout = connect_error(host, slow);
  CHECK(timeout.fault == NetFault::kConnectTimeout);
  CHECK_THAT(timeout.message, Catch::Contains("not done within 30 ms"));
}

TEST_CASE("http client: an address that does not answer is overtaken by the next", "[unit][net]") {
  // 127.0.0.2 refuses, 127.0.0.3 says nothing at all.
  Host host(names({"127.0.0.3", "127.0.0.2", "127.0.0.1"}));
  ScriptServer server({serve(1), serve(1)});
  test::Blackhole hole("127.0.0.3", server.port());
  auto upstream = to_port(server.port());
  upstream->host = "up.example";
  CHECK(get(host, upstream).body == "hello");
  host.pool.clear();
}

TEST_CASE("http client: private addresses are refused where they are not allowed", "[unit][net]") {
  Host host(names({"10.0.0.1", "::ffff:127.0.0.1", "127.0.0.1"}));
  ScriptServer server({});
  for (const char* name : {"127.0.0.1", "::1", "rebound.example"}) {
    CAPTURE(name);
    auto upstream = to_port(server.port());
    upstream->host = name;
    upstream->allow_private = false;
    const NetError error = connect_error(host, upstream);
    CHECK(error.fault == NetFault::kForbidden);
    CHECK_THAT(error.message, Catch::Contains("which is not a public address"));
    // A proxy must not be the way around it.
    upstream->proxy_host = "127.0.0.1";
    upstream->proxy_port = server.port();
    CHECK(connect_error(host, upstream).fault == NetFault::kForbidden);
  }
}

TEST_CASE("http client: a proxy is asked for a tunnel, for plain HTTP too", "[unit][net]") {
  Host host(names({}));
  std::string asked, request;
  {
    const auto proxy = [&](Peer& peer) {
      asked = peer.read_request();
      peer.send("HTTP/1.1 200 Connection established\r\nContent-Length: 7\r\n\r\n");
      request = peer.read_request();
      peer.send(with_length("", "hello"));
      peer.wait_end();
    };
    ScriptServer server({proxy});
    auto upstream = to_port(8080);
    upstream->host = "up.example";
    upstream->proxy_host = "127.0.0.1";
    upstream->proxy_port = server.port();
    upstream->proxy_authorization = "Basic dTpw";
    CHECK(get(host, upstream).body == "hello");
    host.pool.clear();
  }
  CHECK(asked ==
        "CONNECT up.example:8080 HTTP/1.1\r\nHost: up.example:8080\r\n"
        "Proxy-Authorization: Basic dTpw\r\n\r\n");
  CHECK(request.starts_with("GET /v1/models HTTP/1.1\r\n"));
  CHECK(request.find("Basic") == std::string::npos);
}

TEST_CASE("http client: where private addresses are refused a proxy is told the checked address",
          "[unit][net]") {
  Host host(names({"10.0.0.1", "2606:4700::1111"}));
  std::string asked;
  {
    ScriptServer server({[&](Peer& peer) { asked = peer.read_request(); }});
    auto upstream = to_port(80);
    upstream->host = "up.example";
    upstream->allow_private = false;
    upstream->proxy_host = "127.0.0.1";
    upstream->proxy_port = server.port();
    CHECK(connect_error(host, upstream).fault == NetFault::kProxy);
  }
  CHECK(asked.starts_with("CONNECT [2606:4700::1111]:80 HTTP/1.1\r\n"));
}

TEST_CASE("http client: a proxy that does not give a tunnel is a proxy fault", "[unit][net]") {
  const std::string answers[] = {
      "HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n",
      "HTTP/1.1 200 OK\r\n\r\nHTTP/1.1 200 OK\r\n\r\n",
      "garbage\r\n\r\n",
      "HTTP/1.1 200 OK\r\nX: " + std::string(20'000, 'x') + "\r\n\r\n",
      "HTTP/1.1 200",
      ""};
  for (const std::string& answer : answers) {
    CAPTURE(answer);
    Host host;
    const auto proxy = [&](Peer& peer) {
      peer.read_request();
      peer.send(answer);
      peer.close();
    };
    ScriptServer server({proxy});
    auto upstream = to_port(80);
    upstream->host = "up.example";
    upstream->proxy_host = "127.0.0.1";
    upstream->proxy_port = server.port();
    upstream->proxy_authorization = "Basic dTpw";
    const NetError error = connect_error(host, upstream);
    CHECK(error.fault == NetFault::kProxy);
    CHECK(error.message.find("dTpw") == std::string::npos);
    if (answer.find("407") != std::string::npos) {
      CHECK(error.message == "the proxy answered 407 Proxy Authentication Required");
    }
  }
}

TEST_CASE("net: an upgrade that was asked for hands its stream over, with what came behind",
          "[unit][net][http]") {
  const auto switches = [](Peer& peer) {
    peer.read_request();
    peer.send("HTTP/1.1 101 Yes\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\nfirst");
    CHECK(peer.read_exactly(4) == "mine");
    peer.wait_end();
  };
  // Refused, and the connection kept: a 101 that nobody asked for is a fault on it.
  const auto refuses = [](Peer& peer) {
    peer.read_request();
    peer.send("HTTP/1.1 401 No\r\nContent-Length: 0\r\n\r\n");
    peer.read_request();
    peer.send("HTTP/1.1 101 Yes\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n");
    peer.wait_end();
  };
  const ScriptServer server({switches, refuses});
  Host host;
  const auto upstream = to_port(server.port());
  const std::string request = "GET / HTTP/1.1\r\nHost: h\r\n\r\n";
  const std::array<asio::const_buffer, 1> pieces{asio::buffer(request)};
  const auto run = [&]() -> Task<void> {
    Acquired first = co_await host.pool.acquire(upstream, true);
    REQUIRE(first);
    (*first)->expect_upgrade();
    auto sent = co_await (*first)->send(pieces, "GET");
    REQUIRE(sent);
    auto head = co_await (*first)->read_head();
    REQUIRE(head);
    CHECK((*head)->status == 101);
    std::string ahead;
    const auto stream = (*first)->take_stream(ahead);
    CHECK(ahead == "first");
    CHECK((*head)->find("upgrade") == "x");
    (*first)->abort();  // harmless
    host.pool.release(std::move(*first));
    CHECK(host.pool.stats().idle == 0);
    const std::string mine = "mine";
    const std::array<asio::const_buffer, 1> reply{asio::buffer(mine)};
    co_await stream->write_all(reply);
    stream->close();

    Acquired second = co_await host.pool.acquire(upstream, true);
    REQUIRE(second);
    (*second)->expect_upgrade();
    sent = co_await (*second)->send(pieces, "GET");
    REQUIRE(sent);
    head = co_await (*second)->read_head();
    REQUIRE(head);
    CHECK((*head)->status == 401);
    host.pool.release(std::move(*second));
    second = co_await host.pool.acquire(upstream, false);
    REQUIRE(second);
    sent = co_await (*second)->send(pieces, "GET");
    REQUIRE(sent);
    head = co_await (*second)->read_head();
    REQUIRE_FALSE(head);
    CHECK(head.error().fault == NetFault::kProtocol);
  };
  await(host.loop, run());
}

}  // namespace switchyard::net
