#include "providers/anthropic/translate.hpp"
#include "vendor_wire.hpp"

using namespace vendor_wire;
namespace json = swy::json;

namespace {

const std::string kChat = R"({"model":"a","messages":[{"role":"user","content":"hi"}]})";

// Runs that keep their request for as long as they are looked at.
struct Exchange {
  Exchange(const std::string& body, std::uint32_t flags, const std::string& model,
           const std::string& task = "chat", const std::string& config = "{}")
      : request(task, model, body, flags),
        settings(*anthropic::parse_settings(config)),
        operation(settings, request.get(), kNow) {}

  FakeRequest request;
  anthropic::Settings settings;
  anthropic::Operation operation;
  Ran ran;
};

struct Streamed : Exchange {
  explicit Streamed(const std::vector<std::string_view>& slices,
                    const std::string& model = "claude-opus-5-5", const std::string& body = kChat)
      : Exchange(body, SWY_REQ_STREAM | SWY_REQ_WANT_USAGE, model) {
    stream(operation, ran, slices);
  }
};

struct Answered : Exchange {
  explicit Answered(const std::string& answer, unsigned status = 200, const Headers& headers = {},
                    const std::string& body = kChat)
      : Exchange(body, 0, "claude-opus-5-5") {
    whole(operation, ran, status, answer, headers);
  }
};

struct Asked : Exchange {
  explicit Asked(const std::string& body, const std::string& model = "claude-opus-5-5",
                 const std::string& config = "{}")
      : Exchange(body, 0, model, "chat", config) {
    begin(operation, ran, 200, {});
  }
  std::string sent(std::string_view path) const {
    return std::string(json::find_path(ran.recorder.body, path));
  }
};

std::string with(const std::string& members) {
  return R"({"model":"a","messages":[{"role":"user","content":"hi"}],)" + members + "}";
}
std::string messages(const std::string& list) { return R"({"messages":[)" + list + "]}"; }

// A stream of these events between a good start and nothing.
std::string started(const std::string& events) {
  return "data: {\"type\":\"message_start\",\"message\":{\"id\":\"m\",\"model\":\"c\",\"usage\":"
         "{\"input_tokens\":3,\"output_tokens\":1}}}\n\n" +
         events;
}
std::string event(const std::string& data) { return "data: " + data + "\n\n"; }
const std::string kTextBlock =
    event(R"({"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}})") +
    event(R"({"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"x"}})") +
    event(R"({"type":"content_block_stop","index":0})");
const std::string kEnd =
    event(
        R"({"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":{"output_tokens":2}})") +
    event(R"({"type":"message_stop"})");

int class_of(unsigned status, const std::string& body) {
  const Answered answered(body, status);
  CHECK(answered.ran.last.act == SWY_ACT_FAIL);
  return answered.ran.last.error.cls;
}

}  // namespace

TEST_CASE("anthropic: streams that are cut, doubled or garbage are faults", "[unit][anthropic]") {
  const std::vector<std::string> wrong = {
      "",
      event("{"),
      event("[]"),
      event("null"),
      event(R"({"type":"message_start"})"),
      event(R"({"type":"message_start","message":7})"),
      event(R"({"type":"message_stop"})"),
      kTextBlock,
      started(""),
      started(kTextBlock),
      started(kTextBlock) + event(R"({"type":"message_stop"})"),
      started(started("")),
      started(event(R"({"type":"content_block_stop","index":0})")),
      started(event(R"({"type":"content_block_start","index":0})")),
      started(event(R"({"type":"content_block_start","index":0,"content_block":[]})")),
      started(event(
          R"({"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"x"}})")),
      started(event(R"({"type":"content_block_start","index":0,"content_block":{"type":"text"}})") +
              event(R"({"type":"content_block_delta","index":1,"delta":{"type":"text_delta"}})")),
      started(
          event(R"({"type":"content_block_start","index":0,"content_block":{"type":"text"}})") +
          event(R"({"type":"content_block_delta","index":0,"delta":{"type":"thinking_delta"}})")),
      started(event(R"({"type":"content_block_start","index":0,"content_block":{"type":"text"}})") +
              event(R"({"type":"content_block_start","index":1,"content_block":{"type":"text"}})")),
      started(event(R"({"type":"content_block_start","index":0,"content_block":{"type":"text"}})") +
              kEnd),
  };
  for (const std::string& wire : wrong) {
    CAPTURE(wire);
    const Streamed run({wire});
    CHECK(run.ran.last.act == SWY_ACT_FAIL);
    CHECK(run.ran.last.error.cls == SWY_CLS_BAD_ANSWER);
    for (const std::string& chunk : run.ran.deltas()) CHECK(json::valid(chunk));
    CHECK(run.ran.recorder.all(SWY_EMIT_FINISH).empty());
  }
}

TEST_CASE("anthropic: a stream cut off before its end never ends well", "[unit][anthropic]") {
  for (const char* name : {"text", "thinking_tools"}) {
    const std::string wire = golden("anthropic/" + std::string(name) + ".sse");
    // The event that ends it is whole with its first line break.
    const std::size_t whole = wire.find("message_stop\"}") + 15;
    for (std::size_t cut = 0; cut < whole - 1; ++cut) {
      CAPTURE(name, cut);
      const Streamed run({std::string_view(wire).substr(0, cut)});
      REQUIRE(run.ran.last.act == SWY_ACT_FAIL);
    }
  }
}

