// The rules a dialect may have, each by its own small dialect: what goes out, what is told as lost,
// and what answers become.
#include <switchyard/testing.hpp>

#include "providers/openai/messages.hpp"
#include "providers/openai/translate.hpp"

using namespace swy::testing;

namespace {

openai::Settings with(const std::string& dialect_json, const std::string& settings = "{}") {
  auto parsed =
      openai::parse_settings(R"({"dialect":)" + dialect_json + R"(,"settings":)" + settings + "}");
  if (!parsed) FAIL(parsed.error().message);
  return *std::move(parsed);
}

struct Sent {
  std::string body, dropped, refusal;
};

// The members behind the model's name, as they go out.
Sent send(const std::string& request_rules, const std::string& members, std::uint32_t flags = 0,
          const std::string& task = "chat", const std::string& model = "u") {
  const openai::Settings settings = with(R"({"request":)" + request_rules + "}");
  const FakeRequest request(task, model, R"({"model":"a")" + members + "}", SWY_REQ_NATIVE | flags);
  const openai::UpstreamBody body(settings.dialect, request.get());
  Sent sent;
  if (body.refusal()) sent.refusal = body.refusal()->message;
  if (!body.losses().empty()) sent.dropped = body.losses().array();
  const std::string text = body.pieces().joined();
  REQUIRE(swy::json::valid(text));
  const std::string head = R"({"model":")" + model + '"';
  REQUIRE(text.substr(0, head.size()) == head);
  sent.body = text.substr(head.size(), text.size() - head.size() - 1);
  return sent;
}
std::string sent(const std::string& rules, const std::string& members, std::uint32_t flags = 0,
                 const std::string& task = "chat") {
  return send(rules, members, flags, task).body;
}
std::string dropped(const std::string& rules, const std::string& members) {
  return send(rules, members).dropped;
}
std::string messages(const std::string& rules, const std::string& list) {
  const std::string body = sent(rules, R"(,"messages":)" + list);
  const std::string head = R"(,"messages":)";
  REQUIRE(body.substr(0, head.size()) == head);
  return body.substr(head.size());
}

constexpr std::uint32_t kStream = SWY_REQ_NATIVE | SWY_REQ_STREAM;

struct Ran {
  Recorder recorder;
  swy::Next last;
};

void run(Ran& ran, const std::string& dialect, const std::vector<std::string>& events,
         std::uint32_t flags, const std::string& task = "chat",
         const std::string& body = R"({"model":"a","messages":[]})") {
  const openai::Settings settings = with(dialect);
  const FakeRequest request(task, "up-1", body, flags);
  swy::Out out = ran.recorder.out();
  openai::Operation operation(settings, request.get());
  ran.last = operation.step(FakeEvent(SWY_EV_START).get(), out);
  REQUIRE(ran.last.act == SWY_ACT_SEND);
  ran.last = operation.step(
      FakeEvent(SWY_EV_HEAD).status(200).headers({{"date", "Fri, 20 Nov 2026 12:00:00 GMT"}}).get(),
      out);
  for (const std::string& data : events) {
    if (ran.last.act != SWY_ACT_FEED) return;
    ran.last = operation.step(FakeEvent(SWY_EV_DATA, data).get(), out);
  }
  if (ran.last.act == SWY_ACT_FEED) ran.last = operation.step(FakeEvent(SWY_EV_END).get(), out);
}

std::string answer(const std::string& dialect, const std::string& body,
                   const std::string& task = "chat") {
  Ran ran;
  run(ran, dialect, {body}, SWY_REQ_NATIVE, task);
  if (ran.last.act != SWY_ACT_DONE) return "failed: " + ran.last.error.message;
  const auto whole = ran.recorder.all(SWY_EMIT_WHOLE);
  REQUIRE(whole.size() == 1);
  CHECK(swy::json::valid(whole[0]));
  return whole[0];
}
std::vector<std::string> stream(const std::string& dialect, std::vector<std::string> events,
                                std::uint32_t flags = kStream) {
  Ran ran;
  run(ran, dialect, events, flags);
  auto deltas = ran.recorder.all(SWY_EMIT_DELTA);
  for (const std::string& delta : deltas) CHECK(swy::json::valid(delta));
  if (ran.last.act != SWY_ACT_DONE) deltas.push_back("failed: " + ran.last.error.message);
  return deltas;
}

std::string choice(const std::string& inside) { return R"({"choices":[{)" + inside + "}]}"; }

}  // namespace

TEST_CASE("openai rules: what is left out is told, where it asked for something",
          "[unit][openai]") {
  const std::string rules =
      R"({"drop":["seed","n","store","logprobs","top_logprobs","presence_penalty","user","metadata",)"
      R"("service_tier","modalities","parallel_tool_calls","stop"]})";
  CHECK(dropped(rules, R"(,"seed":0,"user":"u","stop":["x"])") == R"(["/seed","/user","/stop"])");
  CHECK(dropped(rules, R"(,"n":1,"store":false,"logprobs":false,"top_logprobs":0,)"
                       R"("presence_penalty":0.0,"user":"","metadata":{},"service_tier":"auto",)"
                       R"("modalities":["text"],"parallel_tool_calls":true,"stop":null)")
            .empty());
  CHECK(dropped(rules, R"(,"parallel_tool_calls":false,"modalities":["text","audio"])") ==
        R"(["/parallel_tool_calls","/modalities"])");
  CHECK(dropped("{}", R"(,"seed":1)").empty());
}

