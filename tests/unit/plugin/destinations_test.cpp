#include "core/plugin/destinations.hpp"

#include <switchyard/http.h>

#include <functional>
#include <future>

#include "core/base/clock.hpp"
#include "core/base/json_scan.hpp"
#include "core/plugin/host.hpp"
#include "core/plugin/logger.hpp"
#include "tests/unit/net/certificates.hpp"
#include "tests/unit/net/net_test.hpp"

using namespace switchyard;
using namespace switchyard::plugin;
using net::test::Authority;
using net::test::Peer;
using net::test::ScriptServer;

namespace {

constexpr char kSecret[] = "canary-0123456789";
constexpr std::uint64_t kSecond = 1'000'000'000;

// What one call of the extension gave.
struct Outcome {
  swy_rc rc = 1;
  unsigned status = 0;
  std::uint32_t retry_after_ms = 0;
  std::string body, message;
  std::int32_t cls = 0;
};

// A logger plugin inside the test: its write() does what the test wants, with host and tag.
struct Script {
  const swy_host* host = nullptr;
  void* tag = nullptr;
  std::function<void()> write;

  const swy_http& http() const {
    return *static_cast<const swy_http*>(host->ext(host, SWY_HTTP_EXT));
  }

  Outcome post(std::string_view destination, std::string_view path = "/v1/logs",
               std::vector<swy_kv> headers = {}, std::uint64_t deadline_ns = 0,
               std::size_t room = 1024) const {
    swy_http_post post{};
    post.size = sizeof post;
    post.destination = to_swy(destination);
    post.path = to_swy(path);
    post.hdr = headers.data();
    post.nhdr = static_cast<std::uint32_t>(headers.size());
    post.body = to_swy("{}");
    post.deadline_ns = deadline_ns;
    std::string body(room, '\0');
    swy_http_answer answer{};
    answer.size = sizeof answer;
    answer.body = body.data();
    answer.body_max = body.size();
    swy_err err{};
    err.size = sizeof err;
    Outcome outcome;
    outcome.rc = http().post(host, tag, &post, &answer, &err);
    outcome.status = answer.status;
    outcome.retry_after_ms = answer.retry_after_ms;
    outcome.body = body.substr(0, answer.body_n);
    outcome.message = err.msg;
    outcome.cls = err.cls;
    return outcome;
  }
};
Script* opening = nullptr;

swy_rc SWY_CALL open(swy_str, const swy_host* host, void* tag, void** inst, swy_err*) {
  opening->host = host;
  opening->tag = tag;
  *inst = opening;
  return SWY_OK;
}
void SWY_CALL close(void*) {}
swy_rc SWY_CALL write(void* inst, const swy_rec*, std::uint32_t, std::uint32_t, std::uint64_t,
                      std::uint32_t* taken, swy_err*) {
  static_cast<Script*>(inst)->write();
  *taken = 0;
  return SWY_OK;
}
swy_rc SWY_CALL flush(void* inst, std::uint64_t, swy_err*) {
  static_cast<Script*>(inst)->write();
  return SWY_OK;
}
constexpr swy_logger kTable{sizeof(swy_logger), 0, open, close, write, flush};

config::Destination collector(const std::string& url) {
  config::Destination made;
  made.name = "collector";
  made.url = url;
  made.headers = {{"X-Tenant", "t1"}};
  made.credential_header = "Authorization";
  made.credential_prefix = "Bearer ";
  made.credential = Secret(kSecret);
  made.proxy = "none";
  return made;
}
std::string plain(std::uint16_t port) { return "http://127.0.0.1:" + std::to_string(port); }

// A logger that lists "collector", of a configuration that has a further destination.
struct Stage {
  explicit Stage(config::Destination destination, std::vector<std::string> listed = {"collector"}) {
    config::Config config;
    config::Destination other = destination;
    other.name = "other";
    config.destinations = {std::move(destination), std::move(other)};
    auto destinations = Destinations::make(config, listed);
    REQUIRE(destinations);
    opening = &script;
    logger =
        std::move(*LoggerInstance::from_table(&kTable, "poster", "{}", std::move(*destinations)));
  }

