#include <sstream>
#include <tuple>

#include "loaded.hpp"

using namespace switchyard;
namespace fs = std::filesystem;

namespace {

std::string ids(const config::Config& config) {
  std::string text;
  for (const config::Provider& each : config.providers) text += each.id + " ";
  return text;
}

config::Config embedded(config::LoadOptions options) {
  options.file.clear();
  const auto loaded = config::load(options);
  if (!loaded) FAIL(loaded.error()[0].pointer + ": " + loaded.error()[0].message);
  return **loaded;
}

}  // namespace

TEST_CASE("config: the embedded default serves the demo on loopback", "[unit][config]") {
  const World world;
  const auto config = embedded(world.options());
  CHECK(ids(config) == "demo ");
  REQUIRE(config.listen.size() == 1);
  CHECK(config.listen[0].address == "127.0.0.1");
  CHECK(config.listen[0].port == 8080);
  CHECK(config.admin.port == 8081);
  CHECK(config.state == "/home/somebody/.local/state/switchyard");
  REQUIRE(config.loggers.size() == 1);
  CHECK(config.loggers[0].plugin == "jsonl");
  CHECK(config.loggers[0].config_json ==
        R"({"path":"/home/somebody/.local/state/switchyard/records.jsonl"})");
  CHECK(config.source.empty());
  CHECK(config::warnings(config).empty());
}

