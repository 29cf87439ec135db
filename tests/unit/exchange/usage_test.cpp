#include "core/exchange/usage.hpp"

#include "core/exchange/failure.hpp"

namespace switchyard::exchange {

TEST_CASE("exchange: usage is read with its details, and nonsense leaves it as it was") {
  observe::Usage usage;
  REQUIRE(read_usage(
      R"({"prompt_tokens":12,"completion_tokens":7,"total_tokens":19,"prompt_tokens_details":{"cached_tokens":5},"completion_tokens_details":{"reasoning_tokens":3}})",
      usage));
  REQUIRE(usage.reported);
  REQUIRE(usage.tok_in == 12);
  REQUIRE(usage.tok_out == 7);
  REQUIRE(usage.tok_cached == 5);
  REQUIRE(usage.tok_reasoning == 3);

  for (const char* bad : {"", "null", "[]", "{", "{}", R"({"prompt_tokens":null})"}) {
    CAPTURE(bad);
    observe::Usage untouched;
    REQUIRE_FALSE(read_usage(bad, untouched));
    REQUIRE_FALSE(untouched.reported);
    REQUIRE_FALSE(untouched.clamped);
    REQUIRE(untouched.tok_in == 0);
    REQUIRE(untouched.tok_out == 0);
  }
}

TEST_CASE("exchange: a count that is none becomes an estimate, and is marked") {
  for (const char* bad : {"-1", "1.5", "\"12\"", "1e400", "18446744073709551616", "true", "[]",
                          "9007199254740993", "20000000"}) {
    CAPTURE(bad);
    observe::Usage usage;
    const std::string report =
        R"({"prompt_tokens":)" + std::string(bad) + R"(,"completion_tokens":5})";
    REQUIRE(read_usage(report, usage));
    clamp_usage(usage, 400, 30);
    CHECK(usage.clamped);
    CHECK_FALSE(usage.reported);
    CHECK(usage.tok_in == 100);
    CHECK(usage.tok_out == 5);
    CHECK(usage.told_in > 16'000'000);
    CHECK(quantities_of(usage)[static_cast<std::size_t>(catalog::Meter::kInput)] == 100);
  }
  observe::Usage out;
  REQUIRE(read_usage(R"({"prompt_tokens":3,"completion_tokens":4000041})", out));
  clamp_usage(out, 400, 40);
  CHECK(out.tok_out == 10);
  CHECK(out.told_out == 4'000'041);
  // What a model may think without showing it is believed.
  observe::Usage thinking;
  REQUIRE(read_usage(R"({"prompt_tokens":3,"completion_tokens":4000040})", thinking));
  clamp_usage(thinking, 400, 40);
  CHECK(thinking.tok_out == 4'000'040);
  CHECK_FALSE(thinking.clamped);
  CHECK(thinking.told.empty());
}

namespace {

std::uint64_t metered(const observe::Usage& usage, catalog::Meter meter) {
  return catalog::at(quantities_of(usage), meter);
}

std::uint64_t read_tokens(const observe::Usage& usage) {
  using catalog::Meter;
  std::uint64_t sum = 0;
  for (const Meter meter :
       {Meter::kInput, Meter::kCachedInput, Meter::kCacheWrite5m, Meter::kCacheWrite1h,
        Meter::kAudioIn, Meter::kCachedAudioIn, Meter::kImageIn}) {
    sum += metered(usage, meter);
  }
  return sum;
}

}  // namespace

TEST_CASE("exchange: usage is split by meter without counting a token twice") {
  using catalog::Meter;
  observe::Usage usage;
  const std::string report =
      R"({"prompt_tokens":1000,"completion_tokens":300,"prompt_tokens_details":{"cached_tokens":400,
          "cache_write_tokens":200,"cache_write_1h_tokens":50,"audio_tokens":100,
          "cached_audio_tokens":30,"image_tokens":90},"completion_tokens_details":{
          "reasoning_tokens":120,"audio_tokens":80,"image_tokens":70},"images":2,"seconds":7.01,"characters":9,
          "searches":3,"service_tier":"flex"})";
  REQUIRE(read_usage(report, usage));
  CHECK_FALSE(usage.clamped);
  CHECK(usage.service_tier == "flex");
  // 1000 - 400 - 200 = 400 are new: 70 of sound, 90 of pictures, 240 of text.
  CHECK(metered(usage, Meter::kInput) == 240);
  CHECK(metered(usage, Meter::kAudioIn) == 70);
  CHECK(metered(usage, Meter::kImageIn) == 90);
  CHECK(metered(usage, Meter::kCachedInput) == 370);
  CHECK(metered(usage, Meter::kCachedAudioIn) == 30);
  CHECK(metered(usage, Meter::kCacheWrite5m) == 150);
  CHECK(metered(usage, Meter::kCacheWrite1h) == 50);
  CHECK(read_tokens(usage) == 1000);
  CHECK(metered(usage, Meter::kOutput) == 30);
  CHECK(metered(usage, Meter::kReasoning) == 120);
  CHECK(metered(usage, Meter::kAudioOut) == 80);
  CHECK(metered(usage, Meter::kImageOut) == 70);
  CHECK(metered(usage, Meter::kImage) == 2);
  CHECK(metered(usage, Meter::kSecond) == 8);
  CHECK(metered(usage, Meter::kCharacter) == 9);
  CHECK(metered(usage, Meter::kSearch) == 3);
  CHECK(metered(usage, Meter::kCall) == 1);

  // Nobody said how much of the sound came from the cache: at least 20 must have.
  observe::Usage sound;
  REQUIRE(read_usage(
      R"({"prompt_tokens":100,"prompt_tokens_details":{"cached_tokens":60,"audio_tokens":60}})",
      sound));
  CHECK(metered(sound, Meter::kAudioIn) == 40);
  CHECK(metered(sound, Meter::kCachedAudioIn) == 20);
  CHECK(metered(sound, Meter::kCachedInput) == 40);
  CHECK(read_tokens(sound) == 100);
}

