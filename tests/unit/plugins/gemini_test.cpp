#include "providers/gemini/translate.hpp"
#include "vendor_wire.hpp"

using namespace vendor_wire;
namespace json = swy::json;

namespace {

const std::string kChat = R"({"model":"a","messages":[{"role":"user","content":"hi"}]})";

struct Exchange {
  Exchange(const std::string& body, std::uint32_t flags, const std::string& model,
           const std::string& task = "chat", const std::string& config = "{}")
      : request(task, model, body, flags),
        settings(*gemini::parse_settings(config)),
        operation(settings, request.get(), kNow) {}

  FakeRequest request;
  gemini::Settings settings;
  gemini::Operation operation;
  Ran ran;
};

struct Streamed : Exchange {
  explicit Streamed(const std::vector<std::string_view>& slices, const std::string& body = kChat)
      : Exchange(body, SWY_REQ_STREAM | SWY_REQ_WANT_USAGE, "gemini-3.8-flash") {
    stream(operation, ran, slices);
  }
};

struct Answered : Exchange {
  explicit Answered(const std::string& answer, unsigned status = 200,
                    const std::string& body = kChat, const std::string& task = "chat")
      : Exchange(body, 0, "gemini-3.8-flash", task) {
    whole(operation, ran, status, answer);
  }
};

struct Asked : Exchange {
  explicit Asked(const std::string& body, const std::string& model = "gemini-3.8-flash",
                 const std::string& task = "chat", const std::string& config = "{}")
      : Exchange(body, 0, model, task, config) {
    begin(operation, ran, 200, {});
  }
  std::string sent(std::string_view path) const {
    return std::string(json::find_path(ran.recorder.body, path));
  }
};

// In Google's own dialect.
struct Native : Exchange {
  explicit Native(const std::string& wire)
      : Exchange(R"({"contents":[]})", SWY_REQ_NATIVE | SWY_REQ_STREAM, "gemini-3.8-flash") {
    request.raw().dialect = swy::str("gemini");
    stream(operation, ran, {wire});
  }
};

std::string with(const std::string& members) {
  return R"({"model":"a","messages":[{"role":"user","content":"hi"}],)" + members + "}";
}
std::string messages(const std::string& list) { return R"({"messages":[)" + list + "]}"; }
std::string event(const std::string& data) { return "data: " + data + "\n\n"; }
std::string said(const std::string& candidate) {
  return R"({"candidates":[{"index":0,)" + candidate + "}]}";
}
const std::string kText = R"("content":{"parts":[{"text":"x"}]})";

int class_of(unsigned status, const std::string& body) {
  const Answered answered(body, status);
  CHECK(answered.ran.last.act == SWY_ACT_FAIL);
  return answered.ran.last.error.cls;
}

}  // namespace

TEST_CASE("gemini: streams that are cut or garbage are faults", "[unit][gemini]") {
  for (const std::string& wire :
       {std::string(), event("x"), event("7"), event("{"), event("{}"), event("null"),
        event(R"({"candidates":7})"), event(R"({"candidates":[7]})"),
        event(R"({"candidates":[{"index":-1}]})"), event(R"({"candidates":[{"index":1000000}]})"),
        event(R"({"candidates":[{"index":"a"}]})"), event(said(R"("content":7)")),
        event(said(R"("content":{"parts":[7]})")),
        event(said(R"("content":{"parts":[{"text":"x")")), event(said(kText)),
        event(said(kText)) + event(said(R"("content":{"parts":[]})")),
        event(said(kText + R"(,"finishReason":"FINISH_REASON_UNSPECIFIED")"))}) {
    CAPTURE(wire);
    const Streamed run({wire});
    CHECK(run.ran.last.act == SWY_ACT_FAIL);
    CHECK(run.ran.last.error.cls == SWY_CLS_BAD_ANSWER);
    for (const std::string& chunk : run.ran.deltas()) CHECK(json::valid(chunk));
    CHECK(run.ran.recorder.all(SWY_EMIT_FINISH).empty());
  }
}

TEST_CASE("gemini: a stream cut off before a finishReason never ends well", "[unit][gemini]") {
  const std::string wire = golden("gemini/tools.sse");
  const std::size_t finish = wire.find("\"finishReason\"");
  for (std::size_t cut = 0; cut < finish; ++cut) {
    CAPTURE(cut);
    const Streamed run({std::string_view(wire).substr(0, cut)});
    REQUIRE(run.ran.last.act == SWY_ACT_FAIL);
  }
}

