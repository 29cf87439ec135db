// What the targets of the providers with an API of their own share: the input is an upstream's
// answer, whole and as the events of a stream, and a client's request.
#pragma once

#include <switchyard/testing.hpp>

#include "fuzz.hpp"

namespace vendor_fuzz {

using namespace swy::testing;

// What leaves an operation is JSON, whatever came in.
inline void check(const Recorder& recorder, const swy::Next& last) {
  fuzz::require(last.act == SWY_ACT_DONE || last.act == SWY_ACT_FAIL, "an answer ends");
  for (const auto& emit : recorder.emits) {
    if (emit.what == SWY_EMIT_FINISH) continue;
    fuzz::require(swy::json::valid(emit.data, 256), "what is emitted is JSON");
  }
  if (last.act == SWY_ACT_FAIL) {
    fuzz::require(recorder.all(SWY_EMIT_WHOLE).empty(), "a fault has no answer");
  }
}

template <class Operation>
void stream(Operation operation, std::string_view input) {
  Recorder recorder;
  swy::Out out = recorder.out();
  swy::Next next = operation.step(FakeEvent(SWY_EV_START).get(), out);
  next = operation.step(FakeEvent(SWY_EV_HEAD).status(200).get(), out);
  while (!input.empty() && next.act == SWY_ACT_FEED) {
    const std::size_t end = input.find('\n');
    next = operation.step(FakeEvent(SWY_EV_DATA, std::string(input.substr(0, end))).get(), out);
    input = end == std::string_view::npos ? std::string_view() : input.substr(end + 1);
  }
  if (next.act == SWY_ACT_FEED) next = operation.step(FakeEvent(SWY_EV_END).get(), out);
  check(recorder, next);
}

template <class Operation>
void whole(Operation operation, std::string_view input, std::uint32_t status) {
  Recorder recorder;
  swy::Out out = recorder.out();
  operation.step(FakeEvent(SWY_EV_START).get(), out);
  operation.step(FakeEvent(SWY_EV_HEAD).status(status).get(), out);
  swy::Next next = operation.step(FakeEvent(SWY_EV_DATA, std::string(input)).get(), out);
  if (next.act == SWY_ACT_SEND) next.act = SWY_ACT_DONE;  // the next page of a list
  if (next.act == SWY_ACT_FEED) next = operation.step(FakeEvent(SWY_EV_END).get(), out);
  check(recorder, next);
}

// A request is valid JSON before a provider sees it.
template <class Operation>
void ask(Operation operation) {
  Recorder recorder;
  swy::Out out = recorder.out();
  const swy::Next next = operation.step(FakeEvent(SWY_EV_START).get(), out);
  if (next.act != SWY_ACT_SEND) return check(recorder, next);
  fuzz::require(recorder.body.empty() || swy::json::valid(recorder.body, 256), "a body is JSON");
  for (const std::string& lost : recorder.all(SWY_EMIT_DROPPED)) {
    fuzz::require(swy::json::valid(lost), "losses are JSON");
  }
}

// All of it, with operations made by `start`.
template <class Start>
void run(std::string_view input, const Start& start) {
  constexpr char kChat[] = R"({"messages":[{"role":"user","content":"x"}]})";
  const FakeRequest streamed("chat", "m", kChat, SWY_REQ_STREAM | SWY_REQ_WANT_USAGE);
  stream(start(streamed.get()), input);
  const FakeRequest plain("chat", "m", kChat, 0);
  for (const std::uint32_t status : {200U, 429U}) whole(start(plain.get()), input, status);
  const FakeRequest models("models", "", "", 0);
  whole(start(models.get()), input, 200);
  const FakeRequest embeddings("embeddings", "m", R"({"input":"x","encoding_format":"base64"})", 0);
  whole(start(embeddings.get()), input, 200);
  if (!swy::json::valid(input)) return;
  swy::json::Cursor cursor(input);
  if (cursor.type() != 'o') return;
  for (const char* model : {"claude-haiku-4-5", "claude-opus-5-5", "gemini-2.5-pro"}) {
    for (const char* task : {"chat", "embeddings"}) {
      const FakeRequest asked(task, model, std::string(input), 0);
      ask(start(asked.get()));
    }
  }
}

}  // namespace vendor_fuzz
