#include "core/net/stream.hpp"

#include "core/net/await.hpp"
#include "tests/unit/net/certificates.hpp"
#include "tests/unit/net/net_test.hpp"

namespace switchyard::net {
namespace {

using test::await;

// Two streams of one loop that talk to each other, plain or TLS.
struct Pair {
  Loop loop{0};
  test::Context server_context, client_context;
  std::unique_ptr<Stream> near, far;

  explicit Pair(bool tls) {
    asio::basic_socket_acceptor<tcp, Executor> acceptor(
        loop.executor(), tcp::endpoint(asio::ip::address_v4::loopback(), 0));
    Socket socket(loop.executor());
    socket.connect(acceptor.local_endpoint());
    near = std::make_unique<Stream>(std::move(socket));
    far = std::make_unique<Stream>(acceptor.accept());
    if (tls) add_tls();
  }

  void add_tls() {
    server_context = test::Authority().server();
    client_context.reset(SSL_CTX_new(TLS_client_method()));
    int left = 2;
    const auto shake = [&](Stream& stream, SSL* raw) -> Task<void> {
      SslPtr ssl(raw);
      std::string why;
      const error_code ec = co_await stream.handshake(std::move(ssl), why);
      CHECK_FALSE(ec);
      if (--left == 0) loop.stop();
    };
    SSL* client = SSL_new(client_context.get());
    SSL_set_connect_state(client);
    SSL* server = SSL_new(server_context.get());
    SSL_set_accept_state(server);
    asio::co_spawn(loop.executor(), shake(*near, client), [](std::exception_ptr) {});
    asio::co_spawn(loop.executor(), shake(*far, server), [](std::exception_ptr) {});
    loop.run();
    loop.context().restart();
  }
};

std::string pattern(std::size_t size) {
  std::string out(size, '\0');
  for (std::size_t i = 0; i < size; ++i) out[i] = static_cast<char>(i * 7 + i / 251);
  return out;
}

Task<std::string> read_to_end(Stream& stream, error_code& ec) {
  std::string all;
  std::vector<char> bytes(10'000);
  for (;;) {
    const IoResult got = co_await stream.read_some(bytes.data(), bytes.size());
    ec = got.ec;
    if (got.ec || got.n == 0) co_return all;
    all.append(bytes.data(), got.n);
  }
}

}  // namespace

TEST_CASE("stream: many pieces beyond the kernel's buffer arrive whole and in order",
          "[unit][net]") {
  for (const bool tls : {false, true}) {
    CAPTURE(tls);
    Pair pair(tls);
    const std::string big = pattern(3'000'000);
    std::vector<asio::const_buffer> pieces;
    // Small ones, one that is empty, and some larger than a TLS record.
    for (std::size_t at = 0, size = 0; at < big.size(); at += size, size = size * 3 % 50'021 + 1) {
      size = std::min(size, big.size() - at);
      pieces.emplace_back(big.data() + at, size);
    }
    IoResult written;
    const auto write = [&]() -> Task<void> {
      const std::span<const asio::const_buffer> all(pieces);
      written = co_await pair.near->write_all(all);
      pair.near->shutdown_send();
    };
    asio::co_spawn(pair.loop.executor(), write, [](std::exception_ptr) {});
    error_code ec;
    const std::string got = await(pair.loop, read_to_end(*pair.far, ec));
    CHECK_FALSE(ec);
    CHECK(written.n == big.size());
    CHECK((got == big));
  }
}

TEST_CASE("stream: try_write says how much went, and the rest can follow", "[unit][net]") {
  for (const bool tls : {false, true}) {
    CAPTURE(tls);
    Pair pair(tls);
    const std::string big = pattern(20'000'000);
    const asio::const_buffer pieces[] = {asio::buffer(big.data(), 100),
                                         asio::buffer(big.data() + 100, big.size() - 100)};
    IoResult first = pair.near->try_write(pieces);
    CHECK_FALSE(first.ec);
    REQUIRE(first.n > 0);
    REQUIRE(first.n < big.size());
    const auto rest = [&]() -> Task<void> {
      std::size_t sent = first.n;
      while (sent < big.size()) {
        co_await pair.near->wait_writable();
        sent += pair.near->try_write(pieces, sent).n;
      }
      pair.near->shutdown_send();
    };
    asio::co_spawn(pair.loop.executor(), rest, [](std::exception_ptr) {});
    error_code ec;
    const std::string got = await(pair.loop, read_to_end(*pair.far, ec));
    CHECK((got == big));
  }
}

TEST_CASE("stream: close() from a callback ends what is pending", "[unit][net]") {
  for (const bool tls : {false, true}) {
    CAPTURE(tls);
    Pair pair(tls);
    asio::post(pair.loop.executor(), [&] { pair.near->close(); });
    char byte;
    const IoResult got = await(pair.loop, pair.near->read_some(&byte, 1));
    CHECK(got.ec == asio::error::operation_aborted);
    CHECK(pair.near->try_read(&byte, 1).ec == asio::error::operation_aborted);
    const std::string text = "x";
    const asio::const_buffer piece = asio::buffer(text);
    CHECK(pair.near->try_write({&piece, 1}).ec == asio::error::operation_aborted);
  }
}

TEST_CASE("stream: wait_readable ends for bytes, for the end and for close()", "[unit][net]") {
  for (const bool tls : {false, true}) {
    CAPTURE(tls);
    Pair pair(tls);
    const std::string text = "hello";
    const asio::const_buffer piece = asio::buffer(text);
    char bytes[8];
    CHECK(pair.near->try_read(bytes, 8).ec == asio::error::would_block);

    asio::post(pair.loop.executor(), [&] { pair.far->try_write({&piece, 1}); });
    CHECK_FALSE(await(pair.loop, pair.near->wait_readable()));
    CHECK(pair.near->try_read(bytes, 8).n == 5);

    asio::post(pair.loop.executor(), [&] { pair.far->shutdown_send(); });
    CHECK_FALSE(await(pair.loop, pair.near->wait_readable()));
    const IoResult end = pair.near->try_read(bytes, 8);
    CHECK(end.n == 0);
    CHECK_FALSE(end.ec);

    asio::post(pair.loop.executor(), [&] { pair.far->close(); });
    CHECK(await(pair.loop, pair.far->wait_readable()) == asio::error::operation_aborted);
  }
}

TEST_CASE("stream: quiet and gone are told without taking bytes", "[unit][net]") {
  for (const bool tls : {false, true}) {
    CAPTURE(tls);
    Pair pair(tls);
    CHECK(pair.near->idle_and_quiet());
    CHECK_FALSE(pair.near->peer_gone());

    const std::string text = "hello";
    const asio::const_buffer piece = asio::buffer(text);
    pair.far->try_write({&piece, 1});
    CHECK_FALSE(await(pair.loop, pair.near->wait_readable()));
    CHECK_FALSE(pair.near->idle_and_quiet());
    CHECK_FALSE(pair.near->peer_gone());

    pair.far->close();
    char bytes[8];
    CHECK(pair.near->peer_gone());
    CHECK_FALSE(pair.near->idle_and_quiet());
    CHECK(pair.near->try_read(bytes, 8).n == 5);
  }
}

TEST_CASE("stream: writing to a peer that has gone is an error and no signal", "[unit][net]") {
  for (const bool tls : {false, true}) {
    CAPTURE(tls);
    Pair pair(tls);
    pair.far->close();
    const std::string text = pattern(1000);
    const asio::const_buffer piece = asio::buffer(text);
    IoResult written;
    for (int i = 0; i < 100 && !written.ec; ++i) written = pair.near->try_write({&piece, 1});
    CHECK(written.ec);
  }
}

}  // namespace switchyard::net
