// From an Upstream to an open stream: name, address check, happy eyeballs, proxy, TLS.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "core/base/result.hpp"
#include "core/net/cancel.hpp"
#include "core/net/http_client.hpp"
#include "core/net/loop.hpp"
#include "core/net/stream.hpp"

namespace switchyard::net {

// Tries `endpoints` by RFC 8305: families in turn, the next one 250 ms after the one before it or
// as soon as that has failed; the first to connect wins. On failure (operation_aborted after a
// cancel) the last error is given.
struct RaceResult {
  std::unique_ptr<Socket> socket;  // null: failed
  tcp::endpoint endpoint;
  error_code ec;
};
Task<RaceResult> connect_any(std::vector<tcp::endpoint> endpoints, Cancel& cancel);

// Families in turn, beginning with that of the first; order inside a family is kept.
std::vector<asio::ip::address> interleave(const std::vector<asio::ip::address>& addresses);

struct Connected {
  std::unique_ptr<Stream> stream;
  std::string peer;  // "203.0.113.5:443"
};

// All within upstream.connect_timeout. Both references live until it returns.
Task<Result<Connected, NetError>> connect_upstream(Loop& loop, Resolver& resolver,
                                                   const Upstream& upstream, Cancel& cancel);

}  // namespace switchyard::net