TEST_CASE("anthropic: answers that are no message are faults", "[unit][anthropic]") {
  for (const char* body :
       {"", "x", "[]", "{}", "{", R"({"content":7})", R"({"type":"message","content":[1]})",
        R"({"type":"message","content":[{}],"stop_reason":"end_turn"})",
        R"({"type":"message","content":[]})", R"({"content":[],"stop_reason":"end_turn"}x)"}) {
    CAPTURE(body);
    const Answered answered(body);
    CHECK(answered.ran.last.act == SWY_ACT_FAIL);
    CHECK(answered.ran.last.error.cls == SWY_CLS_BAD_ANSWER);
    CHECK(answered.ran.recorder.all(SWY_EMIT_WHOLE).empty());
  }
}

TEST_CASE("anthropic: requests that can't be said there are refused with a name",
          "[unit][anthropic]") {
  struct Case {
    std::string body, param, part;
    int cls;
  };
  const std::vector<Case> cases = {
      {"{}", "messages", "expected an array", SWY_CLS_BAD_REQUEST},
      {R"({"messages":[]})", "messages", "none given", SWY_CLS_BAD_REQUEST},
      {R"({"messages":[7]})", "messages", "messages[0]: expected an object", SWY_CLS_BAD_REQUEST},
      {messages(R"({"role":"wizard"})"), "messages", "messages[0].role: \"wizard\"",
       SWY_CLS_BAD_REQUEST},
      {with(R"("n":2)"), "n", "one choice", SWY_CLS_NOT_OFFERED},
      {with(R"("modalities":["text","audio"])"), "modalities", "audio", SWY_CLS_NOT_OFFERED},
      {with(R"("functions":[{"name":"f"}])"), "functions", "tools", SWY_CLS_NOT_OFFERED},
      {messages(
           R"({"role":"user","content":[{"type":"input_audio","input_audio":{"data":"","format":"wav"}}]})"),
       "messages", "input_audio", SWY_CLS_NOT_OFFERED},
      {messages(R"({"role":"user","content":[{"type":"file","file":{"file_id":"file-openai"}}]})"),
       "messages", "file_id", SWY_CLS_NOT_OFFERED},
      {messages(R"({"role":"user","content":[{"type":"image_url","image_url":{"url":"data:x"}}]})"),
       "messages", "image_url.url", SWY_CLS_BAD_REQUEST},
      {with(R"("tools":[{"type":"function","function":{}}])"), "tools", "name",
       SWY_CLS_BAD_REQUEST},
      {with(R"("tool_choice":"required")"), "tool_choice", "no tools", SWY_CLS_BAD_REQUEST},
  };
  for (const Case& each : cases) {
    CAPTURE(each.body);
    const Asked asked(each.body);
    CHECK(asked.ran.last.act == SWY_ACT_FAIL);
    CHECK(asked.ran.last.error.cls == each.cls);
    CHECK(asked.ran.last.error.message.find(each.part) != std::string::npos);
    const std::string shown = asked.ran.recorder.last(SWY_EMIT_ERROR);
    CHECK(json::inside(json::find(shown, "param")) == each.param);
    CHECK(asked.ran.recorder.url.empty());
  }
}

TEST_CASE("anthropic: errors have their class, and the account stays unsaid", "[unit][anthropic]") {
  const auto error = [](const std::string& type, const std::string& message,
                        const std::string& more = "") {
    return R"({"type":"error","error":{"type":")" + type + R"(","message":")" + message + "\"" +
           more + R"(},"request_id":"req_1"})";
  };
  CHECK(class_of(400, error("invalid_request_error", "messages: bad")) == SWY_CLS_BAD_REQUEST);
  CHECK(class_of(400, error("invalid_request_error", "prompt is too long: 9 tokens > 8 maximum")) ==
        SWY_CLS_TOO_LONG);
  CHECK(class_of(400, error("invalid_request_error", "Your credit balance is too low")) ==
        SWY_CLS_QUOTA);
  CHECK(class_of(401, error("authentication_error", "invalid x-api-key")) == SWY_CLS_AUTH);
  CHECK(class_of(402, error("billing_error", "pay")) == SWY_CLS_QUOTA);
  CHECK(class_of(403, error("permission_error", "no")) == SWY_CLS_AUTH);
  CHECK(class_of(404, error("not_found_error", "model: x")) == SWY_CLS_NO_MODEL);
  CHECK(class_of(413, error("request_too_large", "big")) == SWY_CLS_TOO_LONG);
  CHECK(class_of(429, error("rate_limit_error", "slow")) == SWY_CLS_RATE_LIMIT);
  CHECK(class_of(429, error("rate_limit_error", "slow",
                            R"(,"details":{"error_code":"enforced_spend_limit_reached"})")) ==
        SWY_CLS_QUOTA);
  CHECK(class_of(500, error("api_error", "oops")) == SWY_CLS_SERVER);
  CHECK(class_of(504, error("timeout_error", "late")) == SWY_CLS_TIMEOUT);
  CHECK(class_of(529, error("overloaded_error", "Overloaded")) == SWY_CLS_OVERLOADED);
  CHECK(class_of(502, "<html>") == SWY_CLS_SERVER);
  // Within a good status.
  CHECK(class_of(200, error("overloaded_error", "Overloaded")) == SWY_CLS_OVERLOADED);
  CHECK(class_of(200, error("invalid_request_error", "x")) == SWY_CLS_BAD_REQUEST);

  const Answered refused(error("authentication_error", "key sk-ant-x of org Y is bad"), 401);
  CHECK(refused.ran.recorder.last(SWY_EMIT_ERROR).find("sk-ant") == std::string::npos);
  CHECK(refused.ran.last.error.message.find("org Y") == std::string::npos);
  const Answered wrong(error("invalid_request_error", "messages.0: \\\"x\\\""), 400);
  CHECK(
      wrong.ran.recorder.last(SWY_EMIT_ERROR) ==
      R"({"message":"messages.0: \"x\"","type":"invalid_request_error","param":null,"code":null})");
}

