// Which models a request may go to: the one place where what it names becomes a route.
#include <algorithm>

#include "core/exchange/fit.hpp"
#include "core/surface/gateway_call.hpp"
#include "core/surface/openai_error.hpp"

namespace switchyard::surface {
namespace {

using config::kFeaturePrefix;
using routing::Route;

constexpr std::string_view kFeatureHeader = "x-switchyard-feature";
// Leaves the choice to the key's default feature.
constexpr std::string_view kAuto = "auto";

std::string join_near(const std::vector<std::string>& names) {
  if (names.empty()) return {};
  std::string text = " Did you mean ";
  for (std::size_t i = 0; i < names.size(); ++i) {
    if (i > 0) text += i + 1 == names.size() ? " or " : ", ";
    text += "'" + names[i] + "'";
  }
  return text + "?";
}

std::string as_feature(std::string_view name) { return std::string(kFeaturePrefix).append(name); }

bool too_long(const routing::LeftOut& each) { return each.reason.starts_with("takes "); }

// Says of each candidate why it is none.
exchange::Failure nobody_left(const config::Config& config, const Route& route) {
  std::string message = "No provider of '" + route.name + "' can serve this request: ";
  for (std::size_t i = 0; i < route.left_out.size(); ++i) {
    const routing::LeftOut& each = route.left_out[i];
    message += (i == 0 ? "" : "; ") + config.providers[each.provider].id + '/' + each.model + ' ' +
               each.reason;
  }
  const bool length = std::all_of(route.left_out.begin(), route.left_out.end(), too_long);
  return bad_request(400, length ? "context_length_exceeded" : "no_candidate_left", message + '.',
                     length ? "messages" : "model");
}

}  // namespace

bool Gateway::Call::may_use(std::string_view name) const {
  if (key == nullptr) return true;
  if (!name.starts_with(kFeaturePrefix)) return key->may_use(name);
  return key->may_use_feature(name.substr(kFeaturePrefix.size()));
}

bool Gateway::Call::names_feature() const {
  return !head().find(kFeatureHeader).empty() || (key != nullptr && !key->default_feature.empty());
}

// The header goes before the body, and the body before the key's default.
std::string Gateway::Call::name_asked(const std::string& model) const {
  const std::string_view feature = head().find(kFeatureHeader);
  if (!feature.empty()) return as_feature(feature);
  const bool open = model.empty() || model == kAuto;
  if (open && key != nullptr && !key->default_feature.empty()) {
    return as_feature(key->default_feature);
  }
  return model;
}

// Names like `name` that the key may use: others are none of its business.
std::vector<std::string> Gateway::near_names(const Call& call, std::string_view name) {
  auto names = call.snapshot().routes->near(name);
  std::erase_if(names, [&](const std::string& near) { return !call.may_use(near); });
  return names;
}

exchange::Failure Gateway::no_model(const Call& call, const std::string& name) {
  const std::string what = name.starts_with(kFeaturePrefix)
                               ? "feature '" + name.substr(kFeaturePrefix.size())
                               : "model '" + name;
  return bad_request(404, "model_not_found",
                     "The " + what + "' does not exist or you do not have access to it." +
                         join_near(near_names(call, name)),
                     "model");
}

// Which targets what is asked for means for this key and task.
std::optional<exchange::Failure> Gateway::find_route(Call& call, const Asked& asked, Route& route) {
  const exchange::Snapshot& snapshot = call.snapshot();
  const std::string name = call.name_asked(asked.model);
  if (!call.may_use(name)) {
    const bool feature = name.starts_with(kFeaturePrefix);
    return bad_request(403, feature ? "feature_not_allowed" : "model_not_allowed",
                       "This key may not use the model '" + name + "'.", "model");
  }
  route = snapshot.routes->resolve(name);
  if (route.targets.empty()) return no_model(call, name);
  if (call.record->model_asked.empty()) call.record->model_asked = name;
  if (!route.feature.empty()) {
    call.record->feature = route.feature;
    call.headers += "x-switchyard-feature: " + route.feature + "\r\n";
  }
  exchange::FitFor fit{asked.task, asked.body, asked.members, nullptr, nullptr};
  if (call.needs) fit.needs = &*call.needs;
  if (call.key != nullptr) fit.reach = call.key->reach.get();
  exchange::keep_fit(snapshot, fit, route);
  if (!route.targets.empty()) return std::nullopt;
  if (!route.left_out.empty()) return nobody_left(*snapshot.config, route);
  return bad_request(
      400, "not_offered",
      "No provider of the model '" + name + "' does " + std::string(asked.task) + ".", "model");
}

}  // namespace switchyard::surface
