#include <openssl/rand.h>

#include <array>
#include <stdexcept>

#include "core/account/purse.hpp"
#include "core/base/clock.hpp"

namespace switchyard::account {

std::string new_id(std::string_view prefix) {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::array<std::uint8_t, 12> bytes;
  const std::uint64_t ms = unix_ns() / 1'000'000;
  for (int i = 0; i < 6; ++i)
    bytes[static_cast<std::size_t>(i)] = static_cast<std::uint8_t>(ms >> (40 - 8 * i));
  if (RAND_bytes(bytes.data() + 6, 6) != 1) throw std::runtime_error("openssl: RAND_bytes failed");
  std::string id(prefix);
  for (const std::uint8_t byte : bytes) {
    id += kDigits[byte >> 4];
    id += kDigits[byte & 15];
  }
  return id;
}

}  // namespace switchyard::account
