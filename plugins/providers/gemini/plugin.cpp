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
                     static_cast<std::int64_t>(host_.unix_ns() / 1'000'000'000U), signer_);
  }

 private:
  Provider(Settings settings, swy::Host host)
      : settings_(std::move(settings)), host_(host), signer_(host) {}

  Settings settings_;
  swy::Host host_;
  swy::Signer signer_;
};

constexpr char kCaps[] =
    R"({"tasks":["chat","embeddings","models","count_tokens"],"dialects":["gemini"]})";

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
        "send_store": {"type": "boolean", "description": "Whether requests say \"store\": false, which AI Studio knows and others refuse. Default: true."},
        "vertex": {"type": "boolean", "description": "The upstream is Vertex AI: base_url ends with /publishers/google, and the credential is a service account's JSON document with its client_email as a part, or an express key."},
        "token_url": {"type": "string", "description": "Where a service account's key is exchanged for a token. Its origin has to be one of the provider's origins."}
      }
    }
  }
})";

}  // namespace
}  // namespace gemini

SWY_PLUGIN("switchyard.gemini", "0.1.0",
           swy::provider<gemini::Provider>("gemini", gemini::kCaps, gemini::kSchema));
