#include "providers/dashscope/translate.hpp"

namespace dashscope {
namespace {

class Provider {
 public:
  static swy::Result<Provider> open(std::string_view config_json, swy::Host host) {
    auto settings = parse_settings(config_json);
    if (!settings) return settings.error();
    return Provider(*std::move(settings), host);
  }

  Operation start(const swy::Request& request) const {
    return {settings_, request, static_cast<std::int64_t>(host_.unix_ns() / 1'000'000'000)};
  }

 private:
  Provider(Settings settings, swy::Host host) : settings_(std::move(settings)), host_(host) {}

  Settings settings_;
  swy::Host host_;
};

constexpr char kCaps[] = R"({"tasks":["chat","embeddings","rerank"],"dialects":[]})";

constexpr char kSchema[] = R"({
  "type": "object",
  "properties": {
    "base_url": {"type": "string", "description": "Where the API is, with /api/v1. Keys are bound to a region and its host."},
    "settings": {
      "type": "object",
      "additionalProperties": false,
      "properties": {
        "multimodal": {
          "type": "array",
          "items": {"type": "string", "minLength": 1},
          "description": "Further models that are served by multimodal-generation; NAME, or BEGINNING* for all that begin so."
        }
      }
    }
  }
})";

}  // namespace
}  // namespace dashscope

SWY_PLUGIN("switchyard.dashscope", "0.1.0",
           swy::provider<dashscope::Provider>("dashscope", dashscope::kCaps, dashscope::kSchema));
