#include "core/admin/plugin_routes.hpp"

#include "core/admin/json_body.hpp"

namespace switchyard::admin {
namespace {

using PluginCall = PluginResult (PluginBackend::*)(const std::string&);

// No path: what is outside the plugin directory can't be named.
bool is_plugin_file(const std::string& name) {
  return name.size() > 3 && name.size() <= 255 && name.ends_with(".so") && !name.starts_with('.') &&
         name.find('/') == std::string::npos && name.find('\0') == std::string::npos;
}

Answer answer_plugin(PluginBackend& backend, PluginCall call, const std::string& text) {
  PluginResult done = (backend.*call)(text);
  if (done) return {200, std::move(*done)};
  const PluginRefusal& refusal = done.error();
  return error_answer(refusal.status, refusal.message, "invalid_request_error", refusal.code);
}

Answer wrong_body(const char* name) {
  return bad_body(std::string("The body must be {\"") + name + "\":\"...\"}.");
}

Answer change_plugin(PluginBackend& backend, PluginCall call, const std::string& body) {
  const auto file = only_member(body, "file");
  if (!file) return wrong_body("file");
  if (!is_plugin_file(*file)) {
    return error_answer(400, "file: expected the name of a .so file in the plugin directory.",
                        "invalid_request_error", "bad_file_name");
  }
  return answer_plugin(backend, call, *file);
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
       [&backend](const Request& request) {
         return change_plugin(backend, &PluginBackend::swap_plugin, request.body);
       }},
      {"POST", "/admin/v1/plugins/rollback", Access::kToken,
       [&backend](const Request& request) {
         return change_plugin(backend, &PluginBackend::rollback_plugin, request.body);
       }},
      {"POST", "/admin/v1/plugins/release", Access::kToken,
       [&backend](const Request& request) { return release_plugin(backend, request.body); }},
  };
}

}  // namespace switchyard::admin
