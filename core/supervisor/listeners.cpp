#include "core/supervisor/listeners.hpp"

#include <algorithm>

#include "core/base/os_process.hpp"
#include "core/base/os_socket.hpp"

namespace switchyard::supervisor {
namespace {

using ListenerPtr = std::shared_ptr<const Listener>;

bool same_socket(const Endpoint& a, const Endpoint& b) {
  return a.address == b.address && a.port == b.port;
}

// A socket keeps its number; what is spoken on it may change.
ListenerPtr with_tls(const ListenerPtr& listener, bool tls) {
  if (listener->asked.tls == tls) return listener;
  auto copy = std::make_shared<Listener>();
  copy->asked = listener->asked;
  copy->asked.tls = tls;
  copy->port = listener->port;
  copy->fd = UniqueFd(os::dup_closed_on_exec(listener->fd.get()));
  return copy;
}

ListenerPtr adopt(os::BoundSocket bound, const Endpoint& asked) {
  auto listener = std::make_shared<Listener>();
  listener->asked = asked;
  listener->port = bound.port;
  listener->fd = std::move(bound.fd);
  return listener;
}

}  // namespace

std::string Listener::url() const {
  return (asked.tls ? "https://" : "http://") + os::host_port(asked.address, port);
}

Result<ListenerSet> bind_listeners(const std::vector<Endpoint>& wanted, const Endpoint& admin,
                                   const ListenerSet& have) {
  ListenerSet set;
  std::vector<ListenerPtr> unused = have.open;
  for (const Endpoint& endpoint : wanted) {
    const auto found = std::find_if(unused.begin(), unused.end(), [&](const ListenerPtr& one) {
      return same_socket(one->asked, endpoint);
    });
    if (found != unused.end()) {
      set.open.push_back(with_tls(*found, endpoint.tls));
      unused.erase(found);
      continue;
    }
    auto bound = os::listen_on(endpoint.address, endpoint.port);
    if (!bound) return std::move(bound).error();
    set.open.push_back(adopt(std::move(*bound), endpoint));
  }

  if (have.admin && same_socket(have.admin->asked, admin)) {
    set.admin = with_tls(have.admin, admin.tls);
    return set;
  }
  auto reserved = os::reserve_port(admin.address, admin.port);
  if (!reserved) return std::move(reserved).error();
  set.admin = adopt(std::move(*reserved), admin);
  return set;
}

}  // namespace switchyard::supervisor
