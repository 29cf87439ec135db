// sign.hpp - C++20 comfort over sign.h: signatures with a credential that the plugin never sees.
//
//   const swy::Signer signer(host);                      // once, in open()
//   auto mac = signer.hmac(out, {"AWS4", {date, region, service, "aws4_request", text}});
//   auto jwt = signer.jwt(out, {.alg = "HS256"}, claims_json);
//
// All of it is for the step of SWY_EV_SIGN, but for digest(), which any step may call.
#pragma once

#include <switchyard/sign.h>

#include <initializer_list>
#include <string>
#include <string_view>
#include <switchyard/json.hpp>
#include <switchyard/plugin.hpp>
#include <switchyard/provider.hpp>
#include <vector>

namespace swy {

inline std::string hex(std::string_view bytes) {
  constexpr char kDigits[] = "0123456789abcdef";
  std::string out;
  out.reserve(bytes.size() * 2);
  for (const char c : bytes) {
    out += kDigits[static_cast<unsigned char>(c) >> 4];
    out += kDigits[static_cast<unsigned char>(c) & 15U];
  }
  return out;
}

namespace detail {

inline std::string base64_of(std::string_view bytes, const char* digits, bool pad) {
  const std::size_t whole = bytes.size() / 3 * 3;
  std::string out(whole / 3 * 4, '\0');
  char* to = out.data();
  const auto at = [&bytes](std::size_t i) {
    return std::uint32_t{static_cast<unsigned char>(bytes[i])};
  };
  for (std::size_t i = 0; i < whole; i += 3) {
    const std::uint32_t group = at(i) << 16 | at(i + 1) << 8 | at(i + 2);
    *to++ = digits[group >> 18];
    *to++ = digits[group >> 12 & 63U];
    *to++ = digits[group >> 6 & 63U];
    *to++ = digits[group & 63U];
  }
  for (std::size_t i = whole; i < bytes.size(); i += 3) {
    const std::size_t n = bytes.size() - i < 3 ? bytes.size() - i : 3;
    std::uint32_t group = 0;
    for (std::size_t k = 0; k < 3; ++k) {
      group = group << 8 | (k < n ? static_cast<unsigned char>(bytes[i + k]) : 0U);
    }
    for (std::size_t k = 0; k < 4; ++k) {
      if (k <= n) {
        out += digits[group >> (18 - 6 * k) & 63U];
      } else if (pad) {
        out += '=';
      }
    }
  }
  return out;
}

}  // namespace detail

// RFC 4648, 4 and 5; the second without padding, as JOSE has it.
inline std::string base64(std::string_view bytes) {
  return detail::base64_of(
      bytes, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/", true);
}
inline std::string base64url(std::string_view bytes) {
  return detail::base64_of(
      bytes, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_", false);
}

// A chain of MACs: k0 = prefix + secret, each next key the MAC of a step under the one before.
struct HmacChain {
  std::string_view prefix;
  std::vector<std::string_view> steps;  // 1 to 16
  std::string_view slot = {};           // which secret: see sign.h
  std::uint32_t hash = SWY_HASH_SHA256;
  std::uint32_t flags = 0;  // SWY_HMAC_*
};

struct JwtHeader {
  std::string_view alg;       // "HS256", "RS256", "PS256" or "ES256"
  std::string_view kid = {};  // the key's id, where the upstream wants one
  std::string_view slot = {};
};

// The host's swy.sign/1. Cheap to copy. A fault of it is the credential's: SWY_CLS_AUTH.
class Signer {
 public:
  Signer() = default;
  explicit Signer(const Host& host)
      : table_(static_cast<const swy_sign*>(host.extension(SWY_SIGN_EXT))) {}

  // False where the host has no such extension.
  explicit operator bool() const { return table_ != nullptr; }

  Result<std::string> digest(std::string_view data, std::uint32_t hash = SWY_HASH_SHA256) const {
    std::uint8_t bytes[SWY_DIGEST_MAX];
    std::uint32_t n = 0;
    if (table_ == nullptr) return no_extension();
    const swy_rc rc = table_->digest(hash, str(data), bytes, &n);
    if (rc < 0) return fault("digest", rc);
    return text(bytes, n);
  }

  // The last MAC of the chain, as bytes.
  Result<std::string> hmac(const Out& out, const HmacChain& chain) const {
    std::vector<swy_str> steps;
    for (const std::string_view step : chain.steps) steps.push_back(str(step));
    swy_hmac raw{};
    raw.size = sizeof raw;
    raw.flags = chain.flags;
    raw.hash = chain.hash;
    raw.nstep = static_cast<std::uint32_t>(steps.size());
    raw.slot = str(chain.slot);
    raw.prefix = str(chain.prefix);
    raw.step = steps.data();
    std::uint8_t mac[SWY_DIGEST_MAX];
    std::uint32_t n = 0;
    if (table_ == nullptr) return no_extension();
    const swy_rc rc = table_->hmac(&out.raw(), &raw, mac, &n);
    if (rc < 0) return fault("hmac", rc);
    return text(mac, n);
  }

  // A signature with a private key, alg SWY_ALG_*.
  Result<std::string> sign(const Out& out, std::uint32_t alg, std::string_view data,
                           std::string_view slot = {}) const {
    std::uint8_t signature[1024];  // RSA of 8192 bits
    std::uint32_t n = sizeof signature;
    if (table_ == nullptr) return no_extension();
    const swy_rc rc = table_->sign(&out.raw(), alg, str(slot), str(data), signature, &n);
    if (rc < 0) return fault("sign", rc);
    return text(signature, n);
  }

  // A JSON Web Token (RFC 7519) with a compact signature (RFC 7515).
  Result<std::string> jwt(const Out& out, const JwtHeader& header, std::string_view claims) const {
    std::string head;
    json::Writer writer(head);
    writer.open_object().key("alg").text(header.alg).key("typ").text("JWT");
    if (!header.kid.empty()) writer.key("kid").text(header.kid);
    writer.close_object();
    std::string token = base64url(head) + "." + base64url(claims);
    auto signature = header.alg == "HS256" ? hmac(out, {{}, {token}, header.slot})
                                           : sign(out, algorithm(header.alg), token, header.slot);
    if (!signature) return signature;
    return token + "." + base64url(*signature);
  }

 private:
  static std::uint32_t algorithm(std::string_view name) {
    if (name == "RS256") return SWY_ALG_RS256;
    if (name == "PS256") return SWY_ALG_PS256;
    return name == "ES256" ? SWY_ALG_ES256 : 0;
  }
  static std::string text(const std::uint8_t* bytes, std::uint32_t n) {
    return {reinterpret_cast<const char*>(bytes), n};
  }
  static Error no_extension() { return {SWY_CLS_PLUGIN, "the host has no " SWY_SIGN_EXT}; }
  static Error fault(const char* what, swy_rc rc) {
    if (rc == SWY_E_ARG) {
      return {SWY_CLS_AUTH,
              "the provider has no credential, or its key is not of the kind to sign"};
    }
    return {SWY_CLS_PLUGIN,
            std::string(SWY_SIGN_EXT " ") + what + " answered " + std::to_string(rc)};
  }

  const swy_sign* table_ = nullptr;
};

}  // namespace swy