TEST_CASE("openai rules: a number is brought within limits, and that is told", "[unit][openai]") {
  const std::string rules = R"({"minimum":{"temperature":0.01},"maximum":{"temperature":1}})";
  const Sent low = send(rules, R"(,"temperature":0)");
  CHECK(low.body == R"(,"temperature":0.01)");
  CHECK(low.dropped == R"(["/temperature"])");
  CHECK(sent(rules, R"(,"temperature":1.5)") == R"(,"temperature":1)");
  const Sent within = send(rules, R"(,"temperature":0.50)");
  CHECK(within.body == R"(,"temperature":0.50)");
  CHECK(within.dropped.empty());
  CHECK(sent(rules, R"(,"temperature":"0")") == R"(,"temperature":"0")");
}

TEST_CASE("openai rules: a value becomes another one, nothing, or other members",
          "[unit][openai]") {
  CHECK(sent(R"({"values":{"effort":{"max":"high","none":null}}})", R"(,"effort":"max")") ==
        R"(,"effort":"high")");
  CHECK(sent(R"({"values":{"effort":{"none":null}}})", R"(,"effort":"none","x":1)") == R"(,"x":1)");
  CHECK(dropped(R"({"values":{"effort":{"none":null}}})", R"(,"effort":"none")") ==
        R"(["/effort"])");
  CHECK(dropped(R"({"words":{"tier":{"default":"standard","flex":null}}})", R"(,"tier":"flex")")
            .empty());
  CHECK(sent(R"({"words":{"logprobs":{"true":1,"false":null}}})", R"(,"logprobs":true)") ==
        R"(,"logprobs":1)");
  CHECK(sent(R"({"words":{"logprobs":{"true":1,"false":null}}})", R"(,"logprobs":false)").empty());
  const std::string instead =
      R"({"instead":{"reasoning_effort":{"none":{"thinking":{"type":"disabled"}},"low":{}}}})";
  CHECK(sent(instead, R"(,"reasoning_effort":"none")") == R"(,"thinking":{"type":"disabled"})");
  CHECK(sent(instead, R"(,"reasoning_effort":"low")").empty());
  CHECK(sent(instead, R"(,"reasoning_effort":"high")") == R"(,"reasoning_effort":"high")");
  CHECK(sent(instead, R"(,"reasoning_effort":"none","thinking":{"type":"auto"})") ==
        R"(,"thinking":{"type":"auto"})");
  CHECK(sent(R"({"as_list":["stop"]})", R"(,"stop":"x")") == R"(,"stop":["x"])");
  CHECK(sent(R"({"as_list":["stop"]})", R"(,"stop":["x"])") == R"(,"stop":["x"])");
}

TEST_CASE("openai rules: defaults are set where their conditions hold", "[unit][openai]") {
  const std::string rules =
      R"({"set_default":{"chat tools":{"a":1},"chat whole":{"b":2},"chat stream":{"c":3},)"
      R"("embeddings":{"d":4}}})";
  CHECK(sent(rules, "") == R"(,"b":2)");
  CHECK(sent(rules, R"(,"tools":[])") == R"(,"tools":[],"a":1,"b":2)");
  CHECK(sent(rules, R"(,"b":0)") == R"(,"b":0)");
  CHECK(sent(rules, R"(,"stream_options":{"include_usage":true})", SWY_REQ_STREAM) ==
        R"(,"stream_options":{"include_usage":true},"c":3)");
  CHECK(sent(rules, "", 0, "embeddings") == R"(,"d":4)");
}

