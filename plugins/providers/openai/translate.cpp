#include "providers/openai/translate.hpp"

#include <algorithm>
#include <charconv>
#include <switchyard/json.hpp>

#include "providers/openai/errors.hpp"

namespace openai {

namespace json = swy::json;

namespace {

constexpr std::string_view kIncludeUsage = R"("include_usage":true)";

// Collects the edits that take members out of one object, commas included.
class MemberRemoval {
 public:
  explicit MemberRemoval(std::vector<Edit>& edits) : edits_(edits) {}

  // Called for each member in order, before anything inside it is edited.
  void begin(std::size_t name_at) {
    if (pending_) edits_.back().to = name_at;
    pending_ = false;
  }
  void keep(std::size_t value_end) {
    kept_ = true;
    last_end_ = value_end;
  }
  // With a member kept before it goes its comma, else the one behind it.
  void remove(std::size_t name_at, std::size_t value_end) {
    edits_.push_back({kept_ ? last_end_ : name_at, value_end, {}});
    pending_ = !kept_;
    last_end_ = value_end;
  }

 private:
  std::vector<Edit>& edits_;
  std::size_t last_end_ = 0;
  bool kept_ = false, pending_ = false;
};

bool contains(const std::vector<std::string>& list, std::string_view name) {
  return std::any_of(list.begin(), list.end(), [name](const std::string& s) { return name == s; });
}

template <class T>
const T* look_up(const std::vector<std::pair<std::string, T>>& pairs, std::string_view key) {
  for (const auto& [first, second] : pairs) {
    if (first == key) return &second;
  }
  return nullptr;
}

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

}  // namespace

// ---- answers ----

Answer AnswerScanner::scan(std::string_view text) {
  Answer answer;
  text_ = text;
  edits_.clear();
  own_.clear();
  json::Cursor cursor(text);
  MemberRemoval removal(edits_);
  std::string_view name;
  if (!cursor.object()) return answer;
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
      if (hide_usage_) {
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
  return answer;
}

void AnswerScanner::scan_choice(json::Cursor& cursor, Answer& answer) {
  answer.choices = true;
  if (!cursor.object()) return cursor.skip();
  std::string_view name, finish;
  while (cursor.member(name)) {
    if (json::is(name, "delta") || json::is(name, "message")) {
      answer.content |= scan_message(cursor, json::is(name, "delta"));
      continue;
    }
    const std::string_view value = cursor.value();
    if (json::is(name, "text")) {
      answer.content |= holds_something(value);
    } else if (json::is(name, "finish_reason")) {
      finish = without_quotes(value);
    }
  }
  if (!finish.empty()) note_finish(finish, answer);  // last: the choice's own tool calls count
}

bool AnswerScanner::scan_message(json::Cursor& cursor, bool delta) {
  bool content = false;
  std::string_view name;
  if (!cursor.object()) {
    cursor.skip();
    return false;
  }
  while (cursor.member(name)) {
    if (json::is(name, "tool_calls") && cursor.array()) {
      content |= scan_calls(cursor, delta);
      continue;
    }
    const std::string_view value = cursor.value();
    if (is_content_name(name) && holds_something(value)) content = true;
  }
  return content;
}

// Fragments of a call are joined by its index. Where an upstream leaves it out, one with an id is a
// new call.
bool AnswerScanner::scan_calls(json::Cursor& cursor, bool delta) {
  bool any = false;
  while (cursor.element()) {
    any = true;
    bool empty = true, index = false, id = false;
    std::string_view name;
    if (!cursor.object()) {
      cursor.skip();
      continue;
    }
    const std::size_t inside = cursor.offset();
    while (cursor.member(name)) {
      const std::string_view value = cursor.value();
      empty = false;
      index |= json::is(name, "index") && json::type_of(value) == 'n';
      id |= json::is(name, "id") && json::type_of(value) == 's';
    }
    if (id || calls_ == 0) ++calls_;
    if (index || !delta) continue;
    own_.push_front("\"index\":" + std::to_string(calls_ - 1) + (empty ? "" : ","));
    edits_.push_back({inside, inside, own_.front()});
  }
  return any;
}

void AnswerScanner::note_finish(std::string_view value, Answer& answer) {
  answer.finish = value;
  if (const std::string* mapped = look_up(dialect_->finish_reasons, value)) {
    answer.finish = *mapped;
  } else if (dialect_->finish_tool_calls && calls_ > 0 && value == "stop") {
    answer.finish = "tool_calls";
  } else {
    return;
  }
  const auto at = static_cast<std::size_t>(value.data() - text_.data());
  edits_.push_back({at, at + value.size(), answer.finish});
}

std::string_view AnswerScanner::edited() {
  if (edits_.empty()) return text_;
  std::sort(edits_.begin(), edits_.end(),
            [](const Edit& a, const Edit& b) { return a.from < b.from; });
  scratch_.clear();
  std::size_t at = 0;
  for (const Edit& edit : edits_) {
    scratch_.append(text_.substr(at, edit.from - at)).append(edit.with);
    at = edit.to;
  }
  return scratch_.append(text_.substr(at));
}

std::string canonical_usage(const Dialect& dialect, std::string_view usage) {
  if (dialect.usage_cached_path.empty() && dialect.usage_cache_write_path.empty() &&
      !dialect.usage_reasoning_beside) {
    return std::string(usage);
  }
  const auto count = [usage](std::string_view path) {
    const auto number = json::to_integer(json::find_path(usage, path));
    return number && *number >= 0 ? number : std::nullopt;
  };
  const auto prompt = count("prompt_tokens"), total = count("total_tokens");
  const auto reasoning = count("completion_tokens_details.reasoning_tokens");
  auto completion = count("completion_tokens");
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
  writer.close_object().close_object();
  return out;
}

// ---- request ----

UpstreamBody::UpstreamBody(const Dialect& dialect, const swy::Request& request)
    : dialect_(dialect), request_(request) {
  const std::string_view body = request.body();
  const std::size_t n = request.member_count();
  if (n == 0) {
    put_own("{");
    put_missing();
    put_own("}");
    return;
  }
  pieces_.add(body.substr(0, request.member(0).at));
  std::size_t previous_end = 0;
  for (std::size_t i = 0; i < n; ++i) {
    const swy_member& member = request.member(i);
    if (!leaves_out(swy::view(member.name))) {
      if (any_) pieces_.add(body.substr(previous_end, member.at - previous_end));
      put_member(member);
      any_ = true;
    }
    previous_end = member.value_at + member.value_n;
  }
  put_missing();
  pieces_.add(body.substr(previous_end));
}

bool UpstreamBody::leaves_out(std::string_view name) const {
  if (contains(dialect_.drop, name)) return true;
  // A member that another one is renamed to gives way to it.
  return std::any_of(dialect_.rename.begin(), dialect_.rename.end(), [&](const auto& pair) {
    return pair.second == name && request_.find(pair.first) != nullptr;
  });
}

void UpstreamBody::put_member(const swy_member& member) {
  if (const std::string* renamed = look_up(dialect_.rename, swy::view(member.name))) {
    put_own(json::quoted(*renamed) + ":");
  } else {
    pieces_.add(request_.body().substr(member.at, member.value_at - member.at));
  }
  put_value(member);
}

void UpstreamBody::put_value(const swy_member& member) {
  const std::string_view name = swy::view(member.name);
  const std::string_view value = request_.value(member);
  if (name == "model") return put_own(json::quoted(request_.model()));
  if (name == "stream_options" && asks_for_usage()) return put_stream_options(value);
  if (name == "messages") return put_messages(value);
  if (!put_mapped(name, value)) pieces_.add(value);
}

bool UpstreamBody::put_mapped(std::string_view name, std::string_view value) {
  if (const Pairs* map = look_up(dialect_.values, name)) {
    const auto text = json::to_text(value);
    const std::string* mapped = text ? look_up(*map, *text) : nullptr;
    if (mapped == nullptr) return false;
    put_own(json::quoted(*mapped));
    return true;
  }
  const double* maximum = look_up(dialect_.maximum, name);
  double number = 0;
  if (maximum == nullptr || json::type_of(value) != 'n') return false;
  const auto read = std::from_chars(value.data(), value.data() + value.size(), number);
  if (read.ec != std::errc() || number <= *maximum) return false;
  char digits[32];
  const auto written = std::to_chars(digits, digits + sizeof digits, *maximum);
  put_own(std::string(digits, written.ptr));
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
  const auto mentioned = [messages](std::string_view word) {
    return messages.find(word) != std::string_view::npos;
  };
  const bool work =
      std::any_of(dialect_.roles.begin(), dialect_.roles.end(),
                  [&](const auto& role) { return mentioned(role.first); }) ||
      std::any_of(dialect_.message_drop.begin(), dialect_.message_drop.end(), mentioned);
  if (!work) return pieces_.add(messages);

  std::vector<Edit> edits;
  json::Cursor cursor(messages);
  cursor.array();
  while (cursor.element()) {
    if (!cursor.object()) {
      cursor.skip();
      continue;
    }
    MemberRemoval removal(edits);
    std::string_view name;
    while (cursor.member(name)) {
      removal.begin(cursor.name_offset());
      const std::string_view value = cursor.value();
      if (contains(dialect_.message_drop, name)) {
        removal.remove(cursor.name_offset(), cursor.offset());
        continue;
      }
      if (const std::string* role = look_up(dialect_.roles, without_quotes(value));
          role != nullptr && json::same(name, "role")) {
        edits.push_back({cursor.offset() - value.size() + 1, cursor.offset() - 1, *role});
      }
      removal.keep(cursor.offset());
    }
  }
  std::size_t at = 0;
  for (const Edit& edit : edits) {
    pieces_.add(messages.substr(at, edit.from - at));
    pieces_.add(edit.with);
    at = edit.to;
  }
  pieces_.add(messages.substr(at));
}

void UpstreamBody::put_missing() {
  if (request_.find("model") == nullptr) put_own_member("model", json::quoted(request_.model()));
  if (asks_for_usage() && request_.find("stream_options") == nullptr) {
    put_own_member("stream_options", "{" + std::string(kIncludeUsage) + "}");
  }
  const Pairs* defaults = look_up(dialect_.set_default, request_.task());
  if (defaults == nullptr) return;
  for (const auto& [name, value] : *defaults) {
    const bool given =
        request_.find(name) != nullptr ||
        std::any_of(dialect_.rename.begin(), dialect_.rename.end(), [&](const auto& pair) {
          return pair.second == name && request_.find(pair.first) != nullptr;
        });
    if (!given) put_own_member(name, value);
  }
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

// ---- operation ----

Operation::Operation(const Settings& settings, const swy::Request& request)
    : settings_(&settings),
      request_(request),
      streaming_(request.stream() && (request.task() == "chat" || request.task() == "completions")),
      want_usage_(request.want_usage()),
      emit_flags_(request.native() ? SWY_EMIT_NATIVE : 0),
      // Only a stream hides it: a whole answer always has usage.
      scanner_(settings.dialect, streaming_ && !want_usage_) {}

swy::Next Operation::step(const swy::Event& event, swy::Out& out) {
  switch (event.kind()) {
    case SWY_EV_DATA:
      return on_data(event, out);
    case SWY_EV_START:
      return start(out);
    case SWY_EV_HEAD:
      return on_head(event, out);
    case SWY_EV_END:
      return on_end(out);
    case SWY_EV_IOERR:
      return swy::Next::fail(
          {static_cast<std::int32_t>(event.status()), std::string(event.data())});
    case SWY_EV_CANCEL:
      return swy::Next::done();
    default:
      return swy::Next::unknown_event();
  }
}

swy::Next Operation::start(swy::Out& out) {
  const Dialect& dialect = settings_->dialect;
  const std::string* path = look_up(dialect.paths, request_.task());
  if (path == nullptr) {
    std::string what = dialect.name + " does not offer " + std::string(request_.task());
    return swy::Next::fail({SWY_CLS_NOT_OFFERED, std::move(what)});
  }
  const bool get = request_.task() == "models";
  out.begin(get ? "GET" : "POST", *path, streaming_ ? SWY_FRAME_SSE : SWY_FRAME_WHOLE);
  out.auth(dialect.auth_scheme, dialect.auth_name);
  out.header("accept", streaming_ ? "text/event-stream" : "application/json");
  for (std::uint32_t i = 0; i < request_.raw().nhdr; ++i) {
    const std::string_view name = swy::view(request_.raw().hdr[i].k);
    if (name == "accept" || name == "content-type") continue;
    out.header(name, swy::view(request_.raw().hdr[i].v));
  }
  for (const auto& [name, value] : dialect.headers) out.header(name, value);
  for (const auto& [name, value] : settings_->headers) out.header(name, value);
  if (!get) {
    out.header("content-type", "application/json");
    const UpstreamBody body(dialect, request_);
    out.body(body.pieces());
  }
  return swy::Next::send();
}

swy::Next Operation::on_head(const swy::Event& event, swy::Out& out) {
  status_ = event.status();
  if (status_ >= 300) retry_after_ms_ = retry_after_ms(settings_->dialect, event.headers());
  const std::string limits = read_limits(event.headers());
  if (!limits.empty()) out.limits(limits);
  return swy::Next::feed();
}

swy::Next Operation::on_data(const swy::Event& event, swy::Out& out) {
  const std::string_view data = event.data();
  if (status_ >= 300) return refuse(data, out);
  if (!streaming_) return on_whole(data, out);
  if (data == "[DONE]") {
    return any_chunk_ ? end_stream(out) : bad_answer("the stream ended before any chunk");
  }
  if (event.name() == "error") return refuse(data, out);
  return on_chunk(data, out);
}

swy::Next Operation::on_end(swy::Out& out) {
  if (status_ >= 300) return refuse({}, out);
  if (!streaming_) return bad_answer("the upstream's answer is empty");
  return finished_ ? end_stream(out) : bad_answer("the stream ended without finish_reason");
}

swy::Next Operation::on_chunk(std::string_view chunk, swy::Out& out) {
  const Answer answer = scanner_.scan(chunk);
  if (!answer.valid) return bad_answer("a stream event is not a JSON object");
  if (!answer.error.empty() || answer.object == "error") return refuse(chunk, out);

  note_usage(chunk, answer, out);
  if (!note_finish(answer.finish, out)) return ended_with_error();
  any_chunk_ = true;
  if (!answer.choices && !answer.usage.empty()) {
    if (!want_usage_) return swy::Next::feed();
    usage_shown_ = true;
  }
  if (want_usage_ && identity_.empty()) keep_identity(chunk);
  out.delta(scanner_.edited(), emit_flags_ | (answer.content ? SWY_EMIT_CONTENT : 0));
  return swy::Next::feed();
}

swy::Next Operation::on_whole(std::string_view body, swy::Out& out) {
  const Answer answer = scanner_.scan(body);
  if (!answer.valid) return bad_answer("the upstream's answer is not a JSON object");
  if (!answer.error.empty() || answer.object == "error") return refuse(body, out);
  if (!answer.listed) {
    return bad_answer("the upstream's answer to " + std::string(request_.task()) +
                      " has no choices, data or results");
  }
  note_usage(body, answer, out);
  if (!note_finish(answer.finish, out)) return ended_with_error();
  out.whole(scanner_.edited(), emit_flags_);
  return swy::Next::done();
}

// A client that asked for usage gets it as OpenAI sends it, wherever the upstream had put it.
swy::Next Operation::end_stream(swy::Out& out) {
  if (want_usage_ && !usage_shown_ && !usage_.empty()) {
    std::string chunk = "{" + identity_ + R"("choices":[],"usage":)" + usage_ + "}";
    out.delta(chunk, emit_flags_);
  }
  return swy::Next::done();
}

swy::Next Operation::refuse(std::string_view body, swy::Out& out) {
  Fault fault = read_fault(settings_->dialect, status_, retry_after_ms_, body);
  out.error(fault.client);
  return swy::Next::fail(std::move(fault.error));
}

swy::Next Operation::bad_answer(std::string what) const {
  return swy::Next::fail({SWY_CLS_BAD_ANSWER, std::move(what), status_});
}

// False where the upstream says that it failed.
bool Operation::note_finish(std::string_view reason, swy::Out& out) {
  if (reason.empty()) return true;
  finished_ = true;
  if (reason == "error") return false;
  out.finish_reason(reason);
  return true;
}

swy::Next Operation::ended_with_error() const {
  return swy::Next::fail({SWY_CLS_SERVER, "the upstream broke off its answer", status_});
}

void Operation::note_usage(std::string_view text, const Answer& answer, swy::Out& out) {
  std::string_view usage = answer.usage;
  const auto& paths = settings_->dialect.usage_paths;
  if (usage.empty() && !paths.empty() && text.find("usage") != std::string_view::npos) {
    for (const std::string& path : paths) {
      const std::string_view found = json::find_path(text, path);
      // Groq's x_groq.usage of a whole answer counts hardware caches only.
      if (!json::find(found, "prompt_tokens").empty()) usage = found;
    }
  }
  if (usage.empty()) return;
  std::string canonical = canonical_usage(settings_->dialect, usage);
  if (want_usage_ && streaming_) usage_ = canonical;
  if (!answer.tier.empty() && json::find(usage, "service_tier").empty()) {
    // It decides the price, and stands beside usage here.
    json::Cursor cursor(usage);
    std::string_view first;
    const bool any = cursor.object() && cursor.member(first);
    canonical.insert(1, R"("service_tier":)" + std::string(answer.tier) + (any ? "," : ""));
  }
  out.usage(canonical);
}

void Operation::keep_identity(std::string_view chunk) {
  for (const std::string_view name : {"id", "object", "created", "model"}) {
    const std::string_view value = json::find(chunk, name);
    if (value.empty()) continue;
    json::append_string(identity_, name);
    identity_.append(":").append(value).append(",");
  }
}

// ---- instance ----

swy::Result<Settings> parse_settings(std::string_view config_json) {
  Settings settings;
  const std::string_view dialect = json::find(config_json, "dialect");
  if (!json::is_null(dialect)) {
    auto parsed = parse_dialect(dialect);
    if (!parsed) return parsed.error();
    settings.dialect = *std::move(parsed);
  }
  const std::string_view headers = json::find_path(config_json, "settings.headers");
  json::Cursor cursor(headers);
  std::string_view name;
  if (!headers.empty() && cursor.object()) {
    while (cursor.member(name)) {
      settings.headers.emplace_back(name, json::to_text(cursor.value()).value_or(""));
    }
  }
  return settings;
}

}  // namespace openai
