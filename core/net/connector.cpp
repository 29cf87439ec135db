#include "core/net/connector.hpp"

#include <deque>

#include "core/net/address.hpp"
#include "core/net/await.hpp"
#include "core/net/dns.hpp"
#include "core/net/tls.hpp"

namespace switchyard::net {
namespace {

constexpr std::chrono::milliseconds kStagger{250};  // RFC 8305 section 8
constexpr std::size_t kProxyHeadMax = 16 * 1024;

// What the kernel takes of an answer while a slow client holds it up. Left to itself it takes as
// much as tcp_rmem allows, which is tens of megabytes for each connection on some machines.
constexpr int kReceiveBuffer = 256 * 1024;

// Attempts under way. Their callbacks share it; the coroutine that waits is woken by `done`.
class Race : public std::enable_shared_from_this<Race> {
 public:
  Race(Executor executor, std::vector<tcp::endpoint> endpoints)
      : executor_(executor),
        left_(endpoints.begin(), endpoints.end()),
        stagger_(executor),
        done_(executor, Timer::time_point::max()) {}

  void start_next() {
    if (finished_ || left_.empty()) return;
    const tcp::endpoint endpoint = left_.front();
    left_.pop_front();
    attempts_.push_back(std::make_unique<Socket>(executor_));
    Socket* socket = attempts_.back().get();
    ++running_;
    error_code ignored;  // of a family that this machine lacks: the connect says so
    socket->open(endpoint.protocol(), ignored);
    socket->set_option(asio::socket_base::receive_buffer_size(kReceiveBuffer), ignored);
    socket->async_connect(endpoint, [self = shared_from_this(), socket, endpoint](error_code ec) {
      self->on_connect(socket, endpoint, ec);
    });
    if (left_.empty()) return;
    stagger_.expires_after(kStagger);
    stagger_.async_wait([self = shared_from_this()](error_code ec) {
      if (!ec) self->start_next();
    });
  }

  // Closes what lost or is not wanted any more; the callbacks still to come find it finished.
  void finish() {
    if (finished_) return;
    finished_ = true;
    stagger_.cancel();
    for (auto& socket : attempts_) {
      error_code ignored;
      if (socket) socket->close(ignored);
    }
    done_.cancel();
  }

  bool finished() const { return finished_; }
  Timer& done() { return done_; }
  RaceResult result{.ec = asio::error::operation_aborted};

 private:
  void on_connect(Socket* socket, const tcp::endpoint& endpoint, error_code ec) {
    --running_;
    if (finished_) return;
    result.ec = ec;
    if (ec) {
      stagger_.cancel();
      if (running_ == 0 && left_.empty()) return finish();
      return start_next();
    }
    for (auto& attempt : attempts_) {
      if (attempt.get() == socket) result.socket = std::move(attempt);
    }
    result.endpoint = endpoint;
    finish();
  }

  Executor executor_;
  std::deque<tcp::endpoint> left_;
  std::vector<std::unique_ptr<Socket>> attempts_;
  std::size_t running_ = 0;
  bool finished_ = false;
  Timer stagger_;
  Timer done_;
};

std::string bracketed(const std::string& host) {
  return host.find(':') == std::string::npos ? host : '[' + host + ']';
}

std::string host_port(const std::string& host, std::uint16_t port) {
  return bracketed(host) + ':' + std::to_string(port);
}

NetError fault(NetFault kind, std::string message) { return {kind, std::move(message)}; }

// One connect under one deadline. Whatever ends it early goes through `stop`.
class Connector {
 public:
  Connector(Loop& loop, Resolver& resolver, const Upstream& upstream, Cancel& cancel)
      : resolver_(resolver), upstream_(upstream), cancel_(cancel), deadline_(loop, [this] {
          timed_out_ = true;
          stop_.cancel();
        }) {
    deadline_.expires_after(upstream.connect_timeout);
  }

