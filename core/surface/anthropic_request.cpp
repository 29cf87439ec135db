#include "core/surface/anthropic_request.hpp"

#include <algorithm>
#include <set>
#include <unordered_map>
#include <vector>

#include "core/base/base64.hpp"
#include "core/surface/carried.hpp"
#include "core/surface/openai_error.hpp"
#include "core/surface/request_members.hpp"

namespace switchyard::surface {

namespace json = swy::json;
using swy::Place;

namespace {

constexpr MemberRule kRules[] = {
    {"model", "s", "a string", true},
    {"messages", "a", "an array", true},
    {"max_tokens", "n", "an integer", true},
    {"system", "sa", "a string or an array"},
    {"stream", "b", "a boolean"},
    {"tools", "a", "an array"},
    {"tool_choice", "o", "an object"},
    {"thinking", "o", "an object"},
    {"output_config", "o", "an object"},
    {"metadata", "o", "an object"},
    {"stop_sequences", "a", "an array"},
    {"temperature", "n", "a number"},
    {"top_p", "n", "a number"},
    {"top_k", "n", "an integer"},
};

// One block of a message's content.
struct Block {
  std::string_view type;  // between its quotes
  std::string_view text, source, id, name, input, content, is_error, cache, citations, title,
      thinking, signature, data, whole;

  explicit Block(std::string_view json) : whole(json) {
    json::Cursor cursor(json);
    std::string_view member;
    if (!cursor.object()) return;
    while (cursor.member(member)) {
      const std::string_view value = cursor.value();
      if (json::is_null(value)) continue;
      if (json::same(member, "type")) {
        type = json::inside(value);
      } else if (std::string_view* const field = find(member)) {
        *field = value;
      }
    }
  }

 private:
  std::string_view* find(std::string_view member) {
    if (json::same(member, "text")) return &text;
    if (json::same(member, "source")) return &source;
    if (json::same(member, "id") || json::same(member, "tool_use_id")) return &id;
    if (json::same(member, "name")) return &name;
    if (json::same(member, "input")) return &input;
    if (json::same(member, "content")) return &content;
    if (json::same(member, "is_error")) return &is_error;
    if (json::same(member, "cache_control")) return &cache;
    if (json::same(member, "citations")) return &citations;
    if (json::same(member, "title")) return &title;
    if (json::same(member, "thinking")) return &thinking;
    if (json::same(member, "signature")) return &signature;
    if (json::same(member, "data")) return &data;
    return nullptr;
  }
};

class Translation {
 public:
  Translation(const JsonIndex& body, bool count, Canonical& to, bool& shows_thinking)
      : body_(body), count_(count), to_(to), shows_thinking_(shows_thinking), json_(to.body) {}

  void write();

 private:
  std::string_view value(std::string_view name) const {
    const swy_member* const member = body_.find(name);
    return member == nullptr ? std::string_view() : body_.value(*member);
  }
  // False where there is none, or null.
  bool has(std::string_view name) const { return !json::is_null(value(name)); }
  void refuse(const Place& place, std::string_view what);
  void contradict(const Place& place, std::string_view what);
  void copy(std::string_view name, std::string_view as);
  void note_unknown();

  bool check();
  void write_messages();
  void write_system();
  void write_message(std::string_view message, const Place& place);
  void write_plain(std::string_view role, std::string_view content, const Place& place);
  void write_user(std::string_view content, const Place& place);
  void write_result(const Block& block, const Place& place);
  void write_parts(std::string_view parts, const Place& place, bool results);
  void write_part(const Block& block, const Place& place);
  void write_text_part(std::string_view text, std::string_view cache);
  void write_image(const Block& block, const Place& place);
  void write_document(const Block& block, const Place& place);
  void write_data_url(std::string_view media_type, std::string_view data);
  void write_cache(std::string_view cache);

