#include "core/admin/api.hpp"

#include <rapidjson/document.h>
#include <rapidjson/stringbuffer.h>
#include <rapidjson/writer.h>

#include <optional>

#include "core/observe/log.hpp"

namespace switchyard::admin {
namespace {

using Json = rapidjson::Writer<rapidjson::StringBuffer>;

void put(Json& json, const char* name, std::string_view value) {
  json.Key(name);
  json.String(value.data(), static_cast<rapidjson::SizeType>(value.size()));
}

Answer log_level_answer() {
  rapidjson::StringBuffer text;
  Json json(text);
  json.StartObject();
  put(json, "level", observe::log_level());
  json.EndObject();
  return {200, text.GetString()};
}

// The one member of a body like {"level":"info"}.
std::optional<std::string> only_member(const std::string& body, const char* name) {
  rapidjson::Document document;
  // Iterative: a recursive parser would spend this thread's stack on what the body nests.
  document.Parse<rapidjson::kParseIterativeFlag | rapidjson::kParseValidateEncodingFlag>(
      body.data(), body.size());
  const bool fits = !document.HasParseError() && document.IsObject() &&
                    document.MemberCount() == 1 && document.HasMember(name) &&
                    document[name].IsString();
  if (!fits) return std::nullopt;
  return std::string(document[name].GetString(), document[name].GetStringLength());
}

Answer bad_body(const std::string& name) {
  return error_answer(400, "The body must be {\"" + name + "\":\"...\"}.", "invalid_request_error",
                      "bad_body");
}

Answer set_log_level(const std::string& body) {
  const auto level = only_member(body, "level");
  if (!level) return bad_body("level");
  const auto set = observe::set_log_level(*level);
  if (!set) {
    return error_answer(400, set.error().message, "invalid_request_error", "bad_log_level");
  }
  return log_level_answer();
}

// No path: what is outside the plugin directory can't be named.
bool is_plugin_file(const std::string& name) {
  return name.size() > 3 && name.size() <= 255 && name.ends_with(".so") && !name.starts_with('.') &&
         name.find('/') == std::string::npos && name.find('\0') == std::string::npos;
}

using PluginCall = PluginResult (AdminBackend::*)(const std::string&);

Answer answer_plugin(AdminBackend& backend, PluginCall call, const std::string& text) {
  PluginResult done = (backend.*call)(text);
  if (done) return {200, std::move(*done)};
  const PluginRefusal& refusal = done.error();
  return error_answer(refusal.status, refusal.message, "invalid_request_error", refusal.code);
}

Answer change_plugin(AdminBackend& backend, PluginCall call, const std::string& body) {
  const auto file = only_member(body, "file");
  if (!file) return bad_body("file");
  if (!is_plugin_file(*file)) {
    return error_answer(400, "file: expected the name of a .so file in the plugin directory.",
                        "invalid_request_error", "bad_file_name");
  }
  return answer_plugin(backend, call, *file);
}

Answer release_plugin(AdminBackend& backend, const std::string& body) {
  const auto sha256 = only_member(body, "sha256");
  if (!sha256) return bad_body("sha256");
  return answer_plugin(backend, &AdminBackend::release_plugin, *sha256);
}

Answer refused_answer(const config::Faults& faults) {
  rapidjson::StringBuffer text;
  Json json(text);
  json.StartObject();
  json.Key("error");
  json.StartObject();
  put(json, "message", "The configuration is refused; the one before stays in force.");
  put(json, "type", "invalid_request_error");
  put(json, "code", "invalid_configuration");
  json.Key("faults");
  json.StartArray();
  for (const config::Fault& fault : faults) {
    json.StartObject();
    put(json, "pointer", fault.pointer);
    put(json, "message", fault.message);
    json.EndObject();
  }
  json.EndArray();
  json.EndObject();
  json.EndObject();
  return {422, text.GetString()};
}

Answer reload(AdminBackend& backend) {
  const auto generation = backend.reload();
  if (!generation) return refused_answer(generation.error());
  return {200, "{\"generation\":" + std::to_string(generation.value()) + "}"};
}

}  // namespace

std::vector<Route> make_routes(AdminBackend& backend) {
  const auto json = [&backend](std::string (AdminBackend::*ask)()) {
    return [&backend, ask](const Request&) { return Answer{200, (backend.*ask)()}; };
  };
  return {
      {"GET", "/healthz", Access::kOpen,
       [](const Request&) { return Answer{200, R"({"status":"ok"})"}; }},
      {"GET", "/metrics", Access::kLocal,
       [&backend](const Request&) {
         return Answer{200, backend.metrics_text(), "text/plain; version=0.0.4; charset=utf-8"};
       }},
      {"GET", "/admin/v1/status", Access::kToken, json(&AdminBackend::status_json)},
      {"GET", "/admin/v1/plugins", Access::kToken, json(&AdminBackend::plugins_json)},
      {"GET", "/admin/v1/providers", Access::kToken, json(&AdminBackend::providers_json)},
      {"GET", "/admin/v1/config", Access::kToken,
       [&backend](const Request&) {
         return Answer{200, backend.config_text(), "text/plain; charset=utf-8"};
       }},
      {"GET", "/admin/v1/log-level", Access::kToken,
       [](const Request&) { return log_level_answer(); }},
      {"PUT", "/admin/v1/log-level", Access::kToken,
       [](const Request& request) { return set_log_level(request.body); }},
      {"POST", "/admin/v1/plugins/swap", Access::kToken,
       [&backend](const Request& request) {
         return change_plugin(backend, &AdminBackend::swap_plugin, request.body);
       }},
      {"POST", "/admin/v1/plugins/rollback", Access::kToken,
       [&backend](const Request& request) {
         return change_plugin(backend, &AdminBackend::rollback_plugin, request.body);
       }},
      {"POST", "/admin/v1/plugins/release", Access::kToken,
       [&backend](const Request& request) { return release_plugin(backend, request.body); }},
      {"POST", "/admin/v1/reload", Access::kToken,
       [&backend](const Request&) { return reload(backend); }},
  };
}

}  // namespace switchyard::admin
