#include "core/exchange/continuation.hpp"

#include <algorithm>
#include <charconv>
#include <initializer_list>
#include <switchyard/json.hpp>

#include "core/exchange/payment.hpp"
#include "core/exchange/quantities.hpp"
#include "core/exchange/usage.hpp"
#include "core/net/offload.hpp"

namespace switchyard::exchange {

namespace json = swy::json;

namespace {

// Of an answer's text that is kept to be gone on with; a longer one is not.
constexpr std::size_t kTextMax = 256 * 1024;
// Bodies beyond this are copied off the loop.
constexpr std::size_t kCopyOnLoopMax = 256 * 1024;

bool is_one_of(std::string_view name, std::initializer_list<std::string_view> names) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

bool is_nothing(std::string_view value) {
  return value == "[]" || value == "{}" || value == "\"\"" || value == "false" ||
         json::is_null(value);
}

// What an upstream may have been cut off for, as opposed to having refused to say more.
bool is_cut(const AttemptFault& fault) {
  if (fault.unpaid || fault.bounded) return false;
  return fault.cls == SWY_CLS_SERVER || fault.cls == SWY_CLS_OVERLOADED ||
         fault.cls == SWY_CLS_RATE_LIMIT || fault.cls == SWY_CLS_TIMEOUT ||
         fault.cls == SWY_CLS_BAD_ANSWER;
}

// An answer to these is more than text, or has a form that half a text can't be checked against.
bool asks_for_more(const Request& request) {
  for (const swy_member& member : request.members) {
    const std::string_view value = request.body.substr(member.value_at, member.value_n);
    const std::string_view name = view(member.name);
    if (is_one_of(name, {"tools", "functions", "logprobs", "audio", "web_search_options",
                         "continue_final_message"}) &&
        !is_nothing(value)) {
      return true;
    }
    if (name == "response_format" && json::inside(json::find(value, "type")) != "text") return true;
  }
  return false;
}

// The thinking is done; and nobody is to think behind a text.
bool is_of_thinking(std::string_view name) {
  return is_one_of(
      name, {"reasoning_effort", "reasoning", "thinking", "enable_thinking", "thinking_budget"});
}

std::string unescaped(std::string_view name) {
  return json::unescape('"' + std::string(name) + '"');
}

// What is left of a limit on the answer.
std::uint64_t left_of(std::string_view limit, std::uint64_t said) {
  std::uint64_t most = 0;
  std::from_chars(limit.data(), limit.data() + limit.size(), most);
  return most > said ? most - said : 1;
}

}  // namespace

bool Continuation::is_wanted(const Request& request) {
  const config::Feature* const feature = policy_of(request);
  if (feature == nullptr || !feature->attempts.continues) return false;
  const bool plain = request.stream && request.task == "chat" && request.session == nullptr &&
                     request.rare == nullptr && answers_asked(request) == 1;
  return plain && !asks_for_more(request);
}

Continuation::Continuation(const LoopContext& context, const Request& request, ClientWriter& writer)
    : context_(context), request_(request), out_(*this, writer) {}

// ---- what was said ----

void Continuation::Writer::native(bool on) {
  // Events of another dialect, under ids that only its upstream knows.
  if (on) all_.plain_ = false;
  client_.native(on);
}

void Continuation::Writer::delta(std::string_view json, bool content) {
  if (!all_.begun_) {
    if (all_.plain_) all_.note(json);
    return client_.delta(json, content);
  }
  const std::string rest = all_.joined(json);
  if (!rest.empty()) client_.delta(rest, content);
}

// The head has gone out once an answer is gone on with.
void Continuation::Writer::dropped(std::string_view pointers) {
  if (!all_.begun_) client_.dropped(pointers);
}

void Continuation::Writer::served_by(std::string_view provider, std::string_view model) {
  if (!all_.begun_) client_.served_by(provider, model);
}

void Continuation::Writer::discard() {
  if (all_.begun_) return;
  all_.text_.clear();
  for (std::string* each : {&all_.id_, &all_.object_, &all_.created_, &all_.model_}) each->clear();
  all_.plain_ = true;
  client_.discard();
}

void Continuation::note(std::string_view chunk) {
  json::Cursor cursor(chunk);
  std::string_view name;
  cursor.object();
  while (cursor.member(name)) {
    if (name == "choices" && cursor.array()) {
      while (cursor.element()) note_choice(cursor.value());
      continue;
    }
    const std::string_view value = cursor.value();
    std::string* const same = name == "id"        ? &id_
                              : name == "object"  ? &object_
                              : name == "created" ? &created_
                              : name == "model"   ? &model_
                                                  : nullptr;
    if (same != nullptr && same->empty()) *same = value;
  }
  if (!cursor.ok() || text_.size() > kTextMax) plain_ = false;
  if (!plain_) text_ = std::string();
}

void Continuation::note_choice(std::string_view choice) {
  json::Cursor cursor(choice);
  std::string_view name;
  cursor.object();
  while (cursor.member(name)) {
    if (name == "delta" && cursor.object()) {
      while (cursor.member(name)) {
        const std::string_view value = cursor.value();
        if (name == "content" && json::type_of(value) == 's') {
          // As it was escaped: half a character's escape may stand at its end.
          text_ += json::inside(value);
        } else if (name != "role" && !is_nothing(value)) {
          plain_ = false;
        }
      }
      continue;
    }
    const std::string_view value = cursor.value();
    const bool ends = is_one_of(name, {"finish_reason", "logprobs"}) && !is_nothing(value);
    if (ends || (name == "index" && value != "0")) plain_ = false;
  }
}

// ---- the request for the rest ----

bool Continuation::is_possible(const AttemptFault& fault) const {
  return !begun_ && plain_ && !text_.empty() && is_cut(fault);
}

net::Task<bool> Continuation::begin(const ProviderSlot& slot, const routing::Target& target,
                                    const observe::Usage& usage) {
  begin_ = usage;
  begin_.reported = false;  // whatever came before the cut is not the whole of it
  from_ = slot.config->id + '/' + target.model;
  bool made = false;
  auto make = [this, &made] { made = make_body(); };
  if (context_.compute == nullptr || request_.body.size() <= kCopyOnLoopMax) {
    make();
  } else {
    co_await net::offload(*context_.compute, std::move(make));
  }
  if (!made) co_return false;
  record_.id = request_.record->id;
  record_.model_asked = request_.record->model_asked;
  record_.start_unix_ns = request_.record->start_unix_ns;
  rest_ = request_;
  rest_.body = body_;
  rest_.members = index_.members();
  rest_.record = &record_;
  rest_.native = nullptr;
  rest_.want_usage = false;  // that of both is said once
  begun_ = true;
  co_return true;
}

bool Continuation::make_body() {
  text_bytes_ = json_unescape('"' + text_ + '"').size();
  body_.reserve(request_.body.size() + text_.size() + 128);
  json::Writer writer(body_);
  writer.open_object();
  for (const swy_member& member : request_.members) {
    const std::string_view name = view(member.name);
    const std::string_view value = request_.body.substr(member.value_at, member.value_n);
    if (is_of_thinking(name)) continue;
    if (name == "messages") {
      const std::string messages = with_text(value);
      if (messages.empty()) return false;
      writer.key(name).raw(messages);
    } else if (is_one_of(name, {"max_tokens", "max_completion_tokens"}) && member.type == 'n') {
      writer.key(name).natural(left_of(value, begin_.tok_out));
    } else {
      writer.key(name).raw(value);
    }
  }
  writer.key("continue_final_message").raw("true").close_object();
  return index_.scan(body_, JsonIndex::kDepthCap).has_value();
}

// Empty where the client's own last turn is the assistant's: two in a row mean different things to
// different models.
std::string Continuation::with_text(std::string_view messages) const {
  json::Cursor cursor(messages);
  std::string_view last;
  if (!cursor.array()) return {};
  while (cursor.element()) last = cursor.value();
  if (last.empty() || json::inside(json::find(last, "role")) == "assistant") return {};
  std::string all(messages.substr(0, messages.rfind(']')));
  all += R"(,{"role":"assistant","content":")" + text_ + R"("}])";
  return all;
}

std::function<bool(std::uint32_t)> Continuation::able(const Snapshot& snapshot,
                                                      const routing::Route& route) {
  return [&snapshot, &route](std::uint32_t target) {
    const auto& instance = snapshot.providers[route.targets[target].provider].instance;
    return instance && instance->caps().continues;
  };
}

// ---- the rest ----

// A chunk of the rest as one of the begin's; empty where nothing of it belongs there: the role was
// said, and who thinks behind a text is not listened to.
std::string Continuation::joined(std::string_view chunk) {
  std::string out;
  json::Writer writer(out);
  bool any = false;
  writer.open_object();
  json::Cursor cursor(chunk);
  std::string_view name;
  cursor.object();
  while (cursor.member(name)) {
    if (name == "choices" && cursor.array()) {
      writer.key(name).open_array();
      while (cursor.element()) any |= join_choice(cursor.value(), writer);
      writer.close_array();
      continue;
    }
    const std::string_view value = cursor.value();
    const std::string* const same = name == "id"        ? &id_
                                    : name == "object"  ? &object_
                                    : name == "created" ? &created_
                                    : name == "model"   ? &model_
                                                        : nullptr;
    if (name == "usage" || (same != nullptr && same->empty())) continue;
    writer.key(unescaped(name)).raw(same != nullptr ? std::string_view(*same) : value);
  }
  writer.close_object();
  return any ? out : std::string();
}

// True where it says anything.
bool Continuation::join_choice(std::string_view choice, json::Writer& writer) {
  bool text = false, end = false;
  json::Cursor cursor(choice);
  std::string_view name;
  writer.open_object();
  cursor.object();
  while (cursor.member(name)) {
    writer.key(unescaped(name));
    if (name != "delta" || !cursor.object()) {
      const std::string_view value = cursor.value();
      end |= name == "finish_reason" && !is_nothing(value);
      writer.raw(value);
      continue;
    }
    writer.open_object();
    while (cursor.member(name)) {
      const std::string_view value = cursor.value();
      if (name == "role" || name.starts_with("reasoning") || is_nothing(value)) continue;
      text = true;
      writer.key(unescaped(name)).raw(value);
    }
    writer.close_object();
  }
  writer.close_object();
  brought_ |= text;
  return text || end;
}

void Continuation::take_over(const ProviderSlot& slot, const routing::Target& target) {
  observe::Record& record = *request_.record;
  record.upstream_ns += std::exchange(record_.upstream_ns, 0);
  if (record_.finish_reason.empty() && !brought_) return;
  record.provider = slot.config->id;
  record.provider_family = slot.config->family;
  record.model_used = target.model;
  record.sent_ns = record_.sent_ns;
  record.head_ns = record_.head_ns;
  record.finish_reason = record_.finish_reason;
  record.error_code = record_.error_code;
  if (record.dropped.empty()) record.dropped = record_.dropped;
  auto facts = std::make_shared<observe::Facts>();
  facts->add("switchyard.continued_from", from_);
  facts->add("switchyard.continued_at", std::to_string(text_bytes_));
  record.facts = std::move(facts);
  record.continued = observe::Continued::kBrought;
}

observe::Usage Continuation::sum(const observe::Usage& rest, Payment& payment) const {
  payment.set_parts({rest});
  observe::Usage both = rest;
  add_usage(both, begin_);
  return both;
}

}  // namespace switchyard::exchange
