// The traceparent header (W3C Trace Context, section 3.2).
#pragma once

#include <optional>
#include <string_view>

namespace switchyard::surface {

// Views into the header's value.
struct TraceParent {
  std::string_view trace;   // 32 hexadecimal digits
  std::string_view parent;  // 16
  unsigned flags = 0;
};

// Nothing where the value is not valid: a trace that can't be joined is none.
std::optional<TraceParent> parse_traceparent(std::string_view value);

}  // namespace switchyard::surface
