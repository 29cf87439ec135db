// What answers are held against where a model was asked for a schema in words.
#include <catch2/catch.hpp>
#include <string>
#include <switchyard/json_schema.hpp>

TEST_CASE("json schema: a value fits, or the first place where it does not is named",
          "[unit][sdk]") {
  struct Case {
    std::string schema, value, fault;
  };
  const std::string place =
      R"({"type":"object","properties":{"city":{"type":"string"},"at":{"$ref":"#/$defs/at"}},)"
      R"("required":["city"],"additionalProperties":false,)"
      R"("$defs":{"at":{"type":["integer","null"],"minimum":0,"maximum":9}}})";
  const Case cases[] = {
      {place, R"( {"city":"Oslo"} )", ""},
      {place, R"({"city":"Oslo","at":null})", ""},
      {place, R"({"city":"Oslo","at":1.0})", ""},
      {place, R"({"city":"Oslo","at":1.5})", "/at: another type"},
      {place, R"({"city":"Oslo","at":-1})", "/at: too small"},
      {place, R"({"city":"Oslo","at":10})", "/at: too large"},
      {place, R"({"city":7})", "/city: another type"},
      {place, R"({"at":1})", "/city: missing"},
      {place, R"({"city":"Oslo","b":1})", "/b: not allowed"},
      {place, "[]", "/: another type"},
      {place, "```json\n{}\n```", "/: not JSON"},
      {place, " \n", "/: empty"},
      {R"({"items":{"enum":["a",1]},"minItems":1,"maxItems":2})", R"(["\u0061",1.0])", ""},
      {R"({"items":{"enum":["a",1]}})", R"(["b"])", "/0: none of the values"},
      {R"({"minItems":1})", "[]", "/: too few"},
      {R"({"maxItems":1})", "[1,2]", "/: too many"},
      {R"({"const":"x"})", R"("y")", "/: another value"},
      {R"({"anyOf":[{"type":"string"},{"type":"number"}]})", "1", ""},
      {R"({"oneOf":[{"type":"string"},{"type":"number"}]})", "true", "/: another type"},
      {R"({"allOf":[{"type":"object"},{"required":["a"]}]})", "{}", "/a: missing"},
      {R"({"additionalProperties":{"type":"string"}})", R"({"a":1})", "/a: another type"},
      {R"({"format":"date","properties":7,"required":{},"enum":{}})", "{}", ""},
      {"true", "1", ""},
      {"false", "1", "/: not allowed"},
      {R"({"$ref":"#/nowhere"})", "1", ""},
      {R"({"$ref":"#"})", "1", "/: the schema is too deep"},
  };
  for (const Case& each : cases) {
    CAPTURE(each.schema, each.value);
    CHECK(swy::schema_fault(each.schema, each.value) == each.fault);
  }
}

TEST_CASE("json schema: one made to take forever is given up", "[unit][sdk]") {
  const std::string both = R"({"anyOf":[{"allOf":[{"$ref":"#"},{"$ref":"#"}]},{"$ref":"#"}]})";
  CHECK_NOTHROW(swy::schema_fault(both, "1"));
  std::string wide = R"({"properties":{)", value = "{";
  for (int i = 0; i < 20'000; ++i) {
    const std::string name = (i > 0 ? ",\"m" : "\"m") + std::to_string(i) + "\":";
    wide += name + "{}";
    value += name + "1";
  }
  CHECK(swy::schema_fault(wide + "}}", value + "}").empty());
}