TEST_CASE("openai rules: a forced choice of a tool that is not known here", "[unit][openai]") {
  const std::string rules =
      R"({"tool_choice":{"required":"auto","named":"required","none":"no_tools"}})";
  const std::string tools = R"(,"tools":[{"type":"function","function":{"name":"f"}}])";
  CHECK(sent(rules, R"(,"tool_choice":"required")") == R"(,"tool_choice":"auto")");
  CHECK(dropped(rules, R"(,"tool_choice":"required")") == R"(["/tool_choice"])");
  CHECK(sent(rules, R"(,"tool_choice":{"type":"function","function":{"name":"f"}})") ==
        R"(,"tool_choice":"required")");
  const Sent none = send(rules, tools + R"(,"tool_choice":"none","x":1)");
  CHECK(none.body == R"(,"x":1)");
  CHECK(none.dropped.empty());
  CHECK(sent(rules, R"(,"tool_choice":"auto")") == R"(,"tool_choice":"auto")");

  const std::string thinking =
      R"({"tool_choice":{"required":"auto","when_thinking":true},)"
      R"("instead":{"reasoning_effort":{"none":{"enable_thinking":false}}}})";
  CHECK(sent(thinking, R"(,"tool_choice":"required")") == R"(,"tool_choice":"auto")");
  CHECK(sent(thinking, R"(,"tool_choice":"required","thinking":{"type":"disabled"})") ==
        R"(,"tool_choice":"required","thinking":{"type":"disabled"})");
  CHECK(sent(thinking, R"(,"reasoning_effort":"none","tool_choice":"required")") ==
        R"(,"tool_choice":"required","enable_thinking":false)");

  const Sent strict =
      send(R"({"function_drop":["strict"]})",
           R"(,"tools":[{"type":"function","function":{"strict":true,"name":"f"}},)"
           R"({"type":"function","function":{"name":"g","strict":false}},{"type":"web"}])");
  CHECK(strict.body == R"(,"tools":[{"type":"function","function":{"name":"f"}},)"
                       R"({"type":"function","function":{"name":"g"}},{"type":"web"}])");
  CHECK(strict.dropped == R"(["/tools/0/function/strict"])");
}

TEST_CASE("openai rules: more answers than there can be are refused", "[unit][openai]") {
  CHECK(send(R"({"choices_max":1})", R"(,"n":2)").refusal.find("lower n") != std::string::npos);
  CHECK(send(R"({"choices_max":1,"drop":["n"]})", R"(,"n":1)").refusal.empty());

  const openai::Settings settings = with(R"({"request":{"choices_max":1}})");
  const FakeRequest request("chat", "m", R"({"model":"a","n":3})");
  Recorder recorder;
  swy::Out out = recorder.out();
  openai::Operation operation(settings, request.get());
  const swy::Next next = operation.step(FakeEvent(SWY_EV_START).get(), out);
  REQUIRE(next.act == SWY_ACT_FAIL);
  REQUIRE(next.error.cls == SWY_CLS_NOT_OFFERED);
}

TEST_CASE("openai rules: a schema goes as an instruction where there is a JSON mode only",
          "[unit][openai]") {
  const Sent out = send(
      R"({"schema_as_prompt":true})",
      R"(,"response_format":{"type":"json_schema","json_schema":{"name":"n","schema":{"type":"object"}}},)"
      R"("messages":[{"role":"user","content":"x"}])");
  CHECK(
      out.body ==
      R"(,"response_format":{"type":"json_object"},"messages":[{"role":"system","content":)"
      R"("Answer with one JSON value only, without any words around it, that fits this JSON schema: )"
      R"({\"type\":\"object\"}"},{"role":"user","content":"x"}])");
  CHECK(out.dropped == R"(["/response_format"])");
  CHECK(sent(R"({"schema_as_prompt":true})", R"(,"response_format":{"type":"json_object"})") ==
        R"(,"response_format":{"type":"json_object"})");
}

TEST_CASE("openai rules: messages with tool calls get what they must have", "[unit][openai]") {
  const std::string rules = R"({"calls_need":{"content":"","reasoning_content":"?"}})";
  const std::string calls = R"("tool_calls":[{"id":"c"}])";
  CHECK(messages(rules, R"([{"role":"assistant",)" + calls + "}]") ==
        R"([{"role":"assistant",)" + calls + R"(,"content":"","reasoning_content":"?"}])");
  CHECK(messages(rules,
                 R"([{"role":"assistant","content":null,"reasoning_content":"",)" + calls + "}]") ==
        R"([{"role":"assistant","content":"","reasoning_content":"",)" + calls + "}]");
  const std::string plain =
      R"([{"role":"assistant","content":null},{"role":"assistant","content":"x","tool_calls":[]},)"
      R"({"role":"tool","tool_call_id":"c","content":"y"}])";
  CHECK(messages(rules, plain) == plain);
}

TEST_CASE("openai rules: content is there, and a string where it has to be", "[unit][openai]") {
  CHECK(messages(R"({"content":"needed"})", R"([{"role":"assistant","content":null}])") ==
        R"([{"role":"assistant","content":""}])");
  const std::string parts = R"([{"role":"user","content":[{"type":"text","text":"a\nb"},)"
                            R"({"type":"text","text":"c"}]}])";
  CHECK(messages(R"({"content":"needed"})", parts) == parts);
  CHECK(messages(R"({"content":"text"})", parts) == R"([{"role":"user","content":"a\nb\nc"}])");
  const Sent picture = send(R"({"content":"text"})",
                            R"(,"messages":[{"role":"user","content":[{"type":"image_url"}]}])");
  CHECK(picture.refusal ==
        R"(/messages/0/content has a part of type "image_url"; the model takes text)");
}

