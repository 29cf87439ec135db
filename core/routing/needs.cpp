#include "core/routing/needs.hpp"

#include <algorithm>
#include <charconv>
#include <cstring>

#include "core/base/json_scan.hpp"
#include "core/base/pattern.hpp"
#include "core/base/scan_bytes.hpp"

namespace switchyard::routing {
namespace {

using catalog::Capabilities;
using catalog::Capability;

// Texts have a token in four bytes or so; hardly any has fewer than one in five.
constexpr std::uint64_t kBytesPerTokenMost = 5;
// Enough of a prompt to tell its script by.
constexpr std::size_t kScriptBytesMax = 512;

bool is_text_task(std::string_view task) { return task == "chat" || task == "completions"; }

// ---- script ----

struct Scripts {
  std::uint32_t han = 0, kana = 0, hangul = 0, cyrillic = 0, arabic = 0, latin = 0;

  void add(std::uint32_t c) {
    const auto in = [c](std::uint32_t from, std::uint32_t to) { return c >= from && c <= to; };
    if (c < 0x80) {
      latin += ((c | 0x20) - 'a') < 26 ? 1 : 0;
    } else if (in(0xC0, 0x24F)) {
      ++latin;
    } else if (in(0x400, 0x52F)) {
      ++cyrillic;
    } else if (in(0x600, 0x6FF) || in(0x750, 0x77F)) {
      ++arabic;
    } else if (in(0x3041, 0x30FF)) {
      ++kana;
    } else if (in(0x3400, 0x4DBF) || in(0x4E00, 0x9FFF) || in(0x20000, 0x2FA1F)) {
      ++han;
    } else if (in(0xAC00, 0xD7AF) || in(0x1100, 0x11FF)) {
      ++hangul;
    }
  }

  // A sign of Chinese or Korean says as much as some letters do, and names of things are often
  // left in Latin letters.
  std::string_view language() const {
    const std::uint32_t east = 3 * (han + kana), korean = 2 * hangul;
    const std::uint32_t most = std::max({east, korean, cyrillic, arabic, latin});
    if (most == 0) return {};
    if (most == east) return 6 * kana >= han ? "ja" : "zh";
    if (most == korean) return "ko";
    if (most == cyrillic) return "ru";
    return most == arabic ? "ar" : "latin";
  }
};

std::uint32_t hex4(std::string_view digits) {
  std::uint32_t value = 0;
  (void)std::from_chars(digits.data(), digits.data() + std::min<std::size_t>(digits.size(), 4),
                        value, 16);
  return value;
}

// ---- the prompt ----

// Goes over the strings of a JSON value that has passed a scan, each with the name that it is the
// value of, if any.
class PromptWalk {
 public:
  void walk(std::string_view json) {
    const char* at = json.data();
    const char* const end = at + json.size();
    std::string_view name;
    while (at < end && (at = find(at, end, '"')) != nullptr) {
      const char* const begin = ++at;
      coded_ = 0;
      at = end_of_string(begin, end);
      const std::string_view text(begin, static_cast<std::size_t>(at - begin));
      at = skip_space(at + 1, end);
      if (at < end && *at == ':') {
        at = skip_space(at + 1, end);
        name = at < end && *at == '"' ? text : std::string_view();
        continue;
      }
      on_text(name, text);
      name = {};
    }
  }

  Capabilities capabilities;
  std::uint64_t bytes = 0;
  std::string_view last;  // what the user said last, or anybody where no user did

 private:
  static const char* find(const char* at, const char* end, char c) {
    return static_cast<const char*>(std::memchr(at, c, static_cast<std::size_t>(end - at)));
  }

  static const char* skip_space(const char* at, const char* end) {
    while (at < end && (*at == ' ' || *at == '\n' || *at == '\r' || *at == '\t')) ++at;
    return at;
  }

  // Of the quote that ends the string; the scan has seen that there is one.
  const char* end_of_string(const char* at, const char* end) {
    while ((at = find_string_end(at, end)) < end && *at == '\\') {
      const bool coded = end - at >= 6 && at[1] == 'u';
      coded_ += coded ? 1 : 0;
      at += coded ? 6 : 2;
    }
    return at;
  }

  void on_text(std::string_view name, std::string_view text) {
    if (name == "type") {
      if (text == "image_url" || text == "video_url") capabilities.add(Capability::kVision);
      if (text == "input_audio") capabilities.add(Capability::kAudio);
      if (text == "file") capabilities.add(Capability::kFiles);
      return;
    }
    if (name == "role") {
      user_ = text == "user";
      return;
    }
    // What is encoded is no text.
    if (name == "data" || name == "file_data" || text.starts_with("data:")) return;
    bytes += text.size() - 3 * coded_;
    const bool said = name.empty() || name == "content" || name == "text";
    if (!said || (user_spoke_ && !user_)) return;
    user_spoke_ = user_spoke_ || user_;
    last = text;
  }

