#include <cmath>
#include <switchyard/testing.hpp>

#include "providers/demo/translate.hpp"

using namespace swy::testing;
namespace json = swy::json;

namespace {

struct Ran {
  Recorder recorder;
  swy::Next last;
  unsigned waits = 0;

  std::string whole() const { return recorder.last(SWY_EMIT_WHOLE); }
  std::string text(const char* path) const {
    return json::to_text(json::find_path(whole(), path)).value_or("(none)");
  }
  // What a client would put together from the stream's deltas.
  std::string streamed(const char* path) const {
    std::string text;
    for (const std::string& delta : recorder.all(SWY_EMIT_DELTA)) {
      text += json::to_text(json::find_path(delta, path)).value_or("");
    }
    return text;
  }
};

void run(Ran& ran, const std::string& task, const std::string& body,
         std::uint32_t flags = SWY_REQ_NATIVE, const std::string& model = "demo",
         std::uint64_t delay_ns = 0) {
  const demo::Settings settings{delay_ns};
  const FakeRequest request(task, model, body, flags);
  demo::Operation operation(settings, request.get(), 5);
  swy::Out out = ran.recorder.out();
  ran.last = operation.step(FakeEvent(SWY_EV_START).get(), out);
  while (ran.last.act == SWY_ACT_WAIT) {
    ++ran.waits;
    ran.last = operation.step(FakeEvent(SWY_EV_TIMER).get(), out);
  }
  REQUIRE(ran.recorder.method.empty());
}

std::string chat_body(const std::string& more, const std::string& said = "one two three") {
  return R"({"model":"demo","messages":[{"role":"user","content":")" + said + R"("}])" + more + "}";
}
constexpr std::uint32_t kStream = SWY_REQ_NATIVE | SWY_REQ_STREAM;

const std::string kTools =
    R"(,"tools":[{"type":"function","function":{"name":"get_weather","parameters":{"type":"object","properties":{"city":{"type":"string","enum":["Oslo","Rom"]},"days":{"type":"integer","minimum":2}}}}}])";

}  // namespace

TEST_CASE("demo: an answer says that it is one and repeats what was said", "[unit][demo]") {
  Ran ran;
  run(ran, "chat", chat_body(""));
  REQUIRE(ran.last.act == SWY_ACT_DONE);
  REQUIRE(ran.text("choices.0.message.content") ==
          "[demo] No model was asked. You said: one two three");
  REQUIRE(ran.text("choices.0.finish_reason") == "stop");
  REQUIRE(ran.text("model") == "demo");
  REQUIRE(json::find_path(ran.whole(), "usage") ==
          R"({"prompt_tokens":3,"completion_tokens":10,"total_tokens":13})");
  REQUIRE(ran.recorder.last(SWY_EMIT_USAGE) == json::find_path(ran.whole(), "usage"));
  REQUIRE(ran.recorder.last(SWY_EMIT_FINISH) == "stop");

  Ran again;
  run(again, "chat", chat_body(""));
  REQUIRE(again.whole() == ran.whole());
}

TEST_CASE("demo: a stream says the same as the whole answer", "[unit][demo]") {
  Ran ran;
  run(ran, "chat", chat_body(""), kStream);
  REQUIRE(ran.last.act == SWY_ACT_DONE);
  REQUIRE(ran.waits == 0);
  REQUIRE(ran.streamed("choices.0.delta.content") ==
          "[demo] No model was asked. You said: one two three");
  REQUIRE(ran.streamed("choices.0.finish_reason") == "stop");
  REQUIRE(ran.recorder.all(SWY_EMIT_DELTA).size() == 12);
  for (const std::string& delta : ran.recorder.all(SWY_EMIT_DELTA)) {
    REQUIRE(json::find(delta, "usage").empty());
  }
  REQUIRE(json::find(ran.recorder.last(SWY_EMIT_USAGE), "total_tokens") == "13");

  Ran asked;
  run(asked, "chat", chat_body(""), kStream | SWY_REQ_WANT_USAGE);
  const auto deltas = asked.recorder.all(SWY_EMIT_DELTA);
  REQUIRE(json::find(deltas.front(), "usage") == "null");
  REQUIRE(json::find(deltas.back(), "choices") == "[]");
  REQUIRE(json::find_path(deltas.back(), "usage.total_tokens") == "13");
}

