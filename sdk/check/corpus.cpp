#include "corpus.hpp"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "canonical.hpp"
#include "plugin.hpp"

namespace swy::check {
namespace {

constexpr const char* kClasses[] = {
    "plugin",  "bad_request", "auth",  "rate_limit", "overloaded", "too_long",  "filtered",
    "timeout", "not_offered", "quota", "server",     "no_model",   "bad_answer"};

// ---- built-in answers ----

struct Dialect {
  const char* name;
  const char* type;  // of a stream
  const char* chat;
  const char* chat_stream;
};

constexpr Dialect kDialects[] = {
    {"openai", "text/event-stream",
     R"({"id":"c1","object":"chat.completion","created":1,"model":"m","choices":[{"index":0,"message":{"role":"assistant","content":"Hello \u00e9\n\"there\""},"finish_reason":"stop"}],"usage":{"prompt_tokens":9,"completion_tokens":3,"total_tokens":12}})",
     "data: {\"id\":\"c1\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"m\","
     "\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"\"},"
     "\"finish_reason\":null}],\"usage\":null}\n\n"
     ": a comment\n\n"
     "data: {\"id\":\"c1\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"m\","
     "\"choices\":[{\"index\":0,\"delta\":{\"content\":\"Hel\xc3\xa9\"},\"finish_reason\":null}],"
     "\"usage\":null}\r\n\r\n"
     "data: {\"id\":\"c1\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"m\","
     "\"choices\":[{\"index\":0,\"delta\":{\"tool_calls\":[{\"index\":0,\"id\":\"t1\",\"type\":"
     "\"function\",\"function\":{\"name\":\"f\",\"arguments\":\"{\\\"a\\\":\"}}]},"
     "\"finish_reason\":null}],\"usage\":null}\n\n"
     "data: {\"id\":\"c1\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"m\","
     "\"choices\":[{\"index\":0,\"delta\":{\"tool_calls\":[{\"index\":0,\"function\":{"
     "\"arguments\":\"1}\"}}]},\"finish_reason\":null}],\"usage\":null}\n\n"
     "data: {\"id\":\"c1\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"m\","
     "\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"tool_calls\"}],\"usage\":null}\n\n"
     "data: {\"id\":\"c1\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"m\","
     "\"choices\":[],\"usage\":{\"prompt_tokens\":9,\"completion_tokens\":3,\"total_tokens\":12}}"
     "\n\n"
     "data: [DONE]\n\n"},
    {"anthropic", "text/event-stream",
     R"({"id":"msg_1","type":"message","role":"assistant","model":"m","content":[{"type":"text","text":"Hello \"there\""}],"stop_reason":"end_turn","stop_sequence":null,"usage":{"input_tokens":9,"output_tokens":3}})",
     "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"msg_1\","
     "\"type\":\"message\",\"role\":\"assistant\",\"model\":\"m\",\"content\":[],\"stop_reason\":"
     "null,\"stop_sequence\":null,\"usage\":{\"input_tokens\":9,\"output_tokens\":1}}}\n\n"
     "event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":0,"
     "\"content_block\":{\"type\":\"text\",\"text\":\"\"}}\n\n"
     "event: ping\ndata: {\"type\":\"ping\"}\n\n"
     "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{"
     "\"type\":\"text_delta\",\"text\":\"Hel\xc3\xa9\"}}\n\n"
     "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{"
     "\"type\":\"text_delta\",\"text\":\" there\"}}\n\n"
     "event: content_block_stop\ndata: {\"type\":\"content_block_stop\",\"index\":0}\n\n"
     "event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":"
     "\"end_turn\",\"stop_sequence\":null},\"usage\":{\"output_tokens\":3}}\n\n"
     "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n"},
    {"gemini", "text/event-stream",
     R"({"candidates":[{"content":{"role":"model","parts":[{"text":"Hello"}]},"finishReason":"STOP","index":0}],"usageMetadata":{"promptTokenCount":9,"candidatesTokenCount":3,"totalTokenCount":12},"modelVersion":"m","responseId":"r1"})",
     "data: {\"candidates\":[{\"content\":{\"role\":\"model\",\"parts\":[{\"text\":\"Hel\"}]},"
     "\"index\":0}],\"usageMetadata\":{\"promptTokenCount\":9},\"modelVersion\":\"m\","
     "\"responseId\":\"r1\"}\r\n\r\n"
     "data: {\"candidates\":[{\"content\":{\"role\":\"model\",\"parts\":[{\"text\":\"lo\"}]},"
     "\"finishReason\":\"STOP\",\"index\":0}],\"usageMetadata\":{\"promptTokenCount\":9,"
     "\"candidatesTokenCount\":3,\"totalTokenCount\":12},\"modelVersion\":\"m\",\"responseId\":"
     "\"r1\"}\r\n\r\n"},
};

