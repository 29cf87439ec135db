#include "core/admin/about_routes.hpp"

#include <fstream>
#include <iterator>
#include <stdexcept>

#include "core/base/json_object.hpp"

namespace switchyard::admin {
namespace {

struct Line {
  std::string method, path;
  Role role;
  bool for_accounts, idempotent_by_key;
};

Line line_of(const Route& route) {
  return {route.method, route.path, route.role, route.for_accounts, route.idempotent_by_key};
}

bool may(const Caller& caller, const Line& line) {
  return caller.role >= line.role && (caller.account.empty() || line.for_accounts);
}

std::string line_json(const Line& line) {
  return JsonObject()
      .text("method", line.method)
      .text("path", line.path)
      .text("role", to_string(line.role))
      .boolean("for_accounts", line.for_accounts)
      .boolean("idempotent_by_key", line.idempotent_by_key)
      .take();
}

Answer who_am_i(const Request& request, const std::vector<Line>& lines) {
  const Caller& caller = request.caller;
  std::vector<Line> open;
  for (const Line& line : lines) {
    if (may(caller, line)) open.push_back(line);
  }
  return {200, JsonObject()
                   .text("id", caller.id)
                   .text("name", caller.name)
                   .text("role", to_string(caller.role))
                   .text_or_null("account", caller.account)
                   .raw("routes", json_array(open, line_json))
                   .take()};
}

Answer document_answer(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) throw std::runtime_error(path.string() + ": can't be read");
  return {200, {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()}};
}

}  // namespace

std::vector<Route> about_routes(const std::vector<Route>& others,
                                const std::filesystem::path& document) {
  Route whoami{"GET", "/admin/v1/whoami", Access::kToken, {}, Role::kViewer, true};
  Route openapi{"GET",          "/admin/v1/openapi.json",
                Access::kToken, [document](const Request&) { return document_answer(document); },
                Role::kViewer,  true};
  std::vector<Line> lines;
  for (const Route& route : others) {
    if (route.path.starts_with("/admin/")) lines.push_back(line_of(route));
  }
  lines.push_back(line_of(whoami));
  lines.push_back(line_of(openapi));
  whoami.answer = [lines](const Request& request) { return who_am_i(request, lines); };
  return {whoami, openapi};
}

}  // namespace switchyard::admin
