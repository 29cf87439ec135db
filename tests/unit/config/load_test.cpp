#include "loaded.hpp"

using namespace switchyard;
using namespace std::chrono_literals;

TEST_CASE("config: a text that is no JSON object is refused with its place", "[unit][config]") {
  const World world;
  CHECK(world.faults("") == ": line 1, column 1: The document is empty.");
  CHECK(world.faults("[]") == ": not an object");
  CHECK(world.faults("{\n  \"listen\": [,]\n}") == ": line 2, column 14: Invalid value.");
  CHECK(world.faults("{\"a\":1") ==
        ": line 1, column 7: Missing a comma or '}' after an object member.");
  CHECK(world.faults(std::string_view("{\0}", 3)) == ": line 1, column 2: a NUL byte");
  CHECK(world.faults("{\"a\":\"\xff\"}") == ": line 1, column 7: Invalid encoding in string.");
  CHECK(world.faults(std::string(100'000, '[')) ==
        ": line 1, column 65: nested deeper than 64 levels");
  CHECK(world.faults("{} {}") ==
        ": line 1, column 4: The document root must not be followed by other values.");
}

TEST_CASE("config: comments and trailing commas are allowed", "[unit][config]") {
  const World world;
  const auto config = world.config(R"(
    // a comment with { [ " in it
    { /* another { */ "workers": 3, "listen": ["127.0.0.1:9000",], })");
  CHECK(config.workers == 3);
  REQUIRE(config.listen.size() == 1);
  CHECK(config.listen[0].port == 9000);
}

TEST_CASE("config: every fault is told, with its pointer", "[unit][config]") {
  const World world;
  CHECK(world.faults(R"({
    "lisen": [], "workers": -1, "log": {"level": "loud"}, "state": 5,
    "limits": {"head_timeout": "soon", "body_bytes_max": "big", "head_bytes_mx": 1, "stream_max": "9999h"},
    "providers": {"Bad Id": {}, "p": {"timeouts": {"connect": 5}, "on_disconnect": "x"}},
    "models": {"fast": "p", "slow": ["q/m", "p/"]},
    "keys": [{"name": "a"}, {"name": "a", "mac": "12"}],
    "listen": ["localhost:80", "127.0.0.1:1", "127.0.0.1:1", 7, {"tls": {}}]
  })") == R"(/keys/0: has neither "key" nor "mac"
/keys/1/mac: found "12", expected 64 hexadecimal digits
/keys/1/name: a second key named "a"
/limits/body_bytes_max: found a string, expected an integer
/limits/head_bytes_mx: unknown key; did you mean "head_bytes_max"?
/limits/head_timeout: found "soon", expected a duration such as "500ms", "10s", "5m" or "1h"
/limits/stream_max: a duration of more than 30 days
/lisen: unknown key; did you mean "listen"?
/listen/0: "localhost:80": not an IP address; write 127.0.0.1 or [::1] for localhost
/listen/2: the same address as /listen/1
/listen/3: found an integer, expected a string or an object
/listen/4/tls: "certificate" is missing
/listen/4/tls: "key" is missing
/listen/4: "address" is missing
/log/level: found "loud", expected one of "trace", "debug", "info", "warn", "error", "off"
/models/fast: "p", expected "provider/model"
/models/slow/0: "q/m": there is no provider "q"
/models/slow/1: "p/", expected "provider/model"
/providers/Bad Id: not an id: expected 1 to 63 characters of a-z, 0-9, - and _, the first a letter or digit
/providers/p/on_disconnect: found "x", expected one of "cancel", "drain"
/providers/p/timeouts/connect: found an integer, expected a string
/state: found an integer, expected a string
/workers: found -1, expected at least 0)");
}

TEST_CASE("config: what has no known price is served unless it is to be refused",
          "[unit][config]") {
  const World world;
  CHECK(world.config("{}").unpriced_allowed);
  CHECK(world.config(R"({"prices":{"unpriced":"allow"}})").unpriced_allowed);
  CHECK_FALSE(world.config(R"({"prices":{"unpriced":"refuse"}})").unpriced_allowed);
  CHECK(world.faults(R"({"prices":{"unpriced":"free"}})") ==
        R"(/prices/unpriced: found "free", expected one of "allow", "refuse")");
}

TEST_CASE("config: a member given twice is a fault, however it is written", "[unit][config]") {
  const World world;
  CHECK(world.faults(R"({"workers":1,"log":{"level":"info","\u006cevel":"warn"},"workers":2})") ==
        "/log/level: given twice\n/workers: given twice");
  CHECK(world.faults(R"({"state":"a\u0000b"})") == "/state: holds a NUL character");
}

TEST_CASE("config: pointers escape what a pointer escapes", "[unit][config]") {
  const World world;
  CHECK(world.faults(R"({"models":{"a/b~c":"nowhere/x"}})") ==
        "/models/a~1b~0c: \"nowhere/x\": there is no provider \"nowhere\"");
}

TEST_CASE("config: base URLs are checked, and end without a slash", "[unit][config]") {
  const World world;
  const auto fault = [&](const std::string& url) {
    std::string text = world.faults(R"({"providers":{"p":{"base_url":")" + url + "\"}}}");
    const std::string before = "/providers/p/base_url: \"" + url + "\": ";
    CHECK(text.substr(0, before.size()) == before);
    return text.substr(std::min(before.size(), text.size()));
  };
  CHECK(fault("ftp://h") == "not a URL that starts with https:// or http://");
  CHECK(fault("h/v1") == "not a URL that starts with https:// or http://");
  CHECK(fault("https://") == "a URL whose host and port are not understood");
  CHECK(fault("https://:1") == "a URL whose host and port are not understood");
  CHECK(fault("https://h:") == "a URL whose host and port are not understood");
  CHECK(fault("https://h:0") == "a URL whose port is no number from 1 to 65535");
  CHECK(fault("https://h:65536") == "a URL whose port is no number from 1 to 65535");
  CHECK(fault("https://[::1") == "a URL whose host and port are not understood");
  CHECK(fault("https://h/v1?a=b") == "a base URL has no query and no fragment");
  CHECK(fault("https://h /v1") ==
        "a URL can't hold blanks, control characters or what is not ASCII");
  CHECK(fault("https://user@h") ==
        "a URL with a user or password; put the secret into credentials");
  CHECK(world.config(R"({"providers":{"p":{"base_url":"http://[::1]:8000/v1//"}}})")
            .providers[0]
            .base_url == "http://[::1]:8000/v1");
}

TEST_CASE("config: a provider has its dialect's address, family and file", "[unit][config]") {
  World world;
  world.environment = {"K=secret", "HOME=/h"};
  const auto config = world.config(R"({"providers":{
    "deepseek": {"credentials":[{"key":"${K}"},{"key":"${K}"}]},
    "mine": {"dialect":"xai","base_url":"https://eu.example/v2","settings":{"a":[1]}},
    "plain": {},
    "show": {"plugin":"demo"}}})");
  REQUIRE(config.providers.size() == 4);
  const auto& deepseek = config.providers[0];
  CHECK(deepseek.plugin == "openai");
  CHECK(deepseek.family == "deepseek");
  CHECK(deepseek.base_url == "https://api.deepseek.example/v1");
  REQUIRE(deepseek.credentials.size() == 2);
  CHECK(deepseek.credentials[0].name == "default");
  CHECK(deepseek.credentials[1].name == "2");
  CHECK(deepseek.credentials[0].key.reveal() == "secret");
  CHECK(deepseek.models.empty());
  CHECK(
      config.providers[1].plugin_json ==
      R"({"dialect":{"base_url":"https://api.xai.example/v1","key_env":"XAI_API_KEY","key_optional":true},)"
      R"("base_url":"https://eu.example/v2","responses":false,"settings":{"a":[1]}})");
  CHECK(config.providers[2].family == "openai");
  CHECK(config.providers[3].family == "demo");
  CHECK(config.providers[3].plugin_json == R"({"base_url":"","settings":{}})");
}

TEST_CASE("config: dialects that are unknown, faulty or without an address", "[unit][config]") {
  World world;
  CHECK(world.faults(R"({"providers":{"p":{"dialect":"depseek"}}})") ==
        "/providers/p/dialect: unknown dialect \"depseek\"; did you mean \"deepseek\"? Known: "
        "deepseek, openai, vllm, xai");
  CHECK(world.faults(R"({"providers":{"p":{"dialect":"zzzzzz"}}})") ==
        "/providers/p/dialect: unknown dialect \"zzzzzz\"; known: deepseek, openai, vllm, xai");
  CHECK(world.faults(R"({"providers":{"p":{"dialect":"vllm"}}})") ==
        "/providers/p: \"base_url\" is missing: the dialect \"vllm\" has none");
  CHECK(world.faults(R"({"providers":{"p":{"plugin":"demo","dialect":"vllm"}}})") ==
        "/providers/p/dialect: the plugin \"demo\" has no dialects; they belong to \"openai\"");
  world.dialect("broken", "{");
  CHECK(world.faults(R"({"providers":{"p":{"dialect":"broken"}}})") ==
        "/providers/p/dialect: " + (world.scratch().path() / "data/dialects/broken.json").string() +
            ": line 1, column 2: Missing a name for object member.");
}

TEST_CASE("config: a vendor's address needs a key", "[unit][config]") {
  World world;
  world.dialect("strict", R"({"base_url":"https://s.example","key_env":"STRICT_KEY"})");
  CHECK(world.faults(R"({"providers":{"strict":{}}})") ==
        "/providers/strict: \"credentials\" is missing: https://s.example answers nobody without a "
        "key; such as [{\"key\": \"${STRICT_KEY}\"}]");
  CHECK(world.faults(R"({"providers":{"strict":{"base_url":"http://127.0.0.1:9"}}})").empty());
  CHECK(world.faults(R"({"providers":{"strict":{"credentials":[]}}})").empty());
}

TEST_CASE("config: a dialect beside the configuration comes first and is checked",
          "[unit][config]") {
  World world;
  world.scratch().write("dialects/xai.json", R"({"base_url":"https://own.example"})");
  CHECK(world.config(R"({"providers":{"xai":{}}})").providers[0].base_url == "https://own.example");

  world.scratch().write(
      "data/dialect.schema.json",
      R"({"type":"object","required":["auth"],"properties":{"base_url":{"type":"string"}},
                            "additionalProperties":false})");
  CHECK(world.faults(R"({"providers":{"xai":{}}})") ==
        "/providers/xai: " + (world.scratch().path() / "dialects/xai.json").string() +
            ": \"auth\" is missing");
}

TEST_CASE("config: header fields, proxies and credentials are checked", "[unit][config]") {
  World world;
  world.environment = {"K=one\ntwo", "HOME=/h"};
  CHECK(world.faults(R"({"providers":{"p":{
    "headers":{"Host":"x","a b":"x","X-A":"1","x-a":"2","X-B":"a\r\nb"},
    "proxy":"https://h:1",
    "credentials":[{"name":"a","key":"${K}"},{"name":"a","key":"file:nothing"},{"name":"c"}],
    "tls":{"ca_file":"absent.pem"}}}})") ==
        R"(/providers/p/credentials/0/key: ${K} holds a line break or another control character
/providers/p/credentials/1/key: )" +
            (world.scratch().path() / "nothing").string() +
            R"(: No such file or directory
/providers/p/credentials/1/name: a second credential named "a"
/providers/p/credentials/2: "key" is missing
/providers/p/headers/Host: this header field is the gateway's own
/providers/p/headers/X-B: holds a line break or another control character
/providers/p/headers/a b: not a header field's name
/providers/p/headers/x-a: given twice; case makes no difference in these names
/providers/p/proxy: expected http://HOST:PORT or none
/providers/p/tls/ca_file: )" +
            (world.scratch().path() / "absent.pem").string() + ": No such file or directory");
}

