#include "core/admin/plugin_routes.hpp"

#include "core/admin/fields.hpp"
#include "core/admin/json_body.hpp"

namespace switchyard::admin {
namespace {

using PluginCall = PluginResult (PluginBackend::*)(const std::string&);

// No path: what is outside the plugin directory can't be named.
bool is_plugin_file(const std::string& name) {
  return name.size() > 3 && name.size() <= 255 && name.ends_with(".so") && !name.starts_with('.') &&
         name.find('/') == std::string::npos && name.find('\0') == std::string::npos;
}

Answer answer_of(PluginResult done, int status = 200) {
  if (done) return {status, std::move(*done)};
  const PluginRefusal& refusal = done.error();
  return error_answer(refusal.status, refusal.message, "invalid_request_error", refusal.code);
}

Answer answer_plugin(PluginBackend& backend, PluginCall call, const std::string& text) {
  return answer_of((backend.*call)(text));
}

Answer wrong_body(const char* name) {
  return bad_body(std::string("The body must be {\"") + name + "\":\"...\"}.");
}

Answer wrong_file() {
  return error_answer(400, "file: expected the name of a .so file in the plugin directory.",
                      "invalid_request_error", "bad_file_name");
}

Answer change_plugin(PluginBackend& backend, PluginCall call, const std::string& body) {
  const auto file = only_member(body, "file");
  if (!file) return wrong_body("file");
  if (!is_plugin_file(*file)) return wrong_file();
  return answer_plugin(backend, call, *file);
}

// What is left out has its default; {} is a run with all of them.
Result<ShadowTerms, Answer> read_terms(const std::string& json) {
  Fields fields(json, {"decisions", "seconds", "agree_percent"});
  const auto read = [&](const char* name, std::int64_t most, std::int64_t otherwise) {
    const std::int64_t value = fields.number(name, otherwise);
    const bool fits = !fields.has(name) || (value >= 1 && value <= most);
    if (!fits && !fields.fault()) {
      fields.refuse("shadow." + std::string(name) + ": expected 1 to " + std::to_string(most) +
                    ".");
    }
    return value;
  };
  ShadowTerms terms;
  constexpr std::int64_t kDecisionsMax = ShadowTerms::kDecisionsMax;
  terms.decisions = static_cast<std::uint64_t>(read("decisions", kDecisionsMax, kDecisionsMax));
  terms.time =
      std::chrono::seconds(read("seconds", ShadowTerms::kSecondsMax, ShadowTerms::kSeconds));
  terms.agree_percent = static_cast<unsigned>(read("agree_percent", 100, 0));
  if (fields.fault()) return *fields.fault();
  return terms;
}

Answer swap_plugin(PluginBackend& backend, const std::string& body) {
  const auto members = JsonBody::read(body, {{"file", true}, {"shadow"}});
  if (!members) return members.error();
  Fields fields(body, {"file", "shadow"});
  const std::string file = fields.text("file");
  const std::string shadow = fields.json("shadow", rapidjson::kObjectType, "{}");
  if (fields.fault()) return *fields.fault();
  if (!is_plugin_file(file)) return wrong_file();
  if (!members->has("shadow")) return answer_of(backend.swap_plugin(file));
  const auto terms = read_terms(shadow);
  if (!terms) return terms.error();
  return answer_of(backend.shadow_plugin(file, *terms), 202);
}

Answer release_plugin(PluginBackend& backend, const std::string& body) {
  const auto sha256 = only_member(body, "sha256");
  if (!sha256) return wrong_body("sha256");
  return answer_plugin(backend, &PluginBackend::release_plugin, *sha256);
}

}  // namespace

std::vector<Route> plugin_routes(PluginBackend& backend) {
  return {
      {"GET", "/admin/v1/plugins", Access::kToken,
       [&backend](const Request&) { return Answer{200, backend.plugins_json()}; }, Role::kViewer},
      {"POST", "/admin/v1/plugins/swap", Access::kToken,
       [&backend](const Request& request) { return swap_plugin(backend, request.body); }},
      {"POST", "/admin/v1/plugins/rollback", Access::kToken,
       [&backend](const Request& request) {
         return change_plugin(backend, &PluginBackend::rollback_plugin, request.body);
       }},
      {"POST", "/admin/v1/plugins/release", Access::kToken,
       [&backend](const Request& request) { return release_plugin(backend, request.body); }},
  };
}

}  // namespace switchyard::admin