TEST_CASE("gemini: answers that say nothing are faults", "[unit][gemini]") {
  for (const char* body : {"", "x", "{}", "7", R"({"candidates":[]})", R"({"candidates":[{}]})",
                           R"({"candidates":{}})", R"({"usageMetadata":{}})"}) {
    CAPTURE(body);
    const Answered answered(body);
    CHECK(answered.ran.last.act == SWY_ACT_FAIL);
    CHECK(answered.ran.last.error.cls == SWY_CLS_BAD_ANSWER);
    CHECK(answered.ran.recorder.all(SWY_EMIT_WHOLE).empty());
  }
}

TEST_CASE("gemini: requests that can't be said there are refused with a name", "[unit][gemini]") {
  struct Case {
    std::string body, param, part;
    int cls;
  };
  const std::vector<Case> cases = {
      {"{}", "messages", "expected an array", SWY_CLS_BAD_REQUEST},
      {R"({"messages":[]})", "messages", "none given", SWY_CLS_BAD_REQUEST},
      {messages(R"({"role":"wizard"})"), "messages", "messages[0].role", SWY_CLS_BAD_REQUEST},
      {with(R"("modalities":["audio"])"), "modalities", "audio", SWY_CLS_NOT_OFFERED},
      {with(R"("function_call":"auto","functions":[{}])"), "functions", "tools",
       SWY_CLS_NOT_OFFERED},
      {messages(R"({"role":"user","content":[{"type":"file","file":{"file_id":"file-1"}}]})"),
       "messages", "file_id", SWY_CLS_NOT_OFFERED},
      {messages(R"({"role":"user","content":[{"type":"image_url","image_url":{"url":"data:x"}}]})"),
       "messages", "image_url.url", SWY_CLS_BAD_REQUEST},
      {messages(R"({"role":"user","content":[{"type":"image_url","image_url":{}}]})"), "messages",
       "image_url.url", SWY_CLS_BAD_REQUEST},
      {messages(R"({"role":"tool","content":"x"})"), "messages", "tool_call_id",
       SWY_CLS_BAD_REQUEST},
  };
  for (const Case& each : cases) {
    CAPTURE(each.body);
    const Asked asked(each.body);
    CHECK(asked.ran.last.act == SWY_ACT_FAIL);
    CHECK(asked.ran.last.error.cls == each.cls);
    CHECK(asked.ran.last.error.message.find(each.part) != std::string::npos);
    CHECK(json::inside(json::find(asked.ran.recorder.last(SWY_EMIT_ERROR), "param")) == each.param);
    CHECK(asked.ran.recorder.url.empty());
  }
}

TEST_CASE("gemini: errors have their class and their wait", "[unit][gemini]") {
  const auto error = [](int code, const std::string& status, const std::string& message,
                        const std::string& details = "") {
    return R"({"error":{"code":)" + std::to_string(code) + R"(,"message":")" + message +
           R"(","status":")" + status + R"(","details":[)" + details + "]}}";
  };
  CHECK(class_of(400, error(400, "INVALID_ARGUMENT", "bad")) == SWY_CLS_BAD_REQUEST);
  CHECK(class_of(400, error(400, "INVALID_ARGUMENT", "API key not valid.")) == SWY_CLS_AUTH);
  CHECK(class_of(400, error(400, "INVALID_ARGUMENT",
                            "The input token count (9) exceeds the maximum number of tokens "
                            "allowed (8).")) == SWY_CLS_TOO_LONG);
  CHECK(class_of(400, error(400, "FAILED_PRECONDITION", "User location is not supported")) ==
        SWY_CLS_NO_MODEL);
  CHECK(class_of(403, error(403, "PERMISSION_DENIED", "no")) == SWY_CLS_AUTH);
  CHECK(class_of(404, error(404, "NOT_FOUND", "models/x")) == SWY_CLS_NO_MODEL);
  CHECK(class_of(429, error(429, "RESOURCE_EXHAUSTED", "slow")) == SWY_CLS_RATE_LIMIT);
  CHECK(class_of(429, error(429, "RESOURCE_EXHAUSTED", "x",
                            R"({"violations":[{"quotaId":"RequestsPerDayPerProject"}]})")) ==
        SWY_CLS_QUOTA);
  CHECK(class_of(500, error(500, "INTERNAL", "x")) == SWY_CLS_SERVER);
  CHECK(class_of(503, error(503, "UNAVAILABLE", "overloaded")) == SWY_CLS_OVERLOADED);
  CHECK(class_of(504, error(504, "DEADLINE_EXCEEDED", "late")) == SWY_CLS_TIMEOUT);
  CHECK(class_of(502, "<html>") == SWY_CLS_SERVER);
  CHECK(class_of(503, "[" + error(503, "UNAVAILABLE", "wrapped") + "]") == SWY_CLS_OVERLOADED);
  CHECK(class_of(200, error(503, "UNAVAILABLE", "within")) == SWY_CLS_OVERLOADED);
  CHECK(class_of(200, "[" + error(429, "RESOURCE_EXHAUSTED", "within") + "]") ==
        SWY_CLS_RATE_LIMIT);

  const Answered limited(
      error(429, "RESOURCE_EXHAUSTED", "project 123 is over",
            R"({"@type":"type.googleapis.com/google.rpc.RetryInfo","retryDelay":"37.5s"})"),
      429);
  CHECK(limited.ran.last.error.retry_after_ms == 37500);
  CHECK(limited.ran.last.error.message.find("123") == std::string::npos);
  CHECK(limited.ran.recorder.last(SWY_EMIT_ERROR).find("123") == std::string::npos);
}