TEST_CASE("anthropic: waits and limits are read from the head", "[unit][anthropic]") {
  const Answered limited("{}", 429,
                         {{"retry-after", "7"},
                          {"date", "Sat, 21 Nov 2026 08:49:37 GMT"},
                          {"anthropic-ratelimit-requests-limit", "50"},
                          {"anthropic-ratelimit-tokens-remaining", "900"},
                          {"anthropic-ratelimit-tokens-reset", "2026-11-21T08:50:00Z"}});
  CHECK(limited.ran.last.error.retry_after_ms == 7000);
  CHECK(limited.ran.recorder.last(SWY_EMIT_LIMITS) ==
        R"({"rpm":50,"remaining_tokens":900,"reset_ms":23000})");
  CHECK(Answered("{}", 429, {{"retry-after", "-4"}}).ran.last.error.retry_after_ms == 0);
  CHECK(Answered("{}", 429, {{"retry-after", "1e9"}}).ran.last.error.retry_after_ms == 0);
  CHECK(Answered("{}", 429, {{"retry-after", "99999999999"}}).ran.last.error.retry_after_ms ==
        3'600'000);
}

TEST_CASE("anthropic: an error within a stream ends it as its type says", "[unit][anthropic]") {
  const Streamed run(
      {started(kTextBlock) +
       "event: error\ndata: "
       R"({"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}})"
       "\n\n"});
  CHECK(run.ran.last.act == SWY_ACT_FAIL);
  CHECK(run.ran.last.error.cls == SWY_CLS_OVERLOADED);
  CHECK(run.ran.recorder.all(SWY_EMIT_FINISH).empty());
  // What was read before it is known for the record.
  CHECK(run.ran.recorder.last(SWY_EMIT_USAGE) ==
        R"({"prompt_tokens":3,"completion_tokens":1,"total_tokens":4})");
}

TEST_CASE("anthropic: requests become what the references show", "[unit][anthropic]") {
  for (const auto& [name, model] :
       {std::pair<std::string, std::string>{"conversation", "claude-sonnet-4-5"},
        {"newest", "claude-opus-5-5"}}) {
    CAPTURE(name);
    const std::string canonical = golden("anthropic/" + name + ".canonical.json");
    const bool stream = name == "newest";
    Exchange exchange(canonical, stream ? SWY_REQ_STREAM : 0U, model);
    REQUIRE(begin(exchange.operation, exchange.ran, 200, {}));
    const Recorder& sent = exchange.ran.recorder;
    std::string expected = compact(golden("anthropic/" + name + ".upstream.json"));
    const std::string id(
        json::inside(json::find_path(sent.body, "messages.2.content.1.tool_use_id")));
    for (auto at = expected.find("@ID@"); at != std::string::npos; at = expected.find("@ID@")) {
      expected.replace(at, 4, id);
    }
    CHECK(compact(sent.body) == expected);
    CHECK(compact(exchange.ran.dropped()) ==
          compact(golden("anthropic/" + name + ".dropped.json")));
    CHECK(json::valid(sent.body));
    CHECK(sent.method == "POST");
    CHECK(sent.url == "/messages");
    CHECK(sent.auth == "header x-api-key");
    CHECK(sent.framing == (stream ? SWY_FRAME_SSE : SWY_FRAME_WHOLE));
    CHECK(std::count(sent.headers.begin(), sent.headers.end(),
                     std::pair<std::string, std::string>("anthropic-version", "2023-06-01")) == 1);
  }
}

TEST_CASE("anthropic: an id that it would refuse is rewritten the same way on both sides",
          "[unit][anthropic]") {
  const Asked asked(messages(
      R"({"role":"user","content":"x"},{"role":"assistant","tool_calls":[{"id":"a.b\u0021","type":"function","function":{"name":"f","arguments":"{}"}}]},{"role":"tool","tool_call_id":"a.b!","content":"1"})"));
  const std::string call = asked.sent("messages.1.content.0.id");
  CHECK(call == asked.sent("messages.2.content.0.tool_use_id"));
  CHECK(call.find('.') == std::string::npos);
  CHECK(call.size() <= 66);
}