  Task<Result<Connected, NetError>> run() {
    const Cancel::Scope scope(cancel_, [this] { stop_.cancel(); });
    if (cancel_.cancelled()) co_return given_up();
    const bool reached = co_await reach();
    deadline_.disarm();
    if (timed_out_ || cancel_.cancelled()) co_return given_up();
    if (!reached) co_return std::move(error_);
    co_return std::move(connected_);
  }

 private:
  Task<bool> reach() {
    const bool open = co_await connect();
    if (!open || stop_.cancelled()) co_return false;
    // From here on everything waits on the stream.
    const Cancel::Scope scope(stop_, [this] { connected_.stream->close(); });
    if (!upstream_.proxy_host.empty()) {
      const bool tunnelled = co_await tunnel();
      if (!tunnelled) co_return false;
    }
    if (!upstream_.tls) co_return true;
    step_ = "TLS handshake with";
    std::string why;
    SslPtr ssl = upstream_.tls_client->make(upstream_.host, upstream_.port);
    const error_code ec = co_await connected_.stream->handshake(std::move(ssl), why);
    if (ec) {
      co_return fail(NetFault::kTls,
                     "TLS to " + host_port(upstream_.host, upstream_.port) + ": " + why);
    }
    co_return true;
  }

  Task<bool> connect() {
    const bool proxied = !upstream_.proxy_host.empty();
    target_ = bracketed(upstream_.host);
    if (proxied && !upstream_.allow_private) {
      // The proxy would resolve the name anew, perhaps to something else: it is told the address
      // that was checked.
      const bool known = co_await resolve(upstream_.host, false);
      if (!known) co_return false;
      target_ = bracketed(addresses_.front().to_string());
    }
    std::string host = upstream_.host;
    std::uint16_t port = upstream_.port;
    if (proxied) {
      host = upstream_.proxy_host;
      port = upstream_.proxy_port;
    }
    const bool known = co_await resolve(host, proxied || upstream_.allow_private);
    if (!known) co_return false;

    step_ = "TCP connect to";
    std::vector<tcp::endpoint> endpoints;
    for (const auto& address : addresses_) endpoints.emplace_back(address, port);
    RaceResult race = co_await connect_any(std::move(endpoints), stop_);
    if (!race.socket) {
      co_return fail(proxied ? NetFault::kProxy : NetFault::kRefused,
                     "connect to " + host_port(host, port) + ": " + race.ec.message());
    }
    connected_.stream = std::make_unique<Stream>(std::move(*race.socket));
    connected_.peer = host_port(race.endpoint.address().to_string(), port);
    co_return true;
  }

  // Fills addresses_ with those that may be used.
  Task<bool> resolve(std::string host, bool any) {
    step_ = "looking up";
    auto found = co_await resolver_.resolve(host, stop_);
    if (!found) co_return fail(NetFault::kResolve, found.error().message);
    addresses_ = interleave(**found);
    if (!any) std::erase_if(addresses_, [](const auto& address) { return !is_global(address); });
    if (addresses_.empty()) {
      const std::string address = (*found)->front().to_string();
      co_return fail(NetFault::kForbidden,
                     host + " is at " + address + ", which is not a public address");
    }
    co_return true;
  }

  Task<bool> tunnel() {
    step_ = "CONNECT through the proxy to";
    const std::string target = target_ + ':' + std::to_string(upstream_.port);
    std::string request = "CONNECT " + target + " HTTP/1.1\r\nHost: " + target + "\r\n";
    if (!upstream_.proxy_authorization.empty()) {
      request += "Proxy-Authorization: " + upstream_.proxy_authorization + "\r\n";
    }
    request += "\r\n";
    Stream& stream = *connected_.stream;
    const asio::const_buffer piece = asio::buffer(request);
    const std::span<const asio::const_buffer> pieces(&piece, 1);
    const IoResult sent = co_await stream.write_all(pieces);
    if (sent.ec) co_return fail(NetFault::kProxy, "the proxy: " + sent.ec.message());

    std::string bytes;
    std::size_t scanned = 0;
    for (;;) {
      const std::size_t have = bytes.size();
      bytes.resize(have + 1024);
      const IoResult got = co_await stream.read_some(bytes.data() + have, 1024);
      bytes.resize(have + got.n);
      if (got.ec) co_return fail(NetFault::kProxy, "the proxy: " + got.ec.message());
      if (got.n == 0) co_return fail(NetFault::kProxy, "the proxy closed before it answered");
      const HeadResult state = check_tunnel(bytes, scanned);
      if (state.state == HeadResult::State::kDone) co_return true;
      if (state.state == HeadResult::State::kError) {
        co_return fail(NetFault::kProxy, std::move(tunnel_fault_));
      }
    }
  }

