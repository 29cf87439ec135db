#include "core/exchange/loss.hpp"

using switchyard::exchange::append_dropped;

TEST_CASE("exchange: a report of losses that is no array of strings is refused",
          "[unit][exchange]") {
  for (const char* report : {"", "x", "{}", "[1]", R"(["/a",])", R"(["/a"] 1)", R"(["/a")"}) {
    CAPTURE(report);
    std::string list;
    CHECK_FALSE(append_dropped(list, report));
  }
}

TEST_CASE("exchange: losses add up to one line that a header can hold", "[unit][exchange]") {
  std::string list;
  CHECK(append_dropped(list, "[]"));
  CHECK(list.empty());
  CHECK(append_dropped(list, R"(["/seed", "/a b,c%\r\n\u00e9"])"));
  CHECK(append_dropped(list, R"(["/messages/0/name"])"));
  CHECK(list == "/seed, /a%20b%2Cc%25%0D%0A%C3%A9, /messages/0/name");

  std::string report = "[\"/0\"";
  for (int i = 1; i < 1000; ++i) report += ",\"/" + std::to_string(i) + "\"";
  std::string long_list;
  CHECK(append_dropped(long_list, report + "]"));
  CHECK(long_list.size() <= 1024);
  CHECK(long_list.ends_with(", ..."));
}
