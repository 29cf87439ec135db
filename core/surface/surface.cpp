#include "core/surface/surface.hpp"

#include "core/net/text.hpp"
#include "core/surface/anthropic_surface.hpp"
#include "core/surface/gemini_surface.hpp"
#include "core/surface/responses_surface.hpp"

namespace switchyard::surface {

const Surface* find_surface(const net::RequestHead& head) {
  static const AnthropicSurface anthropic;
  static const GeminiSurface gemini;
  static const ResponsesSurface responses;
  static const Surface* const all[] = {&anthropic, &gemini, &responses};
  for (const Surface* const surface : all) {
    if (surface->serves(head)) return surface;
  }
  return nullptr;
}

std::string query_parameter(std::string_view query, std::string_view name) {
  while (!query.empty()) {
    const std::size_t end = std::min(query.find('&'), query.size());
    const std::string_view pair = query.substr(0, end);
    query.remove_prefix(std::min(end + 1, query.size()));
    const std::size_t equal = std::min(pair.find('='), pair.size());
    if (net::percent_decode(pair.substr(0, equal), true) != name) continue;
    return net::percent_decode(pair.substr(std::min(equal + 1, pair.size())), true);
  }
  return {};
}

}  // namespace switchyard::surface