TEST_CASE("anthropic: what a model refuses is not sent to it", "[unit][anthropic]") {
  const auto sent = [](const std::string& model, const std::string& members,
                       const std::string& path) {
    const Asked asked(with(members), model);
    return asked.sent(path) + " " + asked.ran.dropped();
  };
  const std::string warm = R"("temperature":0.5)";
  CHECK(sent("claude-sonnet-4-5-20250929", warm, "temperature") == "0.5 ");
  CHECK(sent("claude-3-5-haiku-20241022", warm, "temperature") == "0.5 ");
  CHECK(sent("claude-opus-4-7", warm, "temperature") == " [\"/temperature\"]");
  CHECK(sent("claude-haiku-5-5", warm, "temperature") == " [\"/temperature\"]");
  CHECK(sent("our-own-name", warm, "temperature") == " [\"/temperature\"]");
  CHECK(sent("claude-haiku-4.5", warm + R"(,"top_p":0.5)", "top_p") == " [\"/top_p\"]");

  const auto effort = [&](const std::string& model, const std::string& value) {
    return sent(model, R"("max_tokens":9000,"reasoning_effort":")" + value + "\"", "thinking");
  };
  CHECK(effort("claude-haiku-4-5", "low") == R"({"type":"enabled","budget_tokens":2048} )");
  CHECK(effort("claude-haiku-4-5", "high") == R"({"type":"enabled","budget_tokens":4500} )");
  CHECK(effort("claude-haiku-4-5", "none") == " ");
  CHECK(effort("claude-opus-4-6", "high") == R"({"type":"adaptive"} )");
  CHECK(effort("claude-opus-4-8", "high") == R"({"type":"adaptive","display":"summarized"} )");
  CHECK(effort("claude-opus-5", "none") == R"({"type":"disabled"} )");
  CHECK(effort("claude-sonnet-5-5", "none") == R"({"type":"between_tools"} )");
  CHECK(effort("claude-fable-5-2", "none") == R"( ["/reasoning_effort"])");
  CHECK(effort("claude-3-5-haiku-20241022", "low") == R"( ["/reasoning_effort"])");

  const std::string forced =
      R"("tools":[{"type":"function","function":{"name":"f"}}],"tool_choice":"required")";
  CHECK(sent("claude-haiku-4-5", forced, "tool_choice.type") == "\"any\" ");
  CHECK(sent("claude-haiku-5-5", forced, "thinking.type") == "\"disabled\" ");
  CHECK(sent("claude-opus-5-5", forced, "tool_choice.type") == "\"auto\" [\"/tool_choice\"]");
  CHECK(sent("claude-opus-4-8", forced + R"(,"reasoning_effort":"high")", "thinking.type") ==
        "\"disabled\" [\"/reasoning_effort\"]");
}

TEST_CASE("anthropic: older models go on with an assistant's text", "[unit][anthropic]") {
  const auto body = [](const std::string& text) {
    return R"({"messages":[{"role":"user","content":"a"},{"role":"assistant","content":")" + text +
           R"("}],"continue_final_message":true})";
  };
  const Asked asked(body("So far"), "claude-sonnet-4-5");
  CHECK(asked.sent("messages.1.content.0.text") == R"("So far")");
  CHECK(asked.ran.dropped().empty());
  const std::pair<const char*, const char*> refusals[] = {{"So far", "claude-opus-4-6"},
                                                          {"So far", "new-name"},
                                                          {"So far ", "claude-sonnet-4-5"},
                                                          {R"(So far\n)", "claude-sonnet-4-5"},
                                                          {"", "claude-sonnet-4-5"}};
  for (const auto& [text, model] : refusals) {
    CAPTURE(text, model);
    const Asked refused(body(text), model);
    CHECK(refused.ran.last.act == SWY_ACT_FAIL);
    CHECK(refused.ran.last.error.cls == SWY_CLS_NOT_OFFERED);
  }
}

TEST_CASE("anthropic: max_tokens has a default that fits the model and the kind of answer",
          "[unit][anthropic]") {
  CHECK(Asked(kChat, "claude-opus-5").sent("max_tokens") == "21333");
  CHECK(Asked(kChat, "claude-3-haiku-20240307").sent("max_tokens") == "4096");
  CHECK(Asked(kChat, "claude-opus-5", R"({"settings":{"max_tokens":77}})").sent("max_tokens") ==
        "77");
  CHECK(Asked(with(R"("max_tokens":0)")).sent("max_tokens") == "0");
  Exchange streamed(kChat, SWY_REQ_STREAM, "claude-haiku-4-5");
  begin(streamed.operation, streamed.ran, 200, {});
  CHECK(json::find(streamed.ran.recorder.body, "max_tokens") == "64000");
}

TEST_CASE("anthropic: a budget of thinking waits where the thinking before a call is not kept",
          "[unit][anthropic]") {
  const auto sent = [](const std::string& details) {
    const Asked asked(
        R"({"reasoning_effort":"low","max_tokens":"many","messages":[{"role":"system","content":[{"type":"text","text":" "}]},{"role":"user","content":"x"},{"role":"assistant",)" +
            details +
            R"("tool_calls":[{"id":"c","type":"function","function":{"name":"f","arguments":"{}"}}]},{"role":"tool","tool_call_id":"c","content":"r"}]})",
        "claude-haiku-4-5");
    CHECK(asked.sent("system").empty());
    return asked.sent("thinking.type") + " " + asked.ran.dropped();
  };
  CHECK(sent("") == R"( ["/reasoning_effort","/max_tokens"])");
  CHECK(
      sent(
          R"("reasoning_details":[{"type":"reasoning.text","format":"anthropic-claude-v1","text":"t","signature":"c2ln"}],)") ==
      R"("enabled" ["/max_tokens"])");
}

