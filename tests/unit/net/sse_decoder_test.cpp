#include "core/net/sse_decoder.hpp"

using namespace switchyard::net;
using State = SseDecoder::State;

namespace {

using Events = std::vector<std::pair<std::string, std::string>>;

// Decodes inputs that go away as soon as they are used up, as read buffers do.
Events decode(const std::vector<std::string_view>& inputs, std::size_t event_bytes_max = 1 << 20) {
  SseDecoder decoder(event_bytes_max);
  SseEvent event;
  Events events;
  for (const std::string_view input : inputs) {
    std::string buffer(input);
    std::string_view rest = buffer;
    for (;;) {
      const State state = decoder.next(rest, event);
      if (state == State::kTooLarge) {
        events.emplace_back("!", "too large");
        return events;
      }
      if (state == State::kNeedMore) break;
      events.emplace_back(event.name, event.data);
    }
    REQUIRE(rest.empty());
    buffer.assign(buffer.size(), '#');
  }
  const State last = decoder.finish(event);
  if (last == State::kEvent) events.emplace_back(event.name, event.data);
  if (last == State::kTooLarge) events.emplace_back("!", "too large");
  CHECK(decoder.finish(event) != State::kEvent);
  return events;
}

Events decode_any_cut(std::string_view wire, std::size_t event_bytes_max = 1 << 20) {
  const Events whole = decode({wire}, event_bytes_max);
  std::vector<std::string_view> bytes;
  for (std::size_t i = 0; i < wire.size(); ++i) bytes.push_back(wire.substr(i, 1));
  CAPTURE(wire);
  REQUIRE(decode(bytes, event_bytes_max) == whole);
  for (std::size_t cut = 0; cut <= wire.size(); ++cut) {
    CAPTURE(cut);
    REQUIRE(decode({wire.substr(0, cut), wire.substr(cut)}, event_bytes_max) == whole);
  }
  return whole;
}

}  // namespace

TEST_CASE("net: server-sent events decode the same at any cut", "[unit][net][sse]") {
  struct Row {
    std::string_view wire;
    Events events;
  };
  const Row rows[] = {
      {"", {}},
      {"\n\n\n", {}},
      {"data: a\n\ndata: b\n\n", {{"", "a"}, {"", "b"}}},
      {"data: a\r\n\r\ndata: b\r\n\r\n", {{"", "a"}, {"", "b"}}},
      {"data: a\r\rdata: b\r\r", {{"", "a"}, {"", "b"}}},
      {"data: a\r\n\ndata: b\n\r\n", {{"", "a"}, {"", "b"}}},
      {"data: a\r\ndata: b\r\r\ndata: c\n\r", {{"", "a\nb"}, {"", "c"}}},
      {"event: x\ndata: a\n\ndata: b\n\n", {{"x", "a"}, {"", "b"}}},
      {"event: x\n\ndata: b\n\n", {{"", "b"}}},
      {"event: x\nevent: yy\ndata: b\n\n", {{"yy", "b"}}},
      {"data: b\nevent: x\n\n", {{"x", "b"}}},
      {"data: 1\ndata: 2\ndata:\ndata: 4\n\n", {{"", "1\n2\n\n4"}}},
      {"data\n\n", {{"", ""}}},
      {"data:\n\n", {{"", ""}}},
      {"data\ndata\n\n", {{"", "\n"}}},
      {"data:a\ndata:  b\n\n", {{"", "a\n b"}}},
      {"data:a:b: c\n\n", {{"", "a:b: c"}}},
      {": comment\n:\ndata: a\n: in between\ndata: b\n\n: ping\n\n", {{"", "a\nb"}}},
      {"id: 7\nretry: 10\nunknown: z\ndata: a\nfoo\n\n", {{"", "a"}}},
      {"Data: a\n\n", {}},
      {" data: a\n\n", {}},
      {"data : a\n\n", {}},
      {"\xEF\xBB\xBF"
       "data: a\n\n",
       {{"", "a"}}},
      {"\xEF\xBB\xBF\xEF\xBB\xBF"
       "data: a\n\ndata: b\n\n",
       {{"", "b"}}},
      {"\xEF\xBB"
       "data: a\n\ndata: b\n\n",
       {{"", "b"}}},
      {"data: \xEF\xBB\xBF\n\n", {{"", "\xEF\xBB\xBF"}}},
      {"data: \xE4\xBD\xA0\xE5\xA5\xBD\n\n", {{"", "\xE4\xBD\xA0\xE5\xA5\xBD"}}},
      {"data: a", {{"", "a"}}},
      {"data: a\n", {{"", "a"}}},
      {"data: a\r", {{"", "a"}}},
      {"data: a\n\ndata: b\ndata: c", {{"", "a"}, {"", "b\nc"}}},
      {"data: a\n\nevent: x", {{"", "a"}}},
      {"data: a\n\ndat", {{"", "a"}}},
      {"data: a\n\ndata", {{"", "a"}}},
      {"data: a\nevent: x\ndata: longer than any short string is, and then some more\ndata: z\n\n",
       {{"x", "a\nlonger than any short string is, and then some more\nz"}}},
  };
  for (const Row& row : rows) {
    CAPTURE(row.wire);
    CHECK(decode_any_cut(row.wire) == row.events);
  }
}

TEST_CASE("net: an event above the limit is refused at any cut", "[unit][net][sse]") {
  const Events too_large{{"!", "too large"}};
  CHECK(decode_any_cut("data: 0123456789\n\n", 16) == Events{{"", "0123456789"}});
  CHECK(decode_any_cut("data: 0123456789a\n\n", 16) == too_large);
  CHECK(decode_any_cut("data: 01234567\ndata: 89\ndata: abcd\n\n", 16) ==
        Events{{"", "01234567\n89\nabcd"}});
  CHECK(decode_any_cut("data: 01234567\ndata: 89\ndata: abcde\n\n", 16) == too_large);
  CHECK(decode_any_cut("event: 01234567\ndata: 012345678\n\n", 16) == too_large);
  CHECK(decode_any_cut(": a comment without an end", 16) == too_large);
  CHECK(decode_any_cut("data: 0123456789a", 16) == too_large);

  SseDecoder decoder(4);
  std::string_view input = "data: 12345\n\n";
  SseEvent event;
  REQUIRE(decoder.next(input, event) == State::kTooLarge);
  input = "data: 1\n\n";
  CHECK(decoder.next(input, event) == State::kTooLarge);
  CHECK(decoder.finish(event) == State::kTooLarge);
}

TEST_CASE("net: a whole event with one data line is not copied", "[unit][net][sse]") {
  const std::string wire = "event: x\ndata: payload\n\ndata: next\n\n";
  std::string_view input = wire;
  SseDecoder decoder;
  SseEvent event;
  REQUIRE(decoder.next(input, event) == State::kEvent);
  CHECK(event.data.data() == wire.data() + wire.find("payload"));
  CHECK(event.name.data() == wire.data() + wire.find("x\n"));
  CHECK(input == "data: next\n\n");
}
