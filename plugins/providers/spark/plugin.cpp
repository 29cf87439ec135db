#include "providers/spark/translate.hpp"

namespace spark {
namespace {

class Provider {
 public:
  static swy::Result<Provider> open(std::string_view config_json, swy::Host host) {
    auto settings = parse_settings(config_json);
    if (!settings) return settings.error();
    return Provider(*std::move(settings), host);
  }

  Operation start(const swy::Request& request) const {
    return {settings_, signer_, request,
            static_cast<std::int64_t>(host_.unix_ns() / 1'000'000'000)};
  }

 private:
  Provider(Settings settings, swy::Host host)
      : settings_(std::move(settings)), signer_(host), host_(host) {}

  Settings settings_;
  swy::Signer signer_;
  swy::Host host_;
};

constexpr char kCaps[] = R"({"tasks":["chat"],"dialects":[]})";

constexpr char kSchema[] = R"({
  "type": "object",
  "properties": {
    "base_url": {"type": "string", "description": "https://spark-api.xf-yun.com, which stands for wss:// too."},
    "settings": {
      "type": "object",
      "additionalProperties": false,
      "properties": {
        "models": {
          "type": "object",
          "description": "Models that have another address than is known.",
          "additionalProperties": {
            "type": "object",
            "required": ["path"],
            "additionalProperties": false,
            "properties": {
              "path": {"type": "string", "pattern": "^/[A-Za-z0-9._/-]+$", "description": "Such as /v4.0/chat."},
              "domain": {"type": "string", "description": "What the API calls the model. Default: its name."}
            }
          }
        }
      }
    }
  }
})";

}  // namespace
}  // namespace spark

SWY_PLUGIN("switchyard.spark", "0.1.0",
           swy::provider<spark::Provider>("spark", spark::kCaps, spark::kSchema));
