#include "core/net/websocket.hpp"

#include <openssl/evp.h>
#include <openssl/rand.h>
#include <openssl/sha.h>

#include <cstring>

#include "core/net/text.hpp"

namespace switchyard::net {
namespace {

constexpr std::string_view kAcceptGuid = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";  // RFC 6455 1.3
constexpr std::size_t kKept = 64 * 1024;  // a message's memory that is not given back

bool is_control(WsOpcode opcode) { return (static_cast<unsigned>(opcode) & 8) != 0; }

std::string base64(std::span<const unsigned char> bytes) {
  std::string out(4 * ((bytes.size() + 2) / 3) + 1, '\0');
  const int size = EVP_EncodeBlock(reinterpret_cast<unsigned char*>(out.data()), bytes.data(),
                                   static_cast<int>(bytes.size()));
  out.resize(static_cast<std::size_t>(size));
  return out;
}

// Base64 of 16 bytes: 22 characters, the last of which has only its upper two bits, and "==".
bool valid_key(std::string_view key) {
  if (key.size() != 24 || !key.ends_with("==")) return false;
  for (const char c : key.substr(0, 22)) {
    const bool alphabet = (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
                          (c >= '0' && c <= '9') || c == '+' || c == '/';
    if (!alphabet) return false;
  }
  return std::string_view("AQgw").find(key[21]) != std::string_view::npos;
}

template <class Visit>
void each_element(const std::vector<Header>& headers, std::string_view name, Visit visit) {
  for (const Header& header : headers) {
    if (header.name != name) continue;
    std::string_view list = header.value;
    while (!list.empty()) {
      const std::size_t comma = list.find(',');
      std::string_view element = list.substr(0, comma);
      list.remove_prefix(comma == std::string_view::npos ? list.size() : comma + 1);
      while (!element.empty() && (element.front() == ' ' || element.front() == '\t'))
        element.remove_prefix(1);
      while (!element.empty() && (element.back() == ' ' || element.back() == '\t'))
        element.remove_suffix(1);
      if (!element.empty()) visit(element);
    }
  }
}

// The value of a header that may be there once only; nullopt where it is there twice.
std::optional<std::string_view> single(const std::vector<Header>& headers, std::string_view name) {
  std::string_view value;
  unsigned seen = 0;
  for (const Header& header : headers) {
    if (header.name != name) continue;
    value = header.value;
    if (++seen > 1) return std::nullopt;
  }
  return value;
}

}  // namespace

bool ws_valid_close_code(unsigned code) {
  // 1004 has no meaning; 1005, 1006 and 1015 are never on the wire; up to 2999 only what is
  // registered.
  return (code >= 1000 && code <= 1003) || (code >= 1007 && code <= 1014) ||
         (code >= 3000 && code <= 4999);
}

bool Utf8Check::feed(std::string_view bytes) {
  const char* p = bytes.data();
  const char* const end = p + bytes.size();
  while (p != end) {
    if (left_ == 0) {
      while (end - p >= 8) {
        std::uint64_t word = 0;
        std::memcpy(&word, p, 8);
        if ((word & 0x8080808080808080u) != 0) break;
        p += 8;
      }
      if (p == end) break;
    }
    const auto byte = static_cast<unsigned char>(*p++);
    if (left_ > 0) {
      if (byte < low_ || byte > high_) return false;
      low_ = 0x80;
      high_ = 0xbf;
      --left_;
    } else if (byte >= 0x80) {
      if (byte < 0xc2 || byte > 0xf4) return false;
      left_ = byte < 0xe0 ? 1 : byte < 0xf0 ? 2 : 3;
      low_ = byte == 0xe0 ? 0xa0 : byte == 0xf0 ? 0x90 : 0x80;
      high_ = byte == 0xed ? 0x9f : byte == 0xf4 ? 0x8f : 0xbf;
    }
  }
  return true;
}

// ---- frames in ----

WsEvent WsDecoder::next(std::span<char>& bytes) {
  if (given_) {
    given_ = false;
    if (message_.capacity() > kKept) {
      message_ = std::string();
    } else {
      message_.clear();
    }
  }
  for (;;) {
    if (over_) {
      bytes = bytes.subspan(bytes.size());
      return {};
    }
    if (!in_frame_) {
      const char* const wrong = take_header(bytes);
      if (wrong != nullptr) return fault(too_big_ ? kWsTooBig : kWsProtocolError, wrong);
      if (!in_frame_) return {};
    }
    const std::span<char> payload = take_payload(bytes);
    const std::string_view slice(payload.data(), payload.size());
    const auto opcode = static_cast<WsOpcode>(header_[0] & 15);
    if (is_control(opcode)) {
      control_ += slice;
      if (left_ > 0) return {};
      in_frame_ = false;
      return end_control();
    }
    if (message_opcode_ == WsOpcode::kText && !utf8_.feed(slice)) {
      return fault(kWsNotUtf8, "a text message is not UTF-8");
    }
    const bool last = (header_[0] & 0x80) != 0;
    if (left_ == 0 && last && whole_here_ && message_.empty()) return end_message(slice);
    message_ += slice;
    if (left_ > 0) return {};
    if (last) return end_message(message_);
    in_frame_ = false;
  }
}

const char* WsDecoder::take_header(std::span<char>& bytes) {
  while (!bytes.empty()) {
    header_[header_size_++] = static_cast<unsigned char>(bytes.front());
    bytes = bytes.subspan(1);
    if (header_size_ == 1) {
      const char* const wrong = check_start();
      if (wrong != nullptr) return wrong;
      continue;
    }
    const unsigned code = header_[1] & 0x7fu;
    if (header_size_ == 2) {
      if (((header_[1] & 0x80) != 0) != masked_) {
        return masked_ ? "a frame of a client is not masked" : "a frame of a server is masked";
      }
      if (is_control(static_cast<WsOpcode>(header_[0] & 15)) && code > kControlMax) {
        return "a control frame is too long";
      }
    }
    const std::size_t extended = code == 126 ? 2 : code == 127 ? 8 : 0;
    const std::size_t length_end = 2 + extended;
    if (header_size_ < length_end) continue;
    if (header_size_ == length_end) {
      std::uint64_t length = extended == 0 ? code : 0;
      for (std::size_t i = 2; i < length_end; ++i) length = length << 8 | header_[i];
      if (extended == 8 && length > INT64_MAX) return "a frame's length has its top bit set";
      if ((extended == 2 && length < 126) || (extended == 8 && length < 65536)) {
        return "a frame's length is not in its shortest form";
      }
      if (!begin_frame(length)) return "the message is too big";
    }
    if (header_size_ < length_end + (masked_ ? 4 : 0)) continue;
    if (masked_) std::memcpy(mask_.data(), header_.data() + length_end, 4);
    header_size_ = 0;
    in_frame_ = true;
    phase_ = 0;
    whole_here_ = left_ <= bytes.size();
    return nullptr;
  }
  return nullptr;
}

const char* WsDecoder::check_start() const {
  const unsigned first = header_[0];
  const unsigned opcode = first & 15;
  if ((first & 0x70) != 0) return "a reserved bit is set";
  if ((opcode > 2 && opcode < 8) || opcode > 10) return "a reserved opcode";
  if (opcode >= 8) return (first & 0x80) == 0 ? "a control frame is fragmented" : nullptr;
  const bool begun = message_opcode_ != WsOpcode::kContinuation;
  if (opcode == 0 && !begun) return "a continuation of nothing";
  if (opcode != 0 && begun) return "a message within a message";
  return nullptr;
}

// False where the message would be too big.
bool WsDecoder::begin_frame(std::uint64_t length) {
  left_ = length;
  const auto opcode = static_cast<WsOpcode>(header_[0] & 15);
  if (is_control(opcode)) {
    control_.clear();
    return true;
  }
  if (opcode != WsOpcode::kContinuation) {
    message_opcode_ = opcode;
    message_.clear();
    utf8_.reset();
  }
  too_big_ = length > message_max_ - message_.size();
  return !too_big_;
}

std::span<char> WsDecoder::take_payload(std::span<char>& bytes) {
  const std::size_t n = std::min<std::uint64_t>(left_, bytes.size());
  const std::span<char> payload = bytes.first(n);
  bytes = bytes.subspan(n);
  left_ -= n;
  if (masked_) {
    ws_mask(payload.data(), n, mask_.data(), phase_);
    phase_ = (phase_ + n) & 3;
  }
  return payload;
}

WsEvent WsDecoder::end_control() {
  switch (static_cast<WsOpcode>(header_[0] & 15)) {
    case WsOpcode::kPing:
      return {WsEvent::Kind::kPing, false, 0, control_};
    case WsOpcode::kPong:
      return {WsEvent::Kind::kPong, false, 0, control_};
    default:
      return end_close();
  }
}

WsEvent WsDecoder::end_close() {
  if (control_.empty()) {
    over_ = true;
    return {WsEvent::Kind::kClose, false, kWsNoCode, {}};
  }
  if (control_.size() == 1) return fault(kWsProtocolError, "a Close with half a code");
  const unsigned code =
      static_cast<unsigned char>(control_[0]) * 256u + static_cast<unsigned char>(control_[1]);
  if (!ws_valid_close_code(code)) return fault(kWsProtocolError, "a Close with a bad code");
  const std::string_view reason = std::string_view(control_).substr(2);
  Utf8Check check;
  if (!check.feed(reason) || !check.complete()) {
    return fault(kWsNotUtf8, "the reason of a Close is not UTF-8");
  }
  over_ = true;
  return {WsEvent::Kind::kClose, false, static_cast<std::uint16_t>(code), reason};
}

WsEvent WsDecoder::end_message(std::string_view message) {
  const bool text = message_opcode_ == WsOpcode::kText;
  if (text && !utf8_.complete()) return fault(kWsNotUtf8, "a text message is not UTF-8");
  in_frame_ = false;
  message_opcode_ = WsOpcode::kContinuation;
  given_ = true;
  return {WsEvent::Kind::kMessage, text, 0, message};
}

WsEvent WsDecoder::fault(std::uint16_t code, const char* reason) {
  over_ = true;
  return {WsEvent::Kind::kFault, false, code, reason};
}

// ---- frames out ----

std::size_t ws_write_header(char* out, WsOpcode opcode, std::uint64_t length,
                            const unsigned char* mask) {
  const unsigned masked = mask != nullptr ? 0x80 : 0;
  std::size_t size = 2;
  std::size_t extended = 0;
  unsigned code = static_cast<unsigned>(length);
  if (length > 65535) {
    code = 127;
    extended = 8;
  } else if (length > 125) {
    code = 126;
    extended = 2;
  }
  out[0] = static_cast<char>(0x80 | static_cast<unsigned>(opcode));
  out[1] = static_cast<char>(masked | code);
  for (std::size_t i = 0; i < extended; ++i) {
    out[size++] = static_cast<char>(length >> 8 * (extended - 1 - i));
  }
  if (mask == nullptr) return size;
  std::memcpy(out + size, mask, 4);
  return size + 4;
}

void ws_mask(char* data, std::size_t size, const unsigned char* mask, std::uint64_t phase) {
  unsigned char turned[8];
  for (std::size_t i = 0; i < 8; ++i) turned[i] = mask[(phase + i) & 3];
  std::uint64_t word_mask = 0;
  std::memcpy(&word_mask, turned, 8);
  std::size_t i = 0;
  for (; size - i >= 8; i += 8) {
    std::uint64_t word = 0;
    std::memcpy(&word, data + i, 8);
    word ^= word_mask;
    std::memcpy(data + i, &word, 8);
  }
  for (; i < size; ++i) data[i] = static_cast<char>(data[i] ^ static_cast<char>(turned[i & 7]));
}

// ---- opening handshake ----

bool has_list_token(const std::vector<Header>& headers, std::string_view name,
                    std::string_view token) {
  bool found = false;
  each_element(headers, name,
               [&](std::string_view element) { found |= equals_nocase(element, token); });
  return found;
}

Result<WsRequest, WsRefusal> ws_read_request(const RequestHead& head) {
  if (!has_list_token(head.headers, "upgrade", "websocket")) {
    return WsRefusal{426, "this is a WebSocket endpoint: Upgrade: websocket is missing"};
  }
  if (head.minor == 0) return WsRefusal{400, "an upgrade needs HTTP/1.1"};
  if (!has_list_token(head.headers, "connection", "upgrade")) {
    return WsRefusal{400, "Connection: Upgrade is missing"};
  }
  if (head.chunked || head.content_length.value_or(0) > 0) {
    return WsRefusal{400, "an upgrade has no body"};
  }
  const auto version = single(head.headers, "sec-websocket-version");
  if (!version) return WsRefusal{400, "Sec-WebSocket-Version is there twice"};
  if (*version != "13") return WsRefusal{426, "Sec-WebSocket-Version is not 13"};
  const auto key = single(head.headers, "sec-websocket-key");
  if (!key || !valid_key(*key)) {
    return WsRefusal{400, "Sec-WebSocket-Key is not the base64 of 16 bytes"};
  }
  WsRequest request;
  request.key = *key;
  bool tokens = true;
  each_element(head.headers, "sec-websocket-protocol", [&](std::string_view protocol) {
    tokens = tokens && valid_token(protocol);
    request.protocols.push_back(protocol);
  });
  if (!tokens) return WsRefusal{400, "Sec-WebSocket-Protocol is not a list of tokens"};
  return request;
}

std::string ws_new_key() {
  unsigned char nonce[16];
  RAND_bytes(nonce, sizeof nonce);
  return base64(nonce);
}

std::string ws_accept(std::string_view key) {
  std::string text(key);
  text += kAcceptGuid;
  unsigned char digest[SHA_DIGEST_LENGTH];
  SHA1(reinterpret_cast<const unsigned char*>(text.data()), text.size(), digest);
  return base64(digest);
}

const char* ws_check_answer(const ResponseHead& head, std::string_view key,
                            std::string_view protocols) {
  const auto upgrade = single(head.headers, "upgrade");
  if (!upgrade || !equals_nocase(*upgrade, "websocket")) {
    return "the upgrade was answered without Upgrade: websocket";
  }
  if (!has_list_token(head.headers, "connection", "upgrade")) {
    return "the upgrade was answered without Connection: Upgrade";
  }
  const auto accept = single(head.headers, "sec-websocket-accept");
  if (!accept || *accept != ws_accept(key)) {
    return "the upgrade was answered with a wrong Sec-WebSocket-Accept";
  }
  if (!head.find("sec-websocket-extensions").empty()) {
    return "the upgrade was answered with an extension that was not offered";
  }
  const auto protocol = single(head.headers, "sec-websocket-protocol");
  if (!protocol) return "the upgrade was answered with two subprotocols";
  if (protocol->empty()) return nullptr;
  const std::vector<Header> offered{{"protocols", protocols}};
  bool found = false;
  each_element(offered, "protocols", [&](std::string_view name) { found |= name == *protocol; });
  return found ? nullptr : "the upgrade was answered with a subprotocol that was not offered";
}

}  // namespace switchyard::net
