#include "core/admin/api.hpp"

#include <httplib.h>
#include <rapidjson/document.h>
#include <spdlog/spdlog.h>

#include <thread>

#include "core/observe/log.hpp"

using namespace switchyard;
using namespace switchyard::admin;

namespace {

constexpr char kToken[] = "an-admin-token-of-the-test";

struct FakeBackend : AdminBackend {
  Answer explain_route(const std::string& body) override { return {200, body}; }
  config::Faults faults;
  std::uint64_t generation = 1;
  bool throws = false;

  std::string metrics_text() override { return "# HELP a b\n"; }
  std::string status_json() override {
    if (throws) throw std::runtime_error("secret detail");
    return R"({"version":"0"})";
  }
  std::string plugins_json() override { return "[]"; }
  std::string providers_json() override { return R"([{"id":"demo"}])"; }
  std::string routes_json() override { return R"([{"alias":"fast"}])"; }
  std::string breakers_json(bool) override { return R"({"data":[]})"; }
  std::optional<std::string> set_breaker(const std::string&, State) override {
    return std::nullopt;
  }
  std::string config_text() override { return "listens on 127.0.0.1:8080\n"; }
  config::Faults check_config(const std::string&) override { return faults; }
  Result<std::uint64_t, ConfigRefusal> apply_config(const std::string& text) override {
    if (!faults.empty()) {
      ConfigRefusal refused;
      refused.faults = faults;
      return refused;
    }
    applied = text;
    return ++generation;
  }
  Result<std::string> config_file_text() override { return applied; }
  const config::History& config_history() override { return history; }
  Result<std::uint64_t, config::Faults> reload() override {
    if (!faults.empty()) return faults;
    return ++generation;
  }
  PluginResult change(const std::string& what) {
    changes.push_back(what);
    if (refusal.status != 0) return refusal;
    return std::string(R"({"file":"x.so"})");
  }
  PluginResult swap_plugin(const std::string& file) override { return change("swap " + file); }
  PluginResult shadow_plugin(const std::string& file, const ShadowTerms& terms) override {
    return change("shadow " + file + " " + std::to_string(terms.decisions) + " " +
                  std::to_string(terms.time.count()) + " " + std::to_string(terms.agree_percent));
  }
  PluginResult rollback_plugin(const std::string& file) override {
    return change("rollback " + file);
  }
  PluginResult release_plugin(const std::string& sha256) override {
    return change("release " + sha256);
  }
  std::vector<std::string> changes;
  std::string applied;
  config::History history{"/none"};
  PluginRefusal refusal{0, "", ""};
};

config::Listen anywhere() { return {"127.0.0.1", 0, std::nullopt}; }

struct Fixture {
  FakeBackend backend;
  std::unique_ptr<Server> server =
      std::move(*Server::start(anywhere(), Secret(kToken), make_routes(backend)));
  httplib::Client client{"127.0.0.1", server->port()};

  Fixture() { spdlog::set_level(spdlog::level::off); }
  ~Fixture() { spdlog::set_level(spdlog::level::info); }

  void sign_in() { client.set_bearer_token_auth(kToken); }
};

std::string code_of(const httplib::Result& result) {
  REQUIRE(result);
  REQUIRE(result->get_header_value("Content-Type") == "application/json");
  rapidjson::Document document;
  document.Parse(result->body);
  REQUIRE(document.IsObject());
  REQUIRE(document.HasMember("error"));
  REQUIRE(document["error"]["message"].IsString());
  REQUIRE(document["error"]["type"].IsString());
  return document["error"]["code"].GetString();
}

}  // namespace

