#include "core/surface/chat_chunk.hpp"

#include <switchyard/json.hpp>

namespace switchyard::surface {

namespace json = swy::json;

namespace {

std::string_view unless_null(std::string_view value) {
  return json::is_null(value) ? std::string_view() : value;
}

void read_message(std::string_view message, ChatChoice& choice) {
  json::Cursor cursor(message);
  std::string_view name;
  if (!cursor.object()) return;
  while (cursor.member(name)) {
    const std::string_view value = unless_null(cursor.value());
    if (json::is(name, "content")) {
      choice.content = value;
    } else if (json::is(name, "reasoning_content")) {
      choice.reasoning = value;
    } else if (json::is(name, "reasoning_details")) {
      choice.details = value;
    } else if (json::is(name, "refusal")) {
      choice.refusal = value;
    } else if (json::is(name, "tool_calls")) {
      choice.calls = value;
    } else if (json::is(name, "images")) {
      choice.images = value;
    } else if (json::is(name, "annotations")) {
      choice.annotations = value;
    }
  }
}

ChatChoice read_choice(std::string_view text) {
  ChatChoice choice;
  json::Cursor cursor(text);
  std::string_view name;
  if (!cursor.object()) return choice;
  while (cursor.member(name)) {
    const std::string_view value = cursor.value();
    if (json::is(name, "index")) {
      choice.index = static_cast<std::uint64_t>(json::to_integer(value).value_or(0));
    } else if (json::is(name, "delta") || json::is(name, "message")) {
      read_message(value, choice);
    } else if (json::is(name, "logprobs")) {
      choice.logprobs = unless_null(json::find(value, "content"));
    } else if (json::is(name, "finish_reason")) {
      choice.finish_reason = json::inside(value);
    } else if (json::is(name, "native_finish_reason")) {
      choice.native_finish_reason = json::inside(value);
    }
  }
  return choice;
}

std::uint64_t count_of(std::string_view object, std::string_view name) {
  const auto number = json::to_integer(json::find(object, name));
  return number && *number > 0 ? static_cast<std::uint64_t>(*number) : 0;
}

}  // namespace

bool ChatChunk::read(std::string_view text) {
  id = model = created = usage = {};
  choices.clear();
  json::Cursor cursor(text);
  std::string_view name;
  if (!cursor.object()) return false;
  while (cursor.member(name)) {
    if (json::is(name, "choices") && cursor.array()) {
      while (cursor.element()) choices.push_back(read_choice(cursor.value()));
      continue;
    }
    const std::string_view value = cursor.value();
    if (json::is(name, "id")) {
      id = json::inside(value);
    } else if (json::is(name, "model")) {
      model = json::inside(value);
    } else if (json::is(name, "created")) {
      created = json::type_of(value) == 'n' ? value : std::string_view();
    } else if (json::is(name, "usage")) {
      usage = json::type_of(value) == 'o' ? value : std::string_view();
    }
  }
  return cursor.at_end();
}

const ChatChoice* ChatChunk::first() const {
  for (const ChatChoice& choice : choices) {
    if (choice.index == 0) return &choice;
  }
  return nullptr;
}

void ChatCall::read(std::string_view text) {
  *this = ChatCall();
  json::Cursor cursor(text);
  std::string_view member;
  if (!cursor.object()) return;
  while (cursor.member(member)) {
    const std::string_view value = cursor.value();
    if (json::is(member, "index")) {
      index = static_cast<std::uint64_t>(json::to_integer(value).value_or(0));
    } else if (json::is(member, "id")) {
      id = json::inside(value);
    } else if (json::is(member, "function")) {
      name = json::inside(json::find(value, "name"));
      arguments = json::inside(json::find(value, "arguments"));
    } else if (json::is(member, "custom")) {
      custom = true;
      name = json::inside(json::find(value, "name"));
      arguments = json::inside(json::find(value, "input"));
    } else if (json::is(member, "extra_content")) {
      extra = json::type_of(value) == 'o' ? value : std::string_view();
    }
  }
}

void ChatCounts::read(std::string_view usage) {
  if (json::type_of(usage) != 'o') return;
  known = true;
  prompt = count_of(usage, "prompt_tokens");
  completion = count_of(usage, "completion_tokens");
  const std::string_view in = json::find(usage, "prompt_tokens_details");
  cached = count_of(in, "cached_tokens");
  cache_write = count_of(in, "cache_write_tokens");
  reasoning = count_of(json::find(usage, "completion_tokens_details"), "reasoning_tokens");
}

void ChatCounts::otherwise(const observe::Usage& usage) {
  if (known) return;
  prompt = usage.tok_in;
  completion = usage.tok_out;
  cached = usage.tok_cached;
  reasoning = usage.tok_reasoning;
}

}  // namespace switchyard::surface
