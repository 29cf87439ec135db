#include "core/net/stream.hpp"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/x509_vfy.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <cerrno>
#include <cstring>

#include "core/net/await.hpp"

namespace switchyard::net {
namespace {

constexpr std::size_t kRecordMax = 16 * 1024;
constexpr std::size_t kPiecesMax = 64;  // in one system call; more go in the next

error_code last_error() { return {errno, boost::system::system_category()}; }
bool blocked(int error) { return error == EAGAIN || error == EWOULDBLOCK; }

// What `pieces` hold behind their first `skip` bytes, as far as `out` goes.
std::size_t fill_iovec(std::span<const asio::const_buffer> pieces, std::size_t skip,
                       std::span<iovec> out) {
  std::size_t n = 0;
  for (const asio::const_buffer& piece : pieces) {
    if (skip >= piece.size()) {
      skip -= piece.size();
      continue;
    }
    if (n == out.size()) break;
    const char* from = static_cast<const char*>(piece.data()) + skip;
    out[n++] = {const_cast<char*>(from), piece.size() - skip};
    skip = 0;
  }
  return n;
}

std::size_t total(std::span<const asio::const_buffer> pieces) {
  std::size_t sum = 0;
  for (const asio::const_buffer& piece : pieces) sum += piece.size();
  return sum;
}

}  // namespace

// OpenSSL's own socket BIO writes without MSG_NOSIGNAL and keeps the descriptor's number, which may
// belong to somebody else after close(); this one asks the stream each time.
struct Stream::Bio {
  static int read(BIO* bio, char* data, int size) {
    Stream* stream = static_cast<Stream*>(BIO_get_data(bio));
    BIO_clear_retry_flags(bio);
    const ssize_t n = ::recv(stream->fd(), data, static_cast<std::size_t>(size), MSG_DONTWAIT);
    if (n == 0) stream->cut_ = true;
    if (n < 0 && (blocked(errno) || errno == EINTR)) BIO_set_retry_read(bio);
    return static_cast<int>(n);
  }

  static int write(BIO* bio, const char* data, int size) {
    Stream* stream = static_cast<Stream*>(BIO_get_data(bio));
    BIO_clear_retry_flags(bio);
    const ssize_t n =
        ::send(stream->fd(), data, static_cast<std::size_t>(size), MSG_DONTWAIT | MSG_NOSIGNAL);
    if (n < 0 && (blocked(errno) || errno == EINTR)) BIO_set_retry_write(bio);
    return static_cast<int>(n);
  }

  static long control(BIO* bio, int command, long, void*) {
    switch (command) {
      case BIO_CTRL_FLUSH:
      case BIO_CTRL_DUP:
        return 1;
      case BIO_CTRL_EOF:
        return static_cast<Stream*>(BIO_get_data(bio))->cut_ ? 1 : 0;
      default:
        return 0;
    }
  }

  static int create(BIO* bio) {
    BIO_set_init(bio, 1);
    return 1;
  }

  static BIO_METHOD* method() {
    static BIO_METHOD* const method = [] {
      BIO_METHOD* made = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "stream");
      BIO_meth_set_read(made, &Bio::read);
      BIO_meth_set_write(made, &Bio::write);
      BIO_meth_set_ctrl(made, &Bio::control);
      BIO_meth_set_create(made, &Bio::create);
      return made;
    }();
    return method;
  }
};

Stream::Stream(Socket socket) : socket_(std::move(socket)) {
  error_code ignored;
  socket_.native_non_blocking(true, ignored);
  socket_.set_option(tcp::no_delay(true), ignored);
}

