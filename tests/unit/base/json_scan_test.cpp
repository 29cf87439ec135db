#include "core/base/json_scan.hpp"

using namespace switchyard;

namespace {

// Why `text` is refused; empty where it passes.
std::string refusal(std::string_view text, unsigned depth_max = 64) {
  JsonIndex index;
  const auto result = index.scan(text, depth_max);
  if (result) return "";
  REQUIRE(result.error().at <= text.size());
  CHECK(index.members().empty());
  const std::string what = result.error().what;
  REQUIRE(!what.empty());
  return what;
}

// The same for a value inside an object.
std::string value_refusal(std::string_view value) {
  return refusal("{\"v\":" + std::string(value) + "}");
}

std::string nested(std::size_t depth) {
  return "{\"a\":" + std::string(depth - 1, '[') + std::string(depth - 1, ']') + "}";
}

}  // namespace

TEST_CASE("base: what is not one JSON object is refused with its place", "[unit][base][json]") {
  for (const char* text : {"",
                           " ",
                           "[]",
                           "1",
                           "\"a\"",
                           "null",
                           "x",
                           "{",
                           "}",
                           "{}}",
                           "{} x",
                           "{}{}",
                           "{},",
                           "{,}",
                           "{\"a\"}",
                           "{\"a\":}",
                           "{\"a\":1,}",
                           "{\"a\":1,,\"b\":2}",
                           "{\"a\" 1}",
                           "{\"a\"::1}",
                           "{a:1}",
                           "{'a':1}",
                           "{1:1}",
                           "{null:1}",
                           "{\"a\":1 \"b\":2}",
                           "{\"a\":1]",
                           "{\"a\":[1}",
                           "{\"a\":[1,]}",
                           "{\"a\":[,1]}",
                           "{\"a\":[1 2]}",
                           "{\"a\":[",
                           "{\"a\":{\"b\":}}",
                           "{\"a\":1",
                           "{\"a\":1,",
                           "{\"a\"",
                           "{\"a",
                           "{\"",
                           "{\"a\":",
                           "\xEF\xBB\xBF{}",
                           "{}\x0c",
                           "{\x0b}",
                           "{\"a\":/**/1}",
                           "{\"a\":1}//",
                           "{\"a\":[}]",
                           "{]",
                           "{\"a\":{1}}",
                           "{\"a\":[\"b\":1]}"}) {
    CAPTURE(text);
    CHECK_FALSE(refusal(text).empty());
  }
  JsonIndex index;
  const auto result = index.scan(R"({"model":"x","n":01})");
  REQUIRE_FALSE(result);
  CHECK(result.error().at == 18);
  CHECK(std::string_view(result.error().what) == "number with a leading zero");
  CHECK(refusal("{\"a\":") == "unexpected end");
}

TEST_CASE("base: every cut of a text is refused", "[unit][base][json]") {
  const std::string text = R"({"a":[1,-2.5e+3,true,false,null,"\ud83d\ude00\n",{}],"b":{"c":"é"}})";
  REQUIRE(refusal(text).empty());
  for (std::size_t cut = 0; cut < text.size(); ++cut) {
    CAPTURE(cut);
    CHECK_FALSE(refusal(text.substr(0, cut)).empty());
  }
}

TEST_CASE("base: values follow RFC 8259 to the letter", "[unit][base][json]") {
  for (const char* value : {"01",
                            "-",
                            "-01",
                            "+1",
                            ".5",
                            "1.",
                            "1.e1",
                            "1e",
                            "1e+",
                            "1E-",
                            "0x1",
                            "1_0",
                            "--1",
                            "1.2.3",
                            "1e1.5",
                            "Infinity",
                            "-Infinity",
                            "NaN",
                            "-NaN",
                            "nul",
                            "nulll",
                            "NULL",
                            "True",
                            "tru",
                            "fals",
                            "undefined",
                            "'a'",
                            "\"a",
                            "\"\\\"",
                            "\"\\x41\"",
                            "\"\\a\"",
                            "\"\\u12\"",
                            "\"\\u123g\"",
                            "\"\\U0041\"",
                            "\"\t\"",
                            "\"\n\"",
                            "\"\x1f\"",
                            "-a",
                            "1a",
                            "1-",
                            "\xc2\xa0"
                            "1",
                            "\"\\",
                            "\"\\u",
                            "[1,2",
                            "0e",
                            "00",
                            "-0.",
                            "1 000"}) {
    CAPTURE(value);
    CHECK_FALSE(value_refusal(value).empty());
  }
  for (const char* value : {"0",
                            "-0",
                            "1",
                            "-1",
                            "10",
                            "0.5",
                            "-0.5",
                            "1e5",
                            "1E+5",
                            "1e-5",
                            "0e0",
                            "1e400",
                            "18446744073709551616",
                            "-1.0e-10000",
                            "123456789012345678901234567890",
                            "true",
                            "false",
                            "null",
                            "\"\"",
                            "\"a\"",
                            "[]",
                            "{}",
                            "[[]]",
                            "[1,2]",
                            "[ 1 , 2 ]",
                            "{\"a\":{}}",
                            "\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"",
                            "\"\\u0000\"",
                            "\"\\u00e9\"",
                            "\"\\ud83d\\ude00\"",
                            "\"\x7f\"",
                            "\"/\"",
                            " 1 ",
                            "\t1\r\n"}) {
    CAPTURE(value);
    CHECK(value_refusal(value) == "");
  }
}

