#include "core/worker/acceptor.hpp"

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <limits>
#include <string_view>

#include "core/base/clock.hpp"
#include "core/observe/log.hpp"

namespace switchyard {
namespace {

constexpr std::chrono::milliseconds kRetryAfter{100};
// Connections taken in one turn: the loop has requests to serve as well.
constexpr unsigned kTurn = 64;
constexpr char kOverloaded[] =
    "HTTP/1.1 503 Service Unavailable\r\ncontent-type: application/json\r\nretry-after: 1\r\n"
    "connection: close\r\ncontent-length: 125\r\n\r\n"
    R"({"error":{"message":"the gateway has no room for another connection","type":"server_error","param":null,"code":"overloaded"}})";

// To a client that begins TLS: a fatal alert, internal_error (RFC 8446, sections 5.1 and 6), in
// place of text that it would take for a broken handshake.
constexpr char kTlsAlert[] = {0x15, 0x03, 0x03, 0x00, 0x02, 0x02, 0x50};

}  // namespace

// Connections by address, counted over all loops.
class Acceptor::Addresses {
 public:
  // Null where the address has its share already.
  std::shared_ptr<void> take(const std::shared_ptr<Addresses>& self, const std::string& address,
                             std::size_t max) {
    const std::lock_guard lock(mutex_);
    if (counts_[address] >= max) return nullptr;
    ++counts_[address];
    // Points at something, for one that is null is how its caller hears of a refusal.
    return std::shared_ptr<void>(self.get(), [self, address](void*) { self->give_back(address); });
  }

 private:
  void give_back(const std::string& address) {
    const std::lock_guard lock(mutex_);
    const auto found = counts_.find(address);
    if (--found->second == 0) counts_.erase(found);
  }

  std::mutex mutex_;
  std::unordered_map<std::string, std::size_t> counts_;
};

Acceptor::Acceptor(net::Loop& loop, std::vector<ServingLoop> loops)
    : loop_(loop),
      loops_(std::move(loops)),
      addresses_(std::make_shared<Addresses>()),
      spare_fd_(::open("/dev/null", O_RDONLY | O_CLOEXEC)) {}

Acceptor::~Acceptor() {
  if (spare_fd_ >= 0) ::close(spare_fd_);
}

void Acceptor::listen(int fd) {
  listeners_.push_back(std::make_unique<Listener>(
      Listener{Descriptor(loop_.executor(), fd), net::Timer(loop_.executor()), {}}));
}

void Acceptor::configure(std::vector<ListenerSettings> settings, std::size_t connections_max,
                         std::size_t per_address_max) {
  const bool first = connections_max_ == 0;
  connections_max_ = connections_max;
  per_address_max_ = per_address_max;
  for (std::size_t i = 0; i < listeners_.size() && i < settings.size(); ++i) {
    listeners_[i]->settings = std::move(settings[i]);
    if (first) wait(i);
  }
}

void Acceptor::stop() {
  for (auto& listener : listeners_) {
    listener->retry.cancel();
    take(*listener, std::numeric_limits<unsigned>::max());
    net::error_code ignored;
    listener->descriptor.close(ignored);
  }
}

void Acceptor::wait(std::size_t index) {
  Listener& listener = *listeners_[index];
  listener.descriptor.async_wait(Descriptor::wait_read, [this, index](net::error_code ec) {
    if (ec) return;
    Listener& ready = *listeners_[index];
    if (take(ready, kTurn)) return wait(index);
    // Accepting at once again would pin the core: the queue keeps the socket readable.
    refuse_without_descriptors(ready);
    ready.retry.expires_after(kRetryAfter);
    ready.retry.async_wait([this, index](net::error_code late) {
      if (!late) wait(index);
    });
  });
}

bool Acceptor::take(Listener& listener, unsigned most) {
  while (most-- > 0) {
    sockaddr_storage peer{};
    socklen_t size = sizeof peer;
    const int fd =
        ::accept4(listener.descriptor.native_handle(), reinterpret_cast<sockaddr*>(&peer), &size,
                  SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0) {
      if (errno == EINTR || errno == ECONNABORTED) continue;
      return errno != EMFILE && errno != ENFILE && errno != ENOBUFS && errno != ENOMEM;
    }
    std::string address;
    if (per_address_max_ > 0) {
      net::tcp::endpoint endpoint;
      std::memcpy(endpoint.data(), &peer, std::min<std::size_t>(size, endpoint.capacity()));
      address = endpoint.address().to_string();
    }
    deal(fd, listener, address);
  }
  return true;
}

ServingLoop& Acceptor::least_loaded() {
  return *std::min_element(loops_.begin(), loops_.end(), [](const auto& a, const auto& b) {
    return a.server->connections() < b.server->connections();
  });
}

void Acceptor::deal(int fd, const Listener& listener, const std::string& address) {
  std::int64_t open = 0;
  for (const auto& loop : loops_) open += loop.server->connections();
  std::shared_ptr<void> hold;
  if (per_address_max_ > 0) {
    hold = addresses_->take(addresses_, address, per_address_max_);
    if (!hold) return refuse(fd, listener);
  }
  if (static_cast<std::size_t>(open) >= connections_max_) return refuse(fd, listener);

  const int on = 1;
  ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  ServingLoop& target = least_loaded();
  target.accepted->fetch_add(1, std::memory_order_relaxed);
  target.server->reserve();
  auto serve = [fd, target, settings = listener.settings, hold = std::move(hold)]() mutable {
    net::Socket socket(target.loop->executor());
    net::error_code failed;
    socket.assign(net::tcp::v4(), fd, failed);
    if (failed) {
      ::close(fd);
      return target.server->release();
    }
    target.server->serve(std::move(socket), std::move(settings.tls), std::move(settings.limits),
                         std::move(hold));
  };
  net::asio::post(target.loop->context(), std::move(serve));
}

void Acceptor::refuse(int fd, const Listener& listener) {
  loops_.front().refused->fetch_add(1, std::memory_order_relaxed);
  // Best effort, and without waiting: the client may not even have sent its request.
  const std::string_view text = listener.settings.tls
                                    ? std::string_view(kTlsAlert, sizeof kTlsAlert)
                                    : std::string_view(kOverloaded, sizeof kOverloaded - 1);
  [[maybe_unused]] const auto sent =
      ::send(fd, text.data(), text.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
  ::shutdown(fd, SHUT_WR);
  ::close(fd);
}

void Acceptor::refuse_without_descriptors(Listener& listener) {
  static observe::LogGate gate{std::chrono::seconds(1)};
  const auto held = gate.pass(mono_ns());
  if (held) spdlog::error("accept_failed reason=\"no file descriptors left\" held_back={}", *held);
  if (spare_fd_ >= 0) ::close(spare_fd_);
  const int fd = ::accept4(listener.descriptor.native_handle(), nullptr, nullptr, SOCK_CLOEXEC);
  if (fd >= 0) refuse(fd, listener);
  spare_fd_ = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
}

}  // namespace switchyard
