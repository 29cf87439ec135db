// Takes connections from the listening sockets and deals them out to the loops.
#pragma once

#include <array>
#include <atomic>
#include <boost/asio/ip/address.hpp>
#include <boost/asio/posix/basic_stream_descriptor.hpp>
#include <memory>
#include <mutex>
#include <unordered_map>
#include <vector>

#include "core/net/server.hpp"

namespace switchyard {

// What a connection is served with; replaced as a whole by a reload.
struct ListenerSettings {
  std::shared_ptr<net::TlsServer> tls;  // null: plain
  std::shared_ptr<const net::ServerLimits> limits;
};

// One loop as the acceptor sees it.
struct ServingLoop {
  net::Loop* loop = nullptr;
  net::HttpServer* server = nullptr;
  std::atomic<std::uint64_t>* accepted = nullptr;
  std::atomic<std::uint64_t>* refused = nullptr;
};

// Lives on one loop and hands each connection to the loop that has the fewest. At the limit of
// connections, or without descriptors left, a connection is answered with 503 and closed rather
// than left to hang.
class Acceptor {
 public:
  Acceptor(net::Loop& loop, std::vector<ServingLoop> loops);
  ~Acceptor();
  Acceptor(const Acceptor&) = delete;
  Acceptor& operator=(const Acceptor&) = delete;

  // Adds a listening socket, which is owned from now on. Before the loops run.
  void listen(int fd);
  // settings[i] belongs to the i-th socket. [loop]
  void configure(std::vector<ListenerSettings> settings, std::size_t connections_max,
                 std::size_t per_address_max);
  // Takes what is queued, then closes the sockets. [loop]
  void stop();

 private:
  using Descriptor = net::asio::posix::basic_stream_descriptor<net::Executor>;
  struct Listener {
    Descriptor descriptor;
    net::Timer retry;  // of its own: setting a timer anew drops the wait that is pending on it
    ListenerSettings settings;
  };
  class Addresses;

  void wait(std::size_t index);
  // Takes connections until none is left, or `most` of them; false: the process has no descriptors
  // left.
  bool take(Listener& listener, unsigned most);
  void deal(int fd, const Listener& listener, const std::string& address);
  void refuse(int fd, const Listener& listener);
  void refuse_without_descriptors(Listener& listener);
  ServingLoop& least_loaded();

  net::Loop& loop_;
  std::vector<ServingLoop> loops_;
  std::vector<std::unique_ptr<Listener>> listeners_;
  std::size_t connections_max_ = 0, per_address_max_ = 0;
  std::shared_ptr<Addresses> addresses_;
  int spare_fd_ = -1;
};

}  // namespace switchyard
