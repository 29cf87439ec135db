#include "core/net/websocket.hpp"

#include <catch2/catch.hpp>

using namespace switchyard::net;
using Kind = WsEvent::Kind;

namespace {

using Events = std::vector<std::string>;

std::string describe(const WsEvent& event) {
  const std::string data(event.data);
  switch (event.kind) {
    case Kind::kMessage:
      return (event.text ? "text " : "binary ") + data;
    case Kind::kPing:
      return "ping " + data;
    case Kind::kPong:
      return "pong " + data;
    case Kind::kClose:
      return "close " + std::to_string(event.code) + " " + data;
    case Kind::kFault:
      return "fault " + std::to_string(event.code);
    default:
      return "?";
  }
}

// Decodes inputs that go away as soon as they are used up, as read buffers do.
Events decode(const std::vector<std::string_view>& inputs, bool masked,
              std::size_t message_max = 1 << 20) {
  WsDecoder decoder(masked, message_max);
  Events events;
  for (const std::string_view input : inputs) {
    std::string buffer(input);
    std::span<char> rest(buffer);
    for (;;) {
      const WsEvent event = decoder.next(rest);
      if (event.kind == Kind::kNeedMore) break;
      events.push_back(describe(event));
    }
    REQUIRE(rest.empty());
    buffer.assign(buffer.size(), '#');
  }
  return events;
}

Events decode_any_cut(const std::string& wire, bool masked, std::size_t message_max = 1 << 20) {
  const std::string_view bytes = wire;
  const Events whole = decode({bytes}, masked, message_max);
  std::vector<std::string_view> single;
  for (std::size_t i = 0; i < bytes.size(); ++i) single.push_back(bytes.substr(i, 1));
  REQUIRE(decode(single, masked, message_max) == whole);
  for (std::size_t cut = 0; cut <= bytes.size(); ++cut) {
    CAPTURE(cut);
    REQUIRE(decode({bytes.substr(0, cut), bytes.substr(cut)}, masked, message_max) == whole);
  }
  return whole;
}

constexpr unsigned char kMask[4] = {0x37, 0xfa, 0x21, 0x3d};

// A frame by hand. first: the byte with FIN and the opcode.
std::string frame(unsigned char first, std::string payload, bool masked = false) {
  std::string out(1, static_cast<char>(first));
  const std::size_t n = payload.size();
  const int bit = masked ? 0x80 : 0;
  if (n < 126) {
    out += static_cast<char>(bit | static_cast<int>(n));
  } else if (n < 65536) {
    out += static_cast<char>(bit | 126);
    out += static_cast<char>(n >> 8);
    out += static_cast<char>(n);
  } else {
    out += static_cast<char>(bit | 127);
    for (int shift = 56; shift >= 0; shift -= 8) out += static_cast<char>(n >> shift);
  }
  if (masked) {
    out.append(reinterpret_cast<const char*>(kMask), 4);
    for (std::size_t i = 0; i < n; ++i) payload[i] ^= static_cast<char>(kMask[i & 3]);
  }
  return out + payload;
}

std::string raw(std::initializer_list<int> bytes) {
  std::string out;
  for (const int byte : bytes) out += static_cast<char>(byte);
  return out;
}

std::string close_frame(unsigned code, const std::string& reason = "") {
  return frame(0x88, raw({static_cast<int>(code >> 8), static_cast<int>(code & 255)}) + reason);
}

RequestHead parse(std::string& text) {
  RequestHead head;
  std::size_t scanned = 0;
  const HeadResult result =
      parse_request_head(text.data(), text.size(), HeadLimits{}, scanned, head);
  REQUIRE(result.state == HeadResult::State::kDone);
  return head;
}

}  // namespace

