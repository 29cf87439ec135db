// The listening sockets. The supervisor owns them, so that they stay open while workers come and
// go.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "core/base/os_fd.hpp"
#include "core/base/result.hpp"

namespace switchyard::supervisor {

// Where to listen, as configured.
struct Endpoint {
  std::string address;
  std::uint16_t port = 0;
  bool tls = false;
  bool operator==(const Endpoint&) const = default;
};

struct Listener {
  Endpoint asked;
  std::uint16_t port = 0;  // the real one, where 0 was asked for
  UniqueFd fd;
  std::string url() const;
};

// Shared, because two sets hold the same sockets while one worker takes over from another; what
// neither holds is closed.
struct ListenerSet {
  std::vector<std::shared_ptr<const Listener>> open;
  std::shared_ptr<const Listener>
      admin;  // reserved, not listening: each worker binds the port itself
};

// The sockets for these endpoints, in their order: those of `have` that fit, and new ones.
Result<ListenerSet> bind_listeners(const std::vector<Endpoint>& wanted, const Endpoint& admin,
                                   const ListenerSet& have);

}  // namespace switchyard::supervisor
