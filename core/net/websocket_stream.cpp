#include "core/net/websocket_stream.hpp"

#include <openssl/rand.h>

#include <algorithm>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <cstring>
#include <vector>

namespace switchyard::net {
namespace {

constexpr std::size_t kReadBytes = 16 * 1024;
constexpr std::size_t kKept = 16 * 1024;  // of a queue that is empty again
constexpr std::size_t kReasonMax = 123;   // of a Close: a control frame less its code
constexpr std::chrono::milliseconds kHurry{300};

// Four unpredictable bytes (RFC 6455 10.3), from a stock: a call of the generator costs more than a
// small frame.
void new_mask(unsigned char* mask) {
  thread_local unsigned char stock[256];
  thread_local std::size_t used = sizeof stock;
  if (used == sizeof stock) {
    RAND_bytes(stock, sizeof stock);
    used = 0;
  }
  std::memcpy(mask, stock + used, 4);
  used += 4;
}

// At most kReasonMax bytes, never half a character.
std::string_view cut_reason(std::string_view reason) {
  if (reason.size() <= kReasonMax) return reason;
  std::size_t n = kReasonMax;
  while (n > 0 && (static_cast<unsigned char>(reason[n]) & 0xc0) == 0x80) --n;
  return reason.substr(0, n);
}

}  // namespace

WebSocket::WebSocket(Loop& loop, Stream& stream, Role role, const WebSocketLimits& limits,
                     std::string ahead)
    : loop_(loop),
      stream_(stream),
      role_(role),
      limits_(limits),
      decoder_(role == Role::kServer, limits.message_max),
      ahead_(std::move(ahead)),
      input_(ahead_),
      bytes_in_(ahead_.size()),
      changed_(loop),
      alive_(loop, [this] { on_alive(); }),
      write_(loop, [this] { peer_lost(); }) {
  alive_.expires_after(limits_.ping_every);
}

// ---- in ----

Task<WebSocket::Received> WebSocket::receive() {
  for (;;) {
    if (interrupted_) {
      interrupted_ = false;
      Received interrupted;
      interrupted.kind = Received::Kind::kInterrupted;
      co_return interrupted;
    }
    const Given given = next_event();
    if (given.any) co_return given.received;
    co_await read_more();
  }
}

// What the bytes that have come hold: a message, or the end.
WebSocket::Given WebSocket::next_event() {
  for (;;) {
    if (closed_) return {true, {}};
    const WsEvent event = decoder_.next(input_);
    switch (event.kind) {
      case WsEvent::Kind::kNeedMore:
        return {};
      case WsEvent::Kind::kMessage: {
        if (close_sent_) break;
        Received message;
        message.kind = Received::Kind::kMessage;
        message.text = event.text;
        message.data = event.data;
        return {true, message};
      }
      case WsEvent::Kind::kPing:
        // One who pings and does not read gets no queue of pongs (RFC 6455 5.5.3: the last counts).
        if (!close_sent_ && !slow()) send_control(WsOpcode::kPong, event.data);
        break;
      case WsEvent::Kind::kPong:
        break;
      case WsEvent::Kind::kClose: {
        close(event.code);
        closed_ = true;
        Received closed;
        closed.code = event.code;
        closed.data = event.data;
        return {true, closed};
      }
      case WsEvent::Kind::kFault: {
        close(event.code, event.data);
        closed_ = lost_ = true;
        Received faulty;
        faulty.fault = event.data;
        return {true, faulty};
      }
    }
  }
}

Task<> WebSocket::read_more() {
  if (input_.empty()) {
    buffer_.reset();
    ahead_ = std::string();
  }
  reading_ = true;
  const error_code ec = co_await stream_.wait_readable();
  reading_ = false;
  if (!stream_.is_open()) {
    peer_lost();
    co_return;
  }
  if (ec == asio::error::operation_aborted) co_return;  // interrupt()
  if (!buffer_) buffer_.reset(new char[kReadBytes]);
  const IoResult got = stream_.try_read(buffer_.get(), kReadBytes);
  if (got.ec == asio::error::would_block) co_return;
  if (ec || got.ec || got.n == 0) {
    peer_lost();
    co_return;
  }
  heard_ = true;
  bytes_in_ += got.n;
  input_ = std::span<char>(buffer_.get(), got.n);
}

void WebSocket::interrupt() {
  interrupted_ = true;
  error_code ignored;
  if (reading_) stream_.socket().cancel(ignored);
  changed_.notify();
}

void WebSocket::peer_lost() {
  if (!closed_) closed_ = lost_ = true;
  stream_.close();
  out_ = std::string();
  sent_ = 0;
  alive_.disarm();
  changed_.notify();
}

// ---- out ----

WebSocket::Sent WebSocket::send(bool text, std::span<const asio::const_buffer> pieces) {
  if (closing() || !stream_.is_open()) return Sent::kGone;
  std::size_t size = 0;
  for (const asio::const_buffer& piece : pieces) size += piece.size();
  if (unsent() + size > limits_.unsent_max) return Sent::kTooMuch;
  append_frame(text ? WsOpcode::kText : WsOpcode::kBinary, pieces, size);
  return slow() ? Sent::kSlow : Sent::kDone;
}

void WebSocket::send_control(WsOpcode opcode, std::string_view payload) {
  const asio::const_buffer piece(payload.data(), payload.size());
  append_frame(opcode, {&piece, 1}, payload.size());
}

void WebSocket::append_frame(WsOpcode opcode, std::span<const asio::const_buffer> pieces,
                             std::size_t size) {
  char header[kWsHeaderMax];
  if (role_ == Role::kServer) {
    const std::size_t header_size = ws_write_header(header, opcode, size, nullptr);
    std::vector<asio::const_buffer> all{asio::buffer(header, header_size)};
    all.insert(all.end(), pieces.begin(), pieces.end());
    return write_now(all, header_size + size);
  }
  unsigned char mask[4];
  new_mask(mask);
  out_.append(header, ws_write_header(header, opcode, size, mask));
  const std::size_t begin = out_.size();
  for (const asio::const_buffer& piece : pieces) {
    out_.append(static_cast<const char*>(piece.data()), piece.size());
  }
  ws_mask(out_.data() + begin, size, mask, 0);
  write_now({}, 0);
}

// Writes what is kept and then `pieces`, without waiting; keeps what is left.
void WebSocket::write_now(std::span<const asio::const_buffer> pieces, std::size_t size) {
  std::size_t skip = 0;
  if (!writing_ && stream_.is_open()) {
    std::array<asio::const_buffer, 1> kept{asio::buffer(out_)};
    const bool direct = unsent() == 0;
    const IoResult sent = direct ? stream_.try_write(pieces) : stream_.try_write(kept, sent_);
    if (sent.ec) return peer_lost();
    bytes_out_ += sent.n;
    if (direct) {
      skip = sent.n;
    } else {
      sent_ += sent.n;
    }
  }
  if (skip < size) {
    for (const asio::const_buffer& piece : pieces) {
      const std::size_t passed = std::min(skip, piece.size());
      skip -= passed;
      out_.append(static_cast<const char*>(piece.data()) + passed, piece.size() - passed);
    }
  }
  forget_sent();
  if (unsent() == 0 || writing_ || !stream_.is_open()) return;
  writing_ = true;
  asio::co_spawn(loop_.context(), write_out(), asio::detached);
}

void WebSocket::forget_sent() {
  if (sent_ == out_.size()) {
    sent_ = 0;
    if (out_.capacity() > kKept) {
      out_ = std::string();
    } else {
      out_.clear();
    }
  } else if (sent_ > out_.size() / 2) {
    out_.erase(0, sent_);
    sent_ = 0;
  }
}

Task<> WebSocket::write_out() {
  while (unsent() > 0 && stream_.is_open()) {
    // Whatever goes renews the time that the peer has.
    write_.expires_after(limits_.write_timeout);
    const error_code ec = co_await stream_.wait_writable();
    write_.disarm();
    if (!stream_.is_open()) break;
    if (ec == asio::error::operation_aborted) continue;  // interrupt()
    const std::array<asio::const_buffer, 1> kept{asio::buffer(out_)};
    const IoResult sent = stream_.try_write(kept, sent_);
    if (ec || sent.ec) {
      peer_lost();
      break;
    }
    bytes_out_ += sent.n;
    const bool was_slow = slow();
    sent_ += sent.n;
    forget_sent();
    if (was_slow && !slow()) changed_.notify();
  }
  writing_ = false;
  changed_.notify();
}

Task<> WebSocket::room() {
  if (slow() && !interrupted_) co_await changed_.wait();
}

// ---- the end ----

void WebSocket::close(std::uint16_t code, std::string_view reason) {
  if (closing()) return;
  std::string payload;
  if (code != kWsNoCode) {
    payload += static_cast<char>(code >> 8);
    payload += static_cast<char>(code & 0xff);
    payload += cut_reason(reason);
  }
  send_control(WsOpcode::kClose, payload);
  close_sent_ = true;
  if (!lost_) alive_.expires_after(hurried_ ? kHurry : limits_.close_within);
}

void WebSocket::going_away() {
  hurried_ = true;
  if (lost_) return;
  if (closing()) {
    alive_.expires_after(kHurry);
  } else {
    close(kWsGoingAway);
  }
}

Task<> WebSocket::finish() {
  close(kWsNormal);
  while (!closed_) {
    const Received passed = co_await receive();
    (void)passed;
  }
  while (writing_) co_await changed_.wait();
  alive_.disarm();
  buffer_.reset();
  stream_.shutdown_send();
  if (role_ == Role::kClient || hurried_) stream_.close();
}

void WebSocket::on_alive() {
  if (close_sent_) return peer_lost();
  // A peer that is not listened to, or that has yet to read what came before a ping, is judged by
  // the clock of writes.
  if (!reading_ || unsent() > 0) {
    pinged_ = false;
    alive_.expires_after(limits_.ping_every);
    return;
  }
  if (pinged_ && !heard_) return peer_lost();
  pinged_ = true;
  heard_ = false;
  send_control(WsOpcode::kPing, {});
  if (!lost_) alive_.expires_after(std::min(limits_.ping_every, limits_.pong_within));
}

}  // namespace switchyard::net