TEST_CASE("net: the RFC's own frames decode at any cut", "[unit][net][websocket]") {
  // RFC 6455 5.7
  CHECK(decode_any_cut(raw({0x81, 0x05, 0x48, 0x65, 0x6c, 0x6c, 0x6f}), false) ==
        Events{"text Hello"});
  CHECK(decode_any_cut(raw({0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58}),
                       true) == Events{"text Hello"});
  CHECK(decode_any_cut(raw({0x01, 0x03, 0x48, 0x65, 0x6c, 0x80, 0x02, 0x6c, 0x6f}), false) ==
        Events{"text Hello"});
  CHECK(decode_any_cut(raw({0x89, 0x05, 0x48, 0x65, 0x6c, 0x6c, 0x6f}), false) ==
        Events{"ping Hello"});
  CHECK(decode_any_cut(raw({0x8a, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58}),
                       true) == Events{"pong Hello"});
  const std::string bytes256(256, 'b'), bytes64k(65536, 'k');
  CHECK(decode_any_cut(frame(0x82, bytes256), false) == Events{"binary " + bytes256});
  CHECK(decode({frame(0x82, bytes64k)}, false) == Events{"binary " + bytes64k});
}

TEST_CASE("net: messages of any length, fragments and what comes between them",
          "[unit][net][websocket]") {
  for (const bool masked : {false, true}) {
    CAPTURE(masked);
    for (const std::size_t size : {0, 1, 3, 4, 7, 8, 9, 125, 126, 127, 1000}) {
      const std::string payload(size, 'x');
      CHECK(decode_any_cut(frame(0x81, payload, masked) + frame(0x82, payload, masked), masked) ==
            Events{"text " + payload, "binary " + payload});
    }
    // 5.4: control frames may stand between fragments; fragments may be empty.
    const std::string wire = frame(0x01, "", masked) + frame(0x00, "one ", masked) +
                             frame(0x89, "p", masked) + frame(0x00, "two ", masked) +
                             frame(0x8a, "", masked) + frame(0x80, "three", masked) +
                             frame(0x02, "b", masked) + frame(0x80, "", masked);
    CHECK(decode_any_cut(wire, masked) ==
          Events{"ping p", "pong ", "text one two three", "binary b"});
  }
}

TEST_CASE("net: what the RFC forbids is a fault at once", "[unit][net][websocket]") {
  struct Row {
    const char* clause;
    std::string wire;
    bool masked;
  };
  const Row rows[] = {
      {"5.2: RSV1", raw({0xc1}), false},
      {"5.2: RSV2", raw({0xa1}), false},
      {"5.2: RSV3", raw({0x91}), false},
      {"5.2: opcode 3", raw({0x83}), false},
      {"5.2: opcode 7", raw({0x87}), false},
      {"5.2: opcode 11", raw({0x8b}), false},
      {"5.2: opcode 15", raw({0x8f}), false},
      {"5.1: a server masks", raw({0x81, 0x80}), false},
      {"5.1: a client does not mask", raw({0x81, 0x00}), true},
      {"5.2: 125 in two bytes", raw({0x81, 126, 0, 125}), false},
      {"5.2: 65535 in eight bytes", raw({0x81, 127, 0, 0, 0, 0, 0, 0, 0xff, 0xff}), false},
      {"5.2: the top bit", raw({0x81, 127, 0x80, 0, 0, 0, 0, 1, 0, 0}), false},
      {"5.5: a long ping", raw({0x89, 126}), false},
      {"5.5: a longer ping", raw({0x89, 127}), false},
      {"5.5: a long close", raw({0x88, 126}), false},
      {"5.5: a fragmented ping", raw({0x09}), false},
      {"5.5: a fragmented close", raw({0x08}), false},
      {"5.4: a continuation of nothing", raw({0x80}), false},
      {"5.4: a continuation after a message", frame(0x81, "a") + raw({0x00}), false},
      {"5.4: a text within a text", frame(0x01, "a") + raw({0x81}), false},
      {"5.4: a binary within a text", frame(0x01, "a") + raw({0x02}), false},
      {"5.5.1: half a code", frame(0x88, "x"), false},
  };
  for (const Row& row : rows) {
    CAPTURE(row.clause);
    const Events events = decode_any_cut(row.wire + "more", row.masked);
    REQUIRE(!events.empty());
    CHECK(events.back() == "fault 1002");
    // The last byte is what makes it wrong.
    const Events before = decode({row.wire.substr(0, row.wire.size() - 1)}, row.masked);
    CHECK((before.empty() || before.back() != "fault 1002"));
  }
}

