// HTTP/1.1 towards upstreams: one pool of connections per loop.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "core/base/result.hpp"
#include "core/net/http1.hpp"
#include "core/net/loop.hpp"
#include "core/net/stream.hpp"

namespace switchyard::net {

class Cancel;     // cancel.hpp
class Resolver;   // dns.hpp
class TlsClient;  // tls.hpp

// Where connections go. Immutable and shared by all loops; its address is the pool's key, so
// connections are shared exactly by those who share an Upstream. Nothing of one Upstream is ever
// reused for another.
struct Upstream {
  bool tls = true;
  std::string host;  // a name or an IP literal without brackets
  std::uint16_t port = 443;
  std::string host_header;  // host, with the port where it is not the scheme's own
  std::string proxy_host;  // empty: direct; else an HTTP proxy, by CONNECT for https and http alike
  std::uint16_t proxy_port = 0;
  std::string proxy_authorization;  // value of the header towards the proxy, or empty; never logged
  std::shared_ptr<TlsClient> tls_client;
  bool allow_private =
      true;  // false: addresses that are not global unicast are refused before the connect
  std::chrono::milliseconds connect_timeout{5000};  // name, TCP and TLS together
  std::size_t idle_max = 64;                        // kept per loop
  std::chrono::seconds idle_timeout{55};
};

enum class NetFault {
  kResolve,
  kRefused,  // TCP connect failed
  kConnectTimeout,
  kTls,  // handshake or certificate
  kProxy,
  kForbidden,  // the address is not allowed
  kClosed,     // reset or closed where bytes were due
  kTimeout,    // no progress in time
  kProtocol,   // not HTTP/1.1 as it must be
  kTooLarge,   // a limit passed
  kAborted,    // abort() was called
};

struct NetError {
  NetFault fault = NetFault::kClosed;
  std::string message;           // for people, no secret in it
  bool nothing_received = true;  // not one byte of an answer came
  bool reused = false;           // on a connection that had served before
};

struct ResponseLimits {
  HeadLimits head{.head_bytes_max = 64 * 1024};
  std::uint64_t inflated_ratio_max = 200;  // of an unrequested gzip body
};

// One exchange at a time. Every wait is bounded by the timeouts given here; they may be changed
// between calls.
class UpstreamConnection {
 public:
  virtual ~UpstreamConnection() = default;

  // No progress for this long in any single wait (write, head, body slice) is kTimeout.
  virtual void set_timeout(std::chrono::milliseconds timeout) = 0;

  // Sends one request: head and body as they are. The buffers live until it returns.
  virtual Task<Result<void, NetError>> send(std::span<const asio::const_buffer> pieces,
                                            std::string_view method) = 0;
  // The answer's head, 1xx passed over. Valid until the next send().
  virtual Task<Result<const ResponseHead*, NetError>> read_head() = 0;
  // The next slice of the body, decoded from chunks and gzip; empty at its end. Valid until the
  // next call. Where a coded body is inflated the head shows neither its Content-Encoding nor its
  // length. Holds at most a small buffer while it waits.
  virtual Task<Result<std::string_view, NetError>> read_body() = 0;
  // True once the body's last byte was handed out and its end has come.
  virtual bool body_complete() const = 0;
  // True where read_body() has something to give (bytes, the end, a fault) without waiting. It may
  // say false where an inflated body has more.
  virtual bool body_buffered() const = 0;
  // read_body() where it need not wait, without a coroutine: true where it could tell, then `slice`
  // is what read_body() would have given. False: call read_body().
  virtual bool try_read_body(Result<std::string_view, NetError>& slice) = 0;

  // The next request asks for an upgrade: a 101 is its answer then, not passed over.
  virtual void expect_upgrade() = 0;
  // After a 101: the bytes are the caller's from here on; `ahead`: what came behind the head, which
  // stays valid. The connection is good for nothing else.
  virtual std::unique_ptr<Stream> take_stream(std::string& ahead) = 0;

  // Makes a pending call fail with kAborted and the connection unfit for reuse. On the loop;
  // harmless twice. The connection itself must live until the pending call has returned.
  virtual void abort() = 0;
  // Where the connection goes, for records: "203.0.113.5:443".
  virtual const std::string& peer() const = 0;
};

class UpstreamPool {
 public:
  struct Stats {
    std::uint64_t opened = 0, reused = 0, failed = 0, idle = 0, active = 0;
  };

  UpstreamPool(Loop& loop, Resolver& resolver);
  UpstreamPool(Loop& loop, Resolver& resolver, const ResponseLimits& limits);
  ~UpstreamPool();

  // An idle connection that is still quiet, or a new one (name, happy eyeballs, proxy, TLS).
  // `fresh` asks for a new one.
  Task<Result<std::unique_ptr<UpstreamConnection>, NetError>> acquire(
      std::shared_ptr<const Upstream> upstream, bool fresh);
  // The same until `cancel` (then kAborted), which must live until it returns.
  Task<Result<std::unique_ptr<UpstreamConnection>, NetError>> acquire(
      std::shared_ptr<const Upstream> upstream, bool fresh, Cancel& cancel);
  // The idle hit alone, without a coroutine: null where there is none.
  std::unique_ptr<UpstreamConnection> try_acquire(const std::shared_ptr<const Upstream>& upstream);

  // Takes a connection back: keeps it where the answer was read to its end and both sides allow,
  // else closes it.
  void release(std::unique_ptr<UpstreamConnection> connection);

  // Closes what is idle, e.g. before the loop stops or after a reload.
  void clear();
  // [any thread]
  Stats stats() const;

 private:
  class Impl;
  std::shared_ptr<Impl> impl_;
};

// Splits "https://host:port/base" ; base keeps its leading slash and loses a trailing one. The host
// comes in lower case and without brackets. A user, a query or a fragment is refused.
struct Url {
  bool tls = true;
  std::string host;
  std::uint16_t port = 443;
  std::string path;
};
Result<Url> parse_url(std::string_view url);
// What the Host header says: the port where it is not the scheme's own.
std::string host_header(const Url& url);

}  // namespace switchyard::net
