#include "core/surface/responses_request.hpp"

#include <algorithm>
#include <unordered_map>
#include <unordered_set>

#include "core/surface/carried.hpp"
#include "core/surface/openai_error.hpp"
#include "core/surface/request_members.hpp"

namespace switchyard::surface {

namespace json = swy::json;
using swy::Place;

namespace {

constexpr MemberRule kRules[] = {
    {"model", "s", "a string"},
    {"input", "sa", "a string or an array"},
    {"instructions", "s", "a string"},
    {"stream", "b", "a boolean"},
    {"tools", "a", "an array"},
    {"tool_choice", "so", "a string or an object"},
    {"text", "o", "an object"},
    {"reasoning", "o", "an object"},
    {"include", "a", "an array"},
    {"metadata", "o", "an object"},
    {"max_output_tokens", "n", "an integer"},
    {"temperature", "n", "a number"},
    {"top_p", "n", "a number"},
    {"top_logprobs", "n", "an integer"},
    {"store", "b", "a boolean"},
    {"background", "b", "a boolean"},
    {"parallel_tool_calls", "b", "a boolean"},
    {"previous_response_id", "s", "a string"},
};

// Of the same name and meaning in chat.
constexpr std::string_view kSame[] = {"temperature",          "top_p",       "parallel_tool_calls",
                                      "safety_identifier",    "user",        "prompt_cache_key",
                                      "prompt_cache_options", "service_tier"};

std::string_view string_of(std::string_view object, std::string_view name) {
  const std::string_view value = json::find(object, name);
  return json::type_of(value) == 's' ? value : std::string_view();
}

class Translation {
 public:
  Translation(const JsonIndex& body, const StoredAs* stored, Canonical& to, std::string& echo)
      : body_(body), stored_(stored), to_(to), echo_(echo), json_(to.body) {}

  void write();

 private:
  bool is_stored() const { return stored_ != nullptr && !stored_->id.empty(); }
  std::string_view value(std::string_view name) const {
    const swy_member* const member = body_.find(name);
    return member == nullptr ? std::string_view() : body_.value(*member);
  }
  bool has(std::string_view name) const { return !json::is_null(value(name)); }
  void refuse(const Place& place, std::string_view code, std::string message);
  // The same where no provider of the dialect serves the request.
  void keep_native(const Place& place, std::string message);
  void contradict(const Place& place, std::string message);
  void missing(const Place& place);
  void invalid(const Place& place, std::string_view expected);
  bool check();
  void refuse_unoffered();
  void note_rest();
  void write_echo();

  void write_input();
  void take_item(std::string_view item, const Place& place);
  void take_message(std::string_view item, const Place& place);
  void take_reasoning(std::string_view item);
  void take_call(std::string_view item, const Place& place, bool custom);
  void take_output(std::string_view item, const Place& place);
  void flush_turn();
  void write_content(std::string_view content, const Place& place);
  void write_part(std::string_view part, const Place& place);
  void write_file(std::string_view part, const Place& place, std::string_view wanted);

  void write_tools();
  void write_tool(std::string_view tool, const Place& place);
  void write_choice();
  void write_named(std::string_view tool, std::string_view kind);
  void write_text();
  void write_reasoning();
  void write_include();

