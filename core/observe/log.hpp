// The host's own log: one line per event on stderr, `2026-01-31T12:00:00.123Z warn event key=value
// ...`.
//
// Every room writes with spdlog's own calls. What reaches the stream is made safe here, whoever
// wrote it: a control character leaves as an escape, so that no value can forge a line.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "core/base/result.hpp"

namespace spdlog {
class formatter;
}

namespace switchyard::observe {

// Makes spdlog's default logger the host's. `level` as for set_log_level(). Once, before other
// threads start.
Result<void> init_log(std::string_view level);

// "trace", "debug", "info", "warn", "error" or "off". [any thread]
Result<void> set_log_level(std::string_view level);
std::string log_level();

// How a line is laid out; init_log() gives it to the stream.
std::unique_ptr<spdlog::formatter> make_log_formatter();

// A value for `key=value`: as it is where it is one plain word, else in double quotes with '"', '\'
// and control characters escaped.
std::string quote(std::string_view value);

// Lets one line pass per interval and counts those held back. [any thread]
//   static LogGate gate{std::chrono::seconds(1)};
//   if (const auto held = gate.pass(mono_ns())) spdlog::warn("accept_failed held_back={}", *held);
class LogGate {
 public:
  explicit LogGate(std::chrono::nanoseconds interval);
  // How many were held back since the last line, or nothing where this one is to be held back too.
  std::optional<std::uint64_t> pass(std::uint64_t now_ns);

 private:
  const std::uint64_t interval_ns_;
  std::atomic<std::uint64_t> next_ns_{0}, held_{0};
};

}  // namespace switchyard::observe
