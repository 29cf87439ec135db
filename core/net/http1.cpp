#include "core/net/http1.hpp"

#include <algorithm>
#include <array>
#include <cstring>

#include "core/base/scan_bytes.hpp"

namespace switchyard::net {
namespace {

// Longer than any method that exists (RFC 9112 3: longer than any known is a 501).
constexpr std::ptrdiff_t kMethodBytesMax = 32;
constexpr std::size_t kHostBytesMax = 255;
// A head that drips in is parsed again from its start with each piece while it is small, then at
// each line end and when it has grown by this much. The number of lines is limited, so the work
// stays linear in its bytes.
constexpr std::size_t kRescanBytes = 1024;

constexpr bool is_digit(char c) { return c >= '0' && c <= '9'; }
constexpr bool is_alpha(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }
constexpr bool is_hex(char c) {
  return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}
constexpr bool is_blank(char c) { return c == ' ' || c == '\t'; }
constexpr char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; }
constexpr unsigned char byte(char c) { return static_cast<unsigned char>(c); }

// The lower case of a byte that may stand in a token (RFC 9110 5.6.2), 0 for any other.
constexpr std::array<char, 256> kToken = [] {
  std::array<char, 256> table{};
  for (int i = 0; i < 128; ++i) {
    const char c = static_cast<char>(i);
    const bool mark = std::string_view("!#$%&'*+-.^_`|~").find(c) != std::string_view::npos;
    if (is_alpha(c) || is_digit(c) || mark) table[static_cast<std::size_t>(i)] = lower(c);
  }
  return table;
}();

// What a byte may be part of.
constexpr unsigned char kPath = 1, kQuery = 2, kName = 4;
constexpr std::array<unsigned char, 256> kTarget = [] {
  std::array<unsigned char, 256> table{};
  for (int i = 0; i < 128; ++i) {
    const char c = static_cast<char>(i);
    auto& bits = table[static_cast<std::size_t>(i)];
    const bool plain = is_alpha(c) || is_digit(c);
    const bool unreserved = plain || std::string_view("-._~").find(c) != std::string_view::npos;
    const bool pchar =
        unreserved || std::string_view("!$&'()*+,;=:@/").find(c) != std::string_view::npos;
    // Beyond RFC 3986 a query may hold what URL parsers of browsers and Node leave there unescaped.
    const bool query = pchar || std::string_view("?[]{}|^`\\").find(c) != std::string_view::npos;
    if (unreserved) bits |= kName;
    if (pchar) bits |= kPath;
    if (query) bits |= kQuery;
  }
  return table;
}();

bool equal_folded(std::string_view text, std::string_view lower_case) {
  if (text.size() != lower_case.size()) return false;
  for (std::size_t i = 0; i < text.size(); ++i)
    if (lower(text[i]) != lower_case[i]) return false;
  return true;
}

bool same_folded(std::string_view a, std::string_view b) {
  if (a.size() != b.size()) return false;
  for (std::size_t i = 0; i < a.size(); ++i)
    if (lower(a[i]) != lower(b[i])) return false;
  return true;
}

// Why a message is refused; status 0: it is not.
struct Refusal {
  unsigned status = 0;
  const char* reason = "";

  explicit operator bool() const { return status != 0; }
};
constexpr Refusal kFine{};

Refusal refuse(unsigned status, const char* reason) { return {status, reason}; }
Refusal refuse(const char* reason) { return {400, reason}; }

// What came of one part of a head: where the next begins; or why it is refused; or neither, where
// bytes are missing.
struct Part {
  const char* next = nullptr;
  Refusal refusal;

