#include "providers/bedrock/errors.hpp"

#include <string>
#include <switchyard/json.hpp>

namespace bedrock {

namespace json = swy::json;

namespace {

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return out;
}

// "com.amazon.coral.service#AccessDeniedException" and "AccessDeniedException:http://..." are both
// AccessDeniedException; a stream's begin with a small letter.
std::string bare_type(std::string_view type) {
  if (const std::size_t hash = type.find('#'); hash != std::string_view::npos) {
    type.remove_prefix(hash + 1);
  }
  std::string bare(type.substr(0, type.find(':')));
  if (!bare.empty() && bare[0] >= 'a' && bare[0] <= 'z') {
    bare[0] = static_cast<char>(bare[0] - 'a' + 'A');
  }
  return bare;
}

bool has(std::string_view text, std::string_view part) {
  return text.find(part) != std::string_view::npos;
}

// Names of resources hold the account's number.
std::string without_arns(std::string message) {
  for (std::size_t at = 0; (at = message.find("arn:aws", at)) != std::string::npos; ++at) {
    const std::size_t end = message.find_first_of(" ,;'\")", at);
    message.replace(at, (end == std::string::npos ? message.size() : end) - at, "(arn)");
  }
  return message;
}

std::int32_t class_of_validation(std::string_view message) {
  if (has(message, "too long") || has(message, "too many tokens") ||
      has(message, "too many input tokens") || has(message, "context window") ||
      has(message, "context limit")) {
    return SWY_CLS_TOO_LONG;
  }
  // A model that is only served through an inference profile, or that the region has not.
  if (has(message, "on-demand throughput") || has(message, "model identifier is invalid")) {
    return SWY_CLS_NO_MODEL;
  }
  return SWY_CLS_BAD_REQUEST;
}

std::int32_t class_of(unsigned status, std::string_view type, std::string_view message) {
  if (type == "ValidationException") return class_of_validation(message);
  if (type == "ThrottlingException") {
    return has(message, "per day") ? SWY_CLS_QUOTA : SWY_CLS_RATE_LIMIT;
  }
  if (type == "ServiceQuotaExceededException") return SWY_CLS_QUOTA;
  if (type == "AccessDeniedException") {
    return has(message, "access to the model") ? SWY_CLS_NO_MODEL : SWY_CLS_AUTH;
  }
  if (type == "ResourceNotFoundException") return SWY_CLS_NO_MODEL;
  if (type == "ModelTimeoutException") return SWY_CLS_TIMEOUT;
  if (type == "ModelErrorException" || type == "ModelStreamErrorException" ||
      type == "InternalServerException") {
    return SWY_CLS_SERVER;
  }
  if (type == "ModelNotReadyException" || type == "ServiceUnavailableException") {
    return SWY_CLS_OVERLOADED;
  }
  // UnrecognizedClientException, ExpiredTokenException, InvalidSignatureException ... come as 403.
  return swy::class_of_status(status);
}

}  // namespace

swy::Refusal read_refusal(unsigned status, std::string_view type, std::string_view body) {
  if (type.empty()) type = json::inside(json::find(body, "__type"));
  std::string_view said = json::find(body, "message");
  if (said.empty()) said = json::find(body, "Message");
  if (said.empty()) said = json::find(body, "originalMessage");

  swy::Refusal refusal;
  refusal.status = status;
  refusal.code = bare_type(type);
  refusal.message = without_arns(json::to_text(said).value_or(""));
  refusal.cls = class_of(status, refusal.code, lower(refusal.message));
  return refusal;
}

}  // namespace bedrock