TEST_CASE("net: close codes and reasons", "[unit][net][websocket]") {
  // 7.4.1, 7.4.2 and IANA's registry.
  for (unsigned code = 0; code <= 5100; ++code) {
    const bool good = (code >= 1000 && code <= 1003) || (code >= 1007 && code <= 1014) ||
                      (code >= 3000 && code <= 4999);
    CAPTURE(code);
    REQUIRE(ws_valid_close_code(code) == good);
    const Events expected{good ? "close " + std::to_string(code) + " bye" : "fault 1002"};
    REQUIRE(decode({close_frame(code, "bye")}, false) == expected);
  }
  CHECK(decode_any_cut(frame(0x88, ""), false) == Events{"close 1005 "});
  CHECK(decode_any_cut(close_frame(1000, std::string(123, 'r')), false) ==
        Events{"close 1000 " + std::string(123, 'r')});
  CHECK(decode_any_cut(close_frame(1000, "\xff"), false) == Events{"fault 1007"});
  CHECK(decode_any_cut(close_frame(1000, "\xe2\x82"), false) == Events{"fault 1007"});
  // 5.5.1, 1.4: nothing counts behind a Close.
  CHECK(decode_any_cut(close_frame(1000) + frame(0x81, "ghost"), false) == Events{"close 1000 "});
  // It may stand within a message, which is lost then.
  CHECK(decode_any_cut(frame(0x01, "half") + close_frame(1001), false) == Events{"close 1001 "});
}

TEST_CASE("net: text messages are UTF-8 over all their fragments", "[unit][net][websocket]") {
  // RFC 3629 3 and 4: the ends of the ranges.
  const std::string good[] = {"\x7f",         "\xc2\x80",         "\xdf\xbf",
                              "\xe0\xa0\x80", "\xed\x9f\xbf",     "\xee\x80\x80",
                              "\xef\xbf\xbf", "\xf0\x90\x80\x80", "\xf4\x8f\xbf\xbf"};
  const std::string bad[] = {"\x80",
                             "\xbf",
                             "\xc0\x80",
                             "\xc1\xbf",
                             "\xc2\x41",
                             "\xe0\x9f\xbf",
                             "\xed\xa0\x80",
                             "\xed\xbf\xbf",
                             "\xf0\x8f\xbf\xbf",
                             "\xf4\x90\x80\x80",
                             "\xf5\x80\x80\x80",
                             "\xff"};
  for (const std::string& text : good) {
    CAPTURE(text);
    CHECK(decode_any_cut(frame(0x81, "a" + text + "b"), false) == Events{"text a" + text + "b"});
    for (std::size_t cut = 0; cut <= text.size(); ++cut) {
      const std::string wire = frame(0x01, text.substr(0, cut)) + frame(0x80, text.substr(cut));
      CHECK(decode_any_cut(wire, false) == Events{"text " + text});
    }
    if (text.size() > 1) {
      const std::string half = text.substr(0, text.size() - 1);
      CHECK(decode_any_cut(frame(0x81, half), false) == Events{"fault 1007"});
      CHECK(decode_any_cut(frame(0x82, half), false) == Events{"binary " + half});
    }
  }
  for (const std::string& text : bad) {
    CAPTURE(text);
    for (std::size_t before = 0; before < 10; ++before) {
      const std::string payload = std::string(before, 'a') + text + "z";
      CHECK(decode_any_cut(frame(0x81, payload), false) == Events{"fault 1007"});
    }
  }
}