  Part() = default;
  Part(const char* after) : next(after) {}
  Part(Refusal why) : refusal(why) {}
};
constexpr const char* kMissing = nullptr;

// The end of a run of text that may hold HTAB but no other control byte.
const char* text_end(const char* p, const char* end) {
  p = find_control(p, end);
  while (p != end && *p == '\t') p = find_control(p + 1, end);
  return p;
}

// CRLF at p, and nothing else.
Part line_end(const char* p, const char* end) {
  if (p == end) return kMissing;
  if (*p == '\n') return refuse("bare LF");
  if (*p != '\r') return refuse("control byte in a head");
  if (p + 1 == end) return kMissing;
  if (p[1] != '\n') return refuse("bare CR");
  return p + 2;
}

// RFC 9112 5: field lines up to and with the empty line.
Part parse_fields(const char* p, const char* end, std::size_t headers_max,
                  std::vector<Header>& headers) {
  for (;;) {
    if (p == end) return kMissing;
    if (*p == '\r' || *p == '\n') return line_end(p, end);

    const char* const name = p;
    while (p != end && kToken[byte(*p)] != 0) ++p;
    if (p == end) return kMissing;
    if (*p != ':') {
      if (p == name && is_blank(*p)) return refuse("folded header line");
      if (is_blank(*p)) return refuse("white space in a header name");
      return refuse("bad byte in a header name");
    }
    if (p == name) return refuse("empty header name");
    const std::string_view field(name, static_cast<std::size_t>(p - name));

    ++p;
    while (p != end && is_blank(*p)) ++p;
    const char* const value = p;
    p = text_end(p, end);
    const Part next = line_end(p, end);
    if (next.next == nullptr) return next;
    while (p != value && is_blank(p[-1])) --p;
    if (headers.size() >= headers_max) return refuse(431, "too many headers");
    headers.push_back({field, {value, static_cast<std::size_t>(p - value)}});
    p = next.next;
  }
}

// The fields that decide where a message ends, what follows it and whom it is for.
struct Framing {
  std::string_view host, length, coding;
  unsigned hosts = 0, lengths = 0, codings = 0;
  bool close = false, keep_alive = false;
  bool expect_continue = false, expect_other = false;
};

// Takes the next element off a comma-separated list (RFC 9110 5.6.1), without the white space
// around it.
std::string_view take_element(std::string_view& list) {
  const std::size_t comma = list.find(',');
  std::string_view element = list.substr(0, comma);
  list.remove_prefix(comma == std::string_view::npos ? list.size() : comma + 1);
  while (!element.empty() && is_blank(element.front())) element.remove_prefix(1);
  while (!element.empty() && is_blank(element.back())) element.remove_suffix(1);
  return element;
}

bool read_connection(std::string_view value, Framing& framing) {
  while (!value.empty()) {
    const std::string_view token = take_element(value);
    if (token.empty()) continue;  // RFC 9110 5.6.1.2: empty elements are passed over
    if (!valid_token(token)) return false;
    if (equal_folded(token, "close")) framing.close = true;
    if (equal_folded(token, "keep-alive")) framing.keep_alive = true;
  }
  return true;
}

// A name which a peer that takes '_' for '-' would read as a field that frames or routes.
bool looks_like_framing(std::string_view name) {
  while (!name.empty() && (name.front() == '_' || name.front() == '-')) name.remove_prefix(1);
  while (!name.empty() && (name.back() == '_' || name.back() == '-')) name.remove_suffix(1);
  static constexpr std::string_view kNames[] = {"host",   "content-length", "transfer-encoding",
                                                "expect", "connection",     "upgrade",
                                                "te",     "trailer",        "keep-alive"};
  for (const std::string_view known : kNames) {
    if (known.size() != name.size()) continue;
    bool same = true;
    for (std::size_t i = 0; i < name.size() && same; ++i)
      same = (name[i] == '_' ? '-' : name[i]) == known[i];
    if (same) return true;
  }
  return false;
}

// Folds the names to lower case in place and picks out what frames the message. `data` is where the
// head begins.
Refusal fold_and_collect(char* data, std::vector<Header>& headers, Framing& framing) {
  for (Header& header : headers) {
    char* const name = data + (header.name.data() - data);
    const std::size_t size = header.name.size();
    bool underscore = false;
    for (std::size_t i = 0; i < size; ++i) {
      name[i] = kToken[byte(name[i])];
      underscore |= name[i] == '_';
    }
    if (underscore && looks_like_framing(header.name))
      return refuse("header name that looks like a framing header");

    switch (size) {
      case 4:
        if (header.name != "host") break;
        framing.host = header.value;
        ++framing.hosts;
        break;
      case 6:
        if (header.name != "expect") break;
        if (equal_folded(header.value, "100-continue")) {
          framing.expect_continue = true;
        } else {
          framing.expect_other = true;
        }
        break;
      case 10:
        if (header.name != "connection") break;
        if (!read_connection(header.value, framing)) return refuse("bad Connection header");
        break;
      case 14:
        if (header.name != "content-length") break;
        framing.length = header.value;
        ++framing.lengths;
        break;
      case 17:
        if (header.name != "transfer-encoding") break;
        framing.coding = header.value;
        ++framing.codings;
        break;
      default:
        break;
    }
  }
  return kFine;
}

// All digits, none to spare: a leading zero is octal to some. Below 2^63.
bool parse_length(std::string_view text, std::uint64_t& length) {
  if (text.empty() || text.size() > 19) return false;
  if (text.size() > 1 && text[0] == '0') return false;
  length = 0;
  for (const char c : text) {
    if (!is_digit(c)) return false;
    length = length * 10 + static_cast<unsigned>(c - '0');
  }
  return length <= INT64_MAX;
}

bool valid_port(std::string_view text) {
  if (text.empty() || text.size() > 5) return false;
  unsigned port = 0;
  for (const char c : text) {
    if (!is_digit(c)) return false;
    port = port * 10 + static_cast<unsigned>(c - '0');
  }
  return port >= 1 && port <= 65535;
}

// uri-host [ ":" port ] of RFC 9110 7.2, less what no real host name has: escapes, sub-delims, an
// empty port.
bool valid_host(std::string_view text) {
  if (text.empty() || text.size() > kHostBytesMax) return false;
  std::size_t size = 0;
  if (text[0] == '[') {
    size = text.find(']');
    if (size == std::string_view::npos || size < 3) return false;
    for (const char c : text.substr(1, size - 1))
      if (!is_hex(c) && c != ':' && c != '.') return false;
    if (text.substr(1, size - 1).find(':') == std::string_view::npos) return false;
    ++size;
  } else {
    while (size < text.size() && (kTarget[byte(text[size])] & kName) != 0) ++size;
    if (size == 0) return false;
  }
  if (size == text.size()) return true;
  return text[size] == ':' && valid_port(text.substr(size + 1));
}

// Every byte by the table, every escape with two hex digits.
bool valid_uri_part(std::string_view text, unsigned char kind) {
  for (std::size_t i = 0; i < text.size(); ++i) {
    if ((kTarget[byte(text[i])] & kind) != 0) continue;
    if (text[i] != '%' || text.size() - i < 3 || !is_hex(text[i + 1]) || !is_hex(text[i + 2]))
      return false;
    i += 2;
  }
  return true;
}

bool split_path(std::string_view text, RequestHead& head) {
  const std::size_t mark = text.find('?');
  head.path = text.substr(0, mark);
  if (mark != std::string_view::npos) head.query = text.substr(mark + 1);
  return valid_uri_part(head.path, kPath) && valid_uri_part(head.query, kQuery);
}

// RFC 9112 3.2. `authority` is set for the absolute form.
Refusal check_target(RequestHead& head, std::string_view& authority) {
  const std::string_view target = head.target;
  if (head.method == "CONNECT") return refuse(501, "CONNECT is not served");
  if (target[0] == '/') {
    if (!split_path(target, head)) return refuse("bad byte or escape in the target");
    return kFine;
  }
  if (target == "*") {
    if (head.method != "OPTIONS") return refuse("target * without OPTIONS");
    head.path = target;
    return kFine;
  }
  std::size_t scheme = 0;
  if (target.size() > 7 && equal_folded(target.substr(0, 7), "http://")) scheme = 7;
  if (target.size() > 8 && equal_folded(target.substr(0, 8), "https://")) scheme = 8;
  if (scheme == 0) return refuse("target is neither a path nor an http URL");

  const std::string_view rest = target.substr(scheme);
  const std::size_t end = rest.find_first_of("/?");
  authority = rest.substr(0, end);
  if (!valid_host(authority)) return refuse("bad authority in the target");
  if (!split_path(end == std::string_view::npos ? std::string_view() : rest.substr(end), head))
    return refuse("bad byte or escape in the target");
  if (head.path.empty()) head.path = "/";
  return kFine;
}

// "HTTP/1.x" at p; RFC 9112 2.3. A well-formed version that is not 1.0 or 1.1 is a 505.
Part parse_version(const char* p, const char* end, unsigned& minor) {
  static constexpr std::string_view kShape = "HTTP/0.0";
  for (std::size_t i = 0; i < kShape.size(); ++i) {
    if (p + i == end) return kMissing;
    const bool fits = kShape[i] == '0' ? is_digit(p[i]) : p[i] == kShape[i];
    if (!fits) return refuse("bad HTTP version");
  }
  if (p[5] != '1' || p[7] > '1') return refuse(505, "HTTP version is not 1.0 or 1.1");
  minor = static_cast<unsigned>(p[7] - '0');
  return p + kShape.size();
}

Part parse_request_line(const char* p, const char* end, std::size_t target_bytes_max,
                        RequestHead& head) {
  const char* const method = p;
  while (p != end && kToken[byte(*p)] != 0) {
    if (p - method >= kMethodBytesMax) return refuse(501, "unknown method");
    ++p;
  }
  if (p == end) return kMissing;
  if (*p != ' ' || p == method) return refuse("bad request line");
  head.method = {method, static_cast<std::size_t>(p - method)};

  const char* const target = ++p;
  while (p != end && *p > 0x20 && *p < 0x7f) ++p;
  const auto size = static_cast<std::size_t>(p - target);
  if (size > target_bytes_max) return refuse(414, "request target too long");
  if (p == end) return kMissing;
  if (*p != ' ' || size == 0) return refuse("bad request line");
  head.target = {target, size};

  const Part version = parse_version(p + 1, end, head.minor);
  if (version.next == nullptr) return version;
  if (version.next != end && *version.next != '\r' && *version.next != '\n')
    return refuse("bad HTTP version");
  return line_end(version.next, end);
}

Refusal check_host(const RequestHead& head, const Framing& framing, std::string_view authority) {
  if (framing.hosts == 0) {
    if (head.minor >= 1) return refuse("no Host header");
    return kFine;
  }
  if (framing.hosts > 1) return refuse("more than one Host header");
  if (!valid_host(framing.host)) return refuse("bad Host header");
  if (!authority.empty() && !same_folded(authority, framing.host))
    return refuse("Host differs from the target's authority");
  return kFine;
}

// A coding list that ends in chunked is well-formed, only not ours: 501. Whatever else is no
// framing at all: 400.
Refusal refuse_coding(std::string_view value) {
  if (value.empty() || value.back() == ',') return refuse("bad Transfer-Encoding");
  for (;;) {
    const std::string_view token = take_element(value);
    if (!valid_token(token)) return refuse("bad Transfer-Encoding");
    const bool chunked = equal_folded(token, "chunked");
    if (chunked && value.empty()) return refuse(501, "transfer coding not supported");
    if (chunked) return refuse("chunked is not the last transfer coding");
    if (value.empty()) return refuse("Transfer-Encoding does not end in chunked");
  }
}

// RFC 9112 6.1 and 6.2: what a strict reader may take as framing, in requests and responses alike.
Refusal check_body_fields(const Framing& framing, unsigned minor, std::uint64_t& length) {
  if (framing.codings > 0 && framing.lengths > 0)
    return refuse("both Content-Length and Transfer-Encoding");
  if (framing.codings > 1) return refuse("more than one Transfer-Encoding");
  if (framing.codings == 1) {
    if (minor == 0) return refuse("Transfer-Encoding in HTTP/1.0");
    if (!equal_folded(framing.coding, "chunked")) return refuse_coding(framing.coding);
  }
  if (framing.lengths > 1) return refuse("more than one Content-Length");
  if (framing.lengths == 1 && !parse_length(framing.length, length))
    return refuse("bad Content-Length");
  return kFine;
}

Refusal check_request(char* data, RequestHead& head) {
  std::string_view authority;
  const Refusal target = check_target(head, authority);
  if (target) return target;

  Framing framing;
  const Refusal collected = fold_and_collect(data, head.headers, framing);
  if (collected) return collected;
  const Refusal host = check_host(head, framing, authority);
  if (host) return host;
  head.host = framing.hosts == 1 ? framing.host : authority;

  std::uint64_t length = 0;
  const Refusal body = check_body_fields(framing, head.minor, length);
  if (body) return body;
  head.chunked = framing.codings == 1;
  if (framing.lengths == 1) head.content_length = length;

  if (framing.expect_other) return refuse(417, "only Expect: 100-continue is served");
  // RFC 9110 10.1.1: in an HTTP/1.0 request it is ignored.
  head.expect_continue = framing.expect_continue && head.minor >= 1;
  head.keep_alive = !framing.close && (head.minor >= 1 || framing.keep_alive);
  return kFine;
}

Part parse_status_line(const char* p, const char* end, ResponseHead& head) {
  const Part version = parse_version(p, end, head.minor);
  if (version.next == nullptr) return version;
  p = version.next;
  if (p == end) return kMissing;
  if (*p != ' ') return refuse("bad status line");
  ++p;
  unsigned status = 0;
  for (int i = 0; i < 3; ++i, ++p) {
    if (p == end) return kMissing;
    if (!is_digit(*p)) return refuse("bad status code");
    status = status * 10 + static_cast<unsigned>(*p - '0');
  }
  if (status < 100 || status > 599) return refuse("bad status code");
  head.status = status;
  if (p == end) return kMissing;
  // The space may be missing with an empty reason: common, and not ambiguous.
  if (*p == '\r' || *p == '\n') return line_end(p, end);
  if (*p != ' ') return refuse("bad status code");
  const char* const reason = ++p;
  p = text_end(p, end);
  head.reason = {reason, static_cast<std::size_t>(p - reason)};
  return line_end(p, end);
}

// RFC 9112 6.3, by its numbers.
Refusal check_response(char* data, std::string_view request_method, bool upgrade_asked,
                       ResponseHead& head) {
  using Body = ResponseHead::Body;
  Framing framing;
  const Refusal collected = fold_and_collect(data, head.headers, framing);
  if (collected) return collected;
  if (head.status == 101 && !upgrade_asked) return refuse("switches protocols unasked");
  head.keep_alive = !framing.close && (head.minor >= 1 || framing.keep_alive);

  // 2: a tunnel begins; framing fields mean nothing.
  if (request_method == "CONNECT" && head.status / 100 == 2) {
    head.body = Body::kNone;
    return kFine;
  }
  std::uint64_t length = 0;
  const Refusal body = check_body_fields(framing, head.minor, length);
  if (body) return body;

  // 1: no body whatever the fields say.
  const bool announced = framing.codings == 1 || length != 0;
  if (head.status < 200 && announced) return refuse("interim response with a body");
  if (head.status == 204 && announced) head.keep_alive = false;
  if (head.status < 200 || head.status == 204 || head.status == 304 || request_method == "HEAD") {
    head.body = Body::kNone;
  } else if (framing.codings == 1) {  // 4
    head.body = Body::kChunked;
  } else if (framing.lengths == 1) {  // 6
    head.body = Body::kLength;
    head.content_length = length;
  } else {  // 8
    head.body = Body::kUntilClose;
    head.keep_alive = false;
  }
  return kFine;
}

HeadResult error(const Refusal& refusal) {
  return {HeadResult::State::kError, 0, refusal.status, refusal.reason};
}

// What an incomplete head gets: an error where it can't become whole within the limit.
HeadResult incomplete(const Part& part, std::size_t size, const HeadLimits& limits) {
  if (part.refusal) return error(part.refusal);
  if (size >= limits.head_bytes_max) return error(refuse(431, "head too large"));
  return {};
}

// True where bytes that came since the last look can't change what it found: no line ended, little
// was added.
bool nothing_new(const char* data, std::size_t size, std::size_t scanned) {
  if (scanned < kRescanBytes || scanned > size || data[scanned - 1] == '\r' ||
      size / kRescanBytes != scanned / kRescanBytes)
    return false;
  return text_end(data + scanned, data + size) == data + size;
}

std::string_view find_header(const std::vector<Header>& headers, std::string_view name) {
  for (const Header& header : headers)
    if (header.name == name) return header.value;
  return {};
}

}  // namespace

