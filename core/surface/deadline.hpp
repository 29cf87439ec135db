// How long a client waits, as it says itself.
#pragma once

#include <cstdint>
#include <string_view>

#include "core/base/result.hpp"

namespace switchyard::net {
struct RequestHead;
}

namespace switchyard::surface {

struct ClientDeadline {
  std::uint64_t after_ms = 0;  // 0: it did not say
  bool until_content = false;  // a stream that has brought content may run on
};

// x-switchyard-timeout, in milliseconds, is for the whole answer. x-stainless-timeout, in seconds,
// is what official SDKs send of their own accord: they wait so long for an answer, or for a stream
// to begin; one that can't be read is not there.
Result<ClientDeadline> read_client_deadline(const net::RequestHead& head);

}  // namespace switchyard::surface