TEST_CASE_METHOD(Fixture, "admin: nothing under /admin answers without the token",
                 "[unit][admin]") {
  for (const char* path : {"/admin/v1/status", "/admin/v1/plugins", "/admin/v1/providers",
                           "/admin/v1/config", "/admin/v1/log-level", "/admin/v1/unknown"}) {
    CAPTURE(path);
    const auto answer = client.Get(path);
    REQUIRE(answer);
    REQUIRE(answer->status == 401);
    REQUIRE(code_of(answer) == "invalid_admin_token");
    REQUIRE(answer->get_header_value("WWW-Authenticate") == "Bearer");
  }
  REQUIRE(client.Post("/admin/v1/reload")->status == 401);
  REQUIRE(client.Post("/admin/v1/plugins/swap", R"({"file":"x.so"})", "application/json")->status ==
          401);
  REQUIRE(backend.changes.empty());
  REQUIRE(client.Put("/admin/v1/log-level", R"({"level":"debug"})", "application/json")->status ==
          401);
  REQUIRE(backend.generation == 1);
}

TEST_CASE_METHOD(Fixture, "admin: a token that is nearly right is wrong", "[unit][admin]") {
  const std::string right = kToken;
  for (const std::string& header :
       {std::string("Bearer"), std::string("Bearer "), "Bearer " + right + "x",
        "Bearer " + right.substr(1), "Basic " + right, right, "Bearer  " + right}) {
    CAPTURE(header);
    const auto answer = client.Get("/admin/v1/status", {{"Authorization", header}});
    REQUIRE(answer);
    REQUIRE(answer->status == 401);
  }
  REQUIRE(client.Get("/admin/v1/status", {{"Authorization", "bearer " + right}})->status == 200);
}

TEST_CASE("admin: an empty token lets nobody in", "[unit][admin]") {
  FakeBackend backend;
  const auto server = std::move(*Server::start(anywhere(), Secret(), make_routes(backend)));
  httplib::Client client{"127.0.0.1", server->port()};
  REQUIRE(client.Get("/admin/v1/status", {{"Authorization", "Bearer "}})->status == 401);
}

TEST_CASE_METHOD(Fixture, "admin: the token opens every route", "[unit][admin]") {
  sign_in();
  REQUIRE(client.Get("/admin/v1/status")->body == R"({"version":"0"})");
  REQUIRE(client.Get("/admin/v1/plugins")->body == "[]");
  REQUIRE(client.Get("/admin/v1/providers")->body == R"([{"id":"demo"}])");
  const auto text = client.Get("/admin/v1/config");
  REQUIRE(text->body == "listens on 127.0.0.1:8080\n");
  REQUIRE(text->get_header_value("Content-Type") == "text/plain; charset=utf-8");
  REQUIRE(text->get_header_value("Cache-Control") == "no-store");
}

TEST_CASE_METHOD(Fixture, "admin: a plugin is named by its file, never by a path",
                 "[unit][admin]") {
  sign_in();
  const auto post = [this](const char* path, const std::string& body) {
    return client.Post(path, body, "application/json");
  };
  for (const char* body :
       {"", "{}", R"({"file":1})", R"({"file":"x.so","path":"/tmp/x.so"})", R"(["x.so"])"}) {
    CAPTURE(body);
    CHECK(code_of(post("/admin/v1/plugins/swap", body)) == "bad_body");
  }
  for (const char* file :
       {"", ".so", "x", "../x.so", "/tmp/x.so", "a/x.so", ".x.so", "x.so\\u0000"}) {
    CAPTURE(file);
    const auto answer = post("/admin/v1/plugins/swap", std::string(R"({"file":")") + file + "\"}");
    CHECK(answer->status == 400);
    CHECK(code_of(answer) == "bad_file_name");
  }
  CHECK(backend.changes.empty());

  CHECK(post("/admin/v1/plugins/swap", R"({"file":"x.so"})")->body == R"({"file":"x.so"})");
  CHECK(post("/admin/v1/plugins/rollback", R"({"file":"x.so"})")->status == 200);
  CHECK(post("/admin/v1/plugins/release", R"({"sha256":"ab"})")->status == 200);
  CHECK(backend.changes == std::vector<std::string>{"swap x.so", "rollback x.so", "release ab"});

  backend.refusal = {409, "no_rollback", "x.so: no generation served before this one"};
  const auto answer = post("/admin/v1/plugins/rollback", R"({"file":"x.so"})");
  CHECK(answer->status == 409);
  CHECK(code_of(answer) == "no_rollback");
}