constexpr char kCompletion[] =
    R"({"id":"c1","object":"text_completion","created":1,"model":"m","choices":[{"text":"Hello","index":0,"logprobs":null,"finish_reason":"stop"}],"usage":{"prompt_tokens":2,"completion_tokens":1,"total_tokens":3}})";
constexpr char kCompletionStream[] =
    "data: {\"id\":\"c1\",\"object\":\"text_completion\",\"created\":1,\"model\":\"m\",\"choices\":"
    "[{\"text\":\"Hel\",\"index\":0,\"logprobs\":null,\"finish_reason\":null}]}\n\n"
    "data: {\"id\":\"c1\",\"object\":\"text_completion\",\"created\":1,\"model\":\"m\",\"choices\":"
    "[{\"text\":\"\",\"index\":0,\"logprobs\":null,\"finish_reason\":\"stop\"}]}\n\n"
    "data: [DONE]\n\n";
constexpr char kEmbeddings[] =
    R"({"object":"list","data":[{"object":"embedding","index":0,"embedding":[0.25,-0.5]}],"model":"m","usage":{"prompt_tokens":2,"total_tokens":2}})";
constexpr char kModerations[] =
    R"({"id":"modr-1","model":"m","results":[{"flagged":false,"categories":{"violence":false},"category_scores":{"violence":0.01}}]})";
constexpr char kModels[] =
    R"({"object":"list","data":[{"id":"m","object":"model","created":1,"owned_by":"o"}]})";

std::string chat_body(bool stream, bool want_usage) {
  return std::string(R"({"model":"asked","messages":[{"role":"system","content":"Be brief."},)") +
         R"({"role":"user","content":"Say \"hi\" \u00e9\n"}],"temperature":0.5)" +
         (stream ? R"(,"stream":true)" : "") +
         (want_usage ? R"(,"stream_options":{"include_usage":true})" : "") +
         R"(,"x_unknown":{"kept":[1,2.50,1e3]}})";
}

std::string body_of(const std::string& task, bool stream, bool want_usage) {
  if (task == "chat") return chat_body(stream, want_usage);
  if (task == "completions") {
    return std::string(R"({"model":"asked","prompt":"Say hi")") +
           (stream ? R"(,"stream":true})" : "}");
  }
  if (task == "embeddings") return R"({"model":"asked","input":"some text"})";
  if (task == "moderations") return R"({"model":"asked","input":"some text"})";
  return task == "models" ? "" : R"({"model":"asked"})";
}

Answer json_answer(std::string body) {
  Answer answer;
  answer.headers = {{"content-type", "application/json"}, {"x-request-id", "up-1"}};
  answer.body = std::move(body);
  return answer;
}

std::string other_answer(const std::string& task, bool stream) {
  if (task == "completions") return stream ? kCompletionStream : kCompletion;
  if (task == "embeddings") return kEmbeddings;
  if (task == "moderations") return kModerations;
  return task == "models" ? kModels : R"({"id":"x"})";
}

void add_cases(const std::string& task, const std::string& native, const std::string& model,
               std::vector<Case>& cases) {
  const bool streams = task == "chat" || task == "completions";
  for (const int form : {0, 1, 2}) {
    const bool stream = form > 0, want_usage = form == 2;
    if (stream && (!streams || (want_usage && task != "chat"))) continue;
    for (const Dialect& dialect : kDialects) {
      const bool first = &dialect == &kDialects[0];
      if (!first && task != "chat") break;
      Case made;
      made.name = task + (stream ? ", streamed" : "") + (want_usage ? " with usage" : "") +
                  (native.empty() ? "" : ", native " + native) + ", answered as " + dialect.name;
      made.ask.task = task;
      made.ask.model = model;
      made.ask.body = body_of(task, stream, want_usage);
      made.ask.dialect = native;
      made.ask.stream = stream;
      made.ask.want_usage = want_usage;
      Answer answer = json_answer(task != "chat" ? other_answer(task, stream)
                                  : stream       ? dialect.chat_stream
                                                 : dialect.chat);
      if (stream) answer.headers[0].second = dialect.type;
      made.answers.push_back(std::move(answer));
      cases.push_back(std::move(made));
    }
  }
}

// ---- transcripts ----

