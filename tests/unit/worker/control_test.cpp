#include "core/worker/control.hpp"

#include <sys/socket.h>

#include "core/base/os_fd.hpp"

using namespace switchyard;
using control::Received;
using control::Tag;

namespace {

struct Pair {
  Pair() {
    int fds[2];
    REQUIRE(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) == 0);
    ours = UniqueFd(fds[0]);
    theirs = UniqueFd(fds[1]);
  }
  UniqueFd ours, theirs;
};

}  // namespace

TEST_CASE("worker: control messages keep their bounds and order", "[unit][worker]") {
  const Pair pair;
  REQUIRE(control::send(pair.ours.get(), Tag::kReload));
  REQUIRE(control::send(pair.ours.get(), Tag::kDrain, "60000"));
  control::Message message;
  REQUIRE(control::receive(pair.theirs.get(), message) == Received::kMessage);
  REQUIRE(message.tag == Tag::kReload);
  REQUIRE(message.text.empty());
  REQUIRE(control::receive(pair.theirs.get(), message) == Received::kMessage);
  REQUIRE(message.tag == Tag::kDrain);
  REQUIRE(message.text == "60000");
  REQUIRE(control::receive(pair.theirs.get(), message) == Received::kNothing);
}

TEST_CASE("worker: a message of a later version is passed over", "[unit][worker]") {
  const Pair pair;
  REQUIRE(::send(pair.ours.get(), "?later", 6, 0) == 6);
  REQUIRE(control::send(pair.ours.get(), Tag::kReady));
  control::Message message;
  REQUIRE(control::receive(pair.theirs.get(), message) == Received::kMessage);
  REQUIRE(message.tag == Tag::kReady);
}

TEST_CASE("worker: a text that is too long is cut, and a peer that is gone is noticed",
          "[unit][worker]") {
  Pair pair;
  REQUIRE(control::send(pair.ours.get(), Tag::kRefused, std::string(100'000, 'x')));
  control::Message message;
  REQUIRE(control::receive(pair.theirs.get(), message) == Received::kMessage);
  REQUIRE(message.text == std::string(control::kTextMax, 'x'));

  pair.ours.reset();
  REQUIRE(control::receive(pair.theirs.get(), message) == Received::kClosed);
  REQUIRE_FALSE(control::send(pair.theirs.get(), Tag::kReady));
}

TEST_CASE("worker: a peer that does not read never blocks the sender", "[unit][worker]") {
  const Pair pair;
  bool sent = true;
  for (int i = 0; i < 100'000 && sent; ++i) sent = control::send(pair.ours.get(), Tag::kReload);
  REQUIRE_FALSE(sent);
}

TEST_CASE("worker: only a whole number is a drain deadline", "[unit][worker]") {
  for (const char* text : {"", "-1", "1s", " 1", "99999999999999"}) {
    CAPTURE(text);
    REQUIRE_FALSE(control::parse_ms(text));
  }
  REQUIRE(control::parse_ms("60000") == 60000u);
}
