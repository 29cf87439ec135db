#include "canonical.hpp"

#include <algorithm>
#include <map>
#include <optional>

#include "json.hpp"

namespace swy::check {
namespace {

constexpr const char* kEmits[] = {"",      "head",   "delta", "usage",  "job",    "raw",
                                  "whole", "limits", "error", "finish", "dropped"};
constexpr std::string_view kReasons[] = {"stop", "length", "tool_calls", "content_filter",
                                         "function_call"};

bool is_reason(std::string_view text) {
  return std::find(std::begin(kReasons), std::end(kReasons), text) != std::end(kReasons);
}

bool holds_something(const Value* value) {
  if (!value) return false;
  return value->is('s') ? !value->text.empty() : !value->items.empty() || !value->members.empty();
}

bool is_text_or_null(const Value* value) { return value && (value->is('s') || value->is('0')); }

// What the chunks of one stream have in common, and how far each choice has come.
class StreamForm {
 public:
  explicit StreamForm(const Ask& ask) : ask_(ask) {}

  std::string chunk(const Value& chunk, std::uint32_t flags) {
    const std::string_view object =
        ask_.task == "chat" ? "chat.completion.chunk" : "text_completion";
    if (chunk.text_of("object") != object) {
      return "object: expected \"" + std::string(object) + "\", seen " + member(chunk, "object");
    }
    for (const char* name : {"id", "created", "model"}) {
      const std::string text = member(chunk, name);
      const auto [before, first] = same_.emplace(name, text);
      if (text == "nothing") return std::string(name) + " is missing";
      if (!first && before->second != text) {
        return std::string(name) + " changed from " + before->second + " to " + text +
               ": it is the same in every chunk of an answer (section 4, rule 1)";
      }
    }
    const Value* choices = chunk.find("choices");
    if (!choices || !choices->is('a')) return "choices: expected an array";
    bool content = false;
    for (std::size_t i = 0; i < choices->items.size(); ++i) {
      std::string fault = choice(choices->items[i], content);
      if (!fault.empty()) return "choices[" + std::to_string(i) + "]: " + fault;
    }
    const bool flagged = (flags & SWY_EMIT_CONTENT) != 0;
    if (content != flagged) {
      return flagged ? "has the flag SWY_EMIT_CONTENT but holds no text, reasoning, refusal or "
                       "tool call (section 4, rule 3)"
                     : "holds content but lacks the flag SWY_EMIT_CONTENT (section 4, rule 3)";
    }
    return usage(chunk, choices->items.empty());
  }

  std::string end() const {
    for (const auto& [index, finished] : finished_) {
      if (!finished) {
        return "choice " + std::to_string(index) +
               " has no finish_reason, and the answer is DONE (section 4, rule 4)";
      }
    }
    if (finished_.empty()) return "DONE without a chunk that has a choice";
    return {};
  }

 private:
  static std::string member(const Value& value, const char* name) {
    const Value* found = value.find(name);
    return found ? shown(to_json(*found)) : "nothing";
  }

  std::string choice(const Value& choice, bool& content) {
    const auto index = choice.integer_at("index");
    if (!index) return "index: expected an integer";
    bool& finished = finished_[*index];
    const bool chat = ask_.task == "chat";
    const Value* delta = choice.find("delta");
    if (chat && (!delta || !delta->is('o'))) return "delta: expected an object";
    bool here = !chat && holds_something(choice.find("text"));
    for (const char* name : {"content", "reasoning_content", "reasoning", "refusal", "tool_calls",
                             "function_call", "audio", "reasoning_details"}) {
      here = here || (chat && holds_something(delta->find(name)));
    }
    if (here && finished) return "more content after its finish_reason (section 4, rule 4)";
    content = content || here;
    const Value* reason = choice.find("finish_reason");
    if (!reason || reason->is('0')) return {};
    if (!reason->is('s') || !is_reason(reason->text)) {
      return "finish_reason: " + shown(to_json(*reason)) + " is none of section 3";
    }
    if (finished) return "a second finish_reason (section 4, rule 4)";
    finished = true;
    return {};
  }

  std::string usage(const Value& chunk, bool no_choices) {
    const Value* usage = chunk.find("usage");
    const bool has = usage && !usage->is('0');
    if (has && !ask_.want_usage) {
      return "usage in a chunk, which the request did not ask for (section 4, rule 5)";
    }
    if (has && !no_choices) return "usage in a chunk with choices (section 4, rule 5)";
    if (after_usage_)
      return "a chunk after the one with usage, which is the last (section 4, rule 5)";
    after_usage_ = has;
    return {};
  }