TEST_CASE("config: trusted proxies are addresses and ranges", "[unit][config]") {
  const World world;
  CHECK(world.config("{}").trusted_proxies.empty());
  CHECK(world.config(R"({"trusted_proxies":["10.0.0.0/8","::1"]})").trusted_proxies.size() == 2);
  CHECK(world.faults(R"({"trusted_proxies":["10.0.0.0/8","proxy.example","10.0.0.1/8"]})") ==
        "/trusted_proxies/1: \"proxy.example\": expected an address or a range such as 10.0.0.0/8\n"
        "/trusted_proxies/2: \"10.0.0.1/8\": expected an address or a range such as 10.0.0.0/8");
}

TEST_CASE("config: limits and durations are taken over", "[unit][config]") {
  const World world;
  const auto limits =
      world
          .config(R"({"limits":{"head_bytes_max":4096,"target_bytes_max":2048,"headers_max":50,
    "body_bytes_max":1048576,"json_depth_max":32,"head_timeout":"1500ms","tls_timeout":"2s","body_timeout":"3m",
    "keep_alive_timeout":"1h","write_timeout":"4s","stream_max":"5s","session_idle":"6s","drain_timeout":"0s",
    "body_bytes_per_s_min":7,"connections_max":8,"connections_per_ip_max":9}})")
          .limits;
  CHECK(limits.head_bytes_max == 4096);
  CHECK(limits.target_bytes_max == 2048);
  CHECK(limits.headers_max == 50);
  CHECK(limits.body_bytes_max == 1048576);
  CHECK(limits.json_depth_max == 32);
  CHECK(limits.head_timeout == 1500ms);
  CHECK(limits.tls_timeout == 2s);
  CHECK(limits.body_timeout == 3min);
  CHECK(limits.keep_alive_timeout == 1h);
  CHECK(limits.write_timeout == 4s);
  CHECK(limits.stream_max == 5s);
  CHECK(limits.session_idle == 6s);
  CHECK(limits.drain_timeout == 0s);
  CHECK(limits.body_bytes_per_s_min == 7);
  CHECK(limits.connections_max == 8);
  CHECK(limits.connections_per_ip_max == 9);
  CHECK(world.faults(R"({"limits":{"head_bytes_max":2048,"target_bytes_max":4096}})") ==
        "/limits/target_bytes_max: more than head_bytes_max, which the target is a part of");
}

