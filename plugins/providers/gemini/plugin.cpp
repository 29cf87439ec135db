#include "providers/gemini/translate.hpp"

namespace gemini {
namespace {

class Provider {
 public:
  static swy::Result<Provider> open(std::string_view config_json, swy::Host host) {
    auto settings = parse_settings(config_json);
    if (!settings) return settings.error();
    return Provider(*std::move(settings), host);
  }

  Operation start(const swy::Request& request) const {
    return Operation(settings_, request,
                     static_cast<std::int64_t>(host_.unix_ns() / 1'000'000'000U));
  }

 private:
  Provider(Settings settings, swy::Host host) : settings_(std::move(settings)), host_(host) {}

  Settings settings_;
  swy::Host host_;
};

constexpr char kCaps[] = R"({"tasks":["chat","embeddings","models"],"dialects":[]})";

constexpr char kSchema[] = R"({
  "type": "object",
  "additionalProperties": false,
  "properties": {
    "base_url": {"type": "string", "description": "Where the upstream is."},
    "settings": {
      "type": "object",
      "additionalProperties": false,
      "properties": {
        "safety_settings": {"type": "array", "items": {"type": "object"}, "description": "safetySettings of requests that bring none of their own."},
        "send_store": {"type": "boolean", "description": "Whether requests say \"store\": false, which AI Studio knows and others refuse. Default: true."}
      }
    }
  }
})";

}  // namespace
}  // namespace gemini

SWY_PLUGIN("switchyard.gemini", "0.1.0",
           swy::provider<gemini::Provider>("gemini", gemini::kCaps, gemini::kSchema));
