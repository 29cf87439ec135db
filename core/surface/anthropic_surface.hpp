// Anthropic's Messages API.
#pragma once

#include "core/surface/surface.hpp"

namespace switchyard::surface {

class AnthropicSurface : public Surface {
 public:
  std::string_view dialect() const override { return "anthropic"; }
  bool serves(const net::RequestHead& head) const override;
  Ask ask(const net::RequestHead& head) const override;
  std::string key(const net::RequestHead& head) const override;
  std::string_view key_hint() const override { return "x-api-key: sy-..."; }
  std::string headers(std::string_view request_id) const override;
  std::span<const std::string_view> forwarded() const override;
  Canonical to_canonical(const Ask& ask, const JsonIndex& body) const override;
  std::string error(const exchange::Failure& failure, std::string_view request_id) const override;
  std::string models(const Ask& ask, std::string_view query,
                     std::span<const ListedModel> models) const override;
  std::string token_count(std::uint64_t tokens) const override;
};

}  // namespace switchyard::surface
