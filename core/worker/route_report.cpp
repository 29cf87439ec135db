#include "core/worker/route_report.hpp"

#include <switchyard/strategy.h>

#include "core/base/clock.hpp"
#include "core/base/json_object.hpp"
#include "core/base/nano.hpp"
#include "core/base/utc.hpp"
#include "core/routing/pipeline.hpp"

namespace switchyard {
namespace {

std::string plugin_state(const exchange::ProviderSlot& slot) {
  if (!slot.instance) return "null";  // in quarantine
  const plugin::Library& library = slot.instance->library();
  const std::uint64_t now = mono_ns(), until = library.health().open_until_ns();
  JsonObject json;
  json.text("id", library.id())
      .text("version", library.version())
      .text("sha256", library.sha256())
      .number("faults", library.health().faults())
      .number("rests_s", until > now ? (until - now) / 1'000'000'000u : 0);
  return json.take();
}

// What is measured of a target in the last minute; null where no strategy asked for it.
std::string measured(const routing::Live* live) {
  if (live == nullptr) return "null";
  swy_cand now{};
  live->read(now, mono_ns());
  return JsonObject()
      .number("inflight", now.inflight)
      .number("samples", now.samples)
      .number("failed_ppm", now.err_ppm)
      .number("ttft_us", now.ttft_us)
      .number("ttft_p95_us", now.ttft_p95_us)
      .number("latency_us", now.latency_us)
      .number("latency_p95_us", now.latency_p95_us)
      .number("tokens_per_s", now.tok_per_s)
      .take();
}

std::string report_candidate(const config::Candidate& candidate, const routing::Live* live) {
  JsonObject tags;
  for (const auto& [name, value] : candidate.tags) tags.text(name, value);
  return JsonObject()
      .text("provider", candidate.provider)
      .text("model", candidate.model)
      .number("weight", candidate.weight)
      .number("priority", candidate.priority)
      .text_or_null("region", candidate.region)
      .raw("tags", tags.take())
      .raw("measured", measured(live))
      .take();
}

std::string report_alias(const config::Model& model, const routing::Pipelines& pipelines) {
  const auto found = pipelines.find(model.name);
  const routing::Pipeline* const pipeline =
      found == pipelines.end() ? nullptr : found->second.get();
  std::uint32_t index = 0;
  const std::string candidates = json_array(model.candidates, [&](const auto& candidate) {
    return report_candidate(candidate, pipeline == nullptr ? nullptr : pipeline->live(index++));
  });
  return JsonObject()
      .text("alias", model.name)
      .raw("candidates", candidates)
      .raw("strategies",
           json_array(model.strategies,
                      [](const config::Strategy& each) { return json_text(each.plugin); }))
      .number("strategy_faults", pipeline == nullptr ? 0 : pipeline->faults())
      .take();
}

// "balances": null: not watched.
std::string report_balances(const config::Provider& provider,
                            const std::vector<UpstreamBalance>& balances) {
  if (!provider.balance) return "null";
  std::vector<const UpstreamBalance*> own;
  for (const UpstreamBalance& each : balances) {
    if (each.provider == provider.id) own.push_back(&each);
  }
  return json_array(own, [](const UpstreamBalance* each) {
    const std::string told = json_array(each->balances, [](const ToldBalance& balance) {
      return JsonObject()
          .text("amount", format_nano(balance.amount))
          .text_or_null("currency", balance.currency)
          .take();
    });
    return JsonObject()
        .text("credential", each->credential)
        .raw("left", told)
        .text_or_null("floor", each->floor ? format_nano(*each->floor) : "")
        .boolean("low", each->is_low())
        .text_or_null("told", each->told_unix_s == 0 ? "" : utc_text(each->told_unix_s))
        .text_or_null("error", each->error)
        .take();
  });
}

}  // namespace

std::string report_provider(const exchange::ProviderSlot& slot,
                            const std::vector<UpstreamBalance>& balances) {
  const config::Provider& config = *slot.config;
  const auto name = [](const std::string& each) { return json_text(each); };
  return JsonObject()
      .text("id", config.id)
      .text("plugin", config.plugin)
      .text_or_null("base_url", config.base_url)
      .number("credentials", config.credentials.size())
      .raw("models", json_array(config.models, name))
      .raw("tasks",
           json_array((slot.instance ? slot.instance->caps() : plugin::ProviderCaps()).tasks, name))
      .raw("plugin_state", plugin_state(slot))
      .raw("balances", report_balances(config, balances))
      .take();
}

std::string report_routes(const exchange::Snapshot& snapshot) {
  const auto& pipelines = snapshot.routes->pipelines();
  std::vector<const config::Feature*> named;
  for (const config::Model& each : snapshot.config->models) named.push_back(&each);
  for (const config::Feature& each : snapshot.config->features) named.push_back(&each);
  return JsonObject()
      .raw("data", json_array(named,
                              [&](const config::Feature* model) {
                                return report_alias(*model, pipelines);
                              }))
      .raw("next", "null")
      .take();
}

}  // namespace switchyard
