// What translation costs: a 20 KB request, and one event of a stream, each way between OpenAI's and
// Anthropic's dialects. CPU time of the translation alone, without sockets. bench.py runs it, and
// has the targets. Prints a name and the median of seven rounds on each line.
#include "providers/anthropic/translate.hpp"

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <string>
#include <switchyard/testing.hpp>

#include "core/base/json_scan.hpp"
#include "core/surface/anthropic_surface.hpp"
#include "providers/openai/translate.hpp"

using namespace switchyard;

namespace {

constexpr int kRounds = 7;

double cpu_us() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) * 1e6 + static_cast<double>(now.tv_nsec) / 1e3;
}

template <class Work>
void measure(const char* name, int times, const Work& work) {
  std::array<double, kRounds> rounds{};
  for (double& round : rounds) {
    const double begun = cpu_us();
    for (int i = 0; i < times; ++i) work();
    round = (cpu_us() - begun) / times;
  }
  std::sort(rounds.begin(), rounds.end());
  std::printf("%s %.2f\n", name, rounds[kRounds / 2]);
}

// A conversation of about 20 KB: prose, code with escapes, two calls and their results.
std::string prose() {
  std::string text;
  while (text.size() < 1900)
    text += "The tram to Majorstuen leaves \\\"at noon\\\";\\n  x = {1, 2}. ";
  return '"' + text + '"';
}

std::string anthropic_request() {
  std::string messages;
  for (int i = 0; i < 5; ++i) {
    messages += R"({"role":"user","content":[{"type":"text","text":)" + prose() +
                R"(}]},{"role":"assistant","content":[{"type":"text","text":)" + prose() + "}]},";
  }
  return R"({"model":"m","max_tokens":1000,"system":"Be brief.","messages":[)" + messages +
         R"({"role":"user","content":"?"},{"role":"assistant","content":[{"type":"tool_use",)"
         R"("id":"t1","name":"f","input":{"city":"Oslo"}}]},{"role":"user","content":[)"
         R"({"type":"tool_result","tool_use_id":"t1","content":"5 C"}]}],"tools":[{"name":"f",)"
         R"("input_schema":{"type":"object","properties":{"city":{"type":"string"}}}}]})";
}

std::string openai_request() {
  std::string messages;
  for (int i = 0; i < 5; ++i) {
    messages += R"({"role":"user","content":)" + prose() + R"(},{"role":"assistant","content":)" +
                prose() + "},";
  }
  return R"({"model":"m","messages":[{"role":"system","content":"Be brief."},)" + messages +
         R"({"role":"user","content":"?"},{"role":"assistant","content":null,"tool_calls":[)"
         R"({"id":"t1","type":"function","function":{"name":"f","arguments":"{}"}}]},)"
         R"({"role":"tool","tool_call_id":"t1","content":"5 C"}],"tools":[{"type":"function",)"
         R"("function":{"name":"f","parameters":{"type":"object"}}}]})";
}

void requests() {
  const surface::AnthropicSurface surface;
  surface::Ask ask;
  ask.what = surface::Ask::What::kTask;
  ask.task = "chat";
  const std::string theirs = anthropic_request(), ours = openai_request();
  JsonIndex given;
  if (!given.scan(theirs)) return;
  const std::string canonical = surface.to_canonical(ask, given).body;
  const auto settings = openai::parse_settings("{}");
  const auto claude = anthropic::parse_settings("{}");
  const swy::testing::FakeRequest to_openai("chat", "u", canonical, 0);
  const swy::testing::FakeRequest to_anthropic("chat", "claude-opus-5-5", ours, 0);

  measure("request_anthropic_to_openai_us", 2000, [&] {
    JsonIndex index, again;
    (void)index.scan(theirs);
    const surface::Canonical made = surface.to_canonical(ask, index);
    (void)again.scan(made.body, JsonIndex::kDepthCap);
    const openai::UpstreamBody body(settings->dialect, to_openai.get());
    if (body.pieces().size() == 0) std::abort();
  });
  measure("request_openai_to_anthropic_us", 2000, [&] {
    JsonIndex index;
    (void)index.scan(ours);
    const anthropic::UpstreamBody body(*claude, to_anthropic.get());
    if (body.pieces().size() == 0) std::abort();
  });
}

// Frames what is emitted as the gateway does for an OpenAI client.
swy_rc frame(void* to, std::uint32_t what, std::uint32_t, swy_str data) {
  auto& wire = *static_cast<std::string*>(to);
  if (what == SWY_EMIT_DELTA) wire.append("data: ").append(data.p, data.n).append("\n\n");
  return SWY_OK;
}

void events() {
  using swy::testing::FakeEvent;
  const auto claude = anthropic::parse_settings("{}");
  const swy::testing::FakeRequest request(
      "chat", "claude-opus-5-5", R"({"model":"m","messages":[],"stream":true})", SWY_REQ_STREAM);
  swy::testing::Recorder recorder;
  swy::Out out = recorder.out();
  anthropic::Operation operation(*claude, request.get(), 1);
  (void)operation.step(FakeEvent(SWY_EV_START).get(), out);
  (void)operation.step(FakeEvent(SWY_EV_HEAD).status(200).get(), out);
  for (const char* data :
       {R"({"type":"message_start","message":{"id":"msg_1","type":"message","role":"assistant",)"
        R"("model":"claude-opus-5-5","content":[],"usage":{"input_tokens":1,"output_tokens":1}}})",
        R"({"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}})"}) {
    (void)operation.step(FakeEvent(SWY_EV_DATA, data).get(), out);
  }
  std::string wire;
  swy_out sink{};
  sink.size = sizeof sink;
  sink.ctx = &wire;
  sink.emit = frame;
  swy::Out into(&sink);
  const FakeEvent delta(
      SWY_EV_DATA,
      R"({"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":" tram leaves at"}})");
  measure("event_anthropic_to_openai_us", 200'000, [&] {
    wire.clear();
    (void)operation.step(delta.get(), into);
    if (wire.empty()) std::abort();
  });

  const surface::AnthropicSurface surface;
  JsonIndex index;
  const std::string body =
      R"({"model":"m","max_tokens":1,"stream":true,"messages":[{"role":"user","content":"x"}]})";
  if (!index.scan(body)) return;
  surface::Ask ask;
  ask.what = surface::Ask::What::kTask;
  ask.task = "chat";
  const auto answer = surface.to_canonical(ask, index).answer;
  const std::string chunk =
      R"({"id":"chatcmpl-1","object":"chat.completion.chunk","created":1,"model":"m",)"
      R"("choices":[{"index":0,"delta":{"content":" tram leaves at"},"finish_reason":null}]})";
  measure("event_openai_to_anthropic_us", 200'000, [&] {
    wire.clear();
    answer->delta(chunk, wire);
    if (wire.empty()) std::abort();
  });
}

}  // namespace

int main() {
  requests();
  events();
}
