// What faults of plugins and of the network mean to the client, and what may be tried after them.
#pragma once

#include <string>

#include "core/exchange/exchange.hpp"
#include "core/routing/attempts.hpp"

namespace switchyard::exchange {

// One failed attempt.
struct AttemptFault {
  int cls = SWY_CLS_PLUGIN;
  unsigned http = 0;
  std::uint32_t retry_after_ms = 0;
  std::string message;     // for the record and, where it holds nothing of ours, for the client
  std::string error_json;  // the upstream's own error object, or empty
  const char* code = "";   // set where the network failed: a stable code of ours
  bool unpaid = false;     // nobody pays for it: no upstream was asked
  bool bounded = false;    // a bound of ours ended it, which says nothing of the target
  bool nothing_received = false;
  bool sent = false;  // a request went out, or may have
};

AttemptFault from_net(const net::NetError& error);

// The client's view of the last fault.
Failure to_failure(const AttemptFault& fault, std::string_view provider);

// What was asked for has surely not been begun there.
bool surely_not_begun(const AttemptFault& fault);
// No target could be asked at all.
AttemptFault nobody_asked(const routing::Attempts::Nobody& nobody);

// Short name for records: "timeout", "rate_limit" ...
const char* class_name(int cls);

}  // namespace switchyard::exchange