TEST_CASE("gemini: an error within a stream ends it", "[unit][gemini]") {
  const Streamed run({event(said(kText)) +
                      event(R"({"error":{"code":503,"message":"busy","status":"UNAVAILABLE"}})")});
  CHECK(run.ran.last.act == SWY_ACT_FAIL);
  CHECK(run.ran.last.error.cls == SWY_CLS_OVERLOADED);
  CHECK(run.ran.last.error.http == 503);
}

TEST_CASE("gemini: a blocked prompt is a refusal, a blocked answer an answer", "[unit][gemini]") {
  const std::string block =
      R"({"promptFeedback":{"blockReason":"SAFETY"},"usageMetadata":{"promptTokenCount":3}})";
  const Answered blocked(block);
  CHECK(blocked.ran.last.act == SWY_ACT_FAIL);
  CHECK(blocked.ran.last.error.cls == SWY_CLS_FILTERED);
  CHECK(json::inside(json::find(blocked.ran.recorder.last(SWY_EMIT_ERROR), "code")) ==
        "content_policy_violation");
  const Streamed streamed({event(block)});
  CHECK(streamed.ran.last.error.cls == SWY_CLS_FILTERED);

  const Streamed cut({event(said(kText)) + event(said(R"("finishReason":"SAFETY")"))});
  CHECK(cut.ran.last.act == SWY_ACT_DONE);
  CHECK(cut.ran.recorder.last(SWY_EMIT_FINISH) == "content_filter");
}

TEST_CASE("gemini: reasons to finish in OpenAI's words", "[unit][gemini]") {
  const auto finish = [](const std::string& reason) {
    const Answered answered(said(kText + R"(,"finishReason":")" + reason + "\""));
    if (answered.ran.last.act == SWY_ACT_FAIL) {
      return "fails " + std::to_string(answered.ran.last.error.cls);
    }
    return answered.ran.recorder.last(SWY_EMIT_FINISH);
  };
  CHECK(finish("STOP") == "stop");
  CHECK(finish("MAX_TOKENS") == "length");
  CHECK(finish("CONTINUATION") == "length");
  for (const char* reason : {"SAFETY", "RECITATION", "BLOCKLIST", "PROHIBITED_CONTENT", "SPII",
                             "IMAGE_SAFETY", "IMAGE_PROHIBITED_CONTENT", "IMAGE_RECITATION"}) {
    CHECK(finish(reason) == "content_filter");
  }
  for (const char* reason : {"LANGUAGE", "OTHER", "NO_IMAGE", "IMAGE_OTHER", "YET_TO_COME"}) {
    CHECK(finish(reason) == "stop");
  }
  for (const char* reason : {"MALFORMED_FUNCTION_CALL", "UNEXPECTED_TOOL_CALL",
                             "TOO_MANY_TOOL_CALLS", "MALFORMED_RESPONSE"}) {
    CHECK(finish(reason) == "fails " + std::to_string(SWY_CLS_SERVER));
  }
  // A call that comes after the word STOP counts, a cut one does not turn into a whole one.
  const std::string call = R"("content":{"parts":[{"functionCall":{"name":"f"}}]})";
  CHECK(Streamed({event(said(kText + R"(,"finishReason":"STOP")")) + event(said(call))})
            .ran.recorder.last(SWY_EMIT_FINISH) == "tool_calls");
  CHECK(Streamed({event(said(call + R"(,"finishReason":"MAX_TOKENS")"))})
            .ran.recorder.last(SWY_EMIT_FINISH) == "length");
}