std::string_view RequestHead::find(std::string_view name) const {
  return find_header(headers, name);
}

void RequestHead::clear() {
  method = target = path = query = host = {};
  minor = 1;
  headers.clear();
  content_length.reset();
  chunked = false;
  keep_alive = true;
  expect_continue = false;
}

std::string_view ResponseHead::find(std::string_view name) const {
  return find_header(headers, name);
}

void ResponseHead::clear() {
  minor = 1;
  status = 0;
  reason = {};
  headers.clear();
  body = Body::kNone;
  content_length = 0;
  keep_alive = true;
}

HeadResult parse_request_head(char* data, std::size_t size, const HeadLimits& limits,
                              std::size_t& scanned, RequestHead& head) {
  if (nothing_new(data, size, scanned) && size < limits.head_bytes_max) {
    scanned = size;
    return {};
  }
  scanned = size;
  head.clear();
  const char* const end = data + std::min(size, limits.head_bytes_max);
  const char* p = data;
  if (p != end && *p == '\r') {
    const Part blank = line_end(p, end);
    if (blank.next == nullptr) return incomplete(blank, size, limits);
    p = blank.next;
  }
  const Part line = parse_request_line(p, end, limits.target_bytes_max, head);
  if (line.next == nullptr) return incomplete(line, size, limits);
  const Part fields = parse_fields(line.next, end, limits.headers_max, head.headers);
  if (fields.next == nullptr) return incomplete(fields, size, limits);
  const Refusal checked = check_request(data, head);
  if (checked) return error(checked);
  return {HeadResult::State::kDone, static_cast<std::size_t>(fields.next - data), 0, ""};
}

