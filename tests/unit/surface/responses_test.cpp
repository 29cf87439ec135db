#include <catch2/catch.hpp>

#include "core/surface/carried.hpp"
#include "core/surface/responses_answer.hpp"
#include "core/surface/responses_request.hpp"
#include "core/surface/responses_surface.hpp"
#include "tests/unit/surface/dialect.hpp"

namespace switchyard::surface {
namespace {

const ResponsesSurface kSurface;

Canonical translate(const std::string& body) {
  JsonIndex index;
  REQUIRE(index.scan(body));
  Ask ask;
  ask.what = Ask::What::kTask;
  return kSurface.to_canonical(ask, index);
}

std::string messages_of(const std::string& input) {
  const Canonical canonical = translate(R"({"model":"m","input":)" + input + "}");
  REQUIRE_FALSE(canonical.refusal);
  return std::string(json::find(canonical.body, "messages"));
}

std::string wire_of(const std::vector<std::string>& chunks) {
  ResponsesAnswer answer("\"store\":false,");
  std::string out;
  for (const std::string& each : chunks) answer.delta(each, out);
  answer.end({7, 3, 0, 0, true}, out);
  return out;
}

// Each event without what all have: its kind, and what is particular to it.
std::vector<std::string> told(const std::string& wire) {
  std::vector<std::string> lines;
  std::int64_t number = 0;
  for (const Event& event : events_of(wire)) {
    CAPTURE(event.data);
    REQUIRE(json::valid(event.data));
    REQUIRE(json::find(event.data, "type") == json::quoted(event.name));
    REQUIRE(json::to_integer(json::find(event.data, "sequence_number")) == number++);
    std::string line = event.name.substr(std::string_view("response.").size());
    for (const char* name : {"output_index", "content_index", "summary_index", "delta", "text",
                             "refusal", "arguments", "input", "item", "part", "annotation"}) {
      const std::string_view value = json::find(event.data, name);
      if (!value.empty()) line.append(" ").append(value);
    }
    lines.push_back(line);
  }
  return lines;
}

// The output that a client puts together from a stream's items, and what the end says it was.
std::string output_of(const std::string& wire) {
  std::string items, last;
  for (const Event& event : events_of(wire)) {
    if (event.name == "response.output_item.done") {
      if (!items.empty()) items += ',';
      items += json::find(event.data, "item");
    }
    last = event.data;
  }
  REQUIRE(json::find_path(last, "response.output") == "[" + items + "]");
  return items;
}

}  // namespace

TEST_CASE("surface: a Responses request is canonical in every member") {
  const Canonical canonical = translate(R"({
    "model":"m","input":"Hi","instructions":"Be brief.","stream":true,"max_output_tokens":50,
    "temperature":0.50,"store":false,"metadata":{"a":"b"},"include":["reasoning.encrypted_content"],
    "reasoning":{"effort":"low","summary":"auto"},"top_logprobs":2,
    "text":{"verbosity":"low","format":{"type":"json_schema","name":"n","strict":true,"schema":{"type":"object"}}},
    "tools":[{"type":"function","name":"f","parameters":{"type":"object"},"strict":null},
             {"type":"custom","name":"c","format":{"type":"grammar","syntax":"lark","definition":"d"}},
             {"type":"web_search","search_context_size":"low","user_location":{"type":"approximate","city":"Oslo"}}],
    "tool_choice":{"type":"allowed_tools","mode":"required","tools":[{"type":"function","name":"f"}]}})");
  REQUIRE_FALSE(canonical.refusal);
  CHECK(canonical.losses.array() == "[]");
  CHECK(
      canonical.body ==
      R"({"model":"m","messages":[{"role":"system","content":"Be brief."},{"role":"user","content":"Hi"}],)"
      R"("max_completion_tokens":50,"stream":true,"stream_options":{"include_usage":true},"temperature":0.50,)"
      R"("tools":[{"type":"function","function":{"name":"f","parameters":{"type":"object"}}},)"
      R"({"type":"custom","custom":{"name":"c","format":{"type":"grammar","grammar":{"syntax":"lark","definition":"d"}}}}],)"
      R"("tool_choice":{"type":"allowed_tools","allowed_tools":{"mode":"required","tools":[{"type":"function","function":{"name":"f"}}]}},)"
      R"("verbosity":"low","response_format":{"type":"json_schema","json_schema":{"name":"n","strict":true,"schema":{"type":"object"}}},)"
      R"("reasoning_effort":"low","logprobs":true,"top_logprobs":2,)"
      R"("web_search_options":{"search_context_size":"low","user_location":{"type":"approximate","approximate":{"city":"Oslo"}}}})");
}

