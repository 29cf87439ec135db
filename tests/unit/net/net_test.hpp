// What the tests of this room share: a loop to run a coroutine on, and a peer that speaks from a
// script.
#pragma once

#include <openssl/ssl.h>

#include <boost/asio/co_spawn.hpp>
#include <catch2/catch.hpp>
#include <chrono>
#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "core/net/loop.hpp"

namespace switchyard::net::test {

template <class T>
Task<void> keep_result(Task<T> task, std::optional<T>& out) {
  out = co_await std::move(task);
}

void run_loop(Loop& loop, Task<void> task);

// Runs the coroutine to its end on this thread; one that hangs fails the test.
template <class T>
T await(Loop& loop, Task<T> task) {
  std::optional<T> out;
  run_loop(loop, keep_result(std::move(task), out));
  return std::move(*out);
}
inline void await(Loop& loop, Task<void> task) { run_loop(loop, std::move(task)); }

// The server's end of one connection, blocking. Every wait ends after some seconds at the latest,
// so that a test that goes wrong fails instead of hanging.
class Peer {
 public:
  explicit Peer(int fd, SSL_CTX* tls = nullptr);
  ~Peer();
  Peer(const Peer&) = delete;
  Peer& operator=(const Peer&) = delete;

  // False where the handshake failed.
  bool handshake();
  // Up to and with `mark`; what came so far where the peer ended before.
  std::string read_until(const std::string& mark);
  std::string read_request() { return read_until("\r\n\r\n"); }
  std::string read_exactly(std::size_t n);
  // True where the peer closed or reset and nothing else came.
  bool wait_end();
  bool send(const std::string& bytes);
  void close();  // in order: with TLS close_notify first
  void cut();    // FIN alone
  void reset();  // RST
  SSL* ssl() { return ssl_; }

 private:
  std::size_t receive(char* data, std::size_t size);

  int fd_;
  SSL* ssl_ = nullptr;
  std::string held_;
};

// Accepts one connection per script, one after the other, on 127.0.0.1 and a port of its own.
class ScriptServer {
 public:
  using Script = std::function<void(Peer&)>;
  explicit ScriptServer(std::vector<Script> scripts, SSL_CTX* tls = nullptr, bool handshake = true);
  // Waits until all scripts are through or what they wait for has ended.
  ~ScriptServer();

  std::uint16_t port() const { return port_; }

 private:
  void run();

  std::vector<Script> scripts_;
  SSL_CTX* tls_;
  bool handshake_;
  int listener_ = -1;
  std::uint16_t port_ = 0;
  std::thread thread_;
};

// A port of 127.0.0.1 on which nobody listens.
std::uint16_t closed_port();

}  // namespace switchyard::net::test
