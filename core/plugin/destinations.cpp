#include "core/plugin/destinations.hpp"

#include <openssl/crypto.h>

#include <algorithm>
#include <boost/asio/co_spawn.hpp>
#include <charconv>
#include <ctime>
#include <optional>

#include "core/base/clock.hpp"
#include "core/base/json_scan.hpp"
#include "core/net/cancel.hpp"
#include "core/net/dns.hpp"
#include "core/net/http_client.hpp"
#include "core/net/proxy.hpp"
#include "core/net/text.hpp"
#include "core/net/tls.hpp"
#include "switchyard_version.hpp"

namespace switchyard::plugin {
namespace {

using net::NetError;
using net::NetFault;
using net::Task;
using Milliseconds = std::chrono::milliseconds;

constexpr std::size_t kHeaderBytesMax = 16 * 1024;
constexpr std::uint32_t kRetryAfterMax_ms = 3'600'000;

struct Target {
  std::string name;
  std::shared_ptr<const net::Upstream> upstream;
  std::string base_path;
  std::string fixed_headers;         // no secret in them
  std::vector<std::string> headers;  // names that are the host's, in lower case
  std::string credential_header, credential_prefix;
  Secret credential;
  Milliseconds timeout{};
};

// Framing and identity are the host's at every destination.
constexpr std::string_view kOurs[] = {"host",
                                      "content-length",
                                      "transfer-encoding",
                                      "connection",
                                      "keep-alive",
                                      "te",
                                      "trailer",
                                      "upgrade",
                                      "expect",
                                      "authorization",
                                      "cookie",
                                      "user-agent",
                                      "accept-encoding",
                                      "proxy-authorization",
                                      "proxy-connection"};

bool contains(const std::vector<std::string>& all, std::string_view one) {
  return std::find(all.begin(), all.end(), one) != all.end();
}

bool valid_path(std::string_view path) {
  if (!path.empty() && path.front() != '/') return false;
  return std::all_of(path.begin(), path.end(),
                     [](char c) { return c > ' ' && c < 0x7f && c != '#'; });
}

Result<Target> make_target(const config::Destination& from) {
  const auto url = net::parse_url(from.url);
  if (!url) return Error{"destination \"" + from.name + "\": " + url.error().message};
  auto upstream = std::make_shared<net::Upstream>();
  upstream->tls = url->tls;
  upstream->host = url->host;
  upstream->port = url->port;
  upstream->host_header = net::host_header(*url);
  upstream->connect_timeout = from.timeout;
  upstream->allow_private = from.allow_private;
  upstream->idle_max = 1;  // one post at a time
  auto proxy = net::choose_proxy(*url, from.proxy, net::proxy_environment());
  if (!proxy) return Error{"destination \"" + from.name + "\": " + proxy.error().message};
  upstream->proxy_host = std::move(proxy->host);
  upstream->proxy_port = proxy->port;
  upstream->proxy_authorization = std::move(proxy->authorization);
  if (url->tls) {
    auto client = net::TlsClient::create(from.ca_file.string());
    if (!client) return Error{"destination \"" + from.name + "\": " + client.error().message};
    upstream->tls_client = std::move(*client);
  }
  Target target;
  target.name = from.name;
  target.base_path = url->path;
  target.fixed_headers = "host: " + upstream->host_header + "\r\nuser-agent: switchyard/" +
                         kVersion + "\r\naccept-encoding: identity\r\n";
  for (const auto& [name, value] : from.headers) {
    target.fixed_headers += name + ": " + value + "\r\n";
    target.headers.push_back(net::to_lower(name));
  }
  target.upstream = std::move(upstream);
  target.credential_header = from.credential_header;
  target.credential_prefix = from.credential_prefix;
  target.credential = from.credential;
  if (!from.credential_header.empty()) {
    target.headers.push_back(net::to_lower(from.credential_header));
  }
  target.timeout = from.timeout;
  return target;
}

// Of headers that a plugin gives; empty where they may be sent to `target`.
std::string header_fault(const Target& target, std::span<const swy_kv> headers) {
  std::size_t bytes = 0;
  for (const swy_kv& header : headers) {
    const std::string name = net::to_lower(view(header.k));
    if (!net::valid_token(name)) return "not a header field's name";
    if (!net::valid_header_value(view(header.v))) return "not a value of the header field " + name;
    const bool ours = std::find(std::begin(kOurs), std::end(kOurs), name) != std::end(kOurs);
    if (ours || contains(target.headers, name))
      return "the header field " + name + " is the host's";
    bytes += header.k.n + header.v.n;
  }
  return bytes > kHeaderBytesMax ? "more than 16 KiB of header fields" : "";
}

std::string head_of(const Target& target, const Destinations::Post& post) {
  const std::string_view secret = target.credential.reveal();
  std::size_t room = 256 + target.base_path.size() + post.path.size() +
                     target.fixed_headers.size() + target.credential_header.size() +
                     target.credential_prefix.size() + secret.size();
  for (const swy_kv& header : post.headers) room += header.k.n + header.v.n + 4;
  std::string head;
  // Room for all of it at once: growing would leave copies of the credential behind.
  head.reserve(room);
  head.append(post.method).append(" ").append(target.base_path).append(post.path);
  if (head.ends_with(' ')) head += '/';
  head.append(" HTTP/1.1\r\n").append(target.fixed_headers);
  if (!secret.empty()) {
    head.append(target.credential_header).append(": ").append(target.credential_prefix);
    head.append(secret).append("\r\n");
  }
  for (const swy_kv& header : post.headers) {
    head.append(view(header.k)).append(": ").append(view(header.v)).append("\r\n");
  }
  if (post.method == "GET") return head.append("\r\n");
  char digits[20];
  const auto end = std::to_chars(digits, digits + sizeof digits, post.body.size()).ptr;
  return head.append("content-length: ").append(digits, end).append("\r\n\r\n");
}

// One post, with at most one more try where a kept connection turned out to be closed.
class Exchange {
 public:
  Exchange(const Target& target, net::UpstreamPool& pool, std::string_view method,
           std::span<const net::asio::const_buffer> pieces)
      : target_(target), pool_(pool), method_(method), pieces_(pieces) {}

