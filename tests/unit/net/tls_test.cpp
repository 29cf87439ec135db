#include "core/net/tls.hpp"

#include <future>

#include "core/net/await.hpp"
#include "core/net/dns.hpp"
#include "core/net/http_client.hpp"
#include "tests/unit/net/certificates.hpp"
#include "tests/unit/net/net_test.hpp"

namespace switchyard::net {
namespace {

using test::Authority;
using test::await;
using test::Peer;
using test::ScriptServer;
using namespace std::chrono_literals;

const std::string kAnswer = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";

// Clients resolve every name to 127.0.0.1.
struct Host {
  Loop loop{0};
  test::TempFolder folder;
  Authority authority;
  Resolver resolver{Resolver::Options{.threads = 1, .lookup = [](const std::string&, std::string&) {
                                        return std::vector<asio::ip::address>{
                                            asio::ip::address_v4::loopback()};
                                      }}};
  UpstreamPool pool{loop, resolver};
  std::shared_ptr<TlsClient> client = [this] {
    authority.write_certificate(folder.file("ca.pem"));
    return TlsClient::create(folder.file("ca.pem")).value();
  }();

  std::shared_ptr<Upstream> upstream(const std::string& name, std::uint16_t port) {
    auto made = std::make_shared<Upstream>();
    made->host = name;
    made->port = port;
    made->tls_client = client;
    return made;
  }
};

struct Outcome {
  std::string body;
  std::optional<NetError> error;
};

Task<Outcome> get(UpstreamPool& pool, std::shared_ptr<Upstream> upstream, bool keep) {
  Outcome outcome;
  auto acquired = co_await pool.acquire(upstream, false);
  if (!acquired) {
    outcome.error = acquired.error();
    co_return outcome;
  }
  UpstreamConnection& connection = **acquired;
  connection.set_timeout(5s);
  const std::string head = "GET / HTTP/1.1\r\nHost: up.example\r\n\r\n";
  const asio::const_buffer piece = asio::buffer(head);
  const std::span<const asio::const_buffer> pieces(&piece, 1);
  const std::string_view method = "GET";
  auto sent = co_await connection.send(pieces, method);
  if (!sent) outcome.error = sent.error();
  auto got = co_await connection.read_head();
  if (!got) outcome.error = got.error();
  while (!outcome.error) {
    auto slice = co_await connection.read_body();
    if (!slice) outcome.error = slice.error();
    if (!slice || slice->empty()) break;
    outcome.body += *slice;
  }
  if (keep) pool.release(std::move(*acquired));
  co_return outcome;
}

// The error of a handshake with a server that has such a certificate.
std::string refusal(Host& host, const test::Context& context, const std::string& name) {
  ScriptServer server({[](Peer&) {}}, context.get());
  const Outcome outcome =
      await(host.loop, get(host.pool, host.upstream(name, server.port()), false));
  REQUIRE(outcome.error);
  CHECK(outcome.error->fault == NetFault::kTls);
  CHECK(outcome.error->nothing_received);
  return outcome.error->message;
}

}  // namespace

TEST_CASE("tls: a certificate that can't be trusted ends the connection with the reason",
          "[unit][net]") {
  using Catch::Contains;
  Host host;
  const Authority stranger("Somebody else");
  const Authority::Leaf expired{.from_s = -7200, .until_s = -3600};
  const Authority::Leaf early{.from_s = 1800};
  const Authority::Leaf other{.alternative = "DNS:other.example,IP:127.0.0.9"};
  const Authority::Leaf wide{.alternative = "DNS:*.example"};

  CHECK_THAT(refusal(host, host.authority.server(expired), "up.example"),
             Contains("certificate has expired"));
  CHECK_THAT(refusal(host, host.authority.server(early), "up.example"),
             Contains("certificate is not yet valid"));
  CHECK_THAT(refusal(host, host.authority.server(other), "up.example"),
             Contains("name does not match up.example"));
  CHECK_THAT(refusal(host, host.authority.server(other), "127.0.0.1"),
             Contains("name does not match 127.0.0.1"));
  CHECK_THAT(refusal(host, host.authority.server(wide), "a.b.example"),
             Contains("name does not match a.b.example"));
  CHECK_THAT(refusal(host, stranger.server(), "up.example"),
             Contains("unable to get local issuer certificate"));
}

TEST_CASE("tls: a server below TLS 1.2 is refused", "[unit][net]") {
  Host host;
  const test::Context old = host.authority.server();
  SSL_CTX_set_security_level(old.get(), 0);
  SSL_CTX_set_min_proto_version(old.get(), TLS1_VERSION);
  SSL_CTX_set_max_proto_version(old.get(), TLS1_1_VERSION);
  ScriptServer server({[](Peer&) {}}, old.get());
  const auto upstream = host.upstream("up.example", server.port());
  const Outcome outcome = await(host.loop, get(host.pool, upstream, false));
  REQUIRE(outcome.error);
  CHECK(outcome.error->fault == NetFault::kTls);
}

TEST_CASE("tls: a server that is not one, or leaves in the handshake, is a TLS fault",
          "[unit][net]") {
  Host host;
  ScriptServer plain({[](Peer& peer) { peer.send("HTTP/1.1 400 Bad Request\r\n\r\n"); },
                      [](Peer& peer) { peer.cut(); }});
  const auto upstream = host.upstream("up.example", plain.port());
  const Outcome text = await(host.loop, get(host.pool, upstream, false));
  REQUIRE(text.error);
  CHECK(text.error->fault == NetFault::kTls);
  const Outcome cut = await(host.loop, get(host.pool, upstream, false));
  REQUIRE(cut.error);
  CHECK(cut.error->fault == NetFault::kTls);
}

TEST_CASE("tls: the name goes as SNI, an address does not, and HTTP/1.1 is what is spoken",
          "[unit][net]") {
  Host host;
  const test::Context context = host.authority.server();
  std::vector<std::string> names;
  const auto answer = [&](Peer& peer) {
    const char* name = SSL_get_servername(peer.ssl(), TLSEXT_NAMETYPE_host_name);
    names.push_back(name ? name : "");
    peer.read_request();
    peer.send(kAnswer);
    peer.wait_end();
  };
  {
    ScriptServer server({answer, answer}, context.get());
    CHECK(
        await(host.loop, get(host.pool, host.upstream("up.example", server.port()), false)).body ==
        "hello");
    CHECK(await(host.loop, get(host.pool, host.upstream("127.0.0.1", server.port()), false)).body ==
          "hello");
  }
  CHECK(names == std::vector<std::string>{"up.example", ""});
}

TEST_CASE("tls: a second connection resumes the session of the first", "[unit][net]") {
  for (const int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
    CAPTURE(version);
    Host host;
    const test::Context context = host.authority.server();
    SSL_CTX_set_max_proto_version(context.get(), version);
    std::vector<bool> resumed;
    const auto answer = [&](Peer& peer) {
      resumed.push_back(SSL_session_reused(peer.ssl()) == 1);
      peer.read_request();
      peer.send(kAnswer);
      peer.wait_end();
    };
    {
      ScriptServer server({answer, answer, answer}, context.get());
      const auto upstream = host.upstream("up.example", server.port());
      for (int i = 0; i < 3; ++i) {
        CHECK(await(host.loop, get(host.pool, upstream, false)).body == "hello");
      }
    }
    CHECK(resumed == std::vector<bool>{false, true, true});
  }
}

TEST_CASE("tls: a kept connection serves again, one that the server closed does not",
          "[unit][net]") {
  Host host;
  const test::Context context = host.authority.server();
  std::promise<void> closed;
  const auto twice = [&](Peer& peer) {
    for (int i = 0; i < 2; ++i) {
      peer.read_request();
      peer.send(kAnswer);
    }
    peer.close();
    closed.set_value();
  };
  const auto once = [&](Peer& peer) {
    peer.read_request();
    peer.send(kAnswer);
    peer.wait_end();
  };
  {
    ScriptServer server({twice, once}, context.get());
    const auto upstream = host.upstream("up.example", server.port());
    CHECK(await(host.loop, get(host.pool, upstream, true)).body == "hello");
    CHECK(await(host.loop, get(host.pool, upstream, true)).body == "hello");
    closed.get_future().wait();
    CHECK(await(host.loop, get(host.pool, upstream, true)).body == "hello");
    host.pool.clear();
  }
  CHECK(host.pool.stats().opened == 2);
  CHECK(host.pool.stats().reused == 1);
}

TEST_CASE("tls: a cut without close_notify is no end of a body", "[unit][net]") {
  Host host;
  const test::Context context = host.authority.server();
  const auto until_close = [](bool in_order) {
    return [in_order](Peer& peer) {
      peer.read_request();
      peer.send("HTTP/1.1 200 OK\r\n\r\nhello");
      if (in_order) {
        peer.close();
      } else {
        peer.cut();
      }
    };
  };
  ScriptServer server({until_close(true), until_close(false)}, context.get());
  const auto upstream = host.upstream("up.example", server.port());
  const Outcome whole = await(host.loop, get(host.pool, upstream, true));
  CHECK_FALSE(whole.error);
  CHECK(whole.body == "hello");
  const Outcome cut = await(host.loop, get(host.pool, upstream, true));
  REQUIRE(cut.error);
  CHECK(cut.error->fault == NetFault::kClosed);
  CHECK(cut.error->message == "closed in the middle of the body");
}

TEST_CASE("tls: through a proxy's tunnel it is the upstream's certificate that counts",
          "[unit][net]") {
  Host host;
  const test::Context context = host.authority.server();
  std::string asked;
  const auto proxy = [&](Peer& peer) {
    asked = peer.read_request();
    peer.send("HTTP/1.1 200 OK\r\n\r\n");
    if (!peer.handshake()) return;
    peer.read_request();
    peer.send(kAnswer);
    peer.wait_end();
  };
  const ScriptServer::Options options{.tls = context.get(), .handshake = false};
  ScriptServer server({proxy, proxy}, options);
  auto upstream = host.upstream("up.example", 443);
  upstream->proxy_host = "127.0.0.1";
  upstream->proxy_port = server.port();
  CHECK(await(host.loop, get(host.pool, upstream, false)).body == "hello");
  CHECK(asked.starts_with("CONNECT up.example:443 HTTP/1.1\r\n"));
  auto other = std::make_shared<Upstream>(*upstream);
  other->host = "other.example";
  const Outcome refused = await(host.loop, get(host.pool, other, false));
  REQUIRE(refused.error);
  CHECK(refused.error->fault == NetFault::kTls);
}

TEST_CASE("tls: a handshake that stalls ends at the connect timeout", "[unit][net]") {
  Host host;
  ScriptServer server({[](Peer& peer) {
    while (!peer.read_exactly(1).empty()) {
    }
  }});
  auto upstream = host.upstream("up.example", server.port());
  upstream->connect_timeout = 50ms;
  const Outcome outcome = await(host.loop, get(host.pool, upstream, false));
  REQUIRE(outcome.error);
  CHECK(outcome.error->fault == NetFault::kConnectTimeout);
  CHECK_THAT(outcome.error->message, Catch::Contains("TLS handshake with up.example"));
}

TEST_CASE("tls: a listener serves, reloads its files, and keeps the old ones where the new are bad",
          "[unit][net]") {
  Host host;
  const std::string certificate = host.folder.file("cert.pem");
  const std::string key = host.folder.file("key.pem");
  CHECK_FALSE(TlsServer::create(certificate, key));
  host.authority.write_leaf(Authority::Leaf(), certificate, key);
  auto server = TlsServer::create(certificate, key).value();
  CHECK(server->reload_if_changed().value() == false);

  // One connection over a socket pair of the loop: what name the certificate of the server has.
  const auto greet = [&]() -> Task<std::string> {
    const Executor executor = host.loop.executor();
    asio::basic_socket_acceptor<tcp, Executor> acceptor(
        executor, tcp::endpoint(asio::ip::address_v4::loopback(), 0));
    Socket near(executor);
    near.connect(acceptor.local_endpoint());
    Stream client(std::move(near));
    Stream served(acceptor.accept());
    std::string why_client, why_server;
    bool served_it = false;
    const auto serve = [&]() -> Task<void> {
      const error_code ec = co_await served.handshake(server->make(), why_server);
      served_it = !ec;
    };
    Timer through(executor, Timer::time_point::max());
    bool ended = false;
    asio::co_spawn(executor, serve, [&](std::exception_ptr) {
      ended = true;
      through.cancel();
    });
    SslPtr ssl = host.client->make("up.example", 1);
    const error_code ec = co_await client.handshake(std::move(ssl), why_client);
    if (!ended) co_await through.async_wait(kAwait);
    if (ec) co_return why_client;
    if (!served_it) co_return "server: " + why_server;
    const unsigned char* protocol = nullptr;
    unsigned size = 0;
    SSL_get0_alpn_selected(client.ssl(), &protocol, &size);
    co_return std::string(reinterpret_cast<const char*>(protocol), size);
  };
  CHECK(await(host.loop, greet()) == "http/1.1");

  const Authority::Leaf other{.alternative = "DNS:another.name.example"};
  host.authority.write_leaf(other, certificate, key);
  CHECK(server->reload_if_changed().value() == true);
  CHECK_THAT(await(host.loop, greet()), Catch::Contains("name does not match"));

  std::filesystem::resize_file(certificate, 100);
  CHECK_FALSE(server->reload_if_changed());
  CHECK_FALSE(server->reload());
  CHECK_THAT(await(host.loop, greet()), Catch::Contains("name does not match"));

  // A key of somebody else's.
  host.authority.write_leaf(Authority::Leaf(), certificate, host.folder.file("else.pem"));
  const auto mixed = server->reload();
  CHECK_FALSE(mixed);
}

}  // namespace switchyard::net
