#include "core/admin/api.hpp"

#include <rapidjson/document.h>
#include <rapidjson/stringbuffer.h>
#include <rapidjson/writer.h>

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

Answer set_log_level(const std::string& body) {
  rapidjson::Document document;
  // Iterative: a recursive parser would spend this thread's stack on what the body nests.
  document.Parse<rapidjson::kParseIterativeFlag | rapidjson::kParseValidateEncodingFlag>(
      body.data(), body.size());
  const bool fits = !document.HasParseError() && document.IsObject() &&
                    document.MemberCount() == 1 && document.HasMember("level") &&
                    document["level"].IsString();
  if (!fits) {
    return error_answer(400, R"(The body must be {"level":"..."}.)", "invalid_request_error",
                        "bad_body");
  }
  const rapidjson::Value& level = document["level"];
  const auto set = observe::set_log_level({level.GetString(), level.GetStringLength()});
  if (!set) {
    return error_answer(400, set.error().message, "invalid_request_error", "bad_log_level");
  }
  return log_level_answer();
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
    return [&backend, ask](const std::string&) { return Answer{200, (backend.*ask)()}; };
  };
  return {
      {"GET", "/healthz", Access::kOpen,
       [](const std::string&) { return Answer{200, R"({"status":"ok"})"}; }},
      {"GET", "/metrics", Access::kLocal,
       [&backend](const std::string&) {
         return Answer{200, backend.metrics_text(), "text/plain; version=0.0.4; charset=utf-8"};
       }},
      {"GET", "/admin/v1/status", Access::kToken, json(&AdminBackend::status_json)},
      {"GET", "/admin/v1/plugins", Access::kToken, json(&AdminBackend::plugins_json)},
      {"GET", "/admin/v1/providers", Access::kToken, json(&AdminBackend::providers_json)},
      {"GET", "/admin/v1/config", Access::kToken,
       [&backend](const std::string&) {
         return Answer{200, backend.config_text(), "text/plain; charset=utf-8"};
       }},
      {"GET", "/admin/v1/log-level", Access::kToken,
       [](const std::string&) { return log_level_answer(); }},
      {"PUT", "/admin/v1/log-level", Access::kToken, set_log_level},
      {"POST", "/admin/v1/reload", Access::kToken,
       [&backend](const std::string&) { return reload(backend); }},
  };
}

}  // namespace switchyard::admin
