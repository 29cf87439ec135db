#include "core/base/seal.hpp"

#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <openssl/rand.h>

#include <memory>

namespace switchyard {
namespace {

constexpr std::size_t kKeyBytes = 32, kNonceBytes = 12, kTagBytes = 16;

struct FreeContext {
  void operator()(EVP_CIPHER_CTX* context) const { EVP_CIPHER_CTX_free(context); }
  void operator()(EVP_PKEY_CTX* context) const { EVP_PKEY_CTX_free(context); }
};
using Cipher = std::unique_ptr<EVP_CIPHER_CTX, FreeContext>;

unsigned char* bytes(std::string& text) { return reinterpret_cast<unsigned char*>(text.data()); }
const unsigned char* bytes(std::string_view text) {
  return reinterpret_cast<const unsigned char*>(text.data());
}
int length(std::string_view text) { return static_cast<int>(text.size()); }

}  // namespace

Result<Sealer> Sealer::make(const Secret& secret, std::string_view purpose) {
  const std::unique_ptr<EVP_PKEY_CTX, FreeContext> context(
      EVP_PKEY_CTX_new_id(EVP_PKEY_HKDF, nullptr));
  const std::string_view from = secret.reveal();
  std::string key(kKeyBytes, '\0');
  std::size_t size = key.size();
  const bool derived =
      context && EVP_PKEY_derive_init(context.get()) > 0 &&
      EVP_PKEY_CTX_set_hkdf_md(context.get(), EVP_sha256()) > 0 &&
      EVP_PKEY_CTX_set1_hkdf_key(context.get(), bytes(from), length(from)) > 0 &&
      EVP_PKEY_CTX_add1_hkdf_info(context.get(), bytes(purpose), length(purpose)) > 0 &&
      EVP_PKEY_derive(context.get(), bytes(key), &size) > 0;
  if (!derived || size != kKeyBytes) return Error{"no key could be derived"};
  return Sealer(Secret(std::move(key)));
}

// The nonce, what is sealed, the tag.
Result<std::string> Sealer::seal(std::string_view text, std::string_view about) const {
  std::string sealed(kNonceBytes + text.size() + kTagBytes, '\0');
  const Cipher cipher(EVP_CIPHER_CTX_new());
  int size = 0;
  const bool done =
      cipher && RAND_bytes(bytes(sealed), kNonceBytes) == 1 &&
      EVP_EncryptInit_ex(cipher.get(), EVP_aes_256_gcm(), nullptr, bytes(key_.reveal()),
                         bytes(sealed)) == 1 &&
      EVP_EncryptUpdate(cipher.get(), nullptr, &size, bytes(about), length(about)) == 1 &&
      EVP_EncryptUpdate(cipher.get(), bytes(sealed) + kNonceBytes, &size, bytes(text),
                        length(text)) == 1 &&
      EVP_EncryptFinal_ex(cipher.get(), bytes(sealed) + kNonceBytes + text.size(), &size) == 1 &&
      EVP_CIPHER_CTX_ctrl(cipher.get(), EVP_CTRL_GCM_GET_TAG, kTagBytes,
                          bytes(sealed) + kNonceBytes + text.size()) == 1;
  if (!done) return Error{"nothing could be encrypted"};
  return sealed;
}

std::optional<std::string> Sealer::open(std::string_view sealed, std::string_view about) const {
  if (sealed.size() < kNonceBytes + kTagBytes) return std::nullopt;
  const std::string_view nonce = sealed.substr(0, kNonceBytes);
  const std::string_view inside =
      sealed.substr(kNonceBytes, sealed.size() - kNonceBytes - kTagBytes);
  std::string tag(sealed.substr(sealed.size() - kTagBytes));
  std::string text(inside.size(), '\0');
  const Cipher cipher(EVP_CIPHER_CTX_new());
  int size = 0;
  const bool done =
      cipher &&
      EVP_DecryptInit_ex(cipher.get(), EVP_aes_256_gcm(), nullptr, bytes(key_.reveal()),
                         bytes(nonce)) == 1 &&
      EVP_DecryptUpdate(cipher.get(), nullptr, &size, bytes(about), length(about)) == 1 &&
      EVP_DecryptUpdate(cipher.get(), bytes(text), &size, bytes(inside), length(inside)) == 1 &&
      EVP_CIPHER_CTX_ctrl(cipher.get(), EVP_CTRL_GCM_SET_TAG, kTagBytes, bytes(tag)) == 1 &&
      EVP_DecryptFinal_ex(cipher.get(), bytes(text) + text.size(), &size) == 1;
  if (!done) return std::nullopt;
  return text;
}

}  // namespace switchyard
