// OpenAI's Responses API. Nothing is stored: what needs that is refused, and said how to do
// without.
#pragma once

#include "core/surface/surface.hpp"

namespace switchyard::surface {

class ResponsesSurface : public Surface {
 public:
  std::string_view dialect() const override { return "openai-responses"; }
  bool serves(const net::RequestHead& head) const override;
  Ask ask(const net::RequestHead& head) const override;
  std::string key(const net::RequestHead& head) const override;
  std::string_view key_hint() const override { return "Authorization: Bearer sy-..."; }
  exchange::Failure not_stored() const override;
  Canonical to_canonical(const Ask& ask, const JsonIndex& body) const override;
  std::string error(const exchange::Failure& failure, std::string_view request_id) const override;
  std::string token_count(std::uint64_t tokens) const override;
};

}  // namespace switchyard::surface
