#include "core/supervisor/listeners.hpp"

#include <netinet/in.h>
#include <sys/socket.h>

#include "core/base/os_socket.hpp"

using namespace switchyard;
using namespace switchyard::supervisor;

namespace {

const Endpoint kAny{"127.0.0.1", 0, false};
const Endpoint kOther{"127.0.0.2", 0, false};

bool can_connect(const std::string& address, std::uint16_t port) {
  const UniqueFd fd(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in target{};
  target.sin_family = AF_INET;
  target.sin_port = htons(port);
  target.sin_addr.s_addr = htonl(address == "127.0.0.1" ? 0x7f000001 : 0x7f000002);
  return connect(fd.get(), reinterpret_cast<sockaddr*>(&target), sizeof target) == 0;
}

}  // namespace

TEST_CASE("supervisor: a listener that stays keeps its socket, a dropped one is closed",
          "[unit][supervisor]") {
  auto first = bind_listeners({kAny, kOther}, kAny, {});
  REQUIRE(first);
  const auto kept = first->open[1]->port;
  const auto dropped = first->open[0]->port;

  auto second = bind_listeners({kOther}, kAny, *first);
  REQUIRE(second);
  REQUIRE(second->open.size() == 1);
  REQUIRE(second->open[0]->port == kept);
  REQUIRE(second->admin->port == first->admin->port);
  REQUIRE(can_connect("127.0.0.1", dropped));

  *first = {};
  REQUIRE_FALSE(can_connect("127.0.0.1", dropped));
  REQUIRE(can_connect("127.0.0.2", kept));
}

TEST_CASE("supervisor: two listeners on any free port are two sockets, also after a reload",
          "[unit][supervisor]") {
  auto first = bind_listeners({kAny, kAny}, kAny, {});
  REQUIRE(first);
  REQUIRE(first->open[0]->port != first->open[1]->port);
  auto second = bind_listeners({kAny, kAny}, kAny, *first);
  REQUIRE(second);
  REQUIRE(second->open[0]->port == first->open[0]->port);
  REQUIRE(second->open[1]->port == first->open[1]->port);
}

TEST_CASE("supervisor: a listener keeps its port when it starts to speak TLS",
          "[unit][supervisor]") {
  auto plain = bind_listeners({kAny}, kAny, {});
  REQUIRE(plain);
  auto tls = bind_listeners({{"127.0.0.1", 0, true}}, kAny, *plain);
  REQUIRE(tls);
  REQUIRE(tls->open[0]->port == plain->open[0]->port);
  REQUIRE(tls->open[0]->url().starts_with("https://127.0.0.1:"));
  *plain = {};
  REQUIRE(can_connect("127.0.0.1", tls->open[0]->port));
}

TEST_CASE("supervisor: an address that can't be bound is named with its reason",
          "[unit][supervisor]") {
  auto taken = os::listen_on("127.0.0.1", 0);
  REQUIRE(taken);
  const std::string place = "127.0.0.1:" + std::to_string(taken->port);

  const auto again = bind_listeners({{"127.0.0.1", taken->port, false}}, kAny, {});
  REQUIRE_FALSE(again);
  REQUIRE(again.error().message == place + ": Address already in use");

  const auto admin = bind_listeners({kAny}, {"127.0.0.1", taken->port, false}, {});
  REQUIRE_FALSE(admin);
  REQUIRE(admin.error().message == place + ": Address already in use");

  const auto name = bind_listeners({{"localhost", 0, false}}, kAny, {});
  REQUIRE_FALSE(name);
  REQUIRE(name.error().message == "localhost:0: not an IP address");
}

TEST_CASE("supervisor: a reserved admin port takes no connection itself but lets a worker bind it",
          "[unit][supervisor]") {
  const auto reserved = os::reserve_port("127.0.0.1", 0);
  REQUIRE(reserved);
  REQUIRE_FALSE(can_connect("127.0.0.1", reserved->port));
  REQUIRE_FALSE(os::reserve_port("127.0.0.1", reserved->port));

  const UniqueFd fd(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const int on = 1;
  setsockopt(fd.get(), SOL_SOCKET, SO_REUSEPORT, &on, sizeof on);
  sockaddr_in target{};
  target.sin_family = AF_INET;
  target.sin_port = htons(reserved->port);
  target.sin_addr.s_addr = htonl(0x7f000001);
  REQUIRE(bind(fd.get(), reinterpret_cast<sockaddr*>(&target), sizeof target) == 0);
  REQUIRE(listen(fd.get(), 1) == 0);
  REQUIRE(can_connect("127.0.0.1", reserved->port));
}