  Task<> run() {
    auto head = co_await send_and_wait(false);
    if (!head && !late_ && was_stale(head.error())) {
      connection_.reset();
      head = co_await send_and_wait(true);
    }
    if (!head) {
      error = head.error();
      co_return;
    }
    answer.status = (*head)->status;
    answer.retry_after_ms = retry_after_ms((*head)->find("retry-after"), unix_ns());
    co_await read_body();
  }

  void give_up() {
    late_ = true;
    cancel_.cancel();
    if (connection_) connection_->abort();
  }
  bool late() const { return late_; }

  Destinations::Answer answer;
  std::optional<NetError> error;

 private:
  static bool was_stale(const NetError& error) {
    return error.reused && error.nothing_received && error.fault == NetFault::kClosed;
  }

  Task<Result<const net::ResponseHead*, NetError>> send_and_wait(bool fresh) {
    auto acquired = co_await pool_.acquire(target_.upstream, fresh, cancel_);
    if (!acquired) co_return std::move(acquired).error();
    connection_ = std::move(*acquired);
    connection_->set_timeout(target_.timeout);
    if (late_) connection_->abort();
    auto sent = co_await connection_->send(pieces_, method_);
    if (!sent) co_return std::move(sent).error();
    auto head = co_await connection_->read_head();
    co_return head;
  }

  // The status stands, whatever becomes of the body.
  Task<> read_body() {
    while (answer.body.size() < Destinations::kAnswerMax) {
      const auto slice = co_await connection_->read_body();
      if (!slice) co_return;
      if (slice->empty()) {
        pool_.release(std::move(connection_));
        co_return;
      }
      answer.body += slice->substr(0, Destinations::kAnswerMax - answer.body.size());
    }
  }

  const Target& target_;
  net::UpstreamPool& pool_;
  std::string_view method_;
  std::span<const net::asio::const_buffer> pieces_;
  net::Cancel cancel_;
  std::unique_ptr<net::UpstreamConnection> connection_;
  bool late_ = false;
};

std::int32_t class_of(const NetError& error) {
  switch (error.fault) {
    case NetFault::kConnectTimeout:
    case NetFault::kTimeout:
      return SWY_CLS_TIMEOUT;
    case NetFault::kProtocol:
    case NetFault::kTooLarge:
      return SWY_CLS_BAD_ANSWER;
    default:
      return SWY_CLS_OVERLOADED;
  }
}

Destinations::Fault argument_fault(std::string message) {
  return {SWY_E_ARG, SWY_CLS_PLUGIN, std::move(message)};
}

}  // namespace

class Destinations::Impl {
 public:
  explicit Impl(std::vector<Target> targets) : targets_(std::move(targets)) {
    for (const Target& target : targets_) {
      names_ += (names_.empty() ? "\"" : ", \"") + target.name + '"';
    }
  }
  ~Impl() { pool_.clear(); }

