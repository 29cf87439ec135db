#include "core/account/keys.hpp"

#include <openssl/crypto.h>
#include <openssl/rand.h>
#include <openssl/sha.h>

#include <cstring>
#include <span>
#include <stdexcept>

#include "core/base/sha256.hpp"

namespace switchyard::account {
namespace {

constexpr std::size_t kBlock = 64;  // of SHA-256, in bytes
constexpr std::size_t kChecksumChars = 6;

// A failure here means that OpenSSL is out of memory or has no SHA-256: nothing can go on.
void must(int ok, const char* what) {
  if (ok != 1) throw std::runtime_error(std::string("openssl: ") + what + " failed");
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
// alone. OpenSSL 3 calls these functions deprecated; through EVP the same costs three times as
// much, and every request waits for it.
struct Pepper::State {
  SHA256_CTX inner{}, outer{};
  ~State() {
    OPENSSL_cleanse(&inner, sizeof inner);
    OPENSSL_cleanse(&outer, sizeof outer);
  }
};

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"

Pepper::Pepper(Secret pepper) {
  std::array<std::uint8_t, kBlock> padded{};
  const std::string_view text = pepper.reveal();
  if (text.size() > kBlock) {
    const KeyMac digest = sha256(text);
    std::memcpy(padded.data(), digest.data(), digest.size());
  } else {
    std::memcpy(padded.data(), text.data(), text.size());
  }
  const auto start = [&padded](SHA256_CTX& context, std::uint8_t pad) {
    std::array<std::uint8_t, kBlock> block;
    for (std::size_t i = 0; i < kBlock; ++i) block[i] = padded[i] ^ pad;
    must(SHA256_Init(&context), "SHA256_Init");
    must(SHA256_Update(&context, block.data(), block.size()), "SHA256_Update");
    OPENSSL_cleanse(block.data(), block.size());
  };
  auto state = std::make_shared<State>();
  start(state->inner, 0x36);
  start(state->outer, 0x5c);
  OPENSSL_cleanse(padded.data(), padded.size());
  state_ = std::move(state);
}

KeyMac Pepper::mac(std::string_view key) const {
  KeyMac digest;
  SHA256_CTX context = state_->inner;
  must(SHA256_Update(&context, key.data(), key.size()), "SHA256_Update");
  must(SHA256_Final(digest.data(), &context), "SHA256_Final");
  context = state_->outer;
  must(SHA256_Update(&context, digest.data(), digest.size()), "SHA256_Update");
  must(SHA256_Final(digest.data(), &context), "SHA256_Final");
  OPENSSL_cleanse(&context, sizeof context);
  return digest;
}

#pragma GCC diagnostic pop

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
