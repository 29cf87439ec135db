// What Bedrock answers: the input's lines are messages of a stream (name, space, payload), the
// whole of it an answer and an error's body; and what a client asks it for.
#include <switchyard/testing.hpp>

#include "fuzz.hpp"
#include "providers/bedrock/errors.hpp"
#include "providers/bedrock/sigv4.hpp"
#include "providers/bedrock/translate.hpp"

using namespace swy::testing;

namespace {

const std::string kHi = R"({"messages":[{"role":"user","content":"hi"}]})";

void check(const Recorder& recorder, const swy::Next& next) {
  fuzz::require(next.act == SWY_ACT_DONE || next.act == SWY_ACT_FAIL, "an operation ends");
  for (const Recorder::Emit& emit : recorder.emits) {
    if (emit.what == SWY_EMIT_FINISH) continue;
    fuzz::require(swy::json::valid(emit.data), "what is emitted is JSON");
  }
}

void stream(const bedrock::Settings& settings, const FakeHost& host, std::string_view input,
            const char* model) {
  FakeRequest request("chat", model, kHi, SWY_REQ_STREAM | SWY_REQ_WANT_USAGE);
  request.credential("auth", "bearer");
  Recorder recorder;
  Drive drive(bedrock::Operation(settings, swy::Signer(host.host()), request.get(), 0), recorder);
  drive.start();
  drive.head(200, {{"x-amzn-requestid", std::string(input.substr(0, 8))}});
  while (!input.empty() && drive.next.act == SWY_ACT_FEED) {
    const std::string_view line = input.substr(0, input.find('\n'));
    input.remove_prefix(std::min(line.size() + 1, input.size()));
    const std::size_t space = std::min(line.find(' '), line.size());
    drive.data(std::string(line.substr(std::min(space + 1, line.size()))),
               std::string(line.substr(0, space)));
  }
  if (drive.next.act == SWY_ACT_FEED) drive.end();
  check(recorder, drive.next);
}

void whole(const bedrock::Settings& settings, const FakeHost& host, std::string_view input,
           std::uint32_t status) {
  FakeRequest request("chat", "anthropic.claude-opus-5-5", kHi, 0);
  request.credential("auth", "bearer");
  Recorder recorder;
  Drive drive(bedrock::Operation(settings, swy::Signer(host.host()), request.get(), 0), recorder);
  drive.start();
  drive.answer(status, std::string(input));
  check(recorder, drive.next);
}

// The host gives only valid JSON.
void ask(const bedrock::Settings& settings, const FakeHost& host, std::string_view input) {
  if (!swy::json::valid(input) || input.substr(0, 1) != "{") return;
  FakeRequest request("chat", "anthropic.claude-opus-5-5", std::string(input), 0);
  request.credential("access_key_id", "A").credential("region", "r");
  Recorder recorder;
  Drive drive(bedrock::Operation(settings, swy::Signer(host.host()), request.get(), 0), recorder);
  drive.start();
  if (drive.next.act == SWY_ACT_SEND) {
    fuzz::require(swy::json::valid(recorder.body), "what is sent is JSON");
  } else {
    check(recorder, drive.next);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const bedrock::Settings settings;
  static const FakeHost host;
  const std::string_view input = fuzz::text(data, size);
  stream(settings, host, input, "anthropic.claude-opus-5-5");
  stream(settings, host, input, "deepseek.v3.2");
  whole(settings, host, input, 200);
  whole(settings, host, input, 429);
  ask(settings, host, input);
  (void)bedrock::canonical_request("GET", input, {}, "");
  (void)bedrock::region_of(input);
  return 0;
}
