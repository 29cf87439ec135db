#include "core/account/keys.hpp"

#include <openssl/evp.h>

using namespace switchyard;
using namespace switchyard::account;

namespace {

std::string mac_hex(const std::string& pepper, std::string_view key) {
  return to_hex(Pepper(Secret(pepper)).mac(key));
}

KeyTable table_of(const std::vector<std::pair<std::string, GatewayKey>>& keys) {
  Pepper pepper(Secret("pepper"));
  std::vector<std::pair<KeyMac, GatewayKey>> entries;
  for (const auto& [text, key] : keys) entries.emplace_back(pepper.mac(text), key);
  return KeyTable(pepper, std::move(entries));
}

GatewayKey key_for(std::vector<std::string> models) {
  GatewayKey key;
  key.models = std::move(models);
  return key;
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

TEST_CASE("account: only the exact key is found", "[unit][account]") {
  GatewayKey key;
  key.id = "key_1";
  const KeyTable table = table_of({{"sy-right", key}});
  CHECK(table.find("") == nullptr);
  CHECK(table.find("sy-righ") == nullptr);
  CHECK(table.find("sy-right ") == nullptr);
  CHECK(table.find("SY-RIGHT") == nullptr);
  CHECK(table.find(std::string("sy-right\0", 9)) == nullptr);
  REQUIRE(table.find("sy-right") != nullptr);
  CHECK(table.find("sy-right")->id == "key_1");
}

TEST_CASE("account: a key's models are names or patterns with stars", "[unit][account]") {
  CHECK(key_for({}).may_use("anything"));
  CHECK(key_for({"*"}).may_use("anything"));
  CHECK(key_for({"gpt-5"}).may_use("gpt-5"));
  CHECK_FALSE(key_for({"gpt-5"}).may_use("gpt-5-mini"));
  CHECK_FALSE(key_for({"gpt-5"}).may_use("my-gpt-5"));
  CHECK(key_for({"gpt-5*"}).may_use("gpt-5-mini"));
  CHECK(key_for({"*-mini"}).may_use("gpt-5-mini"));
  CHECK_FALSE(key_for({"*-mini"}).may_use("gpt-5-minimal"));
  CHECK(key_for({"a", "g*5*i"}).may_use("gpt-5-mini"));
  CHECK_FALSE(key_for({"g*5*x"}).may_use("gpt-5-mini"));
  CHECK_FALSE(key_for({""}).may_use("gpt-5"));
  CHECK_FALSE(key_for({"a*a*a*a*a*a*a*a*b"}).may_use(std::string(5000, 'a')));
}

TEST_CASE("account: configured and stored keys make one set", "[unit][account]") {
  const Pepper pepper(Secret("pepper"));
  config::Key clear;
  clear.name = "app";
  clear.key = Secret("sy-app");
  clear.body_bytes_max = 7;
  config::Key by_mac;
  by_mac.name = "ci";
  by_mac.mac = to_hex(pepper.mac("sy-ci"));
  store::KeyRow stored{"key_1", "stored", "acme", to_hex(pepper.mac("sy-stored")), {"m*"}, 1, 0};
  store::KeyRow disabled{"key_2", "old", "acme", to_hex(pepper.mac("sy-old")), {}, 1, 99};
  store::KeyRow doubled{"key_3", "double", "acme", to_hex(pepper.mac("sy-app")), {}, 1, 0};

  const KeyTable table(pepper, collect_keys({clear, by_mac}, {stored, disabled, doubled}, pepper));
  REQUIRE(table.size() == 3);
  CHECK(table.find("sy-old") == nullptr);
  CHECK(table.find("sy-app")->id == "config:app");
  CHECK(table.find("sy-app")->body_bytes_max == 7);
  CHECK(table.find("sy-ci")->name == "ci");
  CHECK(table.find("sy-stored")->account == "acme");
  CHECK_FALSE(table.find("sy-stored")->may_use("gpt"));
}
