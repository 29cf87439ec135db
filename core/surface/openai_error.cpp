#include "core/surface/openai_error.hpp"

#include "core/base/json_scan.hpp"

namespace switchyard::surface {
namespace {

void append_or_null(std::string& out, std::string_view text) {
  if (text.empty()) {
    out += "null";
  } else {
    append_json_string(out, text);
  }
}

}  // namespace

std::string openai_error(const exchange::Failure& failure) {
  std::string out = R"({"error":)";
  JsonIndex upstream;
  if (!failure.error_json.empty() && upstream.scan(failure.error_json)) {
    out += failure.error_json;
  } else {
    out += R"({"message":)";
    append_json_string(out, failure.message);
    out += R"(,"type":)";
    append_json_string(out, failure.type);
    out += R"(,"param":)";
    append_or_null(out, failure.param);
    out += R"(,"code":)";
    append_or_null(out, failure.code);
    out += '}';
  }
  out += '}';
  return out;
}

std::string openai_error_headers(const exchange::Failure& failure) {
  std::string lines = "content-type: application/json\r\n";
  if (failure.retry_after_ms > 0) {
    lines += "retry-after: " + std::to_string((failure.retry_after_ms + 999) / 1000) + "\r\n";
    lines += "retry-after-ms: " + std::to_string(failure.retry_after_ms) + "\r\n";
  }
  // The OpenAI and Anthropic SDKs obey it; without it they would multiply our own attempts.
  if (failure.upstream) lines += "x-should-retry: false\r\n";
  return lines;
}

exchange::Failure bad_request(unsigned status, std::string code, std::string message,
                              std::string param) {
  exchange::Failure failure;
  failure.status = status;
  failure.type = "invalid_request_error";
  failure.code = std::move(code);
  failure.message = std::move(message);
  failure.param = std::move(param);
  return failure;
}

}  // namespace switchyard::surface