TEST_CASE("openai rules: ids of calls in nine characters are the same on both sides",
          "[unit][openai]") {
  CHECK(openai::nine_characters("aB3dE5gH1") == "aB3dE5gH1");
  const std::string nine = openai::nine_characters("call_0123456789");
  CHECK(nine.size() == 9);
  CHECK(nine != openai::nine_characters("call_0123456788"));
  CHECK(messages(
            R"({"call_ids":"nine"})",
            R"([{"role":"assistant","tool_calls":[{"id":"call_0123456789"},{"id":"aB3dE5gH1"}]},)"
            R"({"role":"tool","tool_call_id":"call_0123456789"}])") ==
        R"([{"role":"assistant","tool_calls":[{"id":")" + nine +
            R"("},{"id":"aB3dE5gH1"}]},{"role":"tool","tool_call_id":")" + nine + R"("}])");
}

TEST_CASE("openai rules: a message is put between roles that may not meet", "[unit][openai]") {
  const std::string rules = R"({"roles":{"developer":"user"},"between":[{"after":"tool",)"
                            R"("before":"user","insert":{"role":"assistant"}}]})";
  CHECK(messages(rules, R"([{"role":"tool"},{"role":"tool"},{"role":"developer"}])") ==
        R"([{"role":"tool"},{"role":"tool"},{"role":"assistant"},{"role":"user"}])");
}

TEST_CASE("openai rules: thinking goes back in the form that it is wanted in", "[unit][openai]") {
  const std::string rules = R"({"reasoning_details":true})";
  CHECK(
      messages(rules, R"([{"role":"assistant","reasoning_content":"hm","content":"x"}])") ==
      R"([{"role":"assistant","content":"x","reasoning_details":[{"type":"reasoning.text","text":"hm"}]}])");
  CHECK(messages(rules, R"([{"reasoning_content":"hm"}])") ==
        R"([{"reasoning_details":[{"type":"reasoning.text","text":"hm"}]}])");
  CHECK(messages(rules, R"([{"reasoning_content":"hm","reasoning_details":[1]}])") ==
        R"([{"reasoning_details":[1]}])");
}

TEST_CASE("openai rules: sound and files in Mistral's form", "[unit][openai]") {
  CHECK(
      messages(
          R"({"mistral_parts":true})",
          R"([{"role":"user","content":[{"type":"input_audio","input_audio":{"data":"QQ==","format":"wav"}},)"
          R"({"type":"file","file":{"filename":"a.pdf","file_data":"data:x"}},{"type":"text","text":"t"}]}])") ==
      R"([{"role":"user","content":[{"type":"input_audio","input_audio":"QQ=="},)"
      R"({"type":"document_url","document_url":"data:x","document_name":"a.pdf"},{"type":"text","text":"t"}]}])");
}

TEST_CASE("openai rules: models that differ have rules of their own", "[unit][openai]") {
  const openai::Settings settings = with(
      R"({"request":{"drop":["effort","seed"],"rename":{"a":"b"}},"models":[)"
      R"({"models":["k3*","one"],"request":{"values":{"effort":{"max":"high"}},"path":"/x","model":"k"}},)"
      R"({"models":["k*"],"request":{"pass":["seed"]}}]})");
  const auto body = [&settings](const std::string& model) {
    const FakeRequest request("chat", model, R"({"effort":"max","seed":1,"a":2})");
    const openai::UpstreamBody out(settings.dialect, request.get());
    return out.pieces().joined();
  };
  CHECK(body("k3.1") == R"({"effort":"high","b":2,"model":"k"})");
  CHECK(body("one") == R"({"effort":"high","b":2,"model":"k"})");
  CHECK(body("k2") == R"({"seed":1,"b":2,"model":"k2"})");
  CHECK(body("other") == R"({"b":2,"model":"other"})");
}

TEST_CASE("openai rules: paths, queries and headers are made of the request", "[unit][openai]") {
  const auto begun = [](const std::string& dialect, const std::string& settings) {
    const openai::Settings read = with(dialect, settings);
    const FakeRequest request("chat", "my model/1", R"({"prompt_cache_key":"k"})");
    Recorder recorder;
    swy::Out out = recorder.out();
    openai::Operation operation(read, request.get());
    operation.step(FakeEvent(SWY_EV_START).get(), out);
    return recorder.url + " " + (recorder.header("x-conv").empty() ? "-" : "conv") + " " +
           recorder.body;
  };
  CHECK(begun(R"({"paths":{"chat":"/d/{model}/c"},"query":{"api-version":"1"}})",
              R"({"query":{"api-version":"2&"}})") ==
        R"(/d/my%20model%2F1/c?api-version=2%26 - {"prompt_cache_key":"k","model":"my model/1"})");
  CHECK(begun(R"({"request":{"to_header":{"prompt_cache_key":"x-conv"}}})", "{}") ==
        R"(/chat/completions conv {"model":"my model/1"})");
}