  const Ask& ask_;
  std::map<std::string, std::string> same_;
  std::map<std::int64_t, bool> finished_;
  bool after_usage_ = false;
};

std::string chat_choice_fault(const Value& choice, bool chat) {
  if (!choice.integer_at("index")) return "index: expected an integer";
  const Value* message = choice.find("message");
  if (chat && (!message || message->text_of("role") != "assistant")) {
    return "message: expected an object of role assistant";
  }
  const Value* text = choice.find("text");
  if (!chat && (!text || !text->is('s'))) return "text: expected a string";
  const Value* reason = choice.find("finish_reason");
  if (!reason || !reason->is('s') || !is_reason(reason->text)) {
    return "finish_reason: expected one of section 3";
  }
  return {};
}

// An array of objects, each of which `each` has no fault to find with.
template <class Each>
std::string list_fault(const Value& document, const char* name, Each&& each) {
  const Value* list = document.find(name);
  if (!list || !list->is('a')) return std::string(name) + ": expected an array";
  for (std::size_t i = 0; i < list->items.size(); ++i) {
    const std::string place = std::string(name) + "[" + std::to_string(i) + "]";
    if (!list->items[i].is('o')) return place + ": expected an object";
    const std::string fault = each(list->items[i]);
    if (!fault.empty()) return place + "." + fault;
  }
  return {};
}

std::string whole_fault(const std::string& task, const Value& document) {
  const auto object = [&](const char* expected) {
    return document.text_of("object") == expected
               ? std::string()
               : std::string("object: expected \"") + expected + "\"";
  };
  std::string fault;
  if (task == "chat" || task == "completions") {
    const bool chat = task == "chat";
    fault = object(chat ? "chat.completion" : "text_completion");
    if (!fault.empty()) return fault;
    return list_fault(document, "choices",
                      [chat](const Value& choice) { return chat_choice_fault(choice, chat); });
  }
  if (task == "embeddings") {
    fault = object("list");
    if (!fault.empty()) return fault;
    return list_fault(document, "data", [](const Value& item) -> std::string {
      const Value* vector = item.find("embedding");
      if (!item.integer_at("index")) return "index: expected an integer";
      return vector && (vector->is('a') || vector->is('s'))
                 ? ""
                 : "embedding: expected an array or base64";
    });
  }
  if (task == "moderations") {
    return list_fault(document, "results", [](const Value& item) -> std::string {
      const Value* flagged = item.find("flagged");
      return flagged && (flagged->is('t') || flagged->is('f')) ? "" : "flagged: expected a boolean";
    });
  }
  if (task == "models") {
    return list_fault(document, "data", [](const Value& item) -> std::string {
      return item.text_of("id").empty() ? "id: expected a string" : "";
    });
  }
  return {};
}

// Cumulative integers: what an earlier report counted a later one can't take back.
std::string usage_fault(const Value& usage, std::map<std::string, std::int64_t>& before) {
  if (!usage.is('o')) return "expected an object";
  for (const char* name : {"prompt_tokens", "completion_tokens", "total_tokens"}) {
    const Value* value = usage.find(name);
    if (!value || value->is('0')) continue;
    const auto n = value->integer();
    if (!n || *n < 0) {
      return std::string(name) + ": " + shown(to_json(*value)) + ", expected an integer from 0";
    }
    std::int64_t& last = before[name];
    if (*n < last) {
      return std::string(name) + " went from " + std::to_string(last) + " to " + value->text +
             ": usage is cumulative (section 5)";
    }
    last = *n;
  }
  const auto prompt = usage.integer_at("prompt_tokens"),
             answer = usage.integer_at("completion_tokens"),
             total = usage.integer_at("total_tokens");
  if (prompt && answer && total && *total != *prompt + *answer) {
    return "total_tokens is " + std::to_string(*total) + ", its parts make " +
           std::to_string(*prompt + *answer);
  }
  return {};
}

std::string limits_fault(const Value& limits) {
  if (!limits.is('o')) return "expected an object";
  for (const auto& [name, value] : limits.members) {
    if (!value.integer()) return name + ": expected an integer";
  }
  return {};
}

std::string error_fault(const Value& error) {
  if (!error.is('o')) return "expected an object";
  for (const char* name : {"message", "type"}) {
    const Value* value = error.find(name);
    if (!value || !value->is('s')) return std::string(name) + ": expected a string";
  }
  for (const char* name : {"param", "code"}) {
    const Value* value = error.find(name);
    if (value && !is_text_or_null(value)) return std::string(name) + ": expected a string or null";
  }
  return {};
}

bool is_pointers(const Value& value) {
  return value.is('a') &&
         std::all_of(value.items.begin(), value.items.end(), [](const Value& pointer) {
           return pointer.is('s') && (pointer.text.starts_with('/') || pointer.text == "...");
         });
}

class Form {
 public:
  explicit Form(const Ask& ask) : ask_(ask), stream_(ask) {}