TEST_CASE("base: surrogates come in pairs, in names and values", "[unit][base][json]") {
  for (const char* text :
       {R"("\ud800")", R"("\udc00")", R"("\ud800\ud800")", R"("\ud800x")", R"("\udc00\ud800")",
        R"("\ud800\u0041")", R"("\ud800\n")", R"("\uD83D\\u")", R"("\ud83d\udeg0")"}) {
    CAPTURE(text);
    CHECK(value_refusal(text) == "lone surrogate");
    CHECK(refusal("{" + std::string(text) + ":1}") == "lone surrogate");
  }
}

TEST_CASE("base: text that is not UTF-8 is refused", "[unit][base][json]") {
  for (const char* bytes : {"\x80",
                            "\xbf",
                            "\xc0\x80",
                            "\xc1\xbf",
                            "\xc2",
                            "\xc2\x41",
                            "\xe0\x80\x80",
                            "\xe0\x9f\xbf",
                            "\xe2\x82",
                            "\xe2\x82\x41",
                            "\xed\xa0\x80",
                            "\xed\xbf\xbf",
                            "\xf0\x80\x80\x80",
                            "\xf0\x8f\xbf\xbf",
                            "\xf0\x9f\x98",
                            "\xf4\x90\x80\x80",
                            "\xf5\x80\x80\x80",
                            "\xfe",
                            "\xff",
                            "\xc3\xa4\xff"}) {
    // At each offset of a block, so that every path of the scan meets it.
    for (std::size_t before = 0; before < 34; ++before) {
      const std::string text = '"' + std::string(before, 'a') + bytes + "\"";
      CAPTURE(before, bytes);
      CHECK(value_refusal(text) == "invalid UTF-8");
    }
  }
  for (const char* bytes :
       {"\xc2\x80", "\xdf\xbf", "\xe0\xa0\x80", "\xed\x9f\xbf", "\xee\x80\x80", "\xef\xbf\xbf",
        "\xf0\x90\x80\x80", "\xf4\x8f\xbf\xbf", "\xe4\xbd\xa0\xe5\xa5\xbd"})
    CHECK(value_refusal('"' + std::string(bytes) + "\"") == "");
}

TEST_CASE("base: depth is limited without recursion", "[unit][base][json]") {
  CHECK(refusal(nested(64)) == "");
  CHECK(refusal(nested(65)) == "nested too deeply");
  CHECK(refusal(nested(3), 2) == "nested too deeply");
  CHECK(refusal("{}", 1) == "");
  CHECK(refusal(nested(1'000'000), 1'000'000) == "nested too deeply");
  CHECK(refusal(nested(1000), 1'000'000) == "");
  std::string mixed = "1";
  for (int i = 0; i < 30; ++i) mixed = "{\"a\":[" + mixed + "]}";
  CHECK(refusal(mixed) == "");
}

TEST_CASE("base: members are indexed by their unescaped names", "[unit][base][json]") {
  const std::string text =
      " {\"model\" : \"gpt\\n\" , \"n\":-1.5e3,\"\\u006fk\":true,\"no\":false,\"z\":null, "
      "\"arr\":[1,{\"model\":2}],"
      "\"o\":{\"p\":[]} ,\"\":\"\"} ";
  JsonIndex index;
  REQUIRE(index.scan(text));
  struct Row {
    const char *name, *value;
    char type;
  };
  const Row rows[] = {{"model", "\"gpt\\n\"", 's'}, {"n", "-1.5e3", 'n'},
                      {"ok", "true", 't'},          {"no", "false", 'f'},
                      {"z", "null", '0'},           {"arr", "[1,{\"model\":2}]", 'a'},
                      {"o", "{\"p\":[]}", 'o'},     {"", "\"\"", 's'}};
  REQUIRE(index.members().size() == std::size(rows));
  for (std::size_t i = 0; i < std::size(rows); ++i) {
    const swy_member& member = index.members()[i];
    CHECK(view(member.name) == rows[i].name);
    CHECK(index.value(member) == rows[i].value);
    CHECK(member.type == static_cast<std::uint32_t>(rows[i].type));
    CHECK(text[member.at] == '"');
    CHECK(index.find(rows[i].name) == &member);
  }
  CHECK(index.find("Model") == nullptr);
  CHECK(json_unescape(index.value(index.members()[0])) == "gpt\n");

  REQUIRE(index.scan("{}"));
  CHECK(index.members().empty());
}