TEST_CASE("demo: a paced stream waits between its pieces", "[unit][demo]") {
  Ran ran;
  run(ran, "chat", chat_body(""), kStream, "demo", 3'000'000);
  REQUIRE(ran.last.act == SWY_ACT_DONE);
  REQUIRE(ran.waits == 10);
  REQUIRE(ran.streamed("choices.0.delta.content") ==
          "[demo] No model was asked. You said: one two three");
}

TEST_CASE("demo: limits and stop sequences hold", "[unit][demo]") {
  Ran two;
  run(two, "chat", chat_body(R"(,"max_tokens":99,"max_completion_tokens":2)"));
  REQUIRE(two.text("choices.0.message.content") == "[demo] No");
  REQUIRE(two.text("choices.0.finish_reason") == "length");
  REQUIRE(json::find_path(two.whole(), "usage.completion_tokens") == "2");

  Ran all;
  run(all, "chat", chat_body(R"(,"max_tokens":10)"));
  REQUIRE(all.text("choices.0.finish_reason") == "stop");

  Ran stop;
  run(stop, "chat", chat_body(R"(,"stop":["nothing"," was"])"));
  REQUIRE(stop.text("choices.0.message.content") == "[demo] No model");
  REQUIRE(stop.text("choices.0.finish_reason") == "stop");

  for (const char* bad : {R"(,"max_tokens":0)", R"(,"n":0)", R"(,"n":17)", R"(,"n":"x")"}) {
    CAPTURE(bad);
    Ran refused;
    run(refused, "chat", chat_body(bad));
    REQUIRE(refused.last.act == SWY_ACT_FAIL);
    REQUIRE(refused.last.error.cls == SWY_CLS_BAD_REQUEST);
    REQUIRE_FALSE(refused.recorder.last(SWY_EMIT_ERROR).empty());
  }
}

TEST_CASE("demo: reasoning comes first and counts against the limit", "[unit][demo]") {
  Ran ran;
  run(ran, "chat", chat_body(""), kStream, "demo-reasoning");
  REQUIRE(ran.streamed("choices.0.delta.reasoning_content") ==
          "[demo] The last message has 3 words. I shall repeat them.");
  REQUIRE(json::find_path(ran.recorder.last(SWY_EMIT_USAGE),
                          "completion_tokens_details.reasoning_tokens") == "11");

  Ran cut;
  run(cut, "chat", chat_body(R"(,"max_completion_tokens":4)"), SWY_REQ_NATIVE, "demo-reasoning");
  REQUIRE(cut.text("choices.0.message.reasoning_content") == "[demo] The last message");
  REQUIRE(cut.text("choices.0.message.content") == "");
  REQUIRE(cut.text("choices.0.finish_reason") == "length");
}

TEST_CASE("demo: tools are called when asked for, and their answers used", "[unit][demo]") {
  const std::string arguments = R"({"city":"Oslo","days":2})";
  for (const char* choice :
       {R"(,"tool_choice":"required")",
        R"(,"tool_choice":{"type":"function","function":{"name":"get_weather"}})"}) {
    Ran ran;
    run(ran, "chat", chat_body(kTools + choice));
    REQUIRE(ran.text("choices.0.message.tool_calls.0.function.name") == "get_weather");
    REQUIRE(ran.text("choices.0.message.tool_calls.0.function.arguments") == arguments);
    REQUIRE(ran.text("choices.0.finish_reason") == "tool_calls");
  }
  Ran mentioned;
  run(mentioned, "chat", chat_body(kTools, "use get_weather please"), kStream);
  REQUIRE(mentioned.streamed("choices.0.delta.tool_calls.0.function.arguments") == arguments);
  REQUIRE(mentioned.streamed("choices.0.delta.tool_calls.0.function.name") == "get_weather");
  REQUIRE(mentioned.streamed("choices.0.finish_reason") == "tool_calls");

  Ran none;
  run(none, "chat", chat_body(kTools + R"(,"tool_choice":"none")", "use get_weather"));
  REQUIRE(none.text("choices.0.finish_reason") == "stop");
  Ran silent;
  run(silent, "chat", chat_body(kTools));
  REQUIRE(silent.text("choices.0.finish_reason") == "stop");

  Ran after;
  run(after, "chat",
      R"({"messages":[{"role":"user","content":"get_weather"},{"role":"tool","tool_call_id":"x","content":"sunny"}])" +
          kTools + "}");
  REQUIRE(after.text("choices.0.message.content") == "[demo] The tool answered: sunny");
}

