// What a dialect changes in a request's body, as data. The members' meaning is described in
// config/dialect.schema.json.
#pragma once

#include <algorithm>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace openai {

using Pairs = std::vector<std::pair<std::string, std::string>>;
template <class T>
using Named = std::vector<std::pair<std::string, T>>;

template <class T>
const T* look_up(const Named<T>& pairs, std::string_view key) {
  for (const auto& [first, second] : pairs) {
    if (first == key) return &second;
  }
  return nullptr;
}
template <class T>
void set(Named<T>& pairs, const std::string& key, T value) {
  for (auto& [first, second] : pairs) {
    if (first != key) continue;
    second = std::move(value);
    return;
  }
  pairs.emplace_back(key, std::move(value));
}

// A word of OpenAI's tool_choice becomes another one; empty: it passes.
struct ToolChoice {
  std::string required, named, none;
  bool when_thinking = false;  // only where the request does not switch thinking off
};

// A message that has to stand between those of two roles.
struct Between {
  std::string after, before, insert;
};

// How a request says that the answer goes on with its last message, the assistant's.
struct Prefix {
  bool known = false;  // this API can do so
  std::string mark;    // member of that message that says it; empty: continue_final_message does
  std::string path;    // instead of the task chat's
  Pairs members;       // of the request, and their JSON, which go with it
};

// Extensions of the canonical form (sdk/CANONICAL.md), which OpenAI's own API does not know, by
// where they stand.
inline constexpr std::string_view kRequestExtensions[] = {"reasoning", "top_k", "cache_control"};
inline constexpr std::string_view kMessageExtensions[] = {"is_error", "cache_control",
                                                          "reasoning_details"};
inline constexpr std::string_view kPartExtensions[] = {"cache_control"};  // a tool's as well
inline constexpr std::string_view kCallExtensions[] = {"extra_content"};

// A few names, asked for much more often by others than by themselves.
class Names {
 public:
  void add(std::string_view name) {
    if (has(name)) return;
    seen_ |= bit_of(name);
    firsts_ |= std::uint32_t{1} << (name.front() & 31);
    names_.emplace_back(name);
  }
  bool has(std::string_view name) const {
    return (seen_ & bit_of(name)) != 0 &&
           std::find(names_.begin(), names_.end(), name) != names_.end();
  }
  // True where one of them stands at the text's front.
  bool begins(std::string_view text) const {
    if (text.empty() || (firsts_ >> (text.front() & 31) & 1) == 0) return false;
    for (const std::string& name : names_) {
      if (text.starts_with(name)) return true;
    }
    return false;
  }

 private:
  // By length and first letter: tells most others apart without looking further.
  static std::uint64_t bit_of(std::string_view name) {
    const std::size_t first = name.empty() ? 0 : static_cast<unsigned char>(name.front());
    return std::uint64_t{1} << ((name.size() * 5 + first) & 63U);
  }

  std::vector<std::string> names_;
  std::uint64_t seen_ = 0;
  std::uint32_t firsts_ = 0;  // by the first letter alone
};

struct Rules {
  std::vector<std::string> extensions;  // that this API knows
  Pairs rename;
  std::vector<std::string> drop, message_drop, function_drop;
  std::vector<std::string> as_list;  // a string becomes a list of it
  Pairs roles;
  Named<Pairs> set_default;     // task and conditions -> member -> JSON
  Named<Pairs> values;          // member -> value -> JSON; null leaves the member out
  Named<Pairs> words;           // the same, meaning the same
  Named<Named<Pairs>> instead;  // member -> value -> members and their JSON
  Named<double> minimum, maximum;
  Named<double> items_max;  // of lists
  Pairs to_header;          // member -> header
  ToolChoice tool_choice;
  Pairs calls_need;      // of a message with tool calls: member -> JSON
  std::string call_ids;  // "nine": ids of tool calls are nine letters and digits
  std::vector<Between> between;
  std::vector<std::string> parts;  // types of content parts that it takes; empty: all
  bool data_pictures = false;      // none by their address
  bool text_only = false;          // content is a string
  bool content_needed = false;     // content must not be null
  bool string_documents = false;   // of a rerank request
  bool reasoning_details = false;  // reasoning_content goes back as reasoning_details
  bool schema_as_prompt = false;   // json_schema is JSON mode and an instruction
  bool mistral_parts = false;      // sound and files in Mistral's form
  std::int64_t choices_max = 0;    // 0: as many as one likes
  Prefix prefix;
  std::string path;   // instead of the task chat's
  std::string model;  // what the upstream calls it

  // What index() makes of the rest, when all of it is read.
  Names touched;             // members of a request that may not pass as they are
  Names extensions_lacking;  // in messages, each with the quote that ends it
  void index();

  // True for an extension of the canonical form that this API does not know.
  template <std::size_t n>
  bool lacks(const std::string_view (&some)[n], std::string_view name) const {
    if (reasoning_details && name == "reasoning_details") return false;
    return std::find(some, some + n, name) != some + n &&
           std::find(extensions.begin(), extensions.end(), name) == extensions.end();
  }
};

}  // namespace openai