TEST_CASE("exchange: a part that is more than its whole is cut, marked and kept as it came") {
  for (
      const char* report :
      {R"({"prompt_tokens":10,"completion_tokens":4,"prompt_tokens_details":{"cached_tokens":11}})",
       R"({"prompt_tokens":10,"completion_tokens":4,"prompt_tokens_details":{"cached_tokens":8,"cache_write_tokens":3}})",
       R"({"prompt_tokens":10,"completion_tokens":4,"prompt_tokens_details":{"cache_write_1h_tokens":1}})",
       R"({"prompt_tokens":10,"completion_tokens":4,"prompt_tokens_details":{"audio_tokens":11}})",
       R"({"prompt_tokens":10,"completion_tokens":4,"prompt_tokens_details":{"image_tokens":-1}})",
       R"({"prompt_tokens":10,"completion_tokens":4,"completion_tokens_details":{"reasoning_tokens":5}})",
       R"({"prompt_tokens":10,"completion_tokens":4,"completion_tokens_details":{"reasoning_tokens":3,"audio_tokens":2}})",
       R"({"prompt_tokens":10,"completion_tokens":4,"completion_tokens_details":{"reasoning_tokens":1,"audio_tokens":1,"image_tokens":3}})"}) {
    CAPTURE(report);
    observe::Usage usage;
    REQUIRE(read_usage(report, usage));
    CHECK(usage.clamped);
    CHECK(usage.reported);
    CHECK(usage.told == report);
    CHECK(read_tokens(usage) == 10);
    CHECK(metered(usage, catalog::Meter::kOutput) + metered(usage, catalog::Meter::kReasoning) +
              metered(usage, catalog::Meter::kAudioOut) +
              metered(usage, catalog::Meter::kImageOut) ==
          4);
    // A later report that is right takes its place.
    REQUIRE(read_usage(
        R"({"prompt_tokens":10,"completion_tokens":4,"prompt_tokens_details":{"cached_tokens":0,
            "cache_write_tokens":0,"cache_write_1h_tokens":0,"audio_tokens":0,"image_tokens":0},
            "completion_tokens_details":{"reasoning_tokens":0,"audio_tokens":0,"image_tokens":0}})",
        usage));
    CHECK_FALSE(usage.clamped);
    CHECK(usage.told.empty());
  }
}

TEST_CASE("exchange: what the client sees of an upstream's fault, by class") {
  struct Case {
    int cls;
    unsigned http, status;
    const char* code;
  };
  const Case cases[] = {
      {SWY_CLS_AUTH, 401, 502, "upstream_auth"},
      {SWY_CLS_RATE_LIMIT, 429, 429, "rate_limit_exceeded"},
      {SWY_CLS_QUOTA, 429, 429, "upstream_quota_exhausted"},
      {SWY_CLS_OVERLOADED, 503, 503, "upstream_overloaded"},
      {SWY_CLS_SERVER, 500, 502, "upstream_error"},
      {SWY_CLS_TIMEOUT, 504, 504, "upstream_timeout"},
      {SWY_CLS_BAD_ANSWER, 200, 502, "upstream_bad_answer"},
      {SWY_CLS_BAD_REQUEST, 422, 422, "upstream_refused"},
      {SWY_CLS_BAD_REQUEST, 418, 400, "upstream_refused"},
      {SWY_CLS_PLUGIN, 0, 502, "plugin_error"},
  };
  for (const Case& c : cases) {
    CAPTURE(c.cls, c.http);
    AttemptFault fault;
    fault.cls = c.cls;
    fault.http = c.http;
    fault.message = "key sk-abcdef is wrong";
    const Failure failure = to_failure(fault, "up");
    REQUIRE(failure.status == c.status);
    REQUIRE(failure.code == c.code);
    REQUIRE(failure.upstream);
    // What an upstream says of a credential may quote it.
    if (c.cls == SWY_CLS_AUTH) REQUIRE(failure.message.find("sk-") == std::string::npos);
  }
}

}  // namespace switchyard::exchange
