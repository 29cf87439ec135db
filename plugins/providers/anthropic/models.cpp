#include "providers/anthropic/models.hpp"

namespace anthropic {
namespace {

constexpr unsigned kNewest = 505;

bool is_digit(char c) { return c >= '0' && c <= '9'; }

// A number of one or two digits at the front, which is taken off; 100 where there is none: eight
// digits are a date.
unsigned take_number(std::string_view& text) {
  std::size_t n = 0;
  while (n < text.size() && is_digit(text[n])) ++n;
  if (n == 0 || n > 2) return 100;
  unsigned number = 0;
  for (const char c : text.substr(0, n)) number = number * 10 + static_cast<unsigned>(c - '0');
  text.remove_prefix(n);
  return number;
}

// "5-5", "4.1" or "5" at the front, as 505, 401 or 500; 0 where there is none.
unsigned version_at(std::string_view text) {
  const unsigned major = take_number(text);
  if (major == 100) return 0;
  if (text.empty() || (text.front() != '-' && text.front() != '.')) return major * 100;
  text.remove_prefix(1);
  const unsigned minor = take_number(text);
  return major * 100 + (minor == 100 ? 0 : minor);
}

struct Name {
  std::string_view family;
  unsigned version = kNewest;
};

// "claude-opus-5-5", "claude-sonnet-4-5-20250929", "claude-3-5-haiku-20241022".
Name read_name(std::string_view model) {
  for (const std::string_view family : {"opus", "sonnet", "haiku", "fable", "mythos"}) {
    const std::size_t at = model.find(family);
    if (at == std::string_view::npos) continue;
    Name name{family};
    const std::size_t after = at + family.size();
    if (after + 1 < model.size()) name.version = version_at(model.substr(after + 1));
    const std::size_t claude = model.find("claude-");
    if ((name.version == 0 || after + 1 >= model.size()) && claude != std::string_view::npos &&
        claude + 7 < at) {
      name.version = version_at(model.substr(claude + 7));
    }
    if (name.version == 0) name.version = kNewest;
    return name;
  }
  return {};
}

std::int64_t tokens_max(const Name& name) {
  if (name.version >= 406) return 128'000;
  if (name.version >= 400) return name.family == "opus" && name.version < 405 ? 32'000 : 64'000;
  if (name.version >= 307) return 64'000;
  return name.version >= 305 ? 8192 : 4096;
}

}  // namespace

// Source: Messages API reference and model pages, 2026-11.
Rules rules_of(std::string_view model) {
  const Name name = read_name(model);
  const unsigned version = name.version;
  Rules rules;
  rules.thinking = version >= 406   ? Thinking::kAdaptive
                   : version >= 307 ? Thinking::kBudget
                                    : Thinking::kNone;
  rules.always_thinks = name.family == "fable" || name.family == "mythos" ||
                        (name.family == "opus" && version >= 505);
  rules.thinks_unasked = version >= 500;
  rules.between_tools = name.family == "sonnet" && version >= 505;
  rules.hides_thinking = version >= 407;
  rules.sampling = version < 407;
  rules.one_sampling = version >= 405;
  rules.structured = version >= 401;
  rules.system_turns = version >= 500;
  rules.prefill = version < 406;
  rules.tokens_max = tokens_max(name);
  return rules;
}

}  // namespace anthropic