TEST_CASE("anthropic: settings say the version and the betas", "[unit][anthropic]") {
  const Asked asked(with(R"("temperature":0.5)"), "claude-haiku-4-5",
                    R"({"settings":{"version":"2026-10-21","betas":["a-1","b-2"]}})");
  const Headers& headers = asked.ran.recorder.headers;
  CHECK(std::count(headers.begin(), headers.end(),
                   std::pair<std::string, std::string>("anthropic-beta", "a-1,b-2")) == 1);
  CHECK(asked.sent("temperature").empty());  // that version refuses it everywhere
}

TEST_CASE("anthropic: turns are merged and never empty", "[unit][anthropic]") {
  const auto sent = [](const std::string& list) {
    return Asked(messages(list), "claude-haiku-4-5").sent("messages");
  };
  CHECK(sent(R"({"role":"user","content":"a"},{"role":"user","content":"b"})") ==
        R"([{"role":"user","content":[{"type":"text","text":"a"},{"type":"text","text":"b"}]}])");
  CHECK(
      sent(R"({"role":"assistant","content":"a"})") ==
      R"([{"role":"user","content":"."},{"role":"assistant","content":[{"type":"text","text":"a"}]}])");
  CHECK(sent(R"({"role":"system","content":"s"})") ==
        R"([{"role":"user","content":[{"type":"text","text":"s"}]}])");
  CHECK(sent(R"({"role":"user","content":null})") ==
        R"([{"role":"user","content":[{"type":"text","text":"."}]}])");
  // A system message on the way, for a model that knows them at the front only.
  CHECK(sent(R"({"role":"user","content":"a"},{"role":"system","content":"s"})") ==
        R"([{"role":"user","content":[{"type":"text","text":"a"},{"type":"text","text":"s"}]}])");
  // Results come first in their turn.
  CHECK(
      sent(
          R"({"role":"user","content":"a"},{"role":"assistant","tool_calls":[{"id":"c","type":"function","function":{"name":"f","arguments":"[1]"}}]},{"role":"user","content":"b"},{"role":"tool","tool_call_id":"c","content":"r"})") ==
      R"([{"role":"user","content":[{"type":"text","text":"a"}]},{"role":"assistant","content":[{"type":"tool_use","id":"c","name":"f","input":{"arguments":"[1]"}}]},{"role":"user","content":[{"type":"tool_result","tool_use_id":"c","content":"r"},{"type":"text","text":"b"}]}])");
}

TEST_CASE("anthropic: a long text and a large image are not copied", "[unit][anthropic]") {
  const std::string large(100'000, 'A');
  const Asked asked(
      messages(R"({"role":"user","content":[{"type":"text","text":")" + large +
               R"("},{"type":"image_url","image_url":{"url":"data:image/webp;base64,)" + large +
               R"("}}]})"));
  CHECK(asked.ran.recorder.pieces == 5);
  CHECK(asked.sent("messages.0.content.1.source.data") == "\"" + large + "\"");
}

TEST_CASE("anthropic: streams become chunks, wherever they are cut", "[unit][anthropic]") {
  for (const char* name : {"text", "thinking_tools"}) {
    const std::string wire = golden("anthropic/" + std::string(name) + ".sse");
    const auto expected = lines_of(golden("anthropic/" + std::string(name) + ".chunks.jsonl"));
    const std::string_view bytes = wire;
    const Streamed once({bytes});
    CHECK(once.ran.last.act == SWY_ACT_DONE);
    REQUIRE(once.ran.deltas() == expected);
    for (std::size_t cut = 0; cut <= bytes.size(); ++cut) {
      CAPTURE(name, cut);
      const Streamed run({bytes.substr(0, cut), bytes.substr(cut)});
      REQUIRE(run.ran.last.act == SWY_ACT_DONE);
      REQUIRE(run.ran.deltas() == expected);
    }
  }
}

TEST_CASE("anthropic: only chunks that say something count as content", "[unit][anthropic]") {
  const Streamed run({golden("anthropic/thinking_tools.sse")});
  std::string flags;
  for (const auto& emit : run.ran.recorder.emits) {
    if (emit.what == SWY_EMIT_DELTA) flags += (emit.flags & SWY_EMIT_CONTENT) != 0 ? 'c' : '-';
  }
  CHECK(flags == "-cc-c-ccccc--");
  CHECK(run.ran.recorder.last(SWY_EMIT_FINISH) == "tool_calls");
  CHECK(
      run.ran.recorder.last(SWY_EMIT_USAGE) ==
      R"({"prompt_tokens":40,"completion_tokens":57,"total_tokens":97,"completion_tokens_details":{"reasoning_tokens":20}})");
}

TEST_CASE("anthropic: usage is shown only to a client that asked", "[unit][anthropic]") {
  Exchange exchange(kChat, SWY_REQ_STREAM, "claude-opus-5-5");
  stream(exchange.operation, exchange.ran, {golden("anthropic/text.sse")});
  CHECK(exchange.ran.deltas().size() == 4);
  for (const std::string& chunk : exchange.ran.deltas()) {
    CHECK(json::find(chunk, "usage").empty());
  }
}