TEST_CASE("config: paths start at the configuration's directory", "[unit][config]") {
  const World world;
  world.scratch().write("tls/cert.pem", "c");
  world.scratch().write("tls/key.pem", "k");
  const auto config = world.config(R"({"state":"var","plugins":{"directory":"plug"},
    "listen":[{"address":"0.0.0.0:8443","tls":{"certificate":"tls/cert.pem","key":"tls/key.pem"}}]})");
  const auto here = world.scratch().path();
  CHECK(config.state == here / "var");
  CHECK(config.plugins.directory == here / "plug");
  CHECK(config.listen[0].address == "0.0.0.0");
  CHECK(config.listen[0].tls->certificate == here / "tls/cert.pem");
  CHECK(config.loggers.size() == 1);
  CHECK(config.loggers[0].config_json ==
        R"({"path":")" + (here / "var/records.jsonl").string() + "\"}");
}

TEST_CASE("config: plugins are neither watched nor required to be pinned unless it says so",
          "[unit][config]") {
  const World world;
  const auto plain = world.load("{}");
  REQUIRE(plain);
  CHECK_FALSE((*plain)->plugins.watch);
  CHECK_FALSE((*plain)->plugins.require_pins);
  const auto asked = world.load(R"({"plugins":{"watch":true,"require_pins":true}})");
  REQUIRE(asked);
  CHECK((*asked)->plugins.watch);
  CHECK((*asked)->plugins.require_pins);
  CHECK(world.faults(R"({"plugins":{"watch":"yes"}})").starts_with("/plugins/watch: "));
}