TEST_CASE("openai rules: thinking under another name is shown under the common one too",
          "[unit][openai]") {
  const std::string dialect = R"({"answer":{"reasoning":"reasoning"}})";
  CHECK(answer(dialect, choice(R"("message":{"content":"x","reasoning":"hm"})")) ==
        choice(R"("message":{"content":"x","reasoning_content":"hm","reasoning":"hm"})"));
  CHECK(answer(dialect, choice(R"("message":{"reasoning":"hm","reasoning_content":"hm"})")) ==
        choice(R"("message":{"reasoning":"hm","reasoning_content":"hm"})"));
  CHECK(answer(dialect, choice(R"("message":{"reasoning":"hm","reasoning_content":null})")) ==
        choice(R"("message":{"reasoning":"hm","reasoning_content":"hm"})"));
  CHECK(answer(dialect, choice(R"("message":{"reasoning":null})")) ==
        choice(R"("message":{"reasoning":null})"));
}

TEST_CASE("openai rules: a list of texts and thinking is told apart", "[unit][openai]") {
  const std::string dialect = R"({"answer":{"content_chunks":true}})";
  CHECK(
      answer(
          dialect,
          choice(R"("message":{"content":[{"type":"thinking","thinking":[)"
                 R"({"type":"text","text":"h\""},{"text":"m"}]},{"type":"text","text":"x"}]})")) ==
      choice(R"("message":{"content":"x","reasoning_content":"h\"m"})"));
  CHECK(answer(dialect, choice(R"("message":{"content":"x"})")) ==
        choice(R"("message":{"content":"x"})"));
}

TEST_CASE("openai rules: an answer that lacks what OpenAI's have is completed", "[unit][openai]") {
  const std::string dialect =
      R"({"stream":{"usage":"always"},"answer":{"complete":true,"id_path":"sid"}})";
  CHECK(
      answer(dialect, R"({"code":0,"sid":"s1","choices":[{"message":{"content":"x"}}]})") ==
      R"({"id":"s1","object":"chat.completion","created":1795176000,"model":"up-1","code":0,"sid":"s1",)"
      R"("choices":[{"message":{"content":"x"},"finish_reason":"stop"}]})");
  CHECK(
      answer(dialect,
             R"({"id":"i","object":"o","created":1,"model":"m","choices":[)"
             R"({"message":{"tool_calls":{"id":"c","type":"function"}},"finish_reason":null}]})") ==
      R"({"id":"i","object":"o","created":1,"model":"m","choices":[)"
      R"({"message":{"tool_calls":[{"id":"c","type":"function"}]},"finish_reason":"tool_calls"}]})");

  Ran full;
  run(full, dialect,
      {R"({"choices":[{"message":{"content":"x"}}],"usage":{"prompt_tokens":1,"completion_tokens":5}})"},
      SWY_REQ_NATIVE, "chat", R"({"model":"a","max_tokens":5})");
  CHECK(full.recorder.all(SWY_EMIT_FINISH) == std::vector<std::string>{"length"});

  const auto deltas =
      stream(dialect, {R"({"sid":"s","choices":[{"delta":{"content":"x"}}]})", "[DONE]"});
  const std::string head =
      R"({"id":"s","object":"chat.completion.chunk","created":1795176000,"model":"up-1",)";
  REQUIRE(deltas.size() == 2);
  CHECK(deltas[0] == head + R"("sid":"s","choices":[{"delta":{"content":"x"}}]})");
  CHECK(deltas[1] == head + R"("choices":[{"index":0,"delta":{},"finish_reason":"stop"}]})");
  CHECK(stream(dialect, {R"({"sid":"s","choices":[{"delta":{"content":"x"}}]})"}).back() ==
        "failed: the stream ended without finish_reason");
}

TEST_CASE("openai rules: a fault within an answer is found where the dialect says",
          "[unit][openai]") {
  const std::string dialect =
      R"({"answer":{"errors":[{"path":"base_resp.status_code","fine":"0","message":"base_resp.status_msg"}]},)"
      R"("errors":[{"code":"1008","class":"quota"},{"code":"20*","class":"auth"}]})";
  const auto fault = [&dialect](const std::string& body) {
    Ran ran;
    run(ran, dialect, {body}, SWY_REQ_NATIVE);
    return ran.last.act == SWY_ACT_FAIL ? ran.last.error.cls : 0;
  };
  CHECK(fault(R"({"choices":null,"base_resp":{"status_code":1008,"status_msg":"m"}})") ==
        SWY_CLS_QUOTA);
  CHECK(fault(R"({"choices":null,"base_resp":{"status_code":2049,"status_msg":"m"}})") ==
        SWY_CLS_AUTH);
  CHECK(fault(R"({"choices":[],"base_resp":{"status_code":0}})") == 0);
  CHECK(fault(R"({"choices":[]})") == 0);
  CHECK(stream(dialect, {choice(R"("delta":{"content":"x"})"),
                         R"({"base_resp":{"status_code":2049,"status_msg":"m"}})"})
            .size() == 2);
}