TEST_CASE("config: each dialect whose key variable is set becomes a provider", "[unit][config]") {
  World world;
  world.dialect("zzz-other", R"({"base_url":"https://z.example","key_env":"OPENAI_API_KEY"})");
  world.dialect("broken", "{");
  world.environment = {"HOME=/h", "OPENAI_API_KEY=k1", "XAI_API_KEY=k2", "DEEPSEEK_API_KEY="};
  const auto config = embedded(world.options());
  CHECK(ids(config) == "demo openai xai ");  // an empty key is none, and one variable serves one
  CHECK(config.providers[1].credentials[0].key.reveal() == "k1");
  CHECK(config.providers[2].base_url == "https://api.xai.example/v1");
  CHECK(config.providers[2].family == "xai");
}

TEST_CASE("config: a plugin with an API of its own comes before a dialect with its key",
          "[unit][config]") {
  World world;
  world.dialect("claude", R"({"base_url":"https://compat.example","key_env":"CLAUDE_KEY"})");
  world.scratch().write("data/providers/claude.json",
                        R"({"base_url":"https://own.example/v1","key_env":"CLAUDE_KEY"})");
  world.scratch().write("data/providers/broken.json", "{");
  world.environment = {"HOME=/h", "CLAUDE_KEY=k1"};
  const auto found = embedded(world.options());
  CHECK(ids(found) == "demo claude ");
  CHECK(found.providers[1].plugin == "claude");
  CHECK(found.providers[1].family == "claude");
  CHECK(found.providers[1].base_url == "https://own.example/v1");
  CHECK(found.providers[1].plugin_json == R"({"base_url":"https://own.example/v1","settings":{}})");

  // Named by its id alone it is the plugin, with a dialect or an address the openai plugin.
  const auto plugin = [&](const std::string& members) {
    const auto config = world.config(R"({"providers":{"claude":{)" + members +
                                     R"("credentials":[{"key":"${CLAUDE_KEY}"}]}}})");
    return config.providers[0].plugin + " " + config.providers[0].base_url;
  };
  CHECK(plugin("") == "claude https://own.example/v1");
  CHECK(plugin(R"("plugin":"claude","base_url":"https://x.example/v2",)") ==
        "claude https://x.example/v2");
  CHECK(plugin(R"("dialect":"claude",)") == "openai https://compat.example");
  CHECK(plugin(R"("base_url":"https://x.example",)") == "openai https://x.example");
  CHECK(world.faults(R"({"providers":{"claude":{}}})").find("\"credentials\" is missing") !=
        std::string::npos);
}

TEST_CASE("config: local servers that answer are taken with their models", "[unit][config]") {
  const World world;
  auto options = world.options();
  options.probe = [](const std::string& url) -> std::optional<std::vector<std::string>> {
    if (url == "http://127.0.0.1:11434/v1") return std::vector<std::string>{"llama", "qwen:7b"};
    if (url == "http://127.0.0.1:8000/v1") return std::vector<std::string>{"our-model"};
    FAIL("asked " + url);
    return std::nullopt;
  };
  const auto config = embedded(options);
  CHECK(ids(config) == "demo ollama vllm ");
  CHECK(config.providers[1].base_url == "http://127.0.0.1:11434/v1");
  CHECK(config.providers[1].family == "openai");  // this world has no dialect named ollama
  CHECK(config.providers[1].models == std::vector<std::string>{"llama", "qwen:7b"});
  CHECK(config.providers[2].family == "vllm");
  CHECK(config.providers[2].credentials.empty());
}

TEST_CASE("config: providers that are named are not joined by others", "[unit][config]") {
  World world;
  world.environment = {"HOME=/h", "OPENAI_API_KEY=k1"};
  auto options = world.options();
  options.probe = [](const std::string&) -> std::optional<std::vector<std::string>> {
    FAIL("asked");
    return std::nullopt;
  };
  const auto loaded = config::load_text(R"({"providers":{"p":{"plugin":"demo"}}})", options);
  REQUIRE(loaded);
  CHECK(ids(**loaded) == "p ");
}

TEST_CASE("config: the shipped file means the same as none", "[unit][config]") {
  World world;
  world.environment = {"HOME=/h", "OPENAI_API_KEY=k1"};
  auto options = world.options();
  const auto by_default = embedded(options);
  options.file = fs::path(SWITCHYARD_SOURCE_DIR) / "config" / "switchyard.json";
  const auto loaded = config::load(options);
  if (!loaded) FAIL(loaded.error()[0].pointer + ": " + loaded.error()[0].message);
  config::Config shipped = **loaded;
  CHECK(shipped.source == options.file);
  shipped.source.clear();
  CHECK(config::describe(shipped) == config::describe(by_default));

  const auto& a = shipped.limits;
  const auto& b = by_default.limits;
  CHECK(std::tie(a.head_bytes_max, a.target_bytes_max, a.headers_max, a.body_bytes_max,
                 a.json_depth_max, a.head_timeout, a.tls_timeout, a.body_timeout) ==
        std::tie(b.head_bytes_max, b.target_bytes_max, b.headers_max, b.body_bytes_max,
                 b.json_depth_max, b.head_timeout, b.tls_timeout, b.body_timeout));
  CHECK(
      std::tie(a.keep_alive_timeout, a.write_timeout, a.stream_max, a.session_idle, a.drain_timeout,
               a.body_bytes_per_s_min, a.connections_max, a.connections_per_ip_max) ==
      std::tie(b.keep_alive_timeout, b.write_timeout, b.stream_max, b.session_idle, b.drain_timeout,
               b.body_bytes_per_s_min, b.connections_max, b.connections_per_ip_max));
}

TEST_CASE("config: the shipped file holds with its samples switched on", "[unit][config]") {
  World world;
  world.scratch().write("tls/cert.pem", "c");
  world.scratch().write("tls/key.pem", "k");
  world.scratch().write("deepseek.key", "k2");
  world.environment = {"HOME=/h",         "OPENAI_API_KEY=k1",       "APP_KEY=k3",
                       "EU_KEY=k7",       "NIGHTLY_KEY=k8",          "OTLP_TOKEN=k4",
                       "ALERT_SECRET=k5", "STRIPE_SIGNING_SECRET=k6"};
  const auto text = std::ifstream(fs::path(SWITCHYARD_SOURCE_DIR) / "config" / "switchyard.json");
  std::stringstream all;
  all << text.rdbuf();
  std::string samples;
  bool inside = false;
  for (std::string line; std::getline(all, line);) {
    inside = inside || line == "{";
    const std::size_t comment = line.find_first_not_of(' ');
    const bool sample =
        inside && comment != std::string::npos && line.substr(comment, 3) == "// " &&
        line.find_first_of("\"{}[]", comment + 3) == line.find_first_not_of(' ', comment + 3);
    samples += (sample ? line.substr(comment + 3) : line) + '\n';
  }
  const std::string place = "file:/run/secrets/deepseek";
  samples.replace(samples.find(place), place.size(), "file:deepseek.key");
  const auto config = world.config(samples);
  CHECK(ids(config) == "demo openai deepseek own ");
  CHECK(config.models.size() == 4);
  CHECK(config.keys.size() == 3);
  CHECK(config.features.size() == 1);
  CHECK(config.listen.size() == 2);
  CHECK(config.state == "/var/lib/switchyard");
}

TEST_CASE("config: every shipped example loads", "[unit][config]") {
  World world;
  world.scratch().write("cert.pem", "c");
  world.scratch().write("key.pem", "k");
  world.scratch().write("openai", "k\n");
  const std::string here = world.scratch().path().string();
  world.environment = {"HOME=/h",
                       "OPENAI_API_KEY=a",
                       "OPENAI_API_KEY_2=b",
                       "APP_KEY=c",
                       "NOTEBOOKS_KEY=d",
                       "DEEPSEEK_API_KEY=e",
                       "AWS_ACCESS_KEY_ID=f",
                       "AWS_SECRET_ACCESS_KEY=g",
                       "KLING_ACCESS_KEY=h",
                       "KLING_SECRET_KEY=i",
                       "SPARK_API_SECRET=q",
                       "SPARK_APP_ID=r",
                       "SPARK_API_KEY=s",
                       "ANTHROPIC_API_KEY=j",
                       "JINA_API_KEY=k",
                       "DASHSCOPE_API_KEY=l",
                       "ZAI_API_KEY=m",
                       "ARK_API_KEY=n",
                       "WEBSITE_KEY=o",
                       "DEVELOPERS_KEY=p",
                       "APP_CN_KEY=q",
                       "NIGHTLY_KEY=r",
                       "TLS_DIRECTORY=" + here,
                       "CREDENTIALS_DIRECTORY=" + here};
  for (const char* name : {"anthropic", "doubao", "glm", "jina", "qwen"}) {
    world.dialect(name, R"({"base_url":"https://vendor.example/v1"})");
  }
  std::size_t examples = 0;
  for (const auto& entry :
       fs::directory_iterator(fs::path(SWITCHYARD_SOURCE_DIR) / "config" / "examples")) {
    ++examples;
    auto options = world.options();
    options.file = entry.path();
    CAPTURE(options.file);
    const auto loaded = config::load(options);
    if (!loaded) FAIL(loaded.error()[0].pointer + ": " + loaded.error()[0].message);
  }
  CHECK(examples >= 3);
}

TEST_CASE("config: every shipped dialect loads with its key, and is found by it",
          "[unit][config]") {
  const fs::path source = SWITCHYARD_SOURCE_DIR;
  config::LoadOptions options;
  options.data_directory = source / "config";
  options.environment = {"HOME=/h"};
  options.probe = [](const std::string&) { return std::nullopt; };
  std::string text;
  std::size_t keyed = 0;
  for (const auto& entry :
       fs::directory_iterator(source / "plugins" / "providers" / "openai" / "dialects")) {
    const std::string name = entry.path().stem().string();
    std::ifstream file(entry.path());
    const std::string json((std::istreambuf_iterator<char>(file)), {});
    // Where everybody has an address of their own the configuration says it, and nothing is found.
    const bool placed = json.find("\"base_url\"") != std::string::npos;
    text += '"' + name + R"(":{"dialect":")" + name + R"(","credentials":[{"key":"${KEY}"}])" +
            (placed ? "" : R"(,"base_url":"https://me.example/v1")") + "},";
    if (!placed) continue;
    const std::size_t at = json.find("_API_KEY\"");
    if (at == std::string::npos || name == "vllm" || name == "ollama") continue;
    ++keyed;
    options.environment.push_back(
        json.substr(json.rfind('"', at) + 1, at - json.rfind('"', at) + 7) + "=k");
  }
  options.environment.push_back("KEY=k");
  const auto loaded = config::load_text("{\"providers\":{" + text + "}}", options);
  if (!loaded) FAIL(loaded.error()[0].pointer + ": " + loaded.error()[0].message);
  CHECK((*loaded)->providers.size() >= 12);
  CHECK(embedded(options).providers.size() == keyed + 1);
}

TEST_CASE("config: describe says who is served, by whom, with what", "[unit][config]") {
  World world;
  world.environment = {"HOME=/h", "K=secret"};
  const auto config = world.config(R"({
    "listen":["[::]:9000","127.0.0.1:0"],"state":"/s","workers":2,
    "providers":{
      "deepseek":{"credentials":[{"name":"eu","key":"${K}"}]},
      "own":{"dialect":"vllm","base_url":"http://10.0.0.5:8000/v1","models":["*"],
             "credentials":[{"key":"${K}"}],"proxy":"none","on_disconnect":"drain"},
      "show":{"plugin":"demo"}},
    "models":{"smart":["deepseek/pro","own/x"]},
    "loggers":[{"plugin":"jsonl","config":{"path":"/r"}}]})");
  CHECK(config::describe(config) == world.options().file.string() + R"(
  listen      http://[::]:9000
  listen      http://127.0.0.1:(any free port)
  admin       http://127.0.0.1:8081
  state       /s
  workers     2
3 providers
  deepseek (plugin openai, dialect deepseek)
    at          https://api.deepseek.example/v1
    credentials 1 (eu), sent to api.deepseek.example:443 only
    models      those in the catalog for deepseek
  own (plugin openai, dialect vllm)
    at          http://10.0.0.5:8000/v1
    credentials 1 (default), sent to 10.0.0.5:8000 only
    models      any
    proxy       none
    on leaving  drain
  show (plugin demo)
    credentials none sent
    models      those in the catalog for demo
aliases
  smart       -> deepseek/pro, own/x
0 gateway keys configured
records kept for 30 days and up to 10000 MB, their sums for 400 days
1 logger
  jsonl       {"path":"/r"}
)");
  CHECK(config::warnings(config) ==
        std::vector<std::string>{
            "http://[::]:9000 is beyond loopback and no gateway key is configured; it is served "
            "only once `switchyard key create` has made one",
            "http://[::]:9000 is beyond loopback without TLS: gateway keys cross the network in "
            "clear",
            "provider own: its credentials go to 10.0.0.5:8000 in clear; https:// would protect "
            "them"});
}
