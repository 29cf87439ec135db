#include <map>
#include <string>
#include <switchyard/fault.hpp>
#include <vector>

namespace {

// What providers that have no rules of their own read of an answer's headers.
std::uint32_t wait_ms(const std::map<std::string, std::string>& headers) {
  std::vector<swy_kv> kvs;
  for (const auto& [name, value] : headers) kvs.push_back({swy::str(name), swy::str(value)});
  swy_ev event{};
  event.size = sizeof event;
  event.hdr = kvs.data();
  event.nhdr = kvs.size();
  return swy::retry_after_ms(swy::Event(&event));
}

constexpr char kNow[] = "Sun, 06 Nov 1994 08:49:37 GMT";

}  // namespace

TEST_CASE("sdk: a wait is read in seconds, parts of them, and milliseconds", "[unit][sdk]") {
  CHECK(wait_ms({}) == 0);
  CHECK(wait_ms({{"retry-after", "2"}}) == 2'000);
  CHECK(wait_ms({{"retry-after", "1.5"}}) == 1'500);
  CHECK(wait_ms({{"retry-after", "0"}}) == 0);
  CHECK(wait_ms({{"retry-after", "20"}, {"retry-after-ms", "1500"}}) == 1'500);
  // One that says nothing leaves it to the other.
  for (const char* const nothing : {"0", "-1", "soon", ""}) {
    CAPTURE(nothing);
    CHECK(wait_ms({{"retry-after", "20"}, {"retry-after-ms", nothing}}) == 20'000);
  }
  for (const char* const wrong : {"-4", "1e3", "soon", "2 s", " 2", ".5"}) {
    CAPTURE(wrong);
    CHECK(wait_ms({{"retry-after", wrong}}) == 0);
  }
}

TEST_CASE("sdk: no wait is longer than an hour", "[unit][sdk]") {
  constexpr std::uint32_t kHourMs = 3'600'000;
  CHECK(wait_ms({{"retry-after-ms", "99999999999"}}) == kHourMs);
  CHECK(wait_ms({{"retry-after", "3601"}}) == kHourMs);
  CHECK(wait_ms({{"retry-after", std::string(400, '9')}}) == kHourMs);
  CHECK(wait_ms({{"date", kNow}, {"retry-after", "Mon, 07 Nov 1994 08:49:37 GMT"}}) == kHourMs);
}

TEST_CASE("sdk: a date is read in each of HTTP's forms, against the upstream's clock",
          "[unit][sdk]") {
  for (const char* const then : {"Sun, 06 Nov 1994 08:50:07 GMT", "Sunday, 06-Nov-94 08:50:07 GMT",
                                 "Sun Nov  6 08:50:07 1994"}) {
    CAPTURE(then);
    CHECK(wait_ms({{"date", kNow}, {"retry-after", then}}) == 30'000);
    CHECK(wait_ms({{"date", then}, {"retry-after", kNow}}) == 0);  // it is over
    CHECK(wait_ms({{"retry-after", then}}) == 0);                  // by which clock?
  }
  CHECK(wait_ms({{"date", "Wed Nov 16 08:49:37 1994"},
                 {"retry-after", "Wed, 16 Nov 1994 08:49:38 GMT"}}) == 1'000);
  // Years of two digits are of the century in which HTTP was.
  CHECK(wait_ms({{"date", "Sunday, 22-Nov-26 08:49:37 GMT"},
                 {"retry-after", "Sun, 22 Nov 2026 08:49:38 GMT"}}) == 1'000);
  CHECK(swy::http_date("Sunday, 06-Nov-69 08:49:37 GMT") >
        swy::http_date("Sunday, 06-Nov-70 08:49:37 GMT"));
}
