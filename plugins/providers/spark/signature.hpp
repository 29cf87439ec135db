// How Spark wants the request for an upgrade signed: over its host, its date and its first line,
// with all of it in the query.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <switchyard/sign.hpp>

namespace spark {

// "Fri, 20 Nov 2026 12:00:00 GMT"
std::string http_date(std::uint64_t unix_ms);

// In the step of SWY_EV_SIGN. The credential's key is the API secret.
swy::Result<void> sign(const swy::Signer& signer, std::string_view api_key,
                       const swy::SignFacts& facts, swy::Out& out);

}  // namespace spark
