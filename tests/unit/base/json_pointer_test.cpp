#include "core/base/json_pointer.hpp"

#include <catch2/catch.hpp>

using switchyard::json_at;

TEST_CASE("base: a JSON pointer finds a value or nothing", "[unit][json]") {
  const char* const text = R"({"a":{"b/c":[1,{"d~":"x"}],"":2},"n":null})";
  CHECK(json_at(text, "") == text);
  CHECK(json_at(text, "/a/b~1c/1/d~0") == R"("x")");
  CHECK(json_at(text, "/a/b~1c/0") == "1");
  CHECK(json_at(text, "/a/") == "2");
  CHECK(json_at(text, "/n") == "null");
  for (const char* none :
       {"a", "/b", "/a/b~1c/2", "/a/b~1c/x", "/a/b~1c/-", "/n/a", "/a/b~1c/0/1"}) {
    CAPTURE(none);
    CHECK(json_at(text, none).empty());
  }
  CHECK(json_at("[1]", "/0").empty());
  CHECK(json_at(R"({"a":1)", "/a").empty());
}
