// Amounts of money and prices: whole billionths of one currency's unit. No floating point comes
// near them; products are taken in 128 bits and rounded once.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace switchyard {

using Nano = std::int64_t;

// "2.5" -> 2,500,000,000: exact, or nothing (a sign, more than 9 decimals, too large, no number at
// all).
std::optional<Nano> parse_nano(std::string_view decimal);
// The same with a minus in front allowed.
std::optional<Nano> parse_signed_nano(std::string_view decimal);

// The shortest decimal that parse_signed_nano() reads back: "2.5", "-0.000000001", "30".
std::string format_nano(Nano amount);

// Nothing where the sum does not fit.
std::optional<Nano> add_nano(Nano a, Nano b);

// amount * times / by, rounded to the nearest, halves away from zero, so that what is taken and
// what is given back are the same. Nothing where it does not fit. `by` is not 0.
std::optional<Nano> scale_nano(Nano amount, std::uint64_t times, std::uint64_t by);

}  // namespace switchyard