HeadResult parse_response_head(char* data, std::size_t size, const HeadLimits& limits,
                               std::string_view request_method, std::size_t& scanned,
                               ResponseHead& head, bool upgrade_asked) {
  if (nothing_new(data, size, scanned) && size < limits.head_bytes_max) {
    scanned = size;
    return {};
  }
  scanned = size;
  head.clear();
  const char* const end = data + std::min(size, limits.head_bytes_max);
  const Part line = parse_status_line(data, end, head);
  if (line.next == nullptr) return incomplete(line, size, limits);
  const Part fields = parse_fields(line.next, end, limits.headers_max, head.headers);
  if (fields.next == nullptr) return incomplete(fields, size, limits);
  const Refusal checked = check_response(data, request_method, upgrade_asked, head);
  if (checked) return error(checked);
  return {HeadResult::State::kDone, static_cast<std::size_t>(fields.next - data), 0, ""};
}

// The first line of a chunk: 1*HEXDIG, maybe extensions, CRLF.
const char* ChunkedDecoder::take_size(char c) {
  if (is_hex(c)) {
    if (digits_ == 16) return "chunk size too large";
    const unsigned value = is_digit(c) ? byte(c) - '0' : byte(lower(c)) - 'a' + 10u;
    left_ = left_ << 4 | value;
    ++digits_;
    return nullptr;
  }
  if (digits_ == 0) return "bad chunk size";
  if (left_ > INT64_MAX) return "chunk size too large";
  if (c == '\r') {
    phase_ = Phase::kSizeLf;
  } else if (c == ';') {
    phase_ = Phase::kExtension;
  } else if (is_blank(c)) {
    phase_ = Phase::kSizeBlank;
  } else {
    return "bad chunk size";
  }
  return nullptr;
}