  const JsonIndex& body_;
  const StoredAs* const stored_;
  Canonical& to_;
  std::string& echo_;
  json::Writer json_;
  // The assistant's turn that is being put together.
  std::string turn_content_, turn_calls_, turn_details_, turn_reasoning_;
  bool turn_open_ = false;
  std::unordered_map<std::string, std::string> extras_;  // of calls, by their ids
  std::unordered_set<std::string> calls_;                // the ids of all
  std::string web_search_;                               // options, or empty
};

void Translation::refuse(const Place& place, std::string_view code, std::string message) {
  if (!to_.refusal) {
    to_.refusal = bad_request(400, std::string(code), std::move(message), path_of(place));
  }
}

void Translation::keep_native(const Place& place, std::string message) {
  if (to_.only_native) return;
  to_.only_native = bad_request(400, "unsupported_parameter", std::move(message), path_of(place));
}

// What no upstream can make sense of; a provider of the dialect may judge it by itself.
void Translation::contradict(const Place& place, std::string message) {
  if (to_.only_native) return;
  to_.only_native = bad_request(400, "invalid_value", std::move(message), path_of(place));
}

void Translation::missing(const Place& place) {
  refuse(place, "missing_required_parameter",
         "Missing required parameter: '" + path_of(place) + "'.");
}

void Translation::invalid(const Place& place, std::string_view expected) {
  refuse(place, "invalid_value",
         "Invalid value for '" + path_of(place) + "': expected " + std::string(expected) + ".");
}

bool Translation::check() {
  for (const MemberRule& rule : kRules) {
    const std::string_view given = value(rule.name);
    if (json::is_null(given)) continue;
    if (!rule.allows(given)) {
      refuse(Place{nullptr, rule.name}, "invalid_type",
             "Invalid type for '" + std::string(rule.name) + "': expected " + rule.expected + ".");
    }
  }
  for (const std::string_view name : {"model", "input"}) {
    const bool none = !has(name) || (value(name) == "[]" && !has("instructions"));
    if (none) missing(Place{nullptr, name});
  }
  for (const std::string_view name : {"max_output_tokens", "top_logprobs"}) {
    const std::int64_t least = name == "max_output_tokens" ? 1 : 0;
    if (!has(name) || json::to_integer(value(name)).value_or(-1) >= least) continue;
    invalid(Place{nullptr, name}, "an integer of " + std::to_string(least) + " or more");
  }
  refuse_unoffered();
  return !to_.refusal;
}

void Translation::refuse_unoffered() {
  if (has("conversation")) {
    refuse(Place{nullptr, "conversation"}, "unsupported_parameter",
           "Unsupported parameter: 'conversation'. Go on from an answer with "
           "'previous_response_id', or send the whole conversation in 'input'.");
  }
  if (json::is_true(value("background"))) {
    refuse(Place{nullptr, "background"}, "unsupported_parameter",
           "Unsupported parameter: 'background'. It is for responses alone.");
  }
  if (has("prompt")) {
    keep_native(
        Place{nullptr, "prompt"},
        "Unsupported parameter: 'prompt'. Send the prompt's text in 'instructions' and 'input'.");
  }
}

void Translation::write() {
  if (!check()) return;
  to_.model = json::unescape(value("model"));
  to_.stream = json::is_true(value("stream"));
  to_.body.reserve(body_.text().size() + body_.text().size() / 8);
  json_.open_object();
  json_.key("model").raw(value("model"));
  write_input();
  if (has("max_output_tokens")) json_.key("max_completion_tokens").raw(value("max_output_tokens"));
  if (to_.stream) {
    json_.key("stream").boolean(true);
    json_.key("stream_options").open_object().key("include_usage").boolean(true).close_object();
  }
  for (const std::string_view name : kSame) {
    if (has(name)) json_.key(name).raw(value(name));
  }
  write_tools();
  write_choice();
  write_text();
  write_reasoning();
  write_include();
  if (!web_search_.empty()) json_.key("web_search_options").raw(web_search_);
  json_.close_object();
  note_rest();
  write_echo();
}

void Translation::note_rest() {
  for (const swy_member& member : body_.members()) {
    const std::string_view name = view(member.name), given = body_.value(member);
    const bool read = std::any_of(std::begin(kRules), std::end(kRules),
                                  [name](const MemberRule& rule) { return rule.name == name; }) ||
                      std::find(std::begin(kSame), std::end(kSame), name) != std::end(kSame) ||
                      any_of(name, {"stream_options", "prompt", "conversation"});
    const bool nothing =
        json::is_null(given) || any_of(given, {"false", "[]", "{}", "\"\"", "\"disabled\""});
    if (!read && !nothing) to_.losses.add(name);
  }
  // It is the default, and asks for something only where it is said.
  if (json::is_true(value("store")) && !is_stored()) to_.losses.add("store");
}

void Translation::write_echo() {
  json::Writer writer(echo_);
  const auto put = [&](std::string_view name, std::string_view otherwise) {
    writer.key(name).raw(has(name) ? value(name) : otherwise);
  };
  for (const std::string_view name :
       {"instructions", "max_output_tokens", "prompt_cache_key", "safety_identifier", "user"}) {
    put(name, "null");
  }
  put("temperature", "1");
  put("top_p", "1");
  put("top_logprobs", "0");
  put("parallel_tool_calls", "true");
  put("tool_choice", "\"auto\"");
  put("tools", "[]");
  put("metadata", "{}");
  put("reasoning", R"({"effort":null,"summary":null})");
  put("text", R"({"format":{"type":"text"}})");
  put("service_tier", "\"default\"");
  writer.key("max_tool_calls").null().key("previous_response_id");
  if (stored_ != nullptr && !stored_->previous.empty()) {
    writer.text(stored_->previous);
  } else {
    writer.null();
  }
  writer.key("background")
      .boolean(stored_ != nullptr && stored_->background)
      .key("store")
      .boolean(is_stored());
  writer.key("truncation").text("disabled");
  echo_ += ',';
}

// ---- input ----

void Translation::write_input() {
  json_.key("messages").open_array();
  if (has("instructions") && value("instructions") != "\"\"") {
    json_.open_object().key("role").text("system").key("content").raw(value("instructions"));
    json_.close_object();
  }
  const std::string_view input = value("input");
  if (json::type_of(input) == 's') {
    json_.open_object().key("role").text("user").key("content").raw(input).close_object();
  }
  const Place list{nullptr, "input"};
  json::Cursor cursor(input);
  if (cursor.array()) {
    for (std::int64_t i = 0; cursor.element() && !to_.refusal; ++i) {
      const Place here{&list, {}, i};
      take_item(cursor.value(), here);
    }
  }
  flush_turn();
  json_.close_array();
}

void Translation::take_item(std::string_view item, const Place& place) {
  if (json::type_of(item) != 'o') return invalid(place, "an object");
  const std::string_view type = json::inside(json::find(item, "type"));
  if (type.empty() || type == "message") return take_message(item, place);
  if (type == "reasoning") return take_reasoning(item);
  if (type == "function_call" || type == "custom_tool_call") {
    return take_call(item, place, type == "custom_tool_call");
  }
  if (type == "function_call_output" || type == "custom_tool_call_output") {
    return take_output(item, place);
  }
  if (type == "item_reference") {
    return refuse(place, "unsupported_parameter",
                  "Unsupported item: 'item_reference'. Send the item itself, or go on from an "
                  "answer with 'previous_response_id'.");
  }
  to_.losses.add(place);
}

void Translation::take_message(std::string_view item, const Place& place) {
  const std::string_view role = json::inside(json::find(item, "role"));
  const std::string_view content = json::find(item, "content");
  const Place inner{&place, "content"};
  if (role.empty()) return missing(Place{&place, "role"});
  if (!any_of(role, {"user", "assistant", "system", "developer"})) {
    return invalid(Place{&place, "role"}, "'user', 'assistant', 'system' or 'developer'");
  }
  if (json::is_null(content)) return missing(inner);
  if (json::type_of(content) != 's' && json::type_of(content) != 'a') {
    return invalid(inner, "a string or an array");
  }
  if (role != "assistant") {
    flush_turn();
    json_.open_object().key("role").text(role).key("content");
    write_content(content, inner);
    json_.close_object();
    return;
  }
  if (!turn_content_.empty() || !turn_calls_.empty()) flush_turn();
  turn_open_ = true;
  if (json::type_of(content) == 's') {
    turn_content_ = content;
    return;
  }
  // Text goes as one string, which every upstream takes.
  std::string text;
  json::Cursor parts(content);
  parts.array();
  for (std::int64_t i = 0; parts.element(); ++i) {
    const std::string_view part = parts.value();
    std::string_view said = string_of(part, "text");
    if (said.empty()) said = string_of(part, "refusal");
    if (said.empty()) {
      to_.losses.add(Place{&inner, {}, i});
    } else {
      text += json::inside(said);
    }
  }
  turn_content_ = "\"" + text + "\"";
}

void Translation::take_reasoning(std::string_view item) {
  // Of a conversation that was stored here nobody knows who has the rest of it.
  const bool bare = json::is_null(json::find(item, "encrypted_content"));
  if (bare && stored_ != nullptr && !stored_->previous.empty()) to_.foreign = true;
  if (!turn_content_.empty() && turn_calls_.empty()) flush_turn();
  const std::string_view sealed = string_of(item, "encrypted_content");
  const auto own = carried(json::to_text(sealed).value_or(""));
  if (own) {
    to_.foreign = true;
    const std::string_view extra = json::find(*own, "extra_content");
    if (!extra.empty()) {
      extras_[json::to_text(json::find(*own, "call")).value_or("")] = extra;
      return;
    }
    const std::string_view details = json::find(*own, "details");
    json::Cursor cursor(details);
    if (cursor.array()) {
      turn_open_ = true;
      while (cursor.element()) {
        if (!turn_details_.empty()) turn_details_ += ',';
        turn_details_ += cursor.value();
      }
    }
  } else if (!sealed.empty()) {
    // Of a vendor whose blocks no provider knows: they say so themselves.
    turn_open_ = true;
    if (!turn_details_.empty()) turn_details_ += ',';
    turn_details_ +=
        R"({"index":0,"type":"reasoning.encrypted","format":"openai-responses-v1","data":)";
    turn_details_.append(sealed).append("}");
  }
  for (const std::string_view name : {"summary", "content"}) {
    json::Cursor cursor(json::find(item, name));
    if (!cursor.array()) continue;
    while (cursor.element()) {
      const std::string_view text = string_of(cursor.value(), "text");
      if (!text.empty()) turn_open_ = true;
      turn_reasoning_ += json::inside(text);
    }
  }
}

void Translation::take_call(std::string_view item, const Place& place, bool custom) {
  const std::string_view id = string_of(item, "call_id"), name = string_of(item, "name");
  const std::string_view input = string_of(item, custom ? "input" : "arguments");
  if (id.empty()) return missing(Place{&place, "call_id"});
  if (name.empty()) return missing(Place{&place, "name"});
  turn_open_ = true;
  calls_.insert(json::unescape(id));
  if (!turn_calls_.empty()) turn_calls_ += ',';
  json::Writer call(turn_calls_);
  call.open_object().key("id").raw(id).key("type").text(custom ? "custom" : "function");
  const auto extra = extras_.find(json::unescape(id));
  if (extra != extras_.end()) call.key("extra_content").raw(extra->second);
  call.key(custom ? "custom" : "function").open_object().key("name").raw(name);
  call.key(custom ? "input" : "arguments").raw(input.empty() ? "\"\"" : input);
  call.close_object().close_object();
}

void Translation::take_output(std::string_view item, const Place& place) {
  const std::string_view id = string_of(item, "call_id");
  const std::string_view output = json::find(item, "output");
  if (id.empty()) return missing(Place{&place, "call_id"});
  if (!calls_.contains(json::unescape(id))) {
    return refuse(Place{&place, "call_id"}, "invalid_value",
                  "No call before it has the id '" + json::unescape(id) + "'.");
  }
  flush_turn();
  json_.open_object().key("role").text("tool").key("tool_call_id").raw(id).key("content");
  const Place inner{&place, "output"};
  if (json::type_of(output) == 's' || json::type_of(output) == 'a') {
    write_content(output, inner);
  } else {
    missing(inner);
  }
  json_.close_object();
}

void Translation::flush_turn() {
  if (!turn_open_) return;
  json_.open_object().key("role").text("assistant").key("content");
  if (turn_content_.empty()) {
    json_.raw(turn_calls_.empty() ? "\"\"" : "null");
  } else {
    json_.raw(turn_content_);
  }
  if (!turn_reasoning_.empty()) json_.key("reasoning_content").raw("\"" + turn_reasoning_ + "\"");
  if (!turn_details_.empty()) json_.key("reasoning_details").raw("[" + turn_details_ + "]");
  if (!turn_calls_.empty()) json_.key("tool_calls").raw("[" + turn_calls_ + "]");
  json_.close_object();
  turn_open_ = false;
  for (std::string* part : {&turn_content_, &turn_calls_, &turn_details_, &turn_reasoning_}) {
    part->clear();
  }
}

void Translation::write_content(std::string_view content, const Place& place) {
  if (json::type_of(content) == 's') {
    json_.raw(content);
    return;
  }
  json_.open_array();
  json::Cursor cursor(content);
  cursor.array();
  for (std::int64_t i = 0; cursor.element() && !to_.refusal; ++i) {
    const Place here{&place, {}, i};
    write_part(cursor.value(), here);
  }
  json_.close_array();
}

void Translation::write_part(std::string_view part, const Place& place) {
  const std::string_view type = json::inside(json::find(part, "type"));
  const std::string_view mark = json::find(part, "prompt_cache_breakpoint");
  if (any_of(type, {"input_text", "output_text", "text"})) {
    const std::string_view text = string_of(part, "text");
    if (text.empty()) return missing(Place{&place, "text"});
    json_.open_object().key("type").text("text").key("text").raw(text);
  } else if (type == "input_image") {
    const std::string_view url = string_of(part, "image_url");
    if (url.empty()) return write_file(part, place, "image_url");
    json_.open_object().key("type").text("image_url").key("image_url").open_object();
    json_.key("url").raw(url);
    const std::string_view detail = string_of(part, "detail");
    if (!detail.empty()) json_.key("detail").raw(detail);
    json_.close_object();
  } else if (type == "input_file") {
    return write_file(part, place, "file_data");
  } else if (type == "input_audio") {
    const std::string_view audio = json::find(part, "input_audio");
    if (json::type_of(audio) != 'o') return missing(Place{&place, "input_audio"});
    json_.open_object().key("type").text("input_audio").key("input_audio").raw(audio);
  } else if (type.empty()) {
    return missing(Place{&place, "type"});
  } else {
    return to_.losses.add(place);
  }
  if (!json::is_null(mark)) json_.key("prompt_cache_breakpoint").raw(mark);
  json_.close_object();
}

void Translation::write_file(std::string_view part, const Place& place, std::string_view wanted) {
  const std::string_view id = string_of(part, "file_id"), data = string_of(part, "file_data");
  const std::string_view name = string_of(part, "filename");
  if (id.empty() && data.empty()) {
    // No canonical part is a file at an address.
    if (!string_of(part, "file_url").empty()) return to_.losses.add(place);
    return missing(Place{&place, wanted});
  }
  json_.open_object().key("type").text("file").key("file").open_object();
  if (!id.empty()) json_.key("file_id").raw(id);
  if (!data.empty()) json_.key("file_data").raw(data);
  if (!name.empty()) json_.key("filename").raw(name);
  json_.close_object().close_object();
}

// ---- tools and settings ----

void Translation::write_tools() {
  if (!has("tools")) return;
  const Place list{nullptr, "tools"};
  std::string tools;
  std::swap(tools, to_.body);
  json_.open_array();  // apart, since a search is no tool there
  json::Cursor cursor(value("tools"));
  cursor.array();
  for (std::int64_t i = 0; cursor.element() && !to_.refusal; ++i) {
    const Place here{&list, {}, i};
    write_tool(cursor.value(), here);
  }
  json_.close_array();
  std::swap(tools, to_.body);
  if (tools.starts_with(',')) tools.erase(0, 1);
  if (tools != "[]") to_.body += ",\"tools\":" + tools;
}

void Translation::write_tool(std::string_view tool, const Place& place) {
  const std::string_view type = json::inside(json::find(tool, "type"));
  if (type == "web_search" || type.starts_with("web_search_preview")) {
    web_search_.clear();
    json::Writer writer(web_search_);
    writer.open_object();
    const std::string_view size = string_of(tool, "search_context_size");
    if (!size.empty()) writer.key("search_context_size").raw(size);
    const std::string_view where = json::find(tool, "user_location");
    if (json::type_of(where) == 'o') {
      writer.key("user_location").open_object().key("type").text("approximate");
      writer.key("approximate").open_object();
      for (const std::string_view name : {"city", "country", "region", "timezone"}) {
        const std::string_view given = string_of(where, name);
        if (!given.empty()) writer.key(name).raw(given);
      }
      writer.close_object().close_object();
    }
    writer.close_object();
    if (!json::is_null(json::find(tool, "filters"))) to_.losses.add(place, "filters");
    return;
  }
  const bool custom = type == "custom";
  if (type != "function" && !custom) {
    return keep_native(Place{&place, "type"},
                       "Unsupported tool: '" + std::string(type) +
                           "'. The model that is asked takes 'function', 'custom' and "
                           "'web_search'.");
  }
  if (string_of(tool, "name").empty()) return missing(Place{&place, "name"});
  json_.open_object().key("type").text(type).key(type).open_object();
  json::Cursor cursor(tool);
  std::string_view member;
  cursor.object();
  while (cursor.member(member)) {
    const std::string_view given = cursor.value();
    if (json::is_null(given) || json::same(member, "type")) continue;
    if (custom && json::same(member, "format") &&
        json::inside(json::find(given, "type")) == "grammar") {
      json_.key("format").open_object().key("type").text("grammar").key("grammar").open_object();
      for (const std::string_view name : {"syntax", "definition"}) {
        const std::string_view part = json::find(given, name);
        if (!part.empty()) json_.key(name).raw(part);
      }
      json_.close_object().close_object();
    } else if (any_of(member, {"name", "description", "parameters", "strict", "format"})) {
      json_.key(member).raw(given);
    } else {
      to_.losses.add(place, member);
    }
  }
  json_.close_object().close_object();
}

// {"type":"function","function":{"name"}}
void Translation::write_named(std::string_view tool, std::string_view kind) {
  json_.open_object().key("type").text(kind).key(kind).open_object();
  json_.key("name").raw(string_of(tool, "name")).close_object().close_object();
}

void Translation::write_choice() {
  if (!has("tool_choice")) return;
  const Place place{nullptr, "tool_choice"};
  const std::string_view choice = value("tool_choice");
  const bool forced = !any_of(json::inside(choice), {"auto", "none"});
  // A stored prompt may have tools.
  if (forced && !has("prompt") && (!has("tools") || value("tools") == "[]")) {
    return refuse(
        place, "invalid_value",
        "Invalid value for 'tool_choice': a tool is only called where there are 'tools'.");
  }
  if (json::type_of(choice) == 's') {
    if (!any_of(json::inside(choice), {"auto", "none", "required"})) {
      return invalid(place, "'auto', 'none', 'required' or an object");
    }
    json_.key("tool_choice").raw(choice);
    return;
  }
  const std::string_view type = json::inside(json::find(choice, "type"));
  if (type == "function" || type == "custom") {
    const std::string_view name = string_of(choice, "name");
    if (name.empty()) return missing(Place{&place, "name"});
    if (!has("prompt") && !offers_tool(value("tools"), name)) {
      contradict(Place{&place, "name"},
                 "Tool choice '" + json::unescape(name) + "' not found in 'tools'.");
    }
    json_.key("tool_choice");
    write_named(choice, type);
  } else if (type == "allowed_tools") {
    json_.key("tool_choice").open_object().key("type").text(type).key(type).open_object();
    const std::string_view mode = string_of(choice, "mode");
    json_.key("mode").raw(mode.empty() ? "\"auto\"" : mode).key("tools").open_array();
    json::Cursor cursor(json::find(choice, "tools"));
    const Place list{&place, "tools"};
    if (cursor.array()) {
      for (std::int64_t i = 0; cursor.element(); ++i) {
        const std::string_view tool = cursor.value();
        const std::string_view kind = json::inside(json::find(tool, "type"));
        if (any_of(kind, {"function", "custom"}) && !string_of(tool, "name").empty()) {
          write_named(tool, kind);
        } else {
          to_.losses.add(Place{&list, {}, i});
        }
      }
    }
    json_.close_array().close_object().close_object();
  } else {
    to_.losses.add("tool_choice");
  }
}

void Translation::write_text() {
  const std::string_view text = value("text");
  const std::string_view format = json::find(text, "format");
  const std::string_view type = json::inside(json::find(format, "type"));
  const std::string_view verbosity = string_of(text, "verbosity");
  if (!verbosity.empty()) json_.key("verbosity").raw(verbosity);
  if (type.empty() || type == "text") return;
  const Place place{nullptr, "text"}, inner{&place, "format"};
  json_.key("response_format").open_object().key("type").text(type);
  if (type == "json_schema") {
    if (string_of(format, "name").empty()) return missing(Place{&inner, "name"});
    if (json::type_of(json::find(format, "schema")) != 'o') return missing(Place{&inner, "schema"});
    json_.key(type).open_object();
    for (const std::string_view name : {"name", "description", "strict", "schema"}) {
      const std::string_view given = json::find(format, name);
      if (!json::is_null(given)) json_.key(name).raw(given);
    }
    json_.close_object();
  } else if (type != "json_object") {
    return invalid(Place{&inner, "type"}, "'text', 'json_object' or 'json_schema'");
  }
  json_.close_object();
}

void Translation::write_reasoning() {
  const Place place{nullptr, "reasoning"};
  json::Cursor cursor(value("reasoning"));
  std::string_view member;
  if (!cursor.object()) return;
  while (cursor.member(member)) {
    const std::string_view given = cursor.value();
    if (json::is_null(given)) continue;
    if (json::same(member, "effort")) {
      json_.key("reasoning_effort").raw(given);
    } else if (!any_of(member, {"summary", "generate_summary"})) {
      to_.losses.add(place, member);
    }
  }
}

void Translation::write_include() {
  const Place list{nullptr, "include"};
  json::Cursor cursor(value("include"));
  bool logprobs = has("top_logprobs") && value("top_logprobs") != "0";
  if (cursor.array()) {
    for (std::int64_t i = 0; cursor.element(); ++i) {
      const std::string_view what = json::inside(cursor.value());
      if (what == "message.output_text.logprobs") {
        logprobs = true;
      } else if (what != "reasoning.encrypted_content") {
        to_.losses.add(Place{&list, {}, i});
      }
    }
  }
  if (!logprobs) return;
  json_.key("logprobs").boolean(true);
  if (has("top_logprobs")) json_.key("top_logprobs").raw(value("top_logprobs"));
}

}  // namespace

Canonical from_responses(const JsonIndex& body, const StoredAs* stored, std::string& echo) {
  Canonical canonical;
  Translation(body, stored, canonical, echo).write();
  return canonical;
}

}  // namespace switchyard::surface
