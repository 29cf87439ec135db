#include "core/plugin/sign.hpp"

#include <openssl/evp.h>
#include <openssl/pem.h>

#include <catch2/catch.hpp>

#include "core/base/json_scan.hpp"
#include "core/plugin/host.hpp"
#include "core/plugin/provider.hpp"

namespace switchyard::plugin {
namespace {

class Sink : public OperationSink {
 public:
  explicit Sink(std::string key) : key_(std::move(key)) {
    out.size = sizeof out;
    out.ctx = static_cast<OperationSink*>(this);
  }
  swy_rc req_begin(std::string_view, std::string_view, std::uint32_t, std::uint32_t) override {
    return SWY_OK;
  }
  swy_rc req_header(std::string_view, std::string_view) override { return SWY_OK; }
  swy_rc req_auth(std::string_view, std::string_view, std::string_view) override { return SWY_OK; }
  swy_rc req_body(std::span<const swy_seg>) override { return SWY_OK; }
  swy_rc emit(std::uint32_t, std::uint32_t, std::string_view) override { return SWY_OK; }
  const Secret* credential_key() const override { return key_.empty() ? nullptr : &key_; }

  swy_out out{};

 private:
  Secret key_;
};

std::string hex(std::string_view bytes) {
  static constexpr char kHex[] = "0123456789abcdef";
  std::string out;
  for (const char c : bytes) {
    out += kHex[static_cast<unsigned char>(c) >> 4];
    out += kHex[static_cast<unsigned char>(c) & 15];
  }
  return out;
}

const swy_sign& table() {
  return *static_cast<const swy_sign*>(host_table()->ext(host_table(), SWY_SIGN_EXT));
}

std::string mac_of(const swy_out& out, std::string_view prefix, std::string_view slot,
                   std::vector<std::string_view> steps, std::uint32_t flags, swy_rc& rc,
                   std::uint32_t hash = SWY_HASH_SHA256) {
  std::vector<swy_str> list;
  for (const auto step : steps) list.push_back(to_swy(step));
  const swy_hmac chain{
      sizeof(swy_hmac), flags,          hash,       static_cast<std::uint32_t>(list.size()),
      to_swy(slot),     to_swy(prefix), list.data()};
  std::uint8_t mac[SWY_DIGEST_MAX];
  std::uint32_t n = sizeof mac;
  rc = table().hmac(&out, &chain, mac, &n);
  return rc == SWY_OK ? hex({reinterpret_cast<const char*>(mac), n}) : "";
}

std::string json_text(std::string_view text) {
  std::string out;
  append_json_string(out, text);
  return out;
}

std::string pem_of(EVP_PKEY* key) {
  BIO* const bio = BIO_new(BIO_s_mem());
  PEM_write_bio_PrivateKey(bio, key, nullptr, nullptr, 0, nullptr, nullptr);
  char* data = nullptr;
  const long n = BIO_get_mem_data(bio, &data);
  std::string pem(data, static_cast<std::size_t>(n));
  BIO_free(bio);
  return pem;
}

}  // namespace

TEST_CASE("plugin: digests as everybody knows them", "[unit][sign]") {
  std::uint8_t digest[SWY_DIGEST_MAX];
  std::uint32_t n = 0;
  REQUIRE(table().digest(SWY_HASH_SHA256, to_swy("abc"), digest, &n) == SWY_OK);
  CHECK(hex({reinterpret_cast<char*>(digest), n}) ==
        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  REQUIRE(table().digest(SWY_HASH_SHA1, to_swy("abc"), digest, &n) == SWY_OK);
  CHECK(hex({reinterpret_cast<char*>(digest), n}) == "a9993e364706816aba3e25717850c26c9cd0d89d");
  CHECK(table().digest(9, to_swy("abc"), digest, &n) == SWY_E_UNSUP);
}

TEST_CASE("plugin: a chain of MACs gives the published AWS signing key", "[unit][sign]") {
  // "Deriving a signing key" of the AWS General Reference, Signature Version 4.
  Sink sink("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY");
  const SigningScope scope(sink.out);
  swy_rc rc = SWY_OK;
  CHECK(mac_of(sink.out, "AWS4", "", {"20150830", "us-east-1", "iam", "aws4_request"}, 0, rc) ==
        "c4afb1cc5771d871763a393e44b703571b55cc28424d1a5e86da6ed3c154a4b9");
  // One step is the plain HMAC; with text steps the next key is its hex.
  const std::string first = mac_of(sink.out, "", "", {"a"}, 0, rc);
  Sink hex_key(first);
  const SigningScope inner(hex_key.out);
  const std::string second = mac_of(hex_key.out, "", "", {"b"}, 0, rc);
  Sink again("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY");
  const SigningScope last(again.out);
  CHECK(mac_of(again.out, "", "", {"a", "b"}, SWY_HMAC_HEX_STEPS, rc) == second);
}

TEST_CASE("plugin: only the running step may sign, and only with what its credential has",
          "[unit][sign]") {
  Sink sink(R"({"id":"x","keys":{"secret":"s3","n":1}})");
  swy_rc rc = SWY_OK;
  CHECK(mac_of(sink.out, "", "/keys/secret", {"a"}, 0, rc).empty());  // no step runs
  CHECK(rc == SWY_E_ARG);
  const SigningScope scope(sink.out);
  CHECK_FALSE(mac_of(sink.out, "", "/keys/secret", {"a"}, 0, rc).empty());
  for (const char* slot : {"/keys/n", "/keys", "/none", "keys/secret"}) {
    CAPTURE(slot);
    CHECK(mac_of(sink.out, "", slot, {"a"}, 0, rc).empty());
    CHECK(rc == SWY_E_ARG);
  }
  const swy_out copy = sink.out;
  CHECK(mac_of(copy, "", "/keys/secret", {"a"}, 0, rc).empty());
  CHECK(rc == SWY_E_ARG);
  mac_of(sink.out, "", "/keys/secret", {}, 0, rc);
  CHECK(rc == SWY_E_ARG);
  mac_of(sink.out, "", "/keys/secret", std::vector<std::string_view>(17, "a"), 0, rc);
  CHECK(rc == SWY_E_ARG);
  mac_of(sink.out, "", "/keys/secret", {"a"}, 0, rc, 7);
  CHECK(rc == SWY_E_UNSUP);

  Sink none("");
  const SigningScope inner(none.out);
  mac_of(none.out, "", "", {"a"}, 0, rc);
  CHECK(rc == SWY_E_ARG);
}

TEST_CASE("plugin: signatures verify with the public half", "[unit][sign]") {
  EVP_PKEY* const rsa = EVP_RSA_gen(2048);
  EVP_PKEY* const ec = EVP_EC_gen("P-256");
  const std::string data = "header.payload";
  Sink sink(R"({"rsa":)" + json_text(pem_of(rsa)) + R"(,"ec":)" + json_text(pem_of(ec)) +
            R"(,"text":"x"})");
  const SigningScope scope(sink.out);
  std::uint8_t signature[512];
  std::uint32_t n = sizeof signature;
  REQUIRE(table().sign(&sink.out, SWY_ALG_RS256, to_swy("/rsa"), to_swy(data), signature, &n) ==
          SWY_OK);
  EVP_MD_CTX* context = EVP_MD_CTX_new();
  EVP_DigestVerifyInit(context, nullptr, EVP_sha256(), nullptr, rsa);
  CHECK(EVP_DigestVerify(context, signature, n, reinterpret_cast<const unsigned char*>(data.data()),
                         data.size()) == 1);
  EVP_MD_CTX_free(context);

  n = sizeof signature;
  REQUIRE(table().sign(&sink.out, SWY_ALG_PS256, to_swy("/rsa"), to_swy(data), signature, &n) ==
          SWY_OK);
  EVP_PKEY_CTX* settings = nullptr;
  context = EVP_MD_CTX_new();
  EVP_DigestVerifyInit(context, &settings, EVP_sha256(), nullptr, rsa);
  EVP_PKEY_CTX_set_rsa_padding(settings, RSA_PKCS1_PSS_PADDING);
  EVP_PKEY_CTX_set_rsa_pss_saltlen(settings, RSA_PSS_SALTLEN_DIGEST);
  CHECK(EVP_DigestVerify(context, signature, n, reinterpret_cast<const unsigned char*>(data.data()),
                         data.size()) == 1);
  EVP_MD_CTX_free(context);

  n = sizeof signature;
  REQUIRE(table().sign(&sink.out, SWY_ALG_ES256, to_swy("/ec"), to_swy(data), signature, &n) ==
          SWY_OK);
  CHECK(n == 64);
  n = 63;
  CHECK(table().sign(&sink.out, SWY_ALG_ES256, to_swy("/ec"), to_swy(data), signature, &n) ==
        SWY_E_LIMIT);
  n = sizeof signature;
  CHECK(table().sign(&sink.out, SWY_ALG_ES256, to_swy("/rsa"), to_swy(data), signature, &n) ==
        SWY_E_ARG);
  CHECK(table().sign(&sink.out, SWY_ALG_RS256, to_swy("/ec"), to_swy(data), signature, &n) ==
        SWY_E_ARG);
  CHECK(table().sign(&sink.out, SWY_ALG_RS256, to_swy("/text"), to_swy(data), signature, &n) ==
        SWY_E_ARG);
  CHECK(table().sign(&sink.out, 9, to_swy("/rsa"), to_swy(data), signature, &n) == SWY_E_UNSUP);
  EVP_PKEY_free(rsa);
  EVP_PKEY_free(ec);
}

}  // namespace switchyard::plugin