TEST_CASE("config: a listener can't take the admin listener's address", "[unit][config]") {
  const World world;
  CHECK(world.faults(R"({"listen":["127.0.0.1:8081"]})") ==
        "/listen/0: the address of the admin listener; set /admin/listen to another");
  CHECK(world.faults(R"({"admin":{"listen":"127.0.0.1:8080"}})") ==
        "/admin/listen: the same address as /listen");
  CHECK(world.faults(R"({"listen":["127.0.0.1:0","127.0.0.1:0"],"admin":{"listen":"127.0.0.1:0"}})")
            .empty());
}

TEST_CASE("config: the state directory needs a place", "[unit][config]") {
  World world;
  world.environment = {"PATH=/bin"};
  CHECK(world.faults("{}") ==
        "/state: not set, and neither XDG_STATE_HOME nor HOME says where it would be");
  CHECK(config::default_state_directory({"XDG_STATE_HOME=relative", "HOME=/h"}) ==
        "/h/.local/state/switchyard");
  CHECK(config::default_state_directory({"XDG_STATE_HOME=/s", "HOME=/h"}) == "/s/switchyard");
}

TEST_CASE("config: a missing file or schema is told, not thrown", "[unit][config]") {
  World world;
  const auto loaded = config::load(world.options());
  REQUIRE_FALSE(loaded);
  CHECK(loaded.error()[0].message ==
        "can't be read: " + world.options().file.string() + ": No such file or directory");
  std::filesystem::remove(world.scratch().path() / "data/switchyard.schema.json");
  CHECK(world.faults("{}").find("the schema can't be read") != std::string::npos);
}

