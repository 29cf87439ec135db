// The OpenAI-shaped endpoints: paths, and what their bodies must have.
#pragma once

#include <span>
#include <string_view>

#include "core/base/json_scan.hpp"
#include "core/exchange/exchange.hpp"

namespace switchyard::surface {

// How a request's body comes.
enum class BodyForm { kJson, kForm, kEither };

struct Endpoint {
  std::string_view path;
  std::string_view task;      // as providers know it
  std::string_view required;  // a member that the body must have besides the model; empty: none
  std::string_view default_model;  // where the body may leave the model out; empty: it may not
  bool may_stream = false;
  BodyForm form = BodyForm::kJson;
  // `stream` is the upstream's business: its answer is relayed as it comes.
  bool relays_stream = false;
  bool job = false;  // begins a job
};

// nullptr where no endpoint that takes a body has this path.
const Endpoint* find_endpoint(std::string_view path);

// What a body says that routing and relay need.
struct BodyFacts {
  std::string model;
  bool stream = false, want_usage = false;
  bool model_optional = false;  // set by who asks: something else names one
};

// Checks the members that route, price or frame: duplicates, types, presence. nullopt where all is
// well.
std::optional<exchange::Failure> check_body(const Endpoint& endpoint, const JsonIndex& body,
                                            BodyFacts& facts);

// Members that route, price or frame and occur twice.
std::optional<exchange::Failure> check_duplicates(const JsonIndex& body);

// The same for a model's name alone, which is cut where it is too long.
std::optional<exchange::Failure> check_model(std::string& model);

}  // namespace switchyard::surface
