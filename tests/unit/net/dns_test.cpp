#include "core/net/dns.hpp"

#include <condition_variable>
#include <map>
#include <mutex>

#include "core/net/address.hpp"
#include "core/net/await.hpp"
#include "core/net/connector.hpp"
#include "tests/unit/net/net_test.hpp"

namespace switchyard::net {
namespace {

using test::await;
using Addresses = std::vector<asio::ip::address>;

constexpr std::uint64_t kSecond_ns = 1'000'000'000;

asio::ip::address ip(const std::string& text) { return asio::ip::make_address(text); }

// A name service of the test's own, with a clock; it can be held back.
struct Names {
  std::mutex mutex;
  std::condition_variable changed;
  std::map<std::string, Addresses> known;
  int asked = 0;
  int answered = 0;
  bool held = false;
  std::atomic<std::uint64_t> now_ns{100 * kSecond_ns};

  Addresses look_up(const std::string& host, std::string& why) {
    std::unique_lock lock(mutex);
    ++asked;
    changed.notify_all();
    changed.wait(lock, [this] { return !held; });
    ++answered;
    changed.notify_all();
    const auto found = known.find(host);
    if (found != known.end()) return found->second;
    why = "no such name";
    return {};
  }

  void set(const std::string& host, Addresses addresses) {
    const std::lock_guard lock(mutex);
    known[host] = std::move(addresses);
  }
  void hold(bool on) {
    const std::lock_guard lock(mutex);
    held = on;
    changed.notify_all();
  }
  void pass(std::uint64_t seconds) { now_ns += seconds * kSecond_ns; }
  int times_asked() {
    const std::lock_guard lock(mutex);
    return asked;
  }
  void wait_for_answers(int n) {
    std::unique_lock lock(mutex);
    changed.wait_for(lock, std::chrono::seconds(5), [&] { return answered >= n; });
  }
  void wait_for_questions(int n) {
    std::unique_lock lock(mutex);
    changed.wait_for(lock, std::chrono::seconds(5), [&] { return asked >= n; });
  }
};

struct Host {
  Loop loop{0};
  Names names;
  Resolver resolver{
      Resolver::Options{.threads = 1,
                        .lookup = [this](const std::string& host,
                                         std::string& why) { return names.look_up(host, why); },
                        .now_ns = [this] { return names.now_ns.load(); }}};

