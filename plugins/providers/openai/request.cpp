#include "providers/openai/request.hpp"

#include <algorithm>
#include <charconv>
#include <switchyard/json.hpp>

#include "providers/openai/edits.hpp"
#include "providers/openai/messages.hpp"

namespace openai {

namespace json = swy::json;

namespace {

constexpr std::string_view kContinue = "continue_final_message";
constexpr std::string_view kIncludeUsage = R"("include_usage":true)";

bool contains(const std::vector<std::string>& list, std::string_view name) {
  return std::any_of(list.begin(), list.end(), [name](const std::string& s) { return name == s; });
}

bool is_one_of(std::string_view name, std::initializer_list<std::string_view> names) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

// What a map's key stands for: the text of a string, a literal as it is written.
std::string as_key(std::string_view value) {
  const char type = json::type_of(value);
  if (type == 's') return json::to_text(value).value_or("");
  return type == 't' || type == 'f' ? std::string(value) : std::string();
}

// The effort that comes nearest to a budget of tokens.
std::string_view effort_of(std::int64_t budget) {
  if (budget <= 0) return "none";
  if (budget <= 2048) return "low";
  return budget <= 8192 ? "medium" : "high";
}

// The two ways in which vendors have thinking switched off.
bool says_off(std::string_view thinking, std::string_view enabled) {
  return enabled == "false" || json::inside(json::find(thinking, "type")) == "disabled";
}

std::string percent_encoded(std::string_view text) {
  static constexpr char kHex[] = "0123456789ABCDEF";
  std::string out;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    const bool plain = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                       c == '-' || c == '.' || c == '_' || c == '~';
    if (plain) {
      out += c;
    } else {
      out += '%';
      out += kHex[byte >> 4];
      out += kHex[byte & 15];
    }
  }
  return out;
}

}  // namespace

bool asks_for_nothing(std::string_view name, std::string_view value) {
  switch (json::type_of(value)) {
    case 't':
      return name == "parallel_tool_calls";
    case 'f':
      return name != "parallel_tool_calls";
    case 'n':
      if (name == "n") return value == "1";
      return is_one_of(name, {"presence_penalty", "frequency_penalty", "top_logprobs"}) &&
             value.find_first_not_of("0.") == std::string_view::npos;
    case 's':
      return value.size() == 2 ||
             (name == "service_tier" && is_one_of(json::inside(value), {"auto", "default"}));
    case 'a':
      if (name == "modalities")
        return json::inside(json::at(value, 0)) == "text" && json::at(value, 1).empty();
      return json::at(value, 0).empty();
    case 'o': {
      json::Cursor cursor(value);
      std::string_view member;
      cursor.object();
      return name == "stream_options" || !cursor.member(member);
    }
    default:
      return true;
  }
}

std::string upstream_path(const Dialect& dialect, const Pairs& query, const std::string& path,
                          const swy::Request& request) {
  const Rules& rules = dialect.rules_for(request.model());
  const bool chat = request.task() == "chat";
  const bool goes_on = chat && json::is_true(request.value(kContinue));
  std::string out = chat && !rules.path.empty() ? rules.path : path;
  if (goes_on && !rules.prefix.path.empty()) out = rules.prefix.path;
  if (const std::size_t at = out.find("{model}"); at != std::string::npos) {
    out.replace(at, 7, percent_encoded(request.model()));
  }
  char mark = out.find('?') == std::string::npos ? '?' : '&';
  Pairs all = dialect.query;
  for (const auto& [name, value] : query) set(all, name, value);
  for (const auto& [name, value] : all) {
    out += mark + percent_encoded(name) + "=" + percent_encoded(value);
    mark = '&';
  }
  return out;
}

UpstreamBody::UpstreamBody(const Dialect& dialect, const swy::Request& request,
                           const swy::Pictures* pictures)
    : dialect_(dialect),
      rules_(dialect.rules_for(request.model())),
      request_(request),
      pictures_(pictures) {
  const std::string_view body = request.body();
  const std::size_t n = request.member_count();
  if (n == 0) {
    put_own("{");
    put_missing();
    put_own("}");
    return;
  }
  look_around();
  pieces_.add(body.substr(0, request.member(0).at));
  std::size_t previous_end = 0;
  for (std::size_t i = 0; i < n; ++i) {
    const swy_member& member = request.member(i);
    const std::size_t end = member.value_at + member.value_n;
    const bool touched = rules_.touched.has(swy::view(member.name));
    if (!touched || !leaves_out(member)) {
      if (any_) pieces_.add(body.substr(previous_end, member.at - previous_end));
      if (touched) {
        put_member(member);
      } else {
        pieces_.add(body.substr(member.at, end - member.at));
      }
      any_ = true;
    }
    previous_end = end;
  }
  put_missing();
  pieces_.add(body.substr(previous_end));
}

