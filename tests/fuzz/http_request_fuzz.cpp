#include <string>

#include "core/net/http1.hpp"
#include "fuzz.hpp"

using namespace switchyard::net;
using State = HeadResult::State;

namespace {

bool within(std::string_view part, std::string_view whole) {
  return part.empty() || part == "/" ||
         (part.data() >= whole.data() && part.data() + part.size() <= whole.data() + whole.size());
}

// What must hold of whatever is let in.
void check(const RequestHead& head, std::string_view bytes, const HeadLimits& limits) {
  fuzz::require(valid_token(head.method), "method is a token");
  fuzz::require(head.method != "CONNECT", "no tunnel");
  fuzz::require(head.minor <= 1, "version");
  fuzz::require(head.target.size() <= limits.target_bytes_max, "target limit");
  fuzz::require(head.headers.size() <= limits.headers_max, "header limit");
  fuzz::require(head.path == "*" || (!head.path.empty() && head.path[0] == '/'), "path");
  for (const std::string_view part : {head.method, head.target, head.path, head.query, head.host})
    fuzz::require(within(part, bytes), "view inside the input");
  int hosts = 0, lengths = 0, codings = 0;
  for (const Header& header : head.headers) {
    fuzz::require(within(header.name, bytes) && within(header.value, bytes), "header inside");
    fuzz::require(valid_token(header.name), "name is a token");
    for (const char c : header.name) fuzz::require(c < 'A' || c > 'Z', "name is folded");
    fuzz::require(valid_header_value(header.value), "value has no control byte");
    hosts += header.name == "host";
    lengths += header.name == "content-length";
    codings += header.name == "transfer-encoding";
  }
  fuzz::require(hosts == 1 || (hosts == 0 && head.minor == 0), "one Host");
  fuzz::require(lengths + codings <= 1, "one framing");
  fuzz::require(head.chunked == (codings == 1), "chunked is said");
  fuzz::require(head.content_length.has_value() == (lengths == 1), "length is said");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view input = fuzz::text(data, size);
  HeadLimits limits;
  limits.target_bytes_max = 256;
  limits.headers_max = 16;
  limits.head_bytes_max = 2048;

  std::string bytes(input);
  RequestHead head;
  std::size_t scanned = 0;
  const HeadResult whole = parse_request_head(bytes.data(), size, limits, scanned, head);
  if (whole.state == State::kDone) {
    fuzz::require(whole.consumed <= size, "consumed");
    check(head, bytes, limits);
  }
  if (whole.state == State::kError) fuzz::require(whole.status >= 400, "an error has a status");

  for (const std::size_t cut : fuzz::cuts(input)) {
    std::string again(input);
    RequestHead other;
    scanned = 0;
    HeadResult parts = parse_request_head(again.data(), cut, limits, scanned, other);
    if (parts.state == State::kNeedMore)
      parts = parse_request_head(again.data(), size, limits, scanned, other);
    // In a long head what is wrong may be seen only with the end of its line.
    if (cut >= 1024 && parts.state == State::kNeedMore && whole.state == State::kError) continue;
    fuzz::require(parts.state == whole.state, "a cut changes nothing");
    fuzz::require(parts.status == whole.status, "a cut changes no status");
    fuzz::require(parts.consumed == whole.consumed, "a cut changes no size");
  }
  return 0;
}
