#include "core/admin/desk.hpp"

#include "core/admin/about_routes.hpp"
#include "core/admin/audit.hpp"
#include "core/admin/idempotency.hpp"

namespace switchyard::admin {
namespace {

void append(std::vector<Route>& routes, std::vector<Route> more) {
  for (Route& route : more) routes.push_back(std::move(route));
}

void answer_in_force(std::vector<Route>& routes, const std::function<void()>& in_force) {
  for (Route& route : routes) {
    if (route.method == "GET") continue;
    route.answer = [inner = std::move(route.answer), in_force](const Request& request) {
      Answer answer = inner(request);
      if (answer.status < 300) in_force();
      return answer;
    };
  }
}

}  // namespace

std::vector<Route> Desk::complete(std::vector<Route> routes, IsWithin is_within,
                                  const std::filesystem::path& document,
                                  std::function<void()> in_force) {
  answer_in_force(routes, in_force);
  append(routes, token_routes(tokens_, pepper_, std::move(is_within)));
  append(routes, audit_routes(audit_));
  append(routes, about_routes(routes, document));
  // A call that is not made again is audited all the same: somebody asked.
  return audited(once_by_key(std::move(routes), replays_, pepper_), audit_, pepper_);
}

FindCaller Desk::find_caller() {
  return
      [this](std::string_view token) { return find_token(tokens_, pepper_, token, now_unix_s()); };
}

}  // namespace switchyard::admin
