#include "core/admin/config_routes.hpp"

#include <stdexcept>

#include "core/admin/json_body.hpp"
#include "core/base/json_object.hpp"

namespace switchyard::admin {
namespace {

constexpr std::size_t kConfigBytesMax = 4 * 1024 * 1024;

std::string fault_json(const config::Fault& fault) {
  return JsonObject().text("pointer", fault.pointer).text("message", fault.message).take();
}

Answer validate(ConfigBackend& backend, const std::string& text) {
  const config::Faults faults = backend.check_config(text);
  return {200, JsonObject()
                   .boolean("valid", faults.empty())
                   .raw("faults", json_array(faults, fault_json))
                   .take()};
}

Answer apply(ConfigBackend& backend, const std::string& text) {
  const auto generation = backend.apply_config(text);
  if (!generation) return refused_config(generation.error());
  return {200, JsonObject().number("generation", *generation).take()};
}

std::vector<config::History::Entry> entries_of(ConfigBackend& backend) {
  auto entries = backend.config_history().list();
  if (!entries) throw std::runtime_error(entries.error().message);
  return std::move(*entries);
}

// The history is bounded: it goes out whole.
Answer history(ConfigBackend& backend) {
  const auto write = [](const config::History::Entry& entry) {
    return JsonObject()
        .text("id", entry.id)
        .text("at", entry.at)
        .number("bytes", entry.bytes)
        .take();
  };
  return {
      200,
      JsonObject().raw("data", json_array(entries_of(backend), write)).raw("next", "null").take()};
}

Answer no_entry(const std::string& message) {
  return error_answer(404, message, "invalid_request_error", "config_not_found");
}

Answer history_text(ConfigBackend& backend, const std::string& id) {
  auto text = backend.config_history().text(id);
  if (!text) return no_entry(text.error().message);
  return {200, std::move(*text), "text/plain; charset=utf-8"};
}

// The newest text that is not the file's own.
Result<std::string> text_before(ConfigBackend& backend) {
  const auto now = backend.config_file_text();
  if (!now) return now.error();
  for (const config::History::Entry& entry : entries_of(backend)) {
    auto text = backend.config_history().text(entry.id);
    if (text && *text != *now) return text;
  }
  return Error{"the history has no configuration other than the one in force"};
}

Answer roll_back(ConfigBackend& backend, const std::string& body) {
  const auto read = JsonBody::read(body.empty() ? "{}" : body, {{"id"}});
  if (!read) return read.error();
  const auto id = read->text("id");
  if (!id) return id.error();
  const auto text = id->empty() ? text_before(backend) : backend.config_history().text(*id);
  if (!text) return no_entry(text.error().message);
  return apply(backend, *text);
}

Route with_text(const char* path, Role role, std::function<Answer(const Request&)> answer) {
  Route route{"POST", path, Access::kToken, std::move(answer), role};
  route.private_body = true;
  route.body_bytes_max = kConfigBytesMax;
  return route;
}

}  // namespace

Answer refused_config(const ConfigRefusal& refusal) {
  const std::string error = JsonObject()
                                .text("message", refusal.message)
                                .text("type", "invalid_request_error")
                                .text("code", refusal.code)
                                .raw("faults", json_array(refusal.faults, fault_json))
                                .take();
  return {refusal.status, JsonObject().raw("error", error).take()};
}

std::vector<Route> config_routes(ConfigBackend& backend) {
  return {
      {"GET", "/admin/v1/config", Access::kToken,
       [&backend](const Request&) {
         return Answer{200, backend.config_text(), "text/plain; charset=utf-8"};
       },
       Role::kViewer},
      with_text("/admin/v1/config/validate", Role::kOperator,
                [&backend](const Request& request) { return validate(backend, request.body); }),
      with_text("/admin/v1/config/apply", Role::kOwner,
                [&backend](const Request& request) { return apply(backend, request.body); }),
      {"GET", "/admin/v1/config/history", Access::kToken,
       [&backend](const Request&) { return history(backend); }},
      {"GET", "/admin/v1/config/history/{id}", Access::kToken,
       [&backend](const Request& request) {
         return history_text(backend, request.params.at("id"));
       }},
      {"POST", "/admin/v1/config/rollback", Access::kToken,
       [&backend](const Request& request) { return roll_back(backend, request.body); }},
  };
}

}  // namespace switchyard::admin