// What members say of others that may stand before them.
void UpstreamBody::look_around() {
  if (rules_.choices_max > 0) {
    const auto n = json::to_integer(request_.value("n"));
    if (n && *n > rules_.choices_max) {
      refusal_ = swy::Error{SWY_CLS_NOT_OFFERED, dialect_.name + " gives at most " +
                                                     std::to_string(rules_.choices_max) +
                                                     " answer(s) to a request: lower n"};
    }
  }
  if (rules_.tool_choice.none == "no_tools") {
    no_tools_ = json::inside(request_.value("tool_choice")) == "none";
  }
  read_prefix();
  read_reasoning();
  if (!rules_.tool_choice.when_thinking) return;
  thinking_off_ = says_off(request_.value("thinking"), request_.value("enable_thinking"));
  const Named<Pairs>* const efforts = look_up(rules_.instead, "reasoning_effort");
  const Pairs* const effort = efforts != nullptr ? look_up(*efforts, as_key(effort_)) : nullptr;
  if (effort == nullptr) return;
  const std::string* const thinking = look_up(*effort, "thinking");
  const std::string* const enabled = look_up(*effort, "enable_thinking");
  thinking_off_ |= says_off(thinking != nullptr ? std::string_view(*thinking) : "",
                            enabled != nullptr ? std::string_view(*enabled) : "");
}

// A dialect that says nothing of it lets the member pass, as it does what it does not know.
void UpstreamBody::read_prefix() {
  if (!dialect_.request.prefix.known || !json::is_true(request_.value(kContinue))) return;
  if (rules_.prefix.known) {
    prefix_ = &rules_.prefix;
  } else if (!refusal_) {
    refusal_ = swy::Error{SWY_CLS_NOT_OFFERED,
                          "continue_final_message: this model does not go on "
                          "with an assistant's text"};
  }
}

// What `reasoning` says becomes reasoning_effort where the API knows only that: the model is left
// to think as it likes where nothing but "enabled" is said.
void UpstreamBody::read_reasoning() {
  effort_ = request_.value("reasoning_effort");
  const std::string_view reasoning = request_.value("reasoning");
  if (json::is_null(reasoning) || !rules_.lacks(kRequestExtensions, "reasoning")) return;
  if (contains(rules_.drop, "reasoning")) return;
  const swy::Place place{nullptr, "reasoning"};
  std::string_view effort, name;
  bool off = false;
  json::Cursor cursor(reasoning);
  if (!cursor.object()) return losses_.add("reasoning");
  while (cursor.member(name)) {
    const std::string_view value = cursor.value();
    if (json::same(name, "effort")) {
      effort = json::inside(value);
    } else if (json::same(name, "enabled")) {
      off = value == "false";
    } else if (!asks_for_nothing(name, value)) {
      losses_.add(place, name);
      reasoning_told_ = true;
      const auto budget = json::to_integer(value);
      if (json::same(name, "max_tokens") && budget && effort.empty()) effort = effort_of(*budget);
    }
  }
  if (!json::is_null(effort_)) return;
  if (off && effort.empty()) {
    // Models that never think refuse the word, so it is said only where the dialect has one for it.
    if (!maps_effort("none")) return losses_.add(place, "enabled");
    effort = "none";
  }
  if (effort.empty()) return;
  derived_ = json::quoted(effort);
  effort_ = derived_;
}

bool UpstreamBody::maps_effort(std::string_view word) const {
  const auto has = [word](const auto& maps) {
    const auto* const map = look_up(maps, "reasoning_effort");
    return map != nullptr && look_up(*map, word) != nullptr;
  };
  return has(rules_.words) || has(rules_.values) || has(rules_.instead);
}

void UpstreamBody::put_effort() {
  static constexpr std::string_view kEffort = "reasoning_effort";
  if (derived_.empty() || stands_instead(kEffort, effort_)) return;
  for (const Named<Pairs>* maps : {&rules_.words, &rules_.values}) {
    const Pairs* const map = look_up(*maps, kEffort);
    const std::string* const mapped = map != nullptr ? look_up(*map, as_key(effort_)) : nullptr;
    if (mapped == nullptr) continue;
    if (maps == &rules_.values && !reasoning_told_) losses_.add("reasoning");
    if (*mapped != "null") extra_.emplace_back(kEffort, *mapped);
    return;
  }
  if (contains(rules_.drop, kEffort)) {
    if (!reasoning_told_) losses_.add("reasoning");
    return;
  }
  extra_.emplace_back(kEffort, derived_);
}

