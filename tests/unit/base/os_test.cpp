#include "core/base/os_process.hpp"
#include "core/base/os_socket.hpp"

using namespace switchyard;
using std::chrono::milliseconds;

TEST_CASE("base: only loopback addresses count as such", "[unit][base]") {
  for (const char* wide : {"0.0.0.0", "::", "10.0.0.1", "128.0.0.1", "::2", "fe80::1",
                           "::ffff:10.0.0.1", "localhost", "127.0.0.1.example", "", "127.1"}) {
    CAPTURE(wide);
    REQUIRE_FALSE(os::is_loopback(wide));
  }
  for (const char* local : {"127.0.0.1", "127.255.0.9", "::1", "::ffff:127.0.0.1"}) {
    CAPTURE(local);
    REQUIRE(os::is_loopback(local));
  }
}

TEST_CASE("base: an address of version 6 is bracketed before its port", "[unit][base]") {
  REQUIRE(os::host_port("::1", 80) == "[::1]:80");
  REQUIRE(os::host_port("127.0.0.1", 80) == "127.0.0.1:80");
}

TEST_CASE("base: a program's exit code and output come back", "[unit][base]") {
  const auto done =
      os::run_program("/bin/sh", {"-c", "echo out; echo err >&2; exit 3"}, milliseconds(10'000));
  REQUIRE(done);
  REQUIRE(done->exit_code == 3);
  REQUIRE(done->output == "out\nerr\n");

  const auto killed = os::run_program("/bin/sh", {"-c", "kill -9 $$"}, milliseconds(10'000));
  REQUIRE(killed);
  REQUIRE(killed->exit_code == 137);
}

TEST_CASE("base: a program that does not end is killed and one that is not there refused",
          "[unit][base]") {
  REQUIRE_FALSE(os::run_program("/bin/sh", {"-c", "while :; do :; done"}, milliseconds(50)));
  const auto missing = os::run_program("/nowhere/at/all", {}, milliseconds(10'000));
  REQUIRE_FALSE(missing);
  REQUIRE(missing.error().message == "/nowhere/at/all: No such file or directory");
}

TEST_CASE("base: a program's endless output is cut, not kept", "[unit][base]") {
  const auto done =
      os::run_program("/bin/sh", {"-c", "head -c 100000 /dev/zero"}, milliseconds(10'000));
  REQUIRE(done);
  REQUIRE(done->exit_code == 0);
  REQUIRE(done->output.size() == 16 * 1024);
}
