#include "core/config/schema.hpp"

#include "loaded.hpp"

using namespace switchyard;
using config::Schema;

namespace {

std::string joined(const config::Faults& faults) {
  std::string text;
  for (const config::Fault& fault : faults) {
    text += (text.empty() ? "" : "\n") + fault.pointer + ": " + fault.message;
  }
  return text;
}

std::string lint(std::string_view schema) {
  auto document = config::parse_text(schema);
  REQUIRE(document);
  const auto made = Schema::make(std::move(document).value());
  return made ? "" : joined(made.error());
}

std::string check(std::string_view schema, std::string_view value) {
  auto document = config::parse_text(schema);
  auto checked = config::parse_text(value);
  REQUIRE(document);
  REQUIRE(checked);
  const auto made = Schema::make(std::move(document).value());
  if (!made) FAIL(joined(made.error()));
  config::Faults faults;
  made->check(
      *checked,
      [](const std::string&, std::string_view text) { return '"' + std::string(text) + '"'; },
      faults);
  return joined(faults);
}

// What RapidJSON's own validator says.
bool rapidjson_accepts(std::string_view schema, std::string_view value) {
  const auto document = config::parse_text(schema);
  const auto checked = config::parse_text(value);
  const rapidjson::SchemaDocument compiled(*document);
  rapidjson::SchemaValidator validator(compiled);
  return checked->Accept(validator);
}

}  // namespace

TEST_CASE("schema: keywords that would be ignored are refused", "[unit][config]") {
  for (const char* keyword :
       {"const", "$defs", "if", "then", "contains", "propertyNames", "format", "dependencies",
        "multipleOf", "additionalItems", "patternProperties", "examples", "$id", "x-own"}) {
    CAPTURE(keyword);
    CHECK(lint("{\"properties\":{\"a\":{\"" + std::string(keyword) + "\":{}}}}") ==
          "/properties/a/" + std::string(keyword) + ": the keyword \"" + keyword +
              "\" is not in the supported subset of draft 04");
  }
}