TEST_CASE_METHOD(Fixture, "admin: metrics need the token unless the caller is local",
                 "[unit][admin]") {
  const auto open = client.Get("/metrics");
  REQUIRE(open->status == 200);
  REQUIRE(open->body == "# HELP a b\n");
  REQUIRE(open->get_header_value("Content-Type") == "text/plain; version=0.0.4; charset=utf-8");
  REQUIRE(client.Head("/metrics")->status == 200);

  // Through a proxy of this machine, and by a page whose name was made to resolve here.
  REQUIRE(client.Get("/metrics", {{"X-Forwarded-For", "203.0.113.5"}})->status == 401);
  REQUIRE(client.Get("/metrics", {{"Forwarded", "for=203.0.113.5"}})->status == 401);
  REQUIRE(client.Get("/metrics", {{"Host", "evil.example"}})->status == 401);
  REQUIRE(client.Get("/metrics", {{"Host", "localhost:8081"}})->status == 200);
  REQUIRE(client.Get("/metrics", {{"Host", "[::1]:8081"}})->status == 200);
  sign_in();
  REQUIRE(client.Get("/metrics", {{"Host", "gateway.example"}})->status == 200);
}

TEST_CASE_METHOD(Fixture, "admin: health is open", "[unit][admin]") {
  REQUIRE(client.Get("/healthz")->body == R"({"status":"ok"})");
}

TEST_CASE_METHOD(Fixture, "admin: an unknown route is 404 and a wrong method 405",
                 "[unit][admin]") {
  REQUIRE(client.Get("/")->status == 404);
  REQUIRE(code_of(client.Get("/nothing")) == "unknown_route");
  REQUIRE(client.Get("/metrics/")->status == 404);
  sign_in();
  REQUIRE(client.Get("/admin/v1/nothing")->status == 404);
  const auto wrong = client.Delete("/admin/v1/log-level");
  REQUIRE(wrong->status == 405);
  REQUIRE(wrong->get_header_value("Allow") == "GET, HEAD, PUT");
  REQUIRE(code_of(wrong) == "method_not_allowed");
  REQUIRE(client.Get("/admin/v1/reload")->status == 405);
  REQUIRE(client.Options("/healthz")->status == 405);
}

