#include <string>

#include "core/base/json_scan.hpp"
#include "core/surface/form.hpp"
#include "fuzz.hpp"

namespace net = switchyard::net;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view input = fuzz::text(data, size);
  // The first line is a content-type, the rest a body under the boundary "B" or the one it names.
  const std::size_t line = input.find('\n');
  const std::string_view type = input.substr(0, line);
  const std::string_view body =
      line == std::string_view::npos ? std::string_view() : input.substr(line + 1);
  std::string boundary = "B";
  if (const auto named = net::multipart_boundary(type); named && !named->empty()) {
    fuzz::require(named->size() <= 70, "a boundary is short");
    boundary = *named;
  }
  const auto parts = net::parse_multipart(body, boundary);
  const auto form = switchyard::surface::read_form(body, boundary);
  if (!parts) {
    fuzz::require(!form, "a broken form is no form");
    return 0;
  }
  std::size_t bytes = 0;
  for (const net::FormPart& part : *parts) {
    bytes += part.data.size();
    fuzz::require(!part.name.empty() && part.name.size() <= 256, "names are bounded");
    fuzz::require(part.data.find("\r\n--" + boundary) == std::string_view::npos,
                  "no part holds the boundary");
    fuzz::require(
        part.data.empty() || (part.data.data() >= body.data() &&
                              part.data.data() + part.data.size() <= body.data() + body.size()),
        "data is a view into the body");
  }
  fuzz::require(bytes <= body.size(), "parts are within the body");
  if (form) {
    switchyard::JsonIndex index;
    fuzz::require(static_cast<bool>(index.scan(form->json)), "a form is JSON");
  }
  return 0;
}