TEST_CASE("schema: a keyword of another form is refused", "[unit][config]") {
  const std::string wrong = ": has not the form that draft 04 gives it";
  CHECK(lint(R"({"minimum":1,"exclusiveMinimum":0})") == "/exclusiveMinimum" + wrong);
  CHECK(lint(R"({"required":true})") == "/required" + wrong);
  CHECK(lint(R"({"required":[]})") == "/required" + wrong);
  CHECK(lint(R"({"enum":[]})") == "/enum" + wrong);
  CHECK(lint(R"({"type":"text"})") == "/type" + wrong);
  CHECK(lint(R"({"type":["string","file"]})") == "/type" + wrong);
  CHECK(lint(R"({"minLength":-1})") == "/minLength" + wrong);
  CHECK(lint(R"({"pattern":"(["})") == "/pattern" + wrong);
  CHECK(lint(R"({"anyOf":{}})") == "/anyOf" + wrong);
  CHECK(lint(R"({"items":[{}]})") == "/items: a schema has to be an object");
  CHECK(lint(R"({"properties":{"a":true}})") == "/properties/a: a schema has to be an object");
  CHECK(lint(R"({"items":{"$ref":"#/definitions/none"}})") == "/items/$ref" + wrong);
  CHECK(lint(R"({"items":{"$ref":"other.json"}})") == "/items/$ref" + wrong);
  CHECK(
      lint(R"({"definitions":{"a":{"$ref":"#/definitions/a"}},"items":{"$ref":"#/definitions/a"}})")
          .find("/definitions/a/$ref" + wrong) == 0);
  CHECK(lint(R"({"definitions":{"a":{}},"items":{"$ref":"#/definitions/a","type":"string"}})") ==
        "/items: members beside \"$ref\" are ignored in draft 04");
}

TEST_CASE("schema: each keyword finds its fault, and RapidJSON agrees", "[unit][config]") {
  struct Case {
    const char* schema;
    const char* value;
    const char* fault;
  };
  const Case cases[] = {
      {R"({"type":"string"})", "1", ": found an integer, expected a string"},
      {R"({"type":["string","null"]})", "[]", ": found an array, expected a string or null"},
      {R"({"type":"integer"})", "1.5", ": found a number, expected an integer"},
      {R"({"type":"number"})", "1", ""},
      {R"({"enum":[1,"a"]})", "\"b\"", ": found \"b\", expected one of 1, \"a\""},
      {R"({"enum":[1,"a"]})", "\"a\"", ""},
      {R"({"minLength":1})", "\"\"", ": is empty"},
      {R"({"minLength":3})", "\"ab\"", ": has 2 characters, expected at least 3"},
      {R"({"maxLength":2})", "\"\u00e4\u00f6\"", ""},
      {R"({"maxLength":1})", "\"ab\"", ": has 2 characters, expected at most 1"},
      {R"({"pattern":"^a+$"})", "\"ab\"", ": found \"ab\", expected a text that matches \"^a+$\""},
      {R"({"pattern":"^a+$"})", "1", ""},
      {R"({"minimum":2})", "1", ": found 1, expected at least 2"},
      {R"({"minimum":2,"exclusiveMinimum":true})", "2", ": found 2, expected more than 2"},
      {R"({"maximum":2})", "3", ": found 3, expected at most 2"},
      {R"({"maximum":2,"exclusiveMaximum":true})", "2", ": found 2, expected less than 2"},
      {R"({"minItems":1})", "[]", ": is empty"},
      {R"({"maxItems":1})", "[1,2]", ": has 2 elements, expected at most 1"},
      {R"({"uniqueItems":true})", "[1,2,1]", "/2: the same as element 0"},
      {R"({"items":{"type":"string"}})", "[\"a\",1]", "/1: found an integer, expected a string"},
      {R"({"minProperties":1})", "{}", ": is empty"},
      {R"({"maxProperties":1})", R"({"a":1,"b":2})", ": has more than 1 members"},
      {R"({"required":["a","b"]})", "{\"a\":1}", ": \"b\" is missing"},
      {R"({"properties":{"abc":{}},"additionalProperties":false})", "{\"abd\":1}",
       "/abd: unknown key; did you mean \"abc\"?"},
      {R"({"additionalProperties":{"type":"string"}})", "{\"a/b\":1}",
       "/a~1b: found an integer, expected a string"},
      {R"({"allOf":[{"minimum":1},{"maximum":3}]})", "4", ": found 4, expected at most 3"},
      {R"({"anyOf":[{"type":"string","minLength":2},{"type":"object"}]})", "\"a\"",
       ": has 1 characters, expected at least 2"},
      {R"({"anyOf":[{"type":"string"},{"type":"object"}]})", "1",
       ": found an integer, expected a string or an object"},
      {R"({"anyOf":[{"enum":[1]},{"enum":[2]}]})", "3", ": fits none of the forms allowed here"},
      {R"({"oneOf":[{"minimum":1},{"maximum":3}]})", "2",
       ": fits more than one of the forms allowed here"},
      {R"({"not":{"type":"string","title":"no texts here"}})", "\"a\"", ": no texts here"},
      {R"({"definitions":{"s":{"type":"string"}},"properties":{"a":{"$ref":"#/definitions/s"}}})",
       "{\"a\":1}", "/a: found an integer, expected a string"},
  };
  for (const Case& each : cases) {
    CAPTURE(each.schema, each.value);
    CHECK(check(each.schema, each.value) == each.fault);
    CHECK(rapidjson_accepts(each.schema, each.value) == (*each.fault == '\0'));
  }
}

TEST_CASE("schema: the shipped one passes the lint and describes every key", "[unit][config]") {
  const auto file = std::filesystem::path(SWITCHYARD_SOURCE_DIR) / "config/switchyard.schema.json";
  const auto schema = Schema::read(file);
  if (!schema) FAIL(joined(schema.error()));

  const auto text = config::read_file(file);
  const auto document = config::parse_text(*text);
  std::vector<std::pair<std::string, const config::Json*>> pending{{"", &*document}};
  std::size_t keys = 0;
  while (!pending.empty()) {
    const auto [pointer, value] = pending.back();
    pending.pop_back();
    const bool of_properties = pointer.ends_with("/properties");
    if (value->IsArray()) {
      for (rapidjson::SizeType i = 0; i < value->Size(); ++i) {
        pending.emplace_back(config::child(pointer, i), &(*value)[i]);
      }
    }
    if (!value->IsObject()) continue;
    for (const auto& entry : value->GetObject()) {
      const std::string at = config::child(pointer, config::text_of(entry.name));
      pending.emplace_back(at, &entry.value);
      if (!of_properties) continue;
      ++keys;
      CAPTURE(at);
      const config::Json* reference = config::member(entry.value, "$ref");
      const config::Json* described = &entry.value;
      if (reference != nullptr) {
        const std::string name = std::string(config::text_of(*reference)).substr(14);
        described = config::member(*config::member(*document, "definitions"), name);
      }
      CHECK(config::member(*described, "description") != nullptr);
    }
  }
  CHECK(keys > 40);
}