// What may stand behind a whole extension: the next one or the line's end.
const char* ChunkedDecoder::after_extension(char c) {
  if (c == ';') {
    phase_ = Phase::kExtension;
  } else if (c == '\r') {
    phase_ = Phase::kSizeLf;
  } else {
    return "bad chunk extension";
  }
  return nullptr;
}

// RFC 9112 7.1.1: *( BWS ";" BWS name [ BWS "=" BWS ( token / quoted-string ) ] ).
const char* ChunkedDecoder::take_extension(char c) {
  if (++extension_bytes_ > kExtensionBytesMax) return "chunk extensions too large";
  const bool token = kToken[byte(c)] != 0;
  switch (phase_) {
    case Phase::kSizeBlank:
      if (is_blank(c)) return nullptr;
      if (c != ';') return "bad chunk size";
      phase_ = Phase::kExtension;
      return nullptr;
    case Phase::kExtension:
      if (is_blank(c)) return nullptr;
      if (!token) return "bad chunk extension";
      phase_ = Phase::kExtensionName;
      return nullptr;
    case Phase::kExtensionName:
    case Phase::kExtensionNameBlank:
      if (token && phase_ == Phase::kExtensionName) return nullptr;
      if (c == '=') {
        phase_ = Phase::kExtensionEqual;
        return nullptr;
      }
      if (is_blank(c)) {
        phase_ = Phase::kExtensionNameBlank;
        return nullptr;
      }
      // White space may stand before ';' and '=', not before the line's end.
      if (c == '\r' && phase_ == Phase::kExtensionNameBlank) return "bad chunk extension";
      return after_extension(c);
    case Phase::kExtensionEqual:
      if (is_blank(c)) return nullptr;
      if (!token && c != '"') return "bad chunk extension";
      phase_ = token ? Phase::kExtensionToken : Phase::kExtensionQuoted;
      return nullptr;
    case Phase::kExtensionToken:
      if (token) return nullptr;
      if (!is_blank(c)) return after_extension(c);
      phase_ = Phase::kExtensionEnd;
      return nullptr;
    case Phase::kExtensionQuoted:
      if (c == '"') {
        phase_ = Phase::kExtensionEnd;
      } else if (c == '\\') {
        phase_ = Phase::kExtensionEscape;
      } else if (c != '\t' && (byte(c) < 0x20 || c == 0x7f)) {
        return "bad chunk extension";
      }
      return nullptr;
    case Phase::kExtensionEscape:
      if (c != '\t' && (byte(c) < 0x20 || c == 0x7f)) return "bad chunk extension";
      phase_ = Phase::kExtensionQuoted;
      return nullptr;
    default:  // kExtensionEnd
      if (is_blank(c)) return nullptr;
      return after_extension(c);
  }
}

