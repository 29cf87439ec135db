#include "core/surface/deadline.hpp"

#include <charconv>
#include <optional>

#include "core/net/http1.hpp"

namespace switchyard::surface {
namespace {

constexpr std::uint64_t kMostMs = 86'400'000;

std::optional<std::uint64_t> read_count(std::string_view text) {
  std::uint64_t number = 0;
  const char* const end = text.data() + text.size();
  const auto [stopped, fault] = std::from_chars(text.data(), end, number);
  if (fault != std::errc() || stopped != end || number == 0) return std::nullopt;
  return number;
}

}  // namespace

Result<ClientDeadline> read_client_deadline(const net::RequestHead& head) {
  const std::string_view own = head.find("x-switchyard-timeout");
  if (!own.empty()) {
    const auto after_ms = read_count(own);
    if (after_ms && *after_ms <= kMostMs) return ClientDeadline{*after_ms, false};
    return Error{"x-switchyard-timeout: expected 1 to 86400000 milliseconds."};
  }
  const auto seconds = read_count(head.find("x-stainless-timeout"));
  if (!seconds || *seconds > kMostMs / 1000) return ClientDeadline{};
  return ClientDeadline{*seconds * 1000, true};
}

}  // namespace switchyard::surface
