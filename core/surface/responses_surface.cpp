#include "core/surface/responses_surface.hpp"

#include "core/surface/admission.hpp"
#include "core/surface/openai_error.hpp"
#include "core/surface/responses_answer.hpp"
#include "core/surface/responses_request.hpp"

namespace switchyard::surface {
namespace {

constexpr std::string_view kResponses = "/v1/responses";

}  // namespace

bool ResponsesSurface::serves(const net::RequestHead& head) const {
  return head.path == kResponses || head.path.starts_with("/v1/responses/");
}

Ask ResponsesSurface::ask(const net::RequestHead& head) const {
  Ask ask;
  ask.task = "chat";
  if (head.path == kResponses) {
    ask.what = Ask::What::kTask;
  } else if (head.path == "/v1/responses/input_tokens") {
    ask.what = Ask::What::kCount;
  } else if (head.path != "/v1/responses/") {
    ask.what = Ask::What::kNotStored;
    ask.allowed = "GET, POST, DELETE";
  }
  return ask;
}

std::string ResponsesSurface::key(const net::RequestHead& head) const {
  return std::string(bearer(head.find("authorization")));
}

exchange::Failure ResponsesSurface::not_stored() const {
  return surface::not_stored("response_id");
}

Canonical ResponsesSurface::to_canonical(const Ask& /*ask*/, const JsonIndex& body) const {
  std::string echo;
  Canonical canonical = from_responses(body, echo);
  canonical.answer = std::make_unique<ResponsesAnswer>(std::move(echo));
  return canonical;
}

std::string ResponsesSurface::error(const exchange::Failure& failure,
                                    std::string_view /*request_id*/) const {
  return openai_error(failure);
}

std::string ResponsesSurface::token_count(std::uint64_t tokens) const {
  return R"({"object":"response.input_tokens","input_tokens":)" + std::to_string(tokens) + "}";
}

}  // namespace switchyard::surface