TEST_CASE("net: a message has a largest size, over all its fragments", "[unit][net][websocket]") {
  CHECK(decode_any_cut(frame(0x82, "12345678"), false, 8) == Events{"binary 12345678"});
  CHECK(decode_any_cut(frame(0x82, "123456789"), false, 8) == Events{"fault 1009"});
  CHECK(decode_any_cut(frame(0x02, "1234") + frame(0x80, "5678"), false, 8) ==
        Events{"binary 12345678"});
  CHECK(decode_any_cut(frame(0x02, "1234") + frame(0x00, "5678") + frame(0x80, "9"), false, 8) ==
        Events{"fault 1009"});
  // What is promised is refused before it comes, and ends nothing by adding up to little.
  CHECK(decode({raw({0x82, 127, 0x7f, 255, 255, 255, 255, 255, 255, 255})}, false) ==
        Events{"fault 1009"});
  const std::string wire =
      frame(0x02, "1") + raw({0x80, 127, 0x7f, 255, 255, 255, 255, 255, 255, 255});
  CHECK(decode_any_cut(wire, false, 8) == Events{"fault 1009"});
  // Control frames do not count.
  CHECK(decode_any_cut(frame(0x02, "1234") + frame(0x89, "123456789") + frame(0x80, "5678"), false,
                       8) == Events{"ping 123456789", "binary 12345678"});
}

TEST_CASE("net: what is written is read as it was meant", "[unit][net][websocket]") {
  for (const std::size_t size : {0, 1, 125, 126, 65535, 65536, 70001}) {
    for (const bool masked : {false, true}) {
      CAPTURE(size, masked);
      std::string payload(size, '\0');
      for (std::size_t i = 0; i < size; ++i) payload[i] = static_cast<char>('a' + i % 26);
      char header[kWsHeaderMax];
      const std::size_t n =
          ws_write_header(header, WsOpcode::kText, size, masked ? kMask : nullptr);
      CHECK(n == (size < 126 ? 2u : size < 65536 ? 4u : 10u) + (masked ? 4u : 0u));
      std::string wire(header, n);
      const std::string expected = "text " + payload;
      if (masked) ws_mask(payload.data(), size, kMask, 0);
      CHECK(decode({wire + payload}, masked) == Events{expected});
    }
  }
  // Pieces are masked as the whole is.
  std::string whole = "the quick brown fox jumps", pieces = whole;
  ws_mask(whole.data(), whole.size(), kMask, 0);
  for (std::size_t cut = 0; cut <= pieces.size(); ++cut) {
    std::string text = "the quick brown fox jumps";
    ws_mask(text.data(), cut, kMask, 0);
    ws_mask(text.data() + cut, text.size() - cut, kMask, cut);
    CHECK(text == whole);
  }
}

