// A request to OpenAI's Responses, from anybody.
#include "core/surface/responses_surface.hpp"
#include "surface_fuzz.hpp"

using namespace switchyard;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const surface::ResponsesSurface surface;
  fuzz::check_surface(fuzz::text(data, size), [](const JsonIndex& body) {
    surface::Ask ask;
    ask.what = surface::Ask::What::kTask;
    ask.task = "chat";
    ask.model = "m";
    return surface.to_canonical(ask, body);
  });
  return 0;
}
