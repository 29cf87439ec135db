#include "providers/anthropic/translate.hpp"

namespace anthropic {
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

constexpr char kCaps[] =
    R"({"tasks":["chat","models","count_tokens"],"dialects":["anthropic"],"continues":true})";

constexpr char kSchema[] = R"({
  "type": "object",
  "additionalProperties": false,
  "properties": {
    "base_url": {"type": "string", "description": "Where the upstream is."},
    "settings": {
      "type": "object",
      "additionalProperties": false,
      "properties": {
        "version": {"type": "string", "pattern": "^[0-9-]{10}$", "description": "The header anthropic-version. Default: 2023-06-01."},
        "betas": {"type": "array", "items": {"type": "string", "pattern": "^[a-z0-9-]+$"}, "description": "The header anthropic-beta."},
        "max_tokens": {"type": "integer", "minimum": 1, "description": "max_tokens of requests that say none. Default: what the model can; 21333 where the answer is no stream."}
      }
    }
  }
})";

}  // namespace
}  // namespace anthropic

SWY_PLUGIN("switchyard.anthropic", "0.1.0",
           swy::provider<anthropic::Provider>("anthropic", anthropic::kCaps, anthropic::kSchema));
