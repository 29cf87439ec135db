#include "providers/openai/messages.hpp"

#include <algorithm>
#include <cstdint>
#include <switchyard/json.hpp>

namespace openai {

namespace json = swy::json;

namespace {

bool contains(const std::vector<std::string>& list, std::string_view name) {
  return std::any_of(list.begin(), list.end(), [name](const std::string& s) { return name == s; });
}

std::string part_of(std::string_view type) {
  return "a part of type \"" + std::string(type.substr(0, 40)) + "\"; the model takes ";
}

bool is_plain(char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

}  // namespace

std::string nine_characters(std::string_view id) {
  if (id.size() == 9 && std::all_of(id.begin(), id.end(), is_plain)) return std::string(id);
  static constexpr std::string_view kLetters =
      "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
  std::uint64_t hash = 14695981039346656037ULL;  // FNV-1a, 64 bits
  for (const char c : id) hash = (hash ^ static_cast<unsigned char>(c)) * 1099511628211ULL;
  std::string out;
  for (int i = 0; i < 9; ++i, hash /= kLetters.size()) out += kLetters[hash % kLetters.size()];
  return out;
}

void MessageEditor::replace(std::size_t from, std::size_t size, std::string with) {
  own_.push_front(std::move(with));
  edits_.push_back({from, from + size, own_.front()});
}

void MessageEditor::instruct(const std::string& words) {
  json::Cursor cursor(messages_);
  if (!cursor.array()) return;
  const std::size_t inside = cursor.offset();
  const bool empty = !cursor.element();
  replace(inside, 0, R"({"role":"system","content":)" + json::quoted(words) + (empty ? "}" : "},"));
}

// One look at what stands behind each quote: most conversations have none of these words.
bool MessageEditor::mentions_extensions() const {
  for (std::size_t at = messages_.find('"'); at != std::string_view::npos;
       at = messages_.find('"', at + 1)) {
    if (rules_.extensions_lacking.begins(messages_.substr(at + 1))) return true;
  }
  return false;
}

// Most conversations need nothing, which a look for the words tells.
bool MessageEditor::has_work() {
  extensions_ = mentions_extensions();
  if (extensions_) return true;
  const auto mentioned = [this](std::string_view word) {
    return messages_.find(word) != std::string_view::npos;
  };
  if ((!rules_.parts.empty() || rules_.data_pictures) && mentioned("\"type\"")) return true;
  if (rules_.text_only || rules_.content_needed || rules_.mistral_parts) return true;
  if (!rules_.between.empty() || rules_.reasoning_details) return true;
  if ((!rules_.calls_need.empty() || !rules_.call_ids.empty()) && mentioned("tool_call")) {
    return true;
  }
  return std::any_of(rules_.roles.begin(), rules_.roles.end(),
                     [&](const auto& role) { return mentioned(role.first); }) ||
         std::any_of(rules_.message_drop.begin(), rules_.message_drop.end(), mentioned);
}

void MessageEditor::edit() {
  if (!has_work()) return;
  json::Cursor cursor(messages_);
  if (!cursor.array()) return;
  for (std::int64_t i = 0; cursor.element(); ++i) {
    const std::string_view message = cursor.value();
    if (json::type_of(message) == 'o') edit_message(message, i);
  }
  // What is taken out of a part or a call was found apart from what is changed there.
  std::sort(edits_.begin(), edits_.end(), [](const Edit& a, const Edit& b) {
    return a.from != b.from ? a.from < b.from : a.to < b.to;
  });
}

bool MessageEditor::makes_calls(const Message& message) {
  return message.role == "assistant" && !json::at(message.calls, 0).empty();
}

MessageEditor::Message MessageEditor::read(std::string_view message) {
  Message result;
  json::Cursor cursor(message);
  std::string_view name;
  cursor.object();
  while (cursor.member(name)) {
    const std::string_view value = cursor.value();
    if (json::same(name, "role")) {
      result.role = json::inside(value);
    } else if (json::same(name, "content")) {
      result.content = value;
    } else if (json::same(name, "tool_calls")) {
      result.calls = value;
    } else if (json::same(name, "reasoning_content")) {
      result.reasoning = value;
    } else if (json::same(name, "reasoning_details")) {
      // A block that says whose format it has is not this API's own.
      if (json::find(json::at(value, 0), "format").empty()) result.details = value;
    }
  }
  return result;
}

void MessageEditor::edit_message(std::string_view message, std::int64_t index) {
  const Message read_message = read(message);
  const swy::Place list{nullptr, "messages"}, place{&list, {}, index};
  put_between(read_message.role, at(message));
  MemberRemoval removal(edits_);
  json::Cursor cursor(message);
  std::string_view name;
  cursor.object();
  while (cursor.member(name)) {
    const std::size_t name_at = at(message) + cursor.name_offset();
    removal.begin(name_at);
    const std::string_view value = cursor.value();
    const std::size_t end = at(message) + cursor.offset();
    const bool rebuilt = rules_.reasoning_details && json::same(name, "reasoning_content") &&
                         json::type_of(value) == 's';
    const bool foreign = rules_.reasoning_details && json::same(name, "reasoning_details") &&
                         read_message.details.empty();
    if (contains(rules_.message_drop, name) || rebuilt || foreign ||
        rules_.lacks(kMessageExtensions, name)) {
      const bool nothing = json::is_null(value) || value == "false" || value.size() == 2;
      if (!nothing && !rebuilt) losses_.add(place, name);
      removal.remove(name_at, end);
      continue;
    }
    edit_member(name, value, read_message, place);
    removal.keep(end);
  }
  const std::string more = missing_members(message, read_message);
  if (!more.empty()) {
    replace(at(message) + message.size() - 1, 0, removal.kept() ? more : more.substr(1));
  }
}

void MessageEditor::put_between(std::string_view before, std::size_t at) {
  const std::string* const renamed = look_up(rules_.roles, before);
  const std::string role = renamed != nullptr ? *renamed : std::string(before);
  for (const Between& rule : rules_.between) {
    if (rule.after == previous_ && rule.before == role) replace(at, 0, rule.insert + ",");
  }
  previous_ = role;
}

void MessageEditor::edit_member(std::string_view name, std::string_view value,
                                const Message& message, const swy::Place& place) {
  const std::string* const needed = look_up(rules_.calls_need, name);
  if (needed != nullptr && json::is_null(value) && makes_calls(message)) {
    return replace(value, *needed);
  }
  if (json::same(name, "role")) {
    const std::string* const role = look_up(rules_.roles, json::inside(value));
    if (role != nullptr) edits_.push_back({at(value) + 1, at(value) + value.size() - 1, *role});
  } else if (json::same(name, "content")) {
    edit_content(value, message, place);
  } else if (json::same(name, "tool_calls")) {
    edit_calls(value, place);
  } else if (!rules_.call_ids.empty() && json::same(name, "tool_call_id")) {
    put_call_id(value);
  }
}

void MessageEditor::edit_content(std::string_view content, const Message& message,
                                 const swy::Place& place) {
  if (rules_.content_needed && json::is_null(content)) return replace(content, "\"\"");
  if (json::type_of(content) != 'a') return;
  if (rules_.text_only) return join_text(content, place);
  const swy::Place list{&place, "content"};
  std::vector<Edit> nowhere;  // of a part that is replaced as a whole
  json::Cursor cursor(content);
  cursor.array();
  for (std::int64_t i = 0; cursor.element(); ++i) {
    const std::string_view part = cursor.value();
    check_part(part, place);
    const bool whole = rules_.mistral_parts && message.role == "user" && edit_part(part);
    if (!extensions_) continue;
    leave_out_extensions(rules_, kPartExtensions, messages_, part, swy::Place{&list, {}, i},
                         whole ? nowhere : edits_, losses_);
  }
}

void MessageEditor::check_part(std::string_view part, const swy::Place& message) {
  const std::string_view type = json::inside(json::find(part, "type"));
  if (!rules_.parts.empty() && !contains(rules_.parts, type)) {
    std::string takes;
    for (const std::string& each : rules_.parts) takes += (takes.empty() ? "" : ", ") + each;
    return refuse_part(part_of(type) + takes, message);
  }
  if (!rules_.data_pictures || type != "image_url") return;
  const std::string_view value = json::find_path(part, "image_url.url");
  const std::string url = json::to_text(value).value_or("");
  if (!url.starts_with("http")) return;
  const std::string* const data = pictures_ != nullptr ? pictures_->data(url) : nullptr;
  if (data != nullptr) return replace(value, json::quoted(*data));
  refuse_part("a picture by its address; this API takes them as data: URLs only", message);
}

void MessageEditor::refuse_part(std::string_view what, const swy::Place& message) {
  if (refusal_) return;
  swy::Losses where;
  where.add(message, "content");
  const std::string pointers = where.array();
  refusal_ =
      swy::Error{SWY_CLS_NOT_OFFERED, json::to_text(json::at(pointers, 0)).value_or("content") +
                                          " has " + std::string(what)};
}

// A model that takes a string only reads the parts one after the other; what is no text it can't
// have at all.
void MessageEditor::join_text(std::string_view parts, const swy::Place& place) {
  std::string joined = "\"";
  const swy::Place list{&place, "content"};
  std::vector<Edit> nowhere;
  json::Cursor cursor(parts);
  cursor.array();
  for (std::int64_t i = 0; cursor.element(); ++i) {
    const std::string_view part = cursor.value();
    leave_out_extensions(rules_, kPartExtensions, messages_, part, swy::Place{&list, {}, i},
                         nowhere, losses_);
    const std::string_view type = json::inside(json::find(part, "type"));
    if (type != "text") refuse_part(part_of(type) + "text", place);
    if (joined.size() > 1) joined += "\\n";
    joined += json::inside(json::find(part, "text"));
  }
  replace(parts, joined + '"');
}

// Mistral takes sound as a string, and a file as a document. True where the whole part is replaced.
bool MessageEditor::edit_part(std::string_view part) {
  const std::string_view type = json::inside(json::find(part, "type"));
  if (type == "input_audio") {
    const std::string_view sound = json::find(part, "input_audio");
    const std::string_view data = json::find(sound, "data");
    if (json::type_of(data) == 's') replace(sound, std::string(data));
    return false;
  }
  if (type != "file") return false;
  const std::string_view file = json::find(part, "file");
  const std::string_view data = json::find(file, "file_data");
  const std::string_view name = json::find(file, "filename");
  if (json::type_of(data) != 's') return false;
  std::string document = R"({"type":"document_url","document_url":)" + std::string(data);
  if (json::type_of(name) == 's') document.append(R"(,"document_name":)").append(name);
  replace(part, document + "}");
  return true;
}

void MessageEditor::edit_calls(std::string_view calls, const swy::Place& place) {
  if (rules_.call_ids.empty() && !extensions_) return;
  json::Cursor cursor(calls);
  if (!cursor.array()) return;
  const swy::Place list{&place, "tool_calls"};
  for (std::int64_t i = 0; cursor.element(); ++i) {
    const std::string_view call = cursor.value();
    if (!rules_.call_ids.empty()) put_call_id(json::find(call, "id"));
    leave_out_extensions(rules_, kCallExtensions, messages_, call, swy::Place{&list, {}, i}, edits_,
                         losses_);
  }
}

void MessageEditor::put_call_id(std::string_view id) {
  const auto text = json::to_text(id);
  if (!text) return;
  const std::string nine = nine_characters(*text);
  if (nine != *text) replace(id, json::quoted(nine));
}

// Members that the upstream wants to see, each with a comma before it.
std::string MessageEditor::missing_members(std::string_view message, const Message& read) const {
  std::string out;
  if (rules_.reasoning_details && json::type_of(read.reasoning) == 's' && read.details.empty()) {
    out.append(R"(,"reasoning_details":[{"type":"reasoning.text","text":)")
        .append(read.reasoning)
        .append("}]");
  }
  if (!makes_calls(read)) return out;
  for (const auto& [name, value] : rules_.calls_need) {
    if (json::find(message, name).empty()) out += "," + json::quoted(name) + ":" + value;
  }
  return out;
}

}  // namespace openai