bool UpstreamBody::leaves_out(const swy_member& member) {
  const std::string_view name = swy::view(member.name);
  const std::string_view value = request_.value(member);
  if (prefix_ != nullptr && !prefix_->mark.empty() && name == kContinue) return true;
  if (no_tools_ && is_one_of(name, {"tools", "tool_choice", "parallel_tool_calls"})) return true;
  if (const std::string* header = look_up(rules_.to_header, name)) {
    headers_.emplace_back(*header, json::to_text(value).value_or(""));
    return true;
  }
  const auto loses = [&] {
    if (!asks_for_nothing(name, value)) losses_.add(name);
    return true;
  };
  if (contains(rules_.drop, name)) return loses();
  if (rules_.lacks(kRequestExtensions, name)) {
    if (name == "reasoning") {
      put_effort();
      return true;
    }
    return loses();
  }
  for (const Named<Pairs>* maps : {&rules_.values, &rules_.words}) {
    const Pairs* const map = look_up(*maps, name);
    const std::string* const mapped = map != nullptr ? look_up(*map, as_key(value)) : nullptr;
    if (mapped != nullptr && *mapped == "null") return maps == &rules_.values ? loses() : true;
  }
  if (stands_instead(name, value)) return true;
  if (name == "tool_choice" && leaves_out_choice(value)) return loses();
  // A member that another one is renamed to gives way to it.
  return std::any_of(rules_.rename.begin(), rules_.rename.end(), [&](const auto& pair) {
    return pair.second == name && request_.find(pair.first) != nullptr;
  });
}

bool UpstreamBody::stands_instead(std::string_view name, std::string_view value) {
  const Named<Pairs>* const map = look_up(rules_.instead, name);
  const Pairs* const members = map != nullptr ? look_up(*map, as_key(value)) : nullptr;
  if (members == nullptr) return false;
  extra_.insert(extra_.end(), members->begin(), members->end());
  return true;
}

bool UpstreamBody::leaves_out_choice(std::string_view value) {
  if (json::type_of(value) != 's' || json::inside(value) != "none") return false;
  return rules_.tool_choice.none == "omit";
}

void UpstreamBody::put_member(const swy_member& member) {
  if (const std::string* renamed = look_up(rules_.rename, swy::view(member.name))) {
    put_own(json::quoted(*renamed) + ":");
  } else {
    pieces_.add(request_.body().substr(member.at, member.value_at - member.at));
  }
  put_value(member);
}

void UpstreamBody::put_value(const swy_member& member) {
  const std::string_view name = swy::view(member.name);
  const std::string_view value = request_.value(member);
  if (name == "model") {
    return put_own(json::quoted(rules_.model.empty() ? request_.model() : rules_.model));
  }
  if (name == "stream_options" && asks_for_usage()) return put_stream_options(value);
  if (name == "messages") return put_messages(value);
  if (name == "tools") return put_tools(value);
  if (name == "tool_choice" && put_tool_choice(value)) return;
  if (name == "documents" && rules_.string_documents) return put_documents(value);
  if (name == "response_format" && rules_.schema_as_prompt &&
      json::inside(json::find(value, "type")) == "json_schema") {
    losses_.add(name);
    return put_own(R"({"type":"json_object"})");
  }
  if (put_shortened(name, value)) return;
  if (json::type_of(value) == 's' && contains(rules_.as_list, name)) {
    return put_own("[" + std::string(value) + "]");
  }
  if (!put_mapped(name, value)) pieces_.add(value);
}

bool UpstreamBody::put_mapped(std::string_view name, std::string_view value) {
  return put_word(rules_.words, name, value, false) || put_word(rules_.values, name, value, true) ||
         put_limited(name, value);
}

bool UpstreamBody::put_word(const Named<Pairs>& maps, std::string_view name, std::string_view value,
                            bool loses) {
  const Pairs* const map = look_up(maps, name);
  const std::string* const mapped = map != nullptr ? look_up(*map, as_key(value)) : nullptr;
  if (mapped == nullptr) return false;
  if (loses) losses_.add(name);
  put_own(*mapped);
  return true;
}

