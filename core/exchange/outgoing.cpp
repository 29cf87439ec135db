#include "core/exchange/outgoing.hpp"

#include <openssl/crypto.h>
#include <openssl/evp.h>

#include <algorithm>
#include <charconv>

#include "core/net/websocket.hpp"

namespace switchyard::exchange {
namespace {

// A path and query that can't break out of the request line.
bool valid_path(std::string_view path) {
  if (path.empty() || path.front() != '/') return false;
  for (const char c : path) {
    if (c <= ' ' || c >= 0x7f || c == '#') return false;
  }
  return true;
}

bool same_name(std::string_view name, std::string_view lower) {
  return name.size() == lower.size() &&
         std::equal(name.begin(), name.end(), lower.begin(),
                    [](char a, char b) { return (a >= 'A' && a <= 'Z' ? a + 32 : a) == b; });
}

// Framing, hop-by-hop and identity headers are the host's.
bool reserved(std::string_view name) {
  static constexpr std::string_view kNames[] = {"host",
                                                "content-length",
                                                "transfer-encoding",
                                                "connection",
                                                "keep-alive",
                                                "te",
                                                "trailer",
                                                "upgrade",
                                                "authorization",
                                                "expect",
                                                "proxy-authorization",
                                                "proxy-connection",
                                                "accept-encoding",
                                                "sec-websocket-key",
                                                "sec-websocket-version",
                                                "sec-websocket-accept",
                                                "sec-websocket-extensions"};
  return std::any_of(std::begin(kNames), std::end(kNames),
                     [name](std::string_view known) { return same_name(name, known); });
}

void append_query_escaped(std::string& out, std::string_view text) {
  static constexpr char kHex[] = "0123456789ABCDEF";
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (std::isalnum(byte) != 0 || c == '-' || c == '_' || c == '.' || c == '~') {
      out += c;
    } else {
      out += '%';
      out += kHex[byte >> 4];
      out += kHex[byte & 15];
    }
  }
}

}  // namespace

bool append_encoded(std::string& out, std::uint32_t encoding, std::string_view bytes) {
  if (encoding == SWY_ENC_RAW) {
    out += bytes;
    return true;
  }
  if (encoding == SWY_ENC_BASE64) {
    const std::size_t begin = out.size();
    out.resize(begin + 4 * ((bytes.size() + 2) / 3) + 1);
    const int size = EVP_EncodeBlock(reinterpret_cast<unsigned char*>(out.data() + begin),
                                     reinterpret_cast<const unsigned char*>(bytes.data()),
                                     static_cast<int>(bytes.size()));
    out.resize(begin + static_cast<std::size_t>(size));
    return true;
  }
  if (encoding != SWY_ENC_JSON) return false;
  std::string quoted;
  append_json_string(quoted, bytes);
  out += std::string_view(quoted).substr(1, quoted.size() - 2);
  return true;
}

Outgoing::~Outgoing() { forget(); }

void Outgoing::forget() {
  OPENSSL_cleanse(head_.data(), head_.size());
  head_ = headers_ = copied_ = std::string();
  pieces_ = {};
  buffers_ = {};
}

swy_rc Outgoing::begin(std::string_view method, std::string_view url, std::uint32_t xid,
                       std::uint32_t framing) {
  if (framing > SWY_FRAME_NDJSON && framing != SWY_FRAME_WEBSOCKET) return SWY_E_UNSUP;
  if (framing == SWY_FRAME_WEBSOCKET && method != "GET") return SWY_E_ARG;
  if (!net::valid_token(method) || !valid_path(url)) return SWY_E_ARG;
  begun_ = true;
  method_ = method;
  path_ = url;
  xid_ = xid;
  framing_ = framing;
  headers_.clear();
  auth_scheme_.clear();
  auth_name_.clear();
  upgrade_ = framing == SWY_FRAME_WEBSOCKET ? std::make_unique<Upgrade>() : nullptr;
  copied_.clear();
  pieces_.clear();
  return SWY_OK;
}

swy_rc Outgoing::header(std::string_view name, std::string_view value) {
  if (!begun_ || !net::valid_token(name) || reserved(name) || !net::valid_header_value(value)) {
    return SWY_E_ARG;
  }
  if (headers_.size() + name.size() + value.size() > 32 * 1024) return SWY_E_LIMIT;
  headers_.append(name).append(": ").append(value).append("\r\n");
  if (upgrade_ && same_name(name, "sec-websocket-protocol")) upgrade_->protocols = value;
  return SWY_OK;
}