TEST_CASE("anthropic: a whole answer keeps blocks, citations and numbers", "[unit][anthropic]") {
  const Answered answered(golden("anthropic/search.answer.json"));
  CHECK(answered.ran.last.act == SWY_ACT_DONE);
  CHECK(compact(answered.ran.recorder.last(SWY_EMIT_WHOLE)) ==
        compact(golden("anthropic/search.whole.json")));
  CHECK(answered.ran.recorder.last(SWY_EMIT_FINISH) == "stop");
}

TEST_CASE("anthropic: what it thought and looked up goes back as it was", "[unit][anthropic]") {
  const Answered answered(golden("anthropic/search.answer.json"));
  const std::string whole = answered.ran.recorder.last(SWY_EMIT_WHOLE);
  const std::string turn(json::find_path(whole, "choices.0.message"));
  const Asked asked(messages(R"({"role":"user","content":"x"},)" + turn));
  CHECK(compact(asked.sent("messages.1.content")) == compact(R"([
    {"type":"thinking","thinking":"","signature":"c2ln"},
    {"type":"server_tool_use","id":"srvtoolu_1","name":"web_search","input":{"query":"x"}},
    {"type":"web_search_tool_result","tool_use_id":"srvtoolu_1","content":[{"type":"web_search_result","url":"https://a.example","encrypted_content":"ZQ=="}]},
    {"type":"text","text":"Å: yes"},
    {"type":"tool_use","id":"toolu_1","name":"note","input":{"text":"a \"b\"","n":1.50}}])"));
  CHECK(asked.ran.dropped() == R"(["/messages/1/annotations"])");
}

TEST_CASE("anthropic: reasons to stop in OpenAI's words", "[unit][anthropic]") {
  const auto finish = [](const std::string& reason, const std::string& more = "") {
    const Answered answered(R"({"id":"m","model":"c","content":[],"stop_reason":")" + reason +
                            "\"" + more + "}");
    const std::string whole = answered.ran.recorder.last(SWY_EMIT_WHOLE);
    return std::string(json::inside(json::find_path(whole, "choices.0.finish_reason"))) + " " +
           std::string(json::find_path(whole, "choices.0.message.refusal"));
  };
  CHECK(finish("end_turn") == "stop null");
  CHECK(finish("max_tokens") == "length null");
  CHECK(finish("model_context_window_exceeded") == "length null");
  CHECK(finish("yet_to_come") == "stop null");
  CHECK(finish("refusal", R"(,"stop_details":{"type":"refusal","explanation":"I won't."})") ==
        "content_filter \"I won't.\"");
}

TEST_CASE("anthropic: cache hints, files and choices of tools in Anthropic's words",
          "[unit][anthropic]") {
  const auto part = [](const std::string& json) {
    const Asked asked(messages(R"({"role":"user","content":[)" + json + "]}"));
    return asked.sent("messages.0.content.0") + " " + asked.ran.dropped();
  };
  CHECK(part(R"({"type":"text","text":"a","prompt_cache_breakpoint":{"mode":"explicit"}})") ==
        R"({"type":"text","text":"a","cache_control":{"type":"ephemeral"}} )");
  CHECK(part(R"({"type":"text","text":"a","prompt_cache_breakpoint":{"ttl":"12h"}})") ==
        R"({"type":"text","text":"a","cache_control":{"type":"ephemeral","ttl":"1h"}} )");
  CHECK(
      part(R"({"type":"file","file":{"filename":"n","file_data":"data:text/csv;base64,YSwi"}})") ==
      R"({"type":"document","source":{"type":"text","media_type":"text/plain","data":"a,\""},"title":"n"} )");
  CHECK(part(R"({"type":"file","file":{"file_id":"file_01"}})") ==
        R"({"type":"document","source":{"type":"file","file_id":"file_01"}} )");
  // A label that lies, slashes that are escaped.
  CHECK(
      part(R"({"type":"image_url","image_url":{"url":"data:image\/png;base64,\/9j\/AA"}})") ==
      R"({"type":"image","source":{"type":"base64","media_type":"image/jpeg","data":"/9j/AA"}} )");
  CHECK(part(R"({"type":"hologram","x":1})") ==
        R"({"type":"text","text":"."} ["/messages/0/content/0/x","/messages/0/content/0"])");

  const std::string two =
      R"("tools":[{"type":"function","function":{"name":"a"},"cache_control":{"type":"ephemeral"}},{"type":"function","function":{"name":"b"}},{"type":"bash_20250124","name":"bash"}],)";
  const Asked allowed(with(
      two +
      R"("cache_control":{"type":"ephemeral"},"tool_choice":{"type":"allowed_tools","allowed_tools":{"mode":"auto","tools":[{"type":"function","function":{"name":"a"}}]}})"));
  CHECK(
      allowed.sent("tools") ==
      R"([{"name":"a","input_schema":{"type":"object","properties":{}},"cache_control":{"type":"ephemeral"}}])");
  CHECK(allowed.sent("tool_choice") == R"({"type":"auto"})");
  CHECK(allowed.sent("cache_control") == R"({"type":"ephemeral"})");
  CHECK(Asked(with(two + R"("tool_choice":"none")")).sent("tool_choice") == R"({"type":"none"})");
  CHECK(Asked(with(two + R"("tool_choice":{"type":"function","function":{"name":"b"}})"),
              "claude-haiku-4-5")
            .sent("tool_choice") == R"({"type":"tool","name":"b"})");
  // Nothing to choose from, and nothing that contradicts it.
  const Asked nothing(with(R"("tool_choice":"auto")"), "claude-haiku-4-5");
  CHECK(nothing.sent("tool_choice").empty());
}

