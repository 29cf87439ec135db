// The wenxinworkshop provider: see vendor_fuzz.hpp.
#include "providers/wenxinworkshop/translate.hpp"
#include "vendor_fuzz.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const wenxinworkshop::Settings settings;
  vendor_fuzz::run(fuzz::text(data, size), [](const swy::Request& request) {
    return wenxinworkshop::Operation(settings, request, 1);
  });
  return 0;
}