TEST_CASE("base: unescaped names survive many others and a move", "[unit][base][json]") {
  std::string text = "{";
  for (int i = 0; i < 500; ++i) text += "\"\\u006e" + std::to_string(i) + "\":1,";
  text += "\"end\":1}";
  JsonIndex index;
  REQUIRE(index.scan(text));
  const JsonIndex moved = std::move(index);
  for (int i = 0; i < 500; ++i) CHECK(moved.find("n" + std::to_string(i)) != nullptr);
}

TEST_CASE("base: an object of very many members is refused", "[unit][base][json]") {
  const auto object = [](std::size_t members) {
    std::string text = "{";
    for (std::size_t i = 0; i < members; ++i) text += "\"\":0,";
    text.back() = '}';
    return text;
  };
  CHECK(refusal(object(JsonIndex::kMembersMax)) == "");
  CHECK(refusal(object(JsonIndex::kMembersMax + 1)) == "too many members");
  CHECK(refusal("{\"a\":" + object(JsonIndex::kMembersMax + 1) + "}") == "");
}

TEST_CASE("base: guarded members may occur once, however they are written", "[unit][base][json]") {
  static constexpr std::string_view kGuarded[] = {"model", "max_tokens"};
  const auto duplicate = [](std::string_view text) {
    JsonIndex index;
    REQUIRE(index.scan(text));
    return std::string(index.duplicate(kGuarded));
  };
  CHECK(duplicate(R"({"model":1,"model":2})") == "model");
  CHECK(duplicate(R"({"model":1,"Model":2})") == "Model");
  CHECK(duplicate(R"({"MODEL":1,"x":0,"Model":2})") == "Model");
  CHECK(duplicate(R"({"model":1,"\u006dodel":2})") == "model");
  CHECK(duplicate(R"({"model":1,"\u004dODEL":2})") == "MODEL");
  CHECK(duplicate(R"({"a":1,"max_tokens":1,"b":2,"max_tokens":1})") == "max_tokens");
  CHECK(duplicate(R"({"model":1,"a":1,"a":2,"A":3})").empty());
  CHECK(duplicate(R"({"model":1,"metadata":{"model":2,"model":3}})").empty());
  CHECK(duplicate(R"({"Model":1})").empty());
  CHECK(duplicate("{}").empty());
}

TEST_CASE("base: JSON strings are unescaped", "[unit][base][json]") {
  CHECK(json_unescape(R"("")").empty());
  CHECK(json_unescape(R"("plain")") == "plain");
  CHECK(json_unescape(R"("\"\\\/\b\f\n\r\t")") == "\"\\/\b\f\n\r\t");
  CHECK(json_unescape(R"("a\u0041\u00e9\u4f60\ud83d\ude00z")") ==
        "aA\xc3\xa9\xe4\xbd\xa0\xf0\x9f\x98\x80z");
  CHECK(json_unescape(R"("\u0000")") == std::string(1, '\0'));
  CHECK(json_unescape("\"\xc3\xa4\"") == "\xc3\xa4");
}

TEST_CASE("base: any text becomes a valid JSON string", "[unit][base][json]") {
  const auto quoted = [](std::string_view text) {
    std::string out = "x";
    append_json_string(out, text);
    CHECK(value_refusal(std::string_view(out).substr(1)) == "");
    return out.substr(1);
  };
  CHECK(quoted("") == "\"\"");
  CHECK(quoted("a\"b\\c/\n\r\t") == "\"a\\\"b\\\\c/\\n\\r\\t\"");
  CHECK(quoted(std::string_view("\0\x1f\x7f", 3)) == "\"\\u0000\\u001f\x7f\"");
  CHECK(quoted("\xc3\xa4\xf0\x9f\x98\x80") == "\"\xc3\xa4\xf0\x9f\x98\x80\"");
  CHECK(quoted("a\xff"
               "b") ==
        "\"a\xEF\xBF\xBD"
        "b\"");
  CHECK(quoted("\xed\xa0\x80") == "\"\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\"");
  CHECK(quoted("\xe2\x82") == "\"\xEF\xBF\xBD\xEF\xBF\xBD\"");

  std::string all;
  for (int i = 0; i < 128; ++i) all.push_back(static_cast<char>(i));
  CHECK(json_unescape(quoted(all)) == all);
}
