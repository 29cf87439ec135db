// A stream's event allocates nothing once the stream runs: neither where it is taken out of the
// upstream's bytes, nor where a provider makes a chunk of it, nor where a surface makes that its
// own. Text that an answer keeps may grow, by doubling.
#define CATCH_CONFIG_MAIN
#include <catch2/catch.hpp>
#include <cstdlib>
#include <new>
#include <string>
#include <switchyard/testing.hpp>

#include "core/net/sse_decoder.hpp"
#include "core/surface/anthropic_answer.hpp"
#include "core/surface/gemini_answer.hpp"
#include "core/surface/responses_answer.hpp"
#include "providers/anthropic/translate.hpp"
#include "providers/gemini/translate.hpp"
#include "providers/openai/translate.hpp"

namespace {

std::size_t allocations = 0;

void* counted(std::size_t size) {
  ++allocations;
  if (void* const memory = std::malloc(size == 0 ? 1 : size)) return memory;
  throw std::bad_alloc();
}

}  // namespace

void* operator new(std::size_t size) { return counted(size); }
void* operator new[](std::size_t size) { return counted(size); }
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete[](void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }
void operator delete[](void* memory, std::size_t) noexcept { std::free(memory); }

using namespace switchyard;
using swy::testing::FakeEvent;

namespace {

constexpr int kWarmUp = 100, kEvents = 4000;
constexpr std::size_t kDoublings = 8;  // what 100 events said becomes what 4,100 say

template <class Event>
std::size_t allocated_by(const Event& event) {
  for (int i = 0; i < kWarmUp; ++i) event();
  const std::size_t before = allocations;
  for (int i = 0; i < kEvents; ++i) event();
  return allocations - before;
}

swy_rc keep(void* to, std::uint32_t, std::uint32_t, swy_str data) {
  static_cast<std::string*>(to)->append(data.p, data.n);
  return SWY_OK;
}

// What equal events make an operation allocate that is in the midst of its stream.
template <class Operation>
std::size_t translating(Operation& operation, std::initializer_list<const char*> first,
                        const char* again) {
  swy::testing::Recorder recorder;
  swy::Out out = recorder.out();
  (void)operation.step(FakeEvent(SWY_EV_START).get(), out);
  (void)operation.step(FakeEvent(SWY_EV_HEAD).status(200).get(), out);
  for (const char* data : first) (void)operation.step(FakeEvent(SWY_EV_DATA, data).get(), out);
  std::string wire;
  swy_out sink{};
  sink.size = sizeof sink;
  sink.ctx = &wire;
  sink.emit = keep;
  swy::Out into(&sink);
  const FakeEvent event(SWY_EV_DATA, again);
  const std::size_t count = allocated_by([&] {
    wire.clear();
    (void)operation.step(event.get(), into);
  });
  REQUIRE_FALSE(wire.empty());
  return count;
}

std::size_t answering(surface::Answer& answer) {
  const std::string chunk =
      R"({"id":"chatcmpl-1","object":"chat.completion.chunk","created":1,"model":"m",)"
      R"("choices":[{"index":0,"delta":{"content":" tram \"leaves\""},"finish_reason":null}]})";
  std::string wire;
  const std::size_t count = allocated_by([&] {
    wire.clear();
    answer.delta(chunk, wire);
  });
  REQUIRE_FALSE(wire.empty());
  return count;
}

swy::testing::FakeRequest request_for(const char* model) {
  return {"chat", model,
          R"({"model":"m","messages":[{"role":"user","content":"x"}],"stream":true})",
          SWY_REQ_STREAM};
}

}  // namespace

TEST_CASE("allocations: they are counted") {
  const std::size_t before = allocations;
  const std::string text(1000, 'x');
  CHECK(allocations == before + 1);
}

TEST_CASE("allocations: none for an event out of the upstream's bytes") {
  net::SseDecoder decoder;
  const std::string wire = "event: content_block_delta\ndata: {\"text\":\" tram leaves\"}\n\n";
  const std::string_view slices[] = {std::string_view(wire).substr(0, 40),
                                     std::string_view(wire).substr(40)};
  int found = 0;
  const auto decode = [&] {
    for (std::string_view slice : slices) {
      net::SseEvent event;
      while (decoder.next(slice, event) == net::SseDecoder::State::kEvent) ++found;
    }
  };
  CHECK(allocated_by(decode) == 0);
  CHECK(found == kWarmUp + kEvents);
}

TEST_CASE("allocations: none for an event of Anthropic's") {
  const auto settings = anthropic::parse_settings("{}");
  const auto request = request_for("claude-opus-5-5");
  anthropic::Operation operation(*settings, request.get(), 1);
  const auto start =
      R"({"type":"message_start","message":{"id":"msg_1","type":"message","role":"assistant",)"
      R"("model":"m","content":[],"usage":{"input_tokens":1,"output_tokens":1}}})";
  const auto block =
      R"({"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}})";
  const auto delta =
      R"({"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":" \"x\""}})";
  CHECK(translating(operation, {start, block}, delta) == 0);
}

TEST_CASE("allocations: none for an event of Google's") {
  const auto settings = gemini::parse_settings("{}");
  const auto request = request_for("gemini-3.8-flash");
  gemini::Operation operation(*settings, request.get(), 1);
  const auto piece =
      R"({"candidates":[{"index":0,"content":{"role":"model","parts":[{"text":" \"x\""}]}}],)"
      R"("modelVersion":"m","responseId":"r"})";
  CHECK(translating(operation, {}, piece) == 0);
}

TEST_CASE("allocations: none for an event of OpenAI's") {
  const auto settings = openai::parse_settings("{}");
  const auto request = request_for("m");
  openai::Operation operation(*settings, request.get());
  const auto chunk = R"({"id":"c","object":"chat.completion.chunk","created":1,"model":"m",)"
                     R"("choices":[{"index":0,"delta":{"content":"x"},"finish_reason":null}]})";
  CHECK(translating(operation, {}, chunk) == 0);
}

TEST_CASE("allocations: none for an event that a surface makes its own") {
  surface::AnthropicAnswer anthropic(false);
  surface::GeminiAnswer gemini(surface::GeminiAnswer::Stream::kEvents, false);
  surface::ResponsesAnswer responses("");
  CHECK(answering(anthropic) == 0);
  CHECK(answering(gemini) == 0);
  CHECK(answering(responses) <= kDoublings);  // its last event says the whole text again
}
