#include "core/config/upstream_policy.hpp"

#include "core/config/address.hpp"
#include "core/config/json_text.hpp"

namespace switchyard::config {
namespace {

// What the schema has let through; anything else keeps its default.
template <class Number>
void take(const Json& value, std::string_view name, Number& number) {
  const Json* found = member(value, name);
  if (found != nullptr && found->IsUint64()) number = static_cast<Number>(found->GetUint64());
}

void take(const Json& value, std::string_view name, bool& flag) {
  const Json* found = member(value, name);
  if (found != nullptr && found->IsBool()) flag = found->GetBool();
}

void take(const Json& value, std::string_view name, std::chrono::milliseconds& time) {
  const Json* found = member(value, name);
  if (found == nullptr || !found->IsString()) return;
  if (const auto parsed = parse_duration(text_of(*found))) time = *parsed;
}

std::string said(const char* name, std::uint64_t number) {
  return number == 0 ? std::string() : std::string(name) + ' ' + std::to_string(number) + ", ";
}

std::string seconds(std::chrono::milliseconds time) {
  return time.count() % 1000 == 0 ? std::to_string(time.count() / 1000) + "s"
                                  : std::to_string(time.count()) + "ms";
}

}  // namespace

UpstreamLimits read_upstream_limits(const Json& value) {
  UpstreamLimits limits;
  take(value, "rpm", limits.rpm);
  take(value, "tpm", limits.tpm);
  take(value, "concurrency", limits.concurrency);
  take(value, "adaptive", limits.adaptive);
  return limits;
}

BreakerPolicy read_breaker(const Json& value) {
  BreakerPolicy policy;
  take(value, "enabled", policy.enabled);
  take(value, "errors_percent", policy.errors_percent);
  take(value, "calls_min", policy.calls_min);
  take(value, "window", policy.window);
  take(value, "slow", policy.slow);
  take(value, "slow_percent", policy.slow_percent);
  take(value, "cool_down", policy.cool_down);
  take(value, "cool_down_max", policy.cool_down_max);
  take(value, "probes", policy.probes);
  take(value, "ramp", policy.ramp);
  return policy;
}

std::string describe(const UpstreamLimits& limits) {
  std::string text = said("rpm", limits.rpm) + said("tpm", limits.tpm) +
                     said("concurrency", limits.concurrency) +
                     (limits.adaptive ? "adaptive, " : "");
  if (!text.empty()) text.resize(text.size() - 2);
  return text;
}

std::string describe(const BreakerPolicy& policy) {
  if (!policy.enabled) return "off";
  std::string text = "opens at " + std::to_string(policy.errors_percent) + " % errors";
  if (policy.slow.count() > 0) {
    text += " or " + std::to_string(policy.slow_percent) + " % over " + seconds(policy.slow);
  }
  return text + " of " + std::to_string(policy.calls_min) + " calls or more in " +
         seconds(policy.window) + ", for " + seconds(policy.cool_down) + " to " +
         seconds(policy.cool_down_max);
}

}  // namespace switchyard::config
