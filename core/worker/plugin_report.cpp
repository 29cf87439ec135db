#include "core/worker/plugin_report.hpp"

#include <algorithm>

#include "core/base/clock.hpp"
#include "core/base/json_object.hpp"
#include "core/base/utc.hpp"

namespace switchyard {
namespace {

using plugin::Generation;
using History = std::vector<std::shared_ptr<Generation>>;

std::string report(const Generation& generation) {
  JsonObject json;
  json.number("number", generation.number)
      .text("state", plugin::to_string(generation.state))
      .text("sha256", generation.sha256)
      .text("since", utc_text(generation.since_ms / 1000));
  if (!generation.id.empty()) {
    json.text("id", generation.id)
        .text("version", generation.version)
        .number("instances", generation.instances())
        .number("pins", generation.pins());
  }
  if (generation.library) {
    const plugin::Health& health = generation.library->health();
    json.number("faults", health.faults()).number("slow_calls", health.slow_calls());
    const std::uint64_t now = mono_ns(), until = health.open_until_ns();
    if (until > now) json.number("rests_s", (until - now) / 1'000'000'000u);
  }
  if (!generation.reason.empty()) {
    json.text("reason", generation.reason).number("refusals", generation.refusals);
  }
  const std::uint64_t now = mono_ns();
  if (generation.warm_until_ns > now) {
    json.number("rollback_s", (generation.warm_until_ns - now) / 1'000'000'000u);
  }
  return json.take();
}

std::string report(const std::string& file, const History& history, const ShadowRun* shadow) {
  JsonObject json;
  json.text("file", file);
  const auto serving = std::find_if(history.begin(), history.end(), [](const auto& generation) {
    return generation->state == plugin::State::kServing;
  });
  if (serving != history.end()) {
    const plugin::Library& library = *(*serving)->library;
    json.number("generation", (*serving)->number)
        .text("id", library.id())
        .text("version", library.version())
        .text("build", library.build())
        .text("sha256", library.sha256())
        .raw("kinds", json_array(library.kinds(), [](const plugin::Kind& kind) {
               return JsonObject()
                   .text("interface", kind.iface)
                   .text("name", kind.name)
                   .raw("caps", kind.caps)
                   .take();
             }));
  }
  if (shadow != nullptr && shadow->file() == file) json.raw("shadow", shadow->json());
  json.raw("generations",
           json_array(history, [](const auto& generation) { return report(*generation); }));
  return json.take();
}

}  // namespace

PluginReport report_plugins(const plugin::Libraries& libraries, const ShadowRun* shadow) {
  PluginReport result;
  result.mapped = libraries.mapped();
  result.retained = libraries.retained();
  result.json = JsonObject()
                    .text("directory", libraries.options().directory.string())
                    .number("mapped_libraries", result.mapped)
                    .number("mapped_libraries_max", libraries.options().mapped_max)
                    .number("retained_generations", result.retained)
                    .raw("plugins", json_array(libraries.files(),
                                               [shadow](const auto& entry) {
                                                 return report(entry.first, entry.second, shadow);
                                               }))
                    .take();
  return result;
}

std::string report_plugin(const plugin::Libraries& libraries, const ShadowRun* shadow,
                          const std::string& file) {
  const auto found = libraries.files().find(file);
  return found == libraries.files().end() ? "null" : report(found->first, found->second, shadow);
}

}  // namespace switchyard
