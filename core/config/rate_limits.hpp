// What one caller may ask for, whoever that is: a key, an account, a feature.
#pragma once

#include <cstdint>

namespace switchyard::config {

// 0: no limit.
struct RateLimits {
  std::uint64_t rpm = 0, tpm = 0, concurrency = 0;
  std::uint64_t requests_per_day = 0, tokens_per_day = 0;
  std::uint64_t requests_per_month = 0, tokens_per_month = 0;
};

}  // namespace switchyard::config
