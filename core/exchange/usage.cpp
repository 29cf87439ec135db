#include "core/exchange/usage.hpp"

#include <charconv>

#include "core/base/json_scan.hpp"

namespace switchyard::exchange {
namespace {

bool read_count(const JsonIndex& object, std::string_view name, std::uint64_t& count) {
  const swy_member* const member = object.find(name);
  if (member == nullptr || member->type != 'n') return false;
  const std::string_view digits = object.value(*member);
  std::uint64_t number = 0;
  const auto [end, fault] = std::from_chars(digits.data(), digits.data() + digits.size(), number);
  if (fault != std::errc() || end != digits.data() + digits.size()) return false;
  if (number > (std::uint64_t{1} << 53)) return false;
  count = number;
  return true;
}

void read_detail(const JsonIndex& object, std::string_view name, std::string_view detail,
                 std::uint64_t& count) {
  const swy_member* const member = object.find(name);
  if (member == nullptr || member->type != 'o') return;
  JsonIndex inner;
  if (inner.scan(object.value(*member))) read_count(inner, detail, count);
}

}  // namespace

bool read_usage(std::string_view json, observe::Usage& usage) {
  JsonIndex object;
  if (!object.scan(json)) return false;
  const bool in = read_count(object, "prompt_tokens", usage.tok_in);
  const bool out = read_count(object, "completion_tokens", usage.tok_out);
  read_detail(object, "prompt_tokens_details", "cached_tokens", usage.tok_cached);
  read_detail(object, "completion_tokens_details", "reasoning_tokens", usage.tok_reasoning);
  if (in || out) usage.reported = true;
  return in || out;
}

std::string usage_json(const observe::Usage& usage) {
  return R"({"prompt_tokens":)" + std::to_string(usage.tok_in) + R"(,"completion_tokens":)" +
         std::to_string(usage.tok_out) + R"(,"total_tokens":)" +
         std::to_string(usage.tok_in + usage.tok_out) +
         R"(,"prompt_tokens_details":{"cached_tokens":)" + std::to_string(usage.tok_cached) +
         R"(},"completion_tokens_details":{"reasoning_tokens":)" +
         std::to_string(usage.tok_reasoning) + "}}";
}

bool is_text(std::string_view task) {
  return !task.starts_with("images.") && !task.starts_with("audio.") && !task.starts_with("videos");
}

std::uint64_t estimate_tokens(std::uint64_t bytes) { return (bytes + 3) / 4; }

}  // namespace switchyard::exchange