TEST_CASE_METHOD(Fixture, "admin: the log level changes while it runs", "[unit][admin]") {
  sign_in();
  const auto set = client.Put("/admin/v1/log-level", R"({"level":"error"})", "application/json");
  REQUIRE(set->status == 200);
  REQUIRE(set->body == R"({"level":"error"})");
  REQUIRE(observe::log_level() == "error");
  REQUIRE(client.Get("/admin/v1/log-level")->body == R"({"level":"error"})");
  spdlog::set_level(spdlog::level::off);

  const auto bad = client.Put("/admin/v1/log-level", R"({"level":"loud"})", "application/json");
  REQUIRE(bad->status == 400);
  REQUIRE(code_of(bad) == "bad_log_level");
  for (const std::string& body :
       {std::string(), std::string("{"), std::string("[]"), std::string(R"({"level":1})"),
        std::string(R"({"level":"debug","x":1})"), std::string(60'000, '[')}) {
    CAPTURE(body.substr(0, 40));
    const auto refused = client.Put("/admin/v1/log-level", body, "application/json");
    REQUIRE(refused);
    REQUIRE(refused->status == 400);
    REQUIRE(code_of(refused) == "bad_body");
  }
  REQUIRE(observe::log_level() == "off");
}

TEST_CASE_METHOD(Fixture, "admin: reload tells the new generation or every fault",
                 "[unit][admin]") {
  sign_in();
  REQUIRE(client.Post("/admin/v1/reload")->body == R"({"generation":2})");
  backend.faults = {{"/providers/openai/base_url", "not a URL: \"x\""}, {"/keys", "none"}};
  const auto refused = client.Post("/admin/v1/reload");
  REQUIRE(refused->status == 422);
  REQUIRE(code_of(refused) == "invalid_configuration");
  rapidjson::Document document;
  document.Parse(refused->body);
  const auto& faults = document["error"]["faults"];
  REQUIRE(faults.Size() == 2);
  REQUIRE(std::string(faults[0]["pointer"].GetString()) == "/providers/openai/base_url");
  REQUIRE(std::string(faults[0]["message"].GetString()) == "not a URL: \"x\"");
}

TEST_CASE_METHOD(Fixture, "admin: a body beyond the limit is refused however it comes",
                 "[unit][admin]") {
  sign_in();
  const std::string large(Server::kBodyBytesMax + 1, ' ');
  const auto plain = client.Put("/admin/v1/log-level", large, "application/json");
  REQUIRE(plain);
  REQUIRE(plain->status == 413);

  bool sent = false;
  const auto chunked = client.Put(
      "/admin/v1/log-level",
      [&](std::size_t, httplib::DataSink& sink) {
        if (!sent) sink.write(large.data(), large.size());
        sent = true;
        sink.done();
        return true;
      },
      "application/json");
  REQUIRE(chunked);
  REQUIRE(chunked->status == 413);
  REQUIRE(code_of(chunked) == "body_too_large");

  const auto form =
      client.Put("/admin/v1/log-level", httplib::MultipartFormDataItems{{"a", "b", "", ""}});
  REQUIRE(form);
  REQUIRE(form->status == 415);
}

TEST_CASE_METHOD(Fixture, "admin: what a backend throws stays inside", "[unit][admin]") {
  sign_in();
  backend.throws = true;
  const auto answer = client.Get("/admin/v1/status");
  REQUIRE(answer->status == 500);
  REQUIRE(code_of(answer) == "internal_error");
  REQUIRE(answer->body.find("secret detail") == std::string::npos);
  backend.throws = false;
  REQUIRE(client.Get("/admin/v1/status")->status == 200);
}

TEST_CASE("admin: two workers share the port while one takes over", "[unit][admin]") {
  FakeBackend backend;
  auto old_one = std::move(*Server::start(anywhere(), Secret(kToken), make_routes(backend)));
  config::Listen same = anywhere();
  same.port = old_one->port();
  auto new_one = Server::start(same, Secret(kToken), make_routes(backend));
  REQUIRE(new_one);
  old_one.reset();
  httplib::Client client{"127.0.0.1", same.port};
  for (int i = 0; i < 10; ++i) REQUIRE(client.Get("/healthz")->status == 200);
}

TEST_CASE("admin: an address that can't be bound is told", "[unit][admin]") {
  FakeBackend backend;
  const config::Listen elsewhere{"203.0.113.1", 0, std::nullopt};
  const auto refused = Server::start(elsewhere, Secret(kToken), make_routes(backend));
  REQUIRE_FALSE(refused);
  REQUIRE(refused.error().message.starts_with("admin: 203.0.113.1:0: can't listen: "));

  const config::Listen no_certificate{"127.0.0.1", 0, config::TlsFiles{"/none.crt", "/none.key"}};
  const auto without = Server::start(no_certificate, Secret(kToken), make_routes(backend));
  REQUIRE_FALSE(without);
  REQUIRE(without.error().message.find("certificate") != std::string::npos);
}

TEST_CASE("admin: starting and stopping leaves nothing behind", "[unit][admin]") {
  FakeBackend backend;
  for (int i = 0; i < 20; ++i) {
    auto server = Server::start(anywhere(), Secret(kToken), make_routes(backend));
    REQUIRE(server);
  }
}