  // Inside write(), which must be back by `deadline_ns` from now.
  template <class Work>
  auto in_write(Work work, std::uint64_t deadline_ns = 20 * kSecond) {
    decltype(work()) result;
    script.write = [&] { result = work(); };
    REQUIRE(logger->write({}, mono_ns() + deadline_ns));
    return result;
  }

  Script script;
  std::unique_ptr<LoggerInstance> logger;
};

std::string answer(const std::string& body, const std::string& status = "200 OK",
                   const std::string& headers = "") {
  return "HTTP/1.1 " + status + "\r\n" + headers +
         "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
}

// Reads a request with its body of two bytes.
std::string read_post(Peer& peer) {
  std::string request = peer.read_request();
  return request + peer.read_exactly(2);
}

}  // namespace

TEST_CASE("plugin: a logger posts to its destination, and the host authenticates",
          "[unit][plugin]") {
  std::vector<std::string> requests;
  ScriptServer server({[&](Peer& peer) {
    for (int i = 0; i < 2; ++i) {
      requests.push_back(read_post(peer));
      peer.send(answer("thanks"));
    }
    peer.wait_end();
  }});
  {
    Stage stage(collector(plain(server.port()) + "/base/"));
    const std::vector<swy_kv> type{{to_swy("content-type"), to_swy("application/json")}};
    for (int i = 0; i < 2; ++i) {
      const Outcome got =
          stage.in_write([&] { return stage.script.post("collector", "/v1/logs?a=b", type); });
      REQUIRE(got.rc == SWY_OK);
      REQUIRE(got.status == 200);
      REQUIRE(got.body == "thanks");
    }
  }
  // Both came over one connection.
  REQUIRE(requests.size() == 2);
  REQUIRE(requests[0] == requests[1]);
  REQUIRE(requests[0].find("POST /base/v1/logs?a=b HTTP/1.1\r\nhost: 127.0.0.1:") == 0);
  for (const char* line :
       {"\r\nX-Tenant: t1\r\n", "\r\nAuthorization: Bearer canary-0123456789\r\n",
        "\r\ncontent-type: application/json\r\n", "\r\ncontent-length: 2\r\n"}) {
    CAPTURE(line);
    REQUIRE(requests[0].find(line) != std::string::npos);
  }
  REQUIRE(requests[0].ends_with("\r\n\r\n{}"));
}

TEST_CASE("plugin: flush may post as well, and a path may be left out", "[unit][plugin]") {
  std::string request;
  ScriptServer server({[&](Peer& peer) {
    request = read_post(peer);
    peer.send(answer(""));
    peer.wait_end();
  }});
  Outcome got;
  {
    Stage stage(collector(plain(server.port())));
    stage.script.write = [&] { got = stage.script.post("collector", ""); };
    REQUIRE(stage.logger->flush(mono_ns() + 20 * kSecond));
  }
  REQUIRE(got.rc == SWY_OK);
  REQUIRE(request.find("POST / HTTP/1.1\r\n") == 0);
}

TEST_CASE("plugin: an answer is what it is: any status, no redirect followed, no secret in it",
          "[unit][plugin]") {
  ScriptServer server({[&](Peer& peer) {
    read_post(peer);
    peer.send(answer("no: Bearer " + std::string(kSecret), "401 No"));
    read_post(peer);
    peer.send(answer("", "302 There", "Location: http://127.0.0.1:1/\r\n"));
    read_post(peer);
    peer.send(answer("later", "503 Busy", "Retry-After: 7\r\n"));
    read_post(peer);
    peer.send(answer("abc" + std::string(kSecret)));
    peer.wait_end();
  }});
  Stage stage(collector(plain(server.port())));
  Outcome got = stage.in_write([&] { return stage.script.post("collector"); });
  REQUIRE(got.status == 401);
  REQUIRE(got.body == "no: Bearer [redacted]");
  REQUIRE(stage.in_write([&] { return stage.script.post("collector"); }).status == 302);
  got = stage.in_write([&] { return stage.script.post("collector"); });
  REQUIRE(got.status == 503);
  REQUIRE(got.retry_after_ms == 7000);
  // No piece of it either, where the plugin's room ends inside.
  got = stage.in_write([&] { return stage.script.post("collector", "/", {}, 0, 14); });
  REQUIRE(got.body == "abc[redacted]");
  stage.logger.reset();
}

