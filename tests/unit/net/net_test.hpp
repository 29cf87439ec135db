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

  // From here on TLS. False where the handshake failed.
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
  bool secure_ = false;
  std::string held_;
};

// Accepts one connection per script on 127.0.0.1 and a port of its own.
class ScriptServer {
 public:
  using Script = std::function<void(Peer&)>;
  struct Options {
    SSL_CTX* tls = nullptr;
    bool handshake = true;  // false: a script calls handshake() itself
    bool parallel =
        false;  // each script on a thread of its own, else one connection after the other
  };
  explicit ScriptServer(std::vector<Script> scripts, SSL_CTX* tls = nullptr);
  ScriptServer(std::vector<Script> scripts, const Options& options);
  // Waits until all scripts are through or what they wait for has ended.
  ~ScriptServer();

  std::uint16_t port() const { return port_; }

 private:
  void run();
  void serve(int fd, const Script& script);

  std::vector<Script> scripts_;
  Options options_;
  int listener_ = -1;
  std::uint16_t port_ = 0;
  std::vector<std::thread> threads_;
  std::thread thread_;
};

// Called on a peer's thread: returns when the loop has taken up whatever was sent before.
void let_loop_read(Loop& loop);

// Listens on `address`, but lets no connection come about. Any port where `port` is 0.
class Blackhole {
 public:
  explicit Blackhole(const std::string& address, std::uint16_t port = 0);
  ~Blackhole();
  Blackhole(const Blackhole&) = delete;
  Blackhole& operator=(const Blackhole&) = delete;
  std::uint16_t port() const { return port_; }

 private:
  int listener_;
  std::uint16_t port_ = 0;
  std::vector<int> waiting_;
};

// A port of 127.0.0.1 on which nobody listens.
std::uint16_t closed_port();

}  // namespace switchyard::net::test
