// What an upstream answers to the openai provider: the input's lines are the events of a stream,
// the whole of it an answer, an error's body, a dialect file and a client's request.
#include <switchyard/testing.hpp>

#include "fuzz.hpp"
#include "providers/openai/errors.hpp"
#include "providers/openai/translate.hpp"

using namespace swy::testing;

namespace {

bool is_object(std::string_view text) {
  swy::json::Cursor cursor(text);
  std::string_view name;
  if (!cursor.object()) return false;
  while (cursor.member(name)) cursor.skip();
  return cursor.at_end();
}

void stream(const openai::Settings& settings, std::string_view input, std::uint32_t flags) {
  const FakeRequest request("chat", "m", R"({"model":"m"})",
                            SWY_REQ_NATIVE | SWY_REQ_STREAM | flags);
  Recorder recorder;
  swy::Out out = recorder.out();
  openai::Operation operation(settings, request.get());
  operation.step(FakeEvent(SWY_EV_HEAD).status(200).get(), out);
  swy::Next next;
  while (!input.empty() && next.act == SWY_ACT_FEED) {
    const std::size_t end = input.find('\n');
    next = operation.step(FakeEvent(SWY_EV_DATA, std::string(input.substr(0, end))).get(), out);
    input = end == std::string_view::npos ? std::string_view() : input.substr(end + 1);
  }
  if (next.act == SWY_ACT_FEED) next = operation.step(FakeEvent(SWY_EV_END).get(), out);
  fuzz::require(next.act == SWY_ACT_DONE || next.act == SWY_ACT_FAIL, "a stream ends");
  // A chunk with an edit is an object still, and usage is hidden where it was not asked for.
  for (const std::string& chunk : recorder.all(SWY_EMIT_DELTA)) {
    fuzz::require(is_object(chunk), "a chunk is an object");
    if (flags != 0) continue;
    fuzz::require(swy::json::find(chunk, "usage").empty() || chunk.find('\\') != std::string::npos,
                  "usage is hidden");
  }
}

void whole(const openai::Settings& settings, std::string_view input, std::uint32_t status) {
  const FakeRequest request("chat", "m", R"({"model":"m"})");
  Recorder recorder;
  swy::Out out = recorder.out();
  openai::Operation operation(settings, request.get());
  operation.step(FakeEvent(SWY_EV_HEAD).status(status).get(), out);
  const swy::Next next = operation.step(FakeEvent(SWY_EV_DATA, std::string(input)).get(), out);
  fuzz::require(next.act == SWY_ACT_DONE || next.act == SWY_ACT_FAIL, "an answer is judged");
  for (const std::string& error : recorder.all(SWY_EMIT_ERROR)) {
    fuzz::require(is_object(error), "an error is an object");
  }
}

openai::Settings with(const char* dialect) {
  auto parsed = openai::parse_settings(std::string(R"({"dialect":)") + dialect + "}");
  return *std::move(parsed);
}

// What leaves for the client of an answer that was JSON is JSON.
void answered(const openai::Settings& settings, std::string_view input, const char* task) {
  const FakeRequest request(task, "m", R"({"model":"m"})");
  Recorder recorder;
  swy::Out out = recorder.out();
  openai::Operation operation(settings, request.get());
  operation.step(FakeEvent(SWY_EV_HEAD).status(200).get(), out);
  operation.step(FakeEvent(SWY_EV_DATA, std::string(input)).get(), out);
  if (!swy::json::valid(input)) return;
  for (const std::string& whole : recorder.all(SWY_EMIT_WHOLE)) {
    fuzz::require(swy::json::valid(whole, 80), "an answer is JSON");
  }
}

// A request is valid JSON before a provider sees it, and after it was changed.
void ask(const openai::Settings& settings, std::string_view input) {
  swy::json::Cursor cursor(input);
  if (cursor.type() != 'o' || !swy::json::valid(input)) return;
  const FakeRequest request("chat", "m", std::string(input));
  const openai::UpstreamBody body(settings.dialect, request.get());
  if (body.refusal()) return;
  fuzz::require(swy::json::valid(body.pieces().joined(), 80), "a body is JSON");
  if (!body.losses().empty()) fuzz::require(swy::json::valid(body.losses().array()), "losses");
}

constexpr char kEverything[] =
    R"({"name":"y","stream":{"usage":"always"},"answer":{"reasoning":"reasoning","content_chunks":true,)"
    R"("complete":true,"id_path":"sid","errors":[{"path":"code","fine":"0","message":"message"}],)"
    R"("finish_members":[{"member":"flag","fine":"0","finish":"content_filter"}]},)"
    R"("paths":{"chat":"/c","rerank":"/r","embeddings":"/e","models":"/m"},)"
    R"("request":{"roles":{"developer":"system"},"message_drop":["name"],"function_drop":["strict"],)"
    R"("calls_need":{"content":"","reasoning_content":""},"call_ids":"nine","content":"needed",)"
    R"("between":[{"after":"tool","before":"user","insert":{"role":"assistant"}}],)"
    R"("mistral_parts":true,"reasoning_details":true,"schema_as_prompt":true,"drop":["seed"],)"
    R"("rename":{"a":"b"},"as_list":["stop"],"minimum":{"top_p":0.5},"maximum":{"top_p":0.9},)"
    R"("words":{"logprobs":{"true":1,"false":null}},"tool_choice":{"required":"auto","named":"auto","none":"no_tools"},)"
    R"("instead":{"reasoning_effort":{"none":{"thinking":{"type":"disabled"}}}}}})";

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const openai::Settings settings = [] {
    auto parsed = openai::parse_settings(
        R"({"dialect":{"name":"x","usage_paths":["x_groq.usage","choices.0.usage"],"finish_tool_calls":true,)"
        R"("usage_cached_path":"cached_tokens","finish_reasons":{"sensitive":"content_filter"}}})");
    return *std::move(parsed);
  }();
  const std::string_view input = fuzz::text(data, size);
  stream(settings, input, 0);
  stream(settings, input, SWY_REQ_WANT_USAGE);
  whole(settings, input, 200);
  whole(settings, input, 429);
  static const openai::Settings everything = with(kEverything);
  stream(everything, input, 0);
  stream(everything, input, SWY_REQ_WANT_USAGE);
  for (const char* task : {"chat", "rerank", "embeddings", "models"}) {
    answered(everything, input, task);
  }
  ask(everything, input);
  (void)openai::parse_dialect(input);
  (void)openai::duration_ms(input);
  return 0;
}