TEST_CASE("openai rules: a member beside the finish reason decides over it", "[unit][openai]") {
  const std::string dialect =
      R"({"answer":{"finish_members":[{"member":"flag","fine":"0","finish":"content_filter"}]}})";
  CHECK(answer(dialect, choice(R"("flag":1,"finish_reason":"stop","message":{})")) ==
        choice(R"("flag":1,"finish_reason":"content_filter","message":{})"));
  CHECK(answer(dialect, choice(R"("flag":0,"finish_reason":"stop","message":{})")) ==
        choice(R"("flag":0,"finish_reason":"stop","message":{})"));
}

TEST_CASE("openai rules: chunks with nothing for the client stay away from it", "[unit][openai]") {
  const std::string dialect = R"({"answer":{"skip_bare":true}})";
  const std::string text = choice(R"("delta":{"content":"x"})");
  const std::string end = choice(R"("delta":{},"finish_reason":"stop")");
  CHECK(stream(dialect, {R"({"choices":[],"id":"","prompt_filter_results":[]})", text,
                         choice(R"("content_filter_offsets":{},"finish_reason":null)"), end,
                         choice(R"("message":{"content":"x"},"finish_reason":"stop")"),
                         "[DONE]"}) == std::vector<std::string>{text, end});
  const std::string usage = R"({"choices":[],"usage":{"prompt_tokens":1,"completion_tokens":1}})";
  CHECK(stream(dialect, {text, end, usage, "[DONE]"}, kStream | SWY_REQ_WANT_USAGE).back() ==
        usage);
}

TEST_CASE("openai rules: tool calls get their ids, kinds and indices", "[unit][openai]") {
  const auto calls = [](const std::string& list) {
    return choice(R"("delta":{"tool_calls":)" + list + "}");
  };
  // Two calls that an upstream gives the same index are two all the same.
  CHECK(
      stream(
          "{}",
          {calls(
               R"([{"index":0,"id":"a","type":"function"},{"index":0,"id":"b","type":"function"}])"),
           calls(R"([{"index":0,"function":{"arguments":"{"}}])"),
           choice(R"("delta":{},"finish_reason":"tool_calls")")}) ==
      std::vector<std::string>{
          calls(
              R"([{"index":0,"id":"a","type":"function"},{"index":1,"id":"b","type":"function"}])"),
          calls(R"([{"index":1,"function":{"arguments":"{"}}])"),
          choice(R"("delta":{},"finish_reason":"tool_calls")")});
  // A call without id or type gets both; a second fragment with an empty id is the same call.
  const auto named =
      stream("{}", {calls(R"([{"index":0,"function":{"name":"f","arguments":{"a":1}}}])"),
                    calls(R"([{"index":0,"id":"","function":{"arguments":""}}])"),
                    choice(R"("delta":{},"finish_reason":"tool_calls")")});
  const std::string id =
      swy::json::to_text(swy::json::find_path(named[0], "choices.0.delta.tool_calls.0.id"))
          .value_or("");
  CHECK(id.substr(0, 5) == "call_");
  CHECK(
      named[0] ==
      calls(R"([{"id":")" + id +
            R"(","type":"function","index":0,"function":{"name":"f","arguments":"{\"a\":1}"}}])"));
  CHECK(named[1] == calls(R"([{"index":0,"id":"","function":{"arguments":""}}])"));
  const std::string whole = answer(
      "{}",
      choice(
          R"("message":{"tool_calls":[{"id":"null","function":{"name":"f","arguments":"{}"}}]})"));
  CHECK(whole.find(R"("id":"call_)") != std::string::npos);
}

TEST_CASE("openai rules: rerank answers have one form", "[unit][openai]") {
  const std::string dialect = R"({"paths":{"rerank":"/rerank"}})";
  CHECK(
      answer(
          dialect,
          R"({"object":"list","data":[{"index":1,"relevance_score":0.91,"document":"b"},)"
          R"({"index":0,"relevance_score":0.1,"document":{"text":"a"}}],"usage":{"total_tokens":14}})",
          "rerank") == R"({"results":[{"index":1,"relevance_score":0.91,"document":{"text":"b"}},)"
                       R"({"index":0,"relevance_score":0.1,"document":{"text":"a"}}],)"
                       R"("usage":{"prompt_tokens":14,"total_tokens":14},"model":"up-1"})");
  CHECK(sent(R"({"string_documents":true,"rename":{"top_n":"top_k"}})",
             R"(,"documents":["a",{"text":"b"}],"top_n":1)", 0,
             "rerank") == R"(,"documents":["a","b"],"top_k":1)");
}

TEST_CASE("openai rules: embeddings tell what was read where only the sum is given",
          "[unit][openai]") {
  Ran ran;
  run(ran, "{}", {R"({"object":"list","data":[],"usage":{"total_tokens":3}})"}, SWY_REQ_NATIVE,
      "embeddings");
  CHECK(ran.recorder.all(SWY_EMIT_WHOLE) ==
        std::vector<std::string>{
            R"({"object":"list","data":[],"usage":{"prompt_tokens":3,"total_tokens":3}})"});
  REQUIRE(ran.recorder.all(SWY_EMIT_USAGE).size() == 1);
  CHECK(swy::json::find(ran.recorder.all(SWY_EMIT_USAGE)[0], "prompt_tokens") == "3");
}

TEST_CASE("openai rules: a bare list of models becomes a list", "[unit][openai]") {
  CHECK(answer("{}", R"([{"id":"m"}])", "models") == R"({"object":"list","data":[{"id":"m"}]})");
}

TEST_CASE("openai rules: extensions that the API does not know stay away and are told",
          "[unit][openai]") {
  const std::string asked =
      R"(,"top_k":5,"messages":[{"role":"assistant","cache_control":{"type":"ephemeral"},"content":)"
      R"([{"cache_control":{},"type":"text","text":"\"is_error\""}],"tool_calls":[{"id":"c",)"
      R"("extra_content":{"google":{}}}],"reasoning_details":[1]},)"
      R"({"role":"tool","is_error":true,"tool_call_id":"c"},{"is_error":false}],)"
      R"("tools":[{"cache_control":{"type":"ephemeral"},"type":"function"}],"cache_control":{"a":1})";
  const Sent none = send("{}", asked);
  CHECK(none.body == R"(,"messages":[{"role":"assistant","content":[{"type":"text",)"
                     R"("text":"\"is_error\""}],"tool_calls":[{"id":"c"}]},)"
                     R"({"role":"tool","tool_call_id":"c"},{}],"tools":[{"type":"function"}])");
  CHECK(none.dropped ==
        R"(["/top_k","/messages/0/cache_control","/messages/0/content/0/cache_control",)"
        R"("/messages/0/tool_calls/0/extra_content","/messages/0/reasoning_details",)"
        R"("/messages/1/is_error","/tools/0/cache_control","/cache_control"])");
  const Sent all = send(R"({"extensions":["reasoning","top_k","cache_control","is_error",)"
                        R"("reasoning_details","extra_content"]})",
                        asked + R"(,"reasoning":{"max_tokens":1})");
  CHECK(all.body == asked + R"(,"reasoning":{"max_tokens":1})");
  CHECK(all.dropped.empty());

  // Beside what is changed in the same part or call.
  CHECK(messages(R"({"mistral_parts":true,"call_ids":"nine"})",
                 R"([{"role":"user","content":[{"type":"input_audio","cache_control":{},)"
                 R"("input_audio":{"data":"QQ=="}},{"cache_control":{},"type":"file",)"
                 R"("file":{"file_data":"d"}}]},{"tool_calls":[{"extra_content":{},)"
                 R"("id":"aB3dE5gH1"}]}])") ==
        R"([{"role":"user","content":[{"type":"input_audio","input_audio":"QQ=="},)"
        R"({"type":"document_url","document_url":"d"}]},{"tool_calls":[{"id":"aB3dE5gH1"}]}])");
  CHECK(dropped(R"({"content":"text"})",
                R"(,"messages":[{"content":[{"type":"text","cache_control":{"a":1}}]}])") ==
        R"(["/messages/0/content/0/cache_control"])");
  // Blocks of another API are not this one's.
  const std::string foreign = R"([{"role":"assistant","reasoning_content":"hm",)"
                              R"("reasoning_details":[{"format":"anthropic-claude-v1"}]}])";
  CHECK(messages(R"({"reasoning_details":true})", foreign) ==
        R"([{"role":"assistant","reasoning_details":[{"type":"reasoning.text","text":"hm"}]}])");
  CHECK(dropped(R"({"reasoning_details":true})", R"(,"messages":)" + foreign) ==
        R"(["/messages/0/reasoning_details"])");
}

