#include "providers/bedrock/request.hpp"

#include <algorithm>
#include <initializer_list>
#include <set>
#include <switchyard/chat_readers.hpp>
#include <switchyard/json.hpp>
#include <utility>
#include <vector>

namespace bedrock {

namespace json = swy::json;

namespace {

constexpr std::string_view kNoParameters = R"({"type":"object","properties":{}})";

bool is_any(std::string_view text, std::initializer_list<std::string_view> names) {
  return std::find(names.begin(), names.end(), text) != names.end();
}

bool is_word(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

std::string text_of(std::string_view object, std::string_view name) {
  return json::to_text(json::find(object, name)).value_or("");
}

// toolUseId takes [a-zA-Z0-9_-]{1,64}; another vendor's id in the history may not fit.
std::string tool_id(std::string id) {
  for (char& c : id) {
    if (!is_word(c) && c != '-') c = '_';
  }
  // The end of an id is what tells it from others.
  return id.size() > 64 ? id.substr(id.size() - 64) : id;
}

// A document's name takes letters, digits, single spaces and -()[].
std::string document_name(std::string_view file) {
  std::string name;
  for (const char c : file.substr(0, file.rfind('.'))) {
    if (is_word(c) || is_any({&c, 1}, {"-", "(", ")", "[", "]"})) {
      name += c;
    } else if (!name.empty() && name.back() != ' ') {
      name += ' ';
    }
  }
  name.resize(std::min<std::size_t>(name.size(), 190));
  while (!name.empty() && name.back() == ' ') name.pop_back();
  return name.empty() ? "document" : name;
}

std::string_view image_format(std::string_view mime) {
  if (mime == "image/png") return "png";
  if (mime == "image/jpeg" || mime == "image/jpg") return "jpeg";
  if (mime == "image/gif") return "gif";
  if (mime == "image/webp") return "webp";
  return {};
}

std::string_view document_format(std::string_view mime, std::string_view file) {
  static constexpr std::pair<std::string_view, std::string_view> kByMime[] = {
      {"application/pdf", "pdf"},
      {"text/csv", "csv"},
      {"text/html", "html"},
      {"text/markdown", "md"},
      {"text/plain", "txt"},
      {"application/msword", "doc"},
      {"application/vnd.ms-excel", "xls"},
      {"application/vnd.openxmlformats-officedocument.wordprocessingml.document", "docx"},
      {"application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", "xlsx"},
  };
  // The name says more than text/plain or application/octet-stream do.
  const std::size_t dot = file.rfind('.');
  const std::string_view extension =
      dot == std::string_view::npos ? std::string_view() : file.substr(dot + 1);
  for (const auto& [type, format] : kByMime) {
    if (extension == format) return format;
  }
  for (const auto& [type, format] : kByMime) {
    if (mime == type) return format;
  }
  return {};
}

// Members of OpenAI's request that have a place in Converse's by another name.
bool is_mapped(std::string_view name) {
  return is_any(name, {"model", "messages", "stream", "stream_options", "max_tokens",
                       "max_completion_tokens", "temperature", "top_p", "stop", "tools",
                       "tool_choice", "reasoning_effort", "reasoning", "response_format",
                       "service_tier", "metadata", "n", "modalities", "cache_control"});
}

// Those that have none.
bool is_lost(std::string_view name) {
  return is_any(name, {"seed",
                       "frequency_penalty",
                       "presence_penalty",
                       "logit_bias",
                       "logprobs",
                       "top_logprobs",
                       "prediction",
                       "store",
                       "user",
                       "safety_identifier",
                       "prompt_cache_key",
                       "prompt_cache_options",
                       "prompt_cache_retention",
                       "audio",
                       "verbosity",
                       "web_search_options",
                       "parallel_tool_calls",
                       "functions",
                       "function_call",
                       "continue_final_message"});
}

// True where such a member asks for nothing that Converse would not do by itself.
bool asks_nothing(std::string_view name, std::string_view value) {
  if (name == "parallel_tool_calls") return value != "false";
  if (name == "verbosity") return value == "\"medium\"";
  return is_any(value, {"null", "false", "[]", "{}", "\"\""}) ||
         (name != "seed" && is_any(value, {"0", "0.0"}));
}

// Members of Converse's own request, which go through by their names.
bool is_converse(std::string_view name) {
  return is_any(name, {"guardrailConfig", "promptVariables", "additionalModelResponseFieldPaths",
                       "requestMetadata", "performanceConfig", "serviceTier", "outputConfig"});
}

class Translator {
 public:
  Translator(const swy::Request& request, Upstream& upstream)
      : request_(request),
        body_(upstream.body),
        json_(upstream.body.json()),
        losses_(upstream.losses),
        strings_(upstream.strings),
        pictures_(upstream.pictures),
        family_(family_of(request.model())),
        reasoning_(swy::read_reasoning(request, upstream.losses)) {}

  std::optional<swy::Error> run() {
    std::string wrong;
    if (!swy::read_messages(request_.value("messages"), messages_, losses_, wrong)) {
      return swy::Error{SWY_CLS_BAD_REQUEST, wrong};
    }
    check();
    json_.open_object();
    put_messages();
    put_system();
    put_inference();
    put_tools();
    put_output();
    put_extra();
    put_own();
    json_.close_object();
    return std::move(fault_);
  }

 private:
  void refuse(std::string what) {
    if (!fault_) fault_ = swy::Error{SWY_CLS_NOT_OFFERED, std::move(what)};
  }

  void check() {
    std::optional<swy::Refusal> impossible;
    swy::refuse_impossible_choice(request_, impossible);
    if (impossible) fault_ = swy::Error{impossible->cls, impossible->message};
    const std::string_view n = request_.value("n");
    if (!json::is_null(n) && n != "1") refuse("n: Converse gives one choice");
    if (request_.value("modalities").find("\"audio\"") != std::string_view::npos) {
      refuse("modalities: Converse gives text");
    }
    for (const swy::ChatMessage& message : messages_) {
      if (message.role == swy::ChatRole::kTool) tool_history_ = true;
      json::Cursor calls(message.tool_calls);
      if (!calls.array()) continue;
      while (calls.element()) {
        tool_history_ = true;
        tools_called_.insert(text_of(json::find(calls.value(), "function"), "name"));
      }
    }
  }

  bool given(std::string_view name) const { return !json::is_null(request_.value(name)); }

  // ---- pieces ----

  void put_source(std::string_view base64) {
    json_.key("source").open_object().key("bytes");
    body_.string_of(base64);
    json_.close_object();
  }

  // Of a part, in either of its forms.
  static std::string_view cache_hint(std::string_view part) {
    const std::string_view hint = json::find(part, "cache_control");
    const std::string_view breakpoint = json::find(part, "prompt_cache_breakpoint");
    if (!hint.empty() || json::is_null(breakpoint)) return hint;
    return json::find(breakpoint, "ttl").empty() ? R"({"type":"ephemeral"})"
                                                 : R"({"type":"ephemeral","ttl":"1h"})";
  }

  void put_cache_point(std::string_view cache_control) {
    if (json::type_of(cache_control) != 'o') return;
    json_.open_object().key("cachePoint").open_object().key("type").text("default");
    const std::string_view ttl = json::find(cache_control, "ttl");
    if (json::type_of(ttl) == 's') json_.key("ttl").raw(ttl);
    json_.close_object().close_object();
  }

  // ---- messages ----

  // Neighbours of one role become one message: roles have to alternate.
  void block(std::string_view role) {
    if (role == role_) return;
    close_message();
    role_ = role;
    json_.open_object().key("role").text(role).key("content").open_array();
  }
  void close_message() {
    if (!role_.empty()) json_.close_array().close_object();
    role_ = {};
  }

  void put_messages() {
    const swy::Place list{nullptr, "messages"};
    json_.key("messages").open_array();
    for (const swy::ChatMessage& message : messages_) {
      const swy::Place here{&list, {}, message.index};
      losses_.add_unless_null(here, "name", message.name);
      if (message.role == swy::ChatRole::kUser) {
        if (put_content("user", message.content, here)) put_cache_point(message.cache_control);
      } else if (message.role == swy::ChatRole::kAssistant) {
        if (put_assistant(message, here)) put_cache_point(message.cache_control);
      } else if (message.role == swy::ChatRole::kTool) {
        put_result(message, here);
        put_cache_point(message.cache_control);
      }
    }
    // Of the request: what comes up to its end.
    if (!role_.empty()) put_cache_point(request_.value("cache_control"));
    close_message();
    json_.close_array();
  }

  // True where something was written.
  bool put_content(std::string_view role, std::string_view content, const swy::Place& up) {
    if (json::type_of(content) == 's') return put_text(role, json::inside(content));
    json::Cursor parts(content);
    if (!parts.array()) return false;
    const swy::Place list{&up, "content"};
    bool any = false;
    for (std::int64_t i = 0; parts.element(); ++i) {
      const std::string_view part = parts.value();
      if (!put_part(role, part, {&list, {}, i})) continue;
      any = true;
      // A result's own content takes no cache points.
      if (!in_result_) put_cache_point(cache_hint(part));
    }
    return any;
  }

  // Blank text is refused upstream.
  bool put_text(std::string_view role, std::string_view inside) {
    if (json::is_blank(inside)) return false;
    block(role);
    json_.open_object().key("text");
    body_.string_of(inside);
    json_.close_object();
    return true;
  }

  bool put_part(std::string_view role, std::string_view part, const swy::Place& here) {
    const std::string type = text_of(part, "type");
    if (type == "text") return put_text(role, json::inside(json::find(part, "text")));
    if (type == "refusal") return put_text(role, json::inside(json::find(part, "refusal")));
    if (type == "image_url") return put_image(role, json::find(part, "image_url"), here);
    if (type == "file") return put_file(role, json::find(part, "file"));
    if (type == "input_audio") return put_audio(role, json::find(part, "input_audio"));
    refuse("messages: a part of type \"" + type + "\" is not offered");
    return false;
  }

  bool put_image(std::string_view role, std::string_view image, const swy::Place& here) {
    swy::DataUrl url;
    std::string_view text = strings_.plain(json::find(image, "url"));
    const std::string* const fetched = pictures_ != nullptr ? pictures_->data(text) : nullptr;
    if (fetched != nullptr) text = *fetched;
    if (!swy::parse_data_url(text, url) || !url.base64) {
      refuse("image_url: Converse takes images as base64 data: URLs only");
      return false;
    }
    const std::string_view format = image_format(url.mime);
    if (format.empty()) {
      refuse("image_url: expected png, jpeg, gif or webp");
      return false;
    }
    const std::string_view detail = json::find(image, "detail");
    if (detail != "\"auto\"") losses_.add_unless_null(here, "detail", detail);
    block(role);
    json_.open_object().key("image").open_object().key("format").text(format);
    put_source(url.data);
    json_.close_object().close_object();
    return true;
  }

  bool put_file(std::string_view role, std::string_view file) {
    swy::DataUrl url;
    const std::string_view text = strings_.plain(json::find(file, "file_data"));
    if (!swy::parse_data_url(text, url) || !url.base64) {
      refuse("file: Converse takes files as file_data with a base64 data: URL only");
      return false;
    }
    const std::string name = text_of(file, "filename");
    const std::string_view format = document_format(url.mime, name);
    if (format.empty()) {
      refuse("file: expected pdf, csv, doc, docx, xls, xlsx, html, txt or md");
      return false;
    }
    // Two documents of one name are refused upstream.
    std::string unique = document_name(name);
    for (int i = 2; !documents_.insert(unique).second; ++i) {
      unique = document_name(name) + " " + std::to_string(i);
    }
    block(role);
    json_.open_object().key("document").open_object().key("format").text(format);
    json_.key("name").text(unique);
    put_source(url.data);
    json_.close_object().close_object();
    return true;
  }

  bool put_audio(std::string_view role, std::string_view audio) {
    block(role);
    json_.open_object().key("audio").open_object();
    json_.key("format").text(text_of(audio, "format"));
    put_source(json::inside(json::find(audio, "data")));
    json_.close_object().close_object();
    return true;
  }

  // ---- an assistant's turn ----

  // Reasoning goes back where it stood between text and calls, which Claude insists on.
  bool put_assistant(const swy::ChatMessage& message, const swy::Place& here) {
    const bool plain = json::type_of(message.content) != 'a';
    std::string_view rest = plain ? json::inside(message.content) : std::string_view();
    std::size_t characters = 0;
    json::Cursor calls(message.tool_calls);
    bool more = calls.array();
    std::int64_t calls_done = 0;
    bool any = !plain && put_content("assistant", message.content, here);

    const auto text_until = [&](std::size_t end) {
      if (end <= characters) return;
      const std::string_view part = json::first_characters(rest, end - characters);
      rest.remove_prefix(part.size());
      characters = end;
      any = put_text("assistant", part) || any;
    };
    const auto calls_until = [&](std::int64_t end) {
      while (more && calls_done < end && (more = calls.element())) {
        put_call(calls.value(), {&here, "tool_calls"}, calls_done++);
        any = true;
      }
    };
    const swy::Place details{&here, "reasoning_details"};
    json::Cursor blocks(message.reasoning_details);
    const bool listed = blocks.array();
    for (std::int64_t i = 0; listed && blocks.element(); ++i) {
      const std::string_view one = blocks.value();
      if (!goes_back(one)) {
        losses_.add({&details, {}, i});
        continue;
      }
      const auto offset = json::to_integer(json::find(one, "after_text")).value_or(0);
      text_until(static_cast<std::size_t>(std::max<std::int64_t>(offset, 0)));
      calls_until(json::to_integer(json::find(one, "after_calls")).value_or(0));
      put_reasoning(one);
      any = true;
    }
    if (!listed && !message.reasoning_content.empty()) losses_.add(here, "reasoning_content");
    any = put_text("assistant", rest) || any;
    any = put_text("assistant", json::inside(message.refusal)) || any;
    calls_until(1 << 20);
    return any;
  }

  // A signature is good with the model alone that made it.
  bool goes_back(std::string_view block) const {
    const std::string model = text_of(block, "model");
    return json::inside(json::find(block, "format")) == kFormat && model == request_.model() &&
           is_any(json::inside(json::find(block, "type")),
                  {"reasoning.text", "reasoning.encrypted"});
  }

  void put_reasoning(std::string_view one) {
    block("assistant");
    json_.open_object().key("reasoningContent").open_object();
    if (json::inside(json::find(one, "type")) == "reasoning.encrypted") {
      json_.key("redactedContent");
      body_.string_of(json::inside(json::find(one, "data")));
    } else {
      json_.key("reasoningText").open_object().key("text");
      body_.string_of(json::inside(json::find(one, "text")));
      const std::string_view signature = json::find(one, "signature");
      if (json::type_of(signature) == 's') {
        json_.key("signature");
        body_.string_of(json::inside(signature));
      }
      json_.close_object();
    }
    json_.close_object().close_object();
  }

  void put_call(std::string_view call, const swy::Place& list, std::int64_t index) {
    const std::string_view function = json::find(call, "function");
    if (json::type_of(function) != 'o') {
      return refuse("messages: tool calls other than of functions are not offered");
    }
    const std::string_view extra = json::find(call, "extra_content");
    losses_.add_unless_null(swy::Place{&list, {}, index}, "extra_content", extra);
    block("assistant");
    json_.open_object().key("toolUse").open_object();
    json_.key("toolUseId").text(tool_id(text_of(call, "id")));
    json_.key("name").text(text_of(function, "name"));
    json_.key("input");
    const std::string arguments = text_of(function, "arguments");
    // An object is wanted; a model's arguments may be cut off, or no JSON at all.
    if (json::type_of(arguments) == 'o' && json::valid(arguments)) {
      json_.raw(arguments);
    } else {
      json_.open_object();
      if (!json::is_blank(arguments)) {
        json_.key("arguments").text(arguments);
        const swy::Place here{&list, {}, index};
        const swy::Place inside{&here, "function"};
        losses_.add(inside, "arguments");
      }
      json_.close_object();
    }
    json_.close_object().close_object();
  }

  // All results of a turn stand in one user message.
  void put_result(const swy::ChatMessage& message, const swy::Place& here) {
    block("user");
    json_.open_object().key("toolResult").open_object();
    json_.key("toolUseId").text(tool_id(json::to_text(message.tool_call_id).value_or("")));
    json_.key("content").open_array();
    in_result_ = true;
    if (!put_content("user", message.content, here)) {
      // Refused upstream without any.
      json_.open_object().key("text").text("(no output)").close_object();
    }
    in_result_ = false;
    json_.close_array();
    if (json::is_true(message.is_error)) json_.key("status").text("error");
    json_.close_object().close_object();
  }

  // ---- system ----

  void put_system() {
    bool any = false;
    const auto put = [&](std::string_view value, std::string_view cache_control) {
      const std::string_view inside = json::inside(value);
      if (json::is_blank(inside)) return;
      if (!any) json_.key("system").open_array();
      any = true;
      json_.open_object().key("text");
      body_.string_of(inside);
      json_.close_object();
      put_cache_point(cache_control);
    };
    for (const swy::ChatMessage& message : messages_) {
      if (message.role != swy::ChatRole::kSystem) continue;
      put(message.content, message.cache_control);
      json::Cursor parts(message.content);
      if (!parts.array()) continue;
      while (parts.element()) {
        const std::string_view part = parts.value();
        put(json::find(part, "text"), cache_hint(part));
      }
    }
    // A history with calls wants its tools, and Converse has no choice of none.
    if (tools_forbidden() && tool_history_) put("\"Answer without calling a tool.\"", {});
    if (any) json_.close_array();
  }

  // ---- parameters ----

  std::string_view max_tokens() const {
    return request_.value(given("max_completion_tokens") ? "max_completion_tokens" : "max_tokens");
  }

  void put_inference() {
    bool any = false;
    const auto key = [&](std::string_view name) {
      if (!any) json_.key("inferenceConfig").open_object();
      any = true;
      json_.key(name);
    };
    const std::int64_t asked = json::to_integer(max_tokens()).value_or(0);
    if (budget() > 0 && asked > 0) {
      key("maxTokens");
      if (asked <= budget())
        losses_.add(given("max_completion_tokens") ? "max_completion_tokens" : "max_tokens");
      json_.integer(asked > budget() ? asked : budget() + 1024);  // the budget counts in it
    } else if (!json::is_null(max_tokens())) {
      key("maxTokens");
      json_.raw(max_tokens());
    }
    for (const auto& [ours, theirs] :
         {std::pair("temperature", "temperature"), std::pair("top_p", "topP")}) {
      if (!given(ours)) continue;
      if (thinks()) {  // Claude refuses both then
        losses_.add(ours);
        continue;
      }
      key(theirs);
      json_.raw(request_.value(ours));
    }
    const std::string_view stop = request_.value("stop");
    if (given("stop")) {
      key("stopSequences");
      if (json::type_of(stop) == 's') {
        json_.open_array().raw(stop).close_array();
      } else {
        json_.raw(stop);
      }
    }
    if (any) json_.close_object();
  }

  // ---- tools ----

  bool tools_forbidden() const { return json::inside(request_.value("tool_choice")) == "none"; }
  bool tool_forced() const {
    const std::string_view choice = request_.value("tool_choice");
    return json::type_of(choice) == 'o' || json::inside(choice) == "required";
  }

  void put_tools() {
    json::Cursor tools(request_.value("tools"));
    const bool any = tools.array() && tools.element();
    if (!tool_history_ && (!any || tools_forbidden())) return;
    json_.key("toolConfig").open_object().key("tools").open_array();
    if (any) {
      put_tool(tools.value());
      while (tools.element()) put_tool(tools.value());
    } else {
      // Without them a history with calls is refused.
      if (tools_called_.empty()) tools_called_.insert("tool");
      for (const std::string& name : tools_called_) put_stub(name);
    }
    json_.close_array();
    if (any) put_choice();
    json_.close_object();
  }

  void put_tool(std::string_view tool) {
    const std::string_view function = json::find(tool, "function");
    if (json::type_of(function) != 'o') {
      return refuse("tools: a tool of type \"" + text_of(tool, "type") + "\" is not offered");
    }
    json_.open_object().key("toolSpec").open_object();
    json_.key("name").text(text_of(function, "name"));
    const std::string_view description = json::find(function, "description");
    if (!json::is_blank(json::inside(description))) {
      json_.key("description");
      body_.value(description);
    }
    const std::string_view parameters = json::find(function, "parameters");
    json_.key("inputSchema").open_object().key("json");
    body_.value(json::type_of(parameters) == 'o' ? parameters : kNoParameters);
    json_.close_object();
    if (json::is_true(json::find(function, "strict"))) json_.key("strict").boolean(true);
    json_.close_object().close_object();
    put_cache_point(json::find(tool, "cache_control"));
  }

  void put_stub(std::string_view name) {
    json_.open_object().key("toolSpec").open_object().key("name").text(name);
    json_.key("inputSchema").open_object().key("json").raw(kNoParameters);
    json_.close_object().close_object().close_object();
  }

  void put_choice() {
    if (!given("tool_choice")) return;
    const std::string_view choice = request_.value("tool_choice");
    const std::string name = text_of(json::find(choice, "function"), "name");
    json_.key("toolChoice").open_object();
    if (!name.empty()) {
      json_.key("tool").open_object().key("name").text(name).close_object();
    } else {
      json_.key(tool_forced() ? "any" : "auto").open_object().close_object();
    }
    json_.close_object();
  }

  // ---- thinking, output, what else there is ----

  // Claude is to think: not while it is forced to call a tool, which it refuses then.
  bool thinks() const {
    const bool asked =
        reasoning_.budget > 0 || (!reasoning_.effort.empty() && reasoning_.effort != "none");
    return is_claude(family_) && asked && !tool_forced();
  }

  std::int64_t budget() const {
    if (!thinks() || family_ != Family::kClaudeBudget) return 0;
    if (reasoning_.budget > 0) return std::max<std::int64_t>(reasoning_.budget, 1024);
    if (is_any(reasoning_.effort, {"minimal", "low"})) return 2048;
    return reasoning_.effort == "medium" ? 8192 : 16384;
  }

  void put_output() {
    const std::string_view format = request_.value("response_format");
    const std::string_view schema = json::find(format, "json_schema");
    const bool structured = json::type_of(json::find(schema, "schema")) == 'o';
    const bool with_effort =
        thinks() && family_ == Family::kClaudeAdaptive && !reasoning_.effort.empty();
    if (json::inside(json::find(format, "type")) == "json_object") losses_.add("response_format");
    if (request_.find("outputConfig") != nullptr || (!structured && !with_effort)) return;
    json_.key("outputConfig").open_object();
    if (with_effort) {
      if (reasoning_.effort == "minimal") lose_effort();
      json_.key("effort").text(reasoning_.effort == "minimal" ? "low" : reasoning_.effort);
    }
    if (structured) {
      json_.key("textFormat").open_object().key("type").text("json_schema");
      json_.key("structure").open_object().key("jsonSchema").open_object();
      json_.key("schema").text(json::find(schema, "schema"));  // as text, not as an object
      for (const char* name : {"name", "description"}) {
        const std::string_view value = json::find(schema, name);
        if (json::type_of(value) == 's') json_.key(name).raw(value);
      }
      json_.close_object().close_object().close_object();
    }
    json_.close_object();
  }

  // What is the model's own and not Converse's: what the client gave as such, members unknown here,
  // and how hard to think.
  void put_extra() {
    std::set<std::string> names;
    const auto key = [&](const std::string& name) {
      if (!names.insert(name).second) return false;
      if (names.size() == 1) json_.key("additionalModelRequestFields").open_object();
      json_.key(name);
      return true;
    };
    json::Cursor cursor(request_.value("additionalModelRequestFields"));
    std::string_view name;
    if (cursor.object()) {
      while (cursor.member(name)) {
        const std::string_view value = cursor.value();
        if (key(json::unescape("\"" + std::string(name) + "\""))) body_.value(value);
      }
    }
    for (std::size_t i = 0; i < request_.member_count(); ++i) {
      const swy_member& member = request_.member(i);
      const std::string own(swy::view(member.name));
      if (is_mapped(own) || is_converse(own) || own == "additionalModelRequestFields") continue;
      if (is_lost(own)) {
        if (!asks_nothing(own, request_.value(member))) losses_.add(own);
      } else if (key(own)) {
        body_.value(request_.value(member));
      }
    }
    put_reasoning_request(key);
    if (!names.empty()) json_.close_object();
  }

  template <class Key>
  void put_reasoning_request(const Key& key) {
    const std::string_view effort = reasoning_.effort;
    if (reasoning_.budget > 0 && family_ != Family::kClaudeBudget) {
      losses_.add(swy::Place{nullptr, "reasoning"}, "max_tokens");
    }
    if (thinks()) {
      if (!key("thinking")) return;
      json_.open_object().key("type");
      if (family_ == Family::kClaudeBudget) {
        json_.text("enabled").key("budget_tokens").integer(budget());
      } else {
        json_.text("adaptive");
        // What it thinks is left out unless asked for.
        if (!reasoning_.hide) json_.key("display").text("summarized");
      }
      json_.close_object();
    } else if (family_ == Family::kNova && !effort.empty() && key("reasoningConfig")) {
      const bool off = is_any(effort, {"none", "minimal"});
      json_.open_object().key("type").text(off ? "disabled" : "enabled");
      if (is_any(effort, {"minimal", "xhigh", "max"})) lose_effort();
      if (!off) {
        json_.key("maxReasoningEffort");
        json_.text(is_any(effort, {"low", "medium"}) ? effort : "high");
      }
      json_.close_object();
    } else if (family_ == Family::kOther && !effort.empty() && key("reasoning_effort")) {
      json_.text(effort);
    } else if (is_claude(family_) && !effort.empty() && effort != "none") {
      lose_effort();
    }
  }

  void lose_effort() { losses_.add(given("reasoning_effort") ? "reasoning_effort" : "reasoning"); }

  // Converse's own members, and those of OpenAI's that are the same by another name.
  void put_own() {
    const std::string_view tier = json::inside(request_.value("service_tier"));
    if (is_any(tier, {"default", "flex", "priority"}) && request_.find("serviceTier") == nullptr) {
      json_.key("serviceTier").open_object().key("type").text(tier).close_object();
    } else if (!tier.empty() && tier != "auto") {
      losses_.add("service_tier");
    }
    const std::string_view metadata = request_.value("metadata");
    if (json::type_of(metadata) == 'o' && request_.find("requestMetadata") == nullptr) {
      json_.key("requestMetadata");
      body_.value(metadata);
    }
    for (std::size_t i = 0; i < request_.member_count(); ++i) {
      const swy_member& member = request_.member(i);
      if (!is_converse(swy::view(member.name))) continue;
      json_.key(swy::view(member.name));
      body_.value(request_.value(member));
    }
  }

  swy::Request request_;
  swy::BodyWriter& body_;
  json::Writer& json_;
  swy::Losses& losses_;
  swy::PlainStrings& strings_;
  const swy::Pictures* pictures_;
  Family family_;
  swy::ChatReasoning reasoning_;
  std::vector<swy::ChatMessage> messages_;
  std::optional<swy::Error> fault_;
  std::string_view role_;  // of the message that is open
  bool in_result_ = false, tool_history_ = false;
  std::set<std::string> tools_called_, documents_;
};

}  // namespace

Family family_of(std::string_view model) {
  const auto has = [model](std::string_view part) {
    return model.find(part) != std::string_view::npos;
  };
  if (has("nova-2")) return Family::kNova;
  if (!has("claude")) return Family::kOther;
  const bool budget = has("claude-3") || has("-4-5") || has("-4-1-") || has("-4-2025");
  return budget ? Family::kClaudeBudget : Family::kClaudeAdaptive;
}

std::optional<swy::Error> to_upstream(const swy::Request& request, Upstream& upstream) {
  return Translator(request, upstream).run();
}

std::string path_of(std::string_view model, bool stream) {
  constexpr char kHex[] = "0123456789ABCDEF";
  std::string path = "/model/";
  for (const char c : model) {
    if (is_word(c) || is_any({&c, 1}, {"-", "_", ".", "~"})) {
      path += c;
    } else {
      path += '%';
      path += kHex[static_cast<unsigned char>(c) >> 4];
      path += kHex[static_cast<unsigned char>(c) & 15U];
    }
  }
  return path += stream ? "/converse-stream" : "/converse";
}

}  // namespace bedrock
