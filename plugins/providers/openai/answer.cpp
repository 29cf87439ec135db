#include "providers/openai/answer.hpp"

#include <algorithm>
#include <utility>

namespace openai {

namespace json = swy::json;

namespace {

std::string_view without_quotes(std::string_view value) {
  return json::type_of(value) == 's' ? value.substr(1, value.size() - 2) : std::string_view();
}

// True for a string, array or object with something in it.
bool holds_something(std::string_view value) {
  const char type = json::type_of(value);
  return (type == 's' || type == 'a' || type == 'o') && value.size() > 2;
}

bool is_content_name(std::string_view name) {
  return json::is(name, "content") || json::is(name, "tool_calls") ||
         json::is(name, "reasoning_content") || json::is(name, "reasoning") ||
         json::is(name, "refusal") || json::is(name, "function_call") || json::is(name, "audio") ||
         json::is(name, "reasoning_details");
}

// An id for a call that came without: another one in each request.
std::string call_id(std::string_view request, std::size_t number) {
  static constexpr char kHex[] = "0123456789abcdef";
  std::uint64_t hash = 14695981039346656037ULL;  // FNV-1a, 64 bits
  for (const char c : request) hash = (hash ^ static_cast<unsigned char>(c)) * 1099511628211ULL;
  std::string out = "call_";
  for (int i = 0; i < 16; ++i, hash >>= 4) out += kHex[hash & 15];
  return out + "_" + std::to_string(number);
}

// Some servers write the word where there is no id.
bool is_id(std::string_view value) {
  return json::type_of(value) == 's' && value.size() > 2 && value != R"("null")";
}

}  // namespace

Answer AnswerScanner::scan(std::string_view text) {
  Answer answer;
  text_ = text;
  edits_.clear();
  own_.clear();
  unfinished_.clear();
  json::Cursor cursor(text);
  MemberRemoval removal(edits_);
  std::string_view name;
  if (!cursor.object()) return answer;
  if (dialect_->completes) complete(text, cursor.offset());
  while (cursor.member(name)) {
    const std::size_t name_at = cursor.name_offset();
    removal.begin(name_at);
    if (json::is(name, "choices") && cursor.array()) {
      answer.listed = true;
      while (cursor.element()) scan_choice(cursor, answer);
      removal.keep(cursor.offset());
      continue;
    }
    const std::string_view value = cursor.value();
    if (json::is(name, "usage")) {
      if (json::type_of(value) == 'o') answer.usage = value;
      // Beside the end of a stream's answer it would be counted twice: it follows in a chunk of its
      // own, as OpenAI sends it.
      const bool moved = answer.delta && !answer.finish.empty() && !answer.usage.empty();
      if (hide_usage_ || moved) {
        removal.remove(name_at, cursor.offset());
        continue;
      }
    } else if (json::is(name, "error")) {
      if (!json::is_null(value)) answer.error = value;
    } else if (json::is(name, "service_tier")) {
      if (json::type_of(value) == 's') answer.tier = value;
    } else if (json::is(name, "object")) {
      answer.object = without_quotes(value);
    } else if (json::is(name, "data") || json::is(name, "results")) {
      answer.listed = json::type_of(value) == 'a';
    }
    removal.keep(cursor.offset());
  }
  answer.valid = cursor.at_end();
  if (!unfinished_.empty()) finish_choices(answer);
  return answer;
}

void AnswerScanner::complete(std::string_view text, std::size_t inside) {
  std::string members;
  const auto add = [&](std::string_view name, const std::string& value) {
    if (json::find(text, name).empty()) members += json::quoted(name) + ":" + value + ",";
  };
  const std::string_view own_id = json::find_path(text, dialect_->id_path);
  if (json::type_of(own_id) == 's') identity_.id = json::to_text(own_id).value_or("");
  add("id", json::quoted(identity_.id.empty() ? identity_.request : identity_.id));
  add("object", json::quoted(identity_.object));
  add("created", std::to_string(identity_.created));
  add("model", json::quoted(identity_.model));
  if (members.empty()) return;
  const std::size_t next = text.find_first_not_of(" \t\r\n", inside);
  if (next != std::string_view::npos && text[next] == '}') members.pop_back();  // its comma
  insert(inside, std::move(members));
}

void AnswerScanner::scan_choice(json::Cursor& cursor, Answer& answer) {
  answer.choices = true;
  if (!cursor.object()) return cursor.skip();
  std::string_view name, finish, forced, finish_value;
  bool any = false, delta = false;
  choice_ = 0;
  while (cursor.member(name)) {
    any = true;
    if (json::is(name, "delta") || json::is(name, "message")) {
      delta = json::is(name, "delta");
      answer.delta |= delta;
      answer.content |= scan_message(cursor, delta);
      continue;
    }
    const std::string_view value = cursor.value();
    if (json::is(name, "text")) {
      answer.content |= holds_something(value);
    } else if (json::is(name, "finish_reason")) {
      finish = without_quotes(value);
      finish_value = value;
    } else if (json::is(name, "index")) {
      choice_ = json::to_integer(value).value_or(0);
    } else if (!dialect_->finish_members.empty()) {
      const std::string_view other = forced_finish(name, value);
      if (!other.empty()) forced = other;
    }
  }
  if (!finish.empty()) {
    note_finish(finish, forced, answer);  // last: the choice's own tool calls count
  } else if (dialect_->completes && !delta && cursor.ok()) {
    unfinished_.push_back({finish_value, cursor.offset() - 1, !any});
  }
}

std::string_view AnswerScanner::forced_finish(std::string_view name, std::string_view value) const {
  for (const FinishMember& each : dialect_->finish_members) {
    const std::string_view text = json::type_of(value) == 's' ? json::inside(value) : value;
    if (name == each.member && !json::is_null(value) && text != each.fine) return each.finish;
  }
  return {};
}

bool AnswerScanner::scan_message(json::Cursor& cursor, bool delta) {
  bool content = false;
  std::string_view name, thinking, shown;
  std::size_t thinking_at = 0;
  bool named = false;  // reasoning_content is there
  if (!cursor.object()) {
    cursor.skip();
    return false;
  }
  while (cursor.member(name)) {
    if (json::is(name, "tool_calls") && (cursor.type() == 'a' || cursor.type() == 'o')) {
      content |= scan_calls(cursor, delta);
      continue;
    }
    const std::size_t name_at = cursor.name_offset();
    const std::string_view value = cursor.value();
    if (is_content_name(name) && holds_something(value)) content = true;
    if (json::is(name, "reasoning_content")) {
      named = true;
      shown = value;
    } else if (!dialect_->reasoning.empty() && name == dialect_->reasoning) {
      thinking = value;
      thinking_at = name_at;
    } else if (dialect_->content_chunks && json::is(name, "content") &&
               json::type_of(value) == 'a') {
      join_chunks(value);
    }
  }
  if (json::type_of(thinking) == 's' && json::is_null(shown)) {
    if (named) {
      replace(shown, std::string(thinking));
    } else {
      insert(thinking_at, R"("reasoning_content":)" + std::string(thinking) + ",");
    }
  }
  return content;
}

// Mistral's content: texts and thinking, one after the other.
void AnswerScanner::join_chunks(std::string_view chunks) {
  std::string text = "\"", thinking = "\"";
  bool thinks = false;
  json::Cursor cursor(chunks);
  cursor.array();
  while (cursor.element()) {
    const std::string_view chunk = cursor.value();
    json::append_inside(text, json::inside(json::find(chunk, "text")));
    json::Cursor inner(json::find(chunk, "thinking"));
    if (!inner.array()) continue;
    thinks = true;
    while (inner.element()) {
      json::append_inside(thinking, json::inside(json::find(inner.value(), "text")));
    }
  }
  text += '"';
  if (thinks) text += R"(,"reasoning_content":)" + thinking + '"';
  replace(chunks, std::move(text));
}

bool AnswerScanner::scan_calls(json::Cursor& cursor, bool delta) {
  if (cursor.type() == 'o') {  // one call without its list
    insert(cursor.offset(), "[");
    const bool any = scan_call(cursor, delta);
    insert(cursor.offset(), "]");
    return any;
  }
  bool any = false;
  cursor.array();
  while (cursor.element()) any |= scan_call(cursor, delta);
  return any;
}

bool AnswerScanner::scan_call(json::Cursor& cursor, bool delta) {
  if (!cursor.object()) {
    cursor.skip();
    return true;
  }
  Fragment fragment;
  fragment.inside = cursor.offset();
  std::string_view name;
  while (cursor.member(name)) {
    fragment.empty = false;
    if (json::is(name, "function") && cursor.object()) {
      fragment.function = true;
      scan_function(cursor);
      continue;
    }
    const std::string_view value = cursor.value();
    if (json::is(name, "index")) {
      fragment.index = value;
    } else if (json::is(name, "id")) {
      fragment.id = value;
    } else if (json::is(name, "type")) {
      fragment.type = true;
    }
  }
  name_call(fragment, delta);
  return true;
}

// Arguments are a string that holds JSON; some servers send the object itself.
void AnswerScanner::scan_function(json::Cursor& cursor) {
  std::string_view name;
  while (cursor.member(name)) {
    const std::string_view value = cursor.value();
    if (json::is(name, "arguments") && json::type_of(value) == 'o') {
      replace(value, json::quoted(value));
    }
  }
}

// Fragments of a call are joined by its index. Where an upstream leaves it out, or gives several
// calls the same, one with an id of its own is a new call.
std::pair<std::size_t, bool> AnswerScanner::number_of(const Fragment& fragment, bool delta) {
  const std::string id = is_id(fragment.id) ? json::to_text(fragment.id).value_or("") : "";
  const auto index = json::to_integer(fragment.index);
  std::size_t number = 0;  // of the choice's calls
  std::size_t found = 0;
  Call* call = nullptr;
  for (Call& each : calls_) {
    if (each.choice != choice_) continue;
    const bool same = index ? each.index == *index : id.empty() || id == each.id;
    if (same) {
      call = &each;
      found = number;
    }
    ++number;
  }
  const bool other = call != nullptr && !id.empty() && !call->id.empty() && call->id != id;
  if (delta && call != nullptr && !other) {
    if (call->id.empty()) call->id = id;
    return {found, false};
  }
  calls_.push_back({choice_, index.value_or(-1), id});
  return {number, true};
}

void AnswerScanner::name_call(const Fragment& fragment, bool delta) {
  const auto [number, fresh] = number_of(fragment, delta);
  std::string members;
  const auto add = [&members](std::string_view name, const std::string& value) {
    if (!members.empty()) members += ',';
    members += json::quoted(name) + ":" + value;
  };
  if (delta && json::type_of(fragment.index) != 'n') {
    if (fragment.index.empty()) {
      add("index", std::to_string(number));
    } else {
      replace(fragment.index, std::to_string(number));
    }
  } else if (delta && json::to_integer(fragment.index) != static_cast<std::int64_t>(number)) {
    replace(fragment.index, std::to_string(number));
  }
  if (fresh && fragment.function) {
    if (!is_id(fragment.id)) {
      const std::string id = json::quoted(call_id(identity_.request, calls_.size() - 1));
      if (fragment.id.empty()) {
        add("id", id);
      } else {
        replace(fragment.id, id);
      }
    }
    if (!fragment.type) add("type", R"("function")");
  }
  if (members.empty()) return;
  if (!fragment.empty) members += ',';
  insert(fragment.inside, std::move(members));
}

void AnswerScanner::note_finish(std::string_view value, std::string_view forced, Answer& answer) {
  answer.finish = value;
  if (!forced.empty()) {
    answer.finish = forced;
  } else if (const std::string* mapped = look_up(dialect_->finish_reasons, value)) {
    answer.finish = *mapped;
  } else if (dialect_->finish_tool_calls && !calls_.empty() && value == "stop") {
    answer.finish = "tool_calls";
  } else {
    return;
  }
  const auto at = static_cast<std::size_t>(value.data() - text_.data());
  edits_.push_back({at, at + value.size(), answer.finish});
}

std::string_view AnswerScanner::likely_finish(std::string_view usage) const {
  if (!calls_.empty()) return "tool_calls";
  const auto said = json::to_integer(json::find(usage, "completion_tokens"));
  const bool full = said && identity_.tokens_max > 0 && *said >= identity_.tokens_max;
  return full ? "length" : "stop";
}

void AnswerScanner::finish_choices(Answer& answer) {
  answer.finish = likely_finish(answer.usage);
  for (const Unfinished& choice : unfinished_) {
    const std::string reason = json::quoted(answer.finish);
    if (!choice.value.empty()) {
      replace(choice.value, reason);
    } else {
      insert(choice.end, (choice.first ? R"("finish_reason":)" : R"(,"finish_reason":)") + reason);
    }
  }
}

void AnswerScanner::add_prompt_tokens(std::string_view usage) {
  const std::string_view total = json::find(usage, "total_tokens");
  if (json::type_of(total) != 'n' || !json::find(usage, "prompt_tokens").empty()) return;
  const auto at = static_cast<std::size_t>(usage.data() - text_.data());
  insert(at + 1, R"("prompt_tokens":)" + std::string(total) + ",");
}

void AnswerScanner::insert(std::size_t at, std::string text) {
  own_.push_front(std::move(text));
  edits_.push_back({at, at, own_.front()});
}

void AnswerScanner::replace(std::string_view part, std::string text) {
  const auto at = static_cast<std::size_t>(part.data() - text_.data());
  own_.push_front(std::move(text));
  edits_.push_back({at, at + part.size(), own_.front()});
}

std::string_view AnswerScanner::edited() {
  if (edits_.empty()) return text_;
  // They are nearly in order, and stay so where two are at one place.
  for (std::size_t i = 1; i < edits_.size(); ++i) {
    for (std::size_t j = i; j > 0 && edits_[j].from < edits_[j - 1].from; --j) {
      std::swap(edits_[j], edits_[j - 1]);
    }
  }
  scratch_.clear();
  std::size_t at = 0;
  for (const Edit& edit : edits_) {
    scratch_.append(text_.substr(at, edit.from - at)).append(edit.with);
    at = edit.to;
  }
  return scratch_.append(text_.substr(at));
}

std::string canonical_usage(const Dialect& dialect, std::string_view usage) {
  const auto count = [usage](std::string_view path) {
    const auto number = json::to_integer(json::find_path(usage, path));
    return number && *number >= 0 ? number : std::nullopt;
  };
  const bool is_canonical = dialect.usage_cached_path.empty() &&
                            dialect.usage_cache_write_path.empty() &&
                            !dialect.usage_reasoning_beside;
  auto prompt = count("prompt_tokens");
  if (is_canonical && prompt) return std::string(usage);
  auto completion = count("completion_tokens");
  const auto total = count("total_tokens");
  const bool sum_only = !prompt && !completion && total;  // embeddings, rerank
  if (is_canonical && !sum_only) return std::string(usage);
  if (sum_only) prompt = total;
  const auto reasoning = count("completion_tokens_details.reasoning_tokens");
  auto cached = count("prompt_tokens_details.cached_tokens");
  if (!cached && !dialect.usage_cached_path.empty()) cached = count(dialect.usage_cached_path);
  auto written = count("prompt_tokens_details.cache_write_tokens");
  if (!written && !dialect.usage_cache_write_path.empty()) {
    written = count(dialect.usage_cache_write_path);
  }
  // The sum tells whether it is so in this answer.
  if (dialect.usage_reasoning_beside && completion && reasoning && total && prompt &&
      *total > *prompt + *completion) {
    completion = *completion + *reasoning;
  }
  std::string out;
  json::Writer writer(out);
  const auto put = [&writer](std::string_view name, const std::optional<std::int64_t>& value) {
    if (value) writer.key(name).integer(*value);
  };
  writer.open_object();
  put("prompt_tokens", prompt);
  put("completion_tokens", completion);
  put("total_tokens", total);
  writer.key("prompt_tokens_details").open_object();
  put("cached_tokens", cached);
  put("cache_write_tokens", written);
  put("audio_tokens", count("prompt_tokens_details.audio_tokens"));
  put("image_tokens", count("prompt_tokens_details.image_tokens"));
  writer.close_object().key("completion_tokens_details").open_object();
  put("reasoning_tokens", reasoning);
  put("audio_tokens", count("completion_tokens_details.audio_tokens"));
  put("image_tokens", count("completion_tokens_details.image_tokens"));
  writer.close_object();
  const auto heard = count("prompt_audio_seconds");  // Mistral's: sold beside the tokens
  if (heard && *heard > 0) put("seconds", heard);
  // xAI's searches and other tools of its own, sold by the call; earlier by the source.
  auto searches = count("num_server_side_tools_used");
  if (!searches) searches = count("num_sources_used");
  if (searches && *searches > 0) put("searches", searches);
  writer.close_object();
  return out;
}

namespace {

void put_ranked(std::string_view item, json::Writer& writer) {
  json::Cursor cursor(item);
  std::string_view name;
  if (!cursor.object()) return;
  writer.open_object();
  while (cursor.member(name)) {
    const std::string_view value = cursor.value();
    const bool bare = json::is(name, "document") && json::type_of(value) == 's';
    if (json::is(name, "document") && json::is_null(value)) continue;
    writer.key(json::unescape("\"" + std::string(name) + "\""));
    if (bare) {
      writer.open_object().key("text").raw(value).close_object();
    } else {
      writer.raw(value);
    }
  }
  writer.close_object();
}

void put_ranked_usage(std::string_view usage, json::Writer& writer) {
  const std::string_view total = json::find(usage, "total_tokens");
  const std::string_view prompt = json::find(usage, "prompt_tokens");
  writer.key("usage").open_object();
  const std::string_view read = prompt.empty() ? total : prompt;
  if (!read.empty()) writer.key("prompt_tokens").raw(read);
  if (!total.empty() || !read.empty()) writer.key("total_tokens").raw(total.empty() ? read : total);
  writer.close_object();
}

}  // namespace

std::string canonical_rerank(std::string_view body, std::string_view model) {
  std::string out;
  json::Writer writer(out);
  writer.open_object();
  json::Cursor cursor(body);
  std::string_view name;
  cursor.object();
  bool named = false;
  while (cursor.member(name)) {
    const std::string_view value = cursor.value();
    if (json::is(name, "data") || json::is(name, "results")) {
      writer.key("results").open_array();
      json::Cursor list(value);
      list.array();
      while (list.element()) put_ranked(list.value(), writer);
      writer.close_array();
    } else if (json::is(name, "usage")) {
      put_ranked_usage(value, writer);
    } else if (!json::is(name, "object")) {
      named |= json::is(name, "model");
      writer.key(json::unescape("\"" + std::string(name) + "\"")).raw(value);
    }
  }
  if (!named) writer.key("model").text(model);
  writer.close_object();
  return out;
}

}  // namespace openai