swy_rc Outgoing::auth(std::string_view scheme, std::string_view arg) {
  if (!begun_) return SWY_E_ARG;
  const bool named = scheme == "header" || scheme == "query";
  if (named ? !net::valid_token(arg) : scheme != "bearer" && scheme != "none") return SWY_E_UNSUP;
  auth_scheme_ = scheme;
  auth_name_ = arg;
  return SWY_OK;
}

void Outgoing::append_copy(std::string_view bytes) {
  pieces_.push_back({nullptr, copied_.size(), bytes.size()});
  copied_ += bytes;
}

swy_rc Outgoing::body(std::span<const swy_seg> pieces) {
  if (!begun_ || framing_ == SWY_FRAME_WEBSOCKET) return SWY_E_ARG;
  for (const swy_seg& piece : pieces) {
    std::string_view bytes = view(piece.b);
    if (piece.kind == SWY_SEG_BLOB) {
      if (piece.blob != 0 || piece.off > borrowed_.size() ||
          piece.b.n > borrowed_.size() - piece.off) {
        return SWY_E_ARG;
      }
      bytes = borrowed_.substr(piece.off, piece.b.n);
    } else if (piece.kind != SWY_SEG_BYTES) {
      return SWY_E_UNSUP;
    }
    if (bytes.empty()) continue;
    if (piece.enc == SWY_ENC_RAW) {
      const bool lives_on = bytes.data() >= borrowed_.data() &&
                            bytes.data() + bytes.size() <= borrowed_.data() + borrowed_.size();
      if (lives_on) {
        pieces_.push_back({bytes.data(), 0, bytes.size()});
      } else {
        append_copy(bytes);
      }
    } else {
      std::string encoded;
      if (!append_encoded(encoded, piece.enc, bytes)) return SWY_E_UNSUP;
      append_copy(encoded);
    }
  }
  return SWY_OK;
}

std::span<const boost::asio::const_buffer> Outgoing::assemble(
    const ProviderSlot& slot, const config::Credential* credential) {
  std::size_t length = 0;
  for (const Piece& piece : pieces_) length += piece.size;

  // Room for all of it at once: growing would leave copies of the credential behind.
  head_.clear();
  head_.reserve(256 + method_.size() + slot.base_path.size() + path_.size() +
                slot.fixed_headers.size() + headers_.size() + 2 * auth_name_.size() +
                (credential != nullptr ? 3 * credential->key.reveal().size() : 0));
  head_.append(method_).append(" ").append(slot.base_path).append(path_);
  const std::string_view key =
      credential != nullptr ? credential->key.reveal() : std::string_view();
  if (auth_scheme_ == "query" && !key.empty()) {
    head_.append(path_.find('?') == std::string::npos ? "?" : "&").append(auth_name_).append("=");
    append_query_escaped(head_, key);
  }
  head_.append(" HTTP/1.1\r\n").append(slot.fixed_headers);
  if (!key.empty()) {
    if (auth_scheme_ == "bearer") head_.append("authorization: Bearer ").append(key).append("\r\n");
    if (auth_scheme_ == "header") head_.append(auth_name_).append(": ").append(key).append("\r\n");
  }
  head_ += headers_;
  if (upgrade_) {
    upgrade_->key = net::ws_new_key();
    head_.append("connection: Upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\n");
    head_.append("sec-websocket-key: ").append(upgrade_->key).append("\r\n");
  }
  if (length > 0 || (method_ != "GET" && method_ != "HEAD" && method_ != "DELETE")) {
    char digits[20];
    const auto end = std::to_chars(digits, digits + sizeof digits, length).ptr;
    head_.append("content-length: ");
    head_.append(digits, end).append("\r\n");
  }
  head_ += "\r\n";

  buffers_.clear();
  buffers_.push_back(boost::asio::buffer(head_));
  for (const Piece& piece : pieces_) {
    const char* const data = piece.data != nullptr ? piece.data : copied_.data() + piece.offset;
    buffers_.push_back(boost::asio::const_buffer(data, piece.size));
  }
  return buffers_;
}

}  // namespace switchyard::exchange