bool UpstreamBody::put_limited(std::string_view name, std::string_view value) {
  const double* const maximum = look_up(rules_.maximum, name);
  const double* const minimum = look_up(rules_.minimum, name);
  double number = 0;
  if ((maximum == nullptr && minimum == nullptr) || json::type_of(value) != 'n') return false;
  const auto read = std::from_chars(value.data(), value.data() + value.size(), number);
  if (read.ec != std::errc()) return false;
  double limited = number;
  if (maximum != nullptr) limited = std::min(limited, *maximum);
  if (minimum != nullptr) limited = std::max(limited, *minimum);
  if (limited == number) return false;
  losses_.add(name);
  char digits[32];
  const auto written = std::to_chars(digits, digits + sizeof digits, limited);
  put_own(std::string(digits, written.ptr));
  return true;
}

bool UpstreamBody::put_shortened(std::string_view name, std::string_view value) {
  const double* const most = look_up(rules_.items_max, name);
  if (most == nullptr || json::at(value, static_cast<std::size_t>(*most)).empty()) return false;
  losses_.add(name);
  std::string list = "[";
  for (std::size_t i = 0; i < static_cast<std::size_t>(*most); ++i) {
    if (i > 0) list += ',';
    list += json::at(value, i);
  }
  put_own(list + "]");
  return true;
}

// A forced choice that this API does not know, or not while the model thinks.
bool UpstreamBody::put_tool_choice(std::string_view value) {
  const ToolChoice& rule = rules_.tool_choice;
  if (rule.when_thinking && thinking_off_) return false;
  const bool named = json::type_of(value) == 'o';
  const std::string& word = named ? rule.named : rule.required;
  if (word.empty() || (!named && json::inside(value) != "required")) return false;
  losses_.add("tool_choice");
  put_own(json::quoted(word));
  return true;
}

bool UpstreamBody::asks_for_usage() const {
  return request_.stream() && dialect_.stream_usage == StreamUsage::kOnRequest &&
         (request_.task() == "chat" || request_.task() == "completions");
}

void UpstreamBody::put_stream_options(std::string_view value) {
  if (json::type_of(value) != 'o') {
    put_own("{" + std::string(kIncludeUsage) + "}");
    return;
  }
  json::Cursor cursor(value);
  std::string_view name;
  bool empty = true;
  cursor.object();
  while (cursor.member(name)) {
    empty = false;
    const std::string_view option = cursor.value();
    if (!json::same(name, "include_usage")) continue;
    const auto at = static_cast<std::size_t>(option.data() - value.data());
    pieces_.add(value.substr(0, at));
    pieces_.add(json::is_true(option) ? option : std::string_view("true"));
    pieces_.add(value.substr(at + option.size()));
    return;
  }
  put_own("{" + std::string(kIncludeUsage) + (empty ? "" : ","));
  pieces_.add(value.substr(1));
}

void UpstreamBody::put_messages(std::string_view messages) {
  MessageEditor editor(rules_, messages, losses_, pictures_);
  if (rules_.schema_as_prompt) {
    const std::string_view format = request_.value("response_format");
    if (json::inside(json::find(format, "type")) == "json_schema") {
      editor.instruct(
          "Answer with one JSON value only, without any words around it, that fits this "
          "JSON schema: " +
          std::string(json::find_path(format, "json_schema.schema")));
    }
  }
  editor.edit();
  if (editor.refusal() && !refusal_) refusal_ = editor.refusal();
  std::vector<Edit> edits = editor.edits();
  if (prefix_ != nullptr && !prefix_->mark.empty()) mark_last(messages, edits);
  put_edited(messages, edits);
  own_.splice_after(own_.before_begin(), editor.texts());
}

void UpstreamBody::mark_last(std::string_view messages, std::vector<Edit>& edits) {
  json::Cursor cursor(messages);
  std::string_view last;
  cursor.array();
  while (cursor.element()) last = cursor.value();
  if (json::type_of(last) != 'o') return;
  const auto end = static_cast<std::size_t>(last.data() - messages.data()) + last.size() - 1;
  own_.push_front("," + json::quoted(prefix_->mark) + ":true");
  edits.push_back({end, end, own_.front()});
}

void UpstreamBody::put_edited(std::string_view text, const std::vector<Edit>& edits) {
  std::size_t at = 0;
  for (const Edit& edit : edits) {
    pieces_.add(text.substr(at, edit.from - at));
    pieces_.add(edit.with);
    at = edit.to;
  }
  pieces_.add(text.substr(at));
}