TEST_CASE("config: destinations, and the loggers that may post to them", "[unit][config]") {
  World world;
  world.environment = {"HOME=/h", "TOKEN=canary-1234", "TENANT=t1"};
  const auto config = world.config(R"({
    "destinations": {
      "plain": {"url": "http://127.0.0.1:4318/"},
      "remote": {"url": "http://collector.example:4318", "headers": {"X-Tenant": "${TENANT}"},
                 "credential": {"value": "${TOKEN}", "prefix": "Bearer "}, "timeout": "3s", "proxy": "none"},
      "idle": {"url": "https://idle.example", "credential": {"header": "Api-Key", "value": "${TOKEN}"}}},
    "loggers": [{"plugin": "jsonl"}, {"plugin": "otlp", "destinations": ["remote", "plain"]}]})");
  REQUIRE(config.destinations.size() == 3);
  CHECK(config.destinations[0].url == "http://127.0.0.1:4318");
  CHECK(config.destinations[0].credential_header.empty());
  CHECK(config.destinations[0].timeout == 10s);
  const auto& remote = config.destinations[1];
  CHECK(remote.headers.at("X-Tenant") == "t1");
  CHECK(remote.credential_header == "authorization");
  CHECK(remote.credential_prefix == "Bearer ");
  CHECK(remote.credential.reveal() == "canary-1234");
  CHECK(remote.timeout == 3s);
  CHECK(remote.proxy == "none");
  CHECK(config.loggers[0].destinations.empty());
  CHECK(config.loggers[1].destinations == std::vector<std::string>{"remote", "plain"});

  const std::string described = config::describe(config);
  CHECK(described.find("posts to    remote, plain\n") != std::string::npos);
  CHECK(described.find("  idle        https://idle.example, credential in Api-Key\n") !=
        std::string::npos);
  CHECK(described.find("canary") == std::string::npos);
  const auto warned = config::warnings(config);
  const auto has = [&](const std::string& one) {
    return std::find(warned.begin(), warned.end(), one) != warned.end();
  };
  CHECK(
      has("destination remote: records and its credential go to collector.example:4318 in clear; "
          "https:// would protect them"));
  CHECK(has("destination idle: no logger lists it"));
  CHECK(std::none_of(warned.begin(), warned.end(), [](const std::string& one) {
    return one.find("plain") != std::string::npos;
  }));
}