TEST_CASE("surface: input items become messages, the assistant's in one turn") {
  CHECK(
      messages_of(R"([
    {"role":"developer","content":"d"},
    {"type":"message","role":"user","content":[{"type":"input_text","text":"See"},
      {"type":"input_image","image_url":"data:image/png;base64,AAAA","detail":"low"},
      {"type":"input_audio","input_audio":{"data":"UklG","format":"wav"}},
      {"type":"input_file","file_data":"data:application/pdf;base64,BB","filename":"f.pdf"}]},
    {"type":"message","id":"msg_1","role":"assistant","content":[{"type":"output_text","text":"Two "},
      {"type":"output_text","text":"calls."}]},
    {"type":"function_call","id":"fc_1","call_id":"a","name":"f","arguments":"{}"},
    {"type":"custom_tool_call","call_id":"b","name":"c","input":"x"},
    {"type":"function_call_output","call_id":"a","output":"1"},
    {"type":"custom_tool_call_output","call_id":"b","output":[{"type":"input_text","text":"2"}]}])") ==
      R"([{"role":"developer","content":"d"},{"role":"user","content":[{"type":"text","text":"See"},)"
      R"({"type":"image_url","image_url":{"url":"data:image/png;base64,AAAA","detail":"low"}},)"
      R"({"type":"input_audio","input_audio":{"data":"UklG","format":"wav"}},)"
      R"({"type":"file","file":{"file_data":"data:application/pdf;base64,BB","filename":"f.pdf"}}]},)"
      R"({"role":"assistant","content":"Two calls.","tool_calls":[)"
      R"({"id":"a","type":"function","function":{"name":"f","arguments":"{}"}},)"
      R"({"id":"b","type":"custom","custom":{"name":"c","input":"x"}}]},)"
      R"({"role":"tool","tool_call_id":"a","content":"1"},)"
      R"({"role":"tool","tool_call_id":"b","content":[{"type":"text","text":"2"}]}])");
}

TEST_CASE("surface: a Responses client is told how likely each token was, when it is told") {
  const std::string token = R"({"token":"Hi","logprob":-0.5,"bytes":[],"top_logprobs":[]})";
  const std::string with =
      R"({"id":"chatcmpl-1","model":"m","choices":[{"index":0,"delta":{},"logprobs":{"content":[)" +
      token + "]}}]}";
  ResponsesAnswer answer("");
  std::string out;
  for (const std::string& each : {chunk(R"({"content":"Hi"})"), with, chunk("{}", "stop")}) {
    answer.delta(each, out);
  }
  answer.end({}, out);
  const std::string last = events_of(out).back().data;
  CHECK(json::find_path(last, "response.output.0.content.0.text") == "\"Hi\"");
  CHECK(json::find_path(last, "response.output.0.content.0.logprobs") == "[" + token + "]");
}