TEST_CASE("openai rules: what reasoning says becomes an effort", "[unit][openai]") {
  const std::string maps =
      R"({"values":{"reasoning_effort":{"medium":"high"}},)"
      R"("instead":{"reasoning_effort":{"none":{"thinking":{"type":"disabled"}}}}})";
  CHECK(sent("{}", R"(,"reasoning":{"effort":"low"})") == R"(,"reasoning_effort":"low")");
  CHECK(dropped("{}", R"(,"reasoning":{"effort":"low"})").empty());
  CHECK(sent("{}", R"(,"reasoning":{"effort":"low"},"reasoning_effort":"high")") ==
        R"(,"reasoning_effort":"high")");
  CHECK(sent(maps, R"(,"reasoning":{"enabled":false})") == R"(,"thinking":{"type":"disabled"})");
  CHECK(dropped(maps, R"(,"reasoning":{"enabled":false})").empty());
  CHECK(dropped(maps, R"(,"reasoning":{"effort":"medium"})") == R"(["/reasoning"])");
  // A model that never thinks refuses the word.
  CHECK(sent("{}", R"(,"reasoning":{"enabled":false})").empty());
  CHECK(dropped("{}", R"(,"reasoning":{"enabled":false})") == R"(["/reasoning/enabled"])");
  CHECK(sent("{}", R"(,"reasoning":{"enabled":true})").empty());
  CHECK(dropped("{}", R"(,"reasoning":{"enabled":true,"exclude":false})").empty());

  for (const auto& [budget, effort] :
       {std::pair{"2048", "low"}, {"2049", "medium"}, {"9000", "high"}}) {
    const Sent budgeted = send("{}", R"(,"reasoning":{"max_tokens":)" + std::string(budget) + "}");
    CHECK(budgeted.body == R"(,"reasoning_effort":")" + std::string(effort) + '"');
    CHECK(budgeted.dropped == R"(["/reasoning/max_tokens"])");
  }
  CHECK(dropped(R"({"drop":["reasoning_effort"]})", R"(,"reasoning":{"effort":"low"})") ==
        R"(["/reasoning"])");
}