TEST_CASE("plugin: only what the configuration lists can be posted to", "[unit][plugin]") {
  Stage stage(collector(plain(net::test::closed_port())));
  for (const char* name : {"other", "nowhere", ""}) {
    CAPTURE(name);
    const Outcome got = stage.in_write([&] { return stage.script.post(name); });
    REQUIRE(got.rc == SWY_E_ARG);
    REQUIRE(got.message == "destination \"" + std::string(name) +
                               "\" is not among those that this logger may post to: \"collector\"");
  }
  const auto& http = stage.script.http();
  REQUIRE(http.check(stage.script.host, stage.script.tag, to_swy("collector"), nullptr) == SWY_OK);
  REQUIRE(http.check(stage.script.host, stage.script.tag, to_swy("other"), nullptr) == SWY_E_ARG);
  REQUIRE(http.check(stage.script.host, nullptr, to_swy("collector"), nullptr) == SWY_E_ARG);

  Stage none(collector(plain(1)), {});
  const Outcome got = none.in_write([&] { return none.script.post("collector"); });
  REQUIRE(got.rc == SWY_E_ARG);
  REQUIRE(got.message ==
          "destination \"collector\" is not among loggers[i].destinations, which lists none");
}

TEST_CASE("plugin: a post outside write and flush, or of another's instance, is refused",
          "[unit][plugin]") {
  Stage stage(collector(plain(net::test::closed_port())));
  REQUIRE(stage.script.post("collector").rc == SWY_E_ARG);
  REQUIRE(stage.script.post("collector").message ==
          "swy.http/1: a post outside write() and flush()");
  const Outcome elsewhere = stage.in_write([&] {
    return std::async(std::launch::async, [&] { return stage.script.post("collector"); }).get();
  });
  REQUIRE(elsewhere.rc == SWY_E_ARG);

  Stage thief(collector(plain(net::test::closed_port())), {});
  thief.script.tag = stage.script.tag;
  REQUIRE(thief.in_write([&] { return thief.script.post("collector"); }).rc == SWY_E_ARG);
  thief.script.tag = nullptr;
  REQUIRE(thief.in_write([&] { return thief.script.post("collector"); }).rc == SWY_E_ARG);

  const auto malformed = stage.in_write([&] {
    return stage.script.http().post(stage.script.host, stage.script.tag, nullptr, nullptr, nullptr);
  });
  REQUIRE(malformed == SWY_E_ARG);
}

TEST_CASE("plugin: a plugin can't break out of its request", "[unit][plugin]") {
  Stage stage(collector(plain(net::test::closed_port())));
  const auto refused = [&](std::string_view path, std::vector<swy_kv> headers = {}) {
    const Outcome got =
        stage.in_write([&] { return stage.script.post("collector", path, headers); });
    return got.rc == SWY_E_ARG ? got.message : "(sent)";
  };
  const std::string place = "destination \"collector\": ";
  for (const char* path : {"v1/logs", "/a b", "/a\r\nX: y", "/a#b", "/\xc3\xa4"}) {
    CAPTURE(path);
    REQUIRE(refused(path) == place + "expected a path that begins with \"/\", or none");
  }
  const auto header = [&](const char* name, const char* value) {
    return refused("/", {{to_swy(name), to_swy(value)}});
  };
  REQUIRE(header("a b", "x") == place + "not a header field's name");
  REQUIRE(header("x-a", "b\r\nHost: c") == place + "not a value of the header field x-a");
  for (const char* name : {"host", "Content-Length", "transfer-encoding", "authorization", "cookie",
                           "x-tenant", "Proxy-Authorization"}) {
    CAPTURE(name);
    REQUIRE(header(name, "x").find(" is the host's") != std::string::npos);
  }
  const std::string large(17 * 1024, 'x');
  REQUIRE(header("x-a", large.c_str()) == place + "more than 16 KiB of header fields");
}