TEST_CASE("surface: a Responses request that can't be is refused with the parameter's name") {
  const std::pair<const char*, const char*> cases[] = {
      {R"({"input":"a"})", "model"},
      {R"({"model":"m"})", "input"},
      {R"({"model":"m","input":7})", "input"},
      {R"({"model":"m","input":["a"]})", "input[0]"},
      {R"({"model":"m","input":[{"content":"a"}]})", "input[0].role"},
      {R"({"model":"m","input":[{"role":"x","content":"a"}]})", "input[0].role"},
      {R"({"model":"m","input":[{"role":"user"}]})", "input[0].content"},
      {R"({"model":"m","input":[{"role":"user","content":[{"type":"input_text"}]}]})",
       "input[0].content[0].text"},
      {R"({"model":"m","input":[{"role":"user","content":[{"type":"input_image"}]}]})",
       "input[0].content[0].image_url"},
      {R"({"model":"m","input":[{"type":"function_call","name":"f"}]})", "input[0].call_id"},
      {R"({"model":"m","input":[{"type":"function_call","call_id":"a","name":"f"},)"
       R"({"type":"function_call_output","call_id":"a"}]})",
       "input[1].output"},
      {R"({"model":"m","input":[{"type":"item_reference","id":"a"}]})", "input[0]"},
      {R"({"model":"m","input":"a","previous_response_id":7})", "previous_response_id"},
      {R"({"model":"m","input":"a","conversation":"c"})", "conversation"},
      {R"({"model":"m","input":"a","background":true})", "background"},
      {R"({"model":"m","input":"a","prompt":{"id":"p"}})", "prompt"},
      {R"({"model":"m","input":"a","tools":[{"type":"file_search"}]})", "tools[0].type"},
      {R"({"model":"m","input":"a","tools":[{"type":"function"}]})", "tools[0].name"},
      {R"({"model":"m","input":"a","tools":[{"type":"function","name":"f"}],"tool_choice":"x"})",
       "tool_choice"},
      {R"({"model":"m","input":"a","tool_choice":"required"})", "tool_choice"},
      {R"({"model":"m","input":[]})", "input"},
      {R"({"model":"m","input":"a","max_output_tokens":0})", "max_output_tokens"},
      {R"({"model":"m","input":"a","top_logprobs":1.5})", "top_logprobs"},
      {R"({"model":"m","input":[{"type":"function_call_output","call_id":"a","output":"1"}]})",
       "input[0].call_id"},
      {R"({"model":"m","input":"a","text":{"format":{"type":"x"}}})", "text.format.type"},
      {R"({"model":"m","input":"a","text":{"format":{"type":"json_schema","name":"n"}}})",
       "text.format.schema"},
  };
  for (const auto& [body, param] : cases) {
    CAPTURE(body);
    const Canonical canonical = translate(body);
    const auto& refusal = canonical.refusal ? canonical.refusal : canonical.only_native;
    REQUIRE(refusal);
    CHECK(refusal->status == 400);
    CHECK(refusal->param == param);
  }
}

TEST_CASE("surface: a stored response tells its own id, and what it goes on with") {
  JsonIndex index;
  const std::string body = R"({"model":"m","input":"a","store":true})";
  REQUIRE(index.scan(body));
  const StoredAs stored{"resp_own", "resp_before"};
  Ask ask;
  ask.what = Ask::What::kTask;
  ask.stored = &stored;
  const Canonical canonical = kSurface.to_canonical(ask, index);
  CHECK(canonical.losses.empty());
  std::string out;
  for (const char* id : {"a", "b"}) {
    canonical.answer->delta(R"({"id":")" + std::string(id) +
                                R"(","created":1,"model":"m","choices":[)"
                                R"({"index":0,"delta":{"content":"Hi"},"finish_reason":"stop"}]})",
                            out);
  }
  canonical.answer->end({7, 3, 0, 0, true}, out);
  const std::string last = events_of(out).back().data;
  CHECK(json::find(last, "response") == canonical.answer->stored());
  CHECK(json::find_path(last, "response.id") == R"("resp_own")");
  CHECK(json::find_path(last, "response.previous_response_id") == R"("resp_before")");
  CHECK(json::find_path(last, "response.store") == "true");
  CHECK(json::find_path(last, "response.output.0.id") == R"("msg_own_0")");
}

TEST_CASE("surface: what of a Responses request is not canonical is a loss") {
  const Canonical canonical =
      translate(R"({"model":"m","store":true,"truncation":"auto","max_tool_calls":3,
    "include":["file_search_call.results"],"reasoning":{"mode":"pro"},
    "input":[{"type":"web_search_call","id":"w"},{"role":"user","content":[{"type":"input_file","file_url":"u"}]}]})");
  REQUIRE_FALSE(canonical.refusal);
  CHECK(canonical.losses.array() == R"(["/input/0","/input/1/content/0","/reasoning/mode",)"
                                    R"("/include/0","/truncation","/max_tool_calls","/store"])");
}

