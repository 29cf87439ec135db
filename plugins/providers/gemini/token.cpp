// Vertex takes a token, which a service account's key is exchanged for.
#include "providers/gemini/translate.hpp"

namespace gemini {

namespace json = swy::json;

namespace {

constexpr std::string_view kScope = "https://www.googleapis.com/auth/cloud-platform";
constexpr std::int64_t kAssertionSeconds = 3600;  // the longest that Google takes

}  // namespace

// Without an address of an account the key is an express key, which goes as AI Studio's do.
bool Operation::needs_token(const swy::Out& out) const {
  return settings_->vertex && !account().empty() && !out.has_token(kToken);
}

std::string_view Operation::account() const { return request_.credential("client_email"); }

// RFC 7523: an assertion that the account's key signs.
swy::Next Operation::ask_for_token(swy::Out& out) {
  std::string claims;
  json::Writer writer(claims);
  writer.open_object().key("iss").text(account()).key("scope").text(kScope);
  writer.key("aud").text(settings_->token_url);
  writer.key("iat").integer(now_).key("exp").integer(now_ + kAssertionSeconds).close_object();
  swy::JwtHeader header;
  header.alg = "RS256";
  header.slot = "/private_key";
  header.kid = request_.credential("private_key_id");
  const auto assertion = signer_.jwt(out, header, claims);
  if (!assertion) return swy::Next::fail(assertion.error());
  out.begin("POST", settings_->token_url, SWY_FRAME_TOKEN);
  out.header("content-type", "application/x-www-form-urlencoded");
  out.token(kToken, "/access_token", "/expires_in");
  out.body("grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer&assertion=" +
           *assertion);
  exchanging_ = true;
  return swy::Next::send();
}

// What Google says of an account it does not know is not for the client.
swy::Next Operation::refused_token() const {
  swy::Error error{SWY_CLS_AUTH,
                   "Google refused the service account's assertion: check the key, "
                   "client_email and this machine's clock"};
  if (status_ >= 500) error = {SWY_CLS_SERVER, "Google's token endpoint failed"};
  error.http = status_;
  return swy::Next::fail(std::move(error));
}

}  // namespace gemini
