#include "core/admin/api.hpp"

#include "core/admin/json_body.hpp"
#include "core/base/json_object.hpp"
#include "core/observe/log.hpp"

namespace switchyard::admin {
namespace {

Answer log_level_answer() { return {200, JsonObject().text("level", observe::log_level()).take()}; }

Answer set_log_level(const std::string& body) {
  const auto level = only_member(body, "level");
  if (!level) return bad_body("The body must be {\"level\":\"...\"}.");
  const auto set = observe::set_log_level(*level);
  if (!set) {
    return error_answer(400, set.error().message, "invalid_request_error", "bad_log_level");
  }
  return log_level_answer();
}

Answer reload(AdminBackend& backend) {
  const auto generation = backend.reload();
  if (generation) return {200, JsonObject().number("generation", *generation).take()};
  ConfigRefusal refusal;
  refusal.faults = generation.error();
  return refused_config(refusal);
}

void append(std::vector<Route>& routes, std::vector<Route> more) {
  for (Route& route : more) routes.push_back(std::move(route));
}

}  // namespace

std::vector<Route> make_routes(AdminBackend& backend) {
  const auto json = [&backend](std::string (AdminBackend::*ask)()) {
    return [&backend, ask](const Request&) { return Answer{200, (backend.*ask)()}; };
  };
  std::vector<Route> routes{
      {"GET", "/healthz", Access::kOpen,
       [](const Request&) { return Answer{200, R"({"status":"ok"})"}; }},
      {"GET", "/metrics", Access::kLocal,
       [&backend](const Request&) {
         return Answer{200, backend.metrics_text(), "text/plain; version=0.0.4; charset=utf-8"};
       },
       Role::kViewer},
      {"GET", "/admin/v1/status", Access::kToken, json(&AdminBackend::status_json), Role::kViewer},
      {"GET", "/admin/v1/providers", Access::kToken, json(&AdminBackend::providers_json),
       Role::kViewer},
      {"GET", "/admin/v1/routes", Access::kToken, json(&AdminBackend::routes_json), Role::kViewer},
      {"POST", "/admin/v1/routes/explain", Access::kToken,
       [&backend](const Request& request) { return backend.explain_route(request.body); },
       Role::kViewer},
      {"GET", "/admin/v1/log-level", Access::kToken,
       [](const Request&) { return log_level_answer(); }, Role::kViewer},
      {"PUT", "/admin/v1/log-level", Access::kToken,
       [](const Request& request) { return set_log_level(request.body); }, Role::kOperator},
      {"POST", "/admin/v1/reload", Access::kToken,
       [&backend](const Request&) { return reload(backend); }, Role::kOperator},
  };
  append(routes, plugin_routes(backend));
  append(routes, config_routes(backend));
  append(routes, breaker_routes(backend));
  return routes;
}

}  // namespace switchyard::admin
