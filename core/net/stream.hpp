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

// One reader and one writer at a time. Used only on the loop it lives on; close() may be called
// from any callback of that loop and makes what is pending fail with operation_aborted.
class Stream {
 public:
  explicit Stream(Socket socket);
  ~Stream();
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;

  // TLS on top, client or server as `ssl` was set up (SSL_set_connect_state or _accept_state). On
  // failure `why` says it for people (certificate reason, alert), and the stream is closed.
  Task<error_code> handshake(SslPtr ssl, std::string& why);
  bool tls() const { return ssl_ != nullptr; }
  SSL* ssl() { return ssl_.get(); }

  // Reads what there is, at least one byte, waiting for it. A TLS peer that cuts without
  // close_notify is an error.
  Task<IoResult> read_some(char* data, std::size_t size);

  // The same without waiting: would_block where there is nothing. A plain stream costs one system
  // call.
  IoResult try_read(char* data, std::size_t size);

  // Waits until a read would give something (bytes, end or error), holding no buffer meanwhile.
  Task<error_code> wait_readable();

  // Writes as much as goes without waiting, passing over the first `skip` bytes; n < total means
  // the kernel's buffer is full (then ec is empty). With TLS the next write must go on with the
  // very bytes that this one left over.
  IoResult try_write(std::span<const asio::const_buffer> pieces, std::size_t skip = 0);

  // Waits until try_write() would get further.
  Task<error_code> wait_writable();

  // Writes all. The buffers behind `pieces` and the array itself must live until it returns.
  Task<IoResult> write_all(std::span<const asio::const_buffer> pieces);

  // True where an idle connection is still open and the peer has sent nothing: one that is not so
  // must not be reused. One system call.
  bool idle_and_quiet();
  // True where the peer has closed its side or reset; bytes that wait are left alone.
  bool peer_gone();

  // Sends FIN (and close_notify) after what was written.
  void shutdown_send();
  void close();
  bool is_open() const { return socket_.is_open(); }
  Socket& socket() { return socket_; }

 private:
  struct Bio;  // what OpenSSL reads from and writes to

  int fd() { return socket_.is_open() ? socket_.native_handle() : -1; }
  IoResult tls_read(char* data, std::size_t size, bool peek);
  IoResult tls_write(std::span<const asio::const_buffer> pieces, std::size_t skip);
  error_code tls_error(int ret);
  std::string handshake_fault(error_code ec) const;

  Socket socket_;
  SslPtr ssl_;
  bool read_wants_write_ = false;  // TLS control messages: what the next wait is for
  bool write_wants_read_ = false;
  bool cut_ = false;  // the peer's FIN came
};

}  // namespace switchyard::net