TEST_CASE("gemini: requests become what the references show", "[unit][gemini]") {
  for (const auto& [name, model] :
       {std::pair<std::string, std::string>{"conversation", "gemini-3.8-flash"},
        {"older", "gemini-2.5-flash"}}) {
    CAPTURE(name);
    const bool stream = name == "conversation";
    Exchange exchange(golden("gemini/" + name + ".canonical.json"), stream ? SWY_REQ_STREAM : 0U,
                      model);
    REQUIRE(begin(exchange.operation, exchange.ran, 200, {}));
    const Recorder& sent = exchange.ran.recorder;
    CHECK(compact(sent.body) == compact(golden("gemini/" + name + ".upstream.json")));
    CHECK(compact(exchange.ran.dropped()) == compact(golden("gemini/" + name + ".dropped.json")));
    CHECK(json::valid(sent.body));
    CHECK(sent.method == "POST");
    CHECK(sent.url ==
          "/models/" + model + (stream ? ":streamGenerateContent?alt=sse" : ":generateContent"));
    CHECK(sent.auth == "header x-goog-api-key");
    CHECK(sent.framing == (stream ? SWY_FRAME_SSE : SWY_FRAME_WHOLE));
  }
}

TEST_CASE("gemini: a model's name can't leave its place in the path", "[unit][gemini]") {
  CHECK(Asked(kChat, "../files/x?a=#b").ran.recorder.url ==
        "/models/..%2Ffiles%2Fx%3Fa%3D%23b:generateContent");
  CHECK(Asked(kChat, "models/gemini-2.5-pro").ran.recorder.url ==
        "/models/gemini-2.5-pro:generateContent");
  CHECK(Asked(kChat, "tunedModels/ours").ran.recorder.url == "/tunedModels/ours:generateContent");
}

TEST_CASE("gemini: what a model refuses is not sent to it", "[unit][gemini]") {
  const auto sent = [](const std::string& model, const std::string& members,
                       const std::string& path) {
    const Asked asked(with(members), model);
    return asked.sent("generationConfig." + path) + " " + asked.ran.dropped();
  };
  const std::string warm = R"("temperature":0.5)";
  CHECK(sent("gemini-2.5-pro", warm, "temperature") == "0.5 ");
  CHECK(sent("gemini-3.5-flash", warm, "temperature") == "0.5 ");
  CHECK(sent("gemini-3.5-flash-lite", warm, "temperature") == R"( ["/temperature"])");
  CHECK(sent("gemini-4-argon", warm, "temperature") == R"( ["/temperature"])");
  CHECK(sent("nano-banana-2.1", warm, "temperature") == "0.5 ");
  const auto effort = [&](const std::string& model, const std::string& value) {
    return sent(model, R"("reasoning_effort":")" + value + "\"", "thinkingConfig");
  };
  CHECK(effort("gemini-2.5-flash", "none") == R"({"thinkingBudget":0} )");
  CHECK(effort("gemini-2.5-pro", "none") == R"({"thinkingBudget":128} ["/reasoning_effort"])");
  CHECK(effort("gemini-2.5-pro", "medium") == R"({"thinkingBudget":8192,"includeThoughts":true} )");
  CHECK(effort("gemini-3.6-flash", "minimal") ==
        R"({"thinkingLevel":"MINIMAL","includeThoughts":true} )");
  CHECK(effort("gemini-4-argon", "minimal") ==
        R"({"thinkingLevel":"LOW","includeThoughts":true} )");
  CHECK(effort("gemini-4-argon", "none") == R"({"thinkingLevel":"LOW"} ["/reasoning_effort"])");
  CHECK(effort("gemini-2.0-flash", "low") == R"( ["/reasoning_effort"])");
  CHECK(
      sent(
          "gemini-2.5-pro",
          R"("tools":[{"type":"function","function":{"name":"f"}}],"response_format":{"type":"json_object"})",
          "responseMimeType") == R"( ["/response_format"])");
  CHECK(sent("gemini-3.8-flash", R"("modalities":["text","image"])", "responseModalities") ==
        R"(["TEXT","IMAGE"] )");
  // Nothing to say is not said, and a project that keeps requests is told not to.
  CHECK(Asked(kChat).ran.recorder.body ==
        R"({"contents":[{"role":"user","parts":[{"text":"hi"}]}],"store":false})");
  CHECK(
      Asked(kChat, "gemini-3.8-flash", "chat",
            R"({"settings":{"send_store":false,"safety_settings":[{"category":"X"}]}})")
          .ran.recorder.body ==
      R"({"contents":[{"role":"user","parts":[{"text":"hi"}]}],"safetySettings":[{"category":"X"}]})");
}

