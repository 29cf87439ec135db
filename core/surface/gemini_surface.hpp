// Google's Gemini API, as AI Studio has it.
#pragma once

#include "core/surface/surface.hpp"

namespace switchyard::surface {

class GeminiSurface : public Surface {
 public:
  std::string_view dialect() const override { return "gemini"; }
  bool serves(const net::RequestHead& head) const override;
  Ask ask(const net::RequestHead& head) const override;
  std::string key(const net::RequestHead& head) const override;
  std::string_view key_hint() const override { return "x-goog-api-key: sy-..."; }
  Canonical to_canonical(const Ask& ask, const JsonIndex& body) const override;
  std::string error(const exchange::Failure& failure, std::string_view request_id) const override;
  std::string models(const Ask& ask, std::string_view query,
                     std::span<const ListedModel> models) const override;
  std::string token_count(std::uint64_t tokens) const override;
};

}  // namespace switchyard::surface
