#include "core/plugin/sign.hpp"

#include <openssl/crypto.h>
#include <openssl/ecdsa.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>

#include <array>
#include <memory>
#include <string>
#include <switchyard/json.hpp>

#include "core/base/json_pointer.hpp"
#include "core/base/json_scan.hpp"
#include "core/plugin/provider.hpp"

namespace switchyard::plugin {

constinit thread_local const swy_out* SigningScope::current_ = nullptr;

const Secret* SigningScope::key_of(const swy_out* out) {
  if (out == nullptr || out != current_) return nullptr;
  return static_cast<const OperationSink*>(out->ctx)->credential_key();
}

std::optional<Secret> secret_in(std::string_view key, std::string_view slot) {
  if (key.empty()) return std::nullopt;
  if (slot.empty()) return Secret(std::string(key));
  const std::string_view value = json_at(key, slot);
  if (value.size() < 2 || value.front() != '"') return std::nullopt;
  Secret found(json_unescape(value));
  if (found.empty()) return std::nullopt;
  return found;
}

namespace {

constexpr std::uint32_t kStepsMax = 16;

bool readable(swy_str s) { return s.p != nullptr || s.n == 0; }

const EVP_MD* hash_of(std::uint32_t hash) {
  switch (hash) {
    case SWY_HASH_SHA1:
      return EVP_sha1();
    case SWY_HASH_SHA256:
      return EVP_sha256();
    case SWY_HASH_SHA512:
      return EVP_sha512();
    default:
      return nullptr;
  }
}

swy_rc SWY_CALL digest(std::uint32_t hash, swy_str data, std::uint8_t* out,
                       std::uint32_t* n) noexcept {
  const EVP_MD* const md = hash_of(hash);
  if (md == nullptr) return SWY_E_UNSUP;
  if (!readable(data) || out == nullptr || n == nullptr) return SWY_E_ARG;
  unsigned size = 0;
  if (EVP_Digest(data.p, data.n, out, &size, md, nullptr) != 1) return SWY_E_BUG;
  *n = size;
  return SWY_OK;
}

// Bytes of a key or a MAC that don't stay behind.
struct KeyBytes {
  std::array<unsigned char, 2 * EVP_MAX_MD_SIZE> bytes{};
  unsigned size = 0;
  ~KeyBytes() { OPENSSL_cleanse(bytes.data(), bytes.size()); }
};

void to_hex(const KeyBytes& mac, KeyBytes& hex) {
  static constexpr char kHex[] = "0123456789abcdef";
  for (unsigned i = 0; i < mac.size; ++i) {
    hex.bytes[2 * i] = static_cast<unsigned char>(kHex[mac.bytes[i] >> 4]);
    hex.bytes[2 * i + 1] = static_cast<unsigned char>(kHex[mac.bytes[i] & 15]);
  }
  hex.size = 2 * mac.size;
}

bool mac_step(const EVP_MD* md, const void* key, std::size_t size, swy_str step, KeyBytes& out) {
  return HMAC(md, key, static_cast<int>(size), reinterpret_cast<const unsigned char*>(step.p),
              step.n, out.bytes.data(), &out.size) != nullptr;
}

// The first key: prefix and secret, made in one piece so that no shorter copy stays behind.
Secret first_key(swy_str prefix, const Secret& secret) {
  std::string text;
  text.reserve(prefix.n + secret.reveal().size() + 16);
  text.append(view(prefix)).append(secret.reveal());
  return Secret(std::move(text));
}

swy_rc SWY_CALL hmac(const swy_out* out, const swy_hmac* chain, std::uint8_t* mac,
                     std::uint32_t* n) noexcept {
  if (chain == nullptr || mac == nullptr || n == nullptr || !readable(chain->slot) ||
      !readable(chain->prefix) || chain->step == nullptr || chain->nstep < 1 ||
      chain->nstep > kStepsMax || chain->prefix.n > 4096) {
    return SWY_E_ARG;
  }
  for (std::uint32_t i = 0; i < chain->nstep; ++i) {
    if (!readable(chain->step[i])) return SWY_E_ARG;
  }
  const EVP_MD* const md = hash_of(chain->hash);
  if (md == nullptr) return SWY_E_UNSUP;
  const Secret* const key = SigningScope::key_of(out);
  if (key == nullptr) return SWY_E_ARG;
  const auto secret = secret_in(key->reveal(), view(chain->slot));
  if (!secret) return SWY_E_ARG;

  const Secret first = first_key(chain->prefix, *secret);
  KeyBytes last, next, hex;
  if (!mac_step(md, first.reveal().data(), first.reveal().size(), chain->step[0], last)) {
    return SWY_E_BUG;
  }
  for (std::uint32_t i = 1; i < chain->nstep; ++i) {
    const bool as_hex = (chain->flags & SWY_HMAC_HEX_STEPS) != 0;
    if (as_hex) to_hex(last, hex);
    const KeyBytes& with = as_hex ? hex : last;
    if (!mac_step(md, with.bytes.data(), with.size, chain->step[i], next)) return SWY_E_BUG;
    last = next;
  }
  std::copy_n(last.bytes.data(), last.size, mac);
  *n = last.size;
  return SWY_OK;
}

template <auto Free>
struct FreeWith {
  template <class T>
  void operator()(T* object) const {
    Free(object);
  }
};
using Bio = std::unique_ptr<BIO, FreeWith<BIO_free>>;
using PrivateKey = std::unique_ptr<EVP_PKEY, FreeWith<EVP_PKEY_free>>;
using DigestContext = std::unique_ptr<EVP_MD_CTX, FreeWith<EVP_MD_CTX_free>>;
using EcSignature = std::unique_ptr<ECDSA_SIG, FreeWith<ECDSA_SIG_free>>;

// An encrypted key can't be used: without this OpenSSL would ask at the terminal.
int no_password(char*, int, int, void*) { return -1; }

PrivateKey read_key(const Secret& pem) {
  const std::string_view text = pem.reveal();
  const Bio bio(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
  PrivateKey key;
  if (bio) key.reset(PEM_read_bio_PrivateKey(bio.get(), nullptr, no_password, nullptr));
  ERR_clear_error();
  return key;
}

bool fits(const EVP_PKEY* key, std::uint32_t alg) {
  if (alg != SWY_ALG_ES256) return EVP_PKEY_is_a(key, "RSA") == 1;
  return EVP_PKEY_is_a(key, "EC") == 1 && EVP_PKEY_get_bits(key) == 256;
}

// r and s, 32 bytes each, out of the DER form.
bool to_jws(std::string& signature) {
  const auto* der = reinterpret_cast<const unsigned char*>(signature.data());
  const EcSignature parts(d2i_ECDSA_SIG(nullptr, &der, static_cast<long>(signature.size())));
  if (!parts) return false;
  unsigned char raw[64];
  if (BN_bn2binpad(ECDSA_SIG_get0_r(parts.get()), raw, 32) != 32) return false;
  if (BN_bn2binpad(ECDSA_SIG_get0_s(parts.get()), raw + 32, 32) != 32) return false;
  signature.assign(reinterpret_cast<const char*>(raw), sizeof raw);
  return true;
}

bool make_signature(EVP_PKEY* key, std::uint32_t alg, swy_str data, std::string& signature) {
  const DigestContext context(EVP_MD_CTX_new());
  EVP_PKEY_CTX* settings = nullptr;
  if (!context || EVP_DigestSignInit(context.get(), &settings, EVP_sha256(), nullptr, key) != 1) {
    return false;
  }
  if (alg == SWY_ALG_PS256 &&
      (EVP_PKEY_CTX_set_rsa_padding(settings, RSA_PKCS1_PSS_PADDING) != 1 ||
       EVP_PKEY_CTX_set_rsa_pss_saltlen(settings, RSA_PSS_SALTLEN_DIGEST) != 1)) {
    return false;
  }
  std::size_t size = 0;
  const auto* bytes = reinterpret_cast<const unsigned char*>(data.p);
  if (EVP_DigestSign(context.get(), nullptr, &size, bytes, data.n) != 1) return false;
  signature.resize(size);
  auto* into = reinterpret_cast<unsigned char*>(signature.data());
  if (EVP_DigestSign(context.get(), into, &size, bytes, data.n) != 1) return false;
  signature.resize(size);
  return alg != SWY_ALG_ES256 || to_jws(signature);
}

swy_rc SWY_CALL sign(const swy_out* out, std::uint32_t alg, swy_str slot, swy_str data,
                     std::uint8_t* sig, std::uint32_t* n) noexcept {
  if (!readable(slot) || !readable(data) || sig == nullptr || n == nullptr) return SWY_E_ARG;
  if (alg < SWY_ALG_RS256 || alg > SWY_ALG_ES256) return SWY_E_UNSUP;
  const Secret* const key = SigningScope::key_of(out);
  if (key == nullptr) return SWY_E_ARG;
  const auto pem = secret_in(key->reveal(), view(slot));
  if (!pem) return SWY_E_ARG;
  const PrivateKey parsed = read_key(*pem);
  if (!parsed || !fits(parsed.get(), alg)) return SWY_E_ARG;
  std::string signature;
  if (!make_signature(parsed.get(), alg, data, signature)) {
    ERR_clear_error();
    return SWY_E_ARG;
  }
  if (signature.size() > *n) return SWY_E_LIMIT;
  std::copy_n(signature.data(), signature.size(), reinterpret_cast<char*>(sig));
  *n = static_cast<std::uint32_t>(signature.size());
  return SWY_OK;
}

constexpr swy_sign kTable = {
    .size = sizeof(swy_sign), .minor = 0, .digest = digest, .hmac = hmac, .sign = sign};

}  // namespace

const swy_sign* sign_table() { return &kTable; }

}  // namespace switchyard::plugin
