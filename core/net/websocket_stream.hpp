// One end of a WebSocket connection: messages over a Stream, with pings, deadlines and the closing
// handshake.
#pragma once

#include <chrono>
#include <memory>
#include <span>
#include <string>

#include "core/net/loop.hpp"
#include "core/net/signal.hpp"
#include "core/net/stream.hpp"
#include "core/net/websocket.hpp"

namespace switchyard::net {

struct WebSocketLimits {
  std::size_t message_max = WsDecoder::kMessageMax;
  std::size_t slow_at = 64 * 1024;     // unsent bytes from which the peer counts as slow
  std::size_t unsent_max = 32u << 20;  // beyond, nothing more is taken
  std::chrono::milliseconds ping_every{20'000};
  std::chrono::milliseconds pong_within{20'000};    // else the peer is dead
  std::chrono::milliseconds write_timeout{60'000};  // no progress for this long: the same
  std::chrono::milliseconds close_within{5'000};    // from our Close to the peer's
};

// Used on its loop only. One receive() at a time; the others may be called at any time beside it.
// Before it goes, finish() must have returned. A peer that breaks the protocol gets the Close that
// the RFC names; to the owner it left with kWsAbnormal.
class WebSocket {
 public:
  enum class Role { kServer, kClient };

  // `stream` has had its handshake and outlives this; `ahead`: what came behind it.
  WebSocket(Loop& loop, Stream& stream, Role role, const WebSocketLimits& limits,
            std::string ahead);
  WebSocket(const WebSocket&) = delete;
  WebSocket& operator=(const WebSocket&) = delete;

  struct Received {
    enum class Kind { kMessage, kClosed, kInterrupted };
    Kind kind = Kind::kClosed;
    bool text = false;
    std::uint16_t code = kWsAbnormal;  // kClosed: the peer's code
    std::string_view data;             // the message, or the reason; until the next receive()
    std::string_view fault;            // kClosed: what the peer did wrong, in static words
  };
  // The next message, or how the peer left. Pings are answered on the way. After our own Close
  // messages are passed over.
  Task<Received> receive();
  // Makes the pending receive(), or the next one, give kInterrupted; and wakes room().
  void interrupt();

  enum class Sent { kDone, kSlow, kGone, kTooMuch };
  // Sends a message, a gather list, or keeps what does not go at once.
  Sent send(bool text, std::span<const asio::const_buffer> pieces);
  bool slow() const { return unsent() >= limits_.slow_at && !lost_; }
  // Waits until slow() may have changed.
  Task<> room();

  // Sends a Close, once; kWsNoCode: one without a code. `reason` is cut to what fits.
  void close(std::uint16_t code, std::string_view reason = {});
  // The same because the process ends: kWsGoingAway, and little patience from now on.
  void going_away();
  bool hurried() const { return hurried_; }
  // We sent a Close, or the peer is gone.
  bool closing() const { return close_sent_ || closed_; }
  // The peer is gone, with a Close or without.
  bool closed() const { return closed_; }
  // The peer left without a Close.
  bool lost() const { return lost_; }

  // Closes where that has not happened, and waits for the peer's Close within the deadline. A
  // client's stream is closed then; a server's has only its end sent, and is left to who reads it
  // to the peer's.
  Task<> finish();

  std::uint64_t bytes_in() const { return bytes_in_; }
  std::uint64_t bytes_out() const { return bytes_out_; }

 private:
  struct Given {
    bool any = false;
    Received received;
  };
  Given next_event();
  Task<> read_more();
  void send_control(WsOpcode opcode, std::string_view payload);
  void append_frame(WsOpcode opcode, std::span<const asio::const_buffer> pieces, std::size_t size);
  void write_now(std::span<const asio::const_buffer> pieces, std::size_t size);
  Task<> write_out();
  std::size_t unsent() const { return out_.size() - sent_; }
  void forget_sent();
  void peer_lost();
  void on_alive();

  Loop& loop_;
  Stream& stream_;
  const Role role_;
  const WebSocketLimits limits_;
  WsDecoder decoder_;

  std::unique_ptr<char[]> buffer_;  // only while something of it is not decoded yet
  std::string ahead_;
  std::span<char> input_;

  std::string out_;  // frames that did not go at once; sent_ of it went
  std::size_t sent_ = 0;
  bool reading_ = false, writing_ = false, interrupted_ = false;
  bool close_sent_ = false, closed_ = false, lost_ = false, hurried_ = false;
  bool pinged_ = false, heard_ = false;
  std::uint64_t bytes_in_ = 0, bytes_out_ = 0;
  Signal changed_;
  Deadline alive_;  // the next ping, the pong's time, the peer's Close
  Deadline write_;
};

}  // namespace switchyard::net
