#include "signing.hpp"

#include <array>
#include <bit>
#include <cmath>
#include <cstring>
#include <string>
#include <switchyard/plugin.hpp>

namespace swy::check {
namespace {

constexpr std::string_view kSecret = "switchyard-kit";
constexpr std::size_t kDigestBytes = 32, kBlockBytes = 64;

// The first 32 bits of the fractional part of a root of the n-th prime (FIPS 180-4, 4.2.2 and
// 5.3.3).
template <std::size_t N>
std::array<std::uint32_t, N> root_bits(long double (*root)(long double)) {
  std::array<std::uint32_t, N> bits{};
  std::size_t found = 0;
  for (unsigned n = 2; found < N; ++n) {
    bool prime = true;
    for (unsigned d = 2; d * d <= n; ++d) prime = prime && n % d != 0;
    if (!prime) continue;
    const long double value = root(static_cast<long double>(n));
    bits[found++] = static_cast<std::uint32_t>((value - std::floor(value)) * 4294967296.0L);
  }
  return bits;
}

class Sha256 {
 public:
  void add(std::string_view data) {
    bytes_ += data.size();
    for (const char c : data) {
      block_[filled_++] = static_cast<std::uint8_t>(c);
      if (filled_ == kBlockBytes) mix();
    }
  }
  void finish(std::uint8_t* digest) {
    const std::uint64_t bits = bytes_ * 8;
    add(std::string_view("\x80", 1));
    while (filled_ != kBlockBytes - 8) add(std::string_view("\0", 1));
    std::string length;
    for (unsigned shift = 64; shift > 0; shift -= 8)
      length += static_cast<char>(bits >> (shift - 8));
    add(length);
    for (std::size_t i = 0; i < kDigestBytes; ++i) {
      digest[i] = static_cast<std::uint8_t>(state_[i / 4] >> (24 - 8 * (i % 4)));
    }
  }

 private:
  void mix() {
    static const auto kRound = root_bits<64>([](long double x) { return std::cbrt(x); });
    filled_ = 0;
    std::array<std::uint32_t, 64> w{};
    for (std::size_t i = 0; i < 16; ++i) {
      for (std::size_t k = 0; k < 4; ++k) w[i] = w[i] << 8 | block_[4 * i + k];
    }
    for (std::size_t i = 16; i < 64; ++i) {
      const std::uint32_t a = w[i - 15], b = w[i - 2];
      w[i] = w[i - 16] + w[i - 7] + (std::rotr(a, 7) ^ std::rotr(a, 18) ^ a >> 3) +
             (std::rotr(b, 17) ^ std::rotr(b, 19) ^ b >> 10);
    }
    auto [a, b, c, d, e, f, g, h] = state_;
    for (std::size_t i = 0; i < 64; ++i) {
      const std::uint32_t one = h + (std::rotr(e, 6) ^ std::rotr(e, 11) ^ std::rotr(e, 25)) +
                                ((e & f) ^ (~e & g)) + kRound[i] + w[i];
      const std::uint32_t two =
          (std::rotr(a, 2) ^ std::rotr(a, 13) ^ std::rotr(a, 22)) + ((a & b) ^ (a & c) ^ (b & c));
      h = g, g = f, f = e, e = d + one, d = c, c = b, b = a, a = one + two;
    }
    const std::array<std::uint32_t, 8> add = {a, b, c, d, e, f, g, h};
    for (std::size_t i = 0; i < 8; ++i) state_[i] += add[i];
  }

  std::array<std::uint32_t, 8> state_ = root_bits<8>([](long double x) { return std::sqrt(x); });
  std::array<std::uint8_t, kBlockBytes> block_{};
  std::size_t filled_ = 0;
  std::uint64_t bytes_ = 0;
};

std::string digest_of(std::string_view data) {
  std::string digest(kDigestBytes, '\0');
  sha256(data, reinterpret_cast<std::uint8_t*>(digest.data()));
  return digest;
}

std::string hmac_of(std::string_view key, std::string_view data) {
  std::string block(key.size() > kBlockBytes ? digest_of(key) : std::string(key));
  block.resize(kBlockBytes, '\0');
  std::string inner, outer;
  for (const char c : block) {
    inner += static_cast<char>(c ^ 0x36);
    outer += static_cast<char>(c ^ 0x5c);
  }
  return digest_of(outer + digest_of(inner.append(data)));
}

std::string hex(std::string_view bytes) {
  constexpr char kDigits[] = "0123456789abcdef";
  std::string out;
  for (const char c : bytes) {
    out += kDigits[static_cast<unsigned char>(c) >> 4];
    out += kDigits[static_cast<unsigned char>(c) & 15U];
  }
  return out;
}

std::uint32_t length_of(std::uint32_t hash) {
  return hash == SWY_HASH_SHA1     ? 20
         : hash == SWY_HASH_SHA256 ? 32
         : hash == SWY_HASH_SHA512 ? 64
                                   : 0;
}

// As many bytes as are wanted, the same for the same digest.
void put(std::string digest, std::uint8_t* out, std::uint32_t n) {
  while (digest.size() < n) digest += digest_of(digest);
  std::memcpy(out, digest.data(), n);
}

swy_rc SWY_CALL digest(std::uint32_t hash, swy_str data, std::uint8_t* out,
                       std::uint32_t* n) noexcept {
  const std::uint32_t length = length_of(hash);
  if (length == 0) return SWY_E_UNSUP;
  put(digest_of(view(data)), out, length);
  *n = length;
  return SWY_OK;
}

swy_rc SWY_CALL hmac(const swy_out*, const swy_hmac* chain, std::uint8_t* mac,
                     std::uint32_t* n) noexcept {
  const std::uint32_t length = length_of(chain->hash);
  if (length == 0 || chain->nstep == 0 || chain->nstep > 16) return SWY_E_ARG;
  std::string key = std::string(view(chain->prefix)).append(kSecret);
  for (std::uint32_t i = 0; i < chain->nstep; ++i) {
    if (i > 0 && (chain->flags & SWY_HMAC_HEX_STEPS) != 0) key = hex(key);
    key = hmac_of(key, view(chain->step[i]));
  }
  put(key, mac, length);
  *n = length;
  return SWY_OK;
}

swy_rc SWY_CALL sign(const swy_out*, std::uint32_t alg, swy_str, swy_str data, std::uint8_t* sig,
                     std::uint32_t* n) noexcept {
  if (alg < SWY_ALG_RS256 || alg > SWY_ALG_ES256) return SWY_E_UNSUP;
  const std::uint32_t length = alg == SWY_ALG_ES256 ? 64 : 256;
  if (*n < length) return SWY_E_LIMIT;
  put(hmac_of(kSecret, view(data)), sig, length);
  *n = length;
  return SWY_OK;
}

}  // namespace

void sha256(std::string_view data, std::uint8_t* out) {
  Sha256 hash;
  hash.add(data);
  hash.finish(out);
}

const swy_sign* sign_table() {
  static const swy_sign table = {sizeof(swy_sign), 1, digest, hmac, sign};
  return &table;
}

}  // namespace swy::check