  const Target* find(std::string_view name) const {
    const auto found = std::find_if(targets_.begin(), targets_.end(),
                                    [name](const Target& target) { return target.name == name; });
    return found != targets_.end() ? &*found : nullptr;
  }
  const std::string& names() const { return names_; }

  Result<Answer, Fault> post(const Target& target, const Post& post) {
    const std::uint64_t now = mono_ns();
    const std::uint64_t most = now + static_cast<std::uint64_t>(target.timeout.count()) * 1'000'000;
    const std::uint64_t until = std::min(post.deadline_ns, most);
    const std::string place = "destination \"" + target.name + "\": ";
    const Fault timeout{SWY_E_GONE, SWY_CLS_TIMEOUT, place + "no answer within the deadline"};
    if (until <= now) return timeout;

    std::string head = head_of(target, post);
    const net::asio::const_buffer pieces[] = {net::asio::buffer(head),
                                              net::asio::buffer(post.body)};
    Exchange exchange(target, pool_, post.method, pieces);
    net::Deadline deadline(loop_, [&exchange] { exchange.give_up(); });
    // Rounded up: a deadline of less than a millisecond is one all the same.
    deadline.expires_after(Milliseconds((until - now + 999'999) / 1'000'000));
    turn(exchange);
    deadline.disarm();
    OPENSSL_cleanse(head.data(), head.size());
    if (exchange.error && exchange.late()) return timeout;
    if (exchange.error) {
      return Fault{SWY_E_GONE, class_of(*exchange.error), place + exchange.error->message};
    }
    redact(exchange.answer.body, target.credential.reveal());
    return std::move(exchange.answer);
  }

 private:
  // Runs the loop until the exchange is through; its deadline sees to it that it ends.
  void turn(Exchange& exchange) {
    bool done = false;
    std::exception_ptr thrown;
    net::asio::co_spawn(loop_.context(), exchange.run(), [&](std::exception_ptr fault) {
      thrown = fault;
      done = true;
    });
    while (!done) loop_.context().run_one();
    if (thrown) std::rethrow_exception(thrown);
  }

  const std::vector<Target> targets_;
  std::string names_;
  net::Loop loop_{0};
  net::Resolver resolver_{net::Resolver::Options{.threads = 1}};
  net::UpstreamPool pool_{loop_, resolver_};
};

Destinations::Destinations(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Destinations::~Destinations() = default;

Result<std::unique_ptr<Destinations>> Destinations::make(const config::Config& config,
                                                         const std::vector<std::string>& names) {
  std::vector<Target> targets;
  for (const config::Destination& destination : config.destinations) {
    if (!contains(names, destination.name)) continue;
    auto target = make_target(destination);
    if (!target) return std::move(target).error();
    targets.push_back(std::move(*target));
  }
  if (targets.empty()) return std::unique_ptr<Destinations>();
  return std::unique_ptr<Destinations>(
      new Destinations(std::make_unique<Impl>(std::move(targets))));
}

bool Destinations::has(std::string_view name) const { return impl_->find(name) != nullptr; }

const std::string& Destinations::names() const { return impl_->names(); }

Result<Destinations::Answer, Destinations::Fault> Destinations::post(const Post& post) {
  const Target* const target = impl_->find(post.destination);
  if (target == nullptr) {
    return argument_fault("there is no destination \"" + std::string(post.destination) + '"');
  }
  const std::string place = "destination \"" + target->name + "\": ";
  if (!valid_path(post.path)) {
    return argument_fault(place + "expected a path that begins with \"/\", or none");
  }
  const std::string wrong = header_fault(*target, post.headers);
  if (!wrong.empty()) return argument_fault(place + wrong);
  return impl_->post(*target, post);
}

std::uint32_t retry_after_ms(std::string_view value, std::uint64_t now_unix_ns) {
  std::uint64_t seconds = 0;
  const auto [end, fault] = std::from_chars(value.data(), value.data() + value.size(), seconds);
  if (fault == std::errc() && end == value.data() + value.size()) {
    return static_cast<std::uint32_t>(std::min<std::uint64_t>(seconds, kRetryAfterMax_ms / 1000) *
                                      1000);
  }
  std::tm date{};
  const std::string text(value);
  const char* const rest = ::strptime(text.c_str(), "%a, %d %b %Y %H:%M:%S GMT", &date);
  if (rest == nullptr || *rest != '\0') return 0;
  const std::int64_t wait =
      ::timegm(&date) - static_cast<std::int64_t>(now_unix_ns / 1'000'000'000);
  if (wait <= 0) return 0;
  return static_cast<std::uint32_t>(std::min<std::int64_t>(wait, kRetryAfterMax_ms / 1000) * 1000);
}

}  // namespace switchyard::plugin
