#include "core/worker/route_explain.hpp"

#include <charconv>
#include <random>

#include "core/base/clock.hpp"
#include "core/base/json_object.hpp"
#include "core/base/near.hpp"
#include "core/config/read_features.hpp"
#include "core/exchange/choice.hpp"
#include "core/exchange/fit.hpp"
#include "core/routing/pipeline.hpp"

namespace switchyard {
namespace {

using admin::Answer;

const std::vector<std::string> kMembers{"model",   "request", "task", "stream",
                                        "session", "account", "key",  "seed"};

Answer bad(const std::string& message) {
  return admin::error_answer(400, message, "invalid_request_error", "bad_request_body");
}

// What is asked, as the body says it. Views are of the body.
struct Asked {
  std::string model, task = "chat", session, account, key;
  std::string_view request = "{}";
  bool stream = false;
  std::optional<std::uint64_t> seed;
};

// What is wrong with the member, or nothing.
std::string take(const swy_member& member, std::string_view value, Asked& asked) {
  const std::string_view name = view(member.name);
  const auto take_text = [&](std::string& to) -> std::string {
    if (member.type != 's') return std::string(name) + ": expected a text.";
    to = json_unescape(value);
    return {};
  };
  if (name == "model") return take_text(asked.model);
  if (name == "task") return take_text(asked.task);
  if (name == "session") return take_text(asked.session);
  if (name == "account") return take_text(asked.account);
  if (name == "key") return take_text(asked.key);
  if (name == "request") {
    if (member.type != 'o') return "request: expected the request's body, an object.";
    asked.request = value;
    return {};
  }
  if (name == "stream") {
    if (member.type != 't' && member.type != 'f') return "stream: expected true or false.";
    asked.stream = member.type == 't';
    return {};
  }
  if (name == "seed") {
    std::uint64_t seed = 0;
    const char* const end = value.data() + value.size();
    const auto [rest, fault] = std::from_chars(value.data(), end, seed);
    if (fault != std::errc() || rest != end) return "seed: expected a whole number of 64 bits.";
    asked.seed = seed;
    return {};
  }
  return std::string(name) + ": there is no such member" +
         did_you_mean(std::string(name), kMembers) + ".";
}

// What its clients are refused with 403 for; empty: nothing.
std::string refusal_of(const account::GatewayKey& key, const Asked& asked) {
  const bool feature = asked.model.starts_with(config::kFeaturePrefix);
  const bool may =
      feature
          ? key.may_use_feature(std::string_view(asked.model).substr(config::kFeaturePrefix.size()))
          : key.may_use(asked.model);
  if (!may) return "The key " + key.id + " may not use the model '" + asked.model + "'.";
  if (!key.may_do(asked.task)) return "The key " + key.id + " may not do " + asked.task + '.';
  return {};
}

std::string target_json(const exchange::Snapshot& snapshot, const routing::Target& target) {
  JsonObject json;
  json.text("provider", snapshot.providers[target.provider].config->id).text("model", target.model);
  if (target.on != routing::kOnAny) json.text("on", config::fault_names(target.on));
  return json.take();
}

}  // namespace

Answer explain_route(const exchange::Snapshot& snapshot, const account::Directory& directory,
                     const catalog::PricesInForce& prices, const std::string& body) {
  JsonIndex given, index;
  if (!given.scan(body)) return bad("The body must be {\"model\":\"...\", ...}.");
  Asked asked;
  for (const swy_member& member : given.members()) {
    const std::string wrong = take(member, given.value(member), asked);
    if (!wrong.empty()) return bad(wrong);
  }
  (void)index.scan(asked.request).has_value();  // a part of what was scanned
  if (asked.model.empty()) {
    if (const swy_member* const model = index.find("model"); model && model->type == 's') {
      asked.model = json_unescape(index.value(*model));
    }
  }
  if (asked.model.empty()) return bad("model: missing; it names what a client would ask for.");
  exchange::FitFor fit{asked.task, asked.request, index.members(), nullptr, nullptr};
  if (!asked.key.empty()) {
    const account::Found found = directory.key(asked.key);
    if (found.key == nullptr) return bad("key: there is none with the id " + asked.key + ".");
    if (const std::string no = refusal_of(*found.key, asked); !no.empty()) {
      return admin::error_answer(400, no, "invalid_request_error", "not_allowed");
    }
    if (asked.account.empty()) asked.account = found.account->id;
    fit.reach = found.key->reach.get();
  }
  routing::Route route = snapshot.routes->resolve(asked.model);
  exchange::keep_fit(snapshot, fit, route);
  if (route.targets.empty() && route.left_out.empty()) {
    return admin::error_answer(
        404, "Nothing serves the model '" + asked.model + "' for the task " + asked.task + '.',
        "invalid_request_error", "model_not_found");
  }

  observe::Record record;
  record.account = asked.account;
  record.key_id = asked.key;
  record.feature = route.feature;
  record.start_unix_ns = unix_ns();
  exchange::Request request;
  request.task = asked.task;
  request.dialect = "openai";
  request.stream = asked.stream;
  request.body = asked.request;
  request.members = index.members();
  request.route = &route;
  request.record = &record;
  request.prices = &prices;
  request.session_id = asked.session;
  if (routing::has_choice(route)) {
    const std::uint64_t seed = asked.seed ? *asked.seed : std::random_device{}();
    route.pipeline->plan(exchange::route_facts(request, seed, mono_ns()), route,
                         {&prices, record.start_unix_ns});
  }
  return {200, JsonObject()
                   .text("model", asked.model)
                   .text("reason", route.reason)
                   .raw("targets", json_array(route.targets,
                                              [&](const routing::Target& target) {
                                                return target_json(snapshot, target);
                                              }))
                   .raw("plan", exchange::plan_json(snapshot, request))
                   .take()};
}

}  // namespace switchyard
