#include "providers/wenxinworkshop/translate.hpp"

namespace wenxinworkshop {
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

constexpr char kCaps[] = R"({"tasks":["chat","embeddings"],"dialects":[]})";

constexpr char kSchema[] = R"({
  "type": "object",
  "properties": {
    "base_url": {"type": "string", "description": "Where the API and its tokens are: https://aip.baidubce.com."},
    "settings": {
      "type": "object",
      "additionalProperties": false,
      "properties": {
        "paths": {
          "type": "object",
          "description": "The last part of the address of models that have another one than is known.",
          "additionalProperties": {"type": "string", "pattern": "^[A-Za-z0-9._-]+$"}
        }
      }
    }
  }
})";

}  // namespace
}  // namespace wenxinworkshop

SWY_PLUGIN("switchyard.wenxinworkshop", "0.1.0",
           swy::provider<wenxinworkshop::Provider>("wenxinworkshop", wenxinworkshop::kCaps,
                                                   wenxinworkshop::kSchema));
