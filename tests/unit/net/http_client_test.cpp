#include "core/net/http_client.hpp"

#include <future>

#include "core/net/cancel.hpp"
#include "core/net/dns.hpp"
#include "tests/unit/net/net_test.hpp"

namespace switchyard::net {
namespace {

using test::await;
using test::Peer;
using test::ScriptServer;
using namespace std::chrono_literals;

using Acquired = Result<std::unique_ptr<UpstreamConnection>, NetError>;

struct Host {
  Loop loop{0};
  Resolver resolver{Resolver::Options{.threads = 1}};
  UpstreamPool pool{loop, resolver};
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

// One answer of a server that then waits for the client's end.
Answer ask(const std::string& wire, Request request = Request(), bool then_close = true) {
  Host host;
  ScriptServer server({[&](Peer& peer) {
    peer.read_request();
    peer.send(wire);
    if (then_close) {
      peer.close();
    } else {
      peer.wait_end();
    }
  }});
  Answer answer = await(host.loop, exchange(host.pool, to_port(server.port()), request));
  host.pool.clear();
  return answer;
}

}  // namespace

TEST_CASE("http client: two requests share one connection", "[unit][net]") {
  Host host;
  std::vector<std::string> requests;
  ScriptServer server({[&](Peer& peer) {
    for (int i = 0; i < 2; ++i) {
      requests.push_back(peer.read_request() + peer.read_exactly(5));
      peer.send("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello");
    }
    peer.wait_end();
  }});
  const auto upstream = to_port(server.port());
  Request request{.method = "POST", .body = "12345"};

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
  REQUIRE(requests.size() == 2);
  CHECK(requests[1].ends_with("\r\n\r\n12345"));
}

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
  for (const char* wire :
       {"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello",
        "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n"}) {
    CAPTURE(wire);
    const Answer answer = ask(wire);
    REQUIRE(answer.error);
    CHECK(answer.error->fault == NetFault::kClosed);
    CHECK(answer.error->message == "closed in the middle of the body");
    CHECK_FALSE(answer.kept);
  }
}

}  // namespace switchyard::net
