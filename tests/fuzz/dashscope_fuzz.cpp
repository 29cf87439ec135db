// The dashscope provider: see vendor_fuzz.hpp.
#include "providers/dashscope/translate.hpp"
#include "vendor_fuzz.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const dashscope::Settings settings;
  vendor_fuzz::run(fuzz::text(data, size), [](const swy::Request& request) {
    return dashscope::Operation(settings, request, 1);
  });
  return 0;
}