TEST_CASE("surface: a text stream has the Responses API's events in their order") {
  const auto lines =
      told(wire_of({chunk(R"({"role":"assistant","content":""})"), chunk(R"({"content":"Hel"})"),
                    chunk(R"({"content":"lo"})"), chunk("{}", "stop")}));
  const std::vector<std::string> expected = {
      "created",
      "in_progress",
      R"(output_item.added 0 {"id":"msg_chatcmpl-1_0","type":"message","status":"in_progress","role":"assistant","content":[]})",
      R"(content_part.added 0 0 {"type":"output_text","text":"","annotations":[],"logprobs":[]})",
      R"(output_text.delta 0 0 "Hel")",
      R"(output_text.delta 0 0 "lo")",
      R"(output_text.done 0 0 "Hello")",
      R"(content_part.done 0 0 {"type":"output_text","text":"Hello","annotations":[],"logprobs":[]})",
      R"(output_item.done 0 {"id":"msg_chatcmpl-1_0","type":"message","status":"completed","role":"assistant","content":[{"type":"output_text","text":"Hello","annotations":[],"logprobs":[]}]})",
      "completed"};
  CHECK(lines == expected);
}

TEST_CASE("surface: reasoning, calls side by side, citations and a refusal") {
  const std::string wire = wire_of(
      {chunk(
           R"({"reasoning_content":"Hm","reasoning_details":[{"index":0,"type":"reasoning.text","format":"f","text":"Hm"}]})"),
       chunk(R"({"reasoning_details":[{"index":0,"signature":"c2ln"}]})"),
       chunk(R"({"content":"A"})"),
       chunk(
           R"({"annotations":[{"type":"url_citation","url_citation":{"url":"u","start_index":0}}]})"),
       call(0, "a", "f", ""), call(1, "b", "g", R"({\"x\":)"), call(0, "", "", "{}"),
       call(1, "", "", "1}"), chunk(R"({"refusal":"No."})"), chunk("{}", "tool_calls")});
  const auto lines = told(wire);
  const std::vector<std::string> kinds = {
      "created",
      "in_progress",
      "output_item.added 0",
      "reasoning_summary_part.added 0 0",
      "reasoning_summary_text.delta 0 0 \"Hm\"",
      "reasoning_summary_text.done 0 0 \"Hm\"",
      "reasoning_summary_part.done 0 0",
      "output_item.done 0",
      "output_item.added 1",
      "content_part.added 1 0",
      "output_text.delta 1 0 \"A\"",
      R"(output_text.annotation.added 1 0 {"type":"url_citation","url":"u","start_index":0})",
      "output_text.done 1 0 \"A\"",
      "content_part.done 1 0",
      "output_item.done 1",
      "output_item.added 2",
      "output_item.added 3",
      R"(function_call_arguments.delta 3 "{\"x\":")",
      "function_call_arguments.delta 2 \"{}\"",
      "function_call_arguments.delta 3 \"1}\"",
      "output_item.added 4",
      "content_part.added 4 0",
      "refusal.delta 4 0 \"No.\"",
      "function_call_arguments.done 2 \"{}\"",
      "output_item.done 2",
      R"(function_call_arguments.done 3 "{\"x\":1}")",
      "output_item.done 3",
      "refusal.done 4 0 \"No.\"",
      "content_part.done 4 0",
      "output_item.done 4",
      "completed"};
  REQUIRE(lines.size() == kinds.size());
  for (std::size_t i = 0; i < kinds.size(); ++i) CHECK(lines[i].starts_with(kinds[i]));

  // All of it comes back as it was said.
  const std::string back =
      messages_of("[" + output_of(wire).substr(0, output_of(wire).rfind(",{\"id\":\"msg")) + "]");
  CHECK(
      back ==
      R"([{"role":"assistant","content":"A","reasoning_content":"Hm",)"
      R"("reasoning_details":[{"index":0,"type":"reasoning.text","format":"f","text":"Hm","signature":"c2ln"}],)"
      R"("tool_calls":[{"id":"a","type":"function","function":{"name":"f","arguments":"{}"}},)"
      R"({"id":"b","type":"function","function":{"name":"g","arguments":"{\"x\":1}"}}]}])");
}