TEST_CASE("plugin: where nobody listens a post says so, and the next one works", "[unit][plugin]") {
  Stage stage(collector(plain(net::test::closed_port())));
  const Outcome got = stage.in_write([&] { return stage.script.post("collector"); });
  REQUIRE(got.rc == SWY_E_GONE);
  REQUIRE(got.cls == SWY_CLS_OVERLOADED);
  REQUIRE(got.message.find("destination \"collector\": ") == 0);
  REQUIRE(got.message.find("refused") != std::string::npos);
}

TEST_CASE("plugin: the deadline holds over the whole post", "[unit][plugin]") {
  const auto timed_out = [](const Outcome& got) {
    REQUIRE(got.rc == SWY_E_GONE);
    REQUIRE(got.cls == SWY_CLS_TIMEOUT);
    REQUIRE(got.message == "destination \"collector\": no answer within the deadline");
  };
  constexpr std::uint64_t kSoon = kSecond / 20;
  const auto mute = [](Peer& peer) {
    read_post(peer);
    peer.wait_end();
  };
  const auto halting = [](Peer& peer) {
    read_post(peer);
    peer.send("HTTP/1.1 200");
    peer.wait_end();
  };

  SECTION("of the call that the plugin is in") {
    ScriptServer server({mute});
    Stage stage(collector(plain(server.port())));
    timed_out(stage.in_write([&] { return stage.script.post("collector"); }, kSoon));
    stage.logger.reset();
  }
  SECTION("of the call, whatever later one the post asks for") {
    ScriptServer server({mute});
    Stage stage(collector(plain(server.port())));
    timed_out(stage.in_write(
        [&] { return stage.script.post("collector", "/", {}, mono_ns() + 20 * kSecond); }, kSoon));
    stage.logger.reset();
  }
  SECTION("of the post itself") {
    ScriptServer server({halting});
    Stage stage(collector(plain(server.port())));
    timed_out(
        stage.in_write([&] { return stage.script.post("collector", "/", {}, mono_ns() + kSoon); }));
    stage.logger.reset();
  }
  SECTION("of the destination") {
    ScriptServer server({mute});
    config::Destination hasty = collector(plain(server.port()));
    hasty.timeout = std::chrono::milliseconds(50);
    Stage stage(hasty);
    timed_out(stage.in_write([&] { return stage.script.post("collector"); }));
    stage.logger.reset();
  }
  SECTION("of a connect") {
    net::test::Blackhole hole("127.0.0.1");
    Stage stage(collector(plain(hole.port())));
    timed_out(stage.in_write([&] { return stage.script.post("collector"); }, kSoon));
  }
  SECTION("that has passed already") {
    Stage stage(collector(plain(net::test::closed_port())));
    timed_out(stage.in_write([&] { return stage.script.post("collector", "/", {}, 1); }));
  }
}

