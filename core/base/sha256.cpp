#include "core/base/sha256.hpp"

#include <openssl/sha.h>

namespace switchyard {

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"

// These can't fail: they compute, and allocate nothing.
std::array<std::uint8_t, 32> sha256(std::string_view text) {
  std::array<std::uint8_t, 32> digest;
  SHA256_CTX context;
  SHA256_Init(&context);
  SHA256_Update(&context, text.data(), text.size());
  SHA256_Final(digest.data(), &context);
  return digest;
}

#pragma GCC diagnostic pop

}  // namespace switchyard