  struct Turn;
  void write_assistant(std::string_view content, const Place& place);
  void take_block(const Block& block, const Place& place, Turn& turn);
  void take_thinking(const Block& block, const Place& place, Turn& turn);
  void take_sealed(const Block& block, Turn& turn);
  void take_call(const Block& block, const Place& place, Turn& turn);
  std::string detail_head(std::string_view type, const Turn& turn) const;

  void write_tools();
  void write_tool(std::string_view tool, const Place& place);
  void write_choice();
  void write_thinking();
  void write_output();
  void write_user_id();

  const JsonIndex& body_;
  const bool count_;
  Canonical& to_;
  bool& shows_thinking_;
  json::Writer json_;
  std::string_view effort_;
  std::set<std::string> calls_;  // the ids of those so far
};

// A path as Anthropic's errors have it: messages.0.content.
std::string dotted(const Place& place) {
  std::string out = place.up == nullptr ? std::string() : dotted(*place.up);
  if (place.name.empty() && place.index < 0) return out;
  if (!out.empty()) out += '.';
  return out + (place.index >= 0 ? std::to_string(place.index) : std::string(place.name));
}

void Translation::refuse(const Place& place, std::string_view what) {
  if (to_.refusal) return;
  const std::string path = dotted(place);
  to_.refusal = bad_request(400, "invalid_value", path + ": " + std::string(what), path);
}

// What no upstream can make sense of; a provider of the dialect may judge it by itself.
void Translation::contradict(const Place& place, std::string_view what) {
  if (to_.only_native) return;
  const std::string path = dotted(place);
  to_.only_native = bad_request(400, "invalid_value", path + ": " + std::string(what), path);
}

void Translation::copy(std::string_view name, std::string_view as) {
  if (has(name)) json_.key(as).raw(value(name));
}

bool Translation::check() {
  for (const MemberRule& rule : kRules) {
    const std::string_view given = value(rule.name);
    const Place place{nullptr, rule.name};
    if (json::is_null(given)) {
      if (rule.required && !(count_ && rule.name == "max_tokens")) refuse(place, "Field required");
    } else if (!rule.allows(given)) {
      refuse(place, std::string("Input should be ") + rule.expected);
    }
  }
  if (!to_.refusal && json::to_integer(value("max_tokens")).value_or(1) < 0) {
    refuse(Place{nullptr, "max_tokens"}, "Input should not be negative");
  }
  return !to_.refusal;
}

void Translation::write() {
  if (!check()) return;
  to_.model = json::unescape(value("model"));
  to_.stream = json::is_true(value("stream"));
  to_.body.reserve(body_.text().size() + body_.text().size() / 8);
  json_.open_object();
  json_.key("model").raw(value("model"));
  write_messages();
  copy("max_tokens", "max_completion_tokens");
  if (to_.stream) {
    json_.key("stream").boolean(true);
    json_.key("stream_options").open_object().key("include_usage").boolean(true).close_object();
  }
  for (const std::string_view name : {"temperature", "top_p", "top_k", "cache_control"}) {
    copy(name, name);
  }
  copy("stop_sequences", "stop");
  write_tools();
  write_choice();
  write_output();
  write_thinking();
  write_user_id();
  const std::string_view tier = json::inside(value("service_tier"));
  if (tier == "auto") json_.key("service_tier").text("auto");
  if (tier == "standard_only") json_.key("service_tier").text("default");
  json_.close_object();
  note_unknown();
}

void Translation::note_unknown() {
  for (const swy_member& member : body_.members()) {
    const std::string_view name = view(member.name);
    const std::string_view given = body_.value(member);
    const bool read = std::any_of(std::begin(kRules), std::end(kRules),
                                  [name](const MemberRule& rule) { return rule.name == name; }) ||
                      any_of(name, {"cache_control", "service_tier"});
    if (read || json::is_null(given) || any_of(given, {"false", "[]", "{}", "\"\""})) continue;
    to_.losses.add(name);
  }
}

// ---- messages ----

void Translation::write_messages() {
  json_.key("messages").open_array();
  write_system();
  const Place list{nullptr, "messages"};
  json::Cursor cursor(value("messages"));
  std::int64_t count = 0;
  if (cursor.array()) {
    for (; cursor.element() && !to_.refusal; ++count) {
      const Place here{&list, {}, count};
      write_message(cursor.value(), here);
    }
  }
  if (count == 0) refuse(list, "at least one message is required");
  json_.close_array();
}

void Translation::write_system() {
  if (!has("system")) return;
  const Place place{nullptr, "system"};
  const std::string_view system = value("system");
  if (system == "\"\"" || json::at(system, 0).empty() == (json::type_of(system) == 'a')) return;
  write_plain("system", system, place);
}

void Translation::write_message(std::string_view message, const Place& place) {
  if (json::type_of(message) != 'o') return refuse(place, "Input should be an object");
  const std::string_view role = json::inside(json::find(message, "role"));
  const std::string_view content = json::find(message, "content");
  const Place inner{&place, "content"};
  if (!any_of(role, {"user", "assistant", "system"})) {
    return refuse(Place{&place, "role"}, "Input should be 'user' or 'assistant'");
  }
  if (json::is_null(content)) return refuse(inner, "Field required");
  if (json::type_of(content) != 's' && json::type_of(content) != 'a') {
    return refuse(inner, "Input should be a string or an array");
  }
  if (role == "assistant") return write_assistant(content, inner);
  if (role == "user" && json::type_of(content) == 'a') return write_user(content, inner);
  write_plain(role, content, inner);
}

void Translation::write_plain(std::string_view role, std::string_view content, const Place& place) {
  json_.open_object().key("role").text(role).key("content");
  if (json::type_of(content) == 's') {
    json_.raw(content);
  } else {
    write_parts(content, place, false);
  }
  json_.close_object();
}

// Results of tools are messages of their own there, and come first here.
void Translation::write_user(std::string_view content, const Place& place) {
  bool others = false;
  json::Cursor cursor(content);
  cursor.array();
  for (std::int64_t i = 0; cursor.element() && !to_.refusal; ++i) {
    const Block block(cursor.value());
    const Place here{&place, {}, i};
    if (block.type.empty()) return refuse(Place{&here, "type"}, "Field required");
    if (block.type == "tool_result") {
      write_result(block, here);
    } else {
      others = true;
    }
  }
  if (others) write_plain("user", content, place);
}

void Translation::write_result(const Block& block, const Place& place) {
  if (json::type_of(block.id) != 's') return refuse(Place{&place, "tool_use_id"}, "Field required");
  if (!calls_.contains(json::unescape(block.id))) {
    contradict(Place{&place, "tool_use_id"}, "no `tool_use` block before it has this id");
  }
  json_.open_object().key("role").text("tool").key("tool_call_id").raw(block.id).key("content");
  if (json::type_of(block.content) == 'a') {
    write_parts(block.content, Place{&place, "content"}, true);
  } else if (json::type_of(block.content) == 's') {
    json_.raw(block.content);
  } else {
    json_.text("");
  }
  if (json::is_true(block.is_error)) json_.key("is_error").boolean(true);
  write_cache(block.cache);
  json_.close_object();
}

void Translation::write_parts(std::string_view parts, const Place& place, bool results) {
  json_.open_array();
  json::Cursor cursor(parts);
  cursor.array();
  for (std::int64_t i = 0; cursor.element() && !to_.refusal; ++i) {
    const Block block(cursor.value());
    const Place here{&place, {}, i};
    if (block.type == "tool_result" && !results) continue;
    write_part(block, here);
  }
  json_.close_array();
}

void Translation::write_part(const Block& block, const Place& place) {
  if (block.type == "text") {
    if (json::type_of(block.text) != 's') return refuse(Place{&place, "text"}, "Field required");
    if (!block.citations.empty() && block.citations != "[]") to_.losses.add(place, "citations");
    write_text_part(block.text, block.cache);
  } else if (block.type == "image") {
    write_image(block, place);
  } else if (block.type == "document") {
    write_document(block, place);
  } else {
    to_.losses.add(place);
  }
}

void Translation::write_text_part(std::string_view text, std::string_view cache) {
  json_.open_object().key("type").text("text").key("text").raw(text);
  write_cache(cache);
  json_.close_object();
}

void Translation::write_cache(std::string_view cache) {
  if (!cache.empty()) json_.key("cache_control").raw(cache);
}

void Translation::write_data_url(std::string_view media_type, std::string_view data) {
  json_.raw("\"data:");
  to_.body.append(media_type).append(";base64,").append(data).append("\"");
}

void Translation::write_image(const Block& block, const Place& place) {
  const Place source{&place, "source"};
  const std::string_view type = json::inside(json::find(block.source, "type"));
  if (type == "base64") {
    const std::string_view media = json::inside(json::find(block.source, "media_type"));
    const std::string_view data = json::inside(json::find(block.source, "data"));
    if (media.empty()) return refuse(Place{&source, "media_type"}, "Field required");
    if (data.empty()) return refuse(Place{&source, "data"}, "Field required");
    json_.open_object().key("type").text("image_url").key("image_url").open_object().key("url");
    write_data_url(media, data);
  } else if (type == "url") {
    const std::string_view url = json::find(block.source, "url");
    if (json::type_of(url) != 's') return refuse(Place{&source, "url"}, "Field required");
    json_.open_object().key("type").text("image_url").key("image_url").open_object();
    json_.key("url").raw(url);
  } else if (type == "file") {
    json_.open_object().key("type").text("file").key("file").open_object();
    json_.key("file_id").text(json::to_text(json::find(block.source, "file_id")).value_or(""));
  } else {
    return refuse(source, type.empty() ? "Field required" : "Input should be base64, url or file");
  }
  json_.close_object();
  write_cache(block.cache);
  json_.close_object();
}

void Translation::write_document(const Block& block, const Place& place) {
  const Place source{&place, "source"};
  const std::string_view type = json::inside(json::find(block.source, "type"));
  const std::string_view data = json::find(block.source, "data");
  if (json::is_true(json::find(block.citations, "enabled"))) to_.losses.add(place, "citations");
  if (type == "content") {
    const std::string_view content = json::find(block.source, "content");
    if (json::type_of(content) == 's') return write_text_part(content, block.cache);
    json::Cursor cursor(content);
    const Place inner{&source, "content"};
    if (!cursor.array()) return refuse(inner, "Field required");
    for (std::int64_t i = 0; cursor.element(); ++i) {
      write_part(Block(cursor.value()), Place{&inner, {}, i});
    }
    return;
  }
  if (!any_of(type, {"base64", "text", "url", "file"})) {
    return refuse(source, type.empty() ? "Field required"
                                       : "Input should be base64, text, url, content or file");
  }
  // No canonical part is a document at an address.
  if (type == "url") return to_.losses.add(place);
  json_.open_object().key("type").text("file").key("file").open_object();
  if (type == "file") {
    json_.key("file_id").text(json::to_text(json::find(block.source, "file_id")).value_or(""));
  } else if (type == "text") {
    json_.key("file_data");
    write_data_url("text/plain", base64(json::to_text(data).value_or("")));
  } else {
    const std::string_view media = json::inside(json::find(block.source, "media_type"));
    json_.key("file_data");
    write_data_url(media.empty() ? "application/pdf" : media, json::inside(data));
  }
  if (json::type_of(block.title) == 's') {
    json_.key("filename").raw(block.title);
  } else if (type != "file") {
    json_.key("filename").text(type == "text" ? "document.txt" : "document.pdf");
  }
  json_.close_object();
  write_cache(block.cache);
  json_.close_object();
}

// ---- the assistant's turns ----

struct Translation::Turn {
  std::string text, calls, details, thinking, cache;
  unsigned detail_count = 0, call_count = 0;
  std::unordered_map<std::string, std::string> extras;  // of calls, by their ids
};

void Translation::write_assistant(std::string_view content, const Place& place) {
  if (json::type_of(content) == 's') return write_plain("assistant", content, place);
  Turn turn;
  json::Cursor cursor(content);
  cursor.array();
  for (std::int64_t i = 0; cursor.element() && !to_.refusal; ++i) {
    const Block block(cursor.value());
    take_block(block, Place{&place, {}, i}, turn);
  }
  json_.open_object().key("role").text("assistant").key("content");
  if (turn.text.empty() && !turn.calls.empty()) {
    json_.null();
  } else {
    json_.raw("\"" + turn.text + "\"");
  }
  if (!turn.thinking.empty()) json_.key("reasoning_content").raw("\"" + turn.thinking + "\"");
  if (!turn.details.empty()) json_.key("reasoning_details").raw("[" + turn.details + "]");
  if (!turn.calls.empty()) json_.key("tool_calls").raw("[" + turn.calls + "]");
  if (!turn.cache.empty()) json_.key("cache_control").raw(turn.cache);
  json_.close_object();
}

void Translation::take_block(const Block& block, const Place& place, Turn& turn) {
  if (block.type.empty()) return refuse(Place{&place, "type"}, "Field required");
  if (block.type == "tool_use") return take_call(block, place, turn);
  if (block.type == "thinking") return take_thinking(block, place, turn);
  if (block.type == "redacted_thinking") return take_sealed(block, turn);
  if (block.type == "text") {
    if (json::type_of(block.text) != 's') return refuse(Place{&place, "text"}, "Field required");
    turn.text += json::inside(block.text);
    if (!block.cache.empty()) turn.cache = block.cache;
    return;
  }
  // A tool of the server's own, and what is yet to come.
  if (!turn.details.empty()) turn.details += ',';
  turn.details += detail_head("opaque", turn) + R"(,"block":)" + std::string(block.whole) + "}";
  ++turn.detail_count;
}

std::string Translation::detail_head(std::string_view type, const Turn& turn) const {
  std::string out = R"({"index":)" + std::to_string(turn.detail_count);
  out.append(R"(,"type":")").append(type).append(R"(","format":")").append(kAnthropicFormat);
  out += '"';
  const std::size_t after = json::count_characters(turn.text);
  if (after > 0) out += R"(,"after_text":)" + std::to_string(after);
  if (turn.call_count > 0) out += R"(,"after_calls":)" + std::to_string(turn.call_count);
  return out;
}

void Translation::take_thinking(const Block& block, const Place& place, Turn& turn) {
  if (json::type_of(block.thinking) != 's') {
    return refuse(Place{&place, "thinking"}, "Field required");
  }
  turn.thinking += json::inside(block.thinking);
  const std::string_view signature = json::inside(block.signature);
  if (signature.empty()) return;  // nobody's, so nobody wants it back as a block
  if (!turn.details.empty()) turn.details += ',';
  ++turn.detail_count;
  // Whose it is, where it is not Anthropic's, it says itself.
  if (const auto own = carried(json::unescape(block.signature)); own && own->ends_with('}')) {
    to_.foreign = true;
    turn.details.append(*own, 0, own->size() - 1);
    turn.details.append(R"(,"text":)").append(block.thinking).append("}");
    return;
  }
  --turn.detail_count;
  turn.details += detail_head("reasoning.text", turn);
  turn.details.append(R"(,"text":)").append(block.thinking);
  turn.details.append(R"(,"signature":)").append(block.signature).append("}");
  ++turn.detail_count;
}

void Translation::take_sealed(const Block& block, Turn& turn) {
  const auto own = carried(json::to_text(block.data).value_or(""));
  to_.foreign |= own.has_value();
  const std::string_view extra = own ? json::find(*own, "extra_content") : std::string_view();
  if (!extra.empty()) {
    // What belongs to the call behind it.
    turn.extras[json::to_text(json::find(*own, "call")).value_or("")] = extra;
    return;
  }
  if (!turn.details.empty()) turn.details += ',';
  if (own) {
    turn.details += *own;
  } else {
    turn.details += detail_head("reasoning.encrypted", turn);
    turn.details.append(R"(,"data":)").append(block.data.empty() ? "\"\"" : block.data);
    turn.details += '}';
  }
  ++turn.detail_count;
}

void Translation::take_call(const Block& block, const Place& place, Turn& turn) {
  if (json::type_of(block.id) != 's') return refuse(Place{&place, "id"}, "Field required");
  if (json::type_of(block.name) != 's') return refuse(Place{&place, "name"}, "Field required");
  if (!block.cache.empty()) to_.losses.add(place, "cache_control");
  calls_.insert(json::unescape(block.id));
  json::Writer call(turn.calls);
  if (!turn.calls.empty()) turn.calls += ',';
  call.open_object().key("id").raw(block.id).key("type").text("function");
  const auto extra = turn.extras.find(json::unescape(block.id));
  if (extra != turn.extras.end()) call.key("extra_content").raw(extra->second);
  call.key("function").open_object().key("name").raw(block.name);
  call.key("arguments").text(block.input.empty() ? "{}" : block.input);
  call.close_object().close_object();
  ++turn.call_count;
}

// ---- tools and settings ----

void Translation::write_tools() {
  if (!has("tools") || value("tools") == "[]") return;
  const Place list{nullptr, "tools"};
  json_.key("tools").open_array();
  json::Cursor cursor(value("tools"));
  cursor.array();
  for (std::int64_t i = 0; cursor.element() && !to_.refusal; ++i) {
    write_tool(cursor.value(), Place{&list, {}, i});
  }
  json_.close_array();
}

void Translation::write_tool(std::string_view tool, const Place& place) {
  const std::string_view type = json::inside(json::find(tool, "type"));
  // One of the server's own tools, by its dated type: who does not have it says so.
  if (!type.empty() && type != "custom") {
    json_.raw(tool);
    return;
  }
  std::string_view name, description, schema, strict, cache, member;
  json::Cursor cursor(tool);
  if (!cursor.object()) return refuse(place, "Input should be an object");
  while (cursor.member(member)) {
    const std::string_view given = cursor.value();
    if (json::is_null(given) || json::same(member, "type")) continue;
    if (json::same(member, "name")) {
      name = given;
    } else if (json::same(member, "description")) {
      description = given;
    } else if (json::same(member, "input_schema")) {
      schema = given;
    } else if (json::same(member, "strict")) {
      strict = given;
    } else if (json::same(member, "cache_control")) {
      cache = given;
    } else if (given != "false" && given != "[]") {
      to_.losses.add(place, member);
    }
  }
  if (json::type_of(name) != 's') return refuse(Place{&place, "name"}, "Field required");
  if (json::type_of(schema) != 'o') return refuse(Place{&place, "input_schema"}, "Field required");
  json_.open_object().key("type").text("function").key("function").open_object();
  json_.key("name").raw(name);
  if (!description.empty()) json_.key("description").raw(description);
  json_.key("parameters").raw(schema);
  if (!strict.empty()) json_.key("strict").raw(strict);
  json_.close_object();
  write_cache(cache);
  json_.close_object();
}

void Translation::write_choice() {
  if (!has("tool_choice")) return;
  const Place place{nullptr, "tool_choice"};
  const std::string_view choice = value("tool_choice");
  if (!has("tools") || value("tools") == "[]") {
    return refuse(place, "tool_choice may only be specified while providing tools");
  }
  const std::string_view type = json::inside(json::find(choice, "type"));
  if (type == "auto" || type == "none") {
    json_.key("tool_choice").text(type);
  } else if (type == "any") {
    json_.key("tool_choice").text("required");
  } else if (type == "tool") {
    const std::string_view name = json::find(choice, "name");
    if (json::type_of(name) != 's') return refuse(Place{&place, "name"}, "Field required");
    if (!offers_tool(value("tools"), name)) {
      contradict(Place{&place, "name"}, "`tools` has no tool of this name");
    }
    json_.key("tool_choice").open_object().key("type").text("function");
    json_.key("function").open_object().key("name").raw(name).close_object().close_object();
  } else {
    return refuse(Place{&place, "type"}, "Input should be 'auto', 'any', 'tool' or 'none'");
  }
  if (json::is_true(json::find(choice, "disable_parallel_tool_use"))) {
    json_.key("parallel_tool_calls").boolean(false);
  }
}

void Translation::write_output() {
  const std::string_view config = value("output_config");
  const Place place{nullptr, "output_config"};
  json::Cursor cursor(config);
  std::string_view member;
  if (!cursor.object()) return;
  while (cursor.member(member)) {
    const std::string_view given = cursor.value();
    if (json::is_null(given)) continue;
    if (json::same(member, "effort")) {
      effort_ = json::inside(given);
    } else if (json::same(member, "format")) {
      const std::string_view schema = json::find(given, "schema");
      if (json::inside(json::find(given, "type")) != "json_schema") {
        refuse(Place{&place, "format"}, "type: Input should be 'json_schema'");
      } else if (json::type_of(schema) != 'o') {
        refuse(Place{&place, "format"}, "schema: Field required");
      } else {
        json_.key("response_format").open_object().key("type").text("json_schema");
        json_.key("json_schema").open_object().key("name").text("answer");
        json_.key("strict").boolean(true).key("schema").raw(schema);
        json_.close_object().close_object();
      }
    } else {
      to_.losses.add(place, member);
    }
  }
}

// A budget is an effort too, for who knows no budgets.
void Translation::write_thinking() {
  const std::string_view thinking = value("thinking");
  const std::string_view type = json::inside(json::find(thinking, "type"));
  const auto budget = json::to_integer(json::find(thinking, "budget_tokens"));
  const Place place{nullptr, "thinking"};
  shows_thinking_ = type == "enabled" || type == "adaptive" || type == "between_tools";
  std::string_view effort = effort_;
  if (type == "enabled") {
    if (!budget) return refuse(Place{&place, "budget_tokens"}, "Field required");
    if (effort.empty()) effort = *budget <= 4096 ? "low" : *budget <= 16384 ? "medium" : "high";
    json_.key("reasoning").open_object().key("max_tokens").integer(*budget).close_object();
  } else if (type == "adaptive" || type == "between_tools" || type == "disabled") {
    if (type == "between_tools") to_.losses.add(place);
    json_.key("reasoning").open_object().key("enabled").boolean(type != "disabled").close_object();
  } else if (!json::is_null(thinking)) {
    return refuse(Place{&place, "type"}, "Input should be 'enabled', 'adaptive' or 'disabled'");
  }
  if (!effort.empty()) json_.key("reasoning_effort").text(effort);
}

void Translation::write_user_id() {
  const Place place{nullptr, "metadata"};
  json::Cursor cursor(value("metadata"));
  std::string_view member;
  if (!cursor.object()) return;
  while (cursor.member(member)) {
    const std::string_view given = cursor.value();
    if (json::is_null(given)) continue;
    if (json::same(member, "user_id") && json::type_of(given) == 's') {
      json_.key("user").raw(given);
    } else {
      to_.losses.add(place, member);
    }
  }
}

}  // namespace

Canonical from_messages(const JsonIndex& body, bool count, bool& shows_thinking) {
  Canonical canonical;
  Translation(body, count, canonical, shows_thinking).write();
  return canonical;
}

}  // namespace switchyard::surface
