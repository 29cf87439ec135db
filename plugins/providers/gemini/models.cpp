#include "providers/gemini/models.hpp"

namespace gemini {
namespace {

bool is_digit(char c) { return c >= '0' && c <= '9'; }

// "gemini-3.5-flash" as 305; 300 where the name tells nothing.
unsigned version_of(std::string_view model) {
  constexpr std::string_view kPrefix = "gemini-";
  const std::size_t at = model.find(kPrefix);
  if (at == std::string_view::npos) return 300;
  model.remove_prefix(at + kPrefix.size());
  if (model.empty() || !is_digit(model.front())) return 300;
  const auto digit = [&model](std::size_t i) { return static_cast<unsigned>(model[i] - '0'); };
  unsigned version = digit(0) * 100;
  if (model.size() > 2 && model[1] == '.' && is_digit(model[2])) version += digit(2);
  return version;
}

}  // namespace

// Source: Gemini API model pages and changelog, 2026-10.
Rules rules_of(std::string_view model) {
  const unsigned version = version_of(model);
  const auto has = [model](std::string_view part) {
    return model.find(part) != std::string_view::npos;
  };
  const bool lite = has("flash-lite"), flash = has("flash");
  Rules rules;
  rules.thinking = version >= 300   ? Thinking::kLevel
                   : version >= 205 ? Thinking::kBudget
                                    : Thinking::kNone;
  rules.minimal_level = version >= 300 && version <= 306 && flash;
  rules.can_stop_thinking = version == 205 && flash;
  rules.sampling = version < 305 || (version == 305 && !lite);
  rules.penalties = version < 300;
  rules.json_with_tools = version >= 300;
  rules.signed_calls = version >= 300;
  rules.part_resolution = version >= 300;
  return rules;
}

}  // namespace gemini