Stream::~Stream() {
  // Else SSL_free takes the connection for broken and spoils its session for the next one.
  if (ssl_ && SSL_is_init_finished(ssl_.get())) {
    SSL_set_shutdown(ssl_.get(), SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
  }
}

Task<error_code> Stream::handshake(SslPtr ssl, std::string& why) {
  BIO* bio = BIO_new(Bio::method());
  BIO_set_data(bio, this);
  SSL_set_bio(ssl.get(), bio, bio);
  SSL_set_mode(ssl.get(), SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
                              SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  // One recv for a record instead of two (its head, its body).
  SSL_set_read_ahead(ssl.get(), 1);
  ssl_ = std::move(ssl);

  error_code ec;
  while (!ec) {
    ERR_clear_error();
    const int ret = SSL_do_handshake(ssl_.get());
    if (ret == 1) co_return error_code();
    const int reason = SSL_get_error(ssl_.get(), ret);
    if (reason == SSL_ERROR_WANT_READ) {
      std::tie(ec) = co_await socket_.async_wait(Socket::wait_read, kAwait);
    } else if (reason == SSL_ERROR_WANT_WRITE) {
      std::tie(ec) = co_await socket_.async_wait(Socket::wait_write, kAwait);
    } else {
      ec = tls_error(ret);
    }
    if (!socket_.is_open()) ec = asio::error::operation_aborted;
  }
  why = handshake_fault(ec);
  close();
  co_return ec;
}

std::string Stream::handshake_fault(error_code ec) const {
  const long verdict = SSL_get_verify_result(ssl_.get());
  if (verdict == X509_V_ERR_HOSTNAME_MISMATCH || verdict == X509_V_ERR_IP_ADDRESS_MISMATCH) {
    X509_VERIFY_PARAM* param = SSL_get0_param(ssl_.get());
    const char* host = X509_VERIFY_PARAM_get0_host(param, 0);
    if (host) return std::string("the certificate's name does not match ") + host;
    char* address = X509_VERIFY_PARAM_get1_ip_asc(param);
    const std::string text = address ? address : "the address";
    OPENSSL_free(address);
    return "the certificate's name does not match " + text;
  }
  if (verdict != X509_V_OK) return X509_verify_cert_error_string(verdict);
  if (cut_) return "the peer closed during the TLS handshake";
  const unsigned long code = ERR_peek_error();
  const char* reason = code == 0 ? nullptr : ERR_reason_error_string(code);
  return reason ? reason : ec.message();
}

// What a failed OpenSSL call means; would_block where it only has to wait.
error_code Stream::tls_error(int ret) {
  const int saved = errno;
  switch (SSL_get_error(ssl_.get(), ret)) {
    case SSL_ERROR_WANT_READ:
    case SSL_ERROR_WANT_WRITE:
      return asio::error::would_block;
    case SSL_ERROR_ZERO_RETURN:
      return {};
    case SSL_ERROR_SYSCALL:
      if (!socket_.is_open()) return asio::error::operation_aborted;
      if (cut_ || saved == 0) return asio::error::eof;
      return {saved, boost::system::system_category()};
    default:
      if (!socket_.is_open()) return asio::error::operation_aborted;
      if (cut_) return asio::error::eof;
      return make_error_code(boost::system::errc::protocol_error);
  }
}

IoResult Stream::tls_read(char* data, std::size_t size, bool peek) {
  ERR_clear_error();
  errno = 0;
  std::size_t n = 0;
  const int ret =
      peek ? SSL_peek_ex(ssl_.get(), data, size, &n) : SSL_read_ex(ssl_.get(), data, size, &n);
  read_wants_write_ = false;
  if (ret == 1) return {n, {}};
  read_wants_write_ = SSL_get_error(ssl_.get(), ret) == SSL_ERROR_WANT_WRITE;
  return {0, tls_error(ret)};
}

IoResult Stream::try_read(char* data, std::size_t size) {
  if (!socket_.is_open()) return {0, asio::error::operation_aborted};
  if (ssl_) return tls_read(data, size, false);
  for (;;) {
    const ssize_t n = ::recv(fd(), data, size, MSG_DONTWAIT);
    if (n >= 0) return {static_cast<std::size_t>(n), {}};
    if (blocked(errno)) return {0, asio::error::would_block};
    if (errno != EINTR) return {0, last_error()};
  }
}

Task<IoResult> Stream::read_some(char* data, std::size_t size) {
  IoResult result;
  if (!ssl_) {
    std::tie(result.ec, result.n) =
        co_await socket_.async_read_some(asio::buffer(data, size), kAwait);
    if (result.ec == asio::error::eof) result.ec.clear();
    if (!socket_.is_open()) result.ec = asio::error::operation_aborted;
    co_return result;
  }
  for (;;) {
    result = try_read(data, size);
    if (result.ec != asio::error::would_block) co_return result;
    const auto want = read_wants_write_ ? Socket::wait_write : Socket::wait_read;
    std::tie(result.ec) = co_await socket_.async_wait(want, kAwait);
    if (result.ec) co_return result;
  }
}

Task<error_code> Stream::wait_readable() {
  error_code ec;
  for (;;) {
    if (!socket_.is_open()) co_return error_code(asio::error::operation_aborted);
    if (!ssl_) {
      std::tie(ec) = co_await socket_.async_wait(Socket::wait_read, kAwait);
      co_return ec;
    }
    // Peeking takes control messages (session tickets) out of the way, so that only what a read
    // gives ends the wait.
    char byte;
    const IoResult peeked = tls_read(&byte, 1, true);
    if (peeked.ec != asio::error::would_block) co_return error_code();
    const auto want = read_wants_write_ ? Socket::wait_write : Socket::wait_read;
    std::tie(ec) = co_await socket_.async_wait(want, kAwait);
    if (ec) co_return ec;
  }
}

IoResult Stream::try_write(std::span<const asio::const_buffer> pieces, std::size_t skip) {
  if (!socket_.is_open()) return {0, asio::error::operation_aborted};
  if (ssl_) return tls_write(pieces, skip);
  std::size_t written = 0;
  for (;;) {
    iovec vectors[kPiecesMax];
    msghdr message{};
    message.msg_iov = vectors;
    message.msg_iovlen = fill_iovec(pieces, skip + written, vectors);
    if (message.msg_iovlen == 0) return {written, {}};
    std::size_t offered = 0;
    for (std::size_t i = 0; i < message.msg_iovlen; ++i) offered += vectors[i].iov_len;
    const ssize_t n = ::sendmsg(fd(), &message, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && blocked(errno)) return {written, {}};
    if (n < 0) return {written, last_error()};
    written += static_cast<std::size_t>(n);
    if (static_cast<std::size_t>(n) < offered) return {written, {}};
  }
}

IoResult Stream::tls_write(std::span<const asio::const_buffer> pieces, std::size_t skip) {
  thread_local char gathered[kRecordMax];
  std::size_t written = 0;
  for (;;) {
    iovec vectors[kPiecesMax];
    const std::size_t count = fill_iovec(pieces, skip + written, vectors);
    if (count == 0) return {written, {}};

    // Small pieces share one record: one system call and one header for all of them.
    const void* data = vectors[0].iov_base;
    std::size_t size = std::min(vectors[0].iov_len, kRecordMax);
    if (count > 1 && size < kRecordMax) {
      size = 0;
      for (std::size_t i = 0; i < count && size < kRecordMax; ++i) {
        const std::size_t part = std::min(vectors[i].iov_len, kRecordMax - size);
        std::memcpy(gathered + size, vectors[i].iov_base, part);
        size += part;
      }
      data = gathered;
    }

    ERR_clear_error();
    errno = 0;
    std::size_t n = 0;
    const int ret = SSL_write_ex(ssl_.get(), data, size, &n);
    write_wants_read_ = false;
    if (ret != 1) {
      write_wants_read_ = SSL_get_error(ssl_.get(), ret) == SSL_ERROR_WANT_READ;
      const error_code ec = tls_error(ret);
      if (ec == asio::error::would_block) return {written, {}};
      if (!ec) return {written, asio::error::broken_pipe};
      return {written, ec};
    }
    written += n;
  }
}

Task<error_code> Stream::wait_writable() {
  if (!socket_.is_open()) co_return error_code(asio::error::operation_aborted);
  const auto want = write_wants_read_ ? Socket::wait_read : Socket::wait_write;
  const auto [ec] = co_await socket_.async_wait(want, kAwait);
  co_return ec;
}

Task<IoResult> Stream::write_all(std::span<const asio::const_buffer> pieces) {
  const std::size_t size = total(pieces);
  IoResult done;
  for (;;) {
    const IoResult step = try_write(pieces, done.n);
    done.n += step.n;
    done.ec = step.ec;
    if (done.ec || done.n == size) co_return done;
    const auto want = write_wants_read_ ? Socket::wait_read : Socket::wait_write;
    std::tie(done.ec) = co_await socket_.async_wait(want, kAwait);
    if (done.ec) co_return done;
  }
}

bool Stream::idle_and_quiet() {
  if (!socket_.is_open()) return false;
  char byte;
  if (ssl_ && SSL_pending(ssl_.get()) > 0) return false;
  const ssize_t n = ::recv(fd(), &byte, 1, MSG_PEEK | MSG_DONTWAIT);
  if (n < 0) return blocked(errno);
  if (n == 0 || !ssl_) return false;
  // Perhaps only session tickets.
  return tls_read(&byte, 1, true).ec == asio::error::would_block;
}

bool Stream::peer_gone() {
  if (!socket_.is_open()) return true;
  pollfd entry{fd(), POLLRDHUP, 0};
  return ::poll(&entry, 1, 0) > 0;
}

void Stream::shutdown_send() {
  if (!socket_.is_open()) return;
  if (ssl_) {
    ERR_clear_error();
    SSL_shutdown(ssl_.get());
  }
  error_code ignored;
  socket_.shutdown(Socket::shutdown_send, ignored);
}

void Stream::close() {
  error_code ignored;
  socket_.close(ignored);
}

}  // namespace switchyard::net
