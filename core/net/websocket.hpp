// WebSocket (RFC 6455) without its connection: frames in and out, and the opening handshake. Pure
// functions and state machines over bytes; no I/O. No extension is ever offered or accepted.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/result.hpp"
#include "core/net/http1.hpp"

namespace switchyard::net {

enum class WsOpcode : std::uint8_t {
  kContinuation = 0,
  kText = 1,
  kBinary = 2,
  kClose = 8,
  kPing = 9,
  kPong = 10,
};

// Close codes that we use (RFC 6455 7.4.1).
inline constexpr std::uint16_t kWsNormal = 1000, kWsGoingAway = 1001, kWsProtocolError = 1002,
                               kWsNoCode = 1005,  // never sent: the peer's Close had none
    kWsAbnormal = 1006,                           // never sent: the peer left without a Close
    kWsNotUtf8 = 1007, kWsTooBig = 1009, kWsFailed = 1011;

// May stand in a Close frame.
bool ws_valid_close_code(unsigned code);

// Checks UTF-8 that comes in pieces (RFC 3629: no surrogates, nothing overlong).
class Utf8Check {
 public:
  // False at the first byte that can't be there.
  bool feed(std::string_view bytes);
  // Nothing of a character is missing.
  bool complete() const { return left_ == 0; }
  void reset() { *this = Utf8Check(); }

 private:
  unsigned char left_ = 0;            // bytes that the character still needs
  unsigned char low_ = 0, high_ = 0;  // what the next one may be
};

struct WsEvent {
  enum class Kind { kNeedMore, kMessage, kPing, kPong, kClose, kFault };
  Kind kind = Kind::kNeedMore;
  bool text = false;       // of a message
  std::uint16_t code = 0;  // kClose: as it came, kWsNoCode where it had none; kFault: to close with
  std::string_view data;   // the message, the payload of a ping or pong, the reason of a Close or,
                           // in static words, of a fault. Until the next call
};

// Takes frames apart, strictly: what the RFC forbids is a fault, and nothing follows a fault or a
// Close.
class WsDecoder {
 public:
  static constexpr std::size_t kMessageMax = 16u << 20;

  // masked: frames of the peer must be masked (it is a client), else they must not be.
  explicit WsDecoder(bool masked, std::size_t message_max = kMessageMax)
      : masked_(masked), message_max_(message_max) {}

  // The next event, with what it used taken off `bytes`, which are unmasked in place: a message in
  // one frame that lies there whole is given as a view of them. Call again until kNeedMore, which
  // leaves nothing behind.
  WsEvent next(std::span<char>& bytes);

 private:
  static constexpr std::size_t kControlMax = 125;

  // Reads on in the frame's header: nullptr, or what is wrong with it. in_frame_ says whether it
  // is complete.
  const char* take_header(std::span<char>& bytes);
  const char* check_start() const;
  bool begin_frame(std::uint64_t length);
  std::span<char> take_payload(std::span<char>& bytes);
  WsEvent end_control();
  WsEvent end_close();
  WsEvent end_message(std::string_view message);
  WsEvent fault(std::uint16_t code, const char* reason);

  bool masked_;
  std::size_t message_max_;
  std::array<unsigned char, 14> header_{};
  std::uint8_t header_size_ = 0;
  bool in_frame_ = false, whole_here_ = false, over_ = false, given_ = false;
  bool too_big_ = false;
  WsOpcode message_opcode_ = WsOpcode::kContinuation;  // kContinuation: no message has begun
  std::uint64_t left_ = 0;                             // of the frame's payload
  unsigned phase_ = 0;                                 // in the mask
  std::array<unsigned char, 4> mask_{};
  std::string message_, control_;
  Utf8Check utf8_;
};

// Writes the header of a frame that is whole (FIN); returns its size. mask: four bytes, or nullptr
// for a server.
inline constexpr std::size_t kWsHeaderMax = 14;
std::size_t ws_write_header(char* out, WsOpcode opcode, std::uint64_t length,
                            const unsigned char* mask);
// Masks or unmasks in place; `phase` is the position of data[0] in the payload.
void ws_mask(char* data, std::size_t size, const unsigned char* mask, std::uint64_t phase);

// ---- opening handshake (RFC 6455 4) ----

// True where one of the header's comma-separated elements is `token`, without regard to case.
bool has_list_token(const std::vector<Header>& headers, std::string_view name,
                    std::string_view token);

struct WsRequest {
  std::string_view key;
  std::vector<std::string_view> protocols;  // as offered, in order
};
struct WsRefusal {
  unsigned status = 400;  // 400, or 426 where another protocol or version is needed
  const char* reason = "";
};
// What a client asks for; the method and the path are for the caller to check.
Result<WsRequest, WsRefusal> ws_read_request(const RequestHead& head);

// A fresh Sec-WebSocket-Key, and the Sec-WebSocket-Accept that answers one.
std::string ws_new_key();
std::string ws_accept(std::string_view key);

// nullptr where a 101 accepts what we asked for with `key` and these protocols, else what is wrong
// with it.
const char* ws_check_answer(const ResponseHead& head, std::string_view key,
                            std::string_view protocols);

}  // namespace switchyard::net
