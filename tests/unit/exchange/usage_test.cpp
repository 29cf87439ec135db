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

  for (const char* bad :
       {"", "null", "[]", "{", R"({"prompt_tokens":-1})", R"({"prompt_tokens":1.5})",
        R"({"prompt_tokens":"12"})", R"({"completion_tokens":1e400})",
        R"({"completion_tokens":18446744073709551616})"}) {
    CAPTURE(bad);
    observe::Usage untouched;
    REQUIRE_FALSE(read_usage(bad, untouched));
    REQUIRE_FALSE(untouched.reported);
    REQUIRE(untouched.tok_in == 0);
    REQUIRE(untouched.tok_out == 0);
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

TEST_CASE("exchange: what the client did wrong is not tried again anywhere") {
  AttemptFault fault;
  for (const int cls : {SWY_CLS_BAD_REQUEST, SWY_CLS_TOO_LONG, SWY_CLS_FILTERED}) {
    fault.cls = cls;
    REQUIRE_FALSE(try_elsewhere(fault));
    REQUIRE_FALSE(try_again(fault));
  }
  fault.cls = SWY_CLS_QUOTA;
  REQUIRE(try_elsewhere(fault));
  REQUIRE_FALSE(try_again(fault));
  fault.cls = SWY_CLS_RATE_LIMIT;
  fault.retry_after_ms = 2'000;
  REQUIRE(try_again(fault));
  fault.retry_after_ms = 60'000;
  REQUIRE_FALSE(try_again(fault));
}

}  // namespace switchyard::exchange
