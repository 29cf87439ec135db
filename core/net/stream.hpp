// A byte stream over TCP, plain or TLS, on one loop.
#pragma once

#include <openssl/ssl.h>

#include <memory>
#include <span>
#include <string>

#include "core/net/loop.hpp"

namespace switchyard::net {

struct IoResult {
  std::size_t n = 0;  // 0 without an error: the peer ended the stream in order
  error_code ec;
};

struct SslDelete {
  void operator()(SSL* ssl) const { SSL_free(ssl); }
};
using SslPtr = std::unique_ptr<SSL, SslDelete>;

// One reader and one writer at a time. Used only on the loop it lives on; close() may be called from any callback of
// that loop and makes what is pending fail with operation_aborted.
class Stream {
 public:
  explicit Stream(Socket socket);
  ~Stream();
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;

  // TLS on top, client or server as `ssl` was set up (SSL_set_connect_state or _accept_state). On failure `why` says it
  // for people (certificate reason, alert), and the stream is closed.
  Task<error_code> handshake(SslPtr ssl, std::string& why);
  bool tls() const { return ssl_ != nullptr; }
  SSL* ssl() { return ssl_.get(); }

  // Reads what there is, at least one byte, waiting for it. A TLS peer that cuts without close_notify is an error.
  Task<IoResult> read_some(char* data, std::size_t size);

  // Waits until a read would give something (bytes, end or error), holding no buffer meanwhile.
  Task<error_code> wait_readable();

  // Writes as much as goes without waiting; n < total means the kernel's buffer is full (then ec is empty).
  IoResult try_write(std::span<const asio::const_buffer> pieces);

  // Writes all. The buffers behind `pieces` and the array itself must live until it returns.
  Task<IoResult> write_all(std::span<const asio::const_buffer> pieces);

  // True where the peer has closed or sent bytes: an idle connection that is so must not be reused. One system call.
  bool idle_and_quiet();
  // True where the peer has closed its side or reset; bytes that wait are left alone.
  bool peer_gone();

  // Sends FIN (and close_notify) after what was written.
  void shutdown_send();
  void close();
  bool is_open() const { return socket_.is_open(); }
  Socket& socket() { return socket_; }

 private:
  Socket socket_;
  SslPtr ssl_;
};

}  // namespace switchyard::net
