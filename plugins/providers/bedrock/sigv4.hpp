// AWS Signature Version 4. Source: AWS, "Create a signed AWS API request", read 2026-11.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <switchyard/provider.hpp>
#include <switchyard/sign.hpp>

namespace bedrock {

struct Scope {
  std::string_view access_key_id, session_token;  // the token may be empty
  std::string_view region, service;
};

// 2026-11-20T12:00:00Z as "20261120T120000Z".
std::string amz_date(std::uint64_t unix_ms);

// What the signature's hash is made over, and the names in it. headers: those to be signed, in any
// order, names in lower case.
struct CanonicalRequest {
  std::string text, signed_headers;
};
CanonicalRequest canonical_request(std::string_view method, std::string_view url,
                                   std::span<const swy_kv> headers, std::string_view body_sha256);

// The region that a host such as bedrock-runtime.eu-west-1.amazonaws.com stands in; empty where it
// names none.
std::string_view region_of(std::string_view url);

// Answers SWY_EV_SIGN: writes x-amz-date, x-amz-security-token and authorization.
swy::Result<void> sign(const swy::Signer& signer, const swy::SignFacts& facts, const Scope& scope,
                       swy::Out& out);

}  // namespace bedrock