TEST_CASE("config: faults of destinations are told, without what is secret", "[unit][config]") {
  World world;
  world.environment = {"HOME=/h", "TOKEN=canary-1234"};
  CHECK(
      world.faults(R"({
    "destinations": {
      "Bad": {"url": "https://h"},
      "a": {"url": "collector:4318", "timeout": "soon", "hedaers": {}},
      "b": {"credential": {"value": "canary-5678"}},
      "c": {"url": "https://h", "headers": {"api-key": "x", "host": "y", "ok": "1", "OK": "2"},
            "credential": {"header": "Api-Key", "value": "${TOKEN:-canary-9}"}},
      "d": {"url": "https://h", "credential": {"header": "content-length", "value": "file:none"}},
      "e": {"url": "https://h", "tls": {"ca_file": "none.pem"}, "credential": {"prefix": "x"}}},
    "loggers": [{"plugin": "otlp", "destinations": ["a", "f", "collector"]}]})") ==
      R"(/destinations/Bad: not an id: expected 1 to 63 characters of a-z, 0-9, - and _, the first a letter or digit
/destinations/a/hedaers: unknown key; did you mean "headers"?
/destinations/a/timeout: found "soon", expected a duration such as "500ms", "10s", "5m" or "1h"
/destinations/a/url: "collector:4318": not a URL that starts with https:// or http://
/destinations/b/credential/value: a secret in clear; name where it is instead: "${VARIABLE}" or "file:PATH"
/destinations/b: "url" is missing
/destinations/c/credential/value: a default would be a secret in clear; write "${VARIABLE}" or "file:PATH"
/destinations/c/headers/OK: given twice; case makes no difference in these names
/destinations/c/headers/api-key: the header field of the credential
/destinations/c/headers/host: this header field is the gateway's own
/destinations/d/credential/header: this header field is the gateway's own
/destinations/d/credential/value: )" +
          (world.scratch().path() / "none").string() + R"(: No such file or directory
/destinations/e/credential: "value" is missing
/destinations/e/tls/ca_file: )" +
          (world.scratch().path() / "none.pem").string() + R"(: No such file or directory
/loggers/0/destinations/1: there is no destination "f"
/loggers/0/destinations/2: there is no destination "collector")");
}

TEST_CASE("config: further origins are hosts, without paths", "[unit][config]") {
  const World world;
  const auto with = [](const char* origin) {
    return R"({"providers":{"p":{"base_url":"https://a.example/v1","origins":[")" +
           std::string(origin) + R"("]}}})";
  };
  const auto loaded = world.config(with("https://files.example:8443"));
  CHECK(loaded.providers[0].origins == std::vector<std::string>{"https://files.example:8443"});
  CHECK(world.faults(with("https://files.example/v1")) ==
        "/providers/p/origins/0: https://files.example/v1: expected nothing behind host and port");
  CHECK_FALSE(world.faults(with("files.example")).empty());
}

TEST_CASE("config: how long records are kept, and how many", "[unit][config]") {
  const World world;
  const auto given = world.load(
      R"({"records":{"enabled":false,"keep":"7d","size_max":"250MB","usage_keep":"31d","plans_one_in":0}})");
  REQUIRE(given);
  const config::Records& records = (*given)->records;
  CHECK_FALSE(records.enabled);
  CHECK(records.keep == std::chrono::hours(7 * 24));
  CHECK(records.size_max == 250'000'000);
  CHECK(records.usage_keep == std::chrono::hours(31 * 24));
  CHECK(records.plans_one_in == 0);
  const auto left_out = world.load(R"({"records":{"size_max":"2TB"}})");
  REQUIRE(left_out);
  CHECK((*left_out)->records.enabled);
  CHECK((*left_out)->records.keep == std::chrono::hours(30 * 24));
  CHECK((*left_out)->records.size_max == 2'000'000'000'000);
  for (const char* wrong :
       {R"({"keep":"0d"})", R"({"keep":"30"})", R"({"keep":"12h"})", R"({"size_max":"10"})",
        R"({"size_max":"0GB"})", R"({"plans_one_in":-1})", R"({"keeps":"30d"})"}) {
    CAPTURE(wrong);
    CHECK(world.faults(std::string(R"({"records":)") + wrong + "}").find("/records") !=
          std::string::npos);
  }
  CHECK(world.faults(R"({"records":{"keep":"60d","usage_keep":"30d"}})")
            .find("/records/usage_keep") != std::string::npos);
}
