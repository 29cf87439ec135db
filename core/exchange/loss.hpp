// What of a request did not reach its upstream, as people read it.
#pragma once

#include <string>
#include <string_view>

namespace switchyard::exchange {

// Adds the JSON pointers of a plugin's report (SWY_EMIT_DROPPED) to `list`: separated by ", ", what
// a header line can't hold percent-encoded, cut at 1 KiB with "..." at its end. False where the
// report is no array of strings.
bool append_dropped(std::string& list, std::string_view report);

}  // namespace switchyard::exchange
