#include "core/config/upstream_reader.hpp"

#include <algorithm>

#include "core/config/address.hpp"

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

BreakerPolicy read_breaker(const Json& value, const std::string& pointer, Faults& faults) {
  BreakerPolicy policy;
  take(value, "enabled", policy.enabled);
  take(value, "errors_percent", policy.errors_percent);
  take(value, "calls_min", policy.calls_min);
  take(value, "slow_percent", policy.slow_percent);
  take(value, "probes", policy.probes);
  const auto take_time = [&](const char* name, std::chrono::milliseconds& time) {
    const Json* found = member(value, name);
    if (found == nullptr || !found->IsString()) return;
    if (const auto parsed = parse_duration(text_of(*found))) {
      time = *parsed;
    } else if (text_of(*found).find_first_not_of("0123456789mhs") == std::string_view::npos) {
      faults.push_back({child(pointer, name), "a duration of more than 30 days"});
    }
  };
  take_time("window", policy.window);
  take_time("slow", policy.slow);
  take_time("cool_down", policy.cool_down);
  take_time("cool_down_max", policy.cool_down_max);
  take_time("ramp", policy.ramp);
  if (policy.cool_down_max < policy.cool_down) policy.cool_down_max = policy.cool_down;
  return policy;
}

ProbePolicy read_probe(const Json& value, const std::string& pointer,
                       const std::vector<std::string>& models, Faults& faults) {
  constexpr std::chrono::seconds kIntervalMin{1};
  ProbePolicy policy;
  policy.interval = std::chrono::seconds(30);
  policy.request = R"({"messages":[{"role":"user","content":"ping"}],"max_tokens":16})";
  take(value, "quiet", policy.quiet);
  if (const Json* interval = member(value, "interval"); interval && interval->IsString()) {
    const auto parsed = parse_duration(text_of(*interval));
    if (parsed && *parsed >= kIntervalMin) {
      policy.interval = *parsed;
    } else {
      faults.push_back({child(pointer, "interval"), "expected 1s to 30 days"});
    }
  }
  if (const Json* request = member(value, "request"); request && request->IsObject()) {
    policy.request = to_json(*request);
  }
  const Json* named = member(value, "models");
  if (named == nullptr || !named->IsArray()) return policy;
  for (rapidjson::SizeType i = 0; i < named->Size(); ++i) {
    if (!(*named)[i].IsString()) continue;
    const std::string model(text_of((*named)[i]));
    const bool served =
        models.empty() || std::any_of(models.begin(), models.end(),
                                      [&](auto& each) { return each == "*" || each == model; });
    if (!served) {
      faults.push_back({child(child(pointer, "models"), i),
                        '"' + model + "\" is none of the provider's \"models\""});
    }
    policy.models.push_back(model);
  }
  return policy;
}

std::string describe(const ProbePolicy& policy) {
  std::string text = "each " + seconds(policy.interval) + " while unwell";
  if (policy.quiet) text += " or quiet";
  for (std::size_t i = 0; i < policy.models.size(); ++i) {
    text += (i == 0 ? ": " : ", ") + policy.models[i];
  }
  return text;
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
