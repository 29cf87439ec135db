#include "core/surface/gemini_request.hpp"

#include <algorithm>
#include <set>
#include <vector>

#include "core/surface/carried.hpp"
#include "core/surface/openai_error.hpp"
#include "core/surface/request_members.hpp"

namespace switchyard::surface {

namespace json = swy::json;
using swy::Place;

namespace {

char lowered(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

// Names come as inlineData or as inline_data.
bool is(std::string_view given, std::string_view camel) {
  std::size_t at = 0;
  for (const char c : camel) {
    if (at < given.size() && given[at] == c) {
      ++at;
      continue;
    }
    const bool snake =
        lowered(c) != c && at + 1 < given.size() && given[at] == '_' && given[at + 1] == lowered(c);
    if (!snake) return false;
    at += 2;
  }
  return at == given.size();
}

std::string_view field(std::string_view object, std::string_view camel) {
  json::Cursor cursor(object);
  std::string_view name;
  if (!cursor.object()) return {};
  while (cursor.member(name)) {
    const std::string_view value = cursor.value();
    if (is(name, camel)) return json::is_null(value) ? std::string_view() : value;
  }
  return {};
}

std::string_view string_of(std::string_view object, std::string_view camel) {
  const std::string_view value = field(object, camel);
  return json::type_of(value) == 's' ? value : std::string_view();
}

std::string in_lower_case(std::string_view text) {
  std::string out(text);
  std::transform(out.begin(), out.end(), out.begin(), lowered);
  return out;
}

void refuse(Canonical& to, const Place& place, std::string_view what) {
  const std::string path = path_of(place);
  if (!to.refusal) {
    to.refusal = bad_request(400, "invalid_value", path + ": " + std::string(what), path);
  }
}

// What no upstream can make sense of; a provider of the dialect may judge it by itself.
void contradict(Canonical& to, const Place& place, std::string_view what) {
  const std::string path = path_of(place);
  if (!to.only_native) {
    to.only_native = bad_request(400, "invalid_value", path + ": " + std::string(what), path);
  }
}

// The path's model is the one that is asked; a body may repeat it.
void check_model_named(Canonical& to, std::string_view body, const std::string& model) {
  const std::string_view given = field(body, "model");
  if (given.empty()) return;
  std::string named = json::to_text(given).value_or("");
  if (named.starts_with("models/")) named.erase(0, 7);
  if (named != model) {
    refuse(to, Place{nullptr, "model"}, "not the model of the request's path");
  }
}

// An OpenAPI schema as JSON Schema: types in lower case, nullable as a type, numbers as numbers.
void write_schema(json::Writer& json, std::string_view schema);

void write_schemas(json::Writer& json, std::string_view value, bool by_name) {
  json::Cursor cursor(value);
  std::string_view name;
  if (by_name && cursor.object()) {
    json.open_object();
    while (cursor.member(name)) {
      json.key(json::unescape("\"" + std::string(name) + "\""));
      write_schema(json, cursor.value());
    }
    json.close_object();
  } else if (cursor.array()) {
    json.open_array();
    while (cursor.element()) write_schema(json, cursor.value());
    json.close_array();
  } else {
    write_schema(json, value);
  }
}

void write_schema(json::Writer& json, std::string_view schema) {
  json::Cursor cursor(schema);
  std::string_view name;
  if (!cursor.object()) {
    json.raw(schema);
    return;
  }
  const bool nullable = json::is_true(json::find(schema, "nullable"));
  json.open_object();
  while (cursor.member(name)) {
    const std::string_view value = cursor.value();
    if (any_of(name, {"nullable", "propertyOrdering", "property_ordering"})) continue;
    json.key(is(name, "anyOf") ? "anyOf" : json::unescape("\"" + std::string(name) + "\""));
    if (name == "type" && json::type_of(value) == 's') {
      const std::string type = in_lower_case(json::inside(value));
      if (nullable) {
        json.open_array().text(type).text("null").close_array();
      } else {
        json.text(type);
      }
    } else if (any_of(name, {"properties", "$defs", "defs"})) {
      write_schemas(json, value, true);
    } else if (any_of(name, {"items", "anyOf", "any_of", "oneOf", "allOf", "prefixItems",
                             "additionalProperties"})) {
      write_schemas(json, value, false);
    } else if (name.starts_with("min") || name.starts_with("max")) {
      json.raw(json::type_of(value) == 's' ? json::inside(value) : value);
    } else {
      json.raw(value);
    }
  }
  json.close_object();
}

class Translation {
 public:
  Translation(std::string_view body, Canonical& to, bool& shows_thoughts)
      : body_(body), to_(to), shows_thoughts_(shows_thoughts), json_(to.body) {}

  void write(bool stream);

 private:
  struct Turn {
    std::string text, parts, thoughts, calls, details;
    bool plain = true;  // text alone
  };

  void write_contents();
  void write_system();
  void write_content(std::string_view content, const Place& place);
  void write_model_turn(std::string_view parts, const Place& place);
  void take_signature(std::string_view part, bool call, Turn& turn, std::string& extra);
  void take_call(std::string_view call, std::string_view extra, const Place& place, Turn& turn);
  void write_user_turn(std::string_view parts, const Place& place);
  void write_response(std::string_view response, const Place& place);
  bool write_part(json::Writer& json, std::string& text, std::string_view part, const Place& place);
  bool write_inline(json::Writer& json, std::string& text, std::string_view data,
                    const Place& place);
  bool write_file(json::Writer& json, std::string_view file, const Place& place);

  void write_tools();
  void write_functions(std::string_view declarations, const Place& place);
  void write_choice();
  void write_generation();
  void write_format(std::string_view config);
  void write_modalities(std::string_view list, const Place& place);
  void write_thinking(std::string_view config, const Place& place);

  const std::string_view body_;
  Canonical& to_;
  bool& shows_thoughts_;
  json::Writer json_;
  // Calls that wait for their results: id, escaped, and name.
  std::vector<std::pair<std::string, std::string>> pending_;
  std::set<std::string> called_;  // the ids of all
  unsigned call_count_ = 0;
  std::string tools_;
  std::set<std::string_view> functions_;  // the names of those declared
  bool searches_ = false;
};

void Translation::write(bool stream) {
  to_.stream = stream;
  to_.body.reserve(body_.size() + body_.size() / 8);
  json_.open_object().key("model").text(to_.model);
  write_contents();
  if (stream) {
    json_.key("stream").boolean(true);
    json_.key("stream_options").open_object().key("include_usage").boolean(true).close_object();
  }
  write_tools();
  write_choice();
  write_generation();
  json::Cursor cursor(body_);
  std::string_view name;
  cursor.object();
  while (cursor.member(name)) {
    const std::string_view value = cursor.value();
    if (json::is_null(value) || any_of(value, {"[]", "{}", "false", "\"\""})) continue;
    if (is(name, "serviceTier")) {
      json_.key("service_tier").text(in_lower_case(json::inside(value)));
    } else if (is(name, "cachedContent")) {
      refuse(to_, Place{nullptr, "cachedContent"},
             "this gateway keeps no cached content; send it in contents");
    } else if (!is(name, "contents") && !is(name, "systemInstruction") && !is(name, "tools") &&
               !is(name, "toolConfig") && !is(name, "generationConfig") && !is(name, "model")) {
      to_.losses.add(name);
    }
  }
  json_.close_object();
}

// ---- contents ----

void Translation::write_contents() {
  const Place list{nullptr, "contents"};
  json_.key("messages").open_array();
  write_system();
  const std::string_view contents = field(body_, "contents");
  json::Cursor cursor(contents);
  std::int64_t count = 0;
  if (cursor.array()) {
    for (; cursor.element() && !to_.refusal; ++count) {
      const Place here{&list, {}, count};
      write_content(cursor.value(), here);
    }
  } else if (!contents.empty()) {
    refuse(to_, list, "expected an array");
  }
  if (count == 0) refuse(to_, list, "contents is not specified");
  json_.close_array();
}

void Translation::write_system() {
  const std::string_view system = field(body_, "systemInstruction");
  if (system.empty()) return;
  const Place place{nullptr, "systemInstruction"}, list{&place, "parts"};
  std::string text;
  json::Cursor parts(field(system, "parts"));
  if (!parts.array()) return refuse(to_, list, "expected an array");
  for (std::int64_t i = 0; parts.element(); ++i) {
    const std::string_view said = string_of(parts.value(), "text");
    if (said.empty()) {
      to_.losses.add(Place{&list, {}, i});
      continue;
    }
    if (!text.empty()) text += "\\n";
    text += json::inside(said);
  }
  if (text.empty()) return;
  json_.open_object().key("role").text("system").key("content").raw("\"" + text + "\"");
  json_.close_object();
}

void Translation::write_content(std::string_view content, const Place& place) {
  if (json::type_of(content) != 'o') return refuse(to_, place, "expected an object");
  const std::string_view role = json::inside(field(content, "role"));
  const std::string_view parts = field(content, "parts");
  if (!any_of(role, {"", "user", "model", "function"})) {
    return refuse(to_, Place{&place, "role"}, "expected 'user' or 'model'");
  }
  const Place list{&place, "parts"};
  if (json::type_of(parts) != 'a') return refuse(to_, list, "expected an array");
  if (role == "model") {
    write_model_turn(parts, list);
  } else {
    write_user_turn(parts, list);
  }
}

void Translation::write_model_turn(std::string_view parts, const Place& place) {
  Turn turn;
  pending_.clear();
  json::Cursor cursor(parts);
  cursor.array();
  for (std::int64_t i = 0; cursor.element() && !to_.refusal; ++i) {
    const std::string_view part = cursor.value();
    const Place here{&place, {}, i};
    const std::string_view call = field(part, "functionCall");
    const std::string_view text = string_of(part, "text");
    std::string extra;
    take_signature(part, !call.empty(), turn, extra);
    if (!call.empty()) {
      take_call(call, extra, Place{&here, "functionCall"}, turn);
    } else if (!text.empty()) {
      std::string& to = json::is_true(field(part, "thought")) ? turn.thoughts : turn.text;
      to += json::inside(text);
    } else if (string_of(part, "thoughtSignature").empty()) {
      to_.losses.add(here);
    }
  }
  json_.open_object().key("role").text("assistant").key("content");
  json_.raw(turn.text.empty() && !turn.calls.empty() ? "null" : "\"" + turn.text + "\"");
  if (!turn.thoughts.empty()) json_.key("reasoning_content").raw("\"" + turn.thoughts + "\"");
  if (!turn.details.empty()) json_.key("reasoning_details").raw("[" + turn.details + "]");
  if (!turn.calls.empty()) json_.key("tool_calls").raw("[" + turn.calls + "]");
  json_.close_object();
}

void Translation::take_signature(std::string_view part, bool call, Turn& turn, std::string& extra) {
  const std::string_view given = string_of(part, "thoughtSignature");
  if (given.empty()) return;
  const auto own = carried(json::unescape(given));
  if (!own) {
    // Google's own. A call's is for the call; that of a text is not asked back.
    if (call) extra.append(R"({"google":{"thought_signature":)").append(given).append("}}");
    return;
  }
  to_.foreign = true;
  extra = json::find(*own, "extra_content");
  json::Cursor details(json::find(*own, "details"));
  if (!details.array()) return;
  while (details.element()) {
    if (!turn.details.empty()) turn.details += ',';
    turn.details += details.value();
  }
}

void Translation::take_call(std::string_view call, std::string_view extra, const Place& place,
                            Turn& turn) {
  const std::string_view name = string_of(call, "name"), args = field(call, "args");
  if (name.empty()) return refuse(to_, Place{&place, "name"}, "required");
  std::string id(string_of(call, "id"));
  // Older models know no ids.
  if (id.size() < 3) id = "\"call_" + std::to_string(call_count_) + "\"";
  ++call_count_;
  pending_.emplace_back(id, name);
  called_.insert(id);
  if (!turn.calls.empty()) turn.calls += ',';
  json::Writer json(turn.calls);
  json.open_object().key("id").raw(id).key("type").text("function");
  if (!extra.empty()) json.key("extra_content").raw(extra);
  json.key("function").open_object().key("name").raw(name);
  json.key("arguments").text(args.empty() ? "{}" : args).close_object().close_object();
}

void Translation::write_user_turn(std::string_view parts, const Place& place) {
  std::string said;
  json::Writer json(said);
  bool any = false;
  json::Cursor cursor(parts);
  cursor.array();
  json.open_array();
  for (std::int64_t i = 0; cursor.element() && !to_.refusal; ++i) {
    const std::string_view part = cursor.value();
    const Place here{&place, {}, i};
    const std::string_view response = field(part, "functionResponse");
    if (!response.empty()) {
      write_response(response, Place{&here, "functionResponse"});
    } else {
      any |= write_part(json, said, part, here);
    }
  }
  json.close_array();
  if (!any) return;
  json_.open_object().key("role").text("user").key("content").raw(said).close_object();
}

void Translation::write_response(std::string_view response, const Place& place) {
  const std::string_view name = string_of(response, "name");
  std::string id(string_of(response, "id"));
  if (name.empty() && id.empty()) return refuse(to_, Place{&place, "name"}, "required");
  // By its id, else the first call of its name that has no result yet.
  const auto call = std::find_if(pending_.begin(), pending_.end(), [&](const auto& each) {
    return id.size() >= 3 ? each.first == id : each.second == name;
  });
  if (call != pending_.end()) {
    id = call->first;
    pending_.erase(call);
  } else if (id.size() < 3) {
    return refuse(to_, place, "there is no function call of this name before it");
  } else if (!called_.contains(id)) {
    contradict(to_, Place{&place, "id"}, "no function call before it has this id");
  }
  const std::string_view value = field(response, "response");
  const std::string_view fault = field(value, "error");
  std::string_view said = value;
  for (const std::string_view member : {"output", "result", "error"}) {
    const std::string_view inner = json::find(value, member);
    json::Cursor only(value);
    std::string_view first;
    if (inner.empty() || !only.object() || !only.member(first)) continue;
    only.skip();
    if (first == member && !only.member(first)) said = inner;
  }
  std::string text;
  if (json::type_of(said) == 's') {
    text = said;
  } else {
    json::append_string(text, said.empty() ? "{}" : said);
  }
  json_.open_object().key("role").text("tool").key("tool_call_id").raw(id).key("content");
  json::Cursor media(field(response, "parts"));
  if (media.array()) {
    std::string parts;
    json::Writer json(parts);
    json.open_array().open_object().key("type").text("text").key("text").raw(text).close_object();
    const Place list{&place, "parts"};
    for (std::int64_t i = 0; media.element(); ++i) {
      write_part(json, parts, media.value(), Place{&list, {}, i});
    }
    json.close_array();
    json_.raw(parts);
  } else {
    json_.raw(text);
  }
  if (!fault.empty() && said == fault) json_.key("is_error").boolean(true);
  json_.close_object();
}

// False where nothing was written.
bool Translation::write_part(json::Writer& json, std::string& text, std::string_view part,
                             const Place& place) {
  if (json::type_of(part) != 'o') {
    refuse(to_, place, "expected an object");
    return false;
  }
  const std::string_view said = field(part, "text");
  if (json::type_of(said) == 's') {
    json.open_object().key("type").text("text").key("text").raw(said).close_object();
    return true;
  }
  if (!said.empty()) {
    refuse(to_, Place{&place, "text"}, "expected a string");
    return false;
  }
  const std::string_view data = field(part, "inlineData"), file = field(part, "fileData");
  if (!data.empty()) return write_inline(json, text, data, Place{&place, "inlineData"});
  if (!file.empty()) return write_file(json, file, place);
  to_.losses.add(place);
  return false;
}

bool Translation::write_inline(json::Writer& json, std::string& text, std::string_view data,
                               const Place& place) {
  const std::string_view mime = json::inside(string_of(data, "mimeType"));
  std::string bytes(json::inside(string_of(data, "data")));
  if (mime.empty() || bytes.empty()) {
    refuse(to_, Place{&place, mime.empty() ? "mimeType" : "data"}, "required");
    return false;
  }
  // Some clients write it in the alphabet of URLs.
  std::replace(bytes.begin(), bytes.end(), '-', '+');
  std::replace(bytes.begin(), bytes.end(), '_', '/');
  const auto put_url = [&] {
    json.raw("\"data:");
    text.append(mime).append(";base64,").append(bytes).append("\"");
  };
  if (mime.starts_with("image/")) {
    json.open_object().key("type").text("image_url").key("image_url").open_object().key("url");
    put_url();
  } else if (any_of(mime, {"audio/wav", "audio/x-wav", "audio/mp3", "audio/mpeg"})) {
    json.open_object().key("type").text("input_audio").key("input_audio").open_object();
    json.key("data").raw("\"" + bytes + "\"");
    json.key("format").text(mime.ends_with("wav") ? "wav" : "mp3");
  } else {
    json.open_object().key("type").text("file").key("file").open_object().key("file_data");
    put_url();
    const std::string_view name = string_of(data, "displayName");
    json.key("filename").raw(name.empty() ? "\"file\"" : name);
  }
  json.close_object().close_object();
  return true;
}

// Only pictures have an address there.
bool Translation::write_file(json::Writer& json, std::string_view file, const Place& place) {
  const std::string_view uri = string_of(file, "fileUri");
  const bool web = json::inside(uri).starts_with("http") &&
                   json::inside(string_of(file, "mimeType")).starts_with("image/");
  if (!web) {
    to_.losses.add(place);
    return false;
  }
  json.open_object().key("type").text("image_url").key("image_url").open_object();
  json.key("url").raw(uri).close_object().close_object();
  return true;
}

// ---- tools and settings ----

void Translation::write_tools() {
  const Place list{nullptr, "tools"};
  const std::string_view tools = field(body_, "tools");
  json::Cursor cursor(tools);
  if (!tools.empty() && !cursor.array()) return refuse(to_, list, "expected an array");
  if (tools.empty()) return;
  for (std::int64_t i = 0; cursor.element() && !to_.refusal; ++i) {
    const Place here{&list, {}, i};
    json::Cursor tool(cursor.value());
    std::string_view name;
    if (!tool.object()) return refuse(to_, here, "expected an object");
    while (tool.member(name)) {
      const std::string_view value = tool.value();
      if (json::is_null(value)) continue;
      if (is(name, "functionDeclarations")) {
        write_functions(value, Place{&here, "functionDeclarations"});
      } else if (is(name, "googleSearch") || is(name, "googleSearchRetrieval")) {
        searches_ = true;
        if (value != "{}") to_.losses.add(here, name);
      } else {
        refuse(to_, Place{&here, name},
               "this gateway passes on functionDeclarations and googleSearch");
      }
    }
  }
  if (!tools_.empty()) json_.key("tools").raw("[" + tools_ + "]");
  if (searches_) json_.key("web_search_options").open_object().close_object();
}

void Translation::write_functions(std::string_view declarations, const Place& place) {
  json::Cursor cursor(declarations);
  if (!cursor.array()) return refuse(to_, place, "expected an array");
  for (std::int64_t i = 0; cursor.element(); ++i) {
    const std::string_view function = cursor.value();
    const Place here{&place, {}, i};
    const std::string_view name = string_of(function, "name");
    if (name.empty()) return refuse(to_, Place{&here, "name"}, "required");
    functions_.insert(name);
    if (!tools_.empty()) tools_ += ',';
    json::Writer json(tools_);
    json.open_object().key("type").text("function").key("function").open_object();
    json.key("name").raw(name);
    const std::string_view description = string_of(function, "description");
    if (!description.empty()) json.key("description").raw(description);
    const std::string_view schema = field(function, "parametersJsonSchema");
    const std::string_view open_api = field(function, "parameters");
    if (!schema.empty()) {
      json.key("parameters").raw(schema);
    } else if (!open_api.empty()) {
      json.key("parameters");
      write_schema(json, open_api);
    }
    json.close_object().close_object();
    for (const std::string_view other : {"response", "responseJsonSchema", "behavior"}) {
      if (!field(function, other).empty()) to_.losses.add(here, other);
    }
  }
}

void Translation::write_choice() {
  const Place place{nullptr, "toolConfig"}, inner{&place, "functionCallingConfig"};
  const std::string_view config = field(field(body_, "toolConfig"), "functionCallingConfig");
  const std::string mode = in_lower_case(json::inside(field(config, "mode")));
  if (config.empty() || mode.empty() || mode == "mode_unspecified") return;
  if (!any_of(mode, {"auto", "none", "any", "validated"})) {
    return refuse(to_, Place{&inner, "mode"}, "expected AUTO, ANY, NONE or VALIDATED");
  }
  std::string names, only;
  unsigned count = 0;
  json::Cursor cursor(field(config, "allowedFunctionNames"));
  if (cursor.array()) {
    const Place list{&inner, "allowedFunctionNames"};
    for (; cursor.element(); ++count) {
      const std::string_view name = cursor.value();
      if (!functions_.contains(name)) {
        contradict(to_, Place{&list, {}, count}, "no function of this name is declared");
      }
      only = R"({"type":"function","function":{"name":)" + std::string(name) + "}}";
      if (!names.empty()) names += ',';
      names += only;
    }
  }
  const bool any = mode == "any";
  json_.key("tool_choice");
  if (count == 1 && any) {
    json_.raw(only);
  } else if (count > 0 && mode != "none") {
    json_.open_object().key("type").text("allowed_tools").key("allowed_tools").open_object();
    json_.key("mode").text(any ? "required" : "auto").key("tools").raw("[" + names + "]");
    json_.close_object().close_object();
  } else {
    json_.text(any ? "required" : mode == "none" ? "none" : "auto");
  }
}

void Translation::write_generation() {
  static constexpr std::pair<std::string_view, std::string_view> kSame[] = {
      {"temperature", "temperature"},
      {"topP", "top_p"},
      {"topK", "top_k"},
      {"candidateCount", "n"},
      {"maxOutputTokens", "max_completion_tokens"},
      {"stopSequences", "stop"},
      {"seed", "seed"},
      {"presencePenalty", "presence_penalty"},
      {"frequencyPenalty", "frequency_penalty"},
      {"responseLogprobs", "logprobs"},
      {"logprobs", "top_logprobs"},
  };
  const Place place{nullptr, "generationConfig"};
  const std::string_view config = field(body_, "generationConfig");
  json::Cursor cursor(config);
  std::string_view name;
  if (!config.empty() && !cursor.object()) return refuse(to_, place, "expected an object");
  if (config.empty()) return;
  while (cursor.member(name)) {
    const std::string_view value = cursor.value();
    if (json::is_null(value)) continue;
    const auto same = std::find_if(std::begin(kSame), std::end(kSame),
                                   [name](const auto& each) { return is(name, each.first); });
    if (same != std::end(kSame)) {
      const char type = json::type_of(value);
      const bool fits = same->second == "stop"       ? type == 'a'
                        : same->second == "logprobs" ? type == 't' || type == 'f'
                                                     : type == 'n';
      if (!fits) return refuse(to_, Place{&place, name}, "of the wrong type");
      if (same->second != "n" || value != "1") json_.key(same->second).raw(value);
    } else if (is(name, "thinkingConfig")) {
      write_thinking(value, Place{&place, "thinkingConfig"});
    } else if (is(name, "responseModalities")) {
      write_modalities(value, Place{&place, "responseModalities"});
    } else if (!is(name, "responseMimeType") && !is(name, "responseSchema") &&
               !is(name, "responseJsonSchema")) {
      to_.losses.add(place, name);
    }
  }
  write_format(config);
}

void Translation::write_format(std::string_view config) {
  const std::string_view mime = json::inside(field(config, "responseMimeType"));
  const std::string_view schema = field(config, "responseJsonSchema");
  const std::string_view open_api = field(config, "responseSchema");
  const Place place{nullptr, "generationConfig"};
  if (mime.empty() || mime == "text/plain") return;
  if (mime != "application/json") return to_.losses.add(place, "responseMimeType");
  json_.key("response_format").open_object().key("type");
  if (schema.empty() && open_api.empty()) {
    json_.text("json_object").close_object();
    return;
  }
  json_.text("json_schema").key("json_schema").open_object().key("name").text("answer");
  json_.key("schema");
  if (schema.empty()) {
    write_schema(json_, open_api);
  } else {
    json_.raw(schema);
  }
  json_.close_object().close_object();
}

void Translation::write_modalities(std::string_view list, const Place& place) {
  std::string names;
  bool more = false;
  json::Cursor cursor(list);
  if (!cursor.array()) return refuse(to_, place, "expected an array");
  while (cursor.element()) {
    const std::string name = in_lower_case(json::inside(cursor.value()));
    more |= name != "text";
    if (!names.empty()) names += ',';
    names += json::quoted(name);
  }
  if (more) json_.key("modalities").raw("[" + names + "]");
}

void Translation::write_thinking(std::string_view config, const Place& place) {
  shows_thoughts_ = json::is_true(field(config, "includeThoughts"));
  const std::string level = in_lower_case(json::inside(field(config, "thinkingLevel")));
  const std::string_view given = field(config, "thinkingBudget");
  const auto budget = json::to_integer(given);
  if (!given.empty() && !budget) {
    return refuse(to_, Place{&place, "thinkingBudget"}, "expected an integer");
  }
  if (!level.empty() && level != "thinking_level_unspecified") {
    json_.key("reasoning_effort").text(level);
  } else if (budget && *budget > 0) {
    json_.key("reasoning_effort")
        .text(*budget <= 4096    ? "low"
              : *budget <= 16384 ? "medium"
                                 : "high");
  }
  if (!budget) return;
  json_.key("reasoning").open_object();
  if (*budget > 0) {
    json_.key("max_tokens").integer(*budget);
  } else {
    json_.key("enabled").boolean(*budget != 0);
  }
  json_.close_object();
}

}  // namespace

Canonical from_generate_content(const JsonIndex& body, const std::string& model, bool stream,
                                bool& shows_thoughts) {
  Canonical canonical;
  canonical.model = model;
  check_model_named(canonical, body.text(), model);
  if (!canonical.refusal) Translation(body.text(), canonical, shows_thoughts).write(stream);
  return canonical;
}

Canonical from_embed_content(const JsonIndex& body, const std::string& model, bool batch) {
  Canonical canonical;
  canonical.model = model;
  const Place list{nullptr, "requests"};
  std::string dimensions, inputs;
  const auto take = [&](std::string_view request, const Place& place) {
    check_model_named(canonical, request, model);
    const Place content{&place, "content"};
    std::string text;
    json::Cursor parts(field(field(request, "content"), "parts"));
    if (!parts.array()) return refuse(canonical, content, "required");
    const Place all{&content, "parts"};
    for (std::int64_t i = 0; parts.element(); ++i) {
      const std::string_view said = string_of(parts.value(), "text");
      if (said.empty()) return refuse(canonical, Place{&all, {}, i}, "only text is embedded here");
      text += json::inside(said);
    }
    if (!inputs.empty()) inputs += ',';
    inputs += "\"" + text + "\"";
    const std::string_view size = field(request, "outputDimensionality");
    if (!size.empty()) dimensions = size;
    for (const std::string_view name : {"taskType", "title"}) {
      if (!field(request, name).empty()) canonical.losses.add(place, name);
    }
  };
  if (batch) {
    json::Cursor requests(field(body.text(), "requests"));
    if (!requests.array()) refuse(canonical, list, "required");
    for (std::int64_t i = 0; !canonical.refusal && requests.element(); ++i) {
      const Place here{&list, {}, i};
      take(requests.value(), here);
    }
    if (inputs.empty()) refuse(canonical, list, "at least one is required");
  } else {
    take(body.text(), Place{});
  }
  json::Writer writer(canonical.body);
  writer.open_object().key("model").text(model).key("input");
  writer.raw("[" + inputs + "]").key("encoding_format").text("float");
  if (!dimensions.empty()) writer.key("dimensions").raw(dimensions);
  writer.close_object();
  return canonical;
}

}  // namespace switchyard::surface
