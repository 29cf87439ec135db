#include "providers/kling/translate.hpp"

namespace kling {
namespace {

class Provider {
 public:
  static swy::Result<Provider> open(std::string_view, swy::Host host) { return Provider(host); }

  Operation start(const swy::Request& request) const { return Operation(signer_, request); }

 private:
  explicit Provider(swy::Host host) : signer_(host) {}

  swy::Signer signer_;
};

constexpr char kCaps[] = R"({"tasks":["videos","videos.get","videos.content"],"dialects":[]})";

constexpr char kSchema[] = R"({
  "type": "object",
  "properties": {
    "base_url": {"type": "string", "description": "https://api-singapore.klingai.com, or of China https://api-beijing.klingai.com"},
    "settings": {"type": "object", "additionalProperties": false}
  }
})";

}  // namespace
}  // namespace kling

SWY_PLUGIN("switchyard.kling", "0.1.0",
           swy::provider<kling::Provider>("kling", kling::kCaps, kling::kSchema));
