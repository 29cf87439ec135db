// Whether new requests are taken: by how near the gateway is to what it can do. What runs is never
// touched.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "core/config/config.hpp"

namespace switchyard::surface {

class Overload {
 public:
  enum class Reason : std::uint8_t { kRequests, kMemory, kDescriptors, kLag };
  static constexpr std::size_t kReasons = 4;

  // What is measured now and then; a bound of 0 bounds nothing.
  struct Sample {
    std::uint64_t memory = 0, memory_max = 0;            // bytes
    std::uint64_t descriptors = 0, descriptors_max = 0;  // in use
    std::uint64_t lag_ns = 0, lag_max_ns = 0;            // of the loop that is latest
  };

  // A loop's requests, which outlive this. Before the loops run.
  void add_loop(const std::atomic<std::int64_t>& open_requests) {
    loops_.push_back(&open_requests);
  }
  // [any thread]
  void configure(const config::Overload& bounds);
  // [one thread]
  void take(const Sample& sample);

  // Why a request of this priority is turned away; the one that asks is counted among the open
  // ones already. [any thread]
  std::optional<Reason> refuses(config::Priority priority) const;
  // Thousandths of its bound.
  unsigned pressure(Reason reason) const;

 private:
  std::vector<const std::atomic<std::int64_t>*> loops_;
  std::atomic<std::uint64_t> open_requests_max_{0};
  alignas(64) std::array<std::atomic<unsigned>, kReasons> pressure_{};
  unsigned lag_before_ = 0;
};

std::string_view to_text(Overload::Reason reason);

}  // namespace switchyard::surface
