// Certificates made on the spot.
#pragma once

#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include <filesystem>
#include <memory>
#include <string>

namespace switchyard::net::test {

struct KeyDelete {
  void operator()(EVP_PKEY* key) const { EVP_PKEY_free(key); }
};
struct X509Delete {
  void operator()(X509* certificate) const { X509_free(certificate); }
};
struct ContextDelete {
  void operator()(SSL_CTX* context) const { SSL_CTX_free(context); }
};
using Key = std::unique_ptr<EVP_PKEY, KeyDelete>;
using Certificate = std::unique_ptr<X509, X509Delete>;
using Context = std::unique_ptr<SSL_CTX, ContextDelete>;

// A folder that goes with the object.
class TempFolder {
 public:
  TempFolder();
  ~TempFolder();
  std::string file(const std::string& name) const { return (path_ / name).string(); }

 private:
  std::filesystem::path path_;
};

class Authority {
 public:
  explicit Authority(const std::string& name = "Test CA");

  struct Leaf {
    std::string alternative = "DNS:up.example,IP:127.0.0.1";  // as in openssl.cnf
    long from_s = -3600;                                      // seconds from now
    long until_s = 3600;
  };

  // For a server that speaks with such a certificate.
  Context server(const Leaf& leaf) const;
  Context server() const;
  void write_certificate(const std::string& path) const;
  // Certificate and key of a listener, in PEM.
  void write_leaf(const Leaf& leaf, const std::string& certificate, const std::string& key) const;

 private:
  Certificate issue(const Leaf& leaf, EVP_PKEY* key) const;

  Key key_;
  Certificate certificate_;
};

}  // namespace switchyard::net::test
