// The parts of the kit that every check stands on.
#include <switchyard/provider.h>

#include <array>
#include <catch2/catch.hpp>
#include <cstring>
#include <string>
#include <switchyard/plugin.hpp>
#include <vector>

#include "framing.hpp"
#include "json.hpp"
#include "plugin.hpp"
#include "signing.hpp"

namespace swy::check::test {
namespace {

std::string hex(const std::uint8_t* bytes, std::size_t n) {
  std::string out;
  for (std::size_t i = 0; i < n; ++i) {
    out += "0123456789abcdef"[bytes[i] >> 4];
    out += "0123456789abcdef"[bytes[i] & 15];
  }
  return out;
}

std::string hash(std::string_view text) {
  std::array<std::uint8_t, 32> digest{};
  sha256(text, digest.data());
  return hex(digest.data(), digest.size());
}

std::string frames_of(std::uint32_t framing, std::string_view bytes, std::size_t cut) {
  Framer framer(framing);
  std::vector<Frame> frames;
  REQUIRE(framer.feed(bytes.substr(0, cut), frames));
  REQUIRE(framer.feed(bytes.substr(cut), frames));
  framer.finish(frames);
  std::string text;
  for (const Frame& frame : frames) text += "[" + frame.name + "|" + frame.data + "]";
  return text;
}

std::string config_fault_of(const char* schema, const char* config) {
  std::string why;
  return config_fault(*parse(schema, why), *parse(config, why));
}

}  // namespace

TEST_CASE("kit: SHA-256 is the one of FIPS 180-4", "[kit]") {
  CHECK(hash("abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  CHECK(hash("") == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  CHECK(hash("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq") ==
        "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
}

TEST_CASE("kit: a chain of MACs begins with prefix and secret", "[kit]") {
  const swy_str steps[] = {str("one"), str("two")};
  swy_hmac chain{};
  chain.size = sizeof chain;
  chain.hash = SWY_HASH_SHA256;
  chain.nstep = 2;
  chain.prefix = str("AWS4");
  chain.step = steps;
  std::array<std::uint8_t, SWY_DIGEST_MAX> mac{}, plain{};
  std::uint32_t n = 0;
  REQUIRE(sign_table()->hmac(nullptr, &chain, mac.data(), &n) == SWY_OK);
  CHECK(n == 32);
  chain.flags = SWY_HMAC_HEX_STEPS;
  REQUIRE(sign_table()->hmac(nullptr, &chain, plain.data(), &n) == SWY_OK);
  CHECK(mac != plain);
  chain.nstep = 17;
  CHECK(sign_table()->hmac(nullptr, &chain, mac.data(), &n) == SWY_E_ARG);
}

TEST_CASE("kit: frames are the same wherever the bytes are cut", "[kit]") {
  struct {
    std::uint32_t framing;
    std::string bytes, frames;
  } const cases[] = {
      {SWY_FRAME_SSE,
       "\xEF\xBB\xBF: c\r\nevent: a\r\ndata: 1\r\ndata:2\n\ndata: 3\r\rid: 4\n\ndata: 5",
       "[a|1\n2][|3][|5]"},
      {SWY_FRAME_NDJSON, "{}\r\n\n[1]\n2", "[|{}][|[1]][|2]"},
      {SWY_FRAME_WHOLE, "a\nb", "[|a\nb]"},
      {SWY_FRAME_AWS,
       frame_bytes(SWY_FRAME_AWS, {"delta", "{\"a\":1}"}) +
           frame_bytes(SWY_FRAME_AWS, {"stop", ""}),
       "[delta|{\"a\":1}][stop|]"},
  };
  for (const auto& each : cases) {
    for (std::size_t cut = 0; cut <= each.bytes.size(); ++cut) {
      CAPTURE(each.framing, cut);
      CHECK(frames_of(each.framing, each.bytes, cut) == each.frames);
    }
  }
}

TEST_CASE("kit: an AWS message with a bit turned is none", "[kit]") {
  const std::string good = frame_bytes(SWY_FRAME_AWS, {"delta", "{}"});
  for (std::size_t at = 0; at < good.size(); ++at) {
    CAPTURE(at);
    std::string bad = good;
    bad[at] = static_cast<char>(bad[at] ^ 1);
    std::vector<Frame> frames;
    Framer framer(SWY_FRAME_AWS);
    const bool framed = framer.feed(bad, frames);
    CHECK((!framed || frames.empty()));
  }
}

TEST_CASE("kit: JSON is read strictly", "[kit]") {
  std::string why;
  for (const char* bad : {"", "{", "[1,]", "{\"a\":1,}", "01", "1.", "+1", "nul", "\"\x01\"",
                          "\"\\x\"", "{\"a\":1,\"a\":2}", "{} {}", "\"\xff\"", "{1:2}"}) {
    CAPTURE(bad);
    CHECK_FALSE(parse(bad, why));
    CHECK_FALSE(why.empty());
  }
  const auto good = parse(" {\"a\":[1.50,1e3,true,null,\"\\u00e9\"]} ", why);
  REQUIRE(good);
  CHECK(to_json(*good) == "{\"a\":[1.50,1e3,true,null,\"\xc3\xa9\"]}");
}

TEST_CASE("kit: a configuration is held against its schema", "[kit]") {
  const char* schema =
      R"({"type":"object","required":["a"],"additionalProperties":false,"properties":{"a":{"type":)"
      R"("integer","minimum":1,"maximum":3},"b":{"$ref":"#/definitions/t"}},"definitions":{"t":)"
      R"({"type":"string","minLength":2,"enum":["xx","y"]}}})";
  std::string why;
  CHECK(schema_fault(*parse(schema, why)).empty());
  CHECK(config_fault_of(schema, R"({"a":3,"b":"xx"})").empty());
  CHECK(config_fault_of(schema, R"({})") == "/a: missing");
  CHECK(config_fault_of(schema, R"({"a":4})") == "/a: 4 is beyond 3");
  CHECK(config_fault_of(schema, R"({"a":1,"c":1})") == "/c: not known");
  CHECK_THAT(config_fault_of(schema, R"({"a":1.5})"), Catch::StartsWith("/a: expected type"));
  CHECK_THAT(config_fault_of(schema, R"({"a":1,"b":"y"})"), Catch::StartsWith("/b: 1 is beyond"));
  CHECK_THAT(schema_fault(*parse(R"({"properties":{"a":{"const":1}}})", why)),
             Catch::StartsWith("/properties/a/const: not among"));
}

}  // namespace swy::check::test
