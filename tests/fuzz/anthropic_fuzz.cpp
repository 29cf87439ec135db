// The anthropic provider: see vendor_fuzz.hpp.
#include "providers/anthropic/translate.hpp"
#include "vendor_fuzz.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const anthropic::Settings settings;
  vendor_fuzz::run(fuzz::text(data, size), [](const swy::Request& request) {
    return anthropic::Operation(settings, request, 1);
  });
  return 0;
}
