#include "tests/unit/net/certificates.hpp"

#include <openssl/ec.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdlib.h>

#include <atomic>

namespace switchyard::net::test {
namespace {

Key new_key() { return Key(EVP_EC_gen("P-256")); }

Certificate blank(EVP_PKEY* key, const std::string& name, long from_s, long until_s) {
  static std::atomic<long> serial{1};
  Certificate certificate(X509_new());
  X509_set_version(certificate.get(), 2);
  ASN1_INTEGER_set(X509_get_serialNumber(certificate.get()), serial++);
  X509_gmtime_adj(X509_getm_notBefore(certificate.get()), from_s);
  X509_gmtime_adj(X509_getm_notAfter(certificate.get()), until_s);
  X509_set_pubkey(certificate.get(), key);
  X509_NAME_add_entry_by_txt(X509_get_subject_name(certificate.get()), "CN", MBSTRING_ASC,
                             reinterpret_cast<const unsigned char*>(name.c_str()), -1, -1, 0);
  return certificate;
}

void extend(X509* certificate, int kind, const std::string& value) {
  X509_EXTENSION* extension = X509V3_EXT_conf_nid(nullptr, nullptr, kind, value.c_str());
  X509_add_ext(certificate, extension, -1);
  X509_EXTENSION_free(extension);
}

template <class Write>
void write_pem(const std::string& path, Write write) {
  BIO* out = BIO_new_file(path.c_str(), "w");
  write(out);
  BIO_free(out);
}

}  // namespace

TempFolder::TempFolder() {
  std::string name = (std::filesystem::temp_directory_path() / "switchyard-XXXXXX").string();
  path_ = ::mkdtemp(name.data());
}

TempFolder::~TempFolder() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

Authority::Authority(const std::string& name)
    : key_(new_key()), certificate_(blank(key_.get(), name, -7200, 7200)) {
  X509_set_issuer_name(certificate_.get(), X509_get_subject_name(certificate_.get()));
  extend(certificate_.get(), NID_basic_constraints, "critical,CA:TRUE");
  X509_sign(certificate_.get(), key_.get(), EVP_sha256());
}

Certificate Authority::issue(const Leaf& leaf, EVP_PKEY* key) const {
  Certificate certificate = blank(key, "leaf", leaf.from_s, leaf.until_s);
  X509_set_issuer_name(certificate.get(), X509_get_subject_name(certificate_.get()));
  extend(certificate.get(), NID_subject_alt_name, leaf.alternative);
  X509_sign(certificate.get(), key_.get(), EVP_sha256());
  return certificate;
}

Context Authority::server(const Leaf& leaf) const {
  const Key key = new_key();
  const Certificate certificate = issue(leaf, key.get());
  Context context(SSL_CTX_new(TLS_server_method()));
  SSL_CTX_use_certificate(context.get(), certificate.get());
  SSL_CTX_use_PrivateKey(context.get(), key.get());
  return context;
}

Context Authority::server() const { return server(Leaf()); }

void Authority::write_certificate(const std::string& path) const {
  write_pem(path, [this](BIO* out) { PEM_write_bio_X509(out, certificate_.get()); });
}

void Authority::write_leaf(const Leaf& leaf, const std::string& certificate_path,
                           const std::string& key_path) const {
  const Key key = new_key();
  const Certificate certificate = issue(leaf, key.get());
  write_pem(certificate_path, [&](BIO* out) { PEM_write_bio_X509(out, certificate.get()); });
  write_pem(key_path, [&](BIO* out) {
    PEM_write_bio_PrivateKey(out, key.get(), nullptr, nullptr, 0, nullptr, nullptr);
  });
}

}  // namespace switchyard::net::test
