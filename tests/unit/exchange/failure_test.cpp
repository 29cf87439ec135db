#include "core/exchange/failure.hpp"

#include <catch2/catch.hpp>

namespace switchyard::exchange {

TEST_CASE("exchange: what may have been begun is known as such", "[unit][exchange]") {
  AttemptFault fault;
  fault.cls = SWY_CLS_SERVER;
  CHECK(surely_not_begun(fault));  // nothing went out
  fault.sent = true;
  CHECK_FALSE(surely_not_begun(fault));
  fault.http = 500;
  CHECK_FALSE(surely_not_begun(fault));
  fault.http = 429;
  CHECK(surely_not_begun(fault));
  fault.http = 408;
  CHECK_FALSE(surely_not_begun(fault));
  fault.http = 503;
  fault.cls = SWY_CLS_OVERLOADED;
  CHECK(surely_not_begun(fault));
  fault = from_net({net::NetFault::kClosed, "closed", true, false});
  fault.sent = true;
  CHECK_FALSE(surely_not_begun(fault));
}

}  // namespace switchyard::exchange