TEST_CASE("gemini: files and choices of functions in Google's words", "[unit][gemini]") {
  const auto part = [](const std::string& json) {
    const Asked asked(messages(R"({"role":"user","content":[)" + json + "]}"));
    return asked.sent("contents.0.parts.0") + " " + asked.ran.dropped();
  };
  CHECK(part(R"({"type":"file","file":{"file_id":"files/x","filename":"a.MP4"}})") ==
        R"({"fileData":{"mimeType":"video/mp4","fileUri":"files/x"}} )");
  CHECK(part(R"({"type":"file","file":{"filename":"a.txt","file_data":"YQ=="}})") ==
        R"({"inlineData":{"mimeType":"text/plain","data":"YQ=="}} )");
  CHECK(part(R"({"type":"image_url","image_url":{"url":"https://x.example/pic"}})") ==
        R"({"fileData":{"mimeType":"image/jpeg","fileUri":"https://x.example/pic"}} )");
  CHECK(part(R"({"type":"hologram"})") == R"({"text":" "} ["/messages/0/content/0"])");
  const auto config = [](const std::string& choice) {
    return Asked(with(R"("tools":[{"type":"function","function":{"name":"a"}}],"tool_choice":)" +
                      choice))
        .sent("toolConfig.functionCallingConfig");
  };
  CHECK(config("\"auto\"") == R"({"mode":"AUTO"})");
  CHECK(config("\"none\"") == R"({"mode":"NONE"})");
  CHECK(config("\"required\"") == R"({"mode":"ANY"})");
  CHECK(config(R"({"type":"function","function":{"name":"a"}})") ==
        R"({"mode":"ANY","allowedFunctionNames":["a"]})");
  CHECK(
      config(
          R"({"type":"allowed_tools","allowed_tools":{"mode":"required","tools":[{"type":"function","function":{"name":"a"}}]}})") ==
      R"({"mode":"ANY","allowedFunctionNames":["a"]})");
}

TEST_CASE("gemini: a signature goes back to the model that made it, and to no other",
          "[unit][gemini]") {
  const auto sent = [](const std::string& model, const std::string& extra) {
    const Asked asked(
        messages(
            R"({"role":"user","content":"x"},{"role":"assistant","tool_calls":[{"id":"c","type":"function","function":{"name":"f","arguments":"{}"})" +
            extra + "}]}"),
        model);
    return asked.sent("contents.1.parts.0.thoughtSignature") + " " + asked.ran.dropped();
  };
  const std::string theirs =
      R"(,"extra_content":{"google":{"thought_signature":"Q2k=","model":"gemini-3.8-flash"}})";
  CHECK(sent("gemini-3.8-flash", theirs) == "\"Q2k=\" ");
  CHECK(sent("gemini-4-argon", theirs) ==
        R"("skip_thought_signature_validator" ["/messages/1/tool_calls/0/extra_content"])");
  CHECK(sent("gemini-3.8-flash", "") == "\"skip_thought_signature_validator\" ");
  CHECK(sent("gemini-2.5-flash", "") == " ");
  CHECK(sent("gemini-3.8-flash", R"(,"extra_content":{"google":{"thought_signature":"Q2k="}})") ==
        "\"Q2k=\" ");
}

TEST_CASE("gemini: streams become chunks, wherever they are cut", "[unit][gemini]") {
  const std::string wire = golden("gemini/tools.sse");
  const auto expected = lines_of(golden("gemini/tools.chunks.jsonl"));
  const std::string_view bytes = wire;
  const Streamed once({bytes});
  CHECK(once.ran.last.act == SWY_ACT_DONE);
  REQUIRE(once.ran.deltas() == expected);
  CHECK(once.ran.recorder.last(SWY_EMIT_FINISH) == "tool_calls");
  for (std::size_t cut = 0; cut <= bytes.size(); ++cut) {
    CAPTURE(cut);
    const Streamed run({bytes.substr(0, cut), bytes.substr(cut)});
    REQUIRE(run.ran.last.act == SWY_ACT_DONE);
    REQUIRE(run.ran.deltas() == expected);
  }
}

TEST_CASE("gemini: several choices have each their own chunks and end", "[unit][gemini]") {
  const Streamed run(
      {event(
           R"({"candidates":[{"index":1,"content":{"parts":[{"text":"b"}]},"finishReason":"STOP"}]})") +
       event(
           R"({"candidates":[{"index":0,"content":{"parts":[{"text":"a"}]},"finishReason":"MAX_TOKENS"}]})")});
  REQUIRE(run.ran.last.act == SWY_ACT_DONE);
  std::string order;
  for (const std::string& chunk : run.ran.deltas()) {
    const auto choice = [&](std::string_view path) {
      return std::string(json::find_path(chunk, "choices.0." + std::string(path)));
    };
    order += choice("index") + choice("delta.content") + choice("finish_reason") + " ";
  }
  CHECK(order == "1\"\"null 1\"b\"null 0\"\"null 0\"a\"null 0\"length\" 1\"stop\" ");
  // One that never ended is a cut.
  CHECK(
      Streamed(
          {event(R"({"candidates":[{"index":1,"content":{},"finishReason":"STOP"},{"index":0}]})")})
          .ran.last.act == SWY_ACT_FAIL);
}

TEST_CASE("gemini: a whole answer keeps sources, probabilities and pictures", "[unit][gemini]") {
  const Answered answered(golden("gemini/search.answer.json"));
  CHECK(answered.ran.last.act == SWY_ACT_DONE);
  CHECK(compact(answered.ran.recorder.last(SWY_EMIT_WHOLE)) ==
        compact(golden("gemini/search.whole.json")));
}

TEST_CASE("gemini: embeddings go as a batch and come back in the form that was asked for",
          "[unit][gemini]") {
  const std::string body =
      R"({"model":"e","input":["a","b"],"dimensions":3,"encoding_format":"base64","user":"u"})";
  const Asked asked(body, "gemini-embedding-001", "embeddings");
  CHECK(asked.ran.recorder.url == "/models/gemini-embedding-001:batchEmbedContents");
  CHECK(
      asked.ran.recorder.body ==
      R"({"requests":[{"model":"models/gemini-embedding-001","content":{"parts":[{"text":"a"}]},"outputDimensionality":3},)"
      R"({"model":"models/gemini-embedding-001","content":{"parts":[{"text":"b"}]},"outputDimensionality":3}]})");
  CHECK(asked.ran.dropped() == R"(["/user"])");
  const std::string values = R"({"embeddings":[{"values":[0.5,-0.25,1]},{"values":[]}]})";
  CHECK(
      Answered(values, 200, body, "embeddings").ran.recorder.last(SWY_EMIT_WHOLE) ==
      R"({"object":"list","data":[{"object":"embedding","index":0,"embedding":"AAAAPwAAgL4AAIA/"},)"
      R"({"object":"embedding","index":1,"embedding":""}],"model":"gemini-3.8-flash"})");
  CHECK(Answered(values, 200, R"({"input":"a"})", "embeddings").ran.recorder.last(SWY_EMIT_WHOLE) ==
        R"({"object":"list","data":[{"object":"embedding","index":0,"embedding":[0.5,-0.25,1]},)"
        R"({"object":"embedding","index":1,"embedding":[]}],"model":"gemini-3.8-flash"})");
  for (const char* wrong : {"{}", "x", R"({"embeddings":7})", R"({"embeddings":[{}]})",
                            R"({"embeddings":[{"values":["a"]}]})"}) {
    CAPTURE(wrong);
    CHECK(Answered(wrong, 200, body, "embeddings").ran.last.error.cls == SWY_CLS_BAD_ANSWER);
  }
  CHECK(Asked(R"({"input":[[1,2]]})", "m", "embeddings").ran.last.error.cls == SWY_CLS_NOT_OFFERED);
  CHECK(Asked(R"({"input":[]})", "m", "embeddings").ran.last.error.cls == SWY_CLS_BAD_REQUEST);
}

TEST_CASE("gemini: the list of models comes page by page", "[unit][gemini]") {
  Exchange exchange("", 0, "", "models");
  Ran& ran = exchange.ran;
  REQUIRE(begin(exchange.operation, ran, 200, {}));
  CHECK(ran.recorder.url == "/models?pageSize=1000");
  swy::Out out = ran.recorder.out();
  ran.last = exchange.operation.step(
      FakeEvent(SWY_EV_DATA, R"({"models":[{"name":"models/gemini-a"}],"nextPageToken":"a/b="})")
          .get(),
      out);
  REQUIRE(ran.last.act == SWY_ACT_SEND);
  CHECK(ran.recorder.url == "/models?pageSize=1000&pageToken=a%2Fb%3D");
  exchange.operation.step(FakeEvent(SWY_EV_HEAD).status(200).get(), out);
  ran.last = exchange.operation.step(FakeEvent(SWY_EV_DATA, R"({"models":[]})").get(), out);
  CHECK(ran.last.act == SWY_ACT_DONE);
  CHECK(
      ran.recorder.last(SWY_EMIT_WHOLE) ==
      R"({"object":"list","data":[{"id":"gemini-a","object":"model","created":0,"owned_by":"google"}]})");
}

TEST_CASE("gemini: usage tells sound, pictures, what was cached of them, and searches",
          "[unit][gemini]") {
  const std::string usage =
      R"("usageMetadata":{"promptTokenCount":100,"cachedContentTokenCount":40,)"
      R"("candidatesTokenCount":20,"thoughtsTokenCount":5,"toolUsePromptTokenCount":7,)"
      R"("promptTokensDetails":[{"modality":"TEXT","tokenCount":30},)"
      R"({"modality":"AUDIO","tokenCount":60},{"modality":"IMAGE","tokenCount":10}],)"
      R"("cacheTokensDetails":[{"modality":"AUDIO","tokenCount":25}],)"
      R"("candidatesTokensDetails":[{"modality":"AUDIO","tokenCount":12},)"
      R"({"modality":"IMAGE","tokenCount":5}]})";
  const Answered answered(R"({"candidates":[{"index":0,)" + kText +
                          R"(,"finishReason":"STOP","groundingMetadata":{"webSearchQueries":)"
                          R"(["a","b","c"]}}],)" +
                          usage + "}");
  CHECK(answered.ran.recorder.last(SWY_EMIT_USAGE) ==
        R"({"prompt_tokens":107,"completion_tokens":25,"total_tokens":132,)"
        R"("prompt_tokens_details":{"cached_tokens":40,"audio_tokens":60,)"
        R"("cached_audio_tokens":25,"image_tokens":10},)"
        R"("completion_tokens_details":{"reasoning_tokens":5,"audio_tokens":12,"image_tokens":5},)"
        R"("searches":3})");
}

TEST_CASE("gemini: natively too, garbage and a cut are faults", "[unit][gemini]") {
  const std::string whole = said(kText + R"(,"finishReason":"STOP")");
  for (const std::string& wire :
       {std::string(), event("x"), event("7"), event(R"({"candidates":[)"), event("[]"),
        event(said(kText)),
        event(R"({"error":{"code":503,"message":"m","status":"UNAVAILABLE"}})")}) {
    CAPTURE(wire);
    CHECK(Native(wire).ran.last.act == SWY_ACT_FAIL);
  }
  const Native native(event(said(kText)) + event(whole));
  CHECK(native.ran.last.act == SWY_ACT_DONE);
  CHECK(native.ran.deltas() == std::vector<std::string>{said(kText), whole});
  CHECK(native.ran.recorder.last(SWY_EMIT_FINISH) == "stop");
}

TEST_CASE("gemini: a key of no service account is not exchanged", "[unit][gemini]") {
  const std::string config = R"({"settings":{"vertex":true}})";
  const Asked express(kChat, "gemini-3.8-flash", "chat", config);
  CHECK(express.ran.recorder.url == "/models/gemini-3.8-flash:generateContent");
  CHECK(express.sent("store").empty());  // Vertex refuses it
  Exchange account(kChat, 0, "gemini-3.8-flash", "chat", config);
  account.request.credential("client_email", "a@p.iam.gserviceaccount.com");
  begin(account.operation, account.ran, 200, {});
  CHECK(account.ran.last.act == SWY_ACT_FAIL);  // without a host that signs
  CHECK(account.ran.last.error.cls == SWY_CLS_PLUGIN);
}
