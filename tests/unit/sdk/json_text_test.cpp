#include <switchyard/chat_request.hpp>
#include <switchyard/json.hpp>

namespace json = swy::json;

TEST_CASE("sdk: a JSON text is valid to the letter or not at all", "[unit][sdk]") {
  for (const char* text : {"",
                           " ",
                           "x",
                           "{",
                           "}",
                           "[}",
                           "{]",
                           "[1,]",
                           "{\"a\":1,}",
                           "{\"a\"}",
                           "{a:1}",
                           "{1:1}",
                           "01",
                           "1.",
                           ".5",
                           "-",
                           "+1",
                           "1e",
                           "1e+",
                           "tru",
                           "nul",
                           "NaN",
                           "\"",
                           "\"\\x\"",
                           "\"\\u12g4\"",
                           "\"a\nb\"",
                           "\"\xff\"",
                           "\"\xc0\x80\"",
                           "\"\xed\xa0\x80\"",
                           "1 2",
                           "[1 2]",
                           "[1],",
                           "'a'"}) {
    CAPTURE(text);
    CHECK_FALSE(json::valid(text));
  }
  for (const char* text : {"0", "-0.5e+3", "1E9", "true", "false", " null ", "\"\"", "[]", "{}",
                           "\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u00e9\"", "\"é\"",
                           "[1, [2, {\"a\": {\"b\": []}}]]", "{\"\":0}", "\"\\ud800\""}) {
    CAPTURE(text);
    CHECK(json::valid(text));
  }
  CHECK(json::valid("[[[]]]", 3));
  CHECK_FALSE(json::valid("[[[]]]", 2));
  CHECK_FALSE(json::valid(std::string(100'000, '[')));
}

TEST_CASE("sdk: what stood in a string goes over as it is, or mended", "[unit][sdk]") {
  const auto over = [](std::string_view inside) {
    std::string out;
    json::append_inside(out, inside);
    return out;
  };
  CHECK(over("a\\n\\u00e9 é \\\"") == "a\\n\\u00e9 é \\\"");
  CHECK(over("a\x01") == "a\\u0001");
  CHECK(over("\\q") == "\xEF\xBF\xBD");
  CHECK(over("\xff") == "\xEF\xBF\xBD");
  CHECK(over("a\"b") == "a\\\"b");
}

TEST_CASE("sdk: characters of a string are counted through its escapes", "[unit][sdk]") {
  CHECK(json::count_characters("") == 0);
  CHECK(json::count_characters("aé🙂") == 3);
  CHECK(json::count_characters("\\n\\u00e9\\ud83d\\ude42\\\\") == 4);
  CHECK(json::count_characters("\\ud83dx") == 2);
  CHECK(json::first_characters("aé🙂b", 3) == "aé🙂");
  CHECK(json::first_characters("\\ud83d\\ude42b", 1) == "\\ud83d\\ude42");
  CHECK(json::first_characters("ab", 9) == "ab");
  CHECK(json::is_blank(" \\n\\t\n"));
  CHECK_FALSE(json::is_blank(" \\u0020"));
  CHECK_FALSE(json::is_blank("\\\\"));
}

TEST_CASE("sdk: losses are JSON pointers, and not without end", "[unit][sdk]") {
  swy::Losses losses;
  CHECK(losses.empty());
  const swy::Place list{nullptr, "a/b~c"};
  losses.add(swy::Place{&list, {}, 3}, "é\"");
  losses.add(swy::Place{}, "seed");
  losses.add_unless_null(swy::Place{}, "gone", "null");
  CHECK(losses.array() == R"(["/a~1b~0c/3/é\"","/seed"])");
  for (int i = 0; i < 1000; ++i) losses.add("x");
  const std::string array = losses.array();
  CHECK(json::valid(array));
  CHECK(array.size() < 1000);
  CHECK(array.ends_with(R"(,"..."])"));
}

TEST_CASE("sdk: data URLs are read tolerantly", "[unit][sdk]") {
  swy::DataUrl url;
  CHECK_FALSE(swy::parse_data_url("https://x", url));
  CHECK_FALSE(swy::parse_data_url("data:image/png;base64", url));
  REQUIRE(swy::parse_data_url("data:image/png;charset=utf-8;base64,AA,A", url));
  CHECK(url.mime == "image/png");
  CHECK(url.data == "AA,A");
  CHECK(url.base64);
  REQUIRE(swy::parse_data_url("data:,hi", url));
  CHECK(url.mime.empty());
  CHECK_FALSE(url.base64);
  std::string bytes;
  CHECK(swy::decode_base64("aGkh", bytes));
  CHECK(bytes == "hi!");
  CHECK(swy::decode_base64("aGk=", bytes));
  CHECK(bytes == "hi");
  CHECK_FALSE(swy::decode_base64("a*", bytes));
}