TEST_CASE("openai rules: parts that the API does not take are refused", "[unit][openai]") {
  const std::string text = R"(,"messages":[{"content":[{"type":"text","text":"x"}]},{"content":)";
  const auto refusal = [&](const std::string& rules, const std::string& content) {
    return send(rules, text + content + "}]").refusal;
  };
  const std::string texts = R"({"parts":["text"]})";
  CHECK(refusal(texts, R"("x")").empty());
  CHECK(refusal(texts, R"([{"type":"image_url"}])") ==
        R"(/messages/1/content has a part of type "image_url"; the model takes text)");
  const std::string data = R"({"data_pictures":true})";
  CHECK(refusal(data, R"([{"type":"image_url","image_url":{"url":"data:image/png;base64,x"}}])")
            .empty());
  CHECK(refusal(data, R"([{"type":"image_url","image_url":{"url":"https://a.example/x"}}])") ==
        "/messages/1/content has a picture by its address; this API takes them as data: URLs only");
}

TEST_CASE("openai rules: a list that is too long is cut", "[unit][openai]") {
  const std::string rules = R"({"items_max":{"stop":1},"as_list":["stop"]})";
  CHECK(sent(rules, R"(,"stop":"a")") == R"(,"stop":["a"])");
  CHECK(sent(rules, R"(,"stop":["a"])") == R"(,"stop":["a"])");
  CHECK(sent(rules, R"(,"stop":["a","b"])") == R"(,"stop":["a"])");
  CHECK(dropped(rules, R"(,"stop":["a","b"])") == R"(["/stop"])");
}

TEST_CASE("openai rules: an answer that goes on with the last message is asked for by a mark",
          "[unit][openai]") {
  const std::string list =
      R"(,"messages":[{"role":"user","content":"a"},{"role":"assistant","content":"b"}])";
  const std::string marked =
      R"(,"messages":[{"role":"user","content":"a"},{"role":"assistant","content":"b","partial":true}])";
  const std::string asked = R"(,"continue_final_message":true)";
  const std::string rules =
      R"({"prefix":{"mark":"partial","members":{"thinking":{"type":"disabled"}}}})";
  CHECK(sent(rules, list + asked) == marked + R"(,"thinking":{"type":"disabled"})");
  CHECK(sent(rules, asked + list) == marked + R"(,"thinking":{"type":"disabled"})");
  CHECK(sent(rules, list + asked + R"(,"thinking":{"type":"x"})") ==
        marked + R"(,"thinking":{"type":"x"})");
  CHECK(dropped(rules, list + asked).empty());
  // Nobody asks for it: nothing changes.
  CHECK(sent(rules, list) == list);
  CHECK(sent(rules, list + R"(,"continue_final_message":false)") ==
        list + R"(,"continue_final_message":false)");
  // By the request's own word; and where the dialect says nothing of it.
  CHECK(sent(R"({"prefix":{"members":{"more":false}}})", list + asked) ==
        list + asked + R"(,"more":false)");
  CHECK(sent("{}", list + asked) == list + asked);
}

TEST_CASE(
    "openai rules: models that don't go on with a text refuse it, others have their own address",
    "[unit][openai]") {
  const openai::Settings settings =
      with(R"({"request":{"prefix":{"path":"/beta/chat"}},)"
           R"("models":[{"models":["never*"],"request":{"prefix":false}}]})");
  const auto path = [&](const std::string& members) {
    const FakeRequest request("chat", "u", R"({"model":"a")" + members + "}", SWY_REQ_NATIVE);
    return openai::upstream_path(settings.dialect, {}, "/chat", request.get());
  };
  CHECK(path("") == "/chat");
  CHECK(path(R"(,"continue_final_message":true)") == "/beta/chat");
  const FakeRequest request("chat", "never-1",
                            R"({"model":"a","messages":[],"continue_final_message":true})",
                            SWY_REQ_NATIVE);
  const openai::UpstreamBody body(settings.dialect, request.get());
  REQUIRE(body.refusal());
  CHECK(body.refusal()->cls == SWY_CLS_NOT_OFFERED);
  for (const char* const wrong : {"7", R"({"mark":7})", R"({"marks":"x"})"}) {
    CHECK_FALSE(openai::parse_dialect(R"({"request":{"prefix":)" + std::string(wrong) + "}}"));
  }
}