TEST_CASE("anthropic: custom tools are wrapped and unwrapped", "[unit][anthropic]") {
  const std::string body = with(
      R"("tools":[{"type":"custom","custom":{"name":"sql","description":"Runs it.","format":{"type":"grammar"}}}])");
  const Asked asked(body);
  CHECK(
      asked.sent("tools") ==
      R"([{"name":"sql","description":"Runs it.","input_schema":{"type":"object","properties":{"input":{"type":"string"}},"required":["input"]}}])");
  CHECK(asked.ran.dropped() == R"(["/tools/0/custom/format"])");
  const std::string wire = started(
      event(
          R"({"type":"content_block_start","index":0,"content_block":{"type":"tool_use","id":"t","name":"sql","input":{}}})") +
      event(
          R"({"type":"content_block_delta","index":0,"delta":{"type":"input_json_delta","partial_json":"{\"input\":\"select"}})") +
      event(
          R"({"type":"content_block_delta","index":0,"delta":{"type":"input_json_delta","partial_json":" \\\"1\\\"\"}"}})") +
      event(R"({"type":"content_block_stop","index":0})") + kEnd);
  const Streamed run({wire}, "claude-opus-5-5", body);
  REQUIRE(run.ran.last.act == SWY_ACT_DONE);
  CHECK(json::find_path(run.ran.deltas()[1], "choices.0.delta.tool_calls") ==
        R"([{"index":0,"id":"t","type":"custom","custom":{"name":"sql","input":"select \"1\""}}])");
}

TEST_CASE("anthropic: text of the upstream can't break a chunk", "[unit][anthropic]") {
  for (const char* text : {"\\x", "\\u12", "\xff", "a\x01", "\\ud800"}) {
    CAPTURE(text);
    const Streamed run({started(
        event(R"({"type":"content_block_start","index":0,"content_block":{"type":"text"}})") +
        event(R"({"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":")" +
              std::string(text) + R"("}})"))});
    for (const std::string& chunk : run.ran.deltas()) CHECK(json::valid(chunk));
  }
}

TEST_CASE("anthropic: the list of models comes page by page", "[unit][anthropic]") {
  Exchange exchange("", 0, "", "models");
  Ran& ran = exchange.ran;
  REQUIRE(begin(exchange.operation, ran, 200, {}));
  CHECK(ran.recorder.method == "GET");
  CHECK(ran.recorder.url == "/models?limit=1000");
  swy::Out out = ran.recorder.out();
  ran.last = exchange.operation.step(
      FakeEvent(
          SWY_EV_DATA,
          R"({"data":[{"id":"claude-a","created_at":"2026-01-01T00:00:00Z"}],"has_more":true})")
          .get(),
      out);
  REQUIRE(ran.last.act == SWY_ACT_SEND);
  CHECK(ran.recorder.url == "/models?limit=1000&after_id=claude-a");
  exchange.operation.step(FakeEvent(SWY_EV_HEAD).status(200).get(), out);
  ran.last = exchange.operation.step(
      FakeEvent(SWY_EV_DATA, R"({"data":[{"id":"claude-b"}],"has_more":false})").get(), out);
  CHECK(ran.last.act == SWY_ACT_DONE);
  CHECK(
      ran.recorder.last(SWY_EMIT_WHOLE) ==
      R"({"object":"list","data":[{"id":"claude-a","object":"model","created":1767225600,"owned_by":"anthropic"},{"id":"claude-b","object":"model","created":0,"owned_by":"anthropic"}]})");
}

namespace {

// A request in Anthropic's own dialect.
struct Native : Exchange {
  explicit Native(const std::string& body, std::uint32_t flags = 0,
                  const std::string& task = "chat",
                  const std::string& config = R"({"settings":{"betas":["own-1"]}})")
      : Exchange(body, flags | SWY_REQ_NATIVE, "claude-opus-5-5", task, config) {
    request.raw().dialect = swy::str("anthropic");
  }
};
const std::string kOwn = R"({"x":[1.0], "model" : "a","messages":[]})";

}  // namespace

TEST_CASE("anthropic: what is in its own dialect passes byte for byte", "[unit][anthropic]") {
  Native native(kOwn);
  native.request.header("anthropic-version", "2026-10-21").header("anthropic-beta", "b-2");
  const std::string answer =
      R"({ "type":"message","new":1.0,"stop_reason":"max_tokens","usage":{"input_tokens":3,"cache_read_input_tokens":4,"output_tokens":2}})";
  whole(native.operation, native.ran, 200, answer);
  const Recorder& recorder = native.ran.recorder;
  CHECK(recorder.url == "/messages");
  CHECK(recorder.body == R"({"x":[1.0], "model" : "claude-opus-5-5","messages":[]})");
  CHECK(std::find(recorder.headers.begin(), recorder.headers.end(),
                  std::pair<std::string, std::string>("anthropic-version", "2026-10-21")) !=
        recorder.headers.end());
  CHECK(std::find(recorder.headers.begin(), recorder.headers.end(),
                  std::pair<std::string, std::string>("anthropic-beta", "own-1,b-2")) !=
        recorder.headers.end());
  CHECK(native.ran.last.act == SWY_ACT_DONE);
  CHECK(recorder.last(SWY_EMIT_WHOLE) == answer);
  CHECK(recorder.last(SWY_EMIT_FINISH) == "length");
  CHECK(
      recorder.last(SWY_EMIT_USAGE) ==
      R"({"prompt_tokens":7,"completion_tokens":2,"total_tokens":9,"prompt_tokens_details":{"cached_tokens":4}})");
}