  std::string add(const Emit& emit) {
    if (emit.message) return {};
    if (emit.what < SWY_EMIT_HEAD || emit.what > SWY_EMIT_DROPPED) {
      return "kind " + std::to_string(emit.what) + " is no SWY_EMIT_*";
    }
    const bool document = emit.what == SWY_EMIT_DELTA || emit.what == SWY_EMIT_WHOLE;
    const std::uint32_t allowed = emit.what == SWY_EMIT_DELTA   ? SWY_EMIT_CONTENT | SWY_EMIT_NATIVE
                                  : emit.what == SWY_EMIT_WHOLE ? SWY_EMIT_NATIVE
                                                                : 0;
    if ((emit.flags & ~allowed) != 0) {
      return "flags " + std::to_string(emit.flags) + ", which this kind has not";
    }
    if (emit.what == SWY_EMIT_RAW) return raw();
    if (emit.what == SWY_EMIT_FINISH) return finish(emit.data);
    if ((emit.flags & SWY_EMIT_NATIVE) != 0 && ask_.dialect.empty()) {
      return "SWY_EMIT_NATIVE for a request that is canonical";
    }
    // A dialect of its own is not looked into; openai's JSON is canonical.
    if (document && (emit.flags & SWY_EMIT_NATIVE) != 0 && ask_.dialect != "openai") {
      ++documents_;
      return {};
    }
    std::string why;
    const std::optional<Value> value = parse(emit.data, why);
    if (!value) return "not JSON: " + why + ": " + shown(emit.data);
    const std::string fault = json(emit, *value);
    return fault.empty() ? fault : fault + ", in " + shown(emit.data);
  }

  std::string end() const {
    if (wholes_ > 1) return "more than one WHOLE";
    if (wholes_ > 0 && deltas_ > 0) return "DELTA and WHOLE in one answer";
    if (!has_form(ask_.task)) return {};
    if (documents_ == 0) return "DONE, and no DELTA or WHOLE was emitted";
    if (deltas_ > 0 && (ask_.task == "chat" || ask_.task == "completions")) {
      const std::string fault = stream_.end();
      if (!fault.empty()) return fault;
    }
    if (ask_.task == "chat" && !finished_) {
      return "DONE, and no SWY_EMIT_FINISH said why the answer ended (section 3)";
    }
    return {};
  }

 private:
  std::string json(const Emit& emit, const Value& value) {
    switch (emit.what) {
      case SWY_EMIT_DELTA:
        ++deltas_;
        ++documents_;
        if (!ask_.stream) return "a DELTA, and the request asked for no stream";
        if (!value.is('o')) return "a chunk has to be an object";
        return ask_.task == "chat" || ask_.task == "completions" ? stream_.chunk(value, emit.flags)
                                                                 : "";
      case SWY_EMIT_WHOLE:
        ++wholes_;
        ++documents_;
        return whole_fault(ask_.task, value);
      case SWY_EMIT_USAGE:
        return usage_fault(value, usage_);
      case SWY_EMIT_LIMITS:
        return limits_fault(value);
      case SWY_EMIT_ERROR:
        return error_fault(value);
      case SWY_EMIT_DROPPED:
        return is_pointers(value) ? "" : "expected an array of JSON pointers (section 8)";
      case SWY_EMIT_HEAD:
        headed_ = true;
        return value.is('o') && !value.text_of("content_type").empty()
                   ? ""
                   : "expected an object with content_type";
      default:
        return value.is('o') ? "" : "expected an object";
    }
  }

  std::string raw() {
    ++documents_;
    return headed_ ? "" : "RAW before HEAD";
  }

  std::string finish(const std::string& reason) {
    finished_ = true;
    return is_reason(reason) ? "" : "reason \"" + shown(reason) + "\" is none of section 3";
  }

  const Ask& ask_;
  StreamForm stream_;
  std::map<std::string, std::int64_t> usage_;
  std::size_t deltas_ = 0, wholes_ = 0, documents_ = 0;
  bool headed_ = false, finished_ = false;
};

}  // namespace

bool has_form(std::string_view task) {
  constexpr std::string_view kTasks[] = {"chat", "completions", "embeddings", "moderations",
                                         "models"};
  return std::find(std::begin(kTasks), std::end(kTasks), task) != std::end(kTasks);
}

std::string canonical_fault(const Ask& ask, const Trace& trace) {
  Form form(ask);
  for (std::size_t i = 0; i < trace.emits.size(); ++i) {
    const std::string fault = form.add(trace.emits[i]);
    if (!fault.empty()) {
      return "emit " + std::to_string(i + 1) + " (" + emit_name(trace.emits[i].what) +
             "): " + fault;
    }
  }
  return trace.end == End::kDone ? form.end() : "";
}

bool said_finished(const Trace& trace) {
  if (trace.emitted(SWY_EMIT_FINISH)) return true;
  return std::any_of(trace.emits.begin(), trace.emits.end(), [](const Emit& emit) {
    std::string why;
    if (emit.message || emit.what != SWY_EMIT_DELTA) return false;
    const std::optional<Value> value = parse(emit.data, why);
    const Value* choices = value ? value->find("choices") : nullptr;
    return choices &&
           std::any_of(choices->items.begin(), choices->items.end(), [](const Value& choice) {
             return !choice.text_of("finish_reason").empty();
           });
  });
}

const char* emit_name(std::uint32_t what) {
  return what > 0 && what < std::size(kEmits) ? kEmits[what] : "unknown";
}

std::uint32_t emit_of(std::string_view name) {
  for (std::uint32_t i = 1; i < std::size(kEmits); ++i) {
    if (name == kEmits[i]) return i;
  }
  return 0;
}

}  // namespace swy::check
