#include <initializer_list>
#include <string>
#include <vector>

#include "core/net/websocket.hpp"
#include "fuzz.hpp"

using namespace switchyard::net;
using Kind = WsEvent::Kind;

namespace {

constexpr std::size_t kMessageMax = 300;

struct Seen {
  Kind kind;
  bool text;
  unsigned code;
  std::string data;
  bool operator==(const Seen&) const = default;
};

std::vector<Seen> decode(std::initializer_list<std::string_view> inputs, bool masked) {
  WsDecoder decoder(masked, kMessageMax);
  std::vector<Seen> seen;
  for (const std::string_view input : inputs) {
    // A buffer of its own, so that a view that outlives it is seen.
    std::string buffer(input);
    std::span<char> rest(buffer);
    for (;;) {
      const WsEvent event = decoder.next(rest);
      if (event.kind == Kind::kNeedMore) break;
      seen.push_back({event.kind, event.text, event.code, std::string(event.data)});
    }
    fuzz::require(rest.empty(), "the input is used up");
  }
  return seen;
}

void check(const std::vector<Seen>& events) {
  for (std::size_t i = 0; i < events.size(); ++i) {
    const Seen& event = events[i];
    const bool ends = event.kind == Kind::kClose || event.kind == Kind::kFault;
    fuzz::require(!ends || i + 1 == events.size(), "nothing follows the end");
    const bool control = event.kind != Kind::kMessage && event.kind != Kind::kFault;
    fuzz::require(event.data.size() <= (control ? 125 : kMessageMax), "limit");
    const bool text = event.text || event.kind == Kind::kClose;
    Utf8Check utf8;
    fuzz::require(!text || (utf8.feed(event.data) && utf8.complete()), "text is UTF-8");
    if (event.kind == Kind::kClose) {
      fuzz::require(event.code == kWsNoCode || ws_valid_close_code(event.code), "a code");
    }
  }
}

// What was read, written again, reads the same.
void round_trip(const std::vector<Seen>& events, bool masked) {
  const unsigned char mask[4] = {1, 2, 3, 250};
  std::string wire;
  std::vector<Seen> messages;
  for (const Seen& event : events) {
    if (event.kind != Kind::kMessage) continue;
    char header[kWsHeaderMax];
    const WsOpcode opcode = event.text ? WsOpcode::kText : WsOpcode::kBinary;
    wire.append(header,
                ws_write_header(header, opcode, event.data.size(), masked ? mask : nullptr));
    std::string payload = event.data;
    if (masked) ws_mask(payload.data(), payload.size(), mask, 0);
    wire += payload;
    messages.push_back(event);
  }
  fuzz::require(decode({wire}, masked) == messages, "a round trip changes nothing");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view input = fuzz::text(data, size);
  for (const bool masked : {false, true}) {
    const std::vector<Seen> whole = decode({input}, masked);
    check(whole);
    round_trip(whole, masked);
    for (const std::size_t cut : fuzz::cuts(input))
      fuzz::require(decode({input.substr(0, cut), input.substr(cut)}, masked) == whole,
                    "a cut changes nothing");
  }
  return 0;
}
