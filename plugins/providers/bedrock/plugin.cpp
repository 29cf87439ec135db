#include "providers/bedrock/translate.hpp"

namespace bedrock {
namespace {

class Provider {
 public:
  static swy::Result<Provider> open(std::string_view config_json, swy::Host host) {
    auto settings = parse_settings(config_json);
    if (!settings) return settings.error();
    return Provider(*std::move(settings), host);
  }

  Operation start(const swy::Request& request) const {
    return Operation(settings_, signer_, request,
                     static_cast<std::int64_t>(host_.unix_ns() / 1'000'000'000));
  }

 private:
  Provider(Settings settings, swy::Host host)
      : settings_(std::move(settings)), host_(host), signer_(host) {}

  Settings settings_;
  swy::Host host_;
  swy::Signer signer_;
};

constexpr char kCaps[] = R"({"tasks":["chat"],"dialects":[]})";

constexpr char kSchema[] = R"({
  "type": "object",
  "properties": {
    "base_url": {"type": "string", "description": "https://bedrock-runtime.REGION.amazonaws.com"},
    "settings": {"type": "object", "additionalProperties": false}
  }
})";

}  // namespace
}  // namespace bedrock

SWY_PLUGIN("switchyard.bedrock", "0.1.0",
           swy::provider<bedrock::Provider>("bedrock", bedrock::kCaps, bedrock::kSchema));
