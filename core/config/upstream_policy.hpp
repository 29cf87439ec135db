// What an upstream may be asked, and how it is treated when it fails.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

namespace switchyard::config {

// What calls to an upstream are held to; 0: no limit is known.
struct UpstreamLimits {
  std::uint32_t rpm = 0, concurrency = 0;  // requests begun in any minute; that run at once
  std::uint64_t tpm = 0;                   // tokens of them, as estimated and then as reported
  // Fewer at once when the upstream is overloaded, more again while it is not.
  bool adaptive = false;

  bool operator==(const UpstreamLimits&) const = default;
};

// When no calls go to a target for a while, and how they come back.
struct BreakerPolicy {
  bool enabled = true;
  unsigned errors_percent = 25;  // failed calls of the window that open it
  unsigned calls_min = 20;       // in the window, before it may open
  std::chrono::milliseconds window{10'000};
  std::chrono::milliseconds slow{0};  // calls that take longer are slow ones; 0: none is
  unsigned slow_percent = 50;         // slow calls of the window that open it
  std::chrono::milliseconds cool_down{5'000}, cool_down_max{30'000};
  unsigned probes = 3;                     // that have to go well before it closes
  std::chrono::milliseconds ramp{20'000};  // from a tenth of its calls to all of them

  bool operator==(const BreakerPolicy&) const = default;
};

// Small requests of the gateway's own that tell whether a target is well again.
struct ProbePolicy {
  std::chrono::milliseconds interval{0};  // between two at one credential; 0: none is made
  std::vector<std::string> models;        // upstream names
  std::string request;                    // a chat request's body, without its model
  bool quiet = false;                     // also where nothing was asked for a minute
};

}  // namespace switchyard::config
