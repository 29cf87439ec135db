#include "core/exchange/outgoing.hpp"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/rand.h>

#include <algorithm>
#include <charconv>

#include "core/base/base64.hpp"
#include "core/base/clock.hpp"
#include "core/base/percent.hpp"
#include "core/net/websocket.hpp"

namespace switchyard::exchange {
namespace {

// Room for as much is taken at once.
constexpr std::size_t kHeadersUsual = 160, kPiecesUsual = 6;

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

std::string json_inside(std::string_view text) {
  std::string quoted;
  append_json_string(quoted, text);
  return quoted.substr(1, quoted.size() - 2);
}

// 128 random bits, drawn when the content was there already: it can't hold them.
std::string new_boundary() {
  static constexpr char kHex[] = "0123456789abcdef";
  unsigned char random[16];
  RAND_bytes(random, sizeof random);
  std::string text = "switchyard-";
  for (const unsigned char byte : random) {
    text += kHex[byte >> 4];
    text += kHex[byte & 15];
  }
  return text;
}

void append_number(std::string& out, std::size_t number) {
  char digits[20];
  const auto end = std::to_chars(digits, digits + sizeof digits, number).ptr;
  out.append(digits, end);
}

// The lines of `text`, names turned to lower case in place.
void split_headers(std::string& text, std::vector<swy_kv>& headers) {
  headers.clear();
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = text.find("\r\n", at);
    const std::size_t colon = text.find(':', at);
    std::transform(text.begin() + static_cast<std::ptrdiff_t>(at),
                   text.begin() + static_cast<std::ptrdiff_t>(colon),
                   text.begin() + static_cast<std::ptrdiff_t>(at),
                   [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
    const std::string_view line(text.data() + at, end - at);
    headers.push_back({to_swy(line.substr(0, colon - at)), to_swy(line.substr(colon - at + 2))});
    at = end + 2;
  }
}

}  // namespace

bool append_encoded(std::string& out, std::uint32_t encoding, std::string_view bytes) {
  if (encoding > SWY_ENC_JSON) return false;
  out += encoding == SWY_ENC_RAW      ? std::string(bytes)
         : encoding == SWY_ENC_BASE64 ? base64(bytes)
                                      : json_inside(bytes);
  return true;
}

Outgoing::Outgoing(std::string_view body, std::span<const Blob> blobs)
    : borrowed_(body), blobs_(blobs) {}

Outgoing::~Outgoing() { forget(); }

void Outgoing::forget() {
  begun_ = false;
  OPENSSL_cleanse(head_.data(), head_.size());
  head_ = headers_ = copied_ = std::string();
  pieces_ = {};
  buffers_ = {};
  if (special_) {
    special_->secret.reset();
    special_->encoded = {};
  }
}

Outgoing::Special& Outgoing::special_part() {
  if (!special_) special_ = std::make_unique<Special>();
  return *special_;
}

// ---- what the plugin writes ----

swy_rc Outgoing::begin(std::string_view method, std::string_view url, std::uint32_t xid,
                       std::uint32_t framing) {
  begun_ = false;
  if (framing > SWY_FRAME_TOKEN) return SWY_E_UNSUP;
  if (framing == SWY_FRAME_WEBSOCKET && method != "GET") return SWY_E_ARG;
  if (!net::valid_token(method) || !valid_path(url)) return SWY_E_ARG;
  begun_ = true;
  method_ = method;
  path_ = url;
  xid_ = xid;
  framing_ = framing;
  headers_.clear();
  headers_.reserve(kHeadersUsual);
  auth_scheme_.clear();
  auth_name_.clear();
  upgrade_ = framing == SWY_FRAME_WEBSOCKET ? std::make_unique<Upgrade>() : nullptr;
  copied_.clear();
  pieces_.clear();
  pieces_.reserve(kPiecesUsual);
  special_.reset();
  return SWY_OK;
}

void Outgoing::send_to(Origin origin) { special_part().origin = std::move(origin); }

const std::shared_ptr<const net::Upstream>* Outgoing::upstream() const {
  return special_ && special_->origin ? &special_->origin->upstream : nullptr;
}

bool Outgoing::trusted() const {
  return special_ == nullptr || !special_->origin || special_->origin->trusted;
}

swy_rc Outgoing::header(std::string_view name, std::string_view value) {
  const bool signing = special_ != nullptr && special_->signing;
  const bool allowed = !reserved(name) || (signing && same_name(name, "authorization"));
  if (!begun_ || !net::valid_token(name) || !allowed || !net::valid_header_value(value)) {
    return SWY_E_ARG;
  }
  if (special_ && !special_->boundary.empty() && same_name(name, "content-type")) return SWY_E_ARG;
  if (headers_.size() + name.size() + value.size() > 32 * 1024) return SWY_E_LIMIT;
  headers_.append(name).append(": ").append(value).append("\r\n");
  if (upgrade_ && same_name(name, "sec-websocket-protocol")) upgrade_->protocols = value;
  return SWY_OK;
}

swy_rc Outgoing::auth(std::string_view scheme, std::string_view arg, std::optional<Secret> secret) {
  if (!begun_) return SWY_E_ARG;
  const bool named = scheme == "header" || scheme == "query";
  if (!named && scheme != "bearer" && scheme != "none" && scheme != "sign") return SWY_E_UNSUP;
  if (scheme != "none" && !trusted()) return SWY_E_ARG;
  std::string_view prefix;
  if (const std::size_t colon = arg.find(": "); scheme == "header" && colon != arg.npos) {
    prefix = arg.substr(colon + 2);
    arg = arg.substr(0, colon);
  }
  if (named && (!net::valid_token(arg) || !net::valid_header_value(prefix))) return SWY_E_UNSUP;
  auth_scheme_ = scheme;
  auth_name_ = arg;
  if (special_) {
    special_->secret.reset();
    special_->auth_prefix.clear();
  }
  if (scheme == "sign") special_part().work = true;
  if (!prefix.empty()) special_part().auth_prefix = prefix;
  if (secret) special_part().secret = std::move(secret);
  return SWY_OK;
}

swy_rc Outgoing::token(std::string_view name, std::string_view value_at, std::string_view ttl_at) {
  if (!begun_ || framing_ != SWY_FRAME_TOKEN) return SWY_E_ARG;
  if (name.empty() || name.front() == '/' || name.size() > 256) return SWY_E_ARG;
  if (value_at.empty() || value_at.front() != '/') return SWY_E_ARG;
  special_part().token = Token{std::string(name), std::string(value_at), std::string(ttl_at)};
  return SWY_OK;
}

const Outgoing::Token* Outgoing::token() const {
  return special_ && special_->token ? &*special_->token : nullptr;
}

swy_rc Outgoing::query(std::string_view name, std::string_view value) {
  if (special_ == nullptr || !special_->signing || name.empty()) return SWY_E_ARG;
  if (path_.size() + 3 * (name.size() + value.size()) > 32 * 1024) return SWY_E_LIMIT;
  path_ += path_.find('?') == std::string::npos ? '?' : '&';
  append_percent_encoded(path_, name);
  path_ += '=';
  append_percent_encoded(path_, value);
  return SWY_OK;
}

void Outgoing::append_copy(std::string_view bytes) {
  pieces_.push_back({nullptr, copied_.size(), bytes.size()});
  copied_ += bytes;
}

swy_rc Outgoing::part(std::span<const swy_kv> headers) {
  if (!begun_ || headers.empty() || headers.size() > 16) return SWY_E_ARG;
  Special& special = special_part();
  if (special.boundary.empty()) {
    // A body that began without parts, or a content-type of the plugin's own, would contradict.
    if (!pieces_.empty()) return SWY_E_ARG;
    std::string text = headers_;
    std::vector<swy_kv> written;
    split_headers(text, written);
    for (const swy_kv& header : written) {
      if (view(header.k) == "content-type") return SWY_E_ARG;
    }
  }
  std::size_t size = 0;
  for (const swy_kv& header : headers) {
    size += header.k.n + header.v.n;
    if (!net::valid_token(view(header.k)) || !net::valid_header_value(view(header.v))) {
      return SWY_E_ARG;
    }
  }
  if (size > 16 * 1024) return SWY_E_LIMIT;
  if (special.boundary.empty()) special.boundary = new_boundary();
  special.work = true;
  std::string text = special.part_open ? "\r\n--" : "--";
  text.append(special.boundary).append("\r\n");
  for (const swy_kv& header : headers) {
    text.append(view(header.k)).append(": ").append(view(header.v)).append("\r\n");
  }
  text += "\r\n";
  append_copy(text);
  special.part_open = true;
  return SWY_OK;
}

swy_rc Outgoing::body(std::span<const swy_seg> pieces) {
  if (!begun_ || framing_ == SWY_FRAME_WEBSOCKET) return SWY_E_ARG;
  for (const swy_seg& piece : pieces) {
    const swy_rc rc = append_piece(piece);
    if (rc != SWY_OK) return rc;
  }
  return SWY_OK;
}

swy_rc Outgoing::append_piece(const swy_seg& piece) {
  std::string_view bytes = view(piece.b);
  if (piece.kind == SWY_SEG_BLOB) {
    if (piece.blob > blobs_.size()) return SWY_E_ARG;
    const std::string_view whole = piece.blob == 0 ? borrowed_ : blobs_[piece.blob - 1].bytes;
    if (piece.off > whole.size() || piece.b.n > whole.size() - piece.off) return SWY_E_ARG;
    bytes = whole.substr(piece.off, piece.b.n);
  } else if (piece.kind != SWY_SEG_BYTES) {
    return SWY_E_UNSUP;
  }
  if (piece.enc > SWY_ENC_JSON) return SWY_E_UNSUP;
  if (bytes.empty()) return SWY_OK;
  const bool lives_on = piece.kind == SWY_SEG_BLOB ||
                        (bytes.data() >= borrowed_.data() &&
                         bytes.data() + bytes.size() <= borrowed_.data() + borrowed_.size());
  if (lives_on) {
    pieces_.push_back({bytes.data(), 0, bytes.size(), piece.enc});
    if (piece.enc != SWY_ENC_RAW) {
      special_part().work = true;
      special_->work_bytes += bytes.size();
    }
  } else if (piece.enc == SWY_ENC_RAW) {
    append_copy(bytes);
  } else {
    append_copy(piece.enc == SWY_ENC_BASE64 ? base64(bytes) : json_inside(bytes));
  }
  return SWY_OK;
}

// ---- on its way out ----

const char* Outgoing::bytes_of(const Piece& piece) const {
  return piece.data != nullptr ? piece.data : copied_.data() + piece.offset;
}

std::size_t Outgoing::body_size() const {
  std::size_t size = 0;
  for (const Piece& piece : pieces_) size += piece.size;
  return size;
}

void Outgoing::close_parts() {
  if (!special_->part_open) return;
  append_copy("\r\n--" + special_->boundary + "--\r\n");
  special_->part_open = false;
}

void Outgoing::encode(Piece& piece) {
  const std::string_view bytes(piece.data, piece.size);
  special_->encoded.push_back(piece.encoding == SWY_ENC_BASE64 ? base64(bytes)
                                                               : json_inside(bytes));
  piece = {special_->encoded.back().data(), 0, special_->encoded.back().size()};
}

bool Outgoing::heavy() const {
  if (!special()) return false;
  return (signs() ? body_size() : special_->work_bytes) > kWorkOnLoopMax;
}

void Outgoing::prepare() {
  if (!special()) return;
  close_parts();
  // Short texts live inside the strings, which must not move.
  special_->encoded.reserve(pieces_.size());
  for (Piece& piece : pieces_) {
    if (piece.encoding != SWY_ENC_RAW) encode(piece);
  }
  special_->work = false;
  if (!signs()) return;
  EVP_MD_CTX* const context = EVP_MD_CTX_new();
  EVP_DigestInit_ex(context, EVP_sha256(), nullptr);
  for (const Piece& piece : pieces_) EVP_DigestUpdate(context, bytes_of(piece), piece.size);
  EVP_DigestFinal_ex(context, special_->facts.body_sha256, nullptr);
  EVP_MD_CTX_free(context);
}

std::string_view Outgoing::fixed_headers(const ProviderSlot& slot) const {
  return special_ && special_->origin ? special_->origin->fixed_headers : slot.fixed_headers;
}

// All but the fixed ones and the credential's.
void Outgoing::append_headers(std::string& out) const {
  out += headers_;
  if (special_ && !special_->boundary.empty()) {
    out.append("content-type: multipart/form-data; boundary=")
        .append(special_->boundary)
        .append("\r\n");
  }
  const std::size_t length = body_size();
  if (length > 0 || (method_ != "GET" && method_ != "HEAD" && method_ != "DELETE")) {
    out += "content-length: ";
    append_number(out, length);
    out += "\r\n";
  }
}

const swy_sign_facts& Outgoing::begin_signing(const ProviderSlot& slot) {
  Special& special = special_part();
  const net::Upstream& upstream = special.origin ? *special.origin->upstream : *slot.upstream;
  special.url = (upstream.tls ? "https://" : "http://") + upstream.host_header;
  if (!special.origin) special.url += slot.base_path;
  special.url += path_;
  special.header_text = fixed_headers(slot);
  append_headers(special.header_text);
  split_headers(special.header_text, special.headers);
  special.facts.size = sizeof special.facts;
  special.facts.method = to_swy(method_);
  special.facts.url = to_swy(special.url);
  special.facts.hdr = special.headers.data();
  special.facts.nhdr = static_cast<std::uint32_t>(special.headers.size());
  special.facts.unix_ms = unix_ns() / 1'000'000u;
  special.signing = true;
  return special.facts;
}

void Outgoing::end_signing() {
  special_->signing = false;
  special_->url = special_->header_text = std::string();
  special_->headers = {};
}

std::span<const boost::asio::const_buffer> Outgoing::assemble(
    const ProviderSlot& slot, const config::Credential* credential) {
  prepare();
  std::string_view key = credential != nullptr ? credential->key.reveal() : std::string_view();
  if (special_ && special_->secret) key = special_->secret->reveal();
  // One of several lines can't stand in a head.
  if (!net::valid_header_value(key)) key = {};
  const std::string_view prefix =
      special_ ? std::string_view(special_->auth_prefix) : std::string_view();
  const bool from_root = special_ && special_->origin;
  const std::string_view base_path =
      from_root ? std::string_view() : std::string_view(slot.base_path);

  // Room for all of it at once: growing would leave copies of the credential behind.
  head_.clear();
  head_.reserve(256 + method_.size() + base_path.size() + path_.size() +
                fixed_headers(slot).size() + headers_.size() + 2 * auth_name_.size() +
                prefix.size() + 3 * key.size());
  head_.append(method_).append(" ").append(base_path).append(path_);
  if (auth_scheme_ == "query" && !key.empty()) {
    head_.append(path_.find('?') == std::string::npos ? "?" : "&").append(auth_name_).append("=");
    append_percent_encoded(head_, key);
  }
  head_.append(" HTTP/1.1\r\n").append(fixed_headers(slot));
  if (!key.empty()) {
    if (auth_scheme_ == "bearer") head_.append("authorization: Bearer ").append(key).append("\r\n");
    if (auth_scheme_ == "header") {
      head_.append(auth_name_).append(": ").append(prefix).append(key).append("\r\n");
    }
  }
  append_headers(head_);
  if (upgrade_) {
    upgrade_->key = net::ws_new_key();
    head_.append("connection: Upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\n");
    head_.append("sec-websocket-key: ").append(upgrade_->key).append("\r\n");
  }
  head_ += "\r\n";

  buffers_.clear();
  buffers_.reserve(1 + pieces_.size());
  buffers_.push_back(boost::asio::buffer(head_));
  for (const Piece& piece : pieces_) {
    buffers_.push_back(boost::asio::const_buffer(bytes_of(piece), piece.size));
  }
  return buffers_;
}

}  // namespace switchyard::exchange