const char* ChunkedDecoder::take_trailer(char c) {
  if (++trailer_bytes_ > kTrailerBytesMax) return "trailers too large";
  switch (phase_) {
    case Phase::kTrailer:
      if (c == '\r') {
        phase_ = Phase::kEndLf;
        return nullptr;
      }
      if (kToken[byte(c)] == 0) return "bad trailer";
      phase_ = Phase::kTrailerName;
      return nullptr;
    case Phase::kTrailerName:
      if (c == ':') phase_ = Phase::kTrailerValue;
      return c == ':' || kToken[byte(c)] != 0 ? nullptr : "bad trailer";
    default:  // kTrailerValue
      if (c == '\r') {
        phase_ = Phase::kTrailerLf;
        return nullptr;
      }
      return c == '\t' || (byte(c) >= 0x20 && c != 0x7f) ? nullptr : "bad trailer";
  }
}

const char* ChunkedDecoder::take(char c) {
  switch (phase_) {
    case Phase::kSize:
      return take_size(c);
    case Phase::kSizeLf:
      if (c != '\n') return "bare CR in a chunk size";
      phase_ = left_ != 0 ? Phase::kData : Phase::kTrailer;
      return nullptr;
    case Phase::kDataCr:
      if (c != '\r') return "chunk longer than its size";
      phase_ = Phase::kDataLf;
      return nullptr;
    case Phase::kDataLf:
      if (c != '\n') return "chunk longer than its size";
      phase_ = Phase::kSize;
      digits_ = 0;
      left_ = 0;
      return nullptr;
    case Phase::kTrailer:
    case Phase::kTrailerName:
    case Phase::kTrailerValue:
      return take_trailer(c);
    case Phase::kTrailerLf:
      if (c != '\n') return "bare CR in a trailer";
      phase_ = Phase::kTrailer;
      return nullptr;
    case Phase::kEndLf:
      if (c != '\n') return "bare CR in a trailer";
      phase_ = Phase::kDone;
      return nullptr;
    default:
      return take_extension(c);
  }
}

ChunkedDecoder::Step ChunkedDecoder::feed(std::string_view bytes) {
  std::size_t used = 0;
  while (used < bytes.size()) {
    if (phase_ == Phase::kData) {
      const std::size_t rest = bytes.size() - used;
      const std::size_t n = left_ < rest ? static_cast<std::size_t>(left_) : rest;
      left_ -= n;
      if (left_ == 0) phase_ = Phase::kDataCr;
      return {Step::State::kData, used + n, bytes.substr(used, n), ""};
    }
    if (const char* reason = take(bytes[used])) return {Step::State::kError, used, {}, reason};
    ++used;
    if (phase_ == Phase::kDone) return {Step::State::kDone, used, {}, ""};
  }
  return {Step::State::kNeedMore, used, {}, ""};
}

bool valid_header_value(std::string_view value) {
  const char* const end = value.data() + value.size();
  return text_end(value.data(), end) == end;
}

bool valid_token(std::string_view text) {
  for (const char c : text)
    if (kToken[byte(c)] == 0) return false;
  return !text.empty();
}

}  // namespace switchyard::net
