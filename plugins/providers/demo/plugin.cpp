#include <switchyard/json.hpp>

#include "providers/demo/translate.hpp"

namespace demo {
namespace {

class Provider {
 public:
  static swy::Result<Provider> open(std::string_view config_json, swy::Host host) {
    Settings settings;
    const std::string_view delay = swy::json::find_path(config_json, "settings.delay_ms");
    settings.delay_ns =
        static_cast<std::uint64_t>(swy::json::to_integer(delay).value_or(0)) * 1'000'000;
    return Provider(settings, host);
  }

  Operation start(const swy::Request& request) const {
    return Operation(settings_, request,
                     static_cast<std::int64_t>(host_.unix_ns() / 1'000'000'000));
  }

 private:
  Provider(Settings settings, swy::Host host) : settings_(settings), host_(host) {}

  Settings settings_;
  swy::Host host_;
};

constexpr char kCaps[] =
    R"({"tasks":["chat","completions","embeddings","moderations","models"],"dialects":["openai"]})";

constexpr char kSchema[] = R"({
  "type": "object",
  "properties": {
    "settings": {
      "type": "object",
      "additionalProperties": false,
      "properties": {
        "delay_ms": {
          "type": "integer", "minimum": 0, "maximum": 60000,
          "description": "Milliseconds between two pieces of a stream."
        }
      }
    }
  }
})";

}  // namespace
}  // namespace demo

SWY_PLUGIN("switchyard.demo", "0.1.0",
           swy::provider<demo::Provider>("demo", demo::kCaps, demo::kSchema));
