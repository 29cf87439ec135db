#include "core/surface/endpoints.hpp"

#include "core/surface/openai_error.hpp"

namespace switchyard::surface {
namespace {

constexpr Endpoint kEndpoints[] = {
    {"/v1/chat/completions", "chat", "messages", "", true},
    {"/v1/completions", "completions", "", "", true},
    {"/v1/embeddings", "embeddings", "input", "", false},
    {"/v1/moderations", "moderations", "input", "omni-moderation-latest", false},
    {"/v1/rerank", "rerank", "documents", "", false},
    {"/v1/images/generations", "images.generations", "prompt", "dall-e-2", false, BodyForm::kJson,
     true},
    {"/v1/images/edits", "images.edits", "image", "dall-e-2", false, BodyForm::kForm, true},
    {"/v1/images/variations", "images.variations", "image", "dall-e-2", false, BodyForm::kForm},
    {"/v1/audio/speech", "audio.speech", "input", "", false, BodyForm::kJson, true},
    {"/v1/audio/transcriptions", "audio.transcriptions", "file", "", false, BodyForm::kForm, true},
    {"/v1/audio/translations", "audio.translations", "file", "", false, BodyForm::kForm},
    {"/v1/videos", "videos", "prompt", "sora-2", false, BodyForm::kEither, false, true},
};

// Members that route, price or frame: none may occur twice, whatever its spelling, for two parsers
// could read them apart.
constexpr std::string_view kGuarded[] = {"model",
                                         "stream",
                                         "stream_options",
                                         "n",
                                         "max_tokens",
                                         "max_completion_tokens",
                                         "max_output_tokens",
                                         "messages",
                                         "input",
                                         "seconds",
                                         "duration",
                                         "contents",
                                         "prompt",
                                         "tools",
                                         "service_tier",
                                         "thinking",
                                         "reasoning",
                                         "generationconfig",
                                         "previous_response_id"};

// Names end up in records and errors, and are compared with all that are known.
constexpr std::size_t kModelBytesMax = 256;

struct MemberType {
  std::string_view name;
  std::string_view types;  // of swy_member::type; 'b' stands for a boolean
  std::string_view expected;
};

constexpr MemberType kTypes[] = {
    {"model", "s", "a string"},
    {"stream", "b0", "a boolean"},
    {"stream_options", "o0", "an object"},
    {"messages", "a", "an array"},
    {"input", "sa", "a string or an array"},
    {"prompt", "sa0", "a string or an array"},
    {"n", "n0", "a number"},
    {"max_tokens", "n0", "a number"},
    {"max_completion_tokens", "n0", "a number"},
    {"tools", "a0", "an array"},
};

char kind_of(const swy_member& member) {
  const char type = static_cast<char>(member.type);
  return type == 't' || type == 'f' ? 'b' : type;
}

const char* type_name(char kind) {
  switch (kind) {
    case 'o':
      return "an object";
    case 'a':
      return "an array";
    case 's':
      return "a string";
    case 'n':
      return "a number";
    case 'b':
      return "a boolean";
    default:
      return "null";
  }
}

std::optional<exchange::Failure> check_type(const JsonIndex& body, const MemberType& rule) {
  const swy_member* const member = body.find(rule.name);
  if (member == nullptr) return std::nullopt;
  const char kind = kind_of(*member);
  if (rule.types.find(kind) != std::string_view::npos) return std::nullopt;
  const std::string name(rule.name);
  return bad_request(400, "invalid_type",
                     "Invalid type for '" + name + "': expected " + std::string(rule.expected) +
                         ", but got " + type_name(kind) + " instead.",
                     name);
}

exchange::Failure missing(std::string_view name) {
  return bad_request(400, "missing_required_parameter",
                     "Missing required parameter: '" + std::string(name) + "'.", std::string(name));
}

bool is_true(const JsonIndex& object, std::string_view name) {
  const swy_member* const member = object.find(name);
  return member != nullptr && member->type == 't';
}

}  // namespace

const Endpoint* find_endpoint(std::string_view path) {
  for (const Endpoint& endpoint : kEndpoints) {
    if (endpoint.path == path) return &endpoint;
  }
  return nullptr;
}

std::optional<exchange::Failure> check_model(std::string& model) {
  if (model.empty()) return missing("model");
  if (model.size() <= kModelBytesMax) return std::nullopt;
  model.resize(kModelBytesMax);
  return bad_request(400, "invalid_value",
                     "Invalid 'model': longer than " + std::to_string(kModelBytesMax) + " bytes.",
                     "model");
}

std::optional<exchange::Failure> check_duplicates(const JsonIndex& body) {
  const std::string_view twice = body.duplicate(kGuarded);
  if (twice.empty()) return std::nullopt;
  return bad_request(400, "duplicate_member",
                     "The member '" + std::string(twice) +
                         "' occurs more than once (names are compared without regard to case).",
                     std::string(twice));
}

std::optional<exchange::Failure> check_body(const Endpoint& endpoint, const JsonIndex& body,
                                            BodyFacts& facts) {
  auto twice = check_duplicates(body);
  if (twice) return twice;
  for (const MemberType& rule : kTypes) {
    auto wrong = check_type(body, rule);
    if (wrong) return wrong;
  }
  const swy_member* const model = body.find("model");
  if (model != nullptr) facts.model = json_unescape(body.value(*model));
  if (facts.model.empty() && !facts.model_optional) facts.model = endpoint.default_model;
  if (!facts.model.empty() || !facts.model_optional) {
    auto bad_model = check_model(facts.model);
    if (bad_model) return bad_model;
  }
  if (!endpoint.required.empty() && body.find(endpoint.required) == nullptr) {
    return missing(endpoint.required);
  }

  facts.stream = is_true(body, "stream");
  if (facts.stream && endpoint.relays_stream) {
    facts.stream = false;
    return std::nullopt;
  }
  if (facts.stream && !endpoint.may_stream) {
    return bad_request(400, "unsupported_parameter", "This endpoint does not stream.", "stream");
  }
  const swy_member* const options = body.find("stream_options");
  if (options != nullptr && options->type == 'o') {
    JsonIndex inner;
    if (inner.scan(body.value(*options))) facts.want_usage = is_true(inner, "include_usage");
    if (!facts.stream) {
      return bad_request(400, "invalid_value",
                         "The 'stream_options' parameter is only allowed when 'stream' is enabled.",
                         "stream_options");
    }
  }
  return std::nullopt;
}

}  // namespace switchyard::surface
