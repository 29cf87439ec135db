// HTTP/1.1 heads and chunked bodies, strictly by RFC 9110 and 9112: what is in doubt is refused,
// never guessed. Pure functions and state machines over bytes; no I/O.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

namespace switchyard::net {

struct Header {
  std::string_view name;   // lower case (the parser folds it in place)
  std::string_view value;  // without the white space around it
};

struct HeadLimits {
  std::size_t head_bytes_max = 32 * 1024;
  std::size_t target_bytes_max = 8 * 1024;
  std::size_t headers_max = 100;
};

// All views point into the bytes that were parsed (but the path of "http://host", which is a
// literal "/").
struct RequestHead {
  std::string_view method;
  std::string_view target;
  std::string_view path;   // of the target, as sent: not unescaped; "*" where the target is that
  std::string_view query;  // without '?'
  std::string_view host;
  unsigned minor = 1;  // of HTTP/1.x
  std::vector<Header> headers;
  std::optional<std::uint64_t> content_length;
  bool chunked = false;
  bool keep_alive = true;
  bool expect_continue = false;

  std::string_view find(std::string_view name) const;  // empty where there is none
  void clear();
};

struct ResponseHead {
  enum class Body { kNone, kLength, kChunked, kUntilClose };

  unsigned minor = 1;
  unsigned status = 0;
  std::string_view reason;
  std::vector<Header> headers;
  Body body = Body::kNone;
  std::uint64_t content_length = 0;
  bool keep_alive = true;

  std::string_view find(std::string_view name) const;
  void clear();
};

struct HeadResult {
  enum class State { kNeedMore, kDone, kError };
  State state = State::kNeedMore;
  std::size_t consumed = 0;  // kDone: bytes of the head including the empty line
  unsigned status = 0;       // kError in a request: what to answer (400, 414, 417, 431, 501, 505)
  const char* reason = "";   // kError: static, for people
};

// Parses a head that begins at data[0] (at most one empty line before a request line is skipped,
// RFC 9112 2.2). Folds header names to lower case in place, only once the head is complete. An
// incomplete head that is already beyond a limit or already wrong is an error at once (in one above
// 1 KB: at the end of the line or the next KB). `scanned` is how far an earlier call on the same
// bytes got: pass the same variable, starting at 0, so that a head that drips in is not scanned
// again from its start.
HeadResult parse_request_head(char* data, std::size_t size, const HeadLimits& limits,
                              std::size_t& scanned, RequestHead& head);

// The same for a response to `request_method` (HEAD and a successful CONNECT have no body). 1xx is
// given back like any other status, but a 101 that nobody asked for is an error.
HeadResult parse_response_head(char* data, std::size_t size, const HeadLimits& limits,
                               std::string_view request_method, std::size_t& scanned,
                               ResponseHead& head, bool upgrade_asked = false);

// Decodes a chunked body (RFC 9112 7.1) piecewise. Chunk extensions and trailers are checked,
// bounded and dropped.
class ChunkedDecoder {
 public:
  static constexpr std::size_t kExtensionBytesMax = 16 * 1024;  // of all chunks of a body together
  static constexpr std::size_t kTrailerBytesMax = 8 * 1024;

  struct Step {
    enum class State { kNeedMore, kData, kDone, kError };
    State state = State::kNeedMore;
    std::size_t consumed = 0;  // bytes of the input that are done with
    std::string_view data;     // kData: a slice of the input
    const char* reason = "";   // kError: static
  };

  // Takes the next bytes; call again with the rest while it gives kData. After kDone or kError it
  // must not be called.
  Step feed(std::string_view bytes);
  void reset() { *this = ChunkedDecoder(); }

 private:
  enum class Phase : unsigned char {
    kSize,
    kSizeBlank,  // white space before a ';'
    kExtension,  // behind a ';'
    kExtensionName,
    kExtensionNameBlank,
    kExtensionEqual,  // behind a '='
    kExtensionToken,
    kExtensionQuoted,
    kExtensionEscape,
    kExtensionEnd,  // behind a value
    kSizeLf,
    kData,
    kDataCr,
    kDataLf,
    kTrailer,  // at the start of a line
    kTrailerName,
    kTrailerValue,
    kTrailerLf,
    kEndLf,
    kDone,
  };
  // Takes one byte of what is around the data; nullptr, or why it can't be there.
  const char* take(char c);
  const char* take_size(char c);
  const char* take_extension(char c);
  const char* take_trailer(char c);
  const char* after_extension(char c);

  Phase phase_ = Phase::kSize;
  unsigned char digits_ = 0;
  std::uint64_t left_ = 0;  // of the chunk
  std::size_t extension_bytes_ = 0;
  std::size_t trailer_bytes_ = 0;
};

// True where `value` may stand in a header that we write: no CR, LF, NUL or other control byte but
// HTAB.
bool valid_header_value(std::string_view value);
bool valid_token(std::string_view text);

}  // namespace switchyard::net
