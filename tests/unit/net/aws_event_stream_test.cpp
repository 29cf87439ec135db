#include "core/net/aws_event_stream.hpp"

#include <zlib.h>

using namespace switchyard::net;
using State = AwsEventStream::State;

namespace {

using Messages = std::vector<std::pair<std::string, std::string>>;

std::string u32(std::size_t n) {
  std::string out;
  for (int shift = 24; shift >= 0; shift -= 8) out += static_cast<char>(n >> shift & 0xff);
  return out;
}

std::string crc(const std::string& bytes) {
  return u32(
      crc32(0, reinterpret_cast<const Bytef*>(bytes.data()), static_cast<unsigned>(bytes.size())));
}

std::string text_header(const std::string& name, const std::string& value) {
  return static_cast<char>(name.size()) + name + '\x07' + u32(value.size()).substr(2) + value;
}

std::string wire_of(const std::string& headers, const std::string& payload) {
  std::string out = u32(16 + headers.size() + payload.size()) + u32(headers.size());
  out += crc(out);
  out += headers + payload;
  return out + crc(out);
}

std::string event(const std::string& type, const std::string& payload) {
  return wire_of(text_header(":event-type", type) +
                     text_header(":content-type", "application/json") +
                     text_header(":message-type", "event"),
                 payload);
}

// Decodes inputs that go away as soon as they are used up; "!" and the fault at the end of a broken
// one.
Messages decode(const std::vector<std::string_view>& inputs, std::size_t bytes_max = 1 << 20) {
  AwsEventStream stream(bytes_max);
  AwsMessage message;
  Messages messages;
  for (const std::string_view input : inputs) {
    std::string buffer(input);
    std::string_view rest = buffer;
    for (;;) {
      const State state = stream.next(rest, message);
      if (state == State::kBroken) {
        messages.emplace_back("!", stream.fault());
        CHECK(stream.next(rest, message) == State::kBroken);
        return messages;
      }
      if (state == State::kNeedMore) break;
      messages.emplace_back(message.name, message.data);
    }
    REQUIRE(rest.empty());
    buffer.assign(buffer.size(), '#');
  }
  if (!stream.at_boundary()) messages.emplace_back("!", "cut");
  return messages;
}

Messages decode_any_cut(std::string_view wire, std::size_t bytes_max = 1 << 20) {
  const Messages whole = decode({wire}, bytes_max);
  std::vector<std::string_view> bytes;
  for (std::size_t i = 0; i < wire.size(); ++i) bytes.push_back(wire.substr(i, 1));
  REQUIRE(decode(bytes, bytes_max) == whole);
  for (std::size_t cut = 0; cut <= wire.size(); ++cut) {
    CAPTURE(cut);
    REQUIRE(decode({wire.substr(0, cut), wire.substr(cut)}, bytes_max) == whole);
  }
  return whole;
}

}  // namespace

TEST_CASE("net: AWS messages cut at any byte come out the same", "[unit][aws]") {
  const std::string wire = event("messageStart", R"({"role":"assistant"})") + event("ping", "") +
                           event("contentBlockDelta", R"({"delta":{"text":"Hi"}})");
  CHECK(decode_any_cut(wire) == Messages{{"messageStart", R"({"role":"assistant"})"},
                                         {"ping", ""},
                                         {"contentBlockDelta", R"({"delta":{"text":"Hi"}})"}});
}

TEST_CASE("net: AWS exceptions and errors are told from events", "[unit][aws]") {
  const std::string wire =
      wire_of(text_header(":message-type", "exception") +
                  text_header(":exception-type", "throttlingException"),
              R"({"message":"slow"})") +
      wire_of(text_header(":error-code", "Internal") + text_header(":error-message", "broken") +
                  text_header(":message-type", "error"),
              "");
  CHECK(decode_any_cut(wire) == Messages{{"exception:throttlingException", R"({"message":"slow"})"},
                                         {"error:Internal", "broken"}});
}

TEST_CASE("net: AWS headers of every type are passed over", "[unit][aws]") {
  std::string headers;
  const std::size_t sizes[] = {0, 0, 1, 2, 4, 8};
  for (unsigned type = 0; type < 6; ++type) {
    headers += std::string("\x01") + "x" + static_cast<char>(type) + std::string(sizes[type], 'v');
  }
  headers += std::string("\x01") + "b" + '\x06' + u32(3).substr(2) + "abc";
  headers += std::string("\x01") + "t" + '\x08' + std::string(8, 't');
  headers += std::string("\x01") + "u" + '\x09' + std::string(16, 'u');
  headers += text_header(":event-type", "e");
  CHECK(decode_any_cut(wire_of(headers, "p")) == Messages{{"e", "p"}});
}

TEST_CASE("net: a broken AWS message is a fault", "[unit][aws]") {
  const std::string good = event("e", "payload");
  for (std::size_t at = 0; at < good.size(); ++at) {
    std::string bad = good;
    bad[at] = static_cast<char>(bad[at] ^ 1);
    CAPTURE(at);
    const Messages messages = decode({bad});
    REQUIRE(messages.size() == 1);
    CHECK(messages[0].first == "!");
  }
  CHECK(decode({good.substr(0, good.size() - 1)}) == Messages{{"!", "cut"}});
  CHECK(decode({good.substr(0, 5)}) == Messages{{"!", "cut"}});

  std::string prelude = u32(15) + u32(0);
  CHECK(decode_any_cut(prelude + crc(prelude)) ==
        Messages{{"!", "a message is shorter than its parts"}});
  prelude = u32(100) + u32(99);
  CHECK(decode_any_cut(prelude + crc(prelude)) ==
        Messages{{"!", "a message is shorter than its parts"}});
  prelude = u32(5000) + u32(0);
  CHECK(decode_any_cut(prelude + crc(prelude), 4096) == Messages{{"!", "a message is too large"}});
  for (const std::string& headers : {std::string("\x05"
                                                 "abc"),
                                     std::string(1, '\0'),
                                     std::string("\x01"
                                                 "a\x0a"),
                                     text_header("a", "b").substr(0, 5),
                                     std::string("\x01"
                                                 "a")}) {
    CHECK(decode_any_cut(wire_of(headers, "")) ==
          Messages{{"!", "a message's headers are broken"}});
  }
}