  std::string ask(const std::string& name) {
    auto answer = await(loop, resolver.resolve(name));
    if (!answer) return answer.error().message;
    return (**answer)[0].to_string();
  }
};

}  // namespace

TEST_CASE("dns: a failure is told, kept for one second, and then asked again", "[unit][net]") {
  Host host;
  CHECK(host.ask("up.example") == "name does not resolve: up.example: no such name");
  CHECK(host.ask("up.example") == "name does not resolve: up.example: no such name");
  CHECK(host.names.times_asked() == 1);
  host.names.set("up.example", {ip("192.0.2.1")});
  host.names.pass(1);
  CHECK(host.ask("up.example") == "192.0.2.1");
  CHECK(host.names.times_asked() == 2);
}

TEST_CASE("dns: an address needs no question", "[unit][net]") {
  Host host;
  CHECK(host.ask("127.0.0.1") == "127.0.0.1");
  CHECK(host.ask("2001:db8::1") == "2001:db8::1");
  CHECK(host.names.times_asked() == 0);
}

TEST_CASE("dns: localhost is this machine, whatever the name service says", "[unit][net]") {
  Host host;
  for (const char* name : {"localhost", "LocalHost.", "gateway.localhost"}) {
    CAPTURE(name);
    host.names.set(name, {ip("192.0.2.1")});
    const auto answer = await(host.loop, host.resolver.resolve(name));
    REQUIRE(answer);
    CHECK(**answer == Addresses{ip("::1"), ip("127.0.0.1")});
  }
  CHECK(host.names.times_asked() == 0);
  host.names.set("notlocalhost", {ip("192.0.2.1")});
  CHECK(host.ask("notlocalhost") == "192.0.2.1");
}

TEST_CASE("dns: an answer is kept, and refreshed in the background near its end", "[unit][net]") {
  Host host;
  host.names.set("up.example", {ip("192.0.2.1")});
  CHECK(host.ask("up.example") == "192.0.2.1");
  host.names.set("up.example", {ip("192.0.2.2")});
  host.names.pass(10);
  CHECK(host.ask("up.example") == "192.0.2.1");
  CHECK(host.names.times_asked() == 1);
  host.names.pass(18);
  CHECK(host.ask("up.example") == "192.0.2.1");
  // The refresh is not waited for; an hour later its answer is what is too old.
  host.names.wait_for_answers(2);
  CHECK(host.names.times_asked() == 2);
  // There is one thread: it asks for another name once it has put the answer in its place.
  CHECK_THAT(host.ask("down.example"), Catch::Contains("no such name"));
  host.names.pass(31);
  CHECK(host.ask("up.example") == "192.0.2.2");
}

TEST_CASE("dns: an old answer serves where the name service fails, but not for ever",
          "[unit][net]") {
  Host host;
  host.names.set("up.example", {ip("192.0.2.1")});
  CHECK(host.ask("up.example") == "192.0.2.1");
  host.names.set("up.example", {});
  host.names.pass(31);
  CHECK(host.ask("up.example") == "192.0.2.1");
  CHECK(host.ask("up.example") == "192.0.2.1");
  CHECK(host.names.times_asked() == 2);
  host.names.pass(3700);
  CHECK_THAT(host.ask("up.example"), Catch::Contains("does not resolve"));
}

TEST_CASE("dns: an old answer serves where the name service hangs", "[unit][net]") {
  Host host;
  host.names.set("up.example", {ip("192.0.2.1")});
  CHECK(host.ask("up.example") == "192.0.2.1");
  host.names.pass(31);
  host.names.hold(true);
  CHECK(host.ask("up.example") == "192.0.2.1");
  host.names.pass(1);
  CHECK(host.ask("up.example") == "192.0.2.1");
  host.names.hold(false);
}

TEST_CASE("dns: questions for one name at a time are one question", "[unit][net]") {
  Host host;
  host.names.set("up.example", {ip("192.0.2.1")});
  host.names.hold(true);
  int good = 0;
  const auto both = [&]() -> Task<void> {
    const Executor executor = host.loop.executor();
    Timer through(executor, Timer::time_point::max());
    int left = 5;
    const auto one = [&]() -> Task<void> {
      const auto answer = co_await host.resolver.resolve("up.example");
      if (answer) ++good;
      if (--left == 0) through.cancel();
    };
    for (int i = 0; i < 5; ++i) asio::co_spawn(executor, one, [](std::exception_ptr) {});
    asio::post(executor, [&] { host.names.hold(false); });
    co_await through.async_wait(kAwait);
  };
  await(host.loop, both());
  CHECK(good == 5);
  CHECK(host.names.times_asked() == 1);
}

TEST_CASE("dns: a question can be given up, and its answer comes to nobody", "[unit][net]") {
  Host host;
  host.names.hold(true);
  const auto give_up = [&]() -> Task<std::string> {
    Cancel cancel;
    Timer soon(host.loop.executor());
    asio::post(host.loop.executor(), [&] { cancel.cancel(); });
    const auto answer = co_await host.resolver.resolve("up.example", cancel);
    if (answer) co_return "answered";
    co_return answer.error().message;
  };
  CHECK_THAT(await(host.loop, give_up()), Catch::Contains("given up"));
  host.names.hold(false);
}

TEST_CASE("dns: a loop may go before the answer comes", "[unit][net]") {
  Names names;
  names.set("up.example", {ip("192.0.2.1")});
  names.hold(true);
  const auto look_up = [&](const std::string& host, std::string& why) {
    return names.look_up(host, why);
  };
  Resolver resolver(Resolver::Options{.threads = 1, .lookup = look_up});
  {
    Loop loop(0);
    const auto ask = [&]() -> Task<void> { (void)co_await resolver.resolve("up.example"); };
    asio::co_spawn(loop.executor(), ask, [](std::exception_ptr) {});
    loop.context().poll();
    names.wait_for_questions(1);
  }
  names.hold(false);
  names.wait_for_answers(1);
}

TEST_CASE("address: only what the internet routes to is global", "[unit][net]") {
  for (const char* text : {"0.0.0.0",
                           "0.1.2.3",
                           "10.0.0.1",
                           "100.64.0.1",
                           "100.127.255.255",
                           "127.0.0.1",
                           "127.9.9.9",
                           "169.254.169.254",
                           "172.16.0.1",
                           "172.31.255.255",
                           "192.0.0.1",
                           "192.0.2.1",
                           "192.168.1.1",
                           "198.18.0.1",
                           "198.19.255.255",
                           "198.51.100.1",
                           "203.0.113.1",
                           "224.0.0.1",
                           "239.255.255.255",
                           "240.0.0.1",
                           "255.255.255.255",
                           "::",
                           "::1",
                           "::ffff:127.0.0.1",
                           "::ffff:10.0.0.1",
                           "::127.0.0.1",
                           "::8.8.8.8",
                           "64:ff9b::10.0.0.1",
                           "64:ff9b::7f00:1",
                           "64:ff9b:1::1",
                           "2002:7f00:1::",
                           "2002:a00:1::1",
                           "2002:c0a8:101::",
                           "2001::1",
                           "2001:0:7f00:1::",
                           "2001:db8::1",
                           "fc00::1",
                           "fd00::1",
                           "fe80::1",
                           "fec0::1",
                           "ff02::1",
                           "ff0e::1",
                           "100::1",
                           "3fff::1",
                           "4000::1",
                           "::ffff:0:10.0.0.1"}) {
    CAPTURE(text);
    CHECK_FALSE(is_global(ip(text)));
  }
  for (const char* text :
       {"1.1.1.1", "8.8.8.8", "100.63.255.255", "100.128.0.1", "172.15.0.1", "172.32.0.1",
        "192.0.1.1", "198.17.0.1", "198.20.0.1", "223.255.255.255", "2606:4700::1111",
        "2a00:1450::1", "::ffff:8.8.8.8", "64:ff9b::8.8.8.8", "2002:808:808::1"}) {
    CAPTURE(text);
    CHECK(is_global(ip(text)));
  }
}

TEST_CASE("connect: families take turns, beginning with the first address's", "[unit][net]") {
  const auto a = ip("2001:db8::1"), b = ip("2001:db8::2"), c = ip("192.0.2.1"), d = ip("192.0.2.2"),
             e = ip("192.0.2.3");
  CHECK(interleave({a, b, c, d, e}) == Addresses{a, c, b, d, e});
  CHECK(interleave({c, d, a}) == Addresses{c, a, d});
  CHECK(interleave({c, d}) == Addresses{c, d});
}

}  // namespace switchyard::net
