#include <initializer_list>
#include <string>
#include <utility>
#include <vector>

#include "core/net/sse_decoder.hpp"
#include "fuzz.hpp"

using switchyard::net::SseDecoder;
using switchyard::net::SseEvent;
using State = SseDecoder::State;

namespace {

constexpr std::size_t kEventBytesMax = 64;

struct Decoded {
  std::vector<std::pair<std::string, std::string>> events;
  bool too_large = false;
  bool operator==(const Decoded&) const = default;
};

Decoded decode(std::initializer_list<std::string_view> inputs) {
  SseDecoder decoder(kEventBytesMax);
  SseEvent event;
  Decoded out;
  for (const std::string_view input : inputs) {
    // A buffer of its own, so that a view that outlives it is seen.
    const std::string buffer(input);
    std::string_view rest = buffer;
    for (;;) {
      const State state = decoder.next(rest, event);
      out.too_large = state == State::kTooLarge;
      if (out.too_large) return out;
      if (state == State::kNeedMore) break;
      out.events.emplace_back(event.name, event.data);
    }
    fuzz::require(rest.empty(), "the input is used up");
  }
  const State last = decoder.finish(event);
  out.too_large = last == State::kTooLarge;
  if (last == State::kEvent) out.events.emplace_back(event.name, event.data);
  return out;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view input = fuzz::text(data, size);
  const Decoded whole = decode({input});
  for (const auto& [name, value] : whole.events) {
    fuzz::require(name.size() + value.size() <= kEventBytesMax, "limit");
    fuzz::require(name.find_first_of("\r\n") == std::string::npos, "a name is one line");
    fuzz::require(value.find('\r') == std::string::npos, "lines are joined by LF");
  }
  for (const std::size_t cut : fuzz::cuts(input))
    fuzz::require(decode({input.substr(0, cut), input.substr(cut)}) == whole,
                  "a cut changes nothing");
  return 0;
}