TEST_CASE("anthropic: a native stream passes whole, and only a whole one", "[unit][anthropic]") {
  const std::string odd = R"({"type":"later_kind","x":1.0})";
  const std::string wire = started(event(odd) + kTextBlock + kEnd);
  for (std::size_t cut = 0; cut <= wire.size(); ++cut) {
    Native native(kOwn, SWY_REQ_STREAM);
    const std::string_view bytes = wire;
    stream(native.operation, native.ran, {bytes.substr(0, cut), bytes.substr(cut)});
    CAPTURE(cut);
    REQUIRE(native.ran.last.act == SWY_ACT_DONE);
    const auto said = native.ran.deltas();
    REQUIRE(said.size() == 7);
    REQUIRE(said[1] == odd);
    REQUIRE(native.ran.recorder.last(SWY_EMIT_USAGE) ==
            R"({"prompt_tokens":3,"completion_tokens":2,"total_tokens":5})");
  }
  for (const std::string& wrong :
       {std::string(), kEnd, started(kTextBlock), started(started(kEnd)),
        started(kTextBlock + event(R"({"type":"message_stop"})")), event("[]"), event("{}")}) {
    CAPTURE(wrong);
    Native native(kOwn, SWY_REQ_STREAM);
    stream(native.operation, native.ran, {wrong});
    CHECK(native.ran.last.act == SWY_ACT_FAIL);
    CHECK(native.ran.last.error.cls == SWY_CLS_BAD_ANSWER);
  }
  Native failed(kOwn, SWY_REQ_STREAM);
  stream(failed.operation, failed.ran,
         {started(event(R"({"type":"error","error":{"type":"overloaded_error","message":"o"}})"))});
  CHECK(failed.ran.last.error.cls == SWY_CLS_OVERLOADED);
}

TEST_CASE("anthropic: tokens are counted for its own dialect", "[unit][anthropic]") {
  Native native(kOwn, 0, "count_tokens");
  whole(native.operation, native.ran, 200, R"({"input_tokens":42})");
  CHECK(native.ran.recorder.url == "/messages/count_tokens");
  CHECK(native.ran.recorder.last(SWY_EMIT_WHOLE) == R"({"input_tokens":42})");
  Native wrong(kOwn, 0, "count_tokens");
  whole(wrong.operation, wrong.ran, 200, R"({"type":"message"})");
  CHECK(wrong.ran.last.error.cls == SWY_CLS_BAD_ANSWER);
}

TEST_CASE("anthropic: usage tells what decides the price: cache lifetimes, searches, fast mode",
          "[unit][anthropic]") {
  const auto usage_of = [](const std::string& usage) {
    const Answered answered(
        R"({"id":"m","model":"c","stop_reason":"end_turn","content":[{"type":"text","text":"x"}],)"
        R"("usage":)" +
        usage + "}");
    return answered.ran.recorder.last(SWY_EMIT_USAGE);
  };
  // The cache stands beside input_tokens: 10 + 200 + 70 were read, 70 of them written, 40 for long.
  CHECK(usage_of(R"({"input_tokens":10,"cache_read_input_tokens":200,)"
                 R"("cache_creation_input_tokens":70,"cache_creation":)"
                 R"({"ephemeral_5m_input_tokens":30,"ephemeral_1h_input_tokens":40},)"
                 R"("output_tokens":9,"output_tokens_details":{"thinking_tokens":4},)"
                 R"("server_tool_use":{"web_search_requests":2},"service_tier":"priority"})") ==
        R"({"prompt_tokens":280,"completion_tokens":9,"total_tokens":289,"prompt_tokens_details":)"
        R"({"cached_tokens":200,"cache_write_tokens":70,"cache_write_1h_tokens":40},)"
        R"("completion_tokens_details":{"reasoning_tokens":4},"searches":2,)"
        R"("service_tier":"priority"})");
  for (const char* order : {R"("service_tier":"standard","speed":"fast")",
                            R"("speed":"fast","service_tier":"standard")"}) {
    CHECK(json::find(usage_of(R"({"input_tokens":1,"output_tokens":1,)" + std::string(order) + "}"),
                     "service_tier") == R"("fast")");
  }
  CHECK(json::find(usage_of(R"({"input_tokens":1,"output_tokens":1,"service_tier":"standard",)"
                            R"("speed":"standard"})"),
                   "service_tier") == R"("standard")");
}

TEST_CASE("anthropic: a stream that breaks off has told of what was written to the cache",
          "[unit][anthropic]") {
  const Streamed broken({event(R"({"type":"message_start","message":{"id":"m","model":"c","usage":)"
                               R"({"input_tokens":3,"cache_creation_input_tokens":50,)"
                               R"("cache_read_input_tokens":7,"output_tokens":1}}})")});
  CHECK(broken.ran.last.act == SWY_ACT_FAIL);
  CHECK(json::find_path(broken.ran.recorder.last(SWY_EMIT_USAGE),
                        "prompt_tokens_details.cache_write_tokens") == "50");
}
