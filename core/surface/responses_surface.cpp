#include "core/surface/responses_surface.hpp"

#include "core/surface/admission.hpp"
#include "core/surface/openai_error.hpp"
#include "core/surface/responses_answer.hpp"
#include "core/surface/responses_request.hpp"
#include "core/surface/stored_responses.hpp"

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
  } else if (const StoredCall call = read_stored_call(head); !call.allowed.empty()) {
    ask.what = Ask::What::kStored;
    ask.allowed = call.allowed;
  }
  return ask;
}

std::string ResponsesSurface::key(const net::RequestHead& head) const {
  return std::string(bearer(head.find("authorization")));
}

Canonical ResponsesSurface::to_canonical(const Ask& ask, const JsonIndex& body) const {
  std::string echo;
  Canonical canonical = from_responses(body, ask.stored, echo);
  const std::string id = ask.stored != nullptr ? ask.stored->id : std::string();
  canonical.answer = std::make_unique<ResponsesAnswer>(std::move(echo), id);
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
