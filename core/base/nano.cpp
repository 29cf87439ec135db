#include "core/base/nano.hpp"

#include <algorithm>
#include <limits>

namespace switchyard {
namespace {

__extension__ typedef unsigned __int128 Wide;

constexpr std::size_t kDecimals = 9;
constexpr std::uint64_t kUnit = 1'000'000'000;
constexpr std::uint64_t kMax = std::numeric_limits<Nano>::max();

// The smallest number has no positive counterpart, which is why this isn't abs().
std::uint64_t magnitude(Nano amount) {
  const auto bits = static_cast<std::uint64_t>(amount);
  return amount < 0 ? ~bits + 1 : bits;
}

}  // namespace

std::optional<Nano> parse_nano(std::string_view decimal) {
  const std::size_t point = decimal.find('.');
  const std::string_view whole = decimal.substr(0, point);
  const std::string_view part =
      point == std::string_view::npos ? std::string_view() : decimal.substr(point + 1);
  if (whole.empty() || part.size() > kDecimals) return std::nullopt;
  if (point != std::string_view::npos && part.empty()) return std::nullopt;

  Nano nano = 0;
  const auto add_digit = [&nano](char c) {
    if (c < '0' || c > '9') return false;
    const Nano digit = c - '0';
    if (nano > (std::numeric_limits<Nano>::max() - digit) / 10) return false;
    nano = nano * 10 + digit;
    return true;
  };
  if (!std::all_of(whole.begin(), whole.end(), add_digit)) return std::nullopt;
  for (std::size_t i = 0; i < kDecimals; ++i) {
    if (!add_digit(i < part.size() ? part[i] : '0')) return std::nullopt;
  }
  return nano;
}

std::optional<Nano> parse_signed_nano(std::string_view decimal) {
  if (!decimal.starts_with('-')) return parse_nano(decimal);
  const auto nano = parse_nano(decimal.substr(1));
  return nano ? std::optional<Nano>(-*nano) : std::nullopt;
}

std::string format_nano(Nano amount) {
  const std::uint64_t size = magnitude(amount);
  std::string text = (amount < 0 ? "-" : "") + std::to_string(size / kUnit);
  const std::uint64_t part = size % kUnit;
  if (part == 0) return text;
  std::string digits = std::to_string(part);
  digits.insert(0, kDecimals - digits.size(), '0');
  digits.erase(digits.find_last_not_of('0') + 1);
  return text + '.' + digits;
}

std::optional<Nano> add_nano(Nano a, Nano b) {
  Nano sum = 0;
  if (__builtin_add_overflow(a, b, &sum)) return std::nullopt;
  return sum;
}

std::optional<Nano> scale_nano(Nano amount, std::uint64_t times, std::uint64_t by) {
  // At most 2^63 * 2^64 and half of 2^64: that fits.
  const Wide product = static_cast<Wide>(magnitude(amount)) * times;
  const Wide rounded = (product + by / 2) / by;
  if (rounded > kMax) return std::nullopt;
  const auto scaled = static_cast<Nano>(rounded);
  return amount < 0 ? -scaled : scaled;
}

}  // namespace switchyard