std::string read_file(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

Pairs pairs_of(const Value* value) {
  Pairs pairs;
  if (!value) return pairs;
  for (const auto& [name, member] : value->members) {
    pairs.emplace_back(name, member.is('s') ? member.text : to_json(member));
  }
  return pairs;
}

// Text as it stands, JSON as it is written.
std::string bytes_of(const Value* value) {
  if (!value) return {};
  return value->is('s') ? value->text : to_json(*value);
}

Ask ask_of(const Value& request) {
  Ask ask;
  ask.task = request.text_of("task", "chat");
  ask.model = request.text_of("model", "m");
  ask.dialect = request.text_of("dialect");
  ask.body = bytes_of(request.find("body"));
  ask.headers = pairs_of(request.find("headers"));
  ask.credential = pairs_of(request.find("credential"));
  ask.stream = request.true_at("stream");
  ask.want_usage = request.true_at("want_usage");
  return ask;
}

Answer answer_of(const Value& exchange) {
  Answer answer;
  const Value* given = exchange.find("answer");
  if (!given) return answer;
  answer.status = static_cast<std::uint32_t>(given->integer_at("status").value_or(200));
  answer.headers = pairs_of(given->find("headers"));
  answer.body = bytes_of(given->find("body"));
  const Value* ends = given->find("ends_well");
  answer.ends_well = !ends || !ends->is('f');
  const Value* expected = exchange.find("request");
  const std::uint32_t framing =
      framing_of(given->text_of("framing", expected ? expected->text_of("framing") : "sse"));
  if (const Value* frames = given->find("frames")) {
    for (const Value& each : frames->items) {
      const bool named = each.is('o') && each.find("data") && each.find("event");
      const Frame frame = named ? Frame{each.text_of("event"), bytes_of(each.find("data"))}
                                : Frame{{}, bytes_of(&each)};
      answer.body += frame_bytes(framing == UINT32_MAX ? SWY_FRAME_SSE : framing, frame);
    }
  }
  if (const Value* messages = given->find("messages")) {
    for (const Value& each : messages->items) {
      answer.messages.push_back({each.text_of("from") == "client", each.true_at("binary") ? 2U : 1U,
                                 bytes_of(each.find("data"))});
    }
  }
  return answer;
}

// ---- what was seen, as JSON ----

Value text_value(std::string_view text) { return {'s', std::string(text), {}, {}}; }
Value number_value(std::int64_t n) { return {'n', std::to_string(n), {}, {}}; }
Value true_value() { return {'t', {}, {}, {}}; }
Value object_value() { return {'o', {}, {}, {}}; }

// As JSON where it is JSON that is more than a plain text.
Value data_value(const std::string& data) {
  std::string why;
  std::optional<Value> value = parse(data, why);
  if (value && (value->is('o') || value->is('a'))) return *std::move(value);
  return text_value(is_utf8(data) ? data : shown(data, SIZE_MAX));
}

void set(Value& object, std::string_view name, Value value) {
  for (auto& [key, member] : object.members) {
    if (key == name) {
      member = std::move(value);
      return;
    }
  }
  object.members.push_back({std::string(name), std::move(value)});
}

Value pairs_value(const Pairs& pairs) {
  Value object = object_value();
  for (const auto& [name, value] : pairs) set(object, name, text_value(value));
  return object;
}

Value sent_value(const Sent& sent) {
  Value value = object_value();
  set(value, "method", text_value(sent.method));
  set(value, "url", text_value(sent.url));
  set(value, "framing", text_value(framing_name(sent.framing)));
  std::string auth = sent.auth_scheme;
  if (!sent.auth_name.empty()) auth += " " + sent.auth_name;
  if (!sent.auth_slot.empty()) auth += " at " + sent.auth_slot;
  set(value, "auth", text_value(auth));
  set(value, "headers", pairs_value(sent.headers));
  if (!sent.query.empty()) set(value, "query", pairs_value(sent.query));
  set(value, "body", data_value(sent.body));
  return value;
}

Value emit_value(const Emit& emit) {
  Value value = object_value();
  if (emit.message) {
    set(value, "message_to", text_value(emit.to_client ? "client" : "upstream"));
    set(value, "opcode", number_value(emit.what));
  } else {
    set(value, "what", text_value(emit_name(emit.what)));
    if ((emit.flags & SWY_EMIT_CONTENT) != 0) set(value, "content", true_value());
    if ((emit.flags & SWY_EMIT_NATIVE) != 0) set(value, "native", true_value());
  }
  set(value, "data", data_value(emit.data));
  return value;
}

Value end_value(const Trace& trace) {
  if (trace.end == End::kDone) return text_value("done");
  if (trace.end != End::kFail && trace.end != End::kRefused) return text_value(trace.end_text());
  Value fail = object_value();
  const auto cls = static_cast<std::size_t>(trace.err.cls);
  set(fail, "class", text_value(cls < std::size(kClasses) ? kClasses[cls] : "unknown"));
  set(fail, "http", number_value(trace.err.http));
  set(fail, "retry_after_ms", number_value(trace.err.retry_after_ms));
  set(fail, "message", text_value(err_text(trace.err)));
  Value end = object_value();
  set(end, trace.end == End::kFail ? "fail" : "refused", std::move(fail));
  return end;
}

// Of the expected request every member but its headers has to be as it is; of headers those named.
std::string sent_difference(std::size_t number, const Value& expected, const Sent& sent) {
  const std::string at = "exchanges[" + std::to_string(number) + "].request";
  Value seen = sent_value(sent);
  for (const auto& [name, value] : expected.members) {
    Value other = seen.find(name) ? *seen.find(name) : Value();
    if (name == "headers" || name == "query") {
      for (const auto& [header, text] : value.members) {
        const Value* found = other.find(header);
        if (!found) return at + "." + name + ": " + header + " was not set";
        std::string fault = difference(at + "." + name + "." + header, text, *found);
        if (!fault.empty()) return fault;
      }
      continue;
    }
    std::string fault = difference(at + "." + name, value, other);
    if (!fault.empty()) return fault;
  }
  return {};
}

}  // namespace

