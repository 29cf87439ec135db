#include <string>

#include "core/net/http1.hpp"
#include "fuzz.hpp"

using namespace switchyard::net;
using State = HeadResult::State;
using Body = ResponseHead::Body;

namespace {

void check(const ResponseHead& head, std::string_view method) {
  fuzz::require(head.status >= 100 && head.status <= 599 && head.status != 101, "status");
  int lengths = 0, codings = 0;
  for (const Header& header : head.headers) {
    fuzz::require(valid_token(header.name), "name is a token");
    fuzz::require(valid_header_value(header.value), "value has no control byte");
    lengths += header.name == "content-length";
    codings += header.name == "transfer-encoding";
  }
  const bool tunnel = method == "CONNECT" && head.status / 100 == 2;
  fuzz::require(tunnel || lengths + codings <= 1, "one framing");
  if (method == "HEAD" || head.status < 200) fuzz::require(head.body == Body::kNone, "no body");
  if (head.body == Body::kUntilClose) fuzz::require(!head.keep_alive, "closes");
  if (head.body == Body::kChunked) fuzz::require(codings == 1, "chunked is said");
  if (head.body == Body::kLength) fuzz::require(lengths == 1, "length is said");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view input = fuzz::text(data, size);
  HeadLimits limits;
  limits.headers_max = 16;
  limits.head_bytes_max = 2048;

  for (const char* method : {"POST", "HEAD", "CONNECT"}) {
    std::string bytes(input);
    ResponseHead head;
    std::size_t scanned = 0;
    const HeadResult whole = parse_response_head(bytes.data(), size, limits, method, scanned, head);
    if (whole.state == State::kDone) {
      fuzz::require(whole.consumed <= size, "consumed");
      check(head, method);
    }
    for (const std::size_t cut : fuzz::cuts(input)) {
      std::string again(input);
      ResponseHead other;
      scanned = 0;
      HeadResult parts = parse_response_head(again.data(), cut, limits, method, scanned, other);
      if (parts.state == State::kNeedMore)
        parts = parse_response_head(again.data(), size, limits, method, scanned, other);
      // In a long head what is wrong may be seen only with the end of its line.
      if (cut >= 1024 && parts.state == State::kNeedMore && whole.state == State::kError) continue;
      fuzz::require(parts.state == whole.state, "a cut changes nothing");
      fuzz::require(parts.consumed == whole.consumed, "a cut changes no size");
      if (whole.state != State::kDone) continue;
      fuzz::require(other.body == head.body && other.content_length == head.content_length,
                    "a cut changes no framing");
    }
  }
  return 0;
}
