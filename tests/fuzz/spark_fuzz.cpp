// The spark provider: the input is an upstream's messages, one a line, its refusal of the upgrade,
// and a client's request.
#include "providers/spark/translate.hpp"
#include "vendor_fuzz.hpp"

namespace {

using namespace swy::testing;

spark::Operation start(FakeRequest& request) {
  static const spark::Settings settings;
  request.credential("app_id", "a").credential("api_key", "k");
  return {settings, swy::Signer(), request.get(), 1};
}

void talk(std::string_view input, std::uint32_t flags) {
  FakeRequest request("chat", "lite",
                      R"({"messages":[{"role":"user","content":"x"}],"max_tokens":9})", flags);
  spark::Operation operation = start(request);
  Recorder recorder;
  swy::Out out = recorder.out();
  swy::Next next = operation.step(FakeEvent(SWY_EV_START).get(), out);
  next = operation.step(FakeEvent(SWY_EV_HEAD).status(101).get(), out);
  while (!input.empty() && next.act == SWY_ACT_FEED) {
    const std::size_t end = input.find('\n');
    const std::string message(input.substr(0, end));
    next = operation.step(FakeEvent(SWY_EV_UP_MSG, message, "text").get(), out);
    input = end == std::string_view::npos ? std::string_view() : input.substr(end + 1);
  }
  if (next.act == SWY_ACT_FEED) {
    next = operation.step(FakeEvent(SWY_EV_CLOSED, "", "upstream").status(1000).get(), out);
  }
  vendor_fuzz::check(recorder, next);
}

void refuse(std::string_view input) {
  FakeRequest request("chat", "4.0Ultra", R"({"messages":[{"role":"user","content":"x"}]})", 0);
  vendor_fuzz::whole(start(request), input, 403);
}

void ask(std::string_view input) {
  swy::json::Cursor cursor(input);
  if (!swy::json::valid(input) || cursor.type() != 'o') return;
  for (const char* const model : {"lite", "4.0Ultra", "x1"}) {
    FakeRequest request("chat", model, std::string(input), 0);
    spark::Operation operation = start(request);
    Recorder recorder;
    swy::Out out = recorder.out();
    const swy::Next next = operation.step(FakeEvent(SWY_EV_START).get(), out);
    if (next.act == SWY_ACT_FAIL) {
      vendor_fuzz::check(recorder, next);
      continue;
    }
    operation.step(FakeEvent(SWY_EV_HEAD).status(101).get(), out);
    fuzz::require(recorder.messages.size() == 1, "one message asks");
    fuzz::require(swy::json::valid(recorder.messages[0].data, 256), "it is JSON");
    for (const std::string& lost : recorder.all(SWY_EMIT_DROPPED)) {
      fuzz::require(swy::json::valid(lost), "losses are JSON");
    }
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view input = fuzz::text(data, size);
  talk(input, SWY_REQ_STREAM | SWY_REQ_WANT_USAGE);
  talk(input, 0);
  refuse(input);
  ask(input);
  return 0;
}
