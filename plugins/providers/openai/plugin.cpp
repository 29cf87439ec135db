#include <variant>

#include "providers/openai/media.hpp"
#include "providers/openai/realtime.hpp"
#include "providers/openai/responses.hpp"
#include "providers/openai/translate.hpp"

namespace openai {
namespace {

class AnyOperation {
 public:
  AnyOperation(const Settings& settings, const swy::Request& request)
      : operation_(std::in_place_type<Operation>, settings, request) {
    if (is_media(request.task())) operation_.emplace<MediaOperation>(settings, request);
    if (request.task() == "realtime") operation_.emplace<RealtimeOperation>(settings, request);
    if (request.native() && request.dialect() == kResponsesDialect) {
      operation_.emplace<ResponsesOperation>(settings, request);
    }
  }

  swy::Next step(const swy::Event& event, swy::Out& out) {
    if (auto* const operation = std::get_if<Operation>(&operation_)) {
      return operation->step(event, out);
    }
    if (auto* media = std::get_if<MediaOperation>(&operation_)) return media->step(event, out);
    if (auto* native = std::get_if<ResponsesOperation>(&operation_))
      return native->step(event, out);
    return std::get<RealtimeOperation>(operation_).step(event, out);
  }

 private:
  std::variant<Operation, MediaOperation, RealtimeOperation, ResponsesOperation> operation_;
};

class Provider {
 public:
  static swy::Result<Provider> open(std::string_view config_json, swy::Host) {
    auto settings = parse_settings(config_json);
    if (!settings) return settings.error();
    return Provider(*std::move(settings));
  }

  AnyOperation start(const swy::Request& request) const { return AnyOperation(settings_, request); }

 private:
  explicit Provider(Settings settings) : settings_(std::move(settings)) {}

  Settings settings_;
};

constexpr char kCaps[] =
    R"({"tasks":["chat","completions","embeddings","moderations","models","images.generations",)"
    R"("images.edits","images.variations","audio.speech","audio.transcriptions",)"
    R"("audio.translations","realtime","rerank","count_tokens"],"dialects":["openai"],)"
    R"("dialects_if":{"openai-responses":"/responses"},"continues":"/dialect/request/prefix"})";

// The dialect's own schema is config/dialect.schema.json.
constexpr char kSchema[] = R"({
  "type": "object",
  "additionalProperties": false,
  "properties": {
    "dialect": {"type": "object", "description": "An accent of OpenAI's API; OpenAI's own where it is left out."},
    "base_url": {"type": "string", "description": "Where the upstream is."},
    "responses": {"type": "boolean", "description": "It speaks OpenAI's Responses API: what a client says in that passes as it came."},
    "settings": {
      "type": "object",
      "additionalProperties": false,
      "properties": {
        "responses": {
          "type": "boolean",
          "description": "The upstream speaks OpenAI's Responses API: what a client says in that passes as it came. Where it is left out that is so at OpenAI's own address."
        },
        "headers": {
          "type": "object",
          "description": "Headers for each request, such as OpenAI-Organization.",
          "additionalProperties": {"type": "string"}
        },
        "query": {
          "type": "object",
          "description": "Parameters for each request's query, such as api-version.",
          "additionalProperties": {"type": "string"}
        }
      }
    }
  }
})";

}  // namespace
}  // namespace openai

SWY_PLUGIN("switchyard.openai", "0.1.0",
           swy::provider<openai::Provider>("openai", openai::kCaps, openai::kSchema));
