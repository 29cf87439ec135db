#include "core/account/keys.hpp"

#include <openssl/evp.h>

using namespace switchyard;
using namespace switchyard::account;

namespace {

std::string mac_hex(const std::string& pepper, std::string_view key) {
  return to_hex(Pepper(Secret(pepper)).mac(key));
}

}  // namespace

TEST_CASE("account: a key's MAC is HMAC-SHA256 under the pepper (RFC 4231)", "[unit][account]") {
  CHECK(mac_hex(std::string(20, '\x0b'), "Hi There") ==
        "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7");
  CHECK(mac_hex("Jefe", "what do ya want for nothing?") ==
        "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
  CHECK(mac_hex(std::string(20, '\xaa'), std::string(50, '\xdd')) ==
        "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe");
  // A pepper longer than a block is hashed first.
  CHECK(
      mac_hex(std::string(131, '\xaa'), "Test Using Larger Than Block-Size Key - Hash Key First") ==
      "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
}

TEST_CASE("account: MACs of two peppers taken in turns do not mix", "[unit][account]") {
  const Pepper one(Secret("one")), other(Secret("other"));
  const KeyMac first = one.mac("k");
  const KeyMac second = other.mac("k");
  CHECK(first != second);
  CHECK(one.mac("k") == first);
  CHECK(other.mac("k") == second);
}

TEST_CASE("account: a new key has the promised form, a checksum, and is new", "[unit][account]") {
  const Secret made = new_gateway_key();
  const std::string text(made.reveal());
  REQUIRE(text.size() == 3 + 43 + 6);
  CHECK(text.substr(0, 3) == "sy-");
  CHECK(
      text.find_first_not_of("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_") ==
      std::string::npos);

  unsigned char digest[32];
  REQUIRE(EVP_Digest(text.data(), 46, digest, nullptr, EVP_sha256(), nullptr) == 1);
  unsigned char base64[8];
  EVP_EncodeBlock(base64, digest, 6);
  std::string checksum(reinterpret_cast<char*>(base64), 6);
  for (char& c : checksum) c = c == '+' ? '-' : c == '/' ? '_' : c;
  CHECK(text.substr(46) == checksum);

  const Secret another = new_gateway_key();
  CHECK(another.reveal() != text);
}

TEST_CASE("account: hexadecimal MACs are read strictly", "[unit][account]") {
  const std::string hex = mac_hex("p", "k");
  REQUIRE(mac_from_hex(hex).has_value());
  CHECK(to_hex(*mac_from_hex(hex)) == hex);
  CHECK_FALSE(mac_from_hex(hex.substr(1)).has_value());
  CHECK_FALSE(mac_from_hex(hex + "00").has_value());
  CHECK_FALSE(mac_from_hex("g" + hex.substr(1)).has_value());
  CHECK_FALSE(mac_from_hex("").has_value());
}
