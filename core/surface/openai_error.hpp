// Errors as OpenAI's API says them.
#pragma once

#include <string>

#include "core/exchange/exchange.hpp"

namespace switchyard::surface {

// {"error":{"message","type","param","code"}}; the upstream's own object where the failure carries
// one.
std::string openai_error(const exchange::Failure& failure);

// The header lines that go with it: content type, retry-after, x-should-retry.
std::string openai_error_headers(const exchange::Failure& failure);

// A fault of the request: 4xx, type invalid_request_error.
exchange::Failure bad_request(unsigned status, std::string code, std::string message,
                              std::string param = {});

}  // namespace switchyard::surface