TEST_CASE("demo: structured answers fit their schema", "[unit][demo]") {
  Ran object;
  run(object, "chat", chat_body(R"(,"response_format":{"type":"json_object"})"));
  REQUIRE(json::find(object.text("choices.0.message.content"), "demo") == "true");

  REQUIRE(
      demo::value_of_schema(
          R"({"type":"object","properties":{"a":{"type":"array","minItems":2,"items":{"$ref":"#/$defs/x"}},"b":{"type":["null","string"]},"c":{"const":7}},"$defs":{"x":{"type":"boolean"}}})") ==
      R"({"a":[true,true],"b":null,"c":7})");
  REQUIRE(demo::value_of_schema(R"({"properties":{"t":{}}})") == R"({"t":"[demo] t"})");
  // A schema that holds itself comes to an end.
  REQUIRE_FALSE(
      demo::value_of_schema(R"({"type":"object","properties":{"again":{"$ref":"#"}}})").empty());
}

TEST_CASE("demo: n answers are n choices", "[unit][demo]") {
  Ran ran;
  run(ran, "chat", chat_body(R"(,"n":3)"));
  REQUIRE(json::find_path(ran.whole(), "choices.2.index") == "2");
  REQUIRE(json::find_path(ran.whole(), "usage.completion_tokens") == "30");
  Ran stream;
  run(stream, "chat", chat_body(R"(,"n":2,"max_tokens":1)"), kStream);
  REQUIRE(stream.recorder.all(SWY_EMIT_DELTA).size() == 6);
}

TEST_CASE("demo: legacy completions, moderations and models answer", "[unit][demo]") {
  Ran text;
  run(text, "completions", R"({"model":"demo","prompt":"a b"})");
  REQUIRE(text.text("choices.0.text") == "[demo] No model was asked. You wrote: a b");
  REQUIRE(text.text("object") == "text_completion");
  Ran stream;
  run(stream, "completions", R"({"model":"demo","prompt":"a b"})", kStream);
  REQUIRE(stream.streamed("choices.0.text") == "[demo] No model was asked. You wrote: a b");

  Ran judged;
  run(judged, "moderations", R"({"input":["fine","demo-flag"]})");
  REQUIRE(json::find_path(judged.whole(), "results.0.flagged") == "false");
  REQUIRE(json::find_path(judged.whole(), "results.1.flagged") == "true");

  Ran models;
  run(models, "models", "");
  REQUIRE(models.text("data.2.id") == "demo-embedding");
}

TEST_CASE("demo: vectors have length 1, near texts lie near", "[unit][demo]") {
  const auto dot = [](const std::vector<float>& a, const std::vector<float>& b) {
    double sum = 0;
    for (std::size_t i = 0; i < a.size(); ++i)
      sum += static_cast<double>(a[i]) * static_cast<double>(b[i]);
    return sum;
  };
  const auto cat = demo::embed("the cat sat", 64), cats = demo::embed("the cat stood", 64),
             car = demo::embed("new wheels", 64), none = demo::embed("", 64);
  REQUIRE(dot(cat, cat) == Approx(1.0));
  REQUIRE(dot(none, none) == Approx(1.0));
  REQUIRE(dot(cat, cats) > dot(cat, car));

  Ran ran;
  run(ran, "embeddings", R"({"input":["a","b"],"dimensions":3})", SWY_REQ_NATIVE, "demo-embedding");
  REQUIRE_FALSE(json::find_path(ran.whole(), "data.1.embedding.2").empty());
  REQUIRE(json::find_path(ran.whole(), "data.1.embedding.3").empty());
  Ran base64;
  run(base64, "embeddings", R"({"input":"a","dimensions":3,"encoding_format":"base64"})",
      SWY_REQ_NATIVE, "demo-embedding");
  REQUIRE(base64.text("data.0.embedding").size() == 16);
  Ran tokens;
  run(tokens, "embeddings", R"({"input":[1,2]})", SWY_REQ_NATIVE, "demo-embedding");
  REQUIRE(json::find_path(tokens.whole(), "data.1").empty());
}

TEST_CASE("demo: what it does not have it refuses", "[unit][demo]") {
  Ran model;
  run(model, "chat", chat_body(""), SWY_REQ_NATIVE, "gpt-x");
  REQUIRE(model.last.error.cls == SWY_CLS_NO_MODEL);
  REQUIRE(json::to_text(json::find(model.recorder.last(SWY_EMIT_ERROR), "code")) ==
          "model_not_found");
  for (const char* body : {"{}", R"({"messages":[]})", R"({"messages":"x"})"}) {
    Ran bad;
    run(bad, "chat", body);
    REQUIRE(bad.last.error.cls == SWY_CLS_BAD_REQUEST);
  }
}
