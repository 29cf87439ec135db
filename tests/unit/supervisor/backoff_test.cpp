#include "core/supervisor/backoff.hpp"

using std::chrono::milliseconds;
using switchyard::supervisor::Backoff;

TEST_CASE(
    "supervisor: a worker that dies young is restarted at once, then ever later, at most a second",
    "[unit][supervisor]") {
  Backoff backoff;
  std::vector<milliseconds::rep> delays;
  for (int i = 0; i < 7; ++i) delays.push_back(backoff.next(milliseconds(10)).count());
  REQUIRE(delays == std::vector<milliseconds::rep>{0, 100, 200, 400, 800, 1000, 1000});
}

TEST_CASE("supervisor: a worker that lived a second is restarted at once", "[unit][supervisor]") {
  Backoff backoff;
  for (int i = 0; i < 5; ++i) backoff.next(milliseconds(10));
  REQUIRE(backoff.next(milliseconds(1000)).count() == 0);
  REQUIRE(backoff.next(milliseconds(999)).count() == 100);
}
