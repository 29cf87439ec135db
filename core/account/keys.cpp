#include "core/account/keys.hpp"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/rand.h>

#include <cstring>
#include <new>
#include <span>
#include <stdexcept>

namespace switchyard::account {
namespace {

constexpr std::size_t kBlock = 64;  // of SHA-256, in bytes
constexpr std::size_t kChecksumChars = 6;

struct FreeContext {
  void operator()(EVP_MD_CTX* context) const { EVP_MD_CTX_free(context); }
};
using Context = std::unique_ptr<EVP_MD_CTX, FreeContext>;

// A failure here means that OpenSSL is out of memory or has no SHA-256: nothing can go on.
void must(int ok, const char* what) {
  if (ok != 1) throw std::runtime_error(std::string("openssl: ") + what + " failed");
}

Context new_context() {
  Context context(EVP_MD_CTX_new());
  if (!context) throw std::bad_alloc();
  return context;
}

KeyMac finish(EVP_MD_CTX* context) {
  KeyMac digest;
  must(EVP_DigestFinal_ex(context, digest.data(), nullptr), "EVP_DigestFinal_ex");
  return digest;
}

KeyMac sha256(std::string_view text) {
  const Context context = new_context();
  must(EVP_DigestInit_ex(context.get(), EVP_sha256(), nullptr), "EVP_DigestInit_ex");
  must(EVP_DigestUpdate(context.get(), text.data(), text.size()), "EVP_DigestUpdate");
  return finish(context.get());
}

// RFC 4648, section 5, without padding.
std::string base64url(const std::uint8_t* bytes, std::size_t size) {
  static constexpr char kDigits[] =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
  std::string text;
  std::uint32_t bits = 0;
  unsigned held = 0;
  for (std::size_t i = 0; i < size; ++i) {
    bits = (bits << 8) | bytes[i];
    held += 8;
    for (; held >= 6; held -= 6) text += kDigits[(bits >> (held - 6)) & 63];
  }
  if (held > 0) text += kDigits[(bits << (6 - held)) & 63];
  return text;
}

std::string hex_of(std::span<const std::uint8_t> bytes) {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string hex;
  for (const std::uint8_t byte : bytes) {
    hex += kDigits[byte >> 4];
    hex += kDigits[byte & 15];
  }
  return hex;
}

}  // namespace

// The hash after the first block of RFC 2104's inner and outer message, which depend on the pepper
// alone.
struct Pepper::State {
  Context inner = new_context(), outer = new_context();
};

Pepper::Pepper(Secret pepper) {
  std::array<std::uint8_t, kBlock> padded{};
  const std::string_view text = pepper.reveal();
  if (text.size() > kBlock) {
    const KeyMac digest = sha256(text);
    std::memcpy(padded.data(), digest.data(), digest.size());
  } else {
    std::memcpy(padded.data(), text.data(), text.size());
  }
  const auto start = [&padded](EVP_MD_CTX* context, std::uint8_t pad) {
    std::array<std::uint8_t, kBlock> block;
    for (std::size_t i = 0; i < kBlock; ++i) block[i] = padded[i] ^ pad;
    must(EVP_DigestInit_ex(context, EVP_sha256(), nullptr), "EVP_DigestInit_ex");
    must(EVP_DigestUpdate(context, block.data(), block.size()), "EVP_DigestUpdate");
    OPENSSL_cleanse(block.data(), block.size());
  };
  auto state = std::make_shared<State>();
  start(state->inner.get(), 0x36);
  start(state->outer.get(), 0x5c);
  OPENSSL_cleanse(padded.data(), padded.size());
  state_ = std::move(state);
}

KeyMac Pepper::mac(std::string_view key) const {
  // One per thread: making a context costs as much as hashing with it.
  thread_local const Context scratch = new_context();
  must(EVP_MD_CTX_copy_ex(scratch.get(), state_->inner.get()), "EVP_MD_CTX_copy_ex");
  must(EVP_DigestUpdate(scratch.get(), key.data(), key.size()), "EVP_DigestUpdate");
  const KeyMac inner = finish(scratch.get());
  must(EVP_MD_CTX_copy_ex(scratch.get(), state_->outer.get()), "EVP_MD_CTX_copy_ex");
  must(EVP_DigestUpdate(scratch.get(), inner.data(), inner.size()), "EVP_DigestUpdate");
  return finish(scratch.get());
}

Secret new_gateway_key() {
  std::array<std::uint8_t, 32> random;
  must(RAND_bytes(random.data(), static_cast<int>(random.size())), "RAND_bytes");
  std::string key = "sy-" + base64url(random.data(), random.size());
  OPENSSL_cleanse(random.data(), random.size());
  const KeyMac digest = sha256(key);
  key += base64url(digest.data(), digest.size()).substr(0, kChecksumChars);
  return Secret(std::move(key));
}

std::string new_id(std::string_view prefix) {
  std::array<std::uint8_t, 8> random;
  must(RAND_bytes(random.data(), static_cast<int>(random.size())), "RAND_bytes");
  return std::string(prefix) + hex_of(random);
}

std::string to_hex(const KeyMac& mac) { return hex_of(mac); }

std::optional<KeyMac> mac_from_hex(std::string_view hex) {
  KeyMac mac{};
  if (hex.size() != 2 * mac.size()) return std::nullopt;
  for (std::size_t i = 0; i < hex.size(); ++i) {
    const char c = hex[i];
    int digit = -1;
    if (c >= '0' && c <= '9') digit = c - '0';
    if (c >= 'a' && c <= 'f') digit = c - 'a' + 10;
    if (c >= 'A' && c <= 'F') digit = c - 'A' + 10;
    if (digit < 0) return std::nullopt;
    mac[i / 2] = static_cast<std::uint8_t>(mac[i / 2] << 4 | digit);
  }
  return mac;
}

}  // namespace switchyard::account
