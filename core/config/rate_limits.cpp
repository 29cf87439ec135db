#include "core/config/rate_limits.hpp"

#include <rapidjson/document.h>

#include <algorithm>
#include <iterator>
#include <vector>

#include "core/base/near.hpp"

namespace switchyard::config {
namespace {

// Sums of a month stay far from where they would wrap.
constexpr std::uint64_t kLimitMax = 1'000'000'000'000;

struct Member {
  const char* name;
  std::uint64_t RateLimits::* value;
  const char* words;
};
constexpr Member kMembers[] = {
    {"rpm", &RateLimits::rpm, "requests a minute"},
    {"tpm", &RateLimits::tpm, "tokens a minute"},
    {"concurrency", &RateLimits::concurrency, "at a time"},
    {"requests_per_day", &RateLimits::requests_per_day, "requests a day"},
    {"tokens_per_day", &RateLimits::tokens_per_day, "tokens a day"},
    {"requests_per_month", &RateLimits::requests_per_month, "requests a month"},
    {"tokens_per_month", &RateLimits::tokens_per_month, "tokens a month"},
};
constexpr std::string_view kPriorities[] = {"low", "normal", "high"};

template <class Choose>
RateLimits each(const RateLimits& a, const RateLimits& b, Choose choose) {
  RateLimits chosen;
  for (const Member& member : kMembers) {
    chosen.*member.value = choose(a.*member.value, b.*member.value);
  }
  return chosen;
}

std::vector<std::string> names() {
  std::vector<std::string> all;
  for (const Member& member : kMembers) all.emplace_back(member.name);
  return all;
}

}  // namespace

RateLimits RateLimits::or_else(const RateLimits& other) const {
  return each(*this, other, [](auto own, auto otherwise) { return own > 0 ? own : otherwise; });
}

RateLimits RateLimits::most(const RateLimits& other) const {
  return each(*this, other, [](auto a, auto b) { return a == 0 || b == 0 ? 0 : std::max(a, b); });
}

RateLimits RateLimits::least(const RateLimits& other) const {
  return each(*this, other,
              [](auto a, auto b) { return a == 0 || b == 0 ? a + b : std::min(a, b); });
}

std::optional<std::string> read_rate_limits(const rapidjson::Value& object, RateLimits& limits) {
  if (!object.IsObject()) return R"(expected an object such as {"rpm":60})";
  for (const auto& given : object.GetObject()) {
    const std::string name(given.name.GetString(), given.name.GetStringLength());
    const auto member = std::find_if(std::begin(kMembers), std::end(kMembers),
                                     [&](const Member& each) { return name == each.name; });
    if (member == std::end(kMembers)) {
      return name + ": there is no such limit" + did_you_mean(name, names());
    }
    const bool fits = given.value.IsUint64() && given.value.GetUint64() <= kLimitMax;
    if (!fits && !given.value.IsNull()) return name + ": expected 0 to 1000000000000, or null";
    limits.*(member->value) = given.value.IsNull() ? 0 : given.value.GetUint64();
  }
  return std::nullopt;
}

std::string to_json(const RateLimits& limits) {
  std::string text = "{";
  for (const Member& member : kMembers) {
    if (limits.*member.value == 0) continue;
    if (text.size() > 1) text += ',';
    text.append("\"").append(member.name).append("\":") += std::to_string(limits.*member.value);
  }
  return text + '}';
}

std::string to_words(const RateLimits& limits) {
  std::string text;
  for (const Member& member : kMembers) {
    if (limits.*member.value == 0) continue;
    if (!text.empty()) text += ", ";
    text += std::to_string(limits.*member.value) + ' ' + member.words;
  }
  return text;
}

std::optional<Priority> parse_priority(std::string_view text) {
  for (std::size_t i = 0; i < std::size(kPriorities); ++i) {
    if (kPriorities[i] == text) return static_cast<Priority>(i);
  }
  return std::nullopt;
}

std::string_view to_text(Priority priority) {
  return kPriorities[static_cast<std::size_t>(priority)];
}

}  // namespace switchyard::config
