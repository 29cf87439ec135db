#include "providers/cohere/translate.hpp"

namespace cohere {
namespace {

class Provider {
 public:
  static swy::Result<Provider> open(std::string_view, swy::Host host) { return Provider(host); }

  Operation start(const swy::Request& request) const {
    return Operation(request, static_cast<std::int64_t>(host_.unix_ns() / 1'000'000'000));
  }

 private:
  explicit Provider(swy::Host host) : host_(host) {}

  swy::Host host_;
};

constexpr char kCaps[] = R"({"tasks":["chat","embeddings","rerank"],"dialects":[]})";

constexpr char kSchema[] = R"({
  "type": "object",
  "properties": {
    "base_url": {"type": "string", "description": "Where the API is, without a version."},
    "settings": {"type": "object", "additionalProperties": false}
  }
})";

}  // namespace
}  // namespace cohere

SWY_PLUGIN("switchyard.cohere", "0.1.0",
           swy::provider<cohere::Provider>("cohere", cohere::kCaps, cohere::kSchema));