TEST_CASE("surface: a vendor's members of a call come back through a Responses client") {
  ResponsesAnswer answer("");
  std::string out;
  REQUIRE(answer.whole(
      R"({"id":"x","created":5,"model":"m","choices":[{"index":0,"finish_reason":"tool_calls","message":{"content":null,)"
      R"("tool_calls":[{"id":"a","type":"function","extra_content":{"google":{"thought_signature":"t"}},"function":{"name":"n","arguments":"{}"}},)"
      R"({"id":"b","type":"function","function":{"name":"n","arguments":"{}"}}]}}],)"
      R"("usage":{"prompt_tokens":3,"completion_tokens":2,"prompt_tokens_details":{"cached_tokens":1}}})",
      out));
  REQUIRE(json::valid(out));
  CHECK(json::find(out, "created_at") == "5");
  CHECK(json::find(out, "usage") ==
        R"({"input_tokens":3,"input_tokens_details":{"cached_tokens":1,"cache_write_tokens":0},)"
        R"("output_tokens":2,"output_tokens_details":{"reasoning_tokens":0},"total_tokens":5})");
  CHECK(
      messages_of(std::string(json::find(out, "output"))) ==
      R"([{"role":"assistant","content":null,"tool_calls":[{"id":"a","type":"function",)"
      R"("extra_content":{"google":{"thought_signature":"t"}},"function":{"name":"n","arguments":"{}"}},)"
      R"({"id":"b","type":"function","function":{"name":"n","arguments":"{}"}}]}])");
}

TEST_CASE("surface: a Responses stream says the same wherever its text is cut") {
  const std::string text = "A b, \xC3\xA9 c";
  const std::string whole =
      output_of(wire_of({chunk("{\"content\":\"" + text + "\"}"), chunk("{}", "length")}));
  CHECK(whole.find("\"status\":\"incomplete\"") != std::string::npos);
  for (std::size_t cut = 1; cut < text.size(); ++cut) {
    if (cut == 6) continue;  // within a character no provider cuts
    CAPTURE(cut);
    CHECK(output_of(wire_of({chunk("{\"content\":\"" + text.substr(0, cut) + "\"}"),
                             chunk("{\"content\":\"" + text.substr(cut) + "\"}"),
                             chunk("{}", "length")})) == whole);
  }
}

TEST_CASE("surface: how a Responses answer says that it is not complete") {
  const auto last = [](const std::string& wire) { return events_of(wire).back(); };
  const Event cut = last(wire_of({chunk(R"({"content":"A"})"), chunk("{}", "length")}));
  CHECK(cut.name == "response.incomplete");
  CHECK(json::find_path(cut.data, "response.incomplete_details") ==
        R"({"reason":"max_output_tokens"})");
  CHECK(json::find_path(cut.data, "response.usage.total_tokens") == "10");
  CHECK(json::find_path(last(wire_of({chunk("{}", "content_filter")})).data,
                        "response.incomplete_details.reason") == "\"content_filter\"");

  ResponsesAnswer answer("");
  std::string out;
  answer.delta(chunk(R"({"content":"A"})"), out);
  out.clear();
  exchange::Failure failure;
  failure.status = 502;
  failure.code = "upstream_closed";
  failure.message = "It closed.";
  answer.fail(failure, out);
  const auto events = events_of(out);
  REQUIRE(events.size() == 2);
  CHECK(
      events[0].data ==
      R"({"type":"error","sequence_number":5,"code":"upstream_closed","message":"It closed.","param":null})");
  CHECK(json::find_path(events[1].data, "response.status") == "\"failed\"");
  CHECK(json::find_path(events[1].data, "response.error") ==
        R"({"code":"server_error","message":"It closed."})");
  for (const char* wrong : {"", "[]", "{", R"({"choices":[]})"})
    CHECK_FALSE(answer.whole(wrong, out));
}

}  // namespace switchyard::surface
