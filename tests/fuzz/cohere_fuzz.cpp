// The cohere provider: see vendor_fuzz.hpp.
#include "providers/cohere/translate.hpp"
#include "vendor_fuzz.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  vendor_fuzz::run(fuzz::text(data, size),
                   [](const swy::Request& request) { return cohere::Operation(request, 1); });
  return 0;
}
