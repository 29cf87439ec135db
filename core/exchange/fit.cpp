#include "core/exchange/fit.hpp"

namespace switchyard::exchange {

void keep_fit(const Snapshot& snapshot, const FitFor& request, routing::Route& route) {
  std::erase_if(route.targets, [&](const routing::Target& target) {
    const auto& instance = snapshot.providers[target.provider].instance;
    return instance && !instance->caps().has_task(request.task);
  });
  routing::fall_back(route, 1u << SWY_CLS_NOT_OFFERED);
  if (route.targets.empty()) return;
  routing::leave_out_other_tasks(route, request.task);
  if (request.reach != nullptr) {
    routing::leave_out_of_reach(route, *request.reach, *snapshot.config);
  }
  if (!routing::needs_matter(route, request.task, request.body.size())) return;
  if (request.needs != nullptr) return routing::leave_out_unfit(route, *request.needs);
  routing::leave_out_unfit(route, routing::read_needs(request.task, request.body, request.members));
}

}  // namespace switchyard::exchange
