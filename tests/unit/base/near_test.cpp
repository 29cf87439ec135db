#include "core/base/near.hpp"

using switchyard::did_you_mean;
using switchyard::near_names;
using Names = std::vector<std::string>;

TEST_CASE("base: near names come nearest first", "[unit][base]") {
  const Names known{"listen", "limits", "loggers", "log", "providers"};
  CHECK(near_names("lisen", known) == Names{"listen"});
  CHECK(near_names("LISTEN", known) == Names{"listen"});
  CHECK(near_names("ilsten", known) == Names{"listen"});
  CHECK(near_names("logger", known) == Names{"loggers", "log"});
  CHECK(near_names("provider", known) == Names{"providers"});
  CHECK(near_names("oviders", known) == Names{"providers"});
  CHECK(near_names("zebra", known).empty());
}

TEST_CASE("base: short names do not resemble everything", "[unit][base]") {
  CHECK(near_names("ab", Names{"xy", "c", "abcdefgh"}).empty());
  CHECK(near_names("", Names{"a", "b"}).empty());
  CHECK(near_names("a", Names{"", "b"}).empty());
}

TEST_CASE("base: of equally near names the first in order comes first, and no more than asked for",
          "[unit][base]") {
  const Names known{"name-d", "name-b", "name-c", "name-a"};
  CHECK(near_names("name-x", known) == Names{"name-a", "name-b", "name-c"});
  CHECK(near_names("name-x", known, 1) == Names{"name-a"});
  CHECK(near_names("name-x", known, 0).empty());
  CHECK(near_names(std::string(129, 'a'), Names{std::string(129, 'a')}).empty());
  CHECK(near_names(std::string(128, 'a'), Names{std::string(128, 'a')}).size() == 1);
}

TEST_CASE("base: suggestions read as a question", "[unit][base]") {
  CHECK(did_you_mean("x", Names{"listen"}).empty());
  CHECK(did_you_mean("lisen", Names{"listen"}) == "; did you mean \"listen\"?");
  CHECK(did_you_mean("name-x", Names{"name-a", "name-b", "name-c"}) ==
        "; did you mean \"name-a\", \"name-b\" or \"name-c\"?");
}