TEST_CASE("plugin: a status stands though the answer's body is cut, slow or long",
          "[unit][plugin]") {
  ScriptServer server({[&](Peer& peer) {
                         read_post(peer);
                         peer.send("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhal");
                         peer.close();
                       },
                       [&](Peer& peer) {
                         read_post(peer);
                         peer.send("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nslow");
                         peer.wait_end();
                       },
                       [&](Peer& peer) {
                         read_post(peer);
                         peer.send(answer(std::string(200'000, 'x')));
                         peer.wait_end();
                       }});
  Stage stage(collector(plain(server.port())));
  REQUIRE(stage.in_write([&] { return stage.script.post("collector"); }).body == "hal");
  const Outcome slow = stage.in_write([&] { return stage.script.post("collector"); }, kSecond / 10);
  REQUIRE(slow.status == 200);
  REQUIRE(slow.body == "slow");
  const Outcome large = stage.in_write(
      [&] { return stage.script.post("collector", "/", {}, 0, Destinations::kAnswerMax * 2); });
  REQUIRE(large.body.size() == Destinations::kAnswerMax);
  stage.logger.reset();
}

TEST_CASE("plugin: a kept connection that was closed meanwhile costs no post", "[unit][plugin]") {
  unsigned served = 0;
  ScriptServer server({[&](Peer& peer) {
                         read_post(peer);
                         peer.send(answer("one"));
                         ++served;
                         // The next request is read and then not answered.
                         read_post(peer);
                         peer.close();
                       },
                       [&](Peer& peer) {
                         read_post(peer);
                         peer.send(answer("two"));
                         ++served;
                         peer.wait_end();
                       }});
  Stage stage(collector(plain(server.port())));
  REQUIRE(stage.in_write([&] { return stage.script.post("collector"); }).body == "one");
  REQUIRE(stage.in_write([&] { return stage.script.post("collector"); }).body == "two");
  stage.logger.reset();
  REQUIRE(served == 2);
}

TEST_CASE("plugin: a destination's certificate is checked", "[unit][plugin]") {
  net::test::TempFolder folder;
  const Authority trusted, stranger("Stranger");
  trusted.write_certificate(folder.file("ca.pem"));
  const auto post_to = [&](net::test::Context context) {
    unsigned served = 0;
    Outcome got;
    {
      ScriptServer::Options options{.tls = context.get(), .handshake = false};
      ScriptServer server({[&](Peer& peer) {
                            if (!peer.handshake()) return;
                            if (read_post(peer).find("POST") != 0) return;
                            ++served;
                            peer.send(answer("secure"));
                            peer.wait_end();
                          }},
                          options);
      auto destination = collector("https://127.0.0.1:" + std::to_string(server.port()));
      destination.ca_file = folder.file("ca.pem");
      Stage stage(destination);
      got = stage.in_write([&] { return stage.script.post("collector"); });
    }
    REQUIRE(served == (got.rc == SWY_OK ? 1 : 0));
    return got;
  };
  REQUIRE(post_to(trusted.server()).body == "secure");
  for (const Outcome& got :
       {post_to(stranger.server()), post_to(trusted.server({.alternative = "DNS:else.example"})),
        post_to(trusted.server({.until_s = -60}))}) {
    REQUIRE(got.rc == SWY_E_GONE);
    REQUIRE(got.cls == SWY_CLS_OVERLOADED);
    CAPTURE(got.message);
    REQUIRE(got.message.find("certificate") != std::string::npos);
  }

  config::Config config;
  config.destinations = {collector("https://127.0.0.1:1")};
  config.destinations[0].ca_file = folder.file("none.pem");
  const auto made = Destinations::make(config, {"collector"});
  REQUIRE_FALSE(made);
  REQUIRE(made.error().message.find("none.pem: no CA certificates in PEM") != std::string::npos);
}

TEST_CASE("plugin: Retry-After is seconds or a date", "[unit][plugin]") {
  constexpr std::uint64_t kNow = 784'111'777 * kSecond;  // Sun, 06 Nov 1994 08:49:37 GMT
  REQUIRE(retry_after_ms("0", kNow) == 0);
  REQUIRE(retry_after_ms("120", kNow) == 120'000);
  REQUIRE(retry_after_ms("86400", kNow) == 3'600'000);
  REQUIRE(retry_after_ms("99999999999999999999", kNow) == 0);
  REQUIRE(retry_after_ms("Sun, 06 Nov 1994 08:50:37 GMT", kNow) == 60'000);
  REQUIRE(retry_after_ms("Sun, 06 Nov 1994 08:49:37 GMT", kNow) == 0);
  REQUIRE(retry_after_ms("Sun, 06 Nov 1999 08:49:37 GMT", kNow) == 3'600'000);
  for (const char* bad : {"", "-1", "1.5", "soon", "Sun, 06 Nov 1994 08:50:37 GMT+1"}) {
    REQUIRE(retry_after_ms(bad, kNow) == 0);
  }
}

TEST_CASE("plugin: an unknown extension is none", "[unit][plugin]") {
  const swy_host* host = host_table();
  REQUIRE(host->ext(host, "swy.http/2") == nullptr);
  REQUIRE(host->ext(host, nullptr) == nullptr);
  REQUIRE(host->ext(host, SWY_HTTP_EXT) != nullptr);
}