void UpstreamBody::put_tools(std::string_view tools) {
  std::vector<Edit> edits;
  const bool hints = rules_.lacks(kPartExtensions, "cache_control") &&
                     tools.find("\"cache_control\"") != std::string_view::npos;
  if (!hints && rules_.function_drop.empty()) return pieces_.add(tools);
  json::Cursor cursor(tools);
  std::string_view name;
  const swy::Place place{nullptr, "tools"};
  cursor.array();
  for (std::int64_t i = 0; cursor.element(); ++i) {
    if (!cursor.object()) {
      cursor.skip();
      continue;
    }
    const swy::Place tool{&place, {}, i};
    MemberRemoval tool_removal(edits);
    while (cursor.member(name)) {
      const std::size_t name_at = cursor.name_offset();
      tool_removal.begin(name_at);
      if (rules_.lacks(kPartExtensions, name)) {
        losses_.add_unless_null(tool, name, cursor.value());
        tool_removal.remove(name_at, cursor.offset());
        continue;
      }
      if (!json::same(name, "function") || !cursor.object()) {
        cursor.skip();
        tool_removal.keep(cursor.offset());
        continue;
      }
      const swy::Place function{&tool, "function"};
      MemberRemoval removal(edits);
      while (cursor.member(name)) {
        removal.begin(cursor.name_offset());
        const std::string_view value = cursor.value();
        if (contains(rules_.function_drop, name)) {
          if (!asks_for_nothing(name, value) || json::is_true(value)) losses_.add(function, name);
          removal.remove(cursor.name_offset(), cursor.offset());
        } else {
          removal.keep(cursor.offset());
        }
      }
      tool_removal.keep(cursor.offset());
    }
  }
  put_edited(tools, edits);
}

void UpstreamBody::put_documents(std::string_view documents) {
  json::Cursor cursor(documents);
  if (!cursor.array()) return pieces_.add(documents);
  std::string out = "[";
  while (cursor.element()) {
    const std::string_view document = cursor.value();
    const std::string_view text = json::find(document, "text");
    if (out.size() > 1) out += ',';
    out += json::type_of(text) == 's' ? text : document;
  }
  put_own(out + "]");
}

bool UpstreamBody::given(std::string_view name) const {
  return (request_.find(name) != nullptr && !rules_.lacks(kRequestExtensions, name)) ||
         std::any_of(rules_.rename.begin(), rules_.rename.end(), [&](const auto& pair) {
           return pair.second == name && request_.find(pair.first) != nullptr;
         });
}

// conditions: a task, then any of "stream", "whole", "tools".
bool UpstreamBody::applies(std::string_view conditions) const {
  const std::size_t end = std::min(conditions.find(' '), conditions.size());
  if (conditions.substr(0, end) != request_.task()) return false;
  conditions.remove_prefix(end);
  const auto wants = [conditions](std::string_view word) {
    return conditions.find(word) != std::string_view::npos;
  };
  return (!wants(" stream") || request_.stream()) && (!wants(" whole") || !request_.stream()) &&
         (!wants(" tools") || (request_.find("tools") != nullptr && !no_tools_));
}

void UpstreamBody::put_missing() {
  if (request_.find("model") == nullptr) {
    put_own_member("model", json::quoted(rules_.model.empty() ? request_.model() : rules_.model));
  }
  if (asks_for_usage() && request_.find("stream_options") == nullptr) {
    put_own_member("stream_options", "{" + std::string(kIncludeUsage) + "}");
  }
  for (const auto& [name, value] : extra_) put_missing(name, value);
  if (prefix_ != nullptr) {
    for (const auto& [name, value] : prefix_->members) {
      if (look_up(extra_, name) == nullptr) put_missing(name, value);
    }
  }
  for (const auto& [conditions, members] : rules_.set_default) {
    if (!applies(conditions)) continue;
    for (const auto& [name, value] : members) {
      if (look_up(extra_, name) == nullptr) put_missing(name, value);
    }
  }
}

void UpstreamBody::put_missing(std::string_view name, std::string_view value) {
  if (!given(name)) put_own_member(name, value);
}

void UpstreamBody::put_own_member(std::string_view name, std::string_view value) {
  std::string text = any_ ? "," : "";
  json::append_string(text, name);
  text += ':';
  text += value;
  any_ = true;
  put_own(std::move(text));
}

void UpstreamBody::put_own(std::string text) {
  own_.push_front(std::move(text));
  pieces_.add(own_.front());
}

}  // namespace openai
