#include "core/exchange/attempt.hpp"

#include <catch2/catch.hpp>

#include "core/exchange/payment.hpp"
#include "core/net/dns.hpp"

namespace switchyard::exchange {
namespace {

// What reached the client's side.
class Client : public ClientWriter {
 public:
  void delta(std::string_view json, bool) override { text += std::string(json) + ";"; }
  void dropped(std::string_view pointers) override {
    text += "dropped " + std::string(pointers) + ";";
  }
  void whole(std::string_view json) override { text += "whole " + std::string(json) + ";"; }
  void end_stream(const observe::Usage&) override {}
  void fail(const Failure&) override {}
  void discard() override {}
  bool started() const override { return false; }
  bool committed() const override { return false; }
  bool try_flush() override { return true; }
  net::Task<bool> flush() override { co_return true; }
  bool gone() const override { return left; }
  void on_gone(std::function<void()>) override {}

  std::string text;
  bool left = false;
};

// An attempt that a test emits into as a plugin would.
struct Scene {
  explicit Scene(bool stream) {
    config.id = "p";
    snapshot.config = std::make_shared<config::Config>();
    snapshot.providers.emplace_back().config = &config;
    request.stream = stream;
    request.body = R"({"model":"m"})";
    request.record = &record;
    attempt.emplace(context, snapshot, request, target, 0, nullptr, client, payment);
  }

  net::Loop loop{0};
  net::Resolver resolver{net::Resolver::Options{}};
  net::UpstreamPool pool{loop, resolver};
  observe::LoopMetrics metrics;
  LoopContext context{loop, pool, metrics};
  config::Provider config;
  Snapshot snapshot;
  observe::Record record;
  Request request;
  routing::Target target;
  Client client;
  Payment payment{context, snapshot, request};
  std::optional<Attempt> attempt;
};

TEST_CASE("exchange: an answer is either whole, once, or a stream", "[unit][exchange]") {
  Scene whole(false);
  CHECK(whole.attempt->emit(SWY_EMIT_DELTA, SWY_EMIT_CONTENT, "{}") == SWY_E_ARG);
  CHECK(whole.attempt->emit(SWY_EMIT_WHOLE, 0, R"({"a":1})") == SWY_OK);
  CHECK(whole.attempt->emit(SWY_EMIT_WHOLE, 0, R"({"a":2})") == SWY_E_ARG);
  CHECK(whole.client.text == R"(whole {"a":1};)");

  Scene stream(true);
  CHECK(stream.attempt->emit(SWY_EMIT_WHOLE, 0, "{}") == SWY_E_ARG);
  CHECK(stream.attempt->emit(SWY_EMIT_DELTA, SWY_EMIT_CONTENT, "{}") == SWY_OK);
  CHECK(stream.client.text == "{};");
}

TEST_CASE("exchange: usage that came with the client's leaving still counts", "[unit][exchange]") {
  Scene scene(true);
  CHECK(scene.attempt->emit(SWY_EMIT_DELTA, SWY_EMIT_CONTENT, "{}") == SWY_OK);
  scene.client.left = true;
  CHECK(scene.attempt->emit(SWY_EMIT_DELTA, SWY_EMIT_CONTENT, "{}") == SWY_E_GONE);
  CHECK(scene.attempt->emit(SWY_EMIT_USAGE, 0, R"({"prompt_tokens":7,"completion_tokens":3})") ==
        SWY_OK);
  const observe::Usage usage = scene.attempt->usage();
  CHECK(usage.reported);
  CHECK(usage.tok_in == 7);
  CHECK(usage.tok_out == 3);
}

TEST_CASE("exchange: a report from the middle of a broken answer does not hide what came after it",
          "[unit][exchange]") {
  Scene scene(true);
  CHECK(scene.attempt->emit(SWY_EMIT_USAGE, 0, R"({"prompt_tokens":7,"completion_tokens":1})") ==
        SWY_OK);
  for (int i = 0; i < 5; ++i) {
    CHECK(scene.attempt->emit(SWY_EMIT_DELTA, SWY_EMIT_CONTENT, "{}") == SWY_OK);
  }
  const observe::Usage usage = scene.attempt->usage();
  CHECK_FALSE(usage.reported);
  CHECK(usage.tok_in == 7);
  CHECK(usage.tok_out == 5);
}

TEST_CASE("exchange: a report out of all proportion is billed by what was sent and relayed",
          "[unit][exchange]") {
  Scene scene(true);
  const std::string report = R"({"prompt_tokens":99000000000,"completion_tokens":98000000000})";
  CHECK(scene.attempt->emit(SWY_EMIT_DELTA, SWY_EMIT_CONTENT, R"({"text":"x"})") == SWY_OK);
  CHECK(scene.attempt->emit(SWY_EMIT_USAGE, 0, report) == SWY_OK);
  const observe::Usage usage = scene.attempt->usage();
  CHECK(usage.clamped);
  CHECK_FALSE(usage.reported);
  CHECK(usage.told_in == 99'000'000'000);
  CHECK(usage.told_out == 98'000'000'000);
  CHECK(usage.tok_in == 4);   // {"model":"m"}
  CHECK(usage.tok_out == 3);  // {"text":"x"}
}

}  // namespace
}  // namespace switchyard::exchange
