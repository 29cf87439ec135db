#include "tests/unit/net/net_test.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <boost/asio/post.hpp>
#include <future>

namespace switchyard::net::test {
namespace {

constexpr int kPatience_ms = 5000;

bool readable(int fd) {
  pollfd entry{fd, POLLIN, 0};
  return ::poll(&entry, 1, kPatience_ms) > 0;
}

int bind_to(const char* ip, std::uint16_t& port) {
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  ::inet_pton(AF_INET, ip, &address.sin_addr);
  socklen_t size = sizeof address;
  ::bind(fd, reinterpret_cast<sockaddr*>(&address), size);
  ::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size);
  port = ntohs(address.sin_port);
  return fd;
}

}  // namespace

void run_loop(Loop& loop, Task<void> task) {
  std::exception_ptr thrown;
  bool done = false;
  const auto on_done = [&](std::exception_ptr fault) {
    thrown = fault;
    done = true;
    loop.stop();
  };
  asio::co_spawn(loop.executor(), std::move(task), on_done);
  Timer watchdog(loop.executor(), std::chrono::seconds(15));
  watchdog.async_wait([&](error_code ec) {
    if (!ec) loop.stop();
  });
  loop.run();
  loop.context().restart();
  if (thrown) std::rethrow_exception(thrown);
  INFO("the coroutine did not end within 15 s");
  REQUIRE(done);
}

Peer::Peer(int fd, SSL_CTX* tls) : fd_(fd) {
  const timeval patience{kPatience_ms / 1000, 0};
  ::setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  ::setsockopt(fd_, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
  // What is sent apart arrives apart.
  const int on = 1;
  ::setsockopt(fd_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  if (!tls) return;
  ssl_ = SSL_new(tls);
  SSL_set_fd(ssl_, fd_);
  SSL_set_accept_state(ssl_);
}

Peer::~Peer() {
  SSL_free(ssl_);
  if (fd_ >= 0) ::close(fd_);
}

bool Peer::handshake() {
  ERR_clear_error();
  secure_ = SSL_accept(ssl_) == 1;
  return secure_;
}

std::size_t Peer::receive(char* data, std::size_t size) {
  if (secure_) {
    ERR_clear_error();
    const int n = SSL_read(ssl_, data, static_cast<int>(size));
    return n > 0 ? static_cast<std::size_t>(n) : 0;
  }
  const ssize_t n = ::recv(fd_, data, size, 0);
  return n > 0 ? static_cast<std::size_t>(n) : 0;
}

std::string Peer::read_until(const std::string& mark) {
  std::size_t at;
  while ((at = held_.find(mark)) == std::string::npos) {
    char bytes[4096];
    const std::size_t n = receive(bytes, sizeof bytes);
    if (n == 0) return std::exchange(held_, {});
    held_.append(bytes, n);
  }
  std::string out = held_.substr(0, at + mark.size());
  held_.erase(0, out.size());
  return out;
}

std::string Peer::read_exactly(std::size_t size) {
  while (held_.size() < size) {
    char bytes[4096];
    const std::size_t n = receive(bytes, sizeof bytes);
    if (n == 0) break;
    held_.append(bytes, n);
  }
  std::string out = held_.substr(0, size);
  held_.erase(0, out.size());
  return out;
}

bool Peer::wait_end() {
  if (!held_.empty() || !readable(fd_)) return false;
  char byte;
  return receive(&byte, 1) == 0;
}

bool Peer::send(const std::string& bytes) {
  if (secure_) {
    ERR_clear_error();
    return SSL_write(ssl_, bytes.data(), static_cast<int>(bytes.size())) > 0;
  }
  std::size_t sent = 0;
  while (sent < bytes.size()) {
    const ssize_t n = ::send(fd_, bytes.data() + sent, bytes.size() - sent, MSG_NOSIGNAL);
    if (n <= 0) return false;
    sent += static_cast<std::size_t>(n);
  }
  return true;
}

void Peer::close() {
  if (secure_) SSL_shutdown(ssl_);
  cut();
}

void Peer::cut() {
  ::close(fd_);
  fd_ = -1;
}

void Peer::reset() {
  const linger now{1, 0};
  ::setsockopt(fd_, SOL_SOCKET, SO_LINGER, &now, sizeof now);
  cut();
}

ScriptServer::ScriptServer(std::vector<Script> scripts, SSL_CTX* tls)
    : ScriptServer(std::move(scripts), Options{.tls = tls}) {}

ScriptServer::ScriptServer(std::vector<Script> scripts, const Options& options)
    : scripts_(std::move(scripts)), options_(options) {
  listener_ = bind_to("127.0.0.1", port_);
  ::listen(listener_, 64);
  thread_ = std::thread([this] { run(); });
}

ScriptServer::~ScriptServer() {
  ::shutdown(listener_, SHUT_RDWR);
  thread_.join();
  for (std::thread& thread : threads_) thread.join();
  ::close(listener_);
}

void ScriptServer::run() {
  for (const Script& script : scripts_) {
    const int fd = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
    if (fd < 0) return;
    if (options_.parallel) {
      threads_.emplace_back([this, fd, &script] { serve(fd, script); });
    } else {
      serve(fd, script);
    }
  }
}

void ScriptServer::serve(int fd, const Script& script) {
  Peer peer(fd, options_.tls);
  if (options_.tls && options_.handshake && !peer.handshake()) return;
  script(peer);
}

void let_loop_read(Loop& loop) {
  // The loop asks the kernel between any two handlers that were posted apart.
  for (int i = 0; i < 4; ++i) {
    const auto ran = std::make_shared<std::promise<void>>();
    asio::post(loop.executor(), [ran] { ran->set_value(); });
    ran->get_future().wait_for(std::chrono::milliseconds(kPatience_ms));
  }
}

// A queue that is full: the kernel drops what else knocks.
Blackhole::Blackhole(const std::string& address, std::uint16_t port) : port_(port) {
  listener_ = bind_to(address.c_str(), port_);
  ::listen(listener_, 0);
  sockaddr_in to{};
  socklen_t size = sizeof to;
  ::getsockname(listener_, reinterpret_cast<sockaddr*>(&to), &size);
  for (int i = 0; i < 4; ++i) {
    const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    ::connect(fd, reinterpret_cast<sockaddr*>(&to), size);
    waiting_.push_back(fd);
  }
}

Blackhole::~Blackhole() {
  for (const int fd : waiting_) ::close(fd);
  ::close(listener_);
}

std::uint16_t closed_port() {
  std::uint16_t port = 0;
  ::close(bind_to("127.0.0.1", port));
  return port;
}

}  // namespace switchyard::net::test
