#include "core/admin/breaker_routes.hpp"

#include "core/admin/json_body.hpp"

namespace switchyard::admin {
namespace {

using State = BreakerBackend::State;

std::optional<State> parse_state(const std::string& text) {
  if (text == "open") return State::kOpen;
  if (text == "closed") return State::kClosed;
  if (text == "auto") return State::kAuto;
  return std::nullopt;
}

Answer set(BreakerBackend& backend, const Request& request) {
  const auto text = only_member(request.body, "state");
  const auto state = text ? parse_state(*text) : std::nullopt;
  if (!state) return bad_body("The body must be {\"state\":\"open\"}, \"closed\" or \"auto\".");
  auto breaker = backend.set_breaker(request.params.at("id"), *state);
  if (breaker) return {200, std::move(*breaker)};
  return error_answer(404, "There is no breaker with this id; GET /admin/v1/breakers lists them.",
                      "invalid_request_error", "no_such_breaker");
}

}  // namespace

std::vector<Route> breaker_routes(BreakerBackend& backend) {
  return {
      {"GET", "/admin/v1/breakers", Access::kToken,
       [&backend](const Request& request) {
         const auto all = request.query.find("all");
         return Answer{200,
                       backend.breakers_json(all != request.query.end() && all->second == "true")};
       },
       Role::kViewer},
      {"POST", "/admin/v1/breakers/{id}", Access::kToken,
       [&backend](const Request& request) { return set(backend, request); }, Role::kOperator},
  };
}

}  // namespace switchyard::admin
