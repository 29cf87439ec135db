// The operation without a host: events in, what it wrote out.
#include "mine.hpp"

#include <cstdio>
#include <switchyard/testing.hpp>

namespace {

using swy::testing::FakeEvent;
using swy::testing::FakeRequest;
using swy::testing::Recorder;

int failures = 0;

void expect(bool holds, const char* what) {
  if (holds) return;
  std::printf("FAILED: %s\n", what);
  ++failures;
}

constexpr char kBody[] = R"({"model":"m","messages":[{"role":"user","content":"hi"}]})";

void whole_answer() {
  const FakeRequest request("chat", "m-1", kBody, 0);
  Recorder host;
  swy::Out out = host.out();
  mine::Operation operation(request.get());
  expect(operation.step(FakeEvent(SWY_EV_START).get(), out).act == SWY_ACT_SEND, "START sends");
  expect(host.url == "/generate" && host.auth.starts_with("bearer"), "the request is right");
  operation.step(FakeEvent(SWY_EV_HEAD).status(200).get(), out);
  operation.step(FakeEvent(SWY_EV_DATA, R"({"text":"hello","tokens":2})").get(), out);
  expect(operation.step(FakeEvent(SWY_EV_END).get(), out).act == SWY_ACT_DONE, "END is done");
  expect(host.last(SWY_EMIT_WHOLE).find(R"("content":"hello")") != std::string::npos,
         "text arrives");
}

void cut_stream() {
  const FakeRequest request("chat", "m-1", kBody, SWY_REQ_STREAM);
  Recorder host;
  swy::Out out = host.out();
  mine::Operation operation(request.get());
  operation.step(FakeEvent(SWY_EV_START).get(), out);
  operation.step(FakeEvent(SWY_EV_HEAD).status(200).get(), out);
  operation.step(FakeEvent(SWY_EV_DATA, R"({"text":"hel"})").get(), out);
  expect(operation.step(FakeEvent(SWY_EV_END).get(), out).act == SWY_ACT_FAIL,
         "a stream that ends early is no clean end");
}

}  // namespace

int main() {
  whole_answer();
  cut_stream();
  return failures == 0 ? 0 : 1;
}
