// What Kling answers to a job that is begun, asked for and fetched, what is kept of one, and what a
// client asks for.
#include <switchyard/testing.hpp>

#include "fuzz.hpp"
#include "providers/kling/translate.hpp"

using namespace swy::testing;

namespace {

constexpr std::uint64_t kNowMs = 1'795'176'000'000;
const std::string kBase = "https://api-singapore.klingai.com";
const std::string kToken = R"({"path":"text2video","id":"84011"})";

void check(const Recorder& recorder, const swy::Next& next) {
  for (const Recorder::Emit& emit : recorder.emits) {
    if (emit.what == SWY_EMIT_RAW) continue;
    fuzz::require(swy::json::valid(emit.data), "what is emitted is JSON");
  }
  fuzz::require(
      next.act != SWY_ACT_SEND || recorder.body.empty() || swy::json::valid(recorder.body),
      "what is sent is JSON");
}

void run(const std::string& task, const std::string& body, const std::string& token,
         std::uint32_t status, std::string_view answer) {
  const FakeHost host{kNowMs};
  FakeRequest request(task, "kling-v2-6", body, 0);
  request.credential("access_key", "AKTEST0123");
  if (!token.empty()) request.resume(token);
  Recorder recorder;
  recorder.key = "SKTEST4567";
  Drive drive(kling::Operation(swy::Signer(host.host()), request.get()), recorder, kBase, kNowMs);
  drive.start();
  check(recorder, drive.next);
  if (drive.next.act != SWY_ACT_SEND) return;
  drive.answer(status, std::string(answer));
  check(recorder, drive.next);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view input = fuzz::text(data, size);
  for (const std::uint32_t status : {200U, 429U}) {
    run("videos", R"({"model":"m","prompt":"x"})", "", status, input);
    run("videos.get", "", kToken, status, input);
    run("videos.content", "", kToken, status, input);
  }
  run("videos.get", "", std::string(input), 200, "{}");
  if (swy::json::valid(input) && input.starts_with('{')) {
    run("videos", std::string(input), "", 200, "{}");
  }
  return 0;
}