  HeadResult check_tunnel(std::string& bytes, std::size_t& scanned) {
    HeadLimits limits;
    limits.head_bytes_max = kProxyHeadMax;
    ResponseHead head;
    HeadResult state =
        parse_response_head(bytes.data(), bytes.size(), limits, "CONNECT", scanned, head);
    if (state.state == HeadResult::State::kError) {
      tunnel_fault_ = std::string("the proxy's answer: ") + state.reason;
    }
    if (state.state != HeadResult::State::kDone) return state;
    if (head.status / 100 != 2) {
      state.state = HeadResult::State::kError;
      tunnel_fault_ =
          "the proxy answered " + std::to_string(head.status) + ' ' + std::string(head.reason);
    } else if (state.consumed != bytes.size()) {
      // Nobody speaks before us in TLS or HTTP, so these bytes are not the upstream's.
      state.state = HeadResult::State::kError;
      tunnel_fault_ = "the proxy sent bytes behind its answer";
    }
    return state;
  }

  bool fail(NetFault kind, std::string message) {
    error_ = fault(kind, std::move(message));
    connected_.stream.reset();
    return false;
  }

  NetError given_up() {
    connected_.stream.reset();
    if (cancel_.cancelled()) return fault(NetFault::kAborted, "given up while connecting");
    return fault(NetFault::kConnectTimeout,
                 std::string(step_) + ' ' + host_port(upstream_.host, upstream_.port) +
                     ": not done within " + std::to_string(upstream_.connect_timeout.count()) +
                     " ms");
  }

  Resolver& resolver_;
  const Upstream& upstream_;
  Cancel& cancel_;
  Cancel stop_;
  bool timed_out_ = false;
  Deadline deadline_;
  const char* step_ = "";
  std::string target_;  // for CONNECT
  std::vector<asio::ip::address> addresses_;
  std::string tunnel_fault_;
  Connected connected_;
  NetError error_;
};

}  // namespace

std::vector<asio::ip::address> interleave(const std::vector<asio::ip::address>& addresses) {
  std::deque<asio::ip::address> first, other;
  for (const auto& address : addresses) {
    (address.is_v4() == addresses.front().is_v4() ? first : other).push_back(address);
  }
  std::vector<asio::ip::address> out;
  while (!first.empty() || !other.empty()) {
    for (auto* family : {&first, &other}) {
      if (family->empty()) continue;
      out.push_back(family->front());
      family->pop_front();
    }
  }
  return out;
}

Task<RaceResult> connect_any(std::vector<tcp::endpoint> endpoints, Cancel& cancel) {
  const Executor executor = co_await asio::this_coro::executor;
  const auto race = std::make_shared<Race>(executor, std::move(endpoints));
  const Cancel::Scope scope(cancel, [&race] { race->finish(); });
  if (!cancel.cancelled()) {
    race->start_next();
    if (!race->finished()) co_await race->done().async_wait(kAwait);
  }
  co_return std::move(race->result);
}

Task<Result<Connected, NetError>> connect_upstream(Loop& loop, Resolver& resolver,
                                                   const Upstream& upstream, Cancel& cancel) {
  Connector connector(loop, resolver, upstream, cancel);
  co_return co_await connector.run();
}

}  // namespace switchyard::net