std::vector<Case> built_in_cases(const std::vector<std::string>& tasks,
                                 const std::vector<std::string>& native, const std::string& model) {
  std::vector<Case> cases;
  const bool openai = std::find(native.begin(), native.end(), "openai") != native.end();
  for (const std::string& task : tasks) {
    add_cases(task, "", model, cases);
    if (openai) add_cases(task, "openai", model, cases);
  }
  return cases;
}

std::vector<Case> read_transcripts(const std::string& directory, std::string& fault) {
  std::vector<Case> cases;
  std::error_code error;
  std::vector<std::filesystem::path> files;
  for (const auto& entry : std::filesystem::directory_iterator(directory, error)) {
    if (entry.path().extension() == ".json") files.push_back(entry.path());
  }
  if (error) fault = directory + ": " + error.message();
  std::sort(files.begin(), files.end());
  for (const auto& file : files) {
    Case made;
    std::string why;
    made.document = parse(read_file(file), why);
    const Value* request = made.document ? made.document->find("request") : nullptr;
    if (!made.document || !request) {
      fault = file.string() + ": " + (why.empty() ? "\"request\" is missing" : why);
      return {};
    }
    made.name = file.stem().string();
    made.file = file.filename().string();
    made.ask = ask_of(*request);
    if (const Value* config = made.document->find("config")) made.config = to_json(*config);
    if (const Value* exchanges = made.document->find("exchanges")) {
      for (const Value& exchange : exchanges->items) made.answers.push_back(answer_of(exchange));
    }
    cases.push_back(std::move(made));
  }
  return cases;
}

Value with_seen(const Case& transcript, const Trace& trace) {
  Value document = *transcript.document;
  for (auto& [name, member] : document.members) {
    if (name != "exchanges") continue;
    for (std::size_t i = 0; i < member.items.size() && i < trace.sent.size(); ++i) {
      set(member.items[i], "request", sent_value(trace.sent[i]));
    }
  }
  Value expect = object_value();
  Value emits{'a', {}, {}, {}};
  for (const Emit& emit : trace.emits) emits.items.push_back(emit_value(emit));
  set(expect, "emits", std::move(emits));
  if (!trace.kept.empty()) set(expect, "kept", text_value(trace.kept));
  set(expect, "end", end_value(trace));
  set(document, "expect", std::move(expect));
  return document;
}

std::string transcript_difference(const Case& transcript, const Trace& trace) {
  const Value& document = *transcript.document;
  if (trace.end == End::kBroken) return trace.fault;
  const Value* exchanges = document.find("exchanges");
  const std::size_t expected = exchanges ? exchanges->items.size() : 0;
  for (std::size_t i = 0; i < expected && i < trace.sent.size(); ++i) {
    const Value* request = exchanges->items[i].find("request");
    std::string fault = request ? sent_difference(i, *request, trace.sent[i]) : "";
    if (!fault.empty()) return fault;
  }
  if (trace.sent.size() != expected) {
    return "exchanges: expected " + std::to_string(expected) + " requests, seen " +
           std::to_string(trace.sent.size()) + "; it ended with " + trace.end_text();
  }
  const Value* expect = document.find("expect");
  if (!expect) return {};
  const Value all = with_seen(transcript, trace);
  const Value& seen = *all.find("expect");
  for (const auto& [name, value] : expect->members) {
    const Value* other = seen.find(name);
    if (!other) return "expect." + name + ": nothing of it was seen";
    std::string fault = difference("expect." + name, value, *other);
    if (!fault.empty()) return fault;
  }
  return {};
}

}  // namespace swy::check
