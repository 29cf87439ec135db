#include <random>
#include <switchyard/json.hpp>

namespace json = swy::json;

TEST_CASE("sdk json: members are found as views, names compared unescaped", "[unit][sdk]") {
  const std::string_view text = R"( {"a": 1 , "b":{"a":[true,"}"]},"c\u0061":null,"e":""} )";
  REQUIRE(json::find(text, "a") == "1");
  REQUIRE(json::find(text, "b") == R"({"a":[true,"}"]})");
  REQUIRE(json::find(text, "ca") == "null");
  REQUIRE(json::find(text, "c").empty());
  REQUIRE(json::find_path(text, "b.a.1") == R"("}")");
  REQUIRE(json::find_path(text, "b.a.x").empty());
  REQUIRE(json::find_path(text, "b.a.2").empty());
  REQUIRE(json::find("[1]", "a").empty());
  REQUIRE(json::find("", "a").empty());
}

TEST_CASE("sdk json: strings are unescaped, bad escapes replaced", "[unit][sdk]") {
  REQUIRE(json::unescape(R"("a\"\\\/\b\f\n\r\t")") == "a\"\\/\b\f\n\r\t");
  REQUIRE(json::unescape(R"("\u0041\u00e9\u20ac\ud83d\ude00")") ==
          "A\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80");
  const std::string replaced = "\xEF\xBF\xBD";
  REQUIRE(json::unescape(R"("\ud83d")") == replaced);
  REQUIRE(json::unescape(R"("\ude00x")") == replaced + "x");
  REQUIRE(json::unescape(R"("\ud83d\u0041")") == replaced + "A");
  REQUIRE(json::unescape(R"("\u12")") == replaced + "12");
  REQUIRE(json::unescape(R"("\q")") == replaced);
  REQUIRE(json::unescape("\"\\\"").find('\\') == std::string::npos);
  REQUIRE(json::unescape("").empty());
}

TEST_CASE("sdk json: what is written is read back, whatever the bytes", "[unit][sdk]") {
  REQUIRE(json::quoted("\x01\x1f\"\\/") == R"("\u0001\u001f\"\\/")");
  for (const char* bad : {"\xff", "\xc0\x80", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xe2\x82"}) {
    CAPTURE(bad);
    REQUIRE(json::unescape(json::quoted(bad)).find("\xEF\xBF\xBD") == 0);
  }
  std::mt19937 random(11);
  for (int round = 0; round < 500; ++round) {
    std::string text;
    for (std::size_t n = random() % 40; n > 0; --n) text += static_cast<char>(random() % 128);
    const std::string value = json::quoted(text);
    REQUIRE(json::unescape(value) == text);
    const std::string object = "{\"k\":" + value + ",\"z\":0}";
    REQUIRE(json::find(object, "k") == value);
    REQUIRE(json::find(object, "z") == "0");
  }
}

TEST_CASE("sdk json: long and nested values are passed over alike at any alignment",
          "[unit][sdk]") {
  for (std::size_t pad = 0; pad < 40; ++pad) {
    const std::string inner = "{\"x\":\"" + std::string(pad, 'a') + R"(\\\"}]{[","y":[[],{}]})";
    const std::string text =
        "{\"" + std::string(pad, 'n') + "0\":" + inner + ",\"last\":[" + inner + "]}";
    REQUIRE(json::find(text, "last") == "[" + inner + "]");
    REQUIRE(json::find_path(text, "last.0.y") == "[[],{}]");
  }
}

TEST_CASE("sdk json: a broken text is told, and never read beyond its end", "[unit][sdk]") {
  const std::string text = R"({"a":[1,{"b":"x\n"}],"c":true,"d":-1.5e3,"e":null})";
  const auto walk = [](std::string_view given) {
    json::Cursor cursor(given);
    std::string_view name;
    if (!cursor.object()) return false;
    while (cursor.member(name)) cursor.skip();
    return cursor.at_end();
  };
  REQUIRE(walk(text));
  for (std::size_t n = 0; n < text.size(); ++n) {
    // A copy of exactly this size, so that the sanitizer sees a read behind it.
    const std::vector<char> cut(text.begin(), text.begin() + static_cast<std::ptrdiff_t>(n));
    REQUIRE_FALSE(walk({cut.data(), cut.size()}));
  }
  for (const char* bad :
       {R"({"a":1,})", R"({,"a":1})", R"({"a":1 "b":2})", R"({"a"})", R"({"a":})", R"({a:1})",
        R"({"a":1}})", R"({"a":nul})", R"({"a":x})", "{\"a\":\"\\\"}"}) {
    CAPTURE(bad);
    REQUIRE_FALSE(walk(bad));
  }
}

TEST_CASE("sdk json: the writer puts commas where they belong", "[unit][sdk]") {
  std::string out;
  json::Writer(out)
      .open_object()
      .key("a")
      .open_array()
      .integer(-1)
      .natural(2)
      .open_object()
      .close_object()
      .null()
      .close_array()
      .key("b")
      .text("x")
      .key("c")
      .raw("[1]")
      .key("d")
      .boolean(false)
      .close_object();
  REQUIRE(out == R"({"a":[-1,2,{},null],"b":"x","c":[1],"d":false})");
}

TEST_CASE("sdk json: numbers are read whole or not at all", "[unit][sdk]") {
  REQUIRE(json::to_integer("-7") == -7);
  for (const char* bad : {"", "1.5", "x", "\"1\"", "99999999999999999999"}) {
    CAPTURE(bad);
    REQUIRE_FALSE(json::to_integer(bad));
  }
}