  bool user_ = false, user_spoke_ = false;
  std::size_t coded_ = 0;  // characters of the string that are written as \uXXXX
};

// "images" of "images.edits"; what chat models do is one kind.
std::string_view kind_of(std::string_view task) {
  if (task == "completions" || task == "count_tokens") return "chat";
  return task.substr(0, task.find('.'));
}

std::uint64_t count(std::string_view digits) {
  std::uint64_t number = 0;
  const auto [end, fault] = std::from_chars(digits.data(), digits.data() + digits.size(), number);
  return fault == std::errc() && end == digits.data() + digits.size() ? number : 0;
}

bool asks_to_reason(std::string_view effort) {
  return effort != R"("none")" && effort != R"("minimal")";
}

// ---- targets ----

bool has_primary(const Route& route) {
  return std::any_of(route.targets.begin(), route.targets.end(),
                     [](const Target& target) { return target.on == kOnAny; });
}

template <class Why>
void leave_out(Route& route, const Why& why) {
  std::erase_if(route.targets, [&](const Target& target) {
    std::string reason = why(target);
    if (reason.empty()) return false;
    route.left_out.push_back({target.provider, target.model, std::move(reason)});
    return true;
  });
}

std::string names_of(Capabilities capabilities) {
  std::string names;
  for (std::size_t i = 0; i < catalog::kCapabilityNames.size(); ++i) {
    const auto each = static_cast<Capability>(i);
    if (capabilities.has(each)) {
      names.append(names.empty() ? "" : " and ").append(catalog::name_of(each));
    }
  }
  return names;
}

bool too_long(const Target& target, const Needs& needs) {
  return target.known != nullptr && target.known->context_tokens > 0 &&
         needs.tokens_in + needs.tokens_out_max > target.known->context_tokens;
}

bool lacks(const Target& target, Capabilities wanted) {
  return target.known != nullptr && !(target.known->lacks & wanted).empty();
}

constexpr Capabilities kReasoningAlone = [] {
  Capabilities one;
  one.add(Capability::kReasoning);
  return one;
}();

// Models that don't think answer all the same, so this is no reason to have no answer.
void prefer_reasoning(Route& route) {
  const bool some = std::any_of(route.targets.begin(), route.targets.end(), [](const Target& each) {
    return each.on == kOnAny && !lacks(each, kReasoningAlone);
  });
  if (!some) return;
  leave_out(route, [](const Target& target) {
    const bool unfit = target.on == kOnAny && lacks(target, kReasoningAlone);
    return unfit ? std::string("lacks reasoning") : std::string();
  });
}

}  // namespace

std::string_view language_of(std::string_view text) {
  // The end is what is asked; it may begin within a character, which then counts for nothing.
  if (text.size() > kScriptBytesMax) text.remove_prefix(text.size() - kScriptBytesMax);
  Scripts scripts;
  for (std::size_t i = 0; i < text.size();) {
    const auto c = static_cast<unsigned char>(text[i]);
    const auto rest = [&](std::size_t at) {
      return i + at < text.size() ? static_cast<unsigned char>(text[i + at]) & 0x3Fu : 0u;
    };
    if (c == '\\') {
      const bool coded = i + 1 < text.size() && text[i + 1] == 'u';
      if (coded) scripts.add(hex4(text.substr(std::min(i + 2, text.size()))));
      i += coded ? 6 : 2;
    } else if (c < 0xC0) {
      scripts.add(c);
      ++i;
    } else if (c < 0xE0) {
      scripts.add((c & 0x1Fu) << 6 | rest(1));
      i += 2;
    } else if (c < 0xF0) {
      scripts.add((c & 0x0Fu) << 12 | rest(1) << 6 | rest(2));
      i += 3;
    } else {
      scripts.add((c & 0x07u) << 18 | rest(1) << 12 | rest(2) << 6 | rest(3));
      i += 4;
    }
  }
  return scripts.language();
}

Needs read_needs(std::string_view task, std::string_view body,
                 std::span<const swy_member> members) {
  Needs needs;
  PromptWalk prompt;
  for (const swy_member& each : members) {
    const std::string_view name = view(each.name);
    const std::string_view value = body.substr(each.value_at, each.value_n);
    if (name == "messages" || name == "input" || name == "prompt" || name == "query" ||
        name == "documents") {
      prompt.walk(value);
    } else if (name == "tools" || name == "functions") {
      if (each.type == 'a' && value.find('{') != std::string_view::npos) {
        needs.capabilities.add(Capability::kTools);
        prompt.bytes += value.size();
      }
    } else if (name == "response_format") {
      if (value.find(R"("json_schema")") != std::string_view::npos) {
        needs.capabilities.add(Capability::kJsonSchema);
      }
    } else if (name == "reasoning_effort") {
      if (each.type == 's' && asks_to_reason(value)) {
        needs.capabilities.add(Capability::kReasoning);
      }
    } else if (name == "max_completion_tokens") {
      needs.tokens_out_max = count(value);
    } else if (name == "max_tokens" && needs.tokens_out_max == 0) {
      needs.tokens_out_max = count(value);
    }
  }
  needs.said = prompt.last;
  if (!is_text_task(task)) {
    needs.capabilities = {};
    needs.tokens_out_max = 0;
    return needs;
  }
  needs.capabilities = needs.capabilities | prompt.capabilities;
  needs.tokens_in = prompt.bytes / kBytesPerTokenMost;
  return needs;
}

bool needs_matter(const Route& route, std::string_view task, std::uint64_t body_bytes) {
  if (route.pipeline != nullptr) return true;
  if (!is_text_task(task)) return false;
  return std::any_of(route.targets.begin(), route.targets.end(), [&](const Target& target) {
    if (target.known == nullptr) return false;
    // Where all of the body were text, and as much asked for as models can answer.
    const std::uint64_t most = body_bytes / kBytesPerTokenMost + target.known->output_tokens_max;
    return !target.known->lacks.empty() ||
           (target.known->context_tokens > 0 && most > target.known->context_tokens);
  });
}

void fall_back(Route& route, std::uint32_t classes) {
  if (route.targets.empty() || has_primary(route)) return;
  std::erase_if(route.targets, [&](const Target& each) { return (each.on & classes) == 0; });
  for (Target& each : route.targets) each.on = kOnAny;
  // Its candidates are others.
  route.pipeline = nullptr;
  if (!route.targets.empty()) route.reason += ", by fallback";
}

void leave_out_unfit(Route& route, const Needs& needs) {
  if (route.pipeline != nullptr) route.language = language_of(needs.said);
  const Capabilities wanted = (needs.capabilities - kReasoningAlone) | route.require;
  std::uint32_t classes = 0;
  leave_out(route, [&](const Target& target) -> std::string {
    if (lacks(target, wanted)) {
      classes |= 1u << SWY_CLS_NOT_OFFERED;
      return "lacks " + names_of(target.known->lacks & wanted);
    }
    if (!too_long(target, needs)) return {};
    classes |= 1u << SWY_CLS_TOO_LONG;
    std::string reason = "takes " + std::to_string(target.known->context_tokens) +
                         " tokens, and these are " + std::to_string(needs.tokens_in) + " or more";
    if (needs.tokens_out_max > 0) {
      reason += " with " + std::to_string(needs.tokens_out_max) + " for the answer";
    }
    return reason;
  });
  fall_back(route, classes);
  if (needs.capabilities.has(Capability::kReasoning)) prefer_reasoning(route);
}

void leave_out_of_reach(Route& route, const config::Reach& reach, const config::Config& config) {
  const auto any_of = [](const std::vector<std::string>& patterns, std::string_view text) {
    return std::any_of(patterns.begin(), patterns.end(),
                       [&](const std::string& each) { return matches_pattern(each, text); });
  };
  leave_out(route, [&](const Target& target) -> std::string {
    const std::string& provider = config.providers[target.provider].id;
    const bool named = reach.providers.empty() || any_of(reach.providers, provider);
    if (!named || any_of(reach.providers_denied, provider)) {
      return "is a provider that the key may not use";
    }
    if (reach.regions.empty() || any_of(reach.regions, target.region)) return {};
    return target.region.empty()
               ? "has no region, and the key is bound to some"
               : "is in " + std::string(target.region) + ", where the key may not go";
  });
  fall_back(route, 1u << SWY_CLS_NOT_OFFERED);
}

void leave_out_other_tasks(Route& route, std::string_view task) {
  const std::string_view wanted = kind_of(task);
  const auto does_not = [&](const Target& target) {
    if (target.known == nullptr || target.known->tasks.empty()) return false;
    const auto& tasks = target.known->tasks;
    return std::none_of(tasks.begin(), tasks.end(),
                        [&](const std::string& each) { return kind_of(each) == wanted; });
  };
  const auto& targets = route.targets;
  if (std::none_of(targets.begin(), targets.end(), does_not) ||
      std::all_of(targets.begin(), targets.end(), does_not)) {
    return;
  }
  leave_out(route, [&](const Target& target) {
    return does_not(target) ? "does not do " + std::string(task) : std::string();
  });
  fall_back(route, 1u << SWY_CLS_NOT_OFFERED);
}

}  // namespace switchyard::routing