TEST_CASE("net: an upgrade is asked for as the RFC says, or refused", "[unit][net][websocket]") {
  const std::string key = "sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
  const std::string version = "sec-websocket-version: 13\r\n";
  const std::string base = "connection: Upgrade\r\nupgrade: websocket\r\n";
  const std::pair<std::string, unsigned> cases[] = {
      {base + key + version, 0},
      {"connection: keep-alive, UPGRADE\r\nupgrade: h2c, WebSocket\r\n" + key + version, 0},
      {"connection: keep-alive\r\nconnection: upgrade\r\nupgrade: websocket\r\n" + key + version,
       0},
      {base + key + version + "content-length: 0\r\n", 0},
      {"connection: Upgrade\r\n" + key + version, 426},
      {"connection: Upgrade\r\nupgrade: websockets\r\n" + key + version, 426},
      {"upgrade: websocket\r\n" + key + version, 400},
      {"connection: close\r\nupgrade: websocket\r\n" + key + version, 400},
      {base + key, 426},
      {base + key + "sec-websocket-version: 8\r\n", 426},
      {base + key + "sec-websocket-version: 13, 8\r\n", 426},
      {base + key + version + version, 400},
      {base + version, 400},
      {base + key + key + version, 400},
      {base + "sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ=\r\n" + version, 400},
      {base + "sec-websocket-key: dGhlIHNhbXBsZSBub25jZQAA\r\n" + version, 400},
      {base + "sec-websocket-key: dGhlIHNhbXBsZSBub25jZR==\r\n" + version, 400},
      {base + "sec-websocket-key: dGhlIHNhbXBsZ_Bub25jZQ==\r\n" + version, 400},
      {base + key + version + "content-length: 1\r\n", 400},
      {base + key + version + "transfer-encoding: chunked\r\n", 400},
      {base + key + version + "sec-websocket-protocol: a b\r\n", 400},
  };
  for (const auto& [lines, status] : cases) {
    CAPTURE(lines);
    std::string text = "GET /v1/realtime HTTP/1.1\r\nhost: h\r\n" + lines + "\r\n";
    const auto asked = ws_read_request(parse(text));
    CHECK((asked ? 0 : asked.error().status) == status);
  }
  std::string old = "GET /v1/realtime HTTP/1.0\r\nhost: h\r\n" + base + key + version + "\r\n";
  CHECK_FALSE(ws_read_request(parse(old)).has_value());

  std::string text = "GET / HTTP/1.1\r\nhost: h\r\n" + base + key + version +
                     "sec-websocket-protocol: realtime, x.y\r\nsec-websocket-protocol: z\r\n\r\n";
  const RequestHead head = parse(text);
  const auto asked = ws_read_request(head);
  REQUIRE(asked);
  CHECK(asked->key == "dGhlIHNhbXBsZSBub25jZQ==");
  CHECK(asked->protocols == std::vector<std::string_view>{"realtime", "x.y", "z"});
  // RFC 6455 1.3
  CHECK(ws_accept(asked->key) == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
}

TEST_CASE("net: an upgrade counts only as it was asked for", "[unit][net][websocket]") {
  const std::string key = ws_new_key();
  CHECK(key.size() == 24);
  CHECK(key != ws_new_key());
  const std::string accept = ws_accept(key);
  const auto check = [&](std::vector<Header> headers, std::string_view protocols = "") {
    ResponseHead head;
    head.status = 101;
    head.headers = std::move(headers);
    return ws_check_answer(head, key, protocols) == nullptr;
  };
  const Header upgrade{"upgrade", "WebSocket"}, connection{"connection", "upgrade"};
  const Header accepted{"sec-websocket-accept", accept};
  const std::string wrong = ws_accept(ws_new_key());
  CHECK(check({upgrade, connection, accepted}));
  CHECK(check({upgrade, {"connection", "keep-alive, Upgrade"}, accepted}));
  CHECK_FALSE(check({connection, accepted}));
  CHECK_FALSE(check({{"upgrade", "h2c"}, connection, accepted}));
  CHECK_FALSE(check({upgrade, accepted}));
  CHECK_FALSE(check({upgrade, {"connection", "close"}, accepted}));
  CHECK_FALSE(check({upgrade, connection}));
  CHECK_FALSE(check({upgrade, connection, {"sec-websocket-accept", wrong}}));
  CHECK_FALSE(check({upgrade, connection, accepted, accepted}));
  CHECK_FALSE(check({upgrade, connection, accepted, {"sec-websocket-extensions", "x"}}));
  CHECK_FALSE(check({upgrade, connection, accepted, {"sec-websocket-protocol", "a"}}));
  CHECK(check({upgrade, connection, accepted, {"sec-websocket-protocol", "a"}}, "b, a"));
  CHECK_FALSE(check({upgrade, connection, accepted, {"sec-websocket-protocol", "A"}}, "b, a"));
  CHECK(check({upgrade, connection, accepted}, "b, a"));
}
